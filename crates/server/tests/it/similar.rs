//! `/api/v1/similar/{content_id}`.

use insta::assert_json_snapshot;
use serde_json::json;
use sona_testkit::{Backend, World, backends};

use crate::{checkerboard, code, pointers, titles};

#[tokio::test]
async fn titles_of_one_parity_are_alike() {
    for backend in backends() {
        let server = checkerboard(backend).await;
        server.train().await;
        let (status, body) = server.get("/api/v1/similar/title-4?limit=4").await;
        assert_eq!(status, 200);
        assert_eq!(body["content_id"], "title-4");
        let mut alike: Vec<_> =
            titles(&body, "similar").iter().map(|id| World::number(id)).collect();
        alike.sort_unstable();
        assert_eq!(alike, [0, 2, 6, 8]);
    }
}

#[tokio::test]
async fn hidden_titles_are_not_in_the_answer() {
    let server = checkerboard(Backend::Sqlite).await;
    server.patch("/api/v1/content/title-2", &json!({"hidden": true})).await;
    let (_, body) = server.get("/api/v1/similar/title-4").await;
    assert!(!titles(&body, "similar").contains(&"title-2".to_owned()));
    let (status, _) = server.get("/api/v1/similar/title-2").await;
    assert_eq!(status, 200, "one may ask for titles like a hidden one");
}

#[tokio::test]
async fn unknown_content_is_named() {
    let server = checkerboard(Backend::Sqlite).await;
    let (status, body) = server.get("/api/v1/similar/caf%C3%A9%2Fnoir").await;
    assert_eq!(status, 404);
    assert_json_snapshot!(body);
}

#[tokio::test]
async fn parameters_are_checked() {
    let server = checkerboard(Backend::Sqlite).await;
    for (query, places) in [
        ("limit=0", vec!["?limit"]),
        ("limit=101", vec!["?limit"]),
        ("limit=five", vec!["?limit"]),
        ("limit=5&limit=6", vec!["?limit"]),
        ("limit=x&lmit=5", vec!["?limit", "?lmit"]),
    ] {
        let (status, body) = server.get(&format!("/api/v1/similar/title-1?{query}")).await;
        assert_eq!((status, pointers(&body)), (422, places), "{query}");
    }
}

#[tokio::test]
async fn ids_in_the_path_are_checked() {
    let server = checkerboard(Backend::Sqlite).await;
    for path in ["%FF", "a%0Ab", &"x".repeat(256)] {
        let (status, body) = server.get(&format!("/api/v1/similar/{path}")).await;
        assert_eq!((status, code(&body)), (422, "invalid-request"), "{path}");
        assert_eq!(pointers(&body), ["{content_id}"]);
    }
}
