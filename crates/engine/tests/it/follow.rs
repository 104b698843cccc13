//! Several processes on one database.

use std::time::Duration;

use sona_engine::{Engine, WriteContent};
use sona_testkit::databases::Backend;

use crate::on_both;
use crate::world::{World, content_id, ids, list, title, user_id, watch};

async fn what_one_process_writes_the_other_shows(backend: Backend) {
    let world = World::two_families(backend, 5, 6).await;
    let other = world.another().await;
    // The other one holds the user's state in memory before the event comes.
    assert_eq!(list(&other, "u", 5).await.interaction_count, 0);

    world.track(vec![watch("u", "a0")]).await;
    eventually(async || list(&other, "u", 5).await.interaction_count == 1).await;
    assert!(!ids(&list(&other, "u", 10).await).contains(&"a0".to_owned()));

    let mut hidden = title("a1");
    hidden.hidden = true;
    world.engine.write_content(&hidden, WriteContent::Update).await.expect("known");
    eventually(async || !ids(&list(&other, "u", 10).await).contains(&"a1".to_owned())).await;

    world.train().await;
    eventually(async || other.stats().model_version == Some(1)).await;

    world.engine.erase_user(&user_id("u")).await.expect("erased");
    eventually(async || list(&other, "u", 5).await.interaction_count == 0).await;
}
on_both!(what_one_process_writes_the_other_shows);

async fn two_writers_agree(backend: Backend) {
    let world = World::two_families(backend, 6, 4).await;
    let other = world.another().await;
    let write = |engine: std::sync::Arc<Engine>, name: &'static str| async move {
        for n in 0..60 {
            let user = format!("shared{}", n % 5);
            let title = format!("{name}{}", n % 6);
            engine.track(vec![watch(&user, &title)]).await.expect("tracked");
        }
    };
    tokio::join!(write(world.engine.clone(), "a"), write(other.clone(), "b"));
    world.engine.follow().await.expect("followed");
    other.follow().await.expect("followed");
    for user in (0..5).map(|n| format!("shared{n}")) {
        let one = list(&world.engine, &user, 12).await;
        let two = list(&other, &user, 12).await;
        assert_eq!(one.interaction_count, 24);
        assert_eq!(ids(&one), ids(&two));
        for (a, b) in one.recommendations.iter().zip(&two.recommendations) {
            assert!((a.score - b.score).abs() < 1e-4, "{a:?}\n{b:?}");
        }
    }
}
on_both!(two_writers_agree);

#[tokio::test]
async fn deleted_content_is_gone_and_may_come_back() {
    let mut world = World::two_families(Backend::Sqlite, 4, 4).await;
    assert!(world.engine.delete_content(&content_id("a0")).await.expect("deleted"));
    assert!(!world.engine.delete_content(&content_id("a0")).await.expect("asked"));
    assert!(!world.ids("nobody", 20).await.contains(&"a0".to_owned()));
    assert!(world.engine.similar(&content_id("a0"), 5).await.is_err());
    world.restart().await;
    assert!(!world.ids("nobody", 20).await.contains(&"a0".to_owned()));
    world.engine.write_content(&title("a0"), WriteContent::Create).await.expect("new again");
    assert!(world.ids("nobody", 20).await.contains(&"a0".to_owned()));
}

/// Waits, within reason, for something another process has to notice.
async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it did not happen");
}
