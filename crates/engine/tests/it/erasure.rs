//! Erasing users: what goes, what others notice, what begins anew.

use sona_domain::{Erased, FileTraces};
use sona_testkit::databases::Backend;

use crate::on_both;
use crate::world::{World, event, ids, list, small_options, user_id, watch};

async fn a_receipt_says_what_there_was(backend: Backend) {
    let mut world = World::two_families(backend, 4, 4).await;
    world
        .track(vec![watch("gone", "a0"), watch("gone", "a1"), event("gone", "b1", "dismiss")])
        .await;
    world.engine.write_profiles(&[user_id("gone")]).await.expect("written");
    world.train().await;
    world.track(vec![watch("gone", "a2")]).await;
    let receipt = world.engine.erase_user(&user_id("gone")).await.expect("erased");
    let expect = Erased {
        events: 4,
        profiles: 1,
        attributes: 0,
        embeddings: 0,
        exposures: 0,
        adapters: 0,
        waiting_profiles: 1,
        states: 1,
        counted_titles: 3,
        trending_titles: 3,
    };
    assert_eq!((&receipt.user_id, receipt.removed), (&user_id("gone"), expect));
    assert_eq!(receipt.models, [1]);
    assert_eq!(receipt.kept_digest.as_deref().map(str::len), Some(64));
    let files = if backend == Backend::Sqlite { FileTraces::None } else { FileTraces::Vacuumed };
    assert_eq!(receipt.files, files);

    let again = world.engine.erase_user(&user_id("gone")).await.expect("asked");
    assert_eq!((again.removed, again.kept_digest, again.models), (Erased::default(), None, vec![]));
    for _ in 0..2 {
        assert_eq!(world.engine.profile(&user_id("gone")).await.expect("read"), None);
        assert_eq!(world.list("gone", 3).await.interaction_count, 0);
        world.restart().await;
    }
    // The log goes on behind the gap.
    world.track(vec![watch("other", "a0")]).await;
    assert_eq!(world.list("other", 3).await.interaction_count, 1);
}
on_both!(a_receipt_says_what_there_was);

async fn what_was_sent_before_goes_and_what_is_sent_later_stays(backend: Backend) {
    let world = World::two_families(backend, 6, 4).await;
    let id = user_id("u");
    for round in 0..20 {
        let (before, receipt, after) = tokio::join!(
            biased;
            world.engine.track(vec![watch("u", "a0"), watch("u", "a1")]),
            world.engine.erase_user(&id),
            async {
                // The erasure is in the queue by then.
                tokio::task::yield_now().await;
                world.engine.follow().await.expect("followed");
                world.engine.track(vec![watch("u", "b3")]).await
            },
        );
        before.expect("accepted");
        after.expect("accepted");
        let receipt = receipt.expect("erased");
        assert!(receipt.removed.events >= 2, "round {round}: {receipt:?}");
        world.engine.follow().await.expect("followed");
        let rest = world.list("u", 20).await;
        assert!(rest.interaction_count <= 1, "round {round}: {}", rest.interaction_count);
        assert!(ids(&rest).contains(&"a0".to_owned()) && ids(&rest).contains(&"a1".to_owned()));
        world.engine.erase_user(&id).await.expect("erased");
    }
}
on_both!(what_was_sent_before_goes_and_what_is_sent_later_stays);

async fn a_new_life_counts_from_its_first_event(backend: Backend) {
    let world = World::two_families(backend, 4, 2).await;
    world.track(vec![watch("u", "a0")]).await;
    world.engine.erase_user(&user_id("u")).await.expect("erased");
    world.track(vec![watch("u", "b1")]).await;
    // The removal is old news by now and must not hit what came after it.
    world.engine.follow().await.expect("followed");
    let receipt = world.engine.erase_user(&user_id("u")).await.expect("erased");
    assert_eq!((receipt.removed.events, receipt.removed.trending_titles), (1, 1));
}
on_both!(a_new_life_counts_from_its_first_event);

/// Lists rest on counts that are those of a world in which the user never was, before and after a training.
async fn others_lists_are_as_if_the_user_had_never_been(backend: Backend) {
    let mut options = small_options();
    // What was trained with the user stays until the next training.
    options.fusion.collaborative = 0.0;
    options.fusion.item_item = 0.0;
    let with = World::with(backend, options.clone()).await;
    let without = World::with(Backend::Sqlite, options).await;
    for world in [&with, &without] {
        world.fill(6, 5).await;
    }
    let lists = async |world: &World| {
        let mut all = Vec::new();
        for user in ["a-user0", "b-user1", "nobody"] {
            // Titles of one family are alike: rounding decides their order.
            let mut list = list(&world.engine, user, 12).await.recommendations;
            list.sort_by(|a, b| a.content_id.cmp(&b.content_id));
            all.extend(list.into_iter().map(|item| (item.content_id, item.score)));
        }
        all
    };
    with.track(["a0", "b0", "a1", "b1"].map(|title| watch("u", title)).into()).await;
    for world in [&with, &without] {
        world.train().await;
    }
    with.track(vec![watch("u", "b5"), event("u", "a0", "dislike"), watch("u", "a4")]).await;
    assert_ne!(lists(&with).await, lists(&without).await, "the user makes a difference");
    with.engine.erase_user(&user_id("u")).await.expect("erased");
    let (ours, theirs) = (lists(&with).await, lists(&without).await);
    assert_eq!(ours.len(), theirs.len());
    for (a, b) in ours.iter().zip(&theirs) {
        assert_eq!(a.0, b.0);
        assert!((a.1 - b.1).abs() < 1e-4, "{a:?} {b:?}");
    }
}
on_both!(others_lists_are_as_if_the_user_had_never_been);
