//! Files of vectors: three layouts that say the same, and what is refused.

use std::collections::HashMap;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use safetensors::tensor::{Dtype, TensorView, serialize};
use sona_domain::Entity;
use sona_formats::{Rejected, VectorRow, vectors};

use crate::{folder, gzip, single};

fn read(bytes: &[u8]) -> Vec<Result<VectorRow, Rejected>> {
    vectors(&single(&folder(&[("v", bytes)]))).expect("a file of vectors").collect()
}

fn refused(bytes: &[u8]) -> String {
    vectors(&single(&folder(&[("v", bytes)]))).err().expect("refused").to_string()
}

/// Good rows as `id [numbers]`, bad ones as `!line column`.
fn sketch(rows: &[Result<VectorRow, Rejected>]) -> Vec<String> {
    let one = |row: &Result<VectorRow, Rejected>| match row {
        Ok(VectorRow { entity: Entity::Content(id), vector }) => format!("{id} {vector:?}"),
        Ok(VectorRow { entity: Entity::User(id), vector }) => format!("user {id} {vector:?}"),
        Err(bad) => format!("!{} {}", bad.line, bad.column.as_deref().unwrap_or("-")),
    };
    rows.iter().map(one).collect()
}

const SAME: [&str; 4] = ["a [1.0, 0.5]", "!2 vector", "!3 content_id", "d [-2.0, 3.0]"];

const IDS: [&str; 4] = ["a", "b", "", "d"];
const NUMBERS: [f32; 8] = [1.0, 0.5, 0.0, 0.0, 1.0, 1.0, -2.0, 3.0];

#[test]
fn json_lines() {
    let text = r#"{"content_id": "a", "vector": [1, 0.5], "more": true}
{"content_id": "b", "vector": [0, 0]}
{"content_id": "", "vector": [1, 1]}
{"content_id": "d", "vector": [-2, 3]}
"#;
    assert_eq!(sketch(&read(text.as_bytes())), SAME);
    assert_eq!(sketch(&read(&gzip(text.as_bytes()))), SAME);
    let bad = "{\"content_id\": \"a\", \"vector\": [1, \"x\"]}\n{\"content_id\": \"a\"}\n\n{\"vector\": [1]}\n{\n\
               {\"content_id\": \"a\", \"vector\": [1e39]}\n{\"content_id\": \"a\", \"vector\": []}\n";
    let rows = read(bad.as_bytes());
    let expect = ["!1 vector", "!2 vector", "!4 content_id", "!5 -", "!6 vector", "!7 vector"];
    assert_eq!(sketch(&rows), expect);
    let Err(first) = &rows[0] else { panic!("{rows:?}") };
    assert_eq!(first.reason, "value 2 is not a number");
    assert_eq!(first.raw, r#"{"content_id": "a", "vector": [1, "x"]}"#);
}

#[test]
fn vectors_of_users() {
    let text = r#"{"user_id": "u", "vector": [1, 0.5]}
{"content_id": "a", "user_id": null, "vector": [1, 1]}
{"content_id": "a", "user_id": "u", "vector": [1, 1]}
{"user_id": 7, "vector": [2, 1]}
{"user_id": ["u"], "vector": [2, 1]}
"#;
    let expect =
        ["user u [1.0, 0.5]", "a [1.0, 1.0]", "!3 user_id", "user 7 [2.0, 1.0]", "!5 user_id"];
    assert_eq!(sketch(&read(text.as_bytes())), expect);
    let users = ["user a [1.0, 0.5]", "!2 vector", "!3 user_id", "user d [-2.0, 3.0]"];
    assert_eq!(sketch(&read(&parquet_file("user_id"))), users);
    let ids = serde_json::to_string(&IDS).expect("JSON");
    let of_users = tensors_of(&[("user_ids", &ids)], "vectors", [4, 2]);
    assert_eq!(sketch(&read(&of_users)), users);
    let both = tensors_of(&[("content_ids", &ids), ("user_ids", &ids)], "vectors", [4, 2]);
    assert!(refused(&both).contains("both content_ids and user_ids"));
}

/// A file of the two columns.
fn parquet_file(id: &str) -> Vec<u8> {
    let schema = format!(
        "message vectors {{ required binary {id} (UTF8);
        required group vector (LIST) {{ repeated group list {{ required float element; }} }} }}"
    );
    let schema = Arc::new(parse_message_type(&schema).expect("a schema"));
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let ids: Vec<ByteArray> = IDS.into_iter().map(ByteArray::from).collect();
    let mut next = group.next_column().expect("ok").expect("content_id");
    next.typed::<ByteArrayType>().write_batch(&ids, None, None).expect("written");
    next.close().expect("closed");
    let mut next = group.next_column().expect("ok").expect("vector");
    let (levels, places) = ([1; 8], [0, 1, 0, 1, 0, 1, 0, 1]);
    let written = next.typed::<FloatType>().write_batch(&NUMBERS, Some(&levels), Some(&places));
    written.expect("written");
    next.close().expect("closed");
    group.close().expect("closed");
    writer.into_inner().expect("finished")
}

#[test]
fn parquet() {
    assert_eq!(sketch(&read(&parquet_file("content_id"))), SAME);
}

/// As another program writes it, with a tensor before and one after.
fn tensors(name: &str, shape: [usize; 2], ids: Option<&str>) -> Vec<u8> {
    let ids: Vec<_> = ids.into_iter().map(|ids| ("content_ids", ids)).collect();
    tensors_of(&ids, name, shape)
}

fn tensors_of(ids: &[(&str, &str)], name: &str, shape: [usize; 2]) -> Vec<u8> {
    let bytes: Vec<u8> = NUMBERS.iter().flat_map(|number| number.to_le_bytes()).collect();
    let view = |shape: &[usize], bytes| TensorView::new(Dtype::F32, shape.into(), bytes);
    let other = view(&[1], &bytes[..4]).expect("a tensor");
    let tensor = view(&shape, &bytes).expect("a tensor");
    let metadata: HashMap<_, _> =
        ids.iter().map(|(key, ids)| ((*key).to_owned(), (*ids).to_owned())).collect();
    let metadata = Some(metadata).filter(|metadata| !metadata.is_empty());
    serialize([("before", other.clone()), (name, tensor), ("xyz", other)], metadata).expect("bytes")
}

#[test]
fn safetensors() {
    let ids = serde_json::to_string(&IDS).expect("JSON");
    let file = tensors("vectors", [4, 2], Some(&ids));
    assert_eq!(sketch(&read(&file)), SAME);
    assert_eq!(sketch(&read(&gzip(&file))), SAME);
    // Without its end: what is whole is there, and the rest is said.
    let mut cut = file.clone();
    cut.truncate(file.len() - 12);
    let rows = read(&cut);
    assert!(rows.last().is_some_and(Result::is_err), "{rows:?}");
    assert!(rows.len() < 5, "{rows:?}");

    assert!(refused(&tensors("other", [4, 2], Some(&ids))).contains("no tensor vectors"));
    assert!(refused(&tensors("vectors", [4, 2], None)).contains("no content_ids"));
    assert!(refused(&tensors("vectors", [2, 4], Some(&ids))).contains("2 rows, content_ids 4 ids"));
    assert!(refused(&tensors("vectors", [4, 2], Some("[1]"))).contains("not a JSON list of texts"));
}

#[test]
fn what_is_no_file_of_vectors() {
    assert!(refused(b"content_id,vector\na,1\n").contains("expected JSON lines"));
    assert!(refused(b"").contains("expected JSON lines"));
    assert!(refused(b"PAR1 and nothing more").contains("Parquet"));
    assert!(refused(b"\x08\0\0\0\0\0\0\0{not js}").contains("header"));
}
