//! Bulk imports: rows and progress together or not at all.

use sona_domain::{Content, ContentId, Cursor, Event, RecommendationId};
use sona_store::{ImportBatch, ImportProgress};

use crate::{Db, at, event, user};

on_both!(
    what_a_batch_brings_is_there_with_its_progress,
    a_batch_that_fails_leaves_nothing,
    stand_ins_replace_nothing,
    imports_and_appends_share_one_log,
    a_large_batch_keeps_every_field,
    ids_that_are_in_the_log_are_found_wherever_they_lie,
    who_is_removed_between_batches_can_come_back,
    a_window_of_time_is_found_in_a_long_log,
);

fn entry(id: &str, title: &str) -> Content {
    Content::new(ContentId::new(id).expect("an id"), title)
}

/// A batch of nothing, to be filled.
fn batch(import_id: &str) -> ImportBatch<'_> {
    let progress = ImportProgress::default();
    ImportBatch { import_id, content: &[], stand_ins: &[], events: &[], progress }
}

async fn what_a_batch_brings_is_there_with_its_progress(db: Db) {
    assert_eq!(db.store.import_progress("i").await.expect("read"), None);
    let content = [entry("m1", "old"), entry("m1", "new"), entry("m2", "two")];
    let events = [event("a", "u", 1), event("b", "v", 2), event("a", "u", 1)];
    let progress =
        ImportProgress { row: 6, read: 6, rejected: 1, rejects_bytes: 99, ..Default::default() };
    let first = ImportBatch { content: &content, events: &events, progress, ..batch("i") };
    let noted = db.store.write_import(&first, at(10)).await.expect("written");
    assert_eq!(noted, ImportProgress { events: 2, duplicates: 1, content: 2, ..progress });
    assert_eq!(db.another().await.import_progress("i").await.expect("read"), Some(noted));

    let events = [event("b", "v", 2), event("c", "v", 3)];
    let done = ImportProgress { file: 1, row: 2, read: 8, finished: true, ..noted };
    let second = ImportBatch { events: &events, progress: done, ..batch("i") };
    let noted = db.store.write_import(&second, at(11)).await.expect("written");
    assert_eq!(noted, ImportProgress { events: 3, duplicates: 2, ..done });
    assert_eq!(db.store.import_progress("i").await.expect("read"), Some(noted));
    assert_eq!(db.store.import_progress("j").await.expect("read"), None);

    let log = db.store.after(Cursor(0), 10).await.expect("read");
    assert_eq!(log.iter().map(|e| e.event.event_id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(log.iter().map(|e| e.cursor.0).collect::<Vec<_>>(), [1, 2, 3]);
    let found = db.store.content(&content[0].content_id).await.expect("read").expect("there");
    assert_eq!(found.title, "new");
}

async fn a_batch_that_fails_leaves_nothing(db: Db) {
    let mut wrong = event("a", "u", 1);
    wrong.rating = Some(9.0);
    let content = [entry("m1", "one")];
    let events = [event("b", "u", 1), wrong];
    let refused = ImportBatch { content: &content, events: &events, ..batch("i") };
    db.store.write_import(&refused, at(1)).await.expect_err("a rating of 9");
    let no_name = ImportBatch { content: &content, ..batch("") };
    db.store.write_import(&no_name, at(1)).await.expect_err("an import without a name");
    assert_eq!(db.store.head().await.expect("read"), Cursor(0));
    assert_eq!(db.store.import_progress("i").await.expect("read"), None);
    assert_eq!(db.store.content(&content[0].content_id).await.expect("read"), None);
}

async fn stand_ins_replace_nothing(db: Db) {
    let there = entry("m1", "one");
    let gone = entry("m2", "two");
    db.store.put_content(&[there.clone(), gone.clone()], at(1)).await.expect("written");
    db.store.delete_content(&gone.content_id, at(2)).await.expect("deleted");
    let stand_ins = [entry("m1", "m1"), entry("m2", "m2"), entry("m3", "m3"), entry("m3", "again")];
    let import = ImportBatch { stand_ins: &stand_ins, ..batch("i") };
    let noted = db.store.write_import(&import, at(3)).await.expect("written");
    assert_eq!((noted.created, noted.content), (2, 0));
    for (entry, title) in stand_ins.iter().zip(["one", "m2", "m3"]) {
        let found = db.store.content(&entry.content_id).await.expect("read").expect("there");
        assert_eq!(found.title, title);
    }
}

async fn a_large_batch_keeps_every_field(db: Db) {
    let context =
        serde_json::json!({"text": "tab\t line\n \\N \\. \r 映画", "nul": "\u{0}", "n": 0.1});
    let varied = |n: i64| {
        let mut event = event(&format!("\\e{n}"), &format!("u\\N{}", n % 7), n);
        event.rating = (n % 3 == 0).then_some(4.3);
        event.completion_rate = (n % 5 == 0).then_some(f32::MIN_POSITIVE);
        event.is_rewatch = n % 2 == 0;
        event.dismissed = n % 11 == 0;
        event.recommendation_id =
            RecommendationId::new(format!("\\N{n}")).ok().filter(|_| n % 6 == 0);
        event.context = (n % 4 == 0).then(|| context.as_object().expect("an object").clone());
        event
    };
    let events: Vec<_> = (0..1500).map(varied).collect();
    let import = ImportBatch { events: &events, ..batch("i") };
    db.store.write_import(&import, at(1)).await.expect("written");
    let log = db.store.after(Cursor(0), 2000).await.expect("read");
    assert!(log.into_iter().map(|logged| logged.event).eq(events));
}

async fn imports_and_appends_share_one_log(db: Db) {
    let other = db.another().await;
    let imports = async {
        for n in 0..20 {
            let id = |k| format!("i-{n}-{k}");
            let events: Vec<_> = (0..50).map(|k| event(&id(k), "u", k)).collect();
            let import = ImportBatch { events: &events, ..batch("i") };
            db.store.write_import(&import, at(1)).await.expect("written");
        }
    };
    let appends = async {
        for n in 0..50 {
            other.append(&[event(&format!("a-{n}"), "v", n)], at(1)).await.expect("appended");
        }
    };
    tokio::join!(imports, appends);
    let log = db.store.after(Cursor(0), 2000).await.expect("read");
    assert!(log.iter().map(|logged| logged.cursor.0).eq(1..=1050), "no gaps");
}

async fn ids_that_are_in_the_log_are_found_wherever_they_lie(db: Db) {
    let there = ["f-3", "f-7", "zz"].map(|id| event(id, "u", 1));
    db.store.append(&there, at(1)).await.expect("appended");
    let check = async |ids: &[&str], events, duplicates| {
        let before = ImportProgress::default();
        let events_of_file: Vec<_> = ids.iter().map(|id| event(id, "v", 2)).collect();
        let import = ImportBatch { events: &events_of_file, progress: before, ..batch("i") };
        let noted = db.store.write_import(&import, at(2)).await.expect("written");
        assert_eq!((noted.events, noted.duplicates), (events, duplicates), "{ids:?}");
    };
    check(&["f-1", "f-2"], 2, 0).await;
    check(&["f-3", "f-4", "f-7"], 1, 2).await;
    check(&["f-5", "f-5", "f-4"], 1, 2).await;
    check(&["zz"], 0, 1).await;
    check(&["zzz", "a", "zz", "f-6"], 3, 1).await;
    let log = db.store.after(Cursor(0), 100).await.expect("read");
    let ids: Vec<_> = log.iter().map(|logged| logged.event.event_id.as_str()).collect();
    assert_eq!(ids, ["f-3", "f-7", "zz", "f-1", "f-2", "f-4", "f-5", "zzz", "a", "f-6"]);
    assert!(log.iter().map(|logged| logged.cursor.0).eq(1..=10), "no gaps");
}

async fn who_is_removed_between_batches_can_come_back(db: Db) {
    let other = db.another().await;
    let import = async |id, user_id, seconds| {
        let events = [event(id, user_id, seconds), event(&format!("{id}b"), "stays", seconds)];
        let import = ImportBatch { events: &events, ..batch("i") };
        db.store.write_import(&import, at(seconds)).await.expect("written");
    };
    import("1", "u", 1).await;
    other.remove_user(&user("u"), at(2)).await.expect("removed").expect("was there");
    import("2", "u", 3).await;
    assert_eq!(db.store.user_created_at(&user("u")).await.expect("read"), Some(at(3)));
    let histories = db.store.histories(&[user("u"), user("stays")]).await.expect("read");
    let lengths: Vec<_> = histories.iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, 2]);
    assert_eq!(db.store.count_users().await.expect("read"), 2);
}

async fn a_window_of_time_is_found_in_a_long_log(db: Db) {
    // Longer than a few blocks, in parts, with one late event far from its neighbours in time.
    let time = |n: i64| if n == 100 { 50_000 } else { n };
    let events: Vec<_> = (1..=10_000).map(|n| event(&format!("e{n:05}"), "u", time(n))).collect();
    for (n, part) in events.chunks(3_000).enumerate() {
        if n % 2 == 0 {
            let import = ImportBatch { events: part, ..batch("i") };
            db.store.write_import(&import, at(1)).await.expect("written");
        } else {
            db.store.append(part, at(1)).await.expect("appended");
        }
    }
    for since in [0, 1, 100, 101, 4_096, 8_191, 8_192, 9_999, 10_000, 10_001, 50_000, 50_001] {
        let expect: Vec<i64> = (1..=10_000).filter(|n| time(*n) >= since).collect();
        let mut found = Vec::new();
        let mut cursor = Cursor(0);
        loop {
            let page = db.store.since(at(since), cursor, 4_000).await.expect("read");
            let Some(last) = page.last() else { break };
            cursor = last.cursor;
            found.extend(page.iter().map(|logged| logged.cursor.0));
        }
        assert_eq!(found, expect, "since {since}");
    }
}

/// Names of the events of users in the order asked.
async fn names(store: &dyn sona_store::Store, users: &[&str]) -> Vec<Vec<String>> {
    let users: Vec<_> = users.iter().map(|id| user(id)).collect();
    let histories = store.histories(&users).await.expect("read");
    let name = |logged: sona_domain::LoggedEvent| logged.event.event_id.as_str().to_owned();
    histories.into_iter().map(|history| history.into_iter().map(name).collect()).collect()
}

/// An index left out until the end of an import.
mod index {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::sync::Arc;
    use std::time::Duration;

    use sona_store::{Store, open, open_for_import};
    use sqlx::{Connection, SqliteConnection};

    use super::*;
    use crate::databases::{Backend, TestDatabase};

    async fn is_there(url: &str) -> bool {
        let mut connection = SqliteConnection::connect(url).await.expect("connected");
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'viewing_events_by_user')",
        )
        .fetch_one(&mut connection)
        .await
        .expect("read")
    }

    fn events(name: &str) -> Vec<Event> {
        (0..50).map(|n| event(&format!("{name}-{n:02}"), &format!("u{}", n % 5), n)).collect()
    }

    async fn write(store: &Arc<dyn Store>, name: &str, finished: bool) {
        let events = events(name);
        let progress = ImportProgress { finished, ..ImportProgress::default() };
        let import = ImportBatch { events: &events, progress, ..batch("i") };
        store.write_import(&import, at(1)).await.expect("written");
    }

    async fn check_history(store: &Arc<dyn Store>, parts: &[&str]) {
        let expect: Vec<_> = parts
            .iter()
            .flat_map(|name| (0..10).map(move |n| format!("{name}-{:02}", n * 5 + 3)))
            .collect();
        assert_eq!(names(&**store, &["u3", "nobody"]).await, [expect, vec![]]);
    }

    #[tokio::test]
    async fn is_there_when_the_import_is_finished() {
        let database = TestDatabase::new(Backend::Sqlite).await;
        let store = open_for_import(&database.url).await.expect("opened");
        write(&store, "a", false).await;
        assert!(!is_there(&database.url).await, "an empty log, and nobody else is there");
        check_history(&store, &["a"]).await;
        write(&store, "b", true).await;
        assert!(is_there(&database.url).await);
        check_history(&store, &["a", "b"]).await;
        write(&store, "c", false).await;
        assert!(is_there(&database.url).await, "the log is not empty");
        check_history(&store, &["a", "b", "c"]).await;
    }

    #[tokio::test]
    async fn is_kept_while_others_have_the_database_open() {
        let database = TestDatabase::new(Backend::Sqlite).await;
        let server = open(&database.url).await.expect("opened");
        let store = open_for_import(&database.url).await.expect("opened");
        write(&store, "a", false).await;
        assert!(is_there(&database.url).await);
        check_history(&server, &["a"]).await;
        write(&server, "b", false).await;
        assert!(is_there(&database.url).await);
    }

    #[tokio::test]
    async fn is_built_for_whoever_opens_the_database_for_use() {
        let database = TestDatabase::new(Backend::Sqlite).await;
        let store = open_for_import(&database.url).await.expect("opened");
        write(&store, "a", false).await;
        drop(store);
        let store = open_for_import(&database.url).await.expect("opened");
        write(&store, "b", false).await;
        assert!(!is_there(&database.url).await, "an interrupted import goes on without it");
        let server = open(&database.url).await.expect("opened");
        assert!(is_there(&database.url).await);
        check_history(&server, &["a", "b"]).await;
        write(&store, "c", false).await;
        server.append(&events("d"), at(1)).await.expect("appended");
        check_history(&server, &["a", "b", "c", "d"]).await;
        write(&store, "e", true).await;
        check_history(&server, &["a", "b", "c", "d", "e"]).await;
    }

    /// Names the database of a child process; tells [`child`] that it is one.
    const URL: &str = "SONA_STORE_TEST_IMPORT_URL";

    /// What the next test starts as a process of its own; as a test it does nothing.
    #[tokio::test]
    async fn child() {
        let Ok(url) = std::env::var(URL) else { return };
        let store = open_for_import(&url).await.expect("opened");
        let written = store.write_import(&whole_batch(&many(), false), at(1)).await;
        println!("written");
        let progress = ImportProgress { finished: true, ..written.expect("written") };
        let last = ImportBatch { progress, ..batch("i") };
        store.write_import(&last, at(1)).await.expect("finished");
    }

    /// Events enough for building the index to take a while.
    fn many() -> Vec<Event> {
        let event = |n: i64| event(&format!("{n:06}"), &format!("u{}", n * 7919 % 4999), n);
        (0..60_000).map(event).collect()
    }

    fn whole_batch(events: &[Event], finished: bool) -> ImportBatch<'_> {
        let progress = ImportProgress { finished, ..ImportProgress::default() };
        ImportBatch { events, progress, ..batch("i") }
    }

    #[tokio::test]
    async fn is_there_after_a_kill_at_any_moment() {
        for milliseconds in [0, 10, 30, 60, 100, 200] {
            let database = TestDatabase::new(Backend::Sqlite).await;
            let mut child = Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", "imports::index::child", "--nocapture"])
                .env(URL, &database.url)
                .stdout(Stdio::piped())
                .spawn()
                .expect("it starts");
            let output = BufReader::new(child.stdout.take().expect("piped"));
            let mut lines = output.lines().map_while(Result::ok);
            assert!(lines.any(|line| line == "written"), "the child works");
            std::thread::sleep(Duration::from_millis(milliseconds));
            child.kill().expect("killed");
            child.wait().expect("gone");

            let noted = ImportProgress { events: 60_000, ..ImportProgress::default() };
            let importer = open_for_import(&database.url).await.expect("opened");
            let progress = importer.import_progress("i").await.expect("read").expect("there");
            assert_eq!(progress, ImportProgress { finished: progress.finished, ..noted });
            assert_eq!(progress.finished, is_there(&database.url).await, "both or neither");
            let store = open(&database.url).await.expect("opened");
            assert!(is_there(&database.url).await);
            let expect: Vec<_> = many()
                .iter()
                .filter(|e| e.user_id == user("u17"))
                .map(|e| e.event_id.to_string())
                .collect();
            assert_eq!(names(&*store, &["u17"]).await, [expect]);
            let again = importer.write_import(&whole_batch(&many(), true), at(2)).await;
            assert_eq!(again.expect("written").duplicates, 60_000);
        }
    }
}
