//! The ranker: trained on what was chosen, taught by every event, the same in every process, and with reasons that add up.

use std::sync::Arc;

use sona_domain::{EventDraft, JobOutcome, Recommendations, Timestamp, TrainingJob};
use sona_engine::{Options, RANKER_NAME};
use sona_testkit::databases::Backend;

mod judged;
mod order;
mod stopped;

use crate::on_both;
use crate::world::{World, of_genre, small_options, watch_at};

on_both!(everybody_learns_the_same);
on_both!(what_was_learned_outlives_a_restart);

const TITLES: usize = 40;
const USERS: usize = 60;
const MINUTE: i64 = 60;

fn options() -> Options {
    let mut options = small_options();
    options.ranker.least_choices = 50;
    options.ranker.share = 0.5;
    options
}

/// Everybody watches one title after its neighbour, from a place of their own; nobody is done.
async fn fill(world: &World) {
    let genre = |n: usize| if n.is_multiple_of(2) { "even" } else { "odd" };
    let titles: Vec<_> = (0..TITLES).map(|n| of_genre(&format!("t{n}"), genre(n))).collect();
    world.engine.put_content(&titles).await.expect("written");
    let steps = (0..8).flat_map(|step| (0..USERS).map(move |user| step_of(user, step)));
    world.track(steps.collect()).await;
}

fn step_of(user: usize, step: usize) -> EventDraft {
    let start = user * 7 + user / 6;
    let first = Timestamp::parse("2025-12-28T00:00:00Z").expect("a time");
    let at = first.plus_seconds((step * USERS + user) as i64 * MINUTE);
    watch_at(&format!("u{user}"), &format!("t{}", (start + step) % TITLES), at)
}

async fn train_ranker(world: &World) -> TrainingJob {
    let job = world.engine.submit_ranker_training().await.expect("submitted");
    let run = world.engine.run_training("test", Some(&job), Arc::new(|_| {})).await;
    run.expect("trained").expect("ours")
}

fn scores(list: &Recommendations) -> Vec<(String, f32)> {
    list.recommendations.iter().map(|item| (item.content_id.to_string(), item.score)).collect()
}

/// Whether the lists are the same but for the order of a sum.
fn are_alike(one: &Recommendations, other: &Recommendations) -> bool {
    let mut pairs = scores(one).into_iter().zip(scores(other));
    pairs.all(|((_, score), (_, other))| (score - other).abs() < 1e-4)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_is_ranked_first_and_reasons_add_up() {
    let world = World::with(Backend::Sqlite, options()).await;
    fill(&world).await;
    world.train().await;
    let job = train_ranker(&world).await;
    assert!(matches!(job.outcome, Some(JobOutcome::Registered { version: 1 })), "{job:?}");
    let mut found = 0;
    for user in 0..USERS {
        let list = world.list(&format!("u{user}"), 10).await;
        let next = format!("t{}", (user * 7 + user / 6 + 8) % TITLES);
        found += usize::from(scores(&list)[..3].iter().any(|(id, _)| *id == next));
        add_up(&list);
    }
    assert!(found > USERS * 3 / 4, "{found} of {USERS}");
    add_up(&world.list("nobody", 10).await);
}

/// Every score is the sum of its parts, and shares are shares.
fn add_up(list: &Recommendations) {
    assert_eq!(list.recommendations.len(), 10);
    for item in &list.recommendations {
        let sources: f64 = item.sources.iter().map(|part| f64::from(part.contribution)).sum();
        let others: f64 = item.adjustments.iter().map(|part| f64::from(part.contribution)).sum();
        let sum = sources + others;
        assert!((sum - f64::from(item.score)).abs() < 1e-6, "{sum} {item:?}");
        assert!((0.0..=1.0).contains(&item.score));
        assert!(item.sources.iter().all(|part| (0.0..=1.0).contains(&part.score)));
        assert!(!item.explanation.is_empty());
    }
    assert!(list.recommendations.is_sorted_by(|a, b| a.score >= b.score));
    let shares: f32 = list.sources.iter().map(|source| source.weight).sum();
    assert!(shares <= 1.0 + 1e-5 && shares > 0.0, "{shares}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trees_are_explained_as_exactly() {
    let mut options = options();
    options.ranker.min_leaf_rows = 5;
    let world = World::with(Backend::Sqlite, options).await;
    fill(&world).await;
    world.train().await;
    let job = train_ranker(&world).await;
    let store = sona_store::open(&world.database.url).await.expect("a database");
    let points = store.metrics(&job.job_id).await.expect("read");
    let judged = points.iter().any(|point| point.name.contains("_trees_held_out_ndcg_at_10"));
    assert!(judged, "trees were tried: {points:?}");
    add_up(&world.list("u1", 10).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_choices_are_no_ranker() {
    let world = World::with(Backend::Sqlite, small_options()).await;
    fill(&world).await;
    world.train().await;
    let job = train_ranker(&world).await;
    let Some(JobOutcome::Rejected { reason }) = job.outcome else { panic!("{job:?}") };
    assert!(reason.contains("a ranker needs 200"), "{reason}");
    assert!(world.list("u1", 5).await.recommendations[0].adjustments.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_one_moment_are_no_past() {
    let world = World::two_families(Backend::Sqlite, 6, 8).await;
    world.train().await;
    let job = train_ranker(&world).await;
    assert!(matches!(job.outcome, Some(JobOutcome::Rejected { .. })), "{job:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_leaves_lists_to_the_weights() {
    let mut world = World::with(Backend::Sqlite, options()).await;
    fill(&world).await;
    world.train().await;
    train_ranker(&world).await;
    assert!(!world.list("u1", 5).await.recommendations[0].adjustments.is_empty());
    let store = sona_store::open(&world.database.url).await.expect("a database");
    let model = store.current_model(RANKER_NAME).await.expect("read").expect("trained");
    let mut bytes = world.blobs.get(&model.blob_key).await.expect("read").expect("there").to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    world.blobs.put(&model.blob_key, bytes.into()).await.expect("written");
    world.restart().await;
    let list = world.list("u1", 5).await;
    assert_eq!(list.recommendations.len(), 5);
    assert!(list.recommendations[0].adjustments.is_empty());
}

async fn taught(world: &World) -> (Recommendations, Recommendations) {
    fill(world).await;
    world.train().await;
    train_ranker(world).await;
    let before = world.list("watcher", 10).await;
    // Everybody goes on, so that there is something to learn from.
    for step in 8..10 {
        for user in 0..USERS {
            world.track(vec![step_of(user, step)]).await;
        }
    }
    world.engine.follow().await.expect("followed");
    (before, world.list("watcher", 10).await)
}

async fn everybody_learns_the_same(backend: Backend) {
    let world = World::with(backend, options()).await;
    let other = world.another().await;
    let (before, after) = taught(&world).await;
    assert_ne!(scores(&before), scores(&after), "nothing was learned");
    // The first look finds the models; they are loaded beside it, and lessons after them.
    let both =
        async || (crate::world::list(&other, "watcher", 10).await, world.list("watcher", 10).await);
    for _ in 0..500 {
        world.engine.follow().await.expect("followed");
        other.follow().await.expect("followed");
        let (there, here) = both().await;
        if are_alike(&there, &here) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (there, here) = both().await;
    assert!(!there.recommendations[0].adjustments.is_empty(), "the ranker is there");
    assert!(are_alike(&there, &here), "{:?} {:?}", scores(&there), scores(&here));
    assert!(!are_alike(&before, &here), "what was learned is more than that");
    other.close().await;
}

async fn what_was_learned_outlives_a_restart(backend: Backend) {
    let mut world = World::with(backend, options()).await;
    let (before, after) = taught(&world).await;
    assert_ne!(scores(&before), scores(&after), "nothing was learned");
    world.restart().await;
    let again = world.list("watcher", 10).await;
    assert!(are_alike(&again, &after), "{:?} {:?}", scores(&again), scores(&after));
    // What was taught just before the end is written as well.
    let store = sona_store::open(&world.database.url).await.expect("a database");
    let lessons = async || store.lessons_after(1, 0, 1000).await.expect("read").len();
    let before = lessons().await;
    for user in 0..USERS {
        world.track(vec![step_of(user, 10)]).await;
    }
    world.restart().await;
    assert_eq!(lessons().await, before + USERS);
}
