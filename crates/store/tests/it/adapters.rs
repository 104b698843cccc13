//! Users' adapters.

mod model;
mod races;
mod retention;

use std::sync::Arc;

use sona_domain::{
    Adapter, AdapterName, AdapterOrigin, AdapterStatistics, AdapterVersion, NewAdapter,
};
use sona_store::{AdapterPosition, Error, Parent, Saved, Store};

use crate::{Db, at, event, meddle, user};

on_both!(
    everything_is_read_back_as_it_was_written,
    versions_count_up_under_each_name,
    numbers_are_not_reused,
    what_is_served_is_said_by_the_pointer,
    rolling_back_finds_the_version_before,
    pinned_and_served_versions_are_not_deleted,
    versions_are_listed_newest_first_page_by_page,
    adapters_are_counted,
    all_of_it_goes_with_the_user,
    what_cannot_be_an_adapter_is_refused,
);

fn named(name: &str) -> AdapterName {
    AdapterName::new(name).expect("a name")
}

fn new(who: &str, name: &str, weights: &[u8]) -> NewAdapter {
    NewAdapter {
        user_id: user(who),
        adapter_name: named(name),
        base_version: 1,
        origin: AdapterOrigin::Learned,
        training_iterations: 10,
        weights: weights.to_vec(),
    }
}

async fn with_users(db: &Db, names: &[&str]) {
    let events: Vec<_> = names.iter().map(|name| event(name, name, 1)).collect();
    db.store.append(&events, at(1)).await.expect("appended");
}

/// Saves a version whatever is served, and answers its number.
async fn save(db: &Db, who: &str, name: &str) -> i64 {
    match db.store.save_adapter(&new(who, name, b"w"), Parent::Any, at(1)).await.expect("saved") {
        Saved::Version(version) => version,
        refused @ (Saved::Conflict(_) | Saved::UnknownUser | Saved::OptedOut) => {
            panic!("{refused:?}")
        }
    }
}

async fn served(store: &Arc<dyn Store>, who: &str, name: &str) -> Option<i64> {
    let served = store.served_adapter(&user(who), &named(name)).await.expect("read");
    served.map(|adapter| adapter.about.version)
}

/// The numbers of a name's versions, newest first.
async fn versions(db: &Db, who: &str, name: &str) -> Vec<i64> {
    let listed = db.store.adapters(&user(who), Some(&named(name)), None, 1000).await;
    listed.expect("read").into_iter().map(|adapter| adapter.about.version).collect()
}

async fn everything_is_read_back_as_it_was_written(db: Db) {
    with_users(&db, &["ü"]).await;
    let weights: Vec<u8> = (0..41_000_u32).map(|n| (n * n % 251) as u8).collect();
    let first = NewAdapter { training_iterations: 0, ..new("ü", "experimental", &[0]) };
    let second = NewAdapter {
        base_version: 7,
        origin: AdapterOrigin::Imported,
        ..new("ü", "experimental", &weights)
    };
    for (new, version) in [(&first, 1), (&second, 2)] {
        let saved = db.store.save_adapter(new, Parent::Any, at(5 + version)).await;
        assert_eq!(saved.expect("saved"), Saved::Version(version));
    }
    let expected = Adapter {
        about: AdapterVersion {
            user_id: user("ü"),
            adapter_name: named("experimental"),
            version: 2,
            parent_version: Some(1),
            base_version: 7,
            origin: AdapterOrigin::Imported,
            size_bytes: 41_000,
            training_iterations: 10,
            is_pinned: false,
            is_served: true,
            created_at: at(7),
            updated_at: at(7),
        },
        weights,
    };
    let name = named("experimental");
    assert_eq!(db.store.adapter(&user("ü"), &name, 2).await.expect("read"), Some(expected.clone()));
    assert_eq!(db.store.served_adapter(&user("ü"), &name).await.expect("read"), Some(expected));
    let first = db.store.adapter(&user("ü"), &name, 1).await.expect("read").expect("there");
    assert_eq!((first.about.parent_version, first.about.is_served), (None, false));
    assert_eq!(first.weights, [0]);
    for (who, name, version) in [("ü", "experimental", 3), ("ü", "default", 1), ("u", "default", 1)]
    {
        let read = db.store.adapter(&user(who), &named(name), version).await.expect("read");
        assert_eq!(read, None, "{who} {name} {version}");
    }
    assert_eq!(served(&db.store, "ü", "default").await, None);
}

async fn versions_count_up_under_each_name(db: Db) {
    with_users(&db, &["a", "b"]).await;
    for (who, name, expected) in
        [("a", "default", 1), ("b", "default", 1), ("a", "other", 1), ("a", "default", 2)]
    {
        assert_eq!(save(&db, who, name).await, expected, "{name} of {who}");
    }
    assert_eq!(versions(&db, "a", "default").await, [2, 1]);
    assert_eq!(served(&db.store, "a", "default").await, Some(2));
    assert_eq!(served(&db.store, "a", "other").await, Some(1));
}

async fn numbers_are_not_reused(db: Db) {
    with_users(&db, &["a"]).await;
    for _ in 0..3 {
        save(&db, "a", "default").await;
    }
    assert!(db.store.delete_adapter(&user("a"), &named("default"), 2).await.expect("deleted"));
    assert!(!db.store.delete_adapter(&user("a"), &named("default"), 2).await.expect("answered"));
    assert_eq!(save(&db, "a", "default").await, 4);
    let deleted = db.store.delete_adapters_named(&user("a"), &named("default"), at(3)).await;
    assert_eq!(deleted.expect("deleted"), 3);
    assert_eq!(served(&db.store, "a", "default").await, None);
    assert_eq!(save(&db, "a", "default").await, 5, "also if none is left");
    save(&db, "a", "other").await;
    assert_eq!(db.store.delete_adapters(&user("a"), at(3)).await.expect("deleted"), 2);
    assert_eq!(db.store.delete_adapters(&user("a"), at(3)).await.expect("answered"), 0);
    assert_eq!(save(&db, "a", "default").await, 6);
    assert_eq!(save(&db, "a", "other").await, 2);
}

async fn what_is_served_is_said_by_the_pointer(db: Db) {
    with_users(&db, &["a"]).await;
    let (who, name) = (user("a"), named("default"));
    let serve = async |expected, version| {
        let moved = db.store.serve_adapter(&who, &name, expected, version, at(2)).await;
        moved.expect("answered")
    };
    assert!(!serve(None, 1).await, "no such version");
    for _ in 0..3 {
        save(&db, "a", "default").await;
    }
    assert!(!serve(Some(1), 2).await, "another one is served");
    assert!(!serve(None, 2).await, "one is served");
    assert!(!serve(Some(3), 9).await, "no such version");
    assert_eq!(served(&db.store, "a", "default").await, Some(3), "refusals change nothing");
    assert!(serve(Some(3), 1).await);
    assert_eq!(served(&db.store, "a", "default").await, Some(1));
    let listed = db.store.adapters(&user("a"), None, None, 9).await.expect("read");
    let marked: Vec<_> =
        listed.iter().map(|adapter| (adapter.about.version, adapter.about.is_served)).collect();
    assert_eq!(marked, [(3, false), (2, false), (1, true)]);
    // The next version knows what it was learned from.
    assert_eq!(save(&db, "a", "default").await, 4);
    let fourth = db.store.adapter(&user("a"), &named("default"), 4).await.expect("read");
    assert_eq!(fourth.expect("there").about.parent_version, Some(1));
}

async fn rolling_back_finds_the_version_before(db: Db) {
    with_users(&db, &["a"]).await;
    let (who, name) = (user("a"), named("default"));
    let back = async |from| {
        let rolled = db.store.roll_back_adapter(&who, &name, from, at(2)).await;
        rolled.expect("answered")
    };
    assert_eq!(back(1).await, None, "nothing is served");
    for _ in 0..4 {
        save(&db, "a", "default").await;
    }
    assert!(db.store.delete_adapter(&user("a"), &named("default"), 3).await.expect("deleted"));
    assert_eq!(back(3).await, None, "another one is served");
    assert_eq!(back(4).await, Some(2));
    assert_eq!(served(&db.store, "a", "default").await, Some(2));
    assert_eq!(back(4).await, None, "that was before");
    assert_eq!(back(2).await, Some(1));
    assert_eq!(back(1).await, None, "there is none before it");
    assert_eq!(served(&db.store, "a", "default").await, Some(1));
}

async fn pinned_and_served_versions_are_not_deleted(db: Db) {
    with_users(&db, &["a"]).await;
    for _ in 0..3 {
        save(&db, "a", "default").await;
    }
    let (who, name) = (user("a"), named("default"));
    let delete =
        async |version| db.store.delete_adapter(&who, &name, version).await.expect("answered");
    assert!(db.store.pin_adapter(&who, &name, 1, true, at(8)).await.expect("pinned"));
    assert!(!db.store.pin_adapter(&who, &name, 9, true, at(8)).await.expect("answered"));
    let pinned = db.store.adapter(&who, &name, 1).await.expect("read").expect("there").about;
    assert_eq!((pinned.is_pinned, pinned.created_at, pinned.updated_at), (true, at(1), at(8)));
    assert_eq!((delete(1).await, delete(3).await, delete(2).await), (false, false, true));
    assert!(db.store.pin_adapter(&who, &name, 1, false, at(9)).await.expect("unpinned"));
    assert!(!db.store.pin_adapter(&who, &name, 9, false, at(9)).await.expect("answered"));
    assert!(delete(1).await);
    assert_eq!(versions(&db, "a", "default").await, [3]);
}

async fn versions_are_listed_newest_first_page_by_page(db: Db) {
    with_users(&db, &["a", "b"]).await;
    for (who, name, seconds) in [
        ("a", "default", 1),
        ("a", "other", 1),
        ("a", "default", 3),
        ("b", "default", 9),
        ("a", "other", 2),
        ("a", "default", 3),
    ] {
        db.store
            .save_adapter(&new(who, name, b"w"), Parent::Any, at(seconds))
            .await
            .expect("saved");
    }
    let read = async |name: Option<&AdapterName>, limit: usize| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = db.store.adapters(&user("a"), name, after.as_ref(), limit).await;
            let page = page.expect("read");
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { return found };
            after = Some(AdapterPosition::from(&last.about));
            found.extend(page.into_iter().map(|Adapter { about, weights }| {
                assert_eq!(weights, b"w");
                (about.adapter_name.to_string(), about.version)
            }));
        }
    };
    let pair = |(name, version): (&str, i64)| (name.to_owned(), version);
    let all =
        [("default", 3), ("default", 2), ("other", 2), ("other", 1), ("default", 1)].map(pair);
    for limit in 1..=6 {
        assert_eq!(read(None, limit).await, all, "{limit} at a time");
    }
    assert_eq!(read(Some(&named("other")), 1).await, [("other", 2), ("other", 1)].map(pair));
    assert_eq!(read(Some(&named("none")), 5).await, []);
}

async fn adapters_are_counted(db: Db) {
    let none = db.store.adapter_statistics().await.expect("counted");
    assert_eq!((none, none.mean_bytes()), (AdapterStatistics::default(), 0.0));
    with_users(&db, &["a", "b"]).await;
    for (who, name, size) in [("a", "default", 10), ("a", "other", 20), ("b", "default", 31)] {
        let new = new(who, name, &vec![1; size]);
        db.store.save_adapter(&new, Parent::Any, at(1)).await.expect("saved");
    }
    let all = db.store.adapter_statistics().await.expect("counted");
    let expect = AdapterStatistics { total_adapters: 3, unique_users: 2, total_bytes: 61 };
    assert_eq!(all, expect);
    let count = async |who, name: Option<&str>| {
        let name = name.map(named);
        db.store.count_adapters(&user(who), name.as_ref()).await.expect("counted")
    };
    assert_eq!(count("a", None).await, 2);
    assert_eq!(count("a", Some("other")).await, 1);
    assert_eq!(count("b", Some("other")).await, 0);
    assert_eq!(count("nobody", None).await, 0);
}

async fn all_of_it_goes_with_the_user(db: Db) {
    with_users(&db, &["a", "b", "c"]).await;
    for (who, name) in [("a", "default"), ("a", "default"), ("a", "other"), ("b", "default")] {
        save(&db, who, name).await;
    }
    db.store.pin_adapter(&user("a"), &named("default"), 1, true, at(2)).await.expect("pinned");
    let removed = db.store.remove_user(&user("a"), at(3)).await.expect("removed");
    assert_eq!(removed.expect("they were there").adapters, 3);
    assert_eq!(db.store.count_adapters(&user("a"), None).await.expect("counted"), 0);
    assert_eq!(served(&db.store, "a", "default").await, None);
    let saved = db.store.save_adapter(&new("a", "default", b"w"), Parent::Any, at(4)).await;
    assert_eq!(saved.expect("answered"), Saved::UnknownUser);
    with_users(&db, &["a"]).await;
    assert_eq!(save(&db, "a", "default").await, 1, "nothing is left to count on from");
    assert_eq!(versions(&db, "b", "default").await, [1], "others stay");
    // The database itself sees to it, whoever removes the user.
    save(&db, "c", "default").await;
    for statement in
        ["DELETE FROM viewing_events WHERE user_id = 'c'", "DELETE FROM users WHERE user_id = 'c'"]
    {
        meddle(&db, statement).await;
    }
    assert_eq!(db.store.count_adapters(&user("c"), None).await.expect("counted"), 0);
}

async fn what_cannot_be_an_adapter_is_refused(db: Db) {
    with_users(&db, &["a"]).await;
    let empty = new("a", "default", b"");
    let large = new("a", "default", &vec![0; (4 << 20) + 1]);
    let baseless = NewAdapter { base_version: 0, ..new("a", "default", b"w") };
    let endless = NewAdapter { training_iterations: u64::MAX, ..new("a", "default", b"w") };
    for new in [empty, large, baseless, endless] {
        let refused = db.store.save_adapter(&new, Parent::Any, at(1)).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    let largest = new("a", "default", &vec![0; 4 << 20]);
    let saved = db.store.save_adapter(&largest, Parent::Any, at(1)).await;
    assert_eq!(saved.expect("saved"), Saved::Version(1), "a refused one takes no number");
}
