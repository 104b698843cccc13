//! A new ranker and the one that serves are judged on choices that neither was fitted on.

use std::ops::Range;

use serde_json::{Map, Value, json};
use sona_domain::model::NewModelVersion;
use sona_domain::{EventDraft, JobOutcome, Timestamp, TrainingJob};
use sona_engine::options::Training;
use sona_engine::{Options, RANKER_NAME};
use sona_testkit::databases::Backend;

use super::{MINUTE, options, train_ranker};
use crate::world::{World, of_genre, watch_at};

/// A prime: whoever goes on by so many titles each time meets each of them once.
const TITLES: usize = 41;
const USERS: usize = 100;
/// Half of the events are choices of the latest part, and a fifth of those is held out: 120.
const STEPS: usize = 12;
const GENRES: usize = 12;

/// A world of chance, in which whoever was fitted on a choice foresees it better than anybody else can.
async fn of_chance() -> World {
    let options = options();
    let training = Training { rejection_margin: 0.0, ..options.training };
    let world = World::with(Backend::Sqlite, Options { training, ..options }).await;
    let genre = |n: usize| format!("g{}", n * n % 31 % GENRES);
    let titles: Vec<_> = (0..TITLES).map(|n| of_genre(&format!("t{n}"), &genre(n))).collect();
    world.engine.put_content(&titles).await.expect("written");
    world.track(steps(0..USERS, 0..STEPS)).await;
    world.train().await;
    world
}

/// Everybody goes through the titles by a stride of their own, from a place of their own.
fn steps(users: Range<usize>, steps: Range<usize>) -> Vec<EventDraft> {
    steps.flat_map(|step| users.clone().map(move |user| step_of(user, step))).collect()
}

fn step_of(user: usize, step: usize) -> EventDraft {
    let (start, stride) = (user * user * 17 % TITLES, 1 + user * 29 % (TITLES - 1));
    let first = Timestamp::parse("2025-12-28T00:00:00Z").expect("a time");
    let at = first.plus_seconds((step * USERS + user) as i64 * MINUTE);
    watch_at(&format!("u{user}"), &format!("t{}", (start + step * stride) % TITLES), at)
}

fn version(job: &TrainingJob) -> Option<i64> {
    match job.outcome {
        Some(JobOutcome::Registered { version }) => Some(version),
        _ => None,
    }
}

fn rejection(job: TrainingJob) -> String {
    match job.outcome {
        Some(JobOutcome::Rejected { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// Serves the same file as a version of which something else is told.
async fn serve_as(world: &mut World, told: Value) {
    let store = sona_store::open(&world.database.url).await.expect("a database");
    let current = store.current_model(RANKER_NAME).await.expect("read").expect("trained");
    let told: Map<String, Value> = told.as_object().cloned().expect("an object");
    let new = NewModelVersion {
        model_name: current.model_name,
        blob_key: current.blob_key,
        size_bytes: current.size_bytes,
        sha256: current.sha256,
        metadata: current.metadata.into_iter().chain(told).collect(),
        job_id: None,
    };
    let now = world.engine.now();
    let model = store.register_model(&new, now).await.expect("registered");
    let expected = Some(current.version);
    let moved = store.set_current_model(RANKER_NAME, expected, model.version, now).await;
    assert!(moved.expect("written"));
    store.close().await;
    world.restart().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_serves_does_not_win_by_knowing_the_choices() {
    let world = of_chance().await;
    assert_eq!(version(&train_ranker(&world).await), Some(1));
    let again = train_ranker(&world).await;
    assert_eq!(version(&again), Some(2), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worse_ranker_is_rejected_by_the_choices_since() {
    let mut world = of_chance().await;
    train_ranker(&world).await;
    // It foresees better: it knows them.
    serve_as(&mut world, json!({"through": 0, "held_out_ndcg_at_10": 0.0})).await;
    let reason = rejection(train_ranker(&world).await);
    assert!(reason.contains("NDCG@10 of the 120 "), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_few_came_since_what_was_found_then_decides() {
    let mut world = of_chance().await;
    train_ranker(&world).await;
    serve_as(&mut world, json!({"held_out_ndcg_at_10": 0.987})).await;
    world.track(steps(0..USERS / 2, STEPS..STEPS + 1)).await;
    let reason = rejection(train_ranker(&world).await);
    assert!(reason.contains("0.9870") && reason.contains("50 of them"), "{reason}");
    // Of these it cannot be said which it was fitted on, nor how good it was.
    serve_as(&mut world, json!({"through": null, "held_out_ndcg_at_10": null})).await;
    assert!(version(&train_ranker(&world).await).is_some());
}
