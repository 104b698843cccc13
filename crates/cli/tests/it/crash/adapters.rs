//! Killed while users' adapters are written: what is stored is whole, the last version is the one that is served, and numbers
//! go on from it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Value, json};
use sona_domain::{Adapter, AdapterName, Timestamp, UserId};
use sona_formats::adapters::UserWeights;
use sona_store::Store;
use sona_testkit::backends;
use tokio::task::JoinSet;

use super::{Place, put_catalogue, title, until};
use crate::api::{Api, ids};

/// Users who have an adapter.
const USERS: usize = 48;

/// Clients that send at the same time, each for users of its own.
const CLIENTS: usize = 6;

/// Titles everybody watched before the ranker is trained.
const PAST: usize = 8;

/// Titles everybody goes on to between two kills; at the end there are enough left for a list.
const STEPS: usize = 8;

/// In every round the server is killed once it has written so many versions: all of a round are written in one go, so this
/// cuts it at its start, in its midst and near its end.
const WRITTEN: [u64; 6] = [1, 8, 40, 2, 20, 30];

/// Versions kept: few, so that old ones are dropped after most saves.
const KEPT: usize = 2;

/// A ranker that is made from little, and few versions.
const SETTINGS: [(&str, &str); 4] = [
    ("SONA_RANKER_LEAST_CHOICES", "50"),
    ("SONA_RANKER_SHARE", "0.5"),
    ("SONA_RANKER_TREES", "0"),
    ("SONA_ADAPTERS_KEEP_VERSIONS", "2"),
];

/// Every version ever seen, by user and number.
type Versions = BTreeMap<(String, i64), Vec<u8>>;

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_adapters_are_written() {
    for backend in backends() {
        let mut place = Place::new(backend).await;
        for (name, value) in SETTINGS {
            place.folder = place.folder.with(name, value);
        }
        let (mut sona, mut api) = place.serve();
        put_catalogue(&api).await;
        put_past(&api).await;
        place.train();
        place.folder.sona(&["train", "ranker"]).expect(0);
        until("adapters", async || list(&api, &name(0)).await["adapter"].is_object()).await;
        let store = sona_store::open(&place.database.url).await.expect("a database");
        let mut seen = Versions::new();
        for (round, written) in WRITTEN.into_iter().enumerate() {
            let clients = burst(&api, steps(round));
            until("written versions", async || versions_saved(&api).await >= written).await;
            sona.kill();
            clients.join_all().await;
            (sona, api) = place.serve();
            check(&api, &store, &mut seen).await;
        }
        // Whoever is asked to end writes what waits.
        burst(&api, steps(WRITTEN.len())).join_all().await;
        assert_eq!(sona.terminate(), Some(0));
        let (_sona, api) = place.serve();
        check(&api, &store, &mut seen).await;
        let users = seen.keys().map(|(user, _)| user).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(users.len(), USERS, "everybody has one");
        store.close().await;
    }
}

fn steps(round: usize) -> Range<usize> {
    let from = PAST + round * STEPS;
    from..from + STEPS
}

fn name(user: usize) -> String {
    format!("walker-{user}")
}

/// Half of the users go through the titles one after the other, the others in strides.
fn watched(user: usize, step: usize) -> Value {
    let start = user * 7 + user / 6;
    let place = if user.is_multiple_of(2) { start + step } else { start + step * 4 + step / 20 };
    json!({"event_id": format!("w-{user}-{step}"), "user_id": name(user),
        "content_id": title(place), "event_type": "watch", "completion_rate": 1.0})
}

/// What happened before: one event a minute.
async fn put_past(api: &Api) {
    let at = |n: usize| Timestamp::from_seconds(1_750_000_000 + 60 * n as i64).to_string();
    let event = |step: usize, user: usize| {
        let mut event = watched(user, step);
        event["timestamp"] = at(step * USERS + user).into();
        event
    };
    let events: Vec<Value> =
        (0..PAST).flat_map(|step| (0..USERS).map(move |user| event(step, user))).collect();
    let (status, answer) = api.post("/api/v1/events/track", &events.into()).await;
    assert_eq!(status, 200, "{answer}");
}

/// Clients that send what users do next, one event after the other, until the server is gone.
fn burst(api: &Api, steps: Range<usize>) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (api, steps) = (api.clone(), steps.clone());
        clients.spawn(async move {
            for step in steps {
                for user in (client..USERS).step_by(CLIENTS) {
                    match api.try_post("/api/v1/events/track", &watched(user, step)).await {
                        Ok((status, answer)) => assert_eq!(status, 200, "{answer}"),
                        Err(_) => return,
                    }
                }
            }
        });
    }
    clients
}

/// A user's list, with what is said of it.
async fn list(api: &Api, user: &str) -> Value {
    let body = json!({"user_id": user, "limit": 10});
    let (status, answer) = api.post("/api/v1/recommendations", &body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Versions the serving process has written.
async fn versions_saved(api: &Api) -> u64 {
    let (status, report) = api.get("/api/v1/adapters/report").await;
    assert_eq!(status, 200, "{report}");
    report["resident"]["versions_saved"].as_u64().unwrap_or_else(|| panic!("{report}"))
}

/// Everybody's stored versions are whole, and what is served is the last of them.
async fn check(api: &Api, store: &Arc<dyn Store>, seen: &mut Versions) {
    for user in (0..USERS).map(name) {
        let events = check_stored(store, &user, seen).await;
        let answer = list(api, &user).await;
        assert_eq!(ids(&answer).len(), 10, "{answer}");
        let adapter = &answer["adapter"];
        assert_eq!(adapter["events"], events, "{user} is served what is stored: {adapter}");
        let states = ["learning", "served", "held_back"];
        assert!(states.contains(&adapter["state"].as_str().expect("a state")), "{adapter}");
    }
}

/// A user's versions against those seen before; the events that the served one rests on.
async fn check_stored(store: &Arc<dyn Store>, user: &str, seen: &mut Versions) -> u64 {
    let (id, adapter) = (UserId::new(user).expect("an id"), AdapterName::default());
    let listed = store.adapters(&id, None, None, 100).await.expect("read");
    // A kill between a save and dropping what is old leaves one more.
    assert!(listed.len() <= KEPT + 1, "{listed:#?}");
    let highest = seen.range((user.to_owned(), 0)..=(user.to_owned(), i64::MAX)).next_back();
    let highest = highest.map_or(0, |((_, version), _)| *version);
    let newest = listed.iter().map(|stored| stored.about.version).max();
    assert!(newest.unwrap_or(0) >= highest, "{user}: version {highest} is gone");
    for Adapter { about, weights: bytes } in &listed {
        let version = about.version;
        let weights = UserWeights::decode(bytes);
        let weights = weights.unwrap_or_else(|why| panic!("{user}, version {version}: {why}"));
        assert_eq!((weights.iterations, weights.base_version), (about.training_iterations, 1));
        let before = seen.insert((user.to_owned(), version), bytes.clone());
        assert!(before.is_none_or(|before| before == *bytes), "{user}: {version} changed");
        assert_eq!(about.is_served, Some(version) == newest, "{listed:#?}");
    }
    let served = store.served_adapter(&id, &adapter).await.expect("read");
    assert_eq!(served.as_ref().map(|served| served.about.version), newest, "{user}");
    served.map_or(0, |served| served.about.training_iterations)
}
