//! Many at once.

use std::sync::Arc;

use sona_store::{Parent, Saved};

use super::{named, new, save, served, versions, with_users};
use crate::{Db, at, user};

on_both!(
    savers_at_once_get_numbers_without_a_gap,
    of_savers_on_one_parent_one_wins,
    no_update_is_lost_when_losers_try_again,
    removals_and_savers_at_once_leave_nothing,
    deleting_never_leaves_the_pointer_dangling,
    dropping_old_versions_beside_savers_takes_nothing_that_is_kept,
);

async fn savers_at_once_get_numbers_without_a_gap(db: Db) {
    with_users(&db, &["a"]).await;
    let stores = [Arc::clone(&db.store), db.another().await];
    let savers: Vec<_> = (0..100)
        .map(|n| {
            let store = Arc::clone(&stores[n % 2]);
            let new = new("a", "default", &[n as u8]);
            tokio::spawn(async move { store.save_adapter(&new, Parent::Any, at(1)).await })
        })
        .collect();
    let mut numbers = Vec::new();
    for saver in savers {
        match saver.await.expect("finished").expect("saved") {
            Saved::Version(version) => numbers.push(version),
            refused @ (Saved::Conflict(_) | Saved::UnknownUser | Saved::OptedOut) => {
                panic!("{refused:?}")
            }
        }
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=100));
    assert_eq!(served(&db.store, "a", "default").await, Some(100), "the last is served");
}

async fn of_savers_on_one_parent_one_wins(db: Db) {
    with_users(&db, &["a"]).await;
    let other = db.another().await;
    for (round, parent) in (1..).zip([None, Some(1), Some(2)]) {
        let savers: Vec<_> = (0..20)
            .map(|n| {
                let store = Arc::clone(if n % 2 == 0 { &db.store } else { &other });
                let new = new("a", "default", &[n]);
                let parent = Parent::Served(parent);
                tokio::spawn(async move { store.save_adapter(&new, parent, at(1)).await })
            })
            .collect();
        let mut won = Vec::new();
        for saver in savers {
            match saver.await.expect("finished").expect("answered") {
                Saved::Version(version) => won.push(version),
                lost @ (Saved::Conflict(_) | Saved::UnknownUser | Saved::OptedOut) => {
                    assert_eq!(lost, Saved::Conflict(Some(round)));
                }
            }
        }
        assert_eq!(won, [round], "a refused one takes no number");
    }
    for (name, parent, served) in [("default", None, Some(3)), ("new", Some(3), None)] {
        let new = new("a", name, b"w");
        let refused = db.store.save_adapter(&new, Parent::Served(parent), at(1)).await;
        assert_eq!(refused.expect("answered"), Saved::Conflict(served));
    }
    assert_eq!(save(&db, "a", "new").await, 1);
}

/// Everybody adds one to a counter that is kept as the weights.
async fn no_update_is_lost_when_losers_try_again(db: Db) {
    with_users(&db, &["a"]).await;
    let stores = [Arc::clone(&db.store), db.another().await];
    let savers: Vec<_> = (0..40)
        .map(|n| {
            let store = Arc::clone(&stores[n % 2]);
            tokio::spawn(async move {
                loop {
                    let read = store.served_adapter(&user("a"), &named("default")).await;
                    let read = read.expect("read");
                    let count = read.as_ref().map_or(0, |adapter| adapter.weights[0]);
                    let parent = Parent::Served(read.map(|adapter| adapter.about.version));
                    let new = new("a", "default", &[count + 1]);
                    let saved = store.save_adapter(&new, parent, at(1)).await.expect("answered");
                    if matches!(saved, Saved::Version(_)) {
                        break;
                    }
                }
            })
        })
        .collect();
    for saver in savers {
        saver.await.expect("finished");
    }
    let last = db.store.served_adapter(&user("a"), &named("default")).await.expect("read");
    let last = last.expect("there");
    assert_eq!((last.about.version, last.weights), (40, vec![40]));
}

async fn removals_and_savers_at_once_leave_nothing(db: Db) {
    let other = db.another().await;
    for round in 0..15 {
        with_users(&db, &["a"]).await;
        save(&db, "a", "default").await;
        save(&db, "a", "default").await;
        let work = new("a", "default", b"w");
        let (who, name) = (user("a"), named("default"));
        let (saved, moved, removed) = tokio::join!(
            db.store.save_adapter(&work, Parent::Any, at(2)),
            other.serve_adapter(&who, &name, Some(2), 1, at(2)),
            other.remove_user(&who, at(3)),
        );
        saved.expect("answered");
        moved.expect("answered");
        assert!(removed.expect("answered").is_some(), "round {round}");
        assert_eq!(db.store.count_adapters(&who, None).await.expect("counted"), 0);
    }
}

async fn deleting_never_leaves_the_pointer_dangling(db: Db) {
    with_users(&db, &["a"]).await;
    let other = db.another().await;
    let (who, name) = (user("a"), named("default"));
    for _ in 0..20 {
        let (older, newer) = (save(&db, "a", "default").await, save(&db, "a", "default").await);
        let (moved, deleted) = tokio::join!(
            db.store.serve_adapter(&who, &name, Some(newer), older, at(1)),
            other.delete_adapter(&who, &name, older),
        );
        let (moved, deleted) = (moved.expect("answered"), deleted.expect("answered"));
        assert_ne!(moved, deleted, "one of the two comes first and decides");
        let expect = if moved { older } else { newer };
        assert_eq!(served(&db.store, "a", "default").await, Some(expect));
    }
}

/// While a version is saved and another one is served again, old ones are dropped and one is pinned.
async fn dropping_old_versions_beside_savers_takes_nothing_that_is_kept(db: Db) {
    let other = db.another().await;
    for round in 0..15 {
        let who = format!("u{round}");
        with_users(&db, &[&who]).await;
        for _ in 0..6 {
            save(&db, &who, "default").await;
        }
        let (id, name) = (user(&who), named("default"));
        let work = new(&who, "default", b"w");
        let (saved, pinned, moved, dropped, again) = tokio::join!(
            db.store.save_adapter(&work, Parent::Served(Some(6)), at(2)),
            other.pin_adapter(&id, &name, 2, true, at(2)),
            other.serve_adapter(&id, &name, Some(6), 3, at(2)),
            db.store.retain_adapters(&id, &name, 1),
            other.retain_adapters(&id, &name, 1),
        );
        let moved = moved.expect("answered");
        let (newest, now) = if moved { (6, 3) } else { (7, 7) };
        let expect = if moved { Saved::Conflict(Some(3)) } else { Saved::Version(7) };
        assert_eq!(saved.expect("answered"), expect);
        let pinned = pinned.expect("answered");
        let dropped = dropped.expect("answered") + again.expect("answered");
        let left = versions(&db, &who, "default").await;
        let told = format!("pinned {pinned}, moved {moved}, left {left:?}");
        assert_eq!(dropped as i64 + left.len() as i64, newest, "{told}");
        assert_eq!(served(&db.store, &who, "default").await, Some(now), "{told}");
        db.store.retain_adapters(&id, &name, 1).await.expect("dropped");
        let mut kept = vec![newest, now, 2];
        kept.retain(|version| *version != 2 || pinned);
        kept.dedup();
        assert_eq!(versions(&db, &who, "default").await, kept, "{told}");
        assert_eq!(save(&db, &who, "default").await, newest + 1, "no number twice");
    }
}
