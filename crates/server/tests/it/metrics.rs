//! `/metrics`.

use reqwest::Method;
use serde_json::json;
use sona_testkit::{Answer, Backend};

use crate::{checkerboard, list};

#[tokio::test]
async fn the_series_are_there() {
    let server = checkerboard(Backend::Sqlite).await;
    list(&server, "user-0", 3).await;
    server.get("/api/v1/similar/title-1").await;
    server.get("/api/v1/similar/title-2").await;
    server.get("/no/such/path").await;
    server.get("/another").await;
    let event =
        json!({"user_id": "u", "content_id": "title-1", "event_type": "like", "event_id": "e"});
    server.post("/api/v1/events/track", &event).await;
    server.post("/api/v1/events/track", &json!([event, {}])).await;

    let answer = Answer::to(server.request(Method::GET, "/metrics")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    let text = answer.text;
    for line in [
        r#"sona_http_requests_total{method="GET",route="/api/v1/similar/{content_id}",status="200"} 2"#,
        r#"sona_http_requests_total{method="GET",route="none",status="404"} 2"#,
        r#"sona_http_request_duration_seconds_count{method="GET",route="/api/v1/similar/{content_id}"} 2"#,
        r#"sona_events_total{outcome="accepted"} 1"#,
        r#"sona_events_total{outcome="duplicate"} 1"#,
        r#"sona_events_total{outcome="rejected"} 1"#,
        "sona_content 10",
        "sona_applied_cursor 41",
        "sona_model_version 0",
        "sona_healthy 1",
        "# TYPE sona_http_request_duration_seconds histogram",
        "# TYPE sona_resident_users gauge",
        "# TYPE sona_transitions gauge",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    let items: u64 = text
        .lines()
        .filter(|line| line.starts_with("sona_recommendations_items_total{source="))
        .map(|line| line.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok()).expect("a number"))
        .sum();
    assert_eq!(items, 3);
    assert!(!text.contains("/no/such/path"));
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).expect("a name");
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
}

#[tokio::test]
async fn two_servers_count_apart() {
    let (one, two) = (checkerboard(Backend::Sqlite).await, checkerboard(Backend::Sqlite).await);
    list(&one, "user-0", 1).await;
    let text = Answer::to(two.request(Method::GET, "/metrics")).await.text;
    assert!(!text.contains("/api/v1/recommendations"), "{text}");
}
