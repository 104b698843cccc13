//! Columns: by name, as told, by place; JSON lines and Parquet say the same as CSV.

use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use sona_formats::{Field, Options, Row, TimeUnit, recognise};

use crate::{folder, gzip, read, single, sketch};

fn told(columns: &[(Field, &str)]) -> Options {
    let columns = columns.iter().map(|(field, name)| (*field, (*name).to_owned())).collect();
    Options { columns, ..Options::default() }
}

#[test]
fn columns_as_told() {
    let mut options = told(&[(Field::User, "who"), (Field::Item, "what"), (Field::Time, "when")]);
    options.time_unit = Some(TimeUnit::Milliseconds);
    let csv = b"when,user,who,what\n5000,x,u,\"i, too\"\n";
    assert_eq!(sketch(&read("a.csv", csv, &options)), ["u i, too 1970-01-01T00:00:05Z"]);
    let jsonl = br#"{"who": "u", "what": 7, "when": 5000, "more": {}}"#;
    assert_eq!(sketch(&read("a", jsonl, &options)), ["u 7 1970-01-01T00:00:05Z"]);
    let by_place = told(&[(Field::Item, "1"), (Field::User, "2")]);
    assert_eq!(sketch(&read("a", b"i|u|x\n", &by_place)), ["u i"]);
}

#[test]
fn a_column_that_is_not_there_is_told() {
    let folder = folder(&[("a.csv", b"user,item\n1,2\n")]);
    let error = recognise(&single(&folder), &told(&[(Field::Time, "when")])).expect_err("missing");
    assert!(error.to_string().contains("no column \"when\" for time; there are user, item"));
}

#[test]
fn every_field_of_an_event() {
    let line = br#"{"event_id":"e","user_id":"u","content_id":"c","event_type":"watch","completion_rate":0.5,"rating":4.5,"is_rewatch":true,"dismissed":true,"context":{"a":[1]},"recommendation_id":"r","timestamp":"2026-01-01T00:00:00.000001Z"}"#;
    let rows = read("events.jsonl", line, &Options::default());
    let Some(Ok(Row::Event(event))) = rows.first() else { panic!("{rows:?}") };
    assert_eq!(event.event_id.as_ref().map(ToString::to_string).as_deref(), Some("e"));
    assert_eq!((event.completion_rate, event.value), (Some(0.5), Some(4.5)));
    assert!(event.is_rewatch && event.dismissed && event.context.is_some());
    assert_eq!(event.recommendation_id, sona_domain::RecommendationId::new("r").ok());
    assert_eq!(event.timestamp.map(|at| at.as_micros() % 10), Some(1));
    assert_eq!(event.event_type.as_ref().map(sona_domain::EventType::as_str), Some("watch"));
}

#[test]
fn a_quoted_cell_may_go_on_over_lines() {
    let csv = b"id,title,overview\n1,A,\"first\nsecond\"\n2,B,\"\"\n";
    let rows = read("a.csv", csv, &Options::default());
    assert_eq!(sketch(&rows), ["1 A", "2 B"]);
    let Some(Ok(Row::Content(content))) = rows.first() else { panic!("{rows:?}") };
    assert_eq!(content.overview.as_deref(), Some("first\nsecond"));
}

/// Two events as Parquet, compressed in one of the usual ways.
fn parquet_file(compression: parquet::basic::Compression) -> Vec<u8> {
    let schema = "message events { required binary user_id (UTF8); required int64 item_id;
        optional double rating; required int64 timestamp (TIMESTAMP_MICROS); required int64 unused; }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer =
        SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let users: Vec<ByteArray> = vec!["u".into(), "".into(), "v".into()];
    let mut next = group.next_column().expect("ok").expect("user_id");
    next.typed::<ByteArrayType>().write_batch(&users, None, None).expect("written");
    next.close().expect("closed");
    let mut next = group.next_column().expect("ok").expect("item_id");
    next.typed::<Int64Type>().write_batch(&[1, 2, 3], None, None).expect("written");
    next.close().expect("closed");
    let mut next = group.next_column().expect("ok").expect("rating");
    next.typed::<DoubleType>().write_batch(&[4.5], Some(&[1, 0, 0]), None).expect("written");
    next.close().expect("closed");
    for values in [[5_000_000, 6, 7], [0, 0, 0]] {
        let mut next = group.next_column().expect("ok").expect("a column");
        next.typed::<Int64Type>().write_batch(&values, None, None).expect("written");
        next.close().expect("closed");
    }
    group.close().expect("closed");
    writer.into_inner().expect("finished")
}

#[test]
fn parquet_says_the_same_as_csv() {
    use parquet::basic::{Compression, ZstdLevel};
    for compression in
        [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())]
    {
        let rows = read("a", &parquet_file(compression), &Options::default());
        let expect =
            ["u 1 4.5 1970-01-01T00:00:05Z", "!2 user_id", "v 3 1970-01-01T00:00:00.000007Z"];
        assert_eq!(sketch(&rows), expect);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the compressed stream is cut into members (and so into reads), the rows are the same.
    #[test]
    fn rows_do_not_depend_on_the_pieces_a_file_comes_in(
        cells in prop::collection::vec(("[a-c\"\n,é]{0,4}", "[a-c\"]{0,3}"), 1..40),
        cut in 0usize..400,
        broken in "[\",\n]{0,6}",
    ) {
        let mut file = String::from("user,item\n");
        for (user, item) in &cells {
            let user = user.replace('"', "\"\"");
            file.extend(["\"", &user, "\",", item, "\n", &broken]);
        }
        let plain = read("a.csv", file.as_bytes(), &Options::default());
        let cut = cut.min(file.len());
        let mut pieces = gzip(&file.as_bytes()[..cut]);
        pieces.extend(gzip(&file.as_bytes()[cut..]));
        prop_assert_eq!(&read("a.csv", &pieces, &Options::default()), &plain);
        prop_assert!(plain.len() <= file.lines().count());
    }
}
