//! `/api/v1/recommendations/{recommendation_id}/exposure`, and events that quote a list.

use reqwest::Method;
use serde_json::{Value, json};
use sona_testkit::{Answer, Backend, TestServer, World, backends};

use crate::tokens::{end_user, secret_server, service};
use crate::{checkerboard, code, list, pointers, until};

fn url(list: &Value) -> String {
    let id = list["recommendation_id"].as_str().expect("every list has a name");
    format!("/api/v1/recommendations/{id}/exposure")
}

/// Waits until everything shown is written.
pub(crate) async fn written(server: &TestServer) {
    until(async || server.engine.stats().exposures.waiting == 0).await;
    // What has left the queue may still be on its way.
    until(async || server.engine.stats().exposures.written > 0).await;
}

#[tokio::test]
async fn a_list_can_be_read_back_and_quoted() {
    for backend in backends() {
        let server = checkerboard(backend).await;
        server.train().await;
        let list = list(&server, "user-0", 3).await;
        until(async || server.get(&url(&list)).await.0 == 200).await;
        let (_, exposure) = server.get(&url(&list)).await;
        assert_eq!(exposure["recommendation_id"], list["recommendation_id"]);
        assert_eq!(
            (&exposure["user_id"], &exposure["model_version"]),
            (&json!("user-0"), &json!(1))
        );
        assert_eq!(exposure["shown_at"], list["generated_at"]);
        let items = list["recommendations"].as_array().expect("items").iter().zip(1..);
        let shown = items.map(|(item, rank)| {
            json!({"content_id": item["content_id"], "rank": rank, "score": item["score"]})
        });
        assert_eq!(exposure["items"], Value::Array(shown.collect()));

        let quoting = |id: &Value, event: &str| {
            json!({"user_id": "user-0", "content_id": "title-0", "event_type": "click",
                "event_id": event, "recommendation_id": id})
        };
        for (id, event) in [(&list["recommendation_id"], "known"), (&json!("expired"), "unknown")] {
            let (status, body) = server.post("/api/v1/events/track", &quoting(id, event)).await;
            assert_eq!((status, &body["status"]), (200, &json!("accepted")));
        }
        let stored = server.another_store().await;
        let user = sona_domain::UserId::new("user-0").expect("an id");
        let events = stored.histories(&[user]).await.expect("read").remove(0);
        let quoted = events.iter().filter_map(|logged| logged.event.recommendation_id.as_ref());
        let quoted: Vec<_> = quoted.map(ToString::to_string).collect();
        assert_eq!(json!(quoted), json!([list["recommendation_id"], "expired"]));
        let (status, body) = server.post("/api/v1/events/track", &quoting(&json!(""), "e")).await;
        assert_eq!((status, pointers(&body)), (422, vec!["/recommendation_id"]));
    }
}

#[tokio::test]
async fn an_end_user_reads_their_own() {
    let server = secret_server().await;
    server.populate(World::new(10)).await;
    let ask = async |token: &str, url: &str| {
        Answer::to(server.request(Method::GET, url).bearer_auth(token)).await.json()
    };
    let (ada, bob) = (end_user(&server, "user-1"), end_user(&server, "user-2"));
    let body = json!({"user_id": "user-1", "limit": 2});
    let request = server.request(Method::POST, "/api/v1/recommendations").json(&body);
    let (_, list) = Answer::to(request.bearer_auth(&ada)).await.json();
    written(&server).await;
    until(async || ask(&ada, &url(&list)).await.0 == 200).await;
    let shop = service(&server, "recommendations:read");
    assert_eq!(ask(&shop, &url(&list)).await.0, 200);

    let (status, foreign) = ask(&bob, &url(&list)).await;
    let nobodys = "/api/v1/recommendations/no-such-list/exposure";
    let (other_status, unknown) = ask(&bob, nobodys).await;
    assert_eq!((status, code(&foreign)), (404, "unknown-recommendation"), "{foreign}");
    assert_eq!((other_status, code(&unknown)), (404, "unknown-recommendation"), "{unknown}");
    assert_eq!(
        foreign["title"], unknown["title"],
        "whether there is such a list makes no difference"
    );
}

#[tokio::test]
async fn an_expired_list_is_unknown_and_what_is_written_is_counted() {
    let server = checkerboard(Backend::Sqlite).await;
    list(&server, "user-0", 3).await;
    written(&server).await;
    let text = Answer::to(server.request(Method::GET, "/metrics")).await.text;
    for line in [
        r#"sona_exposures_total{outcome="written"} 1"#,
        r#"sona_exposures_total{outcome="dropped"} 0"#,
        "sona_exposures_waiting 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    let (status, problem) = server.get("/api/v1/recommendations/x/exposure").await;
    assert_eq!((status, code(&problem)), (404, "unknown-recommendation"));
}
