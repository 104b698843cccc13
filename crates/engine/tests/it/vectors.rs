//! Vectors of titles: made by a job, kept up with the catalogue, side by side while the encoder changes.

use std::sync::Arc;
use std::time::Instant;

use sona_domain::{Content, EntityType, JobOutcome, JobState};
use sona_engine::train::Progress;
use sona_engine::{Engine, Error};
use sona_testkit::databases::Backend;

use crate::encoder::{eventually, films, learn, store};
use crate::on_both;
use crate::world::{World, content_id, title};

/// Encodes the catalogue; answers the job and how many titles were done at each report.
pub(crate) async fn embed(engine: &Arc<Engine>) -> (sona_domain::TrainingJob, Vec<usize>) {
    let done = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = done.clone();
    let report = Arc::new(move |progress| {
        if let Progress::Encoding { done, .. } = progress {
            seen.lock().expect("no panic").push(done);
        }
    });
    let job = engine.submit_embedding().await.expect("submitted");
    let run = engine.run_training("test", Some(&job), report).await;
    let done = done.lock().expect("no panic").clone();
    (run.expect("encoded").expect("ours"), done)
}

/// The films, an encoder learned from them, and their vectors.
pub(crate) async fn with_vectors(world: World) -> World {
    world.engine.put_content(&films()).await.expect("written");
    learn(&world.engine).await;
    embed(&world.engine).await;
    world
}

fn has(engine: &Engine, titles: usize, encoder: &str) -> bool {
    let stats = engine.stats();
    (stats.vectors, stats.vectors_of.as_deref()) == (titles, Some(encoder))
}

pub(crate) fn film(id: &str, overview: &str) -> Content {
    Content { overview: Some(overview.to_owned()), ..title(id) }
}

async fn every_title_gets_one(backend: Backend) {
    let world = World::new(backend).await;
    world.engine.put_content(&films()).await.expect("written");
    let none = world.engine.submit_embedding().await;
    assert!(matches!(none, Err(Error::NoEncoder)), "{none:?}");
    let other = world.another().await;
    learn(&world.engine).await;
    assert_eq!((world.engine.stats().vectors, world.engine.stats().vectors_of), (0, None));

    let (job, done) = embed(&world.engine).await;
    assert_eq!((job.state, done), (JobState::Completed, vec![6]));
    let encoded = JobOutcome::Encoded { encoder: "learned-1".to_owned(), titles: 6 };
    assert_eq!(job.outcome, Some(encoded));
    assert!(has(&world.engine, 6, "learned-1"));
    eventually(async || has(&other, 6, "learned-1")).await;

    // A title written by one process has a vector in both within a second.
    let written = Instant::now();
    let new = film("s4", "An astronaut repairs a station above the planet.");
    world.engine.put_content(&[new]).await.expect("written");
    eventually(async || has(&world.engine, 7, "learned-1") && has(&other, 7, "learned-1")).await;
    assert!(written.elapsed().as_secs_f32() < 1.0, "{:?}", written.elapsed());

    world.engine.delete_content(&content_id("s4")).await.expect("deleted");
    eventually(async || has(&world.engine, 6, "learned-1") && has(&other, 6, "learned-1")).await;
    let store = store(&world).await;
    let stored = store.embeddings_after("learned-1", EntityType::Content, "", 99).await;
    assert_eq!(stored.expect("read").len(), 6);
}
on_both!(every_title_gets_one);

#[tokio::test]
async fn they_are_there_when_the_engine_opens() {
    let mut world = with_vectors(World::new(Backend::Sqlite).await).await;
    world.restart().await;
    assert!(has(&world.engine, 6, "learned-1"));
}

#[tokio::test]
async fn another_text_is_another_vector() {
    let world = with_vectors(World::new(Backend::Sqlite).await).await;
    let store = store(&world).await;
    let stored = async || {
        let all = store.embeddings_after("learned-1", EntityType::Content, "", 99).await;
        all.expect("read").into_iter().find(|e| e.entity.id() == "s1").expect("there")
    };
    let before = stored().await;
    let hidden = Content { hidden: true, ..films().remove(0) };
    world.engine.put_content(&[hidden]).await.expect("written");
    let renamed = Content { title: "A sheriff in a western town".to_owned(), ..films().remove(0) };
    world.engine.put_content(&[renamed]).await.expect("written");
    eventually(async || stored().await.source_digest != before.source_digest).await;
    assert_ne!(stored().await.vector, before.vector);
}

#[tokio::test]
async fn the_last_encoders_serve_until_the_next_ones_are_there() {
    let world = with_vectors(World::new(Backend::Sqlite).await).await;
    learn(&world.engine).await;
    assert_eq!(world.engine.stats().encoder.expect("learned").name, "learned-2");
    let new = film("s4", "An astronaut repairs a station above the planet.");
    world.engine.put_content(&[new]).await.expect("written");
    eventually(async || has(&world.engine, 7, "learned-1")).await;

    let (_, done) = embed(&world.engine).await;
    assert_eq!(done, [7]);
    assert!(has(&world.engine, 7, "learned-2"));
    let store = store(&world).await;
    let names = async || {
        let models = store.embedding_models().await.expect("read");
        models.into_iter().map(|model| model.name).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["learned-1", "learned-2"]);
    learn(&world.engine).await;
    embed(&world.engine).await;
    assert_eq!(names().await, ["learned-2", "learned-3"]);
}

#[tokio::test]
async fn what_is_there_is_not_made_again() {
    let world = with_vectors(World::new(Backend::Sqlite).await).await;
    let store = store(&world).await;
    let all = store.embeddings_after("learned-1", EntityType::Content, "", 99).await.expect("read");
    let mut marked = all[0].clone();
    marked.vector[0] += 1.0;
    let now = world.engine.now();
    store.put_embeddings("learned-1", &[marked.clone()], now).await.expect("put");
    embed(&world.engine).await;
    let kept = store.embeddings_of("learned-1", &[marked.entity.clone()]).await.expect("read");
    assert_eq!(kept, [marked]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_sees_to_it() {
    let world = World::new(Backend::Sqlite).await;
    world.engine.put_content(&films()).await.expect("written");
    let worker = tokio::spawn(world.engine.clone().work("worker".to_owned()));
    eventually(async || has(&world.engine, 6, "learned-1")).await;
    worker.abort();
}
