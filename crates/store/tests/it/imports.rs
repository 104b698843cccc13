//! Bulk imports: rows and progress together or not at all.

use sona_domain::{Content, ContentId, Cursor};
use sona_store::{ImportBatch, ImportProgress};

use crate::{Db, at, event};

on_both!(
    what_a_batch_brings_is_there_with_its_progress,
    a_batch_that_fails_leaves_nothing,
    stand_ins_replace_nothing,
    imports_and_appends_share_one_log,
    a_large_batch_keeps_every_field,
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
