//! Which versions stay when old ones are dropped.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::{named, save, versions, with_users};
use crate::{Db, at, user};

on_both!(the_newest_the_pinned_and_the_served_stay, other_names_and_users_keep_theirs);

/// A history of one name: how many versions, which are pinned, which is served, how many are to be kept.
type Plan = (i64, Vec<bool>, i64, usize);

fn plan() -> impl Strategy<Value = Plan> {
    (1..8_i64).prop_flat_map(|count| (Just(count), vec(any::<bool>(), 8), 1..=count, 0..9_usize))
}

async fn the_newest_the_pinned_and_the_served_stay(db: Db) {
    with_users(&db, &["a"]).await;
    let plans: Vec<Plan> = {
        let mut runner = TestRunner::new(Config::default());
        (0..24).map(|_| plan().new_tree(&mut runner).expect("a plan").current()).collect()
    };
    for (round, (count, pinned, served, keep)) in plans.into_iter().enumerate() {
        let name = format!("n{round}");
        for _ in 0..count {
            save(&db, "a", &name).await;
        }
        let (who, id) = (user("a"), named(&name));
        let is_pinned = |version: i64| pinned[version as usize - 1];
        for version in (1..=count).filter(|version| is_pinned(*version)) {
            assert!(db.store.pin_adapter(&who, &id, version, true, at(2)).await.expect("pinned"));
        }
        let moved = db.store.serve_adapter(&who, &id, Some(count), served, at(2)).await;
        assert!(moved.expect("answered"));
        let stays = |version: &i64| {
            *version > count - keep as i64 || is_pinned(*version) || *version == served
        };
        let expect: Vec<i64> = (1..=count).rev().filter(stays).collect();
        let dropped = db.store.retain_adapters(&who, &id, keep).await.expect("dropped");
        let plan = format!("{count} versions, {pinned:?} pinned, {served} served, {keep} kept");
        assert_eq!(versions(&db, "a", &name).await, expect, "{plan}");
        assert_eq!(dropped, count as u64 - expect.len() as u64, "{plan}");
        assert_eq!(db.store.retain_adapters(&who, &id, keep).await.expect("answered"), 0, "{plan}");
        assert_eq!(save(&db, "a", &name).await, count + 1, "{plan}");
    }
}

async fn other_names_and_users_keep_theirs(db: Db) {
    with_users(&db, &["a", "b"]).await;
    for _ in 0..3 {
        for (who, name) in [("a", "default"), ("a", "other"), ("b", "default")] {
            save(&db, who, name).await;
        }
    }
    let dropped = db.store.retain_adapters(&user("a"), &named("default"), 1).await;
    assert_eq!(dropped.expect("dropped"), 2);
    assert_eq!(versions(&db, "a", "default").await, [3]);
    assert_eq!(versions(&db, "a", "other").await, [3, 2, 1]);
    assert_eq!(versions(&db, "b", "default").await, [3, 2, 1]);
    let none = db.store.retain_adapters(&user("nobody"), &named("default"), 1).await;
    assert_eq!(none.expect("answered"), 0);
}
