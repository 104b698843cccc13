//! The server, asked over real connections. A file per group of URLs.

mod adapters;
mod content;
mod embeddings;
mod errors;
mod events;
mod exposures;
mod fuzz;
mod health;
mod identity_jwks;
mod identity_keys;
mod identity_routes;
mod identity_tokens;
mod listen;
mod metrics;
mod openapi;
mod profile;
mod recommendations;
mod score;
mod similar;
mod tokens;
mod users;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sona_testkit::{Answer, Backend, TestServer, World};

/// A server with a checkerboard of ten users and ten titles.
async fn checkerboard(backend: Backend) -> TestServer {
    TestServer::with_world(backend, World::new(10)).await
}

/// POSTs text with a content type.
async fn post_text(server: &TestServer, path: &str, kind: Option<&str>, text: &str) -> Answer {
    let mut request = server.request(Method::POST, path).body(text.to_owned());
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    Answer::to(request).await
}

/// One user's list.
async fn list(server: &TestServer, user: &str, limit: usize) -> Value {
    let body = json!({"user_id": user, "limit": limit});
    let (status, body) = server.post("/api/v1/recommendations", &body).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// The titles of a list.
fn titles(list: &Value, field: &str) -> Vec<String> {
    let items = list[field].as_array().expect("a list of items");
    items.iter().map(|item| item["content_id"].as_str().expect("an id").to_owned()).collect()
}

/// The last part of a problem's type.
fn code(problem: &Value) -> &str {
    let kind = problem["type"].as_str().unwrap_or_default();
    kind.strip_prefix("urn:sona:problem:").unwrap_or_default()
}

/// The places of a problem's errors.
fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().filter_map(|error| error["pointer"].as_str()).collect()
}

/// Waits until something is so; it must become so by itself.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..6_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never became so");
}
