//! Killed during a burst of events: every acknowledged event is there exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use sona_testkit::backends;
use tokio::task::JoinSet;

use super::{Place, put_catalogue, title, until};
use crate::api::Api;

/// How often the server is killed.
const ROUNDS: usize = 4;

/// Clients that send at the same time.
const CLIENTS: usize = 8;

/// Users whose events are sent.
const USERS: usize = 12;

/// A round is cut off when so many events are acknowledged.
const ENOUGH: usize = 400;

/// What was sent and what was acknowledged.
#[derive(Default, Clone)]
struct Ledger {
    sent: BTreeMap<String, Value>,
    acknowledged: BTreeSet<String>,
}

/// The ledger all clients write.
type Shared = Arc<Mutex<Ledger>>;

impl Ledger {
    /// Distinct events sent by a user that `counts`.
    fn of_user(&self, user: &str, counts: impl Fn(&str) -> bool) -> u64 {
        let theirs = self.sent.iter().filter(|(id, event)| event["user_id"] == user && counts(id));
        theirs.count() as u64
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_a_burst_of_events() {
    for backend in backends() {
        let place = Place::new(backend).await;
        let ledger = Shared::default();
        let (mut sona, mut api) = place.serve();
        put_catalogue(&api).await;
        for round in 0..ROUNDS {
            let clients = burst(&api, round, &ledger);
            let enough = ENOUGH * (round + 1);
            until("acknowledged events", || {
                let acknowledged = open(&ledger).acknowledged.len();
                async move { acknowledged >= enough }
            })
            .await;
            sona.kill();
            clients.join_all().await;
            (sona, api) = place.serve();
            let ledger = open(&ledger).clone();
            check(&api, &ledger).await;
        }
        sona.kill();
        let (_sona, api) = place.serve();
        let ledger = open(&ledger).clone();
        check_counts(&api, &ledger).await;
    }
}

fn open(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().expect("no client failed")
}

/// Clients that send until the server is gone: every second one single events, the others batches.
fn burst(api: &Api, round: usize, ledger: &Shared) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (api, ledger) = (api.clone(), ledger.clone());
        let size = if client % 2 == 0 { 1 } else { 10 * client };
        clients.spawn(async move {
            for request in 0.. {
                let name = format!("{round}-{client}-{request}");
                let events: Vec<_> = (0..size).map(|n| event(&name, n)).collect();
                if !send(&api, &ledger, events).await {
                    return;
                }
            }
        });
    }
    clients
}

fn event(request: &str, n: usize) -> Value {
    let place = request.bytes().map(usize::from).sum::<usize>() + n;
    json!({"event_id": format!("e-{request}-{n}"), "user_id": format!("user-{}", place % USERS),
        "content_id": title(place * 7), "event_type": "watch", "completion_rate": 0.9})
}

/// Sends one request and notes what it was answered; false if the server is gone.
async fn send(api: &Api, ledger: &Mutex<Ledger>, events: Vec<Value>) -> bool {
    let ids: Vec<_> =
        events.iter().map(|e| e["event_id"].as_str().expect("an id").to_owned()).collect();
    open(ledger).sent.extend(ids.iter().cloned().zip(events.iter().cloned()));
    let body = if let [event] = &events[..] { event.clone() } else { events.into() };
    match api.try_post("/api/v1/events/track", &body).await {
        Ok((status, answer)) => {
            assert_eq!(status, 200, "{answer}");
            open(ledger).acknowledged.extend(ids);
            true
        }
        Err(_) => false,
    }
}

/// Acknowledged events are there, exactly once; the others can be sent again.
async fn check(api: &Api, ledger: &Ledger) {
    for user in (0..USERS).map(|n| format!("user-{n}")) {
        let count = api.interaction_count(&user).await;
        let least = ledger.of_user(&user, |id| ledger.acknowledged.contains(id));
        let most = ledger.of_user(&user, |_| true);
        assert!((least..=most).contains(&count), "{user}: {least} <= {count} <= {most}");
    }
    let (acknowledged, others): (Vec<_>, Vec<_>) =
        ledger.sent.iter().partition(|(id, _)| ledger.acknowledged.contains(*id));
    for (events, new_ones_may_be_there) in [(acknowledged, false), (others, true)] {
        for events in events.chunks(500) {
            let body: Vec<_> = events.iter().map(|(_, event)| (*event).clone()).collect();
            let (status, answer) = api.post("/api/v1/events/track", &body.into()).await;
            assert_eq!(status, 200, "{answer}");
            let accepted = answer["accepted"].as_u64().expect("a number");
            assert!(new_ones_may_be_there || accepted == 0, "acknowledged and lost: {answer}");
        }
    }
    check_counts(api, ledger).await;
}

/// Every event sent is there exactly once, and only those.
async fn check_counts(api: &Api, ledger: &Ledger) {
    for user in (0..USERS).map(|n| format!("user-{n}")) {
        let count = api.interaction_count(&user).await;
        assert_eq!(count, ledger.of_user(&user, |_| true), "events of {user}");
    }
    assert_eq!(api.health().await["applied_cursor"], ledger.sent.len());
}
