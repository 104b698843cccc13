//! Users who are read before they come back.

use sona_engine::Options;
use sona_testkit::databases::Backend;

use crate::on_both;
use crate::warm::{BEHIND, restart_counted};
use crate::world::{World, small_options, user_id, watch};

fn options() -> Options {
    let mut options = small_options();
    // Nobody looks for what other processes wrote meanwhile.
    options.live.follow_interval_ms = 60_000;
    options
}

/// What a list of `user` asks the database.
async fn asked_for(
    world: &World,
    store: &crate::counting_store::CountingStore,
    user: &str,
) -> Vec<&'static str> {
    store.take();
    let list = world.list(user, 3).await;
    assert!(list.interaction_count > 0, "{user} has a history");
    let mut asked = store.take();
    asked.retain(|name| !BEHIND.contains(name));
    asked
}

async fn whoever_was_here_is_read_ahead(backend: Backend) {
    let mut world = World::with(backend, options()).await;
    world.fill(12, 40).await;
    world.train().await;
    let store = restart_counted(&mut world).await;
    assert_eq!(world.engine.read_ahead().await.expect("read"), 80);
    for user in ["a-user0", "a-user39", "b-user17"] {
        assert_eq!(asked_for(&world, &store, user).await, [""; 0], "{user}");
    }
    assert_eq!(world.engine.read_ahead().await.expect("read"), 80, "nobody is read again");
    assert_eq!(world.engine.stats().resident_users, 80);
}
on_both!(whoever_was_here_is_read_ahead);

async fn the_latest_are_read_and_no_more_than_wanted(backend: Backend) {
    let mut options = options();
    options.live.read_ahead_users = 2;
    let mut world = World::with(backend, options).await;
    world.fill(4, 3).await;
    world.train().await;
    // These two are newer than the model and all else, but not by their first events.
    world.track(vec![watch("a-user0", "a0"), watch("b-user1", "b1")]).await;
    world.train().await;
    let store = restart_counted(&mut world).await;
    assert_eq!(world.engine.read_ahead().await.expect("read"), 2);
    for user in ["a-user0", "b-user1"] {
        assert_eq!(asked_for(&world, &store, user).await, [""; 0], "{user}");
    }
    assert!(asked_for(&world, &store, "a-user1").await.contains(&"histories"));
}
on_both!(the_latest_are_read_and_no_more_than_wanted);

/// The one megabyte that is least has no room for all.
async fn it_ends_when_there_is_no_more_room(backend: Backend) {
    let mut options = options();
    options.live.max_megabytes = 1;
    let mut world = World::with(backend, options).await;
    world.fill(2, 1_500).await;
    world.train().await;
    let _store = restart_counted(&mut world).await;
    let read = world.engine.read_ahead().await.expect("read");
    assert!((100..3_000).contains(&read), "{read}");
    assert!(world.engine.stats().resident_users > 100);
}
on_both!(it_ends_when_there_is_no_more_room);

async fn nobody_is_read_where_that_is_not_wanted(backend: Backend) {
    let mut options = options();
    options.live.read_ahead_users = 0;
    let mut world = World::with(backend, options).await;
    world.fill(4, 3).await;
    world.train().await;
    let store = restart_counted(&mut world).await;
    assert_eq!(world.engine.read_ahead().await.expect("read"), 0);
    assert_eq!(store.take(), [""; 0]);
}
on_both!(nobody_is_read_where_that_is_not_wanted);

/// Users are erased before and while others are read: none of them comes back, and nobody else is lost.
async fn who_is_erased_meanwhile_does_not_come_back(backend: Backend) {
    let mut world = World::with(backend, options()).await;
    world.fill(6, 60).await;
    world.restart().await;
    world.engine.erase_user(&user_id("b-user59")).await.expect("erased");
    let erase = async {
        for n in (0..60).step_by(3) {
            world.engine.erase_user(&user_id(&format!("a-user{n}"))).await.expect("erased");
            tokio::task::yield_now().await;
        }
    };
    let (read, ()) = tokio::join!(world.engine.read_ahead(), erase);
    read.expect("read");
    for n in 0..60 {
        let a = world.list(&format!("a-user{n}"), 3).await.interaction_count;
        let b = world.list(&format!("b-user{n}"), 3).await.interaction_count;
        assert_eq!(a, if n % 3 == 0 { 0 } else { 5 }, "a-user{n}");
        assert_eq!(b, if n == 59 { 0 } else { 5 }, "b-user{n}");
    }
}
on_both!(who_is_erased_meanwhile_does_not_come_back);

/// What was under way when the engine is closed ends without a word.
async fn closing_ends_it(backend: Backend) {
    let mut world = World::with(backend, options()).await;
    world.fill(3, 500).await;
    world.restart().await;
    let engine = world.engine.clone();
    let reading = tokio::spawn(async move { engine.read_ahead().await });
    tokio::task::yield_now().await;
    world.engine.close().await;
    reading.await.expect("no panic").expect("no error");
}
on_both!(closing_ends_it);
