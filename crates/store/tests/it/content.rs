//! The catalogue.

use std::sync::Arc;

use sona_domain::{Content, ContentId, ContentType, Credit, RoleType};
use sona_store::{ContentChange, Error, Revision, Store};

use crate::{Db, at};

on_both!(
    everything_is_read_back_as_it_was_written,
    an_entry_is_inserted_once,
    put_replaces_and_the_last_of_an_id_wins,
    a_deleted_entry_leaves_a_tombstone,
    a_deleted_entry_can_come_back,
    the_changes_can_be_followed,
    what_no_database_should_hold_is_refused,
    revisions_follow_commits,
    large_imports,
);

fn id(text: &str) -> ContentId {
    ContentId::new(text).expect("an id")
}

fn entry(content_id: &str, title: &str) -> Content {
    Content::new(id(content_id), title)
}

fn full_entry() -> Content {
    let credit = |name: &str, role_type, character: Option<&str>, order_index| Credit {
        person_name: name.to_owned(),
        role_type,
        character_name: character.map(str::to_owned),
        order_index,
    };
    Content {
        content_type: ContentType::new("series").expect("a type"),
        original_title: Some("Сталкер".to_owned()),
        overview: Some("Quotes ' \" \\ and\nlines\t🎬".to_owned()),
        year: Some(1979),
        runtime_minutes: Some(162),
        popularity: Some(0.1 + 0.2),
        genres: vec!["Science Fiction".to_owned(), "Драма".to_owned()],
        themes: vec!["\"quoted\"".to_owned(), "{a,b}".to_owned(), "null".to_owned()],
        moods: vec!["slow".to_owned()],
        credits: vec![
            credit("Andrei Tarkovsky", RoleType::Director, None, 0),
            credit("Alisa Freindlich", RoleType::Actor, Some("Stalker's Wife"), 3),
        ],
        available_from: Some(at(-100)),
        available_until: Some(sona_domain::Timestamp::from_micros(1_700_000_000_000_001)),
        hidden: true,
        ..entry("tt-0079944", "Stalker")
    }
}

async fn everything_is_read_back_as_it_was_written(db: Db) {
    let written = [full_entry(), entry("plain", "x")];
    db.store.put_content(&written, at(1)).await.expect("put");
    for content in &written {
        let read = db.store.content(&content.content_id).await.expect("read").expect("there");
        assert_eq!(&read, content);
        assert_eq!(read.popularity.map(f32::to_bits), content.popularity.map(f32::to_bits));
    }
    assert_eq!(db.store.content(&id("none")).await.expect("read"), None);
}

async fn an_entry_is_inserted_once(db: Db) {
    let first = db.store.insert_content(&entry("a", "first"), at(1)).await.expect("inserted");
    assert_eq!(first, Some(Revision(1)));
    let second = db.store.insert_content(&entry("a", "second"), at(2)).await.expect("answered");
    assert_eq!(second, None);
    let read = db.store.content(&id("a")).await.expect("read").expect("there");
    assert_eq!(read.title, "first");
    let changes = db.store.content_after(Revision(0), 10).await.expect("read");
    assert_eq!(changes.len(), 1, "nothing was written");
    let next = db.store.insert_content(&entry("b", "b"), at(3)).await.expect("inserted");
    assert_eq!(next, Some(Revision(2)), "no revision was used up");
}

async fn put_replaces_and_the_last_of_an_id_wins(db: Db) {
    assert_eq!(db.store.put_content(&[], at(1)).await.expect("nothing to do"), Revision(0));
    let first = [full_entry(), entry("b", "b"), Content { hidden: false, ..full_entry() }];
    assert_eq!(db.store.put_content(&first, at(1)).await.expect("put"), Revision(2));
    let read = db.store.content(&full_entry().content_id).await.expect("read").expect("there");
    assert!(!read.hidden);
    // Every field is replaced, also by nothing.
    let bare = entry("tt-0079944", "bare");
    let put = db.store.put_content(std::slice::from_ref(&bare), at(2)).await.expect("put");
    assert_eq!(put, Revision(3));
    assert_eq!(db.store.content(&bare.content_id).await.expect("read"), Some(bare));
    assert_eq!(db.store.put_content(&[], at(3)).await.expect("nothing to do"), Revision(3));
}

async fn a_deleted_entry_leaves_a_tombstone(db: Db) {
    let content = full_entry();
    db.store.put_content(std::slice::from_ref(&content), at(1)).await.expect("put");
    let deleted = db.store.delete_content(&content.content_id, at(2)).await.expect("deleted");
    assert_eq!(deleted, Some(Revision(2)));
    assert_eq!(db.store.content(&content.content_id).await.expect("read"), None);
    let again = db.store.delete_content(&content.content_id, at(3)).await.expect("answered");
    assert_eq!(again, None);
    assert_eq!(db.store.delete_content(&id("none"), at(3)).await.expect("answered"), None);
    let changes = db.store.content_after(Revision(0), 10).await.expect("read");
    let tombstone =
        ContentChange { revision: Revision(2), content_id: content.content_id, content: None };
    assert_eq!(changes, [tombstone]);
}

async fn a_deleted_entry_can_come_back(db: Db) {
    for (n, title) in ["one", "two"].into_iter().enumerate() {
        let n = n as i64;
        let inserted = db.store.insert_content(&entry("a", title), at(n)).await.expect("inserted");
        assert_eq!(inserted, Some(Revision(2 * n + 1)));
        let read = db.store.content(&id("a")).await.expect("read").expect("there");
        assert_eq!(read.title, title);
        let deleted = db.store.delete_content(&id("a"), at(n)).await.expect("deleted");
        assert_eq!(deleted, Some(Revision(2 * n + 2)));
    }
    db.store.put_content(&[entry("a", "three")], at(9)).await.expect("put over the tombstone");
    let read = db.store.content(&id("a")).await.expect("read").expect("there");
    assert_eq!(read.title, "three");
}

async fn the_changes_can_be_followed(db: Db) {
    let entries = ["a", "b", "c"].map(|name| entry(name, name));
    db.store.put_content(&entries, at(1)).await.expect("put");
    db.store.put_content(&[entry("a", "A")], at(2)).await.expect("put");
    db.store.delete_content(&id("b"), at(3)).await.expect("deleted");
    let changes = async |after, limit| -> Vec<(i64, String, Option<String>)> {
        let changes = db.store.content_after(Revision(after), limit).await.expect("read");
        changes
            .into_iter()
            .map(|c| (c.revision.0, c.content_id.to_string(), c.content.map(|c| c.title)))
            .collect()
    };
    let c = (3, "c".to_owned(), Some("c".to_owned()));
    let a = (4, "a".to_owned(), Some("A".to_owned()));
    let b = (5, "b".to_owned(), None);
    assert_eq!(changes(0, 10).await, [c.clone(), a.clone(), b.clone()]);
    assert_eq!(changes(0, 2).await, [c, a]);
    assert_eq!(changes(4, 10).await, [b]);
    assert_eq!(changes(5, 10).await, []);
}

async fn what_no_database_should_hold_is_refused(db: Db) {
    let bad = [
        entry("a", "a\0b"),
        Content { genres: vec!["\0".to_owned()], ..entry("a", "a") },
        Content { popularity: Some(1.5), ..entry("a", "a") },
        Content { popularity: Some(f32::NAN), ..entry("a", "a") },
    ];
    for content in bad {
        let put = db.store.put_content(&[entry("good", "good"), content.clone()], at(1)).await;
        assert!(matches!(put, Err(Error::Invalid(_))), "{put:?}");
        let inserted = db.store.insert_content(&content, at(1)).await;
        assert!(matches!(inserted, Err(Error::Invalid(_))), "{inserted:?}");
    }
    assert_eq!(db.store.content_after(Revision(0), 10).await.expect("read"), []);
}

async fn revisions_follow_commits(db: Db) {
    let write = async |store: Arc<dyn Store>, name: &str| {
        for n in 0..40 {
            let entries =
                [entry(&format!("{name}{n}"), "x"), entry(&format!("shared{}", n % 5), name)];
            store.put_content(&entries, at(1)).await.expect("put");
        }
    };
    let other = db.another().await;
    let follow = async {
        let mut seen = Revision(0);
        while seen < Revision(160) {
            let changes = db.store.content_after(seen, 1000).await.expect("read");
            assert!(changes.iter().map(|c| c.revision).is_sorted_by(|a, b| a < b));
            // Entries move up when they change again, so there are holes; the head never steps back.
            seen = changes.last().map_or(seen, |change| change.revision);
        }
    };
    tokio::join!(write(Arc::clone(&db.store), "p"), write(other, "q"), follow);
    let changes = db.store.content_after(Revision(0), 1000).await.expect("read");
    assert_eq!(changes.len(), 85);
    assert_eq!(changes.last().map(|change| change.revision), Some(Revision(160)));
}

async fn large_imports(db: Db) {
    let entries: Vec<_> =
        (0..2500).map(|n| Content { content_id: id(&format!("m{n}")), ..full_entry() }).collect();
    let revision = db.store.put_content(&entries, at(1)).await.expect("put");
    assert_eq!(revision, Revision(2500));
    let changes = db.store.content_after(Revision(0), 10_000).await.expect("read");
    let read: Vec<_> = changes.into_iter().filter_map(|change| change.content).collect();
    assert!(read == entries, "in the order given");
}
