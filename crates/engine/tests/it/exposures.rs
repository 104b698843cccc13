//! What was shown: written behind the answers, kept for a while, gone with its user.

use sona_domain::{Exposure, Recommendations};
use sona_engine::ExposureCounts;
use sona_testkit::databases::Backend;

use crate::on_both;
use crate::world::{World, small_options, user_id, watch};

const DAY: i64 = 86_400;

/// What is logged of a list, once it is.
async fn logged(world: &World, list: &Recommendations) -> Option<Exposure> {
    for _ in 0..500 {
        // Asked first: what is written between both is found.
        let waiting = world.engine.stats().exposures.waiting;
        let found = world.engine.exposure(&list.recommendation_id).await.expect("read");
        if found.is_some() || waiting == 0 {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    None
}

async fn a_list_is_logged_as_it_was_shown(backend: Backend) {
    let world = World::two_families(backend, 6, 4).await;
    world.train().await;
    let list = world.list("a-user1", 5).await;
    let exposure = logged(&world, &list).await.expect("written within seconds");
    assert_eq!(exposure.recommendation_id, list.recommendation_id);
    assert_eq!((&exposure.user_id, exposure.shown_at), (&list.user_id, list.generated_at));
    assert_eq!((exposure.model_version, exposure.ranker_version), (Some(1), None));
    let shown = exposure.items.iter().map(|item| (&item.content_id, item.score));
    assert!(shown.eq(list.recommendations.iter().map(|item| (&item.content_id, item.score))));
    assert!(exposure.items.iter().map(|item| item.rank).eq(1..=5));
    world.engine.close().await;
    let counts = world.engine.stats().exposures;
    assert_eq!(counts, ExposureCounts { written: 1, dropped: 0, waiting: 0 });
}
on_both!(a_list_is_logged_as_it_was_shown);

async fn closing_writes_what_waits_and_opening_deletes_what_is_old(backend: Backend) {
    let mut world = World::two_families(backend, 6, 4).await;
    let list = world.list("nobody", 5).await;
    world.restart().await;
    assert!(logged(&world, &list).await.is_some(), "written before the database was closed");
    world.clock.advance(31 * DAY);
    let young = world.list("nobody", 5).await;
    world.restart().await;
    for _ in 0..500 {
        if world.engine.exposure(&list.recommendation_id).await.expect("read").is_none() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(world.engine.exposure(&list.recommendation_id).await.expect("read"), None);
    assert!(logged(&world, &young).await.is_some());
}
on_both!(closing_writes_what_waits_and_opening_deletes_what_is_old);

async fn erasing_takes_what_was_shown_and_what_waits(backend: Backend) {
    let world = World::two_families(backend, 6, 4).await;
    world.track(vec![watch("known", "a0")]).await;
    for user in ["known", "nobody"] {
        let lists = [world.list(user, 5).await, world.list(user, 5).await];
        assert!(logged(&world, &lists[0]).await.is_some());
        let waiting = world.list(user, 5).await;
        let receipt = world.engine.erase_user(&user_id(user)).await.expect("erased");
        assert!(receipt.removed.exposures >= 2, "{user}: {receipt:?}");
        assert!(receipt.kept_digest.is_some());
        for list in lists.iter().chain([&waiting]) {
            assert_eq!(logged(&world, list).await, None, "{user}");
        }
    }
}
on_both!(erasing_takes_what_was_shown_and_what_waits);

#[tokio::test]
async fn at_no_days_nothing_is_logged() {
    let mut options = small_options();
    options.exposures.keep_days = 0;
    let world = World::with(Backend::Sqlite, options).await;
    world.fill(6, 4).await;
    let list = world.list("a-user1", 5).await;
    assert_eq!(world.engine.stats().exposures, ExposureCounts::default());
    world.engine.close().await;
    assert_eq!(world.another().await.exposure(&list.recommendation_id).await.expect("read"), None);
}

/// A database that does not answer fails no request.
#[tokio::test]
async fn without_a_database_lists_are_answered() {
    let world = World::two_families(Backend::Sqlite, 6, 4).await;
    world.list("a-user1", 5).await;
    world.engine.close().await;
    assert_eq!(world.engine.stats().exposures.written, 1);
    for _ in 0..3 {
        assert!(!world.list("a-user1", 2).await.recommendations.is_empty());
    }
    let counts = world.engine.stats().exposures;
    assert_eq!(counts, ExposureCounts { written: 1, dropped: 0, waiting: 3 });
}
