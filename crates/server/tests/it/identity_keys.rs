//! API keys: taken from the moment they are made to the moment they end, on every process.

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use sona_domain::{Clock as _, Scopes, Timestamp};
use sona_server::IdentityOptions;
use sona_server::identity::api_key;
use sona_testkit::{Answer, Backend, TestServer, backends};

use crate::until;

/// A server that believes API keys alone.
async fn server(backend: Backend) -> TestServer {
    let identity = IdentityOptions { required: true, ..IdentityOptions::default() };
    TestServer::with_identity(backend, identity).await
}

/// Makes a key as another process does; returns its id and its text.
async fn make(
    server: &TestServer,
    seed: u8,
    scopes: &str,
    expires_at: Option<Timestamp>,
) -> (String, String) {
    let random = std::array::from_fn(|n| seed.wrapping_mul(31).wrapping_add(n as u8));
    let (scopes, now) = (Scopes::among(scopes), server.clock.now());
    let (key, text) = api_key::issue(&random, "a test".to_owned(), scopes, now, expires_at);
    let store = server.another_store().await;
    assert!(store.create_key(&key).await.expect("created"));
    store.close().await;
    server.engine.follow().await.expect("followed");
    (key.key_id, text)
}

fn ask(server: &TestServer) -> RequestBuilder {
    server.request(Method::POST, "/api/v1/recommendations").json(&json!({"user_id": "ada"}))
}

/// Status and detail of what a key's holder is told.
async fn told(server: &TestServer, key: &str) -> (u16, String) {
    let (status, body) = Answer::to(ask(server).bearer_auth(key)).await.json();
    (status, body["detail"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_say() {
    for backend in backends() {
        let server = server(backend).await;
        let (_, key) = make(&server, 1, "recommendations:read", None).await;
        assert_eq!(told(&server, &key).await.0, 200);
        assert_eq!(Answer::to(ask(&server).header("x-api-key", &key)).await.status, 200);
        let event = json!({"user_id": "ada", "content_id": "c", "event_type": "like"});
        let event = server.request(Method::POST, "/api/v1/events/track").json(&event);
        let answer = Answer::to(event.bearer_auth(&key)).await;
        assert_eq!(answer.status, 403);
        let challenge = answer.header("www-authenticate");
        assert!(challenge.ends_with("scope=\"events:write\""), "{challenge}");
    }
}

#[tokio::test]
async fn a_wrong_key_tells_nothing() {
    let server = server(Backend::Sqlite).await;
    let (id, key) = make(&server, 1, "recommendations:read", None).await;
    let secret = key.rsplit_once('_').expect("a secret").1;
    let flipped = format!("{}{}", &secret[..63], if secret.ends_with('0') { '1' } else { '0' });
    let unknown = told(&server, &format!("sona_0000000000000000_{secret}")).await;
    assert_eq!(unknown, (401, "there is no such API key".to_owned()));
    for wrong in [
        format!("sona_{id}_{flipped}"),
        format!("sona_{id}_"),
        format!("sona_{id}"),
        format!("sona_{id}_{}", secret.to_uppercase()),
        "sona_".to_owned(),
        "sona__".to_owned(),
    ] {
        assert_eq!(told(&server, &wrong).await, unknown, "{wrong}");
    }
    let answer = Answer::to(ask(&server).header("x-api-key", "no key at all")).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_key_ends_at_its_time() {
    let server = server(Backend::Sqlite).await;
    let end = server.clock.now().plus_seconds(10);
    let (_, key) = make(&server, 1, "recommendations:read", Some(end)).await;
    assert_eq!(told(&server, &key).await.0, 200);
    server.clock.set(Timestamp::from_micros(end.as_micros() - 1));
    assert_eq!(told(&server, &key).await.0, 200);
    server.clock.set(end);
    assert_eq!(told(&server, &key).await, (401, "the API key has expired".to_owned()));
}

#[tokio::test]
async fn a_key_revoked_elsewhere_is_refused_here() {
    for backend in backends() {
        let mut server = server(backend).await;
        let (id, key) = make(&server, 1, "recommendations:read", None).await;
        let (_, other) = make(&server, 2, "recommendations:read", None).await;
        assert_eq!(told(&server, &key).await.0, 200);
        let store = server.another_store().await;
        assert!(store.revoke_key(&id, server.clock.now()).await.expect("revoked"));
        store.close().await;
        server.engine.follow().await.expect("followed");
        let revoked = (401, "the API key was revoked".to_owned());
        assert_eq!(told(&server, &key).await, revoked);
        assert_eq!(told(&server, &other).await.0, 200);
        server.restart().await;
        assert_eq!(told(&server, &key).await, revoked);
        assert_eq!(told(&server, &other).await.0, 200);
    }
}

/// Nobody asks for it: the server looks by itself.
#[tokio::test]
async fn a_revocation_is_noticed_without_being_asked_for() {
    let server = server(Backend::Sqlite).await;
    let (id, key) = make(&server, 1, "recommendations:read", None).await;
    let store = server.another_store().await;
    store.revoke_key(&id, server.clock.now()).await.expect("revoked");
    store.close().await;
    until(async || told(&server, &key).await.0 == 401).await;
}

#[tokio::test]
async fn the_last_use_is_written_behind() {
    for backend in backends() {
        let mut server = server(backend).await;
        let (used, key) = make(&server, 1, "recommendations:read", None).await;
        let (idle, _) = make(&server, 2, "recommendations:read", None).await;
        server.clock.advance(100);
        assert_eq!(told(&server, &key).await.0, 200);
        let at = server.clock.now();
        server.stop().await;
        let keys = server.another_store().await.keys().await.expect("read");
        let last = |id: &str| {
            keys.iter().find(|key| key.key_id == id).expect("the key is there").last_used_at
        };
        assert_eq!((last(&used), last(&idle)), (Some(at), None));
    }
}
