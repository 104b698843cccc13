//! Key sets: chosen by key id, rotated without a restart, fetched no more often than the cool-down allows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::{Value, json};
use sona_server::IdentityOptions;
use sona_testkit::{Backend, TestServer};

use crate::tokens::{Key, claims, key_bytes, sign, whose};
use crate::until;

const ED: Key<'_> = Key::Ed25519("ed25519.pem");
const OTHER: Key<'_> = Key::Ed25519("ed25519-other.pem");
const RSA: Key<'_> = Key::Rsa("rsa.pem");

/// An issuer's key set on a port of its own.
#[derive(Clone, Default)]
struct Issuer {
    set: Arc<Mutex<String>>,
    fetches: Arc<AtomicUsize>,
    url: String,
}

impl Issuer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("bound"));
        let issuer = Self { url, ..Self::default() };
        let routes = Router::new().route("/keys", get(Self::answer)).with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        issuer
    }

    #[expect(clippy::unused_async, reason = "handlers are async")]
    async fn answer(State(issuer): State<Self>) -> (StatusCode, String) {
        issuer.fetches.fetch_add(1, Ordering::SeqCst);
        match &*issuer.set.lock().expect("not poisoned") {
            set if set.is_empty() => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
            set => (StatusCode::OK, set.clone()),
        }
    }

    /// From now on these keys; none: an error.
    fn offer(&self, names: &[&str]) {
        let set = if names.is_empty() { String::new() } else { set(names).to_string() };
        *self.set.lock().expect("not poisoned") = set;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    async fn server(&self) -> TestServer {
        let jwks = self.url.clone();
        let identity = IdentityOptions { jwks, ..IdentityOptions::default() };
        TestServer::with_identity(Backend::Sqlite, identity).await
    }
}

fn set(names: &[&str]) -> Value {
    let key = |name: &&str| {
        serde_json::from_slice(&key_bytes(&format!("{name}.jwk.json"))).expect("a key")
    };
    json!({"keys": names.iter().map(key).collect::<Vec<Value>>()})
}

async fn holds(server: &TestServer, key: Key<'_>, key_id: Option<&str>) -> bool {
    let token = sign(server, key, key_id, &claims(server, "ada"));
    let found = whose(server, &token).await;
    found.is_ok_and(|user| user == "ada")
}

#[tokio::test]
async fn keys_are_chosen_by_their_ids() {
    let issuer = Issuer::start().await;
    issuer.offer(&["ed25519", "ed25519-other", "rsa"]);
    let server = issuer.server().await;
    for (key, id) in [(ED, "ed"), (OTHER, "other"), (RSA, "rsa")] {
        assert!(holds(&server, key, Some(id)).await, "{id}");
    }
    assert!(!holds(&server, ED, Some("other")).await, "another key's signature");
    assert!(!holds(&server, RSA, Some("ed")).await, "another algorithm's key");
    // Without an id only a key that is the one of its algorithm can be meant.
    assert!(holds(&server, RSA, None).await);
    assert!(!holds(&server, ED, None).await);
    assert_eq!(issuer.fetches(), 1, "within the cool-down nothing is fetched again");
}

#[tokio::test]
async fn a_new_key_is_fetched_once_per_cool_down() {
    let issuer = Issuer::start().await;
    issuer.offer(&["ed25519"]);
    let server = issuer.server().await;
    assert!(holds(&server, ED, Some("ed")).await);
    issuer.offer(&["ed25519", "ed25519-other"]);
    // A flood of made-up ids, and one good one, within the cool-down of the first fetch.
    for n in 0..20 {
        assert!(!holds(&server, OTHER, Some(&format!("made-up-{n}"))).await);
    }
    assert!(!holds(&server, OTHER, Some("other")).await);
    assert_eq!(issuer.fetches(), 1);
    server.clock.advance(30);
    assert!(holds(&server, OTHER, Some("other")).await);
    for n in 0..20 {
        assert!(!holds(&server, OTHER, Some(&format!("made-up-{n}"))).await);
    }
    assert!(holds(&server, ED, Some("ed")).await, "the old key stays good");
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn many_who_wait_for_one_key_share_a_fetch() {
    let issuer = Issuer::start().await;
    issuer.offer(&["ed25519"]);
    let server = issuer.server().await;
    issuer.offer(&["ed25519-other"]);
    server.clock.advance(30);
    let asked = (0..10).map(|_| holds(&server, OTHER, Some("other")));
    for asked in futures(asked).await {
        assert!(asked);
    }
    assert_eq!(issuer.fetches(), 2);
}

async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = all.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in pending.iter_mut().filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(output) = future.as_mut().poll(context) {
                *done = Some(output);
            }
        }
        let ready = pending.iter().all(|(_, done)| done.is_some());
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    pending.into_iter().filter_map(|(_, done)| done).collect()
}

#[tokio::test]
async fn the_last_good_keys_stay_while_the_issuer_fails() {
    let issuer = Issuer::start().await;
    issuer.offer(&["ed25519"]);
    let server = issuer.server().await;
    issuer.offer(&[]);
    for round in 0..5 {
        server.clock.advance(700);
        assert!(holds(&server, ED, Some("ed")).await, "round {round}");
        assert!(!holds(&server, OTHER, Some("other")).await);
    }
    *issuer.set.lock().expect("not poisoned") = "{\"keys\": []}".to_owned();
    server.clock.advance(700);
    assert!(!holds(&server, OTHER, Some("other")).await);
    assert!(holds(&server, ED, Some("ed")).await, "an empty set is no set");
}

#[tokio::test]
async fn a_key_taken_out_of_the_set_ends_with_the_next_refresh() {
    let issuer = Issuer::start().await;
    issuer.offer(&["ed25519", "ed25519-other"]);
    let server = issuer.server().await;
    assert!(holds(&server, ED, Some("ed")).await);
    issuer.offer(&["ed25519-other"]);
    server.clock.advance(600);
    // This one starts the refresh and is not kept waiting by it.
    assert!(holds(&server, OTHER, Some("other")).await);
    until(async || issuer.fetches() == 2 && !holds(&server, ED, Some("ed")).await).await;
    assert!(holds(&server, OTHER, Some("other")).await);
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_server_starts_without_its_issuer_and_finds_it_later() {
    let issuer = Issuer::start().await;
    let server = issuer.server().await;
    assert!(!holds(&server, ED, Some("ed")).await);
    issuer.offer(&["ed25519"]);
    server.clock.advance(30);
    assert!(holds(&server, ED, Some("ed")).await);
}

#[tokio::test]
async fn a_set_in_a_file_rotates_too() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs_err::write(file.path(), set(&["ed25519"]).to_string()).expect("written");
    let jwks = file.path().display().to_string();
    let identity = IdentityOptions { jwks, ..IdentityOptions::default() };
    let server = TestServer::with_identity(Backend::Sqlite, identity).await;
    assert!(holds(&server, ED, Some("ed")).await);
    fs_err::write(file.path(), set(&["rsa"]).to_string()).expect("written");
    server.clock.advance(30);
    assert!(holds(&server, RSA, Some("rsa")).await);
    assert!(!holds(&server, ED, Some("ed")).await);
}

/// Keys that are not for this are passed over, and with them a secret that everybody can read.
#[tokio::test]
async fn only_public_signature_keys_are_taken() {
    let issuer = Issuer::start().await;
    let mut keys = set(&["ed25519", "rsa"]);
    keys["keys"][0]["use"] = "enc".into();
    let shared = json!({"kty": "oct", "kid": "shared", "k": "c2hhcmVk", "alg": "HS256"});
    let odd = json!({"kty": "EC", "crv": "P-256", "kid": "ec", "x": "AA", "y": "AA"});
    keys["keys"].as_array_mut().expect("keys").extend([shared, odd, json!(7), json!({})]);
    *issuer.set.lock().expect("not poisoned") = keys.to_string();
    let server = issuer.server().await;
    assert!(holds(&server, RSA, Some("rsa")).await);
    assert!(!holds(&server, ED, Some("ed")).await, "a key for encryption");
    assert!(!holds(&server, Key::Secret(b"shared"), Some("shared")).await);
}

#[tokio::test]
async fn a_key_set_out_of_bounds_is_refused() {
    let issuer = Issuer::start().await;
    let many = json!({"keys": vec![set(&["ed25519"])["keys"][0].clone(); 101]}).to_string();
    let padding = format!("{{\"x\": \"{}\", \"keys\": []}}", "x".repeat(300_000));
    for set in [many, padding, "[]".to_owned(), "no JSON".to_owned()] {
        *issuer.set.lock().expect("not poisoned") = set;
        let server = issuer.server().await;
        assert!(!holds(&server, ED, Some("ed")).await);
    }
}
