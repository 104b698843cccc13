//! `/api/v1/users`.

use serde_json::json;
use sona_testkit::{Answer, Backend, World, backends};

use crate::tokens::{secret_server, service};
use crate::{checkerboard, code, list, pointers, post_text};

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

#[tokio::test]
async fn a_user_is_written_read_and_used() {
    for backend in backends() {
        let mut server = checkerboard(backend).await;
        let url = "/api/v1/users/new";
        assert_eq!(server.get(url).await.0, 404);
        let sent = json!({"age_range": "25-34", "region": "de", "genres": ["Drama", "Crime"]});
        let (status, written) = server.put(url, &sent).await;
        assert_eq!(status, 200, "{written}");
        let expect = json!({"user_id": "new", "age_range": "25-34", "region": "DE", "genres": ["Drama", "Crime"],
            "created_at": written["created_at"]});
        assert_eq!(written, expect);
        server.restart().await;
        assert_eq!(server.get(url).await, (200, expect));
        assert_eq!(server.get("/api/v1/profile/new").await.0, 404, "they have done nothing yet");
        // What is left out is taken away; a user who acted is there too.
        let (_, fewer) = server.put(url, &json!({"user_id": "new", "region": "FR"})).await;
        assert_eq!((&fewer["region"], &fewer["genres"]), (&json!("FR"), &json!([])));
        assert_eq!(fewer.get("age_range"), None);
        let (status, acted) = server.get("/api/v1/users/user-1").await;
        assert_eq!((status, &acted["genres"]), (200, &json!([])));
        let (_, receipt) = server.delete(url).await;
        assert_eq!(receipt["removed"]["attributes"], 1);
        assert_eq!(server.get(url).await.0, 404);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_user_is_named() {
    let server = checkerboard(Backend::Sqlite).await;
    let bad = json!({"user_id": "other", "age_range": "27"});
    let (status, body) = server.put("/api/v1/users/u", &bad).await;
    assert_eq!((status, pointers(&body)), (422, vec!["/user_id"]), "{body:#}");
    let bad = json!({"age_range": "27", "region": "Germany", "genres": ["Drama", 7], "gendre": 1});
    let (status, body) = server.put("/api/v1/users/u", &bad).await;
    assert_eq!((status, code(&body)), (422, "invalid-request"));
    assert_eq!(pointers(&body), ["/age_range", "/region", "/genres/1", "/gendre"]);
    let said = |n: usize| body["errors"][n]["detail"].as_str().expect("in words");
    assert!(said(0).contains("under_18, 18-24, 25-34, 35-44, 45-54, 55-64, 65_and_over"), "{body}");
    assert!(said(1).contains("two letters") && said(3).contains("genres"), "{body}");
    assert_eq!(server.get("/api/v1/users/u").await.0, 404, "nothing was written");
}

#[tokio::test]
async fn many_users_are_written_all_or_none() {
    for backend in backends() {
        let server = checkerboard(backend).await;
        let url = "/api/v1/users/bulk";
        let bad = json!([
            {"user_id": "a", "region": "DE"},
            {"region": "DE"},
            {"user_id": "c", "age_range": "old"},
            "d",
        ]);
        let (status, body) = server.post(url, &bad).await;
        let places = vec!["/1/user_id", "/2/age_range", "/3"];
        assert_eq!((status, pointers(&body)), (422, places), "{body:#}");
        assert_eq!(server.get("/api/v1/users/a").await.0, 404);
        let good = json!([{"user_id": "a", "region": "DE"}, {"user_id": "b"}, {"user_id": "a"}]);
        assert_eq!(server.post(url, &good).await, (200, json!({"written": 3})));
        assert_eq!(server.get("/api/v1/users/a").await.1.get("region"), None, "the last counts");
        let lines = "{\"user_id\": \"c\", \"region\": \"FR\"}\n\n{\"user_id\": \"d\"}\n";
        let answer = post_text(&server, url, Some("application/x-ndjson"), lines).await;
        assert_eq!(answer.json(), (200, json!({"written": 2})));
        assert_eq!(server.get("/api/v1/users/c").await.1["region"], "FR");
        assert_eq!(server.post(url, &json!([])).await.0, 422);
        assert_eq!(server.post(url, &json!("a")).await.0, 422);
    }
}

#[tokio::test]
async fn vectors_of_users_need_the_scope_of_users() {
    let server = secret_server().await;
    server.populate(World::new(10)).await;
    let body = json!({"encoder": "m", "embeddings": [
        {"content_id": "title-1", "vector": [1, 2]}, {"user_id": "user-1", "vector": [1, 2]},
    ]});
    let post = async |scopes: &str| {
        let request = server.request(reqwest::Method::POST, "/api/v1/embeddings/bulk").json(&body);
        Answer::to(request.bearer_auth(service(&server, scopes))).await.json()
    };
    let (status, problem) = post("content:write").await;
    assert_eq!((status, code(&problem)), (403, "forbidden"), "{problem}");
    let (status, written) = post("content:write users:admin").await;
    assert_eq!((status, written), (200, json!({"written": 2})));
    let unknown = json!({"encoder": "m", "embeddings": [{"user_id": "nobody", "vector": [1, 2]}]});
    let request = server.request(reqwest::Method::POST, "/api/v1/embeddings/bulk").json(&unknown);
    let token = service(&server, "content:write users:admin");
    let (status, problem) = Answer::to(request.bearer_auth(token)).await.json();
    assert_eq!((status, code(&problem)), (404, "unknown-user"), "{problem}");
}
