//! Taking an address, and letting go of it.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sona_server::{BindError, IdentityOptions, Server, ServerOptions};
use sona_testkit::{Answer, Backend, TestServer};

fn on(host: &str) -> ServerOptions {
    ServerOptions { host: host.to_owned(), port: 0, ..ServerOptions::default() }
}

/// Takes an address for a server without identity.
async fn bind(options: &ServerOptions) -> Result<Server, BindError> {
    Server::bind(options, &IdentityOptions::default()).await
}

#[tokio::test]
async fn only_this_machine_is_answered() {
    for host in ["0.0.0.0", "::", "[::]", "192.0.2.1", "8.8.8.8"] {
        let error = bind(&on(host)).await.expect_err("refused");
        assert!(matches!(error, BindError::NotLoopback { .. }), "{host}: {error}");
    }
    for host in ["127.0.0.1", "127.0.0.2", "localhost"] {
        let server = bind(&on(host)).await.expect("a loopback address");
        assert!(server.local_addr().ip().is_loopback() && server.local_addr().port() > 0);
    }
}

#[tokio::test]
async fn with_identity_any_address_is_taken() {
    let identity = IdentityOptions { required: true, ..IdentityOptions::default() };
    let server = Server::bind(&on("0.0.0.0"), &identity).await.expect("any address");
    assert!(server.local_addr().ip().is_unspecified());
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let error = bind(&on("0.0.0.0")).await.expect_err("refused");
    insta::assert_snapshot!(error);
    let first = bind(&on("127.0.0.1")).await.expect("a free port");
    let options = ServerOptions { port: first.local_addr().port(), ..ServerOptions::default() };
    let error = bind(&options).await.expect_err("in use").to_string();
    assert!(error.contains(&first.local_addr().to_string()) && error.contains("--port"), "{error}");
    let error = bind(&on("no.such.host.invalid")).await.expect_err("unknown");
    assert!(matches!(error, BindError::Unresolvable { .. }), "{error}");
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_closes_idle_connections() {
    let mut server = TestServer::start(Backend::Sqlite).await;
    // The client keeps this connection open.
    assert_eq!(server.get("/health/live").await.0, 200);
    let bulk: Vec<_> =
        (0..2000).map(|n| json!({"content_id": format!("c{n}"), "title": "T"})).collect();
    let request = server.request(Method::POST, "/api/v1/content/bulk").json(&bulk);
    let under_way = tokio::spawn(Answer::to(request));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let stopped = tokio::time::timeout(Duration::from_secs(8), server.stop()).await;
    assert!(stopped.is_ok(), "no connection holds the server up");
    assert_eq!(under_way.await.expect("no panic").status, 200);
}
