//! Whatever is sent: the server never fails, and what is refused is a problem.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::{Map, Value, json};
use sona_testkit::{Answer, Backend, TestServer, World, backends};
use tokio::runtime::Runtime;

use crate::checkerboard;
use crate::tokens::{end_user, secret_server};

/// Bodies per run; each is sent to one URL.
const CASES: u32 = 400;

const URLS: [(Method, &str); 12] = [
    (Method::POST, "/api/v1/recommendations"),
    (Method::POST, "/api/v1/personalization/score"),
    (Method::POST, "/api/v1/profile/update"),
    (Method::POST, "/api/v1/events/track"),
    (Method::POST, "/api/v1/content"),
    (Method::POST, "/api/v1/content/bulk"),
    (Method::POST, "/api/v1/embeddings/bulk"),
    (Method::POST, "/api/v1/users/bulk"),
    (Method::PUT, "/api/v1/users/user-1"),
    (Method::PUT, "/api/v1/content/title-1"),
    (Method::PATCH, "/api/v1/content/title-1"),
    (Method::POST, "/api/v1/lora/train"),
];

const FIELDS: [&str; 23] = [
    "user_id",
    "force",
    "content_id",
    "content_ids",
    "recommendation_id",
    "event_type",
    "completion_rate",
    "rating",
    "timestamp",
    "event_id",
    "context",
    "limit",
    "exclude",
    "viewing_events",
    "dismissed",
    "title",
    "year",
    "genres",
    "credits",
    "person_name",
    "role_type",
    "available_from",
    "mood",
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "user-1",
            "title-1",
            "watch",
            "rate",
            "2025-01-01T00:00:00Z",
            "+262000-01-01T00:00:00Z",
            "-009999-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "\u{0}",
            "director",
            "happy",
            "tv",
        ])
        .prop_map(Value::from),
        prop::sample::select(vec![json!(0.5), json!(1), json!(5), json!(1e300), json!(-0.0)]),
    ]
}

fn body() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 48, 8, |inner| {
        let field = prop::sample::select(FIELDS.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((field, inner), 0..12)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A valid body of each URL, to be damaged a little: random ones rarely get past the first check.
fn valid(url: usize) -> Value {
    let viewing = json!({"content_id": "title-2", "rating": 3, "completion_rate": 0.4});
    match url {
        0 => {
            json!({"user_id": "user-1", "limit": 3, "exclude": ["title-1"], "context": {"mood": "sad"}})
        }
        1 => json!({"user_id": "user-1", "viewing_events": [viewing]}),
        2 => {
            json!({"user_id": "user-1", "content_id": "title-2", "event_type": "watch", "context": {}})
        }
        7 => json!([{"user_id": "user-3", "age_range": "25-34", "genres": ["Drama"]}]),
        8 => json!({"user_id": "user-1", "region": "DE"}),
        4 => json!([{"content_id": "title-3", "title": "T", "genres": ["Drama"]}]),
        _ => json!({"content_id": "title-1", "title": "T", "year": 1999, "credits": []}),
    }
}

fn damaged(url: usize) -> impl Strategy<Value = Vec<u8>> {
    let replaced =
        (prop::sample::select(FIELDS.to_vec()), leaf()).prop_map(move |(field, value)| {
            let mut body = valid(url);
            let entry = if body.is_array() { &mut body[0] } else { &mut body };
            entry[field] = value;
            body.to_string().into_bytes()
        });
    let flipped = (any::<prop::sample::Index>(), any::<u8>()).prop_map(move |(at, byte)| {
        let mut bytes = valid(url).to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    prop_oneof![3 => replaced, 1 => flipped]
}

fn sent() -> impl Strategy<Value = (usize, Vec<u8>, Option<&'static str>)> {
    let kinds =
        vec![Some("application/json"), Some("application/x-ndjson"), Some("text/plain"), None];
    (0..URLS.len(), prop::sample::select(kinds)).prop_flat_map(|(url, kind)| {
        let bytes = prop_oneof![
            3 => body().prop_map(|body| body.to_string().into_bytes()),
            4 => damaged(url),
            1 => prop::collection::vec(any::<u8>(), 0..64),
        ];
        (Just(url), bytes, Just(kind))
    })
}

#[test]
fn no_body_makes_the_server_fail() {
    backends().into_iter().for_each(fuzz);
}

fn fuzz(backend: Backend) {
    let runtime = runtime();
    let server = runtime.block_on(checkerboard(backend));
    send(&runtime, &server, None);
    let (status, _) = runtime.block_on(server.get("/health/ready"));
    assert_eq!(status, 200);
}

/// Whatever an end user sends, nobody else's events change and no user comes into being.
#[test]
fn no_end_user_writes_for_anybody_else() {
    let runtime = runtime();
    let server = runtime.block_on(secret_server());
    runtime.block_on(server.populate(World::new(10)));
    let token = end_user(&server, World::user(1).as_str());
    let events = async || {
        let mut counts = Vec::new();
        for user in (0..10).filter(|user| *user != 1).map(World::user) {
            let profile = server.engine.profile(&user).await.expect("read");
            counts.push(profile.map(|profile| profile.interaction_count));
        }
        (counts, server.another_store().await.count_users().await.expect("read"))
    };
    let before = runtime.block_on(events());
    send(&runtime, &server, Some(&token));
    assert_eq!(runtime.block_on(events()), before);

    // The token is good all the same: its user's own event is taken, and changes nobody else's.
    let own = json!({"content_id": World::title(0).as_str(), "event_type": "click"});
    let own = server.request(Method::POST, "/api/v1/events/track").bearer_auth(&token).json(&own);
    assert_eq!(runtime.block_on(Answer::to(own)).status, 200);
    assert_eq!(runtime.block_on(events()), before);
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// Sends bodies, each to one URL.
fn send(runtime: &Runtime, server: &TestServer, token: Option<&str>) {
    let mut runner =
        TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&sent(), |(url, bytes, kind)| {
        let (method, path) = URLS[url].clone();
        let mut request = server.request(method, path).body(bytes);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = runtime.block_on(Answer::to(request));
        prop_assert!(answer.status < 500, "{path}: {} {}", answer.status, answer.text);
        let kind = answer.header("content-type");
        let expected =
            if answer.status < 400 { "application/json" } else { "application/problem+json" };
        prop_assert_eq!(kind, expected, "{}: {}", path, answer.text);
        Ok(())
    });
    outcome.expect("no body makes the server fail");
}
