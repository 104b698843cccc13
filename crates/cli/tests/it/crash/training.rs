//! Killed while training and while a new model is swapped in: the last good model is served, and training
//! works again.

use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sona_domain::{JobState, TrainingJob};
use sona_engine::MODEL_NAME;
use sona_store::Store;
use sona_testkit::backends;

use super::{Place, put_catalogue, put_viewings, until};
use crate::api::Api;
use crate::process::{PATIENCE, kill};

/// Makes a training that takes a while, and whose lease runs out soon.
const LONG: [(&str, &str); 2] =
    [("SONA_ALS_ITERATIONS", "150"), ("SONA_TRAINING_LEASE_SECONDS", "3")];

/// How far a training got when it is killed.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Submitted,
    Running,
    Sweep(i64),
    Judged,
    Registered,
}

const PHASES: [Phase; 6] = [
    Phase::Submitted,
    Phase::Running,
    Phase::Sweep(1),
    Phase::Sweep(50),
    Phase::Judged,
    Phase::Registered,
];

impl Phase {
    /// True if the newest job got here.
    async fn reached(self, store: &dyn Store, before: &Before) -> bool {
        let jobs = store.jobs(Some(MODEL_NAME), None, 1).await.expect("readable");
        let Some(job) = jobs.first().filter(|job| Some(&job.job_id) != before.job.as_ref()) else {
            return false;
        };
        let points = store.metrics(&job.job_id).await.expect("readable");
        match self {
            Self::Submitted => true,
            Self::Running => job.state != JobState::Queued && job.state != JobState::Initializing,
            Self::Sweep(n) => points.iter().any(|point| point.step >= n),
            Self::Judged => points.iter().any(|point| point.name == "held_out_ndcg_at_10"),
            Self::Registered => {
                let models = store.models(MODEL_NAME).await.expect("readable");
                models.first().map(|model| model.version) > before.version
            }
        }
    }
}

/// What the database had before a training.
struct Before {
    job: Option<sona_domain::JobId>,
    version: Option<i64>,
}

impl Before {
    async fn of(store: &dyn Store) -> Self {
        let job = store
            .jobs(Some(MODEL_NAME), None, 1)
            .await
            .expect("readable")
            .pop()
            .map(|job| job.job_id);
        let models = store.models(MODEL_NAME).await.expect("readable");
        Self { job, version: models.first().map(|model| model.version) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_training_blocks_nothing() {
    for backend in backends() {
        let place = Place::new(backend).await;
        let (_sona, api) = place.serve();
        put_catalogue(&api).await;
        put_viewings(&api).await;
        let first = place.train();
        until("the first model", async || api.model_version().await == Some(first)).await;
        let store = sona_store::open(&place.database.url).await.expect("a database");
        for phase in PHASES {
            let before = Before::of(&*store).await;
            let mut training = place.folder.spawn(&LONG, &["train"]);
            wait_for(&mut training, phase, &store, &before).await;
            kill(&mut training);
            check_answers(&api).await;
        }
        // Leases of the killed ones may still be running.
        let version = place.train();
        until("the new model", async || api.model_version().await >= Some(version)).await;
        check_answers(&api).await;
        check_jobs_end(&*store).await;
        check_answers(&api).await;
        store.close().await;
    }
}

/// Returns when the training got to `phase`, or ended before anybody noticed.
async fn wait_for(training: &mut Child, phase: Phase, store: &Arc<dyn Store>, before: &Before) {
    let wait = async {
        while !phase.reached(&**store, before).await {
            if training.try_wait().expect("a child of ours").is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let reached = tokio::time::timeout(PATIENCE, wait).await;
    reached.unwrap_or_else(|_| panic!("never came to {phase:?}"));
}

/// The server has a model and makes lists of it.
async fn check_answers(api: &Api) {
    let health = api.health().await;
    assert_eq!((&health["status"], &health["problems"]), (&"ok".into(), &Value::Array(vec![])));
    assert!(health["model_version"].as_i64().is_some(), "{health}");
    for user in ["viewer-0", "viewer-1", "nobody"] {
        assert_eq!(api.list(user).await.len(), 10, "{user}");
    }
}

/// What was killed is taken over by the server and brought to an end.
async fn check_jobs_end(store: &dyn Store) {
    let open = |job: &TrainingJob| !job.state.is_final();
    until("the end of every job", async || {
        !store.jobs(Some(MODEL_NAME), None, 100).await.expect("readable").iter().any(open)
    })
    .await;
    let jobs = store.jobs(Some(MODEL_NAME), None, 100).await.expect("readable");
    assert!(jobs.iter().any(|job| job.attempts > 1), "no job was taken over: {jobs:#?}");
    let completed = jobs.iter().filter(|job| job.state == JobState::Completed);
    assert!(completed.count() > 2, "{jobs:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_swaps_models() {
    for backend in backends() {
        let place = Place::new(backend).await;
        let (mut sona, mut api) = place.serve();
        put_catalogue(&api).await;
        put_viewings(&api).await;
        // The server looks for a new model four times a second; some of these moments fall into the swap.
        for delay in [0, 40, 90, 140, 190, 240, 300] {
            let version = place.train();
            tokio::time::sleep(Duration::from_millis(delay)).await;
            sona.kill();
            (sona, api) = place.serve();
            check_answers(&api).await;
            assert_eq!(api.model_version().await, Some(version), "not the last good model");
        }
        assert_eq!(sona.terminate(), Some(0));
    }
}
