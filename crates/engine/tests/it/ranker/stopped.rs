//! A training of the ranker that ends before it is done leaves nothing behind.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use sona_domain::JobState;
use sona_engine::train::{Progress, Report};
use sona_engine::{BASE_LAYER_NAME, Error, RANKER_NAME};
use sona_testkit::databases::Backend;

use super::{fill, options, train_ranker};
use crate::world::World;

/// Says on the first channel that the choices are there, and goes on to the fits once the second one says so.
fn pausing() -> (Report, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (there, is_there) = mpsc::channel();
    let (go, goes) = mpsc::channel::<()>();
    let both = Mutex::new((there, goes));
    let report = move |progress: Progress| {
        if progress == Progress::Judging {
            let (there, goes) = &*both.lock().expect("one at a time");
            there.send(()).expect("the test waits");
            let _ = goes.recv();
        }
    };
    (Arc::new(report), is_there, go)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_cancelled_one_registers_nothing() {
    let mut options = options();
    options.training.lease_seconds = 3;
    let world = World::with(Backend::Sqlite, options).await;
    fill(&world).await;
    world.train().await;
    let (report, is_there, go) = pausing();
    let id = world.engine.submit_ranker_training().await.expect("submitted");
    let (engine, job) = (world.engine.clone(), id.clone());
    let running = tokio::spawn(async move { engine.run_training("w", Some(&job), report).await });
    let waited = tokio::task::spawn_blocking(move || is_there.recv()).await;
    waited.expect("no panic").expect("it comes so far");
    let store = sona_store::open(&world.database.url).await.expect("a database");
    assert!(store.cancel_job(&id, world.engine.now()).await.expect("cancelled"));
    // The lease is looked after once a second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    go.send(()).expect("it waits");
    let result = running.await.expect("no panic");
    assert!(matches!(result, Err(Error::LostJob(_))), "{result:?}");
    assert_eq!(store.job(&id).await.expect("read").expect("there").state, JobState::Cancelled);
    let points = store.metrics(&id).await.expect("read");
    assert!(
        points.iter().all(|point| !point.name.contains("held_out")),
        "it was fitted: {points:?}"
    );
    for name in [RANKER_NAME, BASE_LAYER_NAME] {
        assert!(store.models(name).await.expect("read").is_empty(), "{name}");
    }
    store.close().await;
    // The next one is like any other.
    assert_eq!(train_ranker(&world).await.state, JobState::Completed);
}

/// As where a process ends: nobody waits for the training any more, and its threads end with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_is_given_up_ends() {
    let mut options = options();
    // Far more than anybody waits for.
    options.als.iterations = 100_000_000;
    let world = World::with(Backend::Sqlite, options).await;
    fill(&world).await;
    let (sent, swept) = mpsc::channel();
    let sent = Mutex::new(sent);
    let report = Arc::new(move |progress: Progress| {
        if matches!(progress, Progress::Iteration { .. }) {
            let _ = sent.lock().expect("one at a time").send(());
        }
    });
    let id = world.engine.submit_ranker_training().await.expect("submitted");
    let engine = world.engine.clone();
    let running = tokio::spawn(async move { engine.run_training("w", Some(&id), report).await });
    // Ends once nobody is left who could report.
    let sweeps = tokio::task::spawn_blocking(move || {
        swept.recv().expect("it begins");
        running.abort();
        swept.iter().count()
    });
    sweeps.await.expect("no panic");
}
