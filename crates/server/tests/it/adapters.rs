//! `/api/v1/users/{user_id}/adapters`, `/api/v1/lora/train` and `/api/v1/adapters/report`.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use sona_domain::{
    AdapterName, AdapterOrigin, Content, ContentId, EventDraft, EventType, NewAdapter, Timestamp,
    UserId,
};
use sona_engine::Options;
use sona_store::{Parent, Saved};
use sona_testkit::{Answer, Backend, TestServer, backends};

use crate::openapi::{conform, document};
use crate::{code, list, until};

const TITLES: usize = 60;
const USERS: usize = 50;

/// Whether a route answers only where adapters are learned.
pub(crate) fn needs_a_ranker(path: &str) -> bool {
    ["/api/v1/lora/train", "/export", "/import"].iter().any(|end| path.ends_with(end))
}

/// Three versions of a user's adapter, the last of them served, in place of all they had; the number of the first.
pub(crate) async fn put_versions(server: &TestServer, user: &str) -> i64 {
    let (store, user_id) = (server.another_store().await, UserId::new(user).expect("an id"));
    let now = Timestamp::from_seconds(1_800_000_000);
    if store.user_created_at(&user_id).await.expect("read").is_none() {
        let event = json!({"user_id": user, "content_id": "title-1", "event_type": "watch"});
        // Where the title is gone another one is there.
        let other = json!({"user_id": user, "content_id": "title-2", "event_type": "watch"});
        if server.post("/api/v1/events/track", &event).await.0 != 200 {
            assert_eq!(server.post("/api/v1/events/track", &other).await.0, 200);
        }
    }
    store.opt_in_to_adapters(&user_id, now).await.expect("opted in");
    store.delete_adapters(&user_id, now).await.expect("deleted");
    let new = NewAdapter {
        user_id,
        adapter_name: AdapterName::default(),
        base_version: 1,
        origin: AdapterOrigin::Imported,
        training_iterations: 12,
        weights: weights(),
    };
    let mut first = None;
    for _ in 0..3 {
        let saved = store.save_adapter(&new, Parent::Any, now).await.expect("answered");
        let Saved::Version(version) = saved else { panic!("{saved:?}") };
        first = first.or(Some(version));
    }
    store.close().await;
    first.expect("saved")
}

/// A file of rank 2 in two contexts.
fn weights() -> Vec<u8> {
    let n = 4;
    let weights = sona_formats::adapters::UserWeights {
        base_version: 1,
        rank: 2,
        outputs: 2,
        scale: 4.0,
        iterations: 12,
        learned: sona_formats::adapters::Learned::Lists {
            solution: vec![0.25; n],
            precision: vec![0.5; n * (n + 1) / 2],
            right: vec![0.5; n],
            gain: 1.5,
            unsolved: 0,
        },
    };
    weights.encode().expect("well formed")
}

/// Half of the users go through the titles one after the other, the others jump about within one genre.
fn step_of(user: usize, step: usize) -> EventDraft {
    let start = user * 7 + user / 6;
    let title = if user.is_multiple_of(2) { start + step } else { start + step * step * 4 };
    let first = Timestamp::parse("2025-12-28T00:00:00Z").expect("a time");
    EventDraft {
        event_id: None,
        user_id: UserId::new(format!("u{user}")).expect("an id"),
        content_id: ContentId::new(format!("t{}", title % TITLES)).expect("an id"),
        event_type: EventType::new("watch").expect("a type"),
        completion_rate: Some(1.0),
        rating: None,
        is_rewatch: false,
        dismissed: false,
        context: None,
        recommendation_id: None,
        timestamp: Some(first.plus_seconds(((step * USERS + user) * 60) as i64)),
    }
}

/// A server where users have adapters.
async fn adapting(backend: Backend) -> TestServer {
    let mut options = Options::default();
    (options.als.factors, options.als.iterations) = (8, 6);
    // Two choices of every user are replayed: too few to begin with an adapter.
    (options.ranker.least_choices, options.ranker.share, options.ranker.trees) = (50, 0.25, 0);
    let server = TestServer::with_engine(backend, options).await;
    let genre = |n: usize| ["even", "odd", "other", "last"][n % 4].to_owned();
    let titles: Vec<_> = (0..TITLES)
        .map(|n| Content {
            genres: vec![genre(n)],
            ..Content::new(ContentId::new(format!("t{n}")).expect("an id"), format!("Title {n}"))
        })
        .collect();
    server.engine.put_content(&titles).await.expect("written");
    let steps = (0..8).flat_map(|step| (0..USERS).map(move |user| step_of(user, step)));
    server.engine.track(steps.collect()).await.expect("tracked");
    server.train().await;
    let job = server.engine.submit_ranker_training().await.expect("submitted");
    let report = Arc::new(|_| {});
    server.engine.run_training("test", Some(&job), report).await.expect("trained");
    assert_eq!(server.engine.stats().base_layer_version, Some(1));
    server
}

async fn go_on(server: &TestServer, user: usize, steps: std::ops::Range<usize>) {
    for step in steps {
        server.engine.track(vec![step_of(user, step)]).await.expect("tracked");
    }
}

fn of(user: &str, rest: &str) -> String {
    format!("/api/v1/users/{user}/adapters{rest}")
}

/// The numbers of a user's versions, newest first.
async fn versions(server: &TestServer, user: &str) -> Vec<i64> {
    let (status, body) = server.get(&of(user, "")).await;
    assert_eq!(status, 200, "{body}");
    let adapters = body["adapters"].as_array().expect("a list");
    adapters.iter().map(|version| version["version"].as_i64().expect("a number")).collect()
}

async fn send(server: &TestServer, method: Method, path: &str) -> (u16, Value) {
    Answer::to(server.request(method, path)).await.json()
}

async fn export(server: &TestServer, user: &str) -> Vec<u8> {
    let request = server.request(Method::GET, &of(user, "/default/export"));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/x-tar");
    answer.bytes().await.expect("a body").to_vec()
}

async fn import(server: &TestServer, path: &str, tar: Vec<u8>) -> (u16, Value) {
    let request = server.request(Method::POST, path).header("content-type", "application/x-tar");
    Answer::to(request.body(tar)).await.json()
}

#[tokio::test]
async fn versions_are_listed_page_by_page_and_read() {
    for backend in backends() {
        let server = crate::checkerboard(backend).await;
        let (status, body) = server.get(&of("user-1", "")).await;
        assert_eq!((status, body), (200, json!({"user_id": "user-1", "adapters": []})));
        let first = put_versions(&server, "user-1").await;
        let (_, page) = server.get(&of("user-1", "?limit=2&name=default")).await;
        let next = page["next"].as_str().expect("there is more");
        let (_, last) = server.get(&of("user-1", &format!("?limit=2&after={next}"))).await;
        let oldest = &last["adapters"][0];
        let facts = ["version", "rank", "gain", "training_iterations"].map(|key| &oldest[key]);
        assert_eq!(facts, [&json!(first), &json!(2), &json!(1.5), &json!(12)]);
        assert_eq!(
            (last["adapters"].as_array().map(Vec::len), &last["next"]),
            (Some(1), &Value::Null)
        );
        assert_eq!(server.get(&of("user-1", "?name=other")).await.1["adapters"], json!([]));
        let (status, served) = server.get(&of("user-1", "/default")).await;
        assert_eq!(
            (status, &served["version"], &served["is_served"]),
            (200, &json!(first + 2), &json!(true))
        );
        let facts = json!([served["rank"], served["contexts"], served["scale"], served["gain"]]);
        assert_eq!(facts, json!([2, 2, 4.0, 1.5]));
        assert_eq!(
            (&served["origin"], &served["parent_version"]),
            (&json!("imported"), &json!(first + 1))
        );
        let (status, other) =
            server.get(&of("user-1", &format!("/default/versions/{first}"))).await;
        assert_eq!((status, &other["is_served"]), (200, &json!(false)));
        for (path, expected) in [
            ("/default/versions/99", (404, "unknown-adapter")),
            ("/other", (404, "unknown-adapter")),
            ("/default/versions/0", (422, "invalid-request")),
            ("/a%20b", (422, "invalid-request")),
            ("?after=x", (422, "invalid-request")),
            ("?limit=0", (422, "invalid-request")),
            ("?nmae=x", (422, "invalid-request")),
        ] {
            let (status, problem) = server.get(&of("user-1", path)).await;
            assert_eq!((status, code(&problem)), expected, "{path}: {problem}");
        }
    }
}

#[tokio::test]
async fn versions_are_served_pinned_and_deleted() {
    for backend in backends() {
        let server = crate::checkerboard(backend).await;
        let first = put_versions(&server, "user-1").await;
        let (second, third) = (first + 1, first + 2);
        let back = of("user-1", "/default/rollback");
        let (status, problem) =
            send(&server, Method::POST, &format!("{back}?served={first}")).await;
        assert_eq!((status, code(&problem)), (409, "adapter-conflict"));
        assert_eq!(problem["served_version"], third);
        let (status, done) = send(&server, Method::POST, &format!("{back}?served={third}")).await;
        assert_eq!((status, &done["served_version"]), (200, &json!(second)));
        let version =
            |number: i64, rest: &str| of("user-1", &format!("/default/versions/{number}{rest}"));
        let (status, _) = send(&server, Method::POST, &version(first, "/serve")).await;
        assert_eq!(status, 200);
        let (status, problem) = send(&server, Method::POST, &back).await;
        assert_eq!((status, code(&problem)), (409, "no-version-before"));
        let (status, problem) = send(&server, Method::POST, &version(99, "/serve")).await;
        assert_eq!((status, code(&problem)), (404, "unknown-adapter"));
        assert_eq!(send(&server, Method::PUT, &version(second, "/pin")).await.0, 200);
        for kept in [first, second] {
            let (status, problem) = server.delete(&version(kept, "")).await;
            assert_eq!((status, code(&problem)), (409, "adapter-kept"), "{problem}");
        }
        assert_eq!(server.delete(&version(second, "/pin")).await.0, 200);
        assert_eq!(server.delete(&version(second, "")).await.1["deleted"], 1);
        assert_eq!(versions(&server, "user-1").await, [third, first]);
        assert_eq!(server.delete(&of("user-1", "/default")).await.1["deleted"], 2);
        put_versions(&server, "user-1").await;
        assert_eq!(server.delete(&of("user-1", "")).await.1["deleted"], 3);
        assert_eq!(versions(&server, "user-1").await, [0; 0]);
    }
}

#[tokio::test]
async fn what_is_done_elsewhere_is_served_within_a_moment() {
    for backend in backends() {
        let server = adapting(backend).await;
        go_on(&server, 0, 8..13).await;
        let learned = list(&server, "u0", 3).await["adapter"]["events"].as_u64();
        assert!(learned > Some(0), "{learned:?}");
        let store = server.another_store().await;
        let user = UserId::new("u0").expect("an id");
        let reset = sona_engine::AdapterCommand::Reset;
        let now = Timestamp::from_seconds(1_800_000_000);
        sona_engine::handle_stored(&*store, &user, reset, now).await.expect("done");
        let began = std::time::Instant::now();
        until(async || list(&server, "u0", 3).await["adapter"]["events"] == 0).await;
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn who_opts_out_is_told_so_in_every_list() {
    let mut server = adapting(Backend::Sqlite).await;
    go_on(&server, 0, 8..10).await;
    let out = "/api/v1/users/u0/adapter-opt-out";
    assert_eq!(send(&server, Method::PUT, out).await.0, 200);
    let opted_out = json!({"state": "opted_out", "events": 0, "gain": 0.0});
    assert_eq!(list(&server, "u0", 3).await["adapter"], opted_out);
    assert!(server.get(&of("u0", "")).await.1["opted_out_at"].is_string());
    server.restart().await;
    go_on(&server, 0, 10..12).await;
    assert_eq!(list(&server, "u0", 3).await["adapter"], opted_out);
    let (status, problem) = server.post("/api/v1/lora/train", &json!({"user_id": "u0"})).await;
    assert_eq!((status, code(&problem)), (409, "opted-out"));
    assert_eq!(server.delete(out).await.0, 200);
    assert_eq!(list(&server, "u0", 3).await["adapter"]["state"], "learning");
}

#[tokio::test]
async fn an_adapter_is_trained_on_request() {
    for backend in backends() {
        let server = adapting(backend).await;
        let train = "/api/v1/lora/train";
        let (status, problem) = server.post(train, &json!({"user_id": "u0"})).await;
        assert_eq!((status, code(&problem)), (400, "too-few-events"));
        assert_eq!(problem["current_count"], 8);
        let (status, trained) = server.post(train, &json!({"user_id": "u0", "force": true})).await;
        assert_eq!(status, 200, "{trained}");
        let schema = json!({"$ref": "#/components/schemas/AdapterTraining"});
        conform(&document(&server).await, &schema, &trained, train);
        let facts =
            json!([trained["status"], trained["events_used"], trained["training_iterations"]]);
        assert_eq!(facts, json!(["training_completed", 8, 8]));
        assert_eq!(list(&server, "u0", 3).await["adapter"]["events"], 8);
        go_on(&server, 0, 8..12).await;
        let (status, trained) = server.post(train, &json!({"user_id": "u0"})).await;
        assert_eq!((status, &trained["events_used"]), (200, &json!(12)));
        // It is in memory once its user comes.
        assert_eq!(list(&server, "u0", 3).await["adapter"]["events"], 12);
        let report = server.get("/api/v1/adapters/report").await.1;
        assert_eq!(report["stored"]["unique_users"], 1);
        let held = &report["resident"];
        assert_eq!(
            held["served"].as_u64().unwrap_or(0) + held["held_back"].as_u64().unwrap_or(0),
            1
        );
        let (status, problem) = server.post(train, &json!({"user_id": "u0", "froce": true})).await;
        assert_eq!((status, code(&problem)), (422, "invalid-request"));
    }
    let plain = crate::checkerboard(Backend::Sqlite).await;
    let (status, problem) = plain.post("/api/v1/lora/train", &json!({"user_id": "user-1"})).await;
    assert_eq!((status, code(&problem)), (409, "adapters-not-ready"), "{problem}");
}

#[tokio::test]
async fn an_exported_adapter_is_taken_in_bit_by_bit() {
    for backend in backends() {
        let server = adapting(backend).await;
        go_on(&server, 0, 8..12).await;
        let trained = server.post("/api/v1/lora/train", &json!({"user_id": "u0"})).await;
        assert_eq!(trained.0, 200);
        let tar = export(&server, "u0").await;
        let place = of("u2", "/default/import");
        let (status, done) = import(&server, &place, tar.clone()).await;
        assert_eq!((status, &done["served_version"]), (200, &json!(1)), "{done}");
        assert_eq!(list(&server, "u2", 3).await["adapter"]["events"], 12);
        assert!(export(&server, "u2").await == tar, "bit by bit");
        let (status, problem) = import(&server, &format!("{place}?served=7"), tar.clone()).await;
        assert_eq!((status, code(&problem)), (409, "adapter-conflict"));
        assert_eq!(problem["served_version"], 1);
        let (status, problem) =
            import(&server, &of("nobody", "/default/import"), tar.clone()).await;
        assert_eq!((status, code(&problem)), (404, "unknown-user"));
        let (status, problem) = import(&server, &place, tar[..tar.len() / 3].to_vec()).await;
        assert_eq!((status, code(&problem)), (422, "unfit-adapter"), "{problem}");
        // On another base layer it is carried over.
        let job = server.engine.submit_base_layer_training().await.expect("submitted");
        let report = Arc::new(|_| {});
        server.engine.run_training("test", Some(&job), report).await.expect("trained");
        let (status, done) = import(&server, &place, tar).await;
        assert_eq!((status, &done["served_version"]), (200, &json!(2)), "{done}");
        assert_eq!(list(&server, "u2", 3).await["adapter"]["events"], 12);
        // Where its base layer never was its numbers mean nothing.
        let trained = server.post("/api/v1/lora/train", &json!({"user_id": "u0"})).await;
        assert_eq!(trained.0, 200);
        let stranger = export(&server, "u0").await;
        let elsewhere = adapting(backend).await;
        let (status, problem) = import(&elsewhere, &place, stranger).await;
        assert_eq!((status, code(&problem)), (422, "unfit-adapter"));
        assert!(problem["detail"].as_str().expect("why").contains("base layer 2"), "{problem}");
    }
}
