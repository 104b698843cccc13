//! Model versions and the pointer to the current one.

use std::sync::Arc;

use serde_json::json;
use sona_domain::model::NewModelVersion;
use sona_domain::{JobId, ModelVersion};
use sona_store::Error;

use crate::{Db, at};

on_both!(
    everything_is_read_back_as_it_was_written,
    versions_count_up_under_each_name,
    versions_are_unique_when_many_register_at_once,
    numbers_are_not_reused,
    the_pointer_moves_by_compare_and_set,
    of_many_only_one_moves_the_pointer,
    the_current_version_cannot_be_deleted,
    deleting_never_leaves_the_pointer_dangling,
    what_is_no_checksum_is_refused,
);

fn new_version(model_name: &str) -> NewModelVersion {
    NewModelVersion {
        model_name: model_name.to_owned(),
        blob_key: format!("models/{model_name}/file.safetensors"),
        size_bytes: 1,
        sha256: "0123456789abcdef".repeat(4),
        metadata: serde_json::Map::new(),
        job_id: None,
    }
}

async fn register(db: &Db, model_name: &str) -> ModelVersion {
    db.store.register_model(&new_version(model_name), at(1)).await.expect("registered")
}

async fn everything_is_read_back_as_it_was_written(db: Db) {
    let metadata = json!({"ndcg@10": 0.1 + 0.2, "text": "é\u{0}\"", "through": u64::MAX, "options": {"factors": 64, "small": 1e-300}});
    let new = NewModelVersion {
        size_bytes: i64::MAX,
        metadata: metadata.as_object().expect("an object").clone(),
        job_id: Some(JobId("job-1".to_owned())),
        ..new_version("als")
    };
    let registered = db.store.register_model(&new, at(7)).await.expect("registered");
    let expected = ModelVersion {
        model_name: new.model_name,
        version: 1,
        blob_key: new.blob_key,
        size_bytes: new.size_bytes,
        sha256: new.sha256,
        metadata: new.metadata,
        job_id: new.job_id,
        created_at: at(7),
    };
    assert_eq!(registered, expected);
    assert_eq!(db.store.model("als", 1).await.expect("read"), Some(expected));
    assert_eq!(db.store.model("als", 2).await.expect("read"), None);
    assert_eq!(db.store.model("other", 1).await.expect("read"), None);
}

async fn versions_count_up_under_each_name(db: Db) {
    for (name, expected) in [("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 2)] {
        assert_eq!(register(&db, name).await.version, expected, "of {name}");
    }
    let listed = db.store.models("a").await.expect("read");
    assert_eq!(listed.iter().map(|model| model.version).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(db.store.models("c").await.expect("read"), []);
    assert_eq!(
        db.store.current_model("a").await.expect("read"),
        None,
        "the newest is not current by itself"
    );
}

async fn versions_are_unique_when_many_register_at_once(db: Db) {
    let stores = [Arc::clone(&db.store), db.another().await];
    let callers: Vec<_> = (0..50)
        .map(|n| {
            let store = Arc::clone(&stores[n % 2]);
            tokio::spawn(async move { store.register_model(&new_version("als"), at(1)).await })
        })
        .collect();
    let mut versions = Vec::new();
    for caller in callers {
        versions.push(caller.await.expect("finished").expect("registered").version);
    }
    versions.sort_unstable();
    assert!(versions.into_iter().eq(1..=50));
    assert_eq!(db.store.models("als").await.expect("read").len(), 50);
}

async fn numbers_are_not_reused(db: Db) {
    register(&db, "a").await;
    register(&db, "a").await;
    assert!(db.store.delete_model("a", 2).await.expect("deleted"));
    assert!(!db.store.delete_model("a", 2).await.expect("answered"));
    assert!(db.store.delete_model("a", 1).await.expect("deleted"));
    assert_eq!(register(&db, "a").await.version, 3, "also if none is left");
}

async fn the_pointer_moves_by_compare_and_set(db: Db) {
    let set = async |expected, version| {
        db.store.set_current_model("a", expected, version, at(2)).await.expect("answered")
    };
    let current =
        async || db.store.current_model("a").await.expect("read").map(|model| model.version);
    assert!(!set(None, 1).await, "no such version");
    for _ in 0..3 {
        register(&db, "a").await;
    }
    assert!(!set(Some(1), 2).await, "nothing is current yet");
    assert!(set(None, 2).await);
    assert_eq!(current().await, Some(2));
    assert!(!set(None, 3).await, "something is current");
    assert!(!set(Some(1), 3).await, "something else is current");
    assert!(!set(Some(2), 9).await, "no such version");
    assert_eq!(current().await, Some(2), "refusals change nothing");
    assert!(set(Some(2), 3).await);
    assert!(set(Some(3), 1).await, "going back is a move like any other");
    assert!(set(Some(1), 1).await);
    assert_eq!(current().await, Some(1));
    let model = db.store.current_model("a").await.expect("read").expect("there");
    assert_eq!(Some(model), db.store.model("a", 1).await.expect("read"));
}

async fn of_many_only_one_moves_the_pointer(db: Db) {
    let other = db.another().await;
    for _ in 0..20 {
        register(&db, "a").await;
    }
    for expected in [None, Some(()), Some(())] {
        let current = db.store.current_model("a").await.expect("read").map(|model| model.version);
        assert_eq!(current.is_some(), expected.is_some());
        let callers: Vec<_> = (1..=20)
            .map(|version| {
                let store = if version % 2 == 0 { &db.store } else { &other };
                let store = Arc::clone(store);
                tokio::spawn(
                    async move { store.set_current_model("a", current, version, at(1)).await },
                )
            })
            .collect();
        let mut moved = Vec::new();
        for (version, caller) in (1..).zip(callers) {
            if caller.await.expect("finished").expect("answered") {
                moved.push(version);
            }
        }
        // Moving to the version that is current already is a move too and leaves the others their chance.
        moved.retain(|version| Some(*version) != current);
        let now = db.store.current_model("a").await.expect("read").map(|model| model.version);
        assert_eq!(moved, [now.expect("one moved")]);
    }
}

async fn the_current_version_cannot_be_deleted(db: Db) {
    register(&db, "a").await;
    register(&db, "a").await;
    register(&db, "b").await;
    assert!(db.store.set_current_model("a", None, 1, at(2)).await.expect("set"));
    assert!(!db.store.delete_model("a", 1).await.expect("answered"));
    assert!(db.store.model("a", 1).await.expect("read").is_some());
    assert!(
        db.store.delete_model("b", 1).await.expect("deleted"),
        "the pointer is of another name"
    );
    assert!(db.store.set_current_model("a", Some(1), 2, at(3)).await.expect("set"));
    assert!(db.store.delete_model("a", 1).await.expect("deleted"));
    assert!(!db.store.delete_model("a", 9).await.expect("answered"));
}

async fn deleting_never_leaves_the_pointer_dangling(db: Db) {
    let other = db.another().await;
    for round in 0..20 {
        let name = format!("m{round}");
        register(&db, &name).await;
        let (set, deleted) = tokio::join!(
            db.store.set_current_model(&name, None, 1, at(1)),
            other.delete_model(&name, 1)
        );
        let (set, deleted) = (set.expect("answered"), deleted.expect("answered"));
        assert_ne!(set, deleted, "one of the two comes first and decides");
        assert_eq!(db.store.current_model(&name).await.expect("read").is_some(), set);
    }
}

async fn what_is_no_checksum_is_refused(db: Db) {
    let short = NewModelVersion { sha256: "abc".to_owned(), ..new_version("a") };
    let upper = NewModelVersion { sha256: "ABCDEF0123456789".repeat(4), ..new_version("a") };
    let negative = NewModelVersion { size_bytes: -1, ..new_version("a") };
    for new in [short, upper, negative] {
        let refused = db.store.register_model(&new, at(1)).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    assert_eq!(register(&db, "a").await.version, 1, "a refused one takes no number");
}
