//! Training: reproducible, judged, recoverable, and never in the way of serving.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sona_domain::{JobOutcome, JobState};
use sona_engine::train::Progress;
use sona_engine::{Error, MODEL_NAME};
use sona_store::Store;
use sona_testkit::databases::Backend;

use crate::on_both;
use crate::world::{World, small_options, watch};

async fn store(world: &World) -> Arc<dyn Store> {
    sona_store::open(&world.database.url).await.expect("a database")
}

async fn a_job_leaves_its_trace(backend: Backend) {
    let world = World::two_families(backend, 8, 16).await;
    let job = world.train().await;
    assert_eq!(job.state, JobState::Completed);
    assert_eq!(job.outcome, Some(JobOutcome::Registered { version: 1 }));
    let store = store(&world).await;
    let points = store.metrics(&job.job_id).await.expect("read");
    let losses: Vec<f64> =
        points.iter().filter(|p| p.name == "loss").map(|point| point.value).collect();
    assert_eq!(losses.len(), world.options.als.iterations);
    assert!(losses.is_sorted_by(|a, b| a >= b), "the objective rises: {losses:?}");
    assert!(points.iter().any(|point| point.name == "held_out_ndcg_at_10"));
    let model = store.current_model(MODEL_NAME).await.expect("read").expect("registered");
    assert_eq!((model.version, model.job_id), (1, Some(job.job_id)));
    assert_eq!(world.engine.stats().model_version, Some(1));
}
on_both!(a_job_leaves_its_trace);

#[tokio::test]
async fn same_data_and_seed_same_bytes() {
    let mut sums = Vec::new();
    for _ in 0..2 {
        let world = World::two_families(Backend::Sqlite, 8, 16).await;
        world.train().await;
        world.train().await;
        let models = store(&world).await.models(MODEL_NAME).await.expect("read");
        sums.extend(models.into_iter().map(|model| model.sha256));
    }
    sums.dedup();
    assert_eq!(sums.len(), 1, "{sums:?}");
}

#[tokio::test]
async fn a_worse_model_is_rejected_and_the_old_one_stays() {
    let mut world = World::two_families(Backend::Sqlite, 12, 400).await;
    world.train().await;
    world.options.als.regularization = 1e6;
    world.restart().await;
    let job = world.train().await;
    assert!(matches!(job.outcome, Some(JobOutcome::Rejected { .. })), "{job:?}");
    assert_eq!(job.state, JobState::Completed);
    let store = store(&world).await;
    assert_eq!(store.models(MODEL_NAME).await.expect("read").len(), 1);
    assert_eq!(world.engine.stats().model_version, Some(1));
}

#[tokio::test]
async fn an_empty_log_cannot_be_trained_on() {
    let world = World::new(Backend::Sqlite).await;
    let job = world.engine.submit_training().await.expect("submitted");
    let error = world.engine.run_training("w", Some(&job), Arc::new(|_| {})).await;
    assert!(matches!(error, Err(Error::NothingToTrain(_))));
    let job = store(&world).await.job(&job).await.expect("read").expect("there");
    assert_eq!(job.state, JobState::Failed);
    assert!(job.error.is_some_and(|error| error.contains("no engagement")));
}

async fn a_killed_training_runs_again(backend: Backend) {
    let world = World::two_families(backend, 8, 16).await;
    let id = world.engine.submit_training().await.expect("submitted");
    let (engine, job) = (world.engine.clone(), id.clone());
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let report = Arc::new(move |progress: Progress| {
        if matches!(progress, Progress::Iteration { .. }) {
            count.fetch_add(1, Ordering::SeqCst);
            // Long enough to be caught in the middle.
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let running =
        tokio::spawn(async move { engine.run_training("doomed", Some(&job), report).await });
    while seen.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.abort();
    let _ = running.await;
    let store = store(&world).await;
    let claimed = store.job(&id).await.expect("read").expect("there");
    assert_eq!((claimed.state, claimed.attempts), (JobState::Running, 1));
    // Before the lease has run out the job is not taken from its worker; the beat of the aborted run's
    // lease ends with the task that kept it.
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.clock.advance(3 * world.options.training.lease_seconds);
    let again = world.engine.run_training("heir", Some(&id), Arc::new(|_| {})).await;
    let again = again.expect("trained").expect("claimed");
    assert_eq!((again.state, again.attempts), (JobState::Completed, 2));
    assert_eq!(world.engine.stats().model_version, Some(1));
}
on_both!(a_killed_training_runs_again);

#[tokio::test]
async fn a_cancelled_training_stops_and_registers_nothing() {
    let mut options = small_options();
    options.als.iterations = 400;
    options.training.lease_seconds = 3;
    let world = World::with(Backend::Sqlite, options).await;
    world.fill(8, 16).await;
    let id = world.engine.submit_training().await.expect("submitted");
    let (engine, job) = (world.engine.clone(), id.clone());
    let slow = Arc::new(|_| std::thread::sleep(Duration::from_millis(20)));
    let running = tokio::spawn(async move { engine.run_training("w", Some(&job), slow).await });
    let store = store(&world).await;
    while store.job(&id).await.expect("read").expect("there").state != JobState::Running {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(store.cancel_job(&id, world.engine.now()).await.expect("cancelled"));
    let result = running.await.expect("no panic");
    assert!(matches!(result, Err(Error::LostJob(_))), "{result:?}");
    assert_eq!(store.job(&id).await.expect("read").expect("there").state, JobState::Cancelled);
    assert_eq!(store.current_model(MODEL_NAME).await.expect("read"), None);
}

async fn a_broken_file_falls_back_to_the_last_good_model(backend: Backend) {
    let mut world = World::two_families(backend, 8, 16).await;
    world.train().await;
    let good = world.ids("a-user1", 8).await;
    world.track(vec![watch("x", "a1"), watch("x", "a2")]).await;
    world.train().await;
    assert_eq!(world.engine.stats().model_version, Some(2));
    let store = store(&world).await;
    let model = store.current_model(MODEL_NAME).await.expect("read").expect("registered");
    let mut bytes = world.blobs.get(&model.blob_key).await.expect("read").expect("there").to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    world.blobs.put(&model.blob_key, bytes.into()).await.expect("written");
    world.restart().await;
    let stats = world.engine.stats();
    assert_eq!(stats.model_version, Some(1));
    assert!(stats.model_error.is_some_and(|error| error.contains("SHA-256")));
    assert_eq!(world.ids("a-user1", 8).await, good);
}
on_both!(a_broken_file_falls_back_to_the_last_good_model);

/// Killed between the file, the registration and the pointer: what is half done is never served.
async fn half_a_swap_is_no_swap(backend: Backend) {
    let mut world = World::two_families(backend, 8, 16).await;
    world.train().await;
    let store = store(&world).await;
    let model = store.current_model(MODEL_NAME).await.expect("read").expect("registered");
    world.blobs.put("models/collaborative/orphan", "junk".into()).await.expect("written");
    let unpointed = sona_domain::model::NewModelVersion {
        model_name: MODEL_NAME.to_owned(),
        blob_key: "models/collaborative/orphan".to_owned(),
        size_bytes: 4,
        sha256: model.sha256.clone(),
        metadata: serde_json::Map::new(),
        job_id: None,
    };
    let registered = store.register_model(&unpointed, world.engine.now()).await.expect("written");
    assert_eq!(registered.version, 2);
    world.restart().await;
    assert_eq!(world.engine.stats().model_version, Some(1));
    let job = world.train().await;
    assert_eq!(job.outcome, Some(JobOutcome::Registered { version: 3 }));
    assert_eq!(world.engine.stats().model_version, Some(3));
}
on_both!(half_a_swap_is_no_swap);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_while_a_model_is_swapped_in() {
    let world = World::two_families(Backend::Sqlite, 12, 60).await;
    world.train().await;
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (engine, stop) = (world.engine.clone(), done.clone());
    let asking = tokio::spawn(async move {
        let mut asked = 0;
        while !stop.load(Ordering::SeqCst) {
            let list = crate::world::list(&engine, &format!("a-user{}", asked % 60), 5).await;
            assert_eq!(list.recommendations.len(), 5);
            asked += 1;
            tokio::task::yield_now().await;
        }
        asked
    });
    for n in 0..4 {
        world.track(vec![watch(&format!("new{n}"), "b1")]).await;
        world.train().await;
    }
    done.store(true, Ordering::SeqCst);
    assert!(asking.await.expect("no request failed") > 0);
    assert_eq!(world.engine.stats().model_version, Some(5));
    let kept = store(&world).await.models(MODEL_NAME).await.expect("read").len();
    assert_eq!(kept, world.options.training.keep_versions + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serving_process_trains_by_itself() {
    let world = World::new(Backend::Sqlite).await;
    let worker = tokio::spawn(world.engine.clone().work("worker".to_owned()));
    world.fill(6, 4).await;
    serves(&world, 1).await;
    // The log doubles; the next training waits for its pause, not for the interval.
    world.clock.advance(61);
    let more = (0..200).map(|n| watch(&format!("late{}", n / 5), &format!("b{}", n % 5)));
    world.track(more.collect()).await;
    serves(&world, 2).await;
    world.clock.advance(7 * 3600);
    serves(&world, 3).await;
    worker.abort();
}

/// Waits, within reason, until a model is served.
async fn serves(world: &World, version: i64) {
    for _ in 0..1200 {
        if world.engine.stats().model_version == Some(version) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("version {version} is not served");
}

async fn two_trainings_at_once_both_come_to_an_end(backend: Backend) {
    let world = World::two_families(backend, 6, 8).await;
    let other = world.another().await;
    for _ in 0..6 {
        let run = |engine: Arc<sona_engine::Engine>, worker: &'static str| async move {
            let job = engine.submit_training().await.expect("submitted");
            let run = engine.run_training(worker, Some(&job), Arc::new(|_| {})).await;
            run.expect("trained").expect("ours")
        };
        let (one, two) = tokio::join!(
            tokio::spawn(run(world.engine.clone(), "one")),
            tokio::spawn(run(other.clone(), "two"))
        );
        let jobs = [one.expect("no panic"), two.expect("no panic")];
        assert!(jobs.iter().all(|job| job.state == JobState::Completed), "{jobs:?}");
        assert_ne!(jobs[0].outcome, jobs[1].outcome, "each has a version of its own");
    }
    // Equal models may become current in either order; who made the last one current serves it.
    let current = store(&world)
        .await
        .current_model(MODEL_NAME)
        .await
        .expect("read")
        .expect("registered")
        .version;
    assert!(matches!(current, 11 | 12), "{current}");
    let served = [&world.engine, &other].map(|engine| engine.stats().model_version);
    assert!(served.contains(&Some(current)), "{served:?} served, {current} is current");
}
on_both!(two_trainings_at_once_both_come_to_an_end);
