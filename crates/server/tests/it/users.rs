//! `/api/v1/users/{user_id}`.

use serde_json::json;
use sona_testkit::{Backend, backends};

use crate::{checkerboard, list};

#[tokio::test]
async fn a_removed_user_is_forgotten() {
    for backend in backends() {
        let mut server = checkerboard(backend).await;
        let body = json!({"user_id": "user-0", "viewing_events": [{"content_id": "title-1"}]});
        server.post("/api/v1/profile/update", &body).await;
        let (status, body) = server.delete("/api/v1/users/user-0").await;
        assert_eq!(status, 200);
        assert_eq!(body["user_id"], "user-0");
        let removed = json!({"events": 5, "profiles": 1, "attributes": 0, "embeddings": 0, "exposures": 0, "adapters": 0, "waiting_profiles": 1, "states": 1,
            "counted_titles": 5, "trending_titles": 5});
        assert_eq!(body["removed"], removed);
        let files = if backend == Backend::Sqlite { "none" } else { "vacuumed" };
        assert_eq!((&body["files"], &body["models"]), (&json!(files), &json!([])));
        for _ in 0..2 {
            assert_eq!(list(&server, "user-0", 1).await["interaction_count"], 0);
            assert_eq!(server.get("/api/v1/profile/user-0").await.0, 404);
            let (status, body) = server.delete("/api/v1/users/user-0").await;
            assert_eq!((status, &body["removed"]["events"]), (200, &json!(0)), "{body}");
            server.restart().await;
        }
    }
}

#[tokio::test]
async fn a_removed_user_may_come_back() {
    for backend in backends() {
        let server = checkerboard(backend).await;
        server.delete("/api/v1/users/user-0").await;
        let event = json!({"user_id": "user-0", "content_id": "title-1", "event_type": "like"});
        assert_eq!(server.post("/api/v1/events/track", &event).await.0, 200);
        assert_eq!(list(&server, "user-0", 1).await["interaction_count"], 1);
    }
}
