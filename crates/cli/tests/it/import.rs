//! `sona import` and `sona export` on files as people have them: what goes in, what is refused, what comes out again.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use serde_json::Value;
use sona_testkit::{Backend, TestDatabase, backends};

use crate::process::{Folder, PATIENCE, SONA};

/// A folder and a database of the given kind.
async fn place(backend: Backend) -> (Folder, TestDatabase) {
    let database = TestDatabase::new(backend).await;
    let folder = Folder::new()
        .with("SONA_STORAGE_DATABASE", &database.url)
        .with("SONA_STORAGE_BLOBS", "file:blobs");
    (folder, database)
}

fn put(folder: &Folder, name: &str, text: &str) {
    let path = folder.path().join(name);
    fs_err::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs_err::write(path, text).expect("written");
}

fn text(folder: &Folder, name: &str) -> String {
    fs_err::read_to_string(folder.path().join(name)).expect("text")
}

/// MovieLens in small, with three bad rows.
fn put_films(folder: &Folder) {
    put(folder, "films/README.txt", "about");
    put(
        folder,
        "films/movies.csv",
        "movieId,title,genres\n1,Heat (1995),Crime|Drama\n2,\"Solo, A (2018)\",Drama\n",
    );
    let ratings = "userId,movieId,rating,timestamp\n7,1,4.5,1000000000\n7,2,0.5,1000000001\n8,1,five,1000000002\n\
                   8,3,3.0,1000000003\n8,1,3.0,99999999999\n8,2,2.0,1000000004\n";
    put(folder, "films/ratings.csv", ratings);
}

#[tokio::test(flavor = "multi_thread")]
async fn good_rows_go_in_and_bad_ones_are_listed() {
    for backend in backends() {
        let (folder, _database) = place(backend).await;
        put_films(&folder);
        let first = folder.sona(&["import", "films", "--json"]).expect(2).json();
        let counts = |answer: &Value| {
            ["read", "events", "duplicates", "content", "created_content", "rejected"]
                .map(|name| answer[name].as_u64().unwrap_or_else(|| panic!("{name}: {answer:#}")))
        };
        assert_eq!(counts(&first), [8, 3, 0, 2, 0, 3], "{first:#}");
        assert_eq!(first["rejects_file"], "films.rejects.csv");
        let reasons = first["rejected_by_reason"].as_object().expect("reasons");
        assert_eq!(reasons.len(), 3, "{first:#}");
        assert_eq!(reasons["rating: … is not a number"], 1, "{first:#}");
        let rejects = text(&folder, "films.rejects.csv");
        let lines: Vec<_> = rejects.lines().collect();
        assert_eq!(lines.len(), 4, "{rejects}");
        assert!(lines[1].starts_with("ratings.csv,4,rating,"), "{rejects}");
        assert!(lines[1].ends_with("\"8,1,five,1000000002\""), "{rejects}");
        assert!(
            lines[2].contains(
                "not in the catalogue; import the catalogue too, or use --create-content"
            )
        );
        assert!(lines[3].starts_with("ratings.csv,6,time,lies more than 300 s in the future"));

        let again = folder.sona(&["import", "films", "--json"]).expect(2).json();
        assert_eq!(counts(&again), [8, 0, 3, 2, 0, 3], "nothing twice: {again:#}");
        let created =
            folder.sona(&["import", "films", "--json", "--create-content"]).expect(2).json();
        assert_eq!(counts(&created), [8, 1, 3, 2, 1, 2], "{created:#}");
        folder.sona(&["export", "out", "--events"]).expect(0);
        let events = text(&folder, "out/events.jsonl");
        let events: Vec<Value> =
            events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let ratings: Vec<_> = events.iter().map(|event| event["rating"].as_f64()).collect();
        assert_eq!(ratings, [Some(5.0), Some(1.0), Some(2.0), Some(3.0)], "4.5 of 5 is 5 stars");
    }
}

#[test]
fn a_dry_run_writes_nothing() {
    let folder = Folder::new();
    put_films(&folder);
    let seen = folder.sona(&["import", "films", "--dry-run", "--json"]).expect(2).json();
    assert_eq!((&seen["events"], &seen["rejected"]), (&3.into(), &3.into()), "{seen:#}");
    let people = folder.sona(&["import", "films", "--dry-run"]).expect(2).stdout;
    assert!(people.starts_with("MovieLens (CSV):\n  movies.csv: catalogue entries"), "{people}");
    assert!(
        people.contains("Nothing is written.") && people.contains("line 4, rating"),
        "{people}"
    );
    let names = fs_err::read_dir(folder.path()).expect("a folder");
    let names: Vec<_> = names.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names, ["films"], "no database, no rejects file");
}

#[test]
fn columns_times_and_types_as_told() {
    let folder = Folder::new();
    put(&folder, "buys.csv", "sku;customer;ms\na;1;5000\nb;1;6000\n");
    let told = [
        "import",
        "buys.csv",
        "--column",
        "user=customer,item=sku,time=ms",
        "--time-unit",
        "ms",
        "--event-type",
        "add",
        "--create-content",
    ];
    let people = folder.sona(&told).expect(0).stdout;
    assert!(people.contains("2  catalogue entries made for unknown content"), "{people}");
    put(&folder, "sequences.txt", "1 a b\n2 b\n");
    folder.sona(&["import", "sequences.txt", "--start", "2020-01-01T00:00:00Z"]).expect(0);
    folder.sona(&["export", "out"]).expect(0);
    let events = text(&folder, "out/events.jsonl");
    let shown = |line: &str| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let cell = |name: &str| event[name].as_str().expect("text").to_owned();
        ["user_id", "content_id", "event_type", "timestamp"].map(cell).join(" ")
    };
    let expect = [
        "1 a add 1970-01-01T00:00:05Z",
        "1 b add 1970-01-01T00:00:06Z",
        "1 a complete 2020-01-01T00:00:00Z",
        "1 b complete 2020-01-01T00:00:01Z",
        "2 b complete 2020-01-01T00:00:02Z",
    ];
    assert_eq!(events.lines().map(shown).collect::<Vec<_>>(), expect);
}

#[test]
fn mistakes_are_told() {
    let folder = Folder::new();
    put(&folder, "a.csv", "user,item\n1,2\n");
    let told = |arguments: &[&str], code| folder.sona(arguments).expect(code).stderr;
    assert!(told(&["import", "nowhere"], 1).contains("nowhere"));
    assert!(
        told(&["import", "a.csv", "--column", "user=who"], 1)
            .contains("no column \"who\" for user")
    );
    assert!(told(&["import", "a.csv", "--column", "usr=who"], 2).contains("did you mean \"user\""));
    assert!(told(&["import", "a.csv", "--scale=-1"], 2).contains("above 0"));
}

/// An entry and an event that use every field, and plain ones.
const CONTENT: &str = r#"{"content_id":"映画,1","content_type":"series","title":"Heat (1995)","original_title":"\"H\"","overview":"one\r\ntwo, three","year":1995,"runtime_minutes":170,"popularity":0.3,"genres":["Crime|Drama","[x"],"themes":["a, b"],"moods":["calm"],"credits":[{"person_name":"Al \"P\"","role_type":"actor","character_name":"V","order_index":3}],"available_from":"2020-01-01T00:00:00Z","available_until":"2030-01-01T00:00:00.000001Z","hidden":true}
{"content_id":"2","content_type":"film","title":"Plain (1999)","genres":[],"themes":[],"moods":[],"credits":[],"hidden":false}
"#;
const EVENTS: &str = r#"{"event_id":"e,1","user_id":"u \"1\"","content_id":"映画,1","event_type":"watch","completion_rate":0.1,"rating":4.3,"is_rewatch":true,"dismissed":true,"context":{"a":[1,2.5,null],"b":"x\ny"},"recommendation_id":"r,\"1\"","timestamp":"2020-01-01T00:00:00.000001Z"}
{"event_id":"e2","user_id":"u","content_id":"2","event_type":"like","timestamp":"1999-12-31T23:59:59Z"}
{"event_id":"e3","user_id":"u","content_id":"2","event_type":"rate","rating":1.0,"timestamp":"1999-12-31T23:59:58Z"}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_exported_and_imported_is_exported_the_same() {
    for backend in backends() {
        let (first, _database) = place(backend).await;
        put(&first, "in/content.jsonl", CONTENT);
        put(&first, "in/events.jsonl", EVENTS);
        first.sona(&["import", "in"]).expect(0);
        first.sona(&["export", "out"]).expect(0);
        assert_eq!(text(&first, "out/content.jsonl"), CONTENT);
        assert_eq!(text(&first, "out/events.jsonl"), EVENTS);
        for (format, ending, compress) in [("jsonl", "jsonl.gz", "gz"), ("csv", "csv.zst", "zst")] {
            let folder = format!("packed-{format}");
            let told = ["export", &folder, "--format", format, "--compress", compress];
            first.sona(&told).expect(0);
            let (second, _database) = place(backend).await;
            let from = first.path().join(&folder);
            second.sona(&["import", from.to_str().expect("text")]).expect(0);
            second.sona(&told).expect(0);
            for name in ["content", "events"] {
                let name = format!("{folder}/{name}.{ending}");
                let bytes = |folder: &Folder| fs_err::read(folder.path().join(&name));
                assert_eq!(
                    bytes(&first).expect("a file"),
                    bytes(&second).expect("a file"),
                    "{name}"
                );
            }
        }
    }
}

/// Rows of the file that is killed over: several batches.
const ROWS: usize = 160_000;

/// Every so many rows one is broken.
const BROKEN: usize = 97;

fn put_many(folder: &Folder) {
    let mut file = String::from("user,item,rating,timestamp\n");
    for n in 0..ROWS {
        let rating = if n % BROKEN == 0 { "x" } else { "4" };
        let _ = writeln!(file, "{},{},{rating},{}", n % 977, n % 31, 1_000_000_000 + n);
    }
    put(folder, "many.csv", &file);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_it_goes_on_without_loss_or_double() {
    for backend in backends() {
        let (folder, _database) = place(backend).await;
        put_many(&folder);
        let told = ["import", "many.csv", "--create-content", "--json"];
        let mut child = folder.command(SONA, &told).spawn().expect("sona starts");
        let rejects = folder.path().join("many.csv.rejects.csv");
        let begun = Instant::now();
        // More bad rows than the first batch has, of at most 70 bytes each: the first batch is committed.
        let more_than_one_batch = (50_000 / BROKEN + 1) * 70;
        while fs_err::metadata(&rejects).map_or(0, |file| file.len()) < more_than_one_batch as u64 {
            assert!(begun.elapsed() < PATIENCE, "nothing was rejected");
            assert_eq!(
                child.try_wait().expect("asked"),
                None,
                "it ended before it could be killed"
            );
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        // What a batch that was not committed had written there is cut off again.
        let mut file = fs_err::OpenOptions::new().append(true).open(&rejects).expect("open");
        file.write_all(b"many.csv,1,rating,half a li").expect("written");

        let done = folder.sona(&told).expect(2).json();
        assert!(done["resumed_after"].as_u64().expect("a number") >= 50_000, "{done:#}");
        let broken = ROWS.div_ceil(BROKEN);
        let counts = ["read", "events", "duplicates", "rejected"].map(|name| done[name].as_u64());
        let expect = [ROWS, ROWS - broken, 0, broken].map(|count| Some(count as u64));
        assert_eq!(counts, expect, "{done:#}");
        let rejects = text(&folder, "many.csv.rejects.csv");
        let lines: Vec<usize> = rejects
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(1).expect("a line").parse().expect("a number"))
            .collect();
        assert!(lines.into_iter().eq((0..ROWS).step_by(BROKEN).map(|n| n + 2)), "each once");
        folder.sona(&["export", "out", "--events", "--format", "csv"]).expect(0);
        let times: Vec<_> = text(&folder, "out/events.csv")
            .lines()
            .skip(1)
            .map(|line| line.rsplit(',').next().expect("a time").to_owned())
            .collect();
        assert_eq!(times.len(), ROWS - broken);
        assert!(times.is_sorted(), "in the order of the file");
    }
}
