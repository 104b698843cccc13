//! Lists for 10,000 users with an adapter each, in turn with those for one user alone.
//!
//! One user's state stays in the processor's caches and 10,000 users' do not, with adapters or without: so both are asked for on
//! a second engine, too, that has everything but adapters.
#![expect(clippy::print_stdout, reason = "a program whose result is what it prints")]

use std::sync::Arc;
use std::time::Instant;

use sona_domain::{
    AdapterName, AdapterOrigin, AdapterState, Content, ContentId, EventDraft, EventType,
    NewAdapter, Timestamp, UserId,
};
use sona_engine::{Engine, Options, Parts, RecommendRequest, RequestContext};
use sona_store::{Blobs, Parent, Saved};
use sona_testkit::clock::ManualClock;
use sona_testkit::databases::{Backend, TestDatabase};
use sona_testkit::ids::CountingIds;

use super::learning::adapter;
use super::measure::{Times, cpu};

const USERS: usize = 10_000;
const TITLES: usize = 2_000;

/// Titles of everybody: enough for an adapter to have a part in lists.
const STEPS: usize = 12;

/// Lists of one kind in a round.
const BLOCK: usize = 1_000;
const ROUNDS: usize = 12;

pub(crate) async fn run() {
    let world = World::new().await;
    let (with, without) = (world.open(true).await, world.open(false).await);
    for engine in [&with, &without] {
        for at in 0..USERS {
            list(engine, at).await;
        }
    }
    look_at_residents(&with);
    let [mut many, mut one, mut many_without, mut one_without]: [Times; 4] = Default::default();
    for _ in 0..ROUNDS {
        many.take(BLOCK, async |n| list(&with, n % USERS).await).await;
        one.take(BLOCK, async |_| list(&with, 7).await).await;
        many_without.take(BLOCK, async |n| list(&without, n % USERS).await).await;
        one_without.take(BLOCK, async |_| list(&without, 7).await).await;
    }
    println!("\nlists of 20 from {TITLES} titles, {} of each", ROUNDS * BLOCK);
    println!("{:<44}{:>10}{:>10}{:>10}", "us", "p10", "p50", "CPU");
    for (name, times) in [
        ("10,000 users, each with an adapter", &many),
        ("one user with an adapter", &one),
        ("10,000 users, adapters off", &many_without),
        ("one user, adapters off", &one_without),
    ] {
        println!("{name:<44}{:>10.1}{:>10.1}{:>10.1}", times.at(0.1), times.at(0.5), times.cpu());
    }
    let (adapted, plain) = (one.cpu() / many.cpu(), one_without.cpu() / many_without.cpu());
    println!(
        "lists per CPU second, 10,000 users beside one: {adapted:.3}; adapters off {plain:.3}"
    );
    println!("what 10,000 adapters in place of one leave of it: {:.3}", adapted / plain);
    with.close().await;
    without.close().await;
}

/// Finding everybody's adapter in memory, with their state.
fn look_at_residents(engine: &Engine) {
    let (before, started) = (cpu(), Instant::now());
    for _ in 0..100 {
        assert_eq!(engine.resident_adapters().served, USERS as u64);
    }
    let each = |microseconds: f64| microseconds / (100 * USERS) as f64;
    let (cpu, wall) = (each(cpu() - before), each(started.elapsed().as_secs_f64() * 1e6));
    println!(
        "\na resident adapter found beside its user's state: {cpu:.3} us of CPU time, {wall:.3} us"
    );
}

/// A database with a ranker, a base layer and everybody's adapter.
struct World {
    database: TestDatabase,
    blobs: Arc<dyn Blobs>,
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::new(Backend::Sqlite).await;
        let blobs = sona_store::blobs::open_blobs("memory:").await.expect("memory");
        let world = Self { database, blobs };
        let engine = world.open(true).await;
        let titles: Vec<_> = (0..TITLES).map(title).collect();
        engine.put_content(&titles).await.expect("written");
        for step in 0..STEPS {
            for from in (0..USERS).step_by(2_000) {
                let events = (from..from + 2_000).map(|user| event(user, step)).collect();
                engine.track(events).await.expect("tracked");
            }
        }
        for job in [engine.submit_training().await, engine.submit_ranker_training().await] {
            let job = job.expect("submitted");
            let run = engine.run_training("bench", Some(&job), Arc::new(|_| {})).await;
            let job = run.expect("trained").expect("ours");
            println!("\n{}: {:?}", job.model_name, job.outcome);
        }
        assert_eq!(engine.stats().base_layer_version, Some(1));
        engine.close().await;
        world.put_adapters().await;
        world
    }

    async fn put_adapters(&self) {
        let store = sona_store::open(&self.database.url).await.expect("a database");
        for at in 0..USERS {
            let new = NewAdapter {
                user_id: user(at),
                adapter_name: AdapterName::default(),
                base_version: 1,
                origin: AdapterOrigin::Learned,
                training_iterations: STEPS as u64,
                weights: adapter(at, STEPS as u64),
            };
            let saved = store.save_adapter(&new, Parent::Any, start()).await.expect("answered");
            assert!(matches!(saved, Saved::Version(_)));
        }
        store.close().await;
    }

    async fn open(&self, adapters: bool) -> Arc<Engine> {
        let mut options = Options::default();
        options.fusion.embedding = 0.0;
        options.adapters.enabled = adapters;
        options.exposures.keep_days = 0;
        options.live.max_megabytes = 4_000;
        (options.ranker.events, options.ranker.choices) = (20_000, 4_000);
        let parts = Parts {
            store: sona_store::open(&self.database.url).await.expect("a database"),
            blobs: self.blobs.clone(),
            vectors: sona_store::open_vectors("memory:", "").expect("a URL"),
            clock: Arc::new(ManualClock::default()),
            ids: Arc::new(CountingIds::default()),
            options,
        };
        Engine::open(parts).await.expect("an engine")
    }
}

async fn list(engine: &Engine, at: usize) {
    let request = RecommendRequest {
        user_id: user(at),
        limit: 20,
        exclude: Vec::new(),
        context: RequestContext::default(),
    };
    let list = engine.recommend(&request).await.expect("a list");
    assert_eq!(list.recommendations.len(), 20);
    assert!(list.adapter.is_none_or(|adapter| adapter.state == AdapterState::Served), "{list:?}");
}

fn user(at: usize) -> UserId {
    UserId::new(format!("user-{at}")).expect("an id")
}

fn title(at: usize) -> Content {
    let genre = ["Drama", "Comedy", "Action", "Horror", "Romance"][at % 5];
    Content {
        genres: vec![genre.to_owned()],
        year: Some(1950 + (at % 70) as u16),
        ..Content::new(title_id(at), format!("Title {at}"))
    }
}

fn title_id(at: usize) -> ContentId {
    ContentId::new(format!("title-{}", at % TITLES)).expect("an id")
}

fn start() -> Timestamp {
    Timestamp::parse("2025-12-24T00:00:00Z").expect("a time")
}

/// Half of the users go through the titles one after the other, the others keep to a genre.
fn event(user_at: usize, step: usize) -> EventDraft {
    let first = user_at * 7 + user_at / 6;
    let at = if user_at.is_multiple_of(2) { first + step } else { first + step * step * 5 };
    EventDraft {
        event_id: None,
        user_id: user(user_at),
        content_id: title_id(at),
        event_type: EventType::new("watch").expect("a type"),
        completion_rate: Some(1.0),
        rating: None,
        is_rewatch: false,
        dismissed: false,
        context: None,
        recommendation_id: None,
        timestamp: Some(start().plus_seconds((step * USERS + user_at) as i64)),
    }
}
