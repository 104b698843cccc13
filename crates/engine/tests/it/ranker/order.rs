//! What a choice is told from is the head of the list, in the order that decides it by then.

use sona_domain::{EventDraft, JobOutcome, Source, Timestamp};
use sona_engine::Options;
use sona_testkit::databases::Backend;

use super::{MINUTE, options, train_ranker};
use crate::world::{World, of_genre, only, watch_at};

/// More than are told apart one by one.
const TITLES: usize = 400;
const USERS: usize = 80;

/// Everybody watches one title after its neighbour. By the configured weights what is popular comes first.
async fn world() -> World {
    let mut fusion = only(Source::Popular).fusion;
    fusion.candidates_per_source = TITLES;
    let world = World::with(Backend::Sqlite, Options { fusion, ..options() }).await;
    let titles: Vec<_> = (0..TITLES).map(|n| of_genre(&format!("t{n}"), "any")).collect();
    world.engine.put_content(&titles).await.expect("written");
    let steps = (0..12).flat_map(|step| (0..USERS).map(move |user| step_of(user, step)));
    world.track(steps.collect()).await;
    world.train().await;
    world
}

fn step_of(user: usize, step: usize) -> EventDraft {
    let first = Timestamp::parse("2025-12-28T00:00:00Z").expect("a time");
    let at = first.plus_seconds((step * USERS + user) as i64 * MINUTE);
    watch_at(&format!("u{user}"), &format!("t{}", (user * 5 + step) % TITLES), at)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn choices_are_told_from_the_best_of_the_ranker_that_serves() {
    let world = world().await;
    let store = sona_store::open(&world.database.url).await.expect("a database");
    let mut among_best = Vec::new();
    for _ in 0..2 {
        let job = train_ranker(&world).await;
        assert!(matches!(job.outcome, Some(JobOutcome::Registered { .. })), "{job:?}");
        let points = store.metrics(&job.job_id).await.expect("read");
        let of = |name: &str| points.iter().find(|point| point.name == name).expect(name).value;
        among_best.push(of("choices_among_best") / of("choices"));
    }
    store.close().await;
    assert!(among_best[1] > among_best[0] + 0.1, "{among_best:?}");
}
