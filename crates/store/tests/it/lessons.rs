//! Lessons.

use std::sync::Arc;

use sona_store::Learned;

use crate::Db;

on_both!(
    lessons_are_read_in_the_order_they_came,
    appenders_at_once_leave_no_gap,
    what_was_learned_takes_its_lessons_with_it,
    only_newer_learning_replaces_what_is_stored,
    older_rankers_go_with_all_they_learned,
);

fn lessons(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

async fn read(db: &Db, version: i64, after: i64) -> Vec<(i64, String)> {
    let read = db.store.lessons_after(version, after, 1000).await.expect("read");
    read.into_iter().map(|(at, lesson)| (at, String::from_utf8(lesson).expect("a name"))).collect()
}

fn learned(through: i64, state: &str) -> Learned {
    Learned { through, state: state.as_bytes().to_vec() }
}

async fn lessons_are_read_in_the_order_they_came(db: Db) {
    db.store.append_lessons(1, &lessons(&["a", "b"])).await.expect("appended");
    db.store.append_lessons(2, &lessons(&["x"])).await.expect("appended");
    db.store.append_lessons(1, &lessons(&["c"])).await.expect("appended");
    db.store.append_lessons(1, &[]).await.expect("nothing");
    let named = |pairs: &[(i64, &str)]| -> Vec<_> {
        pairs.iter().map(|(at, name)| (*at, (*name).to_owned())).collect()
    };
    assert_eq!(read(&db, 1, 0).await, named(&[(1, "a"), (2, "b"), (3, "c")]));
    assert_eq!(read(&db, 1, 2).await, named(&[(3, "c")]));
    assert_eq!(read(&db, 2, 0).await, named(&[(1, "x")]));
    assert_eq!(db.store.lessons_after(1, 0, 1).await.expect("read").len(), 1);
    assert_eq!(read(&db, 3, 0).await, []);
}

async fn appenders_at_once_leave_no_gap(db: Db) {
    let db = Arc::new(db);
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let db = db.clone();
            tokio::spawn(async move {
                for n in 0..5 {
                    let two = lessons(&[&format!("{task}.{n}a"), &format!("{task}.{n}b")]);
                    db.store.append_lessons(1, &two).await.expect("appended");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    let all = read(&db, 1, 0).await;
    assert!(all.iter().map(|(at, _)| *at).eq(1..=80), "{all:?}");
    for pair in all.chunks(2) {
        assert_eq!(pair[0].1.trim_end_matches('a'), pair[1].1.trim_end_matches('b'));
    }
}

async fn what_was_learned_takes_its_lessons_with_it(db: Db) {
    assert_eq!(db.store.learned(1).await.expect("read"), None);
    db.store.append_lessons(1, &lessons(&["a", "b", "c"])).await.expect("appended");
    assert_eq!(db.store.learned(1).await.expect("read"), None);
    assert!(db.store.put_learned(1, &learned(2, "ab")).await.expect("put"));
    assert_eq!(db.store.learned(1).await.expect("read"), Some(learned(2, "ab")));
    assert_eq!(read(&db, 1, 0).await, [(3, "c".to_owned())]);
    db.store.append_lessons(1, &lessons(&["d"])).await.expect("appended");
    assert_eq!(read(&db, 1, 3).await, [(4, "d".to_owned())]);
}

async fn only_newer_learning_replaces_what_is_stored(db: Db) {
    assert!(!db.store.put_learned(1, &learned(1, "of nothing")).await.expect("refused"));
    db.store.append_lessons(1, &lessons(&["a", "b"])).await.expect("appended");
    assert!(db.store.put_learned(1, &learned(2, "ab")).await.expect("put"));
    assert!(!db.store.put_learned(1, &learned(2, "other")).await.expect("refused"));
    assert!(!db.store.put_learned(1, &learned(1, "a")).await.expect("refused"));
    assert!(!db.store.put_learned(1, &learned(3, "abc")).await.expect("refused"));
    assert_eq!(db.store.learned(1).await.expect("read"), Some(learned(2, "ab")));
}

async fn older_rankers_go_with_all_they_learned(db: Db) {
    for version in [1, 2] {
        db.store.append_lessons(version, &lessons(&["a", "b"])).await.expect("appended");
        assert!(db.store.put_learned(version, &learned(1, "a")).await.expect("put"));
    }
    db.store.delete_lessons_before(2).await.expect("deleted");
    assert_eq!((db.store.learned(1).await.expect("read"), read(&db, 1, 0).await), (None, vec![]));
    assert_eq!(db.store.learned(2).await.expect("read"), Some(learned(1, "a")));
    assert_eq!(read(&db, 2, 0).await, [(2, "b".to_owned())]);
}
