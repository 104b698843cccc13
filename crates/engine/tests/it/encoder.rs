//! Texts to vectors: learned by itself, told apart by name, followed by every process, replaced where it is broken.

use std::sync::Arc;
use std::time::Duration;

use sona_domain::{Content, JobState};
use sona_engine::encoder::text_of;
use sona_engine::{ENCODER_NAME, Encoded, EncoderInfo, EncoderKind, Engine, Error, Options, Parts};
use sona_store::Store;
use sona_testkit::clock::ManualClock;
use sona_testkit::databases::{Backend, TestDatabase};
use sona_testkit::ids::CountingIds;

use crate::on_both;
use crate::world::{World, small_options, title};

const FILMS: [(&str, &str, &str); 6] = [
    ("s1", "Solaris", "An astronaut meets his past above an ocean planet."),
    ("s2", "Moon", "An astronaut alone on the moon meets himself."),
    ("s3", "Gravity", "Two astronauts drift above the planet."),
    ("w1", "Rio Bravo", "A sheriff holds a prisoner in a small western town."),
    ("w2", "High Noon", "A sheriff waits alone for a gang in a western town."),
    ("w3", "Unforgiven", "An old gunman and a sheriff in a western town."),
];

pub(crate) fn films() -> Vec<Content> {
    let film = |(id, name, overview): &(&str, &str, &str)| Content {
        title: (*name).to_owned(),
        overview: Some((*overview).to_owned()),
        ..title(id)
    };
    FILMS.iter().map(film).collect()
}

async fn with_films(backend: Backend) -> World {
    let world = World::new(backend).await;
    world.engine.put_content(&films()).await.expect("written");
    world
}

pub(crate) async fn learn(engine: &Arc<Engine>) -> sona_domain::TrainingJob {
    let job = engine.submit_encoder_training().await.expect("submitted");
    let run = engine.run_training("test", Some(&job), Arc::new(|_| {})).await;
    run.expect("learned").expect("ours")
}

async fn encode(engine: &Engine, texts: &[&str]) -> Encoded {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    engine.encode(texts).await.expect("encoded")
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(crate) async fn store(world: &World) -> Arc<dyn Store> {
    sona_store::open(&world.database.url).await.expect("a database")
}

pub(crate) async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..3000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be");
}

/// Whether the engine encodes with this version.
fn uses(engine: &Engine, version: i64) -> bool {
    let name = format!("learned-{version}");
    let learned = EncoderInfo { kind: EncoderKind::Learned, name, width: 512 };
    engine.stats().encoder == Some(learned)
}

async fn one_is_learned_from_the_catalogue(backend: Backend) {
    let world = with_films(backend).await;
    let other = world.another().await;
    assert_eq!(world.engine.stats().encoder, None);
    let none = world.engine.encode(vec!["a film".to_owned()]).await;
    assert!(matches!(none, Err(Error::NoEncoder)), "{none:?}");

    let job = learn(&world.engine).await;
    assert_eq!((job.state, job.model_name.as_str()), (JobState::Completed, ENCODER_NAME));
    assert!(uses(&world.engine, 1));
    let texts: Vec<_> = films().iter().map(text_of).collect();
    let found = world.engine.encode(texts).await.expect("encoded");
    assert_eq!(found.encoder, "learned-1");
    let [space, also_space, western] = [0, 1, 3].map(|at| &found.vectors[at]);
    assert!((cosine(space, space) - 1.0).abs() < 1e-4);
    assert!(cosine(space, also_space) > cosine(space, western) + 0.05);

    // Another process uses it on its own, and encodes the same.
    eventually(async || uses(&other, 1)).await;
    let again = encode(&other, &["An astronaut above a western town"]).await;
    assert_eq!(again, encode(&world.engine, &["An astronaut above a western town"]).await);
}
on_both!(one_is_learned_from_the_catalogue);

#[tokio::test]
async fn the_same_catalogue_gives_the_same_bytes() {
    let mut sums = Vec::new();
    for _ in 0..2 {
        let world = with_films(Backend::Sqlite).await;
        learn(&world.engine).await;
        learn(&world.engine).await;
        let models = store(&world).await.models(ENCODER_NAME).await.expect("read");
        sums.extend(models.into_iter().map(|model| model.sha256));
    }
    assert_eq!(sums.len(), 4);
    sums.dedup();
    assert_eq!(sums.len(), 1, "{sums:?}");
}

#[tokio::test]
async fn an_empty_catalogue_cannot_be_learned_from() {
    let world = World::new(Backend::Sqlite).await;
    let job = world.engine.submit_encoder_training().await.expect("submitted");
    let error = world.engine.run_training("w", Some(&job), Arc::new(|_| {})).await;
    assert!(matches!(error, Err(Error::NothingToTrain(_))), "{error:?}");
    let job = store(&world).await.job(&job).await.expect("read").expect("there");
    assert_eq!(job.state, JobState::Failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_young_catalogue_gets_one_and_a_model_of_its_users_another() {
    let world = with_films(Backend::Sqlite).await;
    let store = store(&world).await;
    let worker = tokio::spawn(world.engine.clone().work("worker".to_owned()));
    eventually(async || uses(&world.engine, 1)).await;
    let first = store.current_model(ENCODER_NAME).await.expect("read").expect("registered");
    assert_eq!(first.metadata["entries"], 6);
    assert!(first.metadata["collaborative_version"].is_null());

    // With users there is more to learn from, once the pause between two trainings is over.
    world.fill(6, 8).await;
    world.clock.advance(61);
    eventually(async || world.engine.stats().model_version.is_some()).await;
    eventually(async || world.engine.stats().encoder.is_some_and(|e| e.name != "learned-1")).await;
    let second = store.current_model(ENCODER_NAME).await.expect("read").expect("registered");
    assert_eq!(second.metadata["collaborative_version"], 1);
    assert_eq!(second.metadata["entries"], 18);
    worker.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_is_told_and_replaced() {
    let mut world = with_films(Backend::Sqlite).await;
    learn(&world.engine).await;
    let model = store(&world).await.current_model(ENCODER_NAME).await.expect("read");
    let key = model.expect("registered").blob_key;
    let mut bytes = world.blobs.get(&key).await.expect("read").expect("there").to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    world.blobs.put(&key, bytes.into()).await.expect("written");
    world.restart().await;
    eventually(async || world.engine.stats().encoder_error.is_some()).await;
    let error = world.engine.stats().encoder_error.unwrap_or_default();
    assert!(error.contains(&key) && error.contains("SHA-256"), "{error}");
    assert_eq!(world.engine.stats().encoder, None);

    world.clock.advance(61);
    let worker = tokio::spawn(world.engine.clone().work("worker".to_owned()));
    eventually(async || uses(&world.engine, 2)).await;
    assert_eq!(world.engine.stats().encoder_error, None);
    worker.abort();
}

#[tokio::test]
async fn a_configured_one_is_used_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let texts: Vec<_> = films().iter().map(text_of).collect();
    let options = sona_encoder::learn::Options { width: 16, ..Default::default() };
    let files = sona_encoder::learn::learn(&texts, None, &options).expect("learned");
    fs_err::write(at("house.onnx"), &files.model).expect("written");
    fs_err::write(at("tokenizer.json"), &files.tokenizer).expect("written");

    let mut options = small_options();
    options.encoder.model = at("house.onnx");
    options.encoder.tokenizer = at("tokenizer.json");
    let world = World::with(Backend::Sqlite, options).await;
    let info = world.engine.stats().encoder.expect("configured");
    assert_eq!((info.kind, info.width), (EncoderKind::Configured, 16));
    assert!(info.name.starts_with("house-") && info.name.len() == "house-".len() + 12, "{info:?}");
    let found = encode(&world.engine, &["a sheriff"]).await;
    assert_eq!((found.encoder, found.vectors[0].len()), (info.name, 16));
}

#[tokio::test]
async fn a_configured_one_that_is_missing_stops_the_start() {
    let mut options = Options::default();
    options.encoder.model = "/nowhere/model.onnx".to_owned();
    options.encoder.tokenizer = "/nowhere/tokenizer.json".to_owned();
    let database = TestDatabase::new(Backend::Sqlite).await;
    let parts = Parts {
        store: sona_store::open(&database.url).await.expect("a database"),
        blobs: sona_store::blobs::open_blobs("memory:").await.expect("memory"),
        vectors: None,
        clock: Arc::new(ManualClock::default()),
        ids: Arc::new(CountingIds::default()),
        options,
    };
    let error = Engine::open(parts).await.err().expect("no encoder").to_string();
    assert!(error.contains("/nowhere/"), "{error}");
}
