//! Users' adapters: they learn from every event, outlive a restart, and are their user's alone.

mod handled;
mod retrained;

use std::sync::Arc;

use sona_domain::{
    AdapterState, AdapterUse, EventDraft, Factor, JobOutcome, JobState, Recommendations, Timestamp,
};
use sona_engine::{AdapterCommand, BASE_LAYER_NAME, Options};
use sona_testkit::databases::Backend;

use crate::on_both;
use crate::world::{World, of_genre, small_options, user_id, watch_at};

const TITLES: usize = 60;
const USERS: usize = 50;
const MINUTE: i64 = 60;

fn options() -> Options {
    let mut options = small_options();
    options.ranker.least_choices = 50;
    // Two choices of every user: too few to begin with an adapter.
    options.ranker.share = 0.25;
    options.ranker.trees = 0;
    options
}

/// Half of the users go through the titles one after the other, the others jump about within one genre.
fn step_of(user: usize, step: usize) -> EventDraft {
    let start = user * 7 + user / 6;
    let title = if user.is_multiple_of(2) { start + step } else { start + step * step * 4 };
    let first = Timestamp::parse("2025-12-28T00:00:00Z").expect("a time");
    let at = first.plus_seconds((step * USERS + user) as i64 * MINUTE);
    watch_at(&format!("u{user}"), &format!("t{}", title % TITLES), at)
}

/// A world with a ranker and a base layer.
async fn world(backend: Backend, options: Options) -> World {
    let world = World::with(backend, options).await;
    let genre = |n: usize| ["even", "odd", "other", "last"][n % 4];
    let titles: Vec<_> = (0..TITLES).map(|n| of_genre(&format!("t{n}"), genre(n))).collect();
    world.engine.put_content(&titles).await.expect("written");
    let steps = (0..8).flat_map(|step| (0..USERS).map(move |user| step_of(user, step)));
    world.track(steps.collect()).await;
    world.train().await;
    let job = world.engine.submit_ranker_training().await.expect("submitted");
    let run = world.engine.run_training("test", Some(&job), Arc::new(|_| {})).await;
    let job = run.expect("trained").expect("ours");
    assert_eq!(job.state, JobState::Completed, "{job:?}");
    world
}

/// More events of a user, one by one.
async fn go_on(world: &World, user: usize, steps: std::ops::Range<usize>) {
    for step in steps {
        world.track(vec![step_of(user, step)]).await;
    }
    // What everybody learned is taken in now, as it is by whoever opens the database later.
    world.engine.follow().await.expect("followed");
}

fn used(list: &Recommendations) -> AdapterUse {
    list.adapter.expect("users have adapters")
}

fn agree(one: &Recommendations, other: &Recommendations) {
    assert_eq!(one.recommendations.len(), other.recommendations.len());
    for (one, other) in one.recommendations.iter().zip(&other.recommendations) {
        assert!((one.score - other.score).abs() < 1e-4, "{one:?} {other:?}");
    }
}

async fn an_adapter_learns_from_every_event_and_outlives_a_restart(backend: Backend) {
    let mut world = world(backend, options()).await;
    assert_eq!(world.engine.stats().base_layer_version, Some(1));
    let before = world.list("u0", 10).await;
    let fresh = AdapterUse { state: AdapterState::Learning, events: 0, gain: 0.0 };
    assert_eq!(used(&before), fresh);
    go_on(&world, 0, 8..22).await;
    let list = world.list("u0", 10).await;
    assert!(used(&list).events >= 10 && used(&list).state != AdapterState::Learning, "{list:?}");
    let adapted = list.recommendations.iter().map(|item| {
        let parts = item.sources.iter().map(|part| f64::from(part.contribution));
        let others = item.adjustments.iter().map(|part| f64::from(part.contribution));
        assert!(
            (parts.chain(others).sum::<f64>() - f64::from(item.score)).abs() < 1e-6,
            "{item:?}"
        );
        item.adjustments.iter().any(|part| part.factor == Factor::Adapter)
    });
    let served = used(&list).state == AdapterState::Served;
    assert!(adapted.collect::<Vec<_>>().into_iter().all(|adapted| adapted == served));
    assert_eq!(used(&world.list("u2", 10).await), fresh, "nobody else learned");
    world.restart().await;
    let again = world.list("u0", 10).await;
    assert_eq!(used(&again), used(&list));
    agree(&again, &list);
    let stored = world.engine.stats().adapters;
    assert_eq!((stored.learned, stored.refused, stored.waiting), (0, 0, 0), "by this process");
}
on_both!(an_adapter_learns_from_every_event_and_outlives_a_restart);

/// Makes the next base layer.
async fn another_base_layer(world: &World, version: i64) {
    let job = world.engine.submit_base_layer_training().await.expect("submitted");
    let run = world.engine.run_training("test", Some(&job), Arc::new(|_| {})).await;
    let job = run.expect("trained").expect("ours");
    assert_eq!(job.outcome, Some(JobOutcome::Registered { version }), "{job:?}");
    assert_eq!(world.engine.stats().base_layer_version, Some(version));
}

async fn adapters_are_carried_over_to_another_base_layer(backend: Backend) {
    let mut world = world(backend, options()).await;
    go_on(&world, 0, 8..20).await;
    let before = world.list("u0", 10).await;
    another_base_layer(&world, 2).await;
    let after = world.list("u0", 10).await;
    assert_eq!(used(&after), used(&before), "nothing learned or gained is lost");
    assert_eq!(world.engine.stats().adapters.migrated, 1);
    go_on(&world, 0, 20..23).await;
    let learned = used(&world.list("u0", 5).await).events;
    assert!(learned > used(&before).events);
    // A user who was not there meanwhile finds theirs as well, whichever base layer it is stored on.
    world.restart().await;
    let again = world.list("u0", 10).await;
    assert_eq!(used(&again).events, learned, "it is saved as the next version");
    another_base_layer(&world, 3).await;
    world.restart().await;
    assert_eq!(used(&world.list("u0", 10).await), used(&again));
    let stats = world.engine.stats().adapters;
    assert_eq!((stats.migrated, stats.retired), (1, 0));
}
on_both!(adapters_are_carried_over_to_another_base_layer);

async fn where_a_base_layer_is_gone_adapters_begin_anew(backend: Backend) {
    let mut world = world(backend, options()).await;
    go_on(&world, 0, 8..14).await;
    assert!(used(&world.list("u0", 5).await).events > 0);
    another_base_layer(&world, 2).await;
    // Saved before it was carried over.
    world.restart().await;
    let store = sona_store::open(&world.database.url).await.expect("opens");
    let first = store.model(BASE_LAYER_NAME, 1).await.expect("read").expect("it is kept");
    world.blobs.delete(&first.blob_key).await.expect("deleted");
    assert_eq!(used(&world.list("u0", 5).await).events, 0);
    let stats = world.engine.stats().adapters;
    assert_eq!((stats.migrated, stats.retired), (0, 1));
    go_on(&world, 0, 14..17).await;
    assert!(used(&world.list("u0", 5).await).events > 0);
}
on_both!(where_a_base_layer_is_gone_adapters_begin_anew);

async fn users_begin_with_what_the_log_says_of_them(backend: Backend) {
    let mut options = options();
    options.ranker.share = 0.5;
    let world = world(backend, options).await;
    let list = world.list("u0", 5).await;
    let begun = used(&list);
    assert!(begun.events >= 3, "{list:?}");
    assert!(begun.gain <= 0.0, "it has yet to be proven");
    let reset = AdapterCommand::Reset;
    world.engine.handle_adapters(&user_id("u0"), reset).await.expect("reset");
    another_base_layer(&world, 2).await;
    assert_eq!(used(&world.list("u0", 5).await).events, 0, "it was to begin anew");
    assert!(used(&world.list("u2", 5).await).events >= 3, "others keep theirs");
}
on_both!(users_begin_with_what_the_log_says_of_them);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_erased_leaves_no_adapter() {
    let mut world = world(Backend::Sqlite, options()).await;
    go_on(&world, 0, 8..12).await;
    assert!(used(&world.list("u0", 5).await).events > 0);
    world.engine.erase_user(&user_id("u0")).await.expect("erased");
    assert_eq!(used(&world.list("u0", 5).await).events, 0);
    world.restart().await;
    assert_eq!(used(&world.list("u0", 5).await).events, 0, "nothing was written after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_adapters_lists_are_as_with_new_ones() {
    let with = world(Backend::Sqlite, options()).await;
    let mut off = options();
    off.adapters.enabled = false;
    let without = world(Backend::Sqlite, off).await;
    assert_eq!(without.engine.stats().base_layer_version, None);
    for user in ["u0", "u7", "nobody"] {
        let plain = without.list(user, 10).await;
        assert_eq!(plain.adapter, None);
        agree(&with.list(user, 10).await, &plain);
    }
}
