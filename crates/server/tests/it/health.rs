//! `/health`.

use insta::assert_json_snapshot;
use serde_json::json;
use sona_testkit::Backend;

use crate::{checkerboard, code};

#[tokio::test]
async fn a_sound_server() {
    let server = checkerboard(Backend::Sqlite).await;
    let (status, body) = server.get("/health").await;
    assert_eq!(status, 200);
    assert_json_snapshot!(body, {".database" => "[url]", ".version" => "[version]", ".resident_users" => "[count]"});
    assert_eq!(server.get("/health/live").await, (200, json!({"status": "live"})));
    assert_eq!(server.get("/health/ready").await, (200, json!({"status": "ready"})));
}

#[tokio::test]
async fn without_its_database_a_server_lives_but_is_not_ready() {
    let server = checkerboard(Backend::Sqlite).await;
    server.engine.close().await;
    let (status, body) = server.get("/health/ready").await;
    assert_eq!((status, code(&body)), (503, "not-ready"));
    assert_eq!(server.get("/health/live").await.0, 200);
    assert_eq!(server.get("/health").await.0, 200);
}
