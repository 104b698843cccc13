//! `/api/v1/profile`.

use insta::{assert_json_snapshot, rounded_redaction};
use serde_json::json;
use sona_testkit::{Backend, backends};

use crate::{checkerboard, code, list, pointers, titles};

const UPDATE: &str = "/api/v1/profile/update";

#[tokio::test]
async fn viewings_move_the_profile() {
    for backend in backends() {
        let server = checkerboard(backend).await;
        server.train().await;
        let body = json!({"user_id": "new", "viewing_events": [
            {"content_id": "title-2", "completion_rate": 1, "rating": 5, "event_id": "v1"},
            {"content_id": "title-4", "completion_rate": 0.9},
            {"content_id": "title-2", "event_id": "v1"},
            {"content_id": "title-6", "event_type": "like", "timestamp": "2025-12-31T10:00:00Z"},
        ]});
        let (status, body) = server.post(UPDATE, &body).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["status"], "updated");
        assert_eq!((&body["events_processed"], &body["duplicates"]), (&json!(3), &json!(1)));
        let width = body["profile"]["preference_vector"].as_array().expect("a vector").len();
        assert_eq!(body["preference_vector_dim"], width);
        assert!(width > 0);
        assert_eq!(server.get("/api/v1/profile/new").await, (200, body["profile"].clone()));
        let next = titles(&list(&server, "new", 10).await, "recommendations");
        assert!(!next.contains(&"title-2".to_owned()) && next.len() == 7);
    }
}

#[tokio::test]
async fn a_profile() {
    let server = checkerboard(Backend::Sqlite).await;
    let (status, body) = server.get("/api/v1/profile/user-0").await;
    assert_eq!(status, 200);
    assert_json_snapshot!(body, {".genre_affinities.*" => rounded_redaction(4)});
}

#[tokio::test]
async fn nobody_has_no_profile() {
    let server = checkerboard(Backend::Sqlite).await;
    let (status, body) = server.get("/api/v1/profile/nobody").await;
    assert_eq!(status, 404);
    assert_json_snapshot!(body);
}

#[tokio::test]
async fn all_or_none() {
    for backend in backends() {
        let server = checkerboard(backend).await;
        let body = json!({"user_id": "new", "viewing_events": [
            {"content_id": "title-1"},
            {"content_id": "nothing", "rating": 6},
            {"content_id": "title-2", "event_type": "wtach", "stars": 4},
            "title-3",
        ], "force": true});
        let (status, body) = server.post(UPDATE, &body).await;
        assert_eq!(status, 422);
        assert_eq!(
            pointers(&body),
            [
                "/viewing_events/1/rating",
                "/viewing_events/2/event_type",
                "/viewing_events/2/stars",
                "/viewing_events/3",
                "/force",
                "/viewing_events/1/content_id",
            ]
        );
        assert_eq!(server.get("/api/v1/profile/new").await.0, 404, "nothing was written");
    }
}

#[tokio::test]
async fn at_least_one_viewing_and_at_most_a_thousand() {
    let server = checkerboard(Backend::Sqlite).await;
    for viewings in [
        json!(null),
        json!([]),
        json!("title-1"),
        json!(vec![json!({"content_id": "title-1"}); 1001]),
    ] {
        let (status, body) =
            server.post(UPDATE, &json!({"user_id": "new", "viewing_events": viewings})).await;
        assert_eq!(
            (status, code(&body), pointers(&body)),
            (422, "invalid-request", vec!["/viewing_events"])
        );
    }
}
