//! What every failure looks like.

use std::io::{Read, Write};
use std::net::TcpStream;

use insta::assert_json_snapshot;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sona_server::ServerOptions;
use sona_testkit::{Answer, Backend, TestServer};

use crate::{checkerboard, code, post_text};

/// Holds every failure to the shape of RFC 9457.
fn check(answer: &Answer, status: u16, kind: &str) -> Value {
    let (found, body) = answer.json();
    assert_eq!((found, code(&body)), (status, kind), "{body}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(body["status"], status);
    assert_eq!(body["request_id"], answer.header("x-request-id"));
    for field in ["title", "detail", "instance"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {body}");
    }
    body
}

#[tokio::test]
async fn every_failure_is_a_problem() {
    let options = ServerOptions { body_limit_bytes: 1000, ..ServerOptions::default() };
    let server = TestServer::with_options(Backend::Sqlite, options).await;
    let get = |path: &str| server.request(Method::GET, path);
    let post = |path: &str| server.request(Method::POST, path);
    let json = |request: RequestBuilder, body: &str| {
        request.header("content-type", "application/json").body(body.to_owned())
    };
    let recommend = || post("/api/v1/recommendations");
    let patch = server.request(Method::PATCH, "/api/v1/recommendations");
    let text = recommend().header("content-type", "text/plain").body("{}");
    let binary =
        recommend().header("content-type", "application/json").body(vec![b'"', 0xff, b'"']);
    let foreign = recommend().header("sec-fetch-site", "cross-site").json(&json!({"user_id": "u"}));
    let origin =
        recommend().header("origin", "https://evil.example").json(&json!({"user_id": "u"}));
    let cases = [
        (get("/nothing"), 404, "unknown-route"),
        (get("/api/v1/recommendations"), 405, "method-not-allowed"),
        (patch, 405, "method-not-allowed"),
        (json(recommend(), r#"{"user_id": "#), 400, "malformed-json"),
        (json(recommend(), ""), 400, "malformed-json"),
        (json(recommend(), &"[".repeat(500)), 400, "malformed-json"),
        (json(recommend(), r#"{"user_id": "u", "limit": 1e999}"#), 400, "malformed-json"),
        (binary, 400, "not-utf8"),
        (text, 415, "unsupported-media-type"),
        (json(recommend(), &" ".repeat(1001)), 413, "body-too-large"),
        (json(recommend(), "[]"), 422, "invalid-request"),
        (json(recommend(), "{}"), 422, "invalid-request"),
        (post("/api/v1/events/track").body("not json"), 400, "malformed-json"),
        (post("/api/v1/events/track").body("x".repeat(1001)), 413, "body-too-large"),
        (
            post("/api/v1/content").json(&json!({"content_id": "a\nb", "title": "T"})),
            422,
            "invalid-request",
        ),
        (get("/api/v1/similar/nothing"), 404, "unknown-content"),
        (get("/api/v1/similar/%ff"), 422, "invalid-request"),
        (get("/api/v1/profile/nobody"), 404, "unknown-user"),
        (foreign, 403, "cross-site"),
        (origin, 403, "cross-site"),
    ];
    for (request, status, kind) in cases {
        check(&Answer::to(request).await, status, kind);
    }
}

#[tokio::test]
async fn the_shapes_in_full() {
    let server = TestServer::start(Backend::Sqlite).await;
    let url = "/api/v1/recommendations";
    let answer =
        post_text(&server, url, Some("application/json"), "{\"user_id\": \"u\",\n  limit: 3}")
            .await;
    assert_json_snapshot!("malformed", answer.json().1);
    let answer = Answer::to(server.request(Method::DELETE, url)).await;
    assert_json_snapshot!("method", answer.json().1);
    assert_eq!(answer.header("allow"), "POST");
    let answer = Answer::to(server.request(Method::GET, "/api/v2/recommendations?x=1")).await;
    assert_json_snapshot!("route", answer.json().1);
    let answer = post_text(&server, url, Some("application/xml"), "<user/>").await;
    assert_json_snapshot!("media_type", answer.json().1);
}

#[tokio::test]
async fn a_request_keeps_its_id() {
    let server = TestServer::start(Backend::Sqlite).await;
    let with_id = |id: &str| server.request(Method::GET, "/nothing").header("x-request-id", id);
    let longest = "x".repeat(128);
    for id in ["abc-1.2_3", longest.as_str()] {
        assert_eq!(Answer::to(with_id(id)).await.header("x-request-id"), id);
    }
    for id in ["", "a b", "a\tb", "<b>", &"x".repeat(129)] {
        let answer = Answer::to(with_id(id)).await;
        assert!(answer.header("x-request-id").starts_with("id-"), "{id:?}");
    }
    let fine = Answer::to(server.request(Method::GET, "/health/live")).await;
    assert!(fine.header("x-request-id").starts_with("id-"));
}

#[tokio::test]
async fn no_answer_is_sniffed_or_stored() {
    let server = TestServer::start(Backend::Sqlite).await;
    for path in ["/health", "/nothing", "/api/docs"] {
        let answer = Answer::to(server.request(Method::GET, path)).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(["no-store", "no-cache"].contains(&answer.header("cache-control")), "{path}");
    }
}

#[tokio::test]
async fn a_slow_sender_is_told() {
    let options = ServerOptions { timeout_seconds: 1, ..ServerOptions::default() };
    let server = TestServer::with_options(Backend::Sqlite, options).await;
    let address = server.address();
    let answered = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        let head =
            "POST /api/v1/events/track HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{";
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer[..length]).into_owned()
    });
    let answer = answered.await.expect("no panic");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(
        answer.contains("application/problem+json") && answer.contains("body-timeout"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_closed_engine_says_try_again() {
    let server = checkerboard(Backend::Sqlite).await;
    server.engine.close().await;
    let event = json!({"user_id": "u", "content_id": "title-1", "event_type": "like"});
    let answer =
        Answer::to(server.request(Method::POST, "/api/v1/events/track").json(&event)).await;
    check(&answer, 503, "shutting-down");
    assert!(!answer.header("retry-after").is_empty());
    let body = json!({"user_id": "cold"});
    let answer =
        Answer::to(server.request(Method::POST, "/api/v1/recommendations").json(&body)).await;
    check(&answer, 503, "store-unavailable");
    assert!(!answer.header("retry-after").is_empty());
}
