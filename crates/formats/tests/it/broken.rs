//! Broken rows: each costs itself and no other, and says where it is and what is wrong.

use sona_formats::row::MAX_RAW;
use sona_formats::{Options, Rejected, Row};

use crate::{gzip, read, sketch};

fn csv(lines: &[&[u8]]) -> Vec<Result<Row, Rejected>> {
    let mut file = b"user,item,rating,timestamp\n".to_vec();
    for line in lines {
        file.extend_from_slice(line);
        file.push(b'\n');
    }
    read("ratings.csv", &file, &Options::default())
}

const GOOD: &[u8] = b"u,i,4,10";

/// The one bad row among good neighbours, which must both be read.
fn rejected(line: &[u8]) -> Rejected {
    let rows = csv(&[GOOD, line, GOOD]);
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[0].is_ok() && rows[2].is_ok(), "{rows:?}");
    rows[1].clone().expect_err("a bad row")
}

#[test]
fn every_kind_of_bad_row_has_its_place_and_reason() {
    let long = format!("{},i,4,10", "x".repeat(256));
    let cases: &[(&[u8], Option<&str>, &str)] = &[
        (b"u,i,4", None, "expected 4 columns, found 3"),
        (b"u,i,4,10,x", None, "expected 4 columns, found 5"),
        (b"u,\xff\xfe,4,10", None, "byte 3 of the line is no UTF-8"),
        (b"u,i,four,10", Some("rating"), "\"four\" is not a number"),
        (b"u,i,NaN,10", Some("rating"), "is not a number"),
        (b"u,i,inf,10", Some("rating"), "is not a number"),
        (b"u,i,4,soon", Some("timestamp"), "\"soon\" is no time"),
        (b",i,4,10", Some("user"), "must not be empty"),
        (b"u,,4,10", Some("item"), "must not be empty"),
        (b"u,i\x00,4,10", Some("item"), "control characters"),
        (long.as_bytes(), Some("user"), "at most 255 bytes, this one has 256"),
        (b"u,\"i,4,10", None, "a quote is opened and never closed"),
        (b"u,\"i\"x,4,10", Some("2"), "text follows a closing quote"),
    ];
    for (line, column, reason) in cases {
        let bad = rejected(line);
        assert_eq!((bad.line, bad.column.as_deref()), (3, *column), "{bad:?}");
        assert!(bad.reason.contains(reason), "{bad:?}");
        assert_eq!(bad.raw, String::from_utf8_lossy(line));
    }
}

#[test]
fn an_open_quote_does_not_swallow_what_follows() {
    let rows = csv(&[b"u,\"i,4,10", GOOD, b"v,\"j\",4,10", GOOD]);
    assert_eq!(
        sketch(&rows),
        [
            "!2 -",
            "u i 4 1970-01-01T00:00:10Z",
            "v j 4 1970-01-01T00:00:10Z",
            "u i 4 1970-01-01T00:00:10Z"
        ]
    );
}

#[test]
fn a_line_of_any_length_is_one_bad_row() {
    let mut endless = vec![b'x'; 3 << 20];
    endless[9] = b',';
    let bad = rejected(&endless);
    assert!(bad.reason.contains("longer than"), "{bad:?}");
    assert_eq!(bad.raw.chars().count(), MAX_RAW);
}

#[test]
fn json_lines() {
    let lines = b"{\"user\": \"u\", \"item\": \"i\"}\n{\"user\": \"u\"\n[1]\n\n{\"user\": \"u\"}\n{\"user\": \"u\", \"item\": {}}\n{\"user\": 1, \"item\": 2}";
    let rows = read("a.jsonl", lines, &Options::default());
    assert_eq!(sketch(&rows), ["u i", "!2 -", "!3 -", "!5 item", "u {}", "1 2"]);
}

#[test]
fn sequences_lose_only_the_bad_word_or_the_line_of_a_bad_user() {
    let long = "x".repeat(300);
    let file = format!("1 a {long} b\n{long} c d\n2 e\n");
    let rows = read("sequences.txt", file.as_bytes(), &Options::default());
    assert_eq!(sketch(&rows), ["1 a", "!1 3", "1 b", "!2 user", "2 e"]);
}

#[test]
fn attributes() {
    let rows = read("i.json", b"{\"1\": [1], \"2\": [x], \"3\": [3]}", &Options::default());
    assert_eq!(sketch(&rows), ["1 [1]", "!1 -", "3 [3]"]);
    let cut = read("i.json", b"{\"1\": [1], \"2\": [2", &Options::default());
    assert_eq!(sketch(&cut), ["1 [1]", "!1 -"]);
}

#[test]
fn a_truncated_file_gives_what_is_there_and_says_that_it_ends() {
    let mut file = b"user,item\n".to_vec();
    for n in 0..20_000u32 {
        file.extend(format!("{n},{}\n", n.wrapping_mul(2_654_435_761)).bytes());
    }
    let zstd = zstd::encode_all(&file[..], 1).expect("in memory");
    for compressed in [gzip(&file), zstd] {
        let half = &compressed[..compressed.len() / 2];
        let rows = read("a.csv", half, &Options::default());
        let (last, before) = rows.split_last().expect("rows");
        assert!(before.len() > 100 && before.iter().all(Result::is_ok));
        let last = last.as_ref().expect_err("the end is told");
        assert!(last.reason.contains("damaged or incomplete"), "{last:?}");
        assert_eq!(last.line, before.len() as u64 + 2);
    }
}
