//! Training jobs, their leases and their metrics.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, json};
use sona_domain::job::MAX_ATTEMPTS;
use sona_domain::{JobId, JobOutcome, JobState, MetricPoint, TrainingJob};
use sona_store::{Error, NewJob};

use crate::{Db, at};

on_both!(
    a_job_from_the_queue_to_the_end,
    everything_is_read_back_as_it_was_written,
    the_oldest_is_claimed_first,
    each_job_is_claimed_once,
    a_lease_that_ran_out_frees_the_job,
    a_job_that_always_dies_is_failed,
    only_the_holder_may_act,
    a_job_can_be_cancelled_until_it_is_done,
    transitions_are_those_of_the_state_machine,
    jobs_are_listed_newest_first,
    an_id_is_used_once,
    metric_points_are_replaced_and_ordered,
    metric_values_must_be_finite,
);

fn id(text: &str) -> JobId {
    JobId(text.to_owned())
}

async fn submit(db: &Db, name: &str, seconds: i64) -> TrainingJob {
    let new = NewJob { job_id: id(name), model_name: "als".to_owned(), options: Map::new() };
    db.store.submit_job(&new, at(seconds)).await.expect("submitted")
}

/// Claims a job for 100 seconds.
async fn claim(db: &Db, worker: &str, now: i64) -> Option<TrainingJob> {
    db.store.claim_job(worker, None, at(now), at(now + 100)).await.expect("answered")
}

async fn state(db: &Db, name: &str) -> JobState {
    db.store.job(&id(name)).await.expect("read").expect("there").state
}

fn registered() -> JobOutcome {
    JobOutcome::Registered { version: 4 }
}

async fn a_job_from_the_queue_to_the_end(db: Db) {
    let queued = submit(&db, "j", 10).await;
    assert_eq!((queued.state, queued.attempts, queued.created_at), (JobState::Queued, 0, at(10)));
    assert_eq!(db.store.job(&id("j")).await.expect("read"), Some(queued));

    let claimed = claim(&db, "w", 20).await.expect("a job");
    assert_eq!((claimed.state, claimed.attempts), (JobState::Initializing, 1));
    assert_eq!((claimed.worker.as_deref(), claimed.lease_until), (Some("w"), Some(at(120))));
    assert_eq!(claimed.started_at, Some(at(20)));
    assert_eq!(db.store.job(&id("j")).await.expect("read").as_ref(), Some(&claimed));
    assert_eq!(claim(&db, "v", 21).await, None);

    assert!(db.store.start_job(&id("j"), "w").await.expect("answered"));
    assert!(db.store.extend_lease(&id("j"), "w", at(500)).await.expect("answered"));
    assert!(db.store.complete_job(&id("j"), "w", &registered(), at(300)).await.expect("answered"));
    let done = db.store.job(&id("j")).await.expect("read").expect("there");
    assert_eq!((done.state, done.finished_at), (JobState::Completed, Some(at(300))));
    assert_eq!((done.outcome, done.error), (Some(registered()), None));
    assert_eq!((done.worker, done.lease_until), (None, None), "nobody holds what is done");
    assert_eq!(claim(&db, "v", 10_000).await, None);
}

async fn everything_is_read_back_as_it_was_written(db: Db) {
    let options =
        json!({"factors": 64, "alpha": 0.1 + 0.2, "note": "é\u{0}", "deep": {"x": [1, null]}});
    let new = NewJob {
        job_id: id("j"),
        model_name: "als".to_owned(),
        options: options.as_object().expect("an object").clone(),
    };
    let submitted = db.store.submit_job(&new, at(1)).await.expect("submitted");
    assert_eq!(submitted.options, new.options);
    assert_eq!(db.store.job(&id("j")).await.expect("read"), Some(submitted));
    assert_eq!(claim(&db, "w", 2).await.expect("a job").options, new.options);
    db.store.start_job(&id("j"), "w").await.expect("answered");
    let rejected = JobOutcome::Rejected { reason: "0.31 < 0.35 – “worse”".to_owned() };
    assert!(db.store.complete_job(&id("j"), "w", &rejected, at(3)).await.expect("answered"));
    let done = db.store.job(&id("j")).await.expect("read").expect("there");
    assert_eq!(done.outcome, Some(rejected));
    assert_eq!(db.store.job(&id("none")).await.expect("read"), None);
}

async fn the_oldest_is_claimed_first(db: Db) {
    for (name, seconds) in [("late", 30), ("early", 10), ("same", 10)] {
        submit(&db, name, seconds).await;
    }
    let only = db.store.claim_job("w", Some(&id("late")), at(40), at(50)).await.expect("answered");
    assert_eq!(only.map(|job| job.job_id), Some(id("late")));
    let taken = db.store.claim_job("w", Some(&id("late")), at(41), at(50)).await.expect("answered");
    assert_eq!(taken, None, "no other job is looked at");
    let none = db.store.claim_job("w", Some(&id("none")), at(41), at(50)).await.expect("answered");
    assert_eq!(none, None);
    let mut order = Vec::new();
    while let Some(job) = claim(&db, "w", 42).await {
        order.push(job.job_id.0);
    }
    assert_eq!(order, ["early", "same"]);
}

async fn each_job_is_claimed_once(db: Db) {
    for n in 0..40 {
        submit(&db, &format!("j{n}"), n).await;
    }
    let stores = [Arc::clone(&db.store), db.another().await];
    let workers: Vec<_> = (0..20)
        .map(|n| {
            let store = Arc::clone(&stores[n % 2]);
            tokio::spawn(async move {
                let mut claimed = Vec::new();
                let worker = format!("w{n}");
                while let Some(job) =
                    store.claim_job(&worker, None, at(100), at(200)).await.expect("answered")
                {
                    assert_eq!(job.worker.as_deref(), Some(worker.as_str()));
                    claimed.push(job.job_id);
                }
                claimed
            })
        })
        .collect();
    let mut claimed = Vec::new();
    for worker in workers {
        claimed.extend(worker.await.expect("finished"));
    }
    assert_eq!(claimed.len(), 40);
    assert_eq!(claimed.into_iter().collect::<HashSet<_>>().len(), 40);
    let attempts =
        db.store.jobs(None, None, 100).await.expect("read").into_iter().map(|job| job.attempts);
    assert!(attempts.eq([1; 40]));
}

async fn a_lease_that_ran_out_frees_the_job(db: Db) {
    submit(&db, "j", 1).await;
    claim(&db, "dead", 10).await.expect("a job");
    db.store.start_job(&id("j"), "dead").await.expect("answered");
    assert_eq!(claim(&db, "w", 109).await, None, "the lease still runs");
    assert!(db.store.extend_lease(&id("j"), "dead", at(150)).await.expect("answered"));
    assert_eq!(claim(&db, "w", 149).await, None, "it was extended");
    let job = claim(&db, "w", 150).await.expect("a job");
    assert_eq!((job.state, job.attempts), (JobState::Initializing, 2));
    assert_eq!((job.worker.as_deref(), job.started_at), (Some("w"), Some(at(150))));
    let extended = db.store.extend_lease(&id("j"), "dead", at(999)).await.expect("answered");
    assert!(!extended, "it belongs to another now");
    assert!(
        !db.store.complete_job(&id("j"), "dead", &registered(), at(151)).await.expect("answered")
    );
}

async fn a_job_that_always_dies_is_failed(db: Db) {
    submit(&db, "cursed", 1).await;
    submit(&db, "next", 2).await;
    let mut now = 10;
    for attempt in 1..=MAX_ATTEMPTS {
        let only = Some(id("cursed"));
        let job =
            db.store.claim_job("w", only.as_ref(), at(now), at(now + 5)).await.expect("answered");
        assert_eq!(job.map(|job| job.attempts), Some(attempt));
        now += 5;
    }
    let job = claim(&db, "w", now).await.expect("the next one");
    assert_eq!(job.job_id, id("next"));
    let failed = db.store.job(&id("cursed")).await.expect("read").expect("there");
    assert_eq!((failed.state, failed.finished_at), (JobState::Failed, Some(at(now))));
    assert_eq!(failed.error.as_deref(), Some("the lease ran out 5 times"));
    assert_eq!((failed.worker, failed.attempts), (None, MAX_ATTEMPTS));
}

async fn only_the_holder_may_act(db: Db) {
    submit(&db, "j", 1).await;
    let (job, error) = (id("j"), "broke");
    for holder in [None, Some("w")] {
        if let Some(worker) = holder {
            claim(&db, worker, 2).await.expect("a job");
        }
        assert!(!db.store.extend_lease(&job, "x", at(99)).await.expect("answered"));
        assert!(!db.store.start_job(&job, "x").await.expect("answered"));
        assert!(!db.store.fail_job(&job, "x", error, at(3)).await.expect("answered"));
    }
    assert!(db.store.start_job(&job, "w").await.expect("answered"));
    assert!(!db.store.start_job(&job, "w").await.expect("answered"), "it runs already");
    assert!(!db.store.extend_lease(&job, "x", at(99)).await.expect("answered"));
    assert!(!db.store.complete_job(&job, "x", &registered(), at(3)).await.expect("answered"));
    assert!(!db.store.fail_job(&job, "x", error, at(3)).await.expect("answered"));
    assert_eq!(state(&db, "j").await, JobState::Running);
    assert!(db.store.fail_job(&job, "w", "disk\0full", at(4)).await.expect("answered"));
    let failed = db.store.job(&job).await.expect("read").expect("there");
    assert_eq!((failed.state, failed.finished_at), (JobState::Failed, Some(at(4))));
    assert_eq!(
        failed.error.as_deref(),
        Some("disk\u{fffd}full"),
        "no database must choke on a message"
    );
    assert!(!db.store.start_job(&id("none"), "w").await.expect("answered"));
}

async fn a_job_can_be_cancelled_until_it_is_done(db: Db) {
    submit(&db, "queued", 1).await;
    assert!(db.store.cancel_job(&id("queued"), at(2)).await.expect("answered"));
    assert_eq!(claim(&db, "w", 3).await, None, "not offered any more");
    submit(&db, "running", 4).await;
    claim(&db, "w", 5).await.expect("a job");
    db.store.start_job(&id("running"), "w").await.expect("answered");
    assert!(db.store.cancel_job(&id("running"), at(6)).await.expect("answered"));
    // The worker learns it from its next heartbeat.
    assert!(!db.store.extend_lease(&id("running"), "w", at(99)).await.expect("answered"));
    assert!(
        !db.store.complete_job(&id("running"), "w", &registered(), at(7)).await.expect("answered")
    );
    assert!(!db.store.fail_job(&id("running"), "w", "x", at(7)).await.expect("answered"));
    let job = db.store.job(&id("running")).await.expect("read").expect("there");
    assert_eq!((job.state, job.finished_at, job.outcome), (JobState::Cancelled, Some(at(6)), None));
    assert!(!db.store.cancel_job(&id("running"), at(8)).await.expect("answered"));
    assert!(!db.store.cancel_job(&id("none"), at(8)).await.expect("answered"));
}

/// Brings a fresh job into a state.
async fn job_in(db: &Db, state: JobState, n: usize) -> JobId {
    let name = format!("{state:?}{n}");
    submit(db, &name, 1).await;
    let job = id(&name);
    if state == JobState::Queued {
        return job;
    }
    db.store.claim_job("w", Some(&job), at(2), at(100)).await.expect("answered").expect("a job");
    let reached = match state {
        JobState::Queued | JobState::Initializing => true,
        JobState::Running => db.store.start_job(&job, "w").await.expect("answered"),
        JobState::Completed => {
            db.store.start_job(&job, "w").await.expect("answered");
            db.store.complete_job(&job, "w", &registered(), at(3)).await.expect("answered")
        }
        JobState::Failed => db.store.fail_job(&job, "w", "x", at(3)).await.expect("answered"),
        JobState::Cancelled => db.store.cancel_job(&job, at(3)).await.expect("answered"),
    };
    assert!(reached);
    job
}

async fn transitions_are_those_of_the_state_machine(db: Db) {
    let targets = [JobState::Running, JobState::Completed, JobState::Failed, JobState::Cancelled];
    for from in JobState::ALL {
        for (n, to) in targets.into_iter().enumerate() {
            let job = job_in(&db, from, n).await;
            let moved = match to {
                JobState::Running => db.store.start_job(&job, "w").await,
                JobState::Completed => db.store.complete_job(&job, "w", &registered(), at(9)).await,
                JobState::Failed => db.store.fail_job(&job, "w", "x", at(9)).await,
                JobState::Cancelled => db.store.cancel_job(&job, at(9)).await,
                JobState::Queued | JobState::Initializing => unreachable!("not among the targets"),
            };
            // A queued job fails only when its attempts are used up, which is not a worker's doing.
            let allowed = from.may_become(to) && (from, to) != (JobState::Queued, JobState::Failed);
            assert_eq!(moved.expect("answered"), allowed, "{from:?} to {to:?}");
            let now = db.store.job(&job).await.expect("read").expect("there").state;
            assert_eq!(now, if allowed { to } else { from });
        }
    }
}

async fn jobs_are_listed_newest_first(db: Db) {
    for (name, seconds) in [("b", 20), ("a", 10), ("c", 20)] {
        submit(&db, name, seconds).await;
    }
    claim(&db, "w", 30).await.expect("a job");
    let listed = async |state, limit| -> Vec<String> {
        let jobs = db.store.jobs(None, state, limit).await.expect("read");
        jobs.into_iter().map(|job| job.job_id.0).collect()
    };
    assert_eq!(listed(None, 10).await, ["c", "b", "a"]);
    assert_eq!(listed(None, 2).await, ["c", "b"]);
    assert_eq!(listed(Some(JobState::Queued), 10).await, ["c", "b"]);
    assert_eq!(listed(Some(JobState::Initializing), 10).await, ["a"]);
    assert_eq!(listed(Some(JobState::Failed), 10).await, Vec::<String>::new());
    let other = NewJob { job_id: id("d"), model_name: "other".to_owned(), options: Map::new() };
    db.store.submit_job(&other, at(15)).await.expect("queued");
    assert_eq!(listed(None, 10).await, ["c", "b", "d", "a"]);
    let of_other = db.store.jobs(Some("other"), None, 10).await.expect("read");
    assert_eq!(of_other.into_iter().map(|job| job.job_id).collect::<Vec<_>>(), [id("d")]);
}

async fn an_id_is_used_once(db: Db) {
    submit(&db, "j", 1).await;
    let again = NewJob { job_id: id("j"), model_name: "other".to_owned(), options: Map::new() };
    let refused = db.store.submit_job(&again, at(2)).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}

fn point(attempt: u32, step: i64, name: &str, value: f64) -> MetricPoint {
    MetricPoint { attempt, step, name: name.to_owned(), value, timestamp: at(step) }
}

async fn metric_points_are_replaced_and_ordered(db: Db) {
    submit(&db, "j", 1).await;
    submit(&db, "other", 1).await;
    let add = async |name: &str, points: &[MetricPoint]| {
        db.store.add_metrics(&id(name), points).await.expect("added");
    };
    add("j", &[]).await;
    add(
        "j",
        &[point(1, 1, "loss", 0.5), point(1, 0, "loss", 0.1 + 0.2), point(1, 0, "Ndcg", f64::MAX)],
    )
    .await;
    add(
        "j",
        &[point(2, 0, "loss", -5e-324), point(1, 1, "loss", 0.25), point(1, 1, "loss", 0.125)],
    )
    .await;
    add("other", &[point(1, 0, "loss", 9.0)]).await;
    let expected = [
        point(1, 0, "Ndcg", f64::MAX),
        point(1, 0, "loss", 0.1 + 0.2),
        point(1, 1, "loss", 0.125),
        point(2, 0, "loss", -5e-324),
    ];
    assert_eq!(db.store.metrics(&id("j")).await.expect("read"), expected);
    assert_eq!(db.store.metrics(&id("none")).await.expect("read"), []);
}

async fn metric_values_must_be_finite(db: Db) {
    submit(&db, "j", 1).await;
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let points = [point(1, 0, "loss", 0.5), point(1, 1, "loss", value)];
        let refused = db.store.add_metrics(&id("j"), &points).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    assert_eq!(db.store.metrics(&id("j")).await.expect("read"), [], "all or none");
    let unknown = db.store.add_metrics(&id("none"), &[point(1, 0, "loss", 0.5)]).await;
    assert!(matches!(unknown, Err(Error::Invalid(_))), "{unknown:?}");
}
