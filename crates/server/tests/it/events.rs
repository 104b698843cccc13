//! `/api/v1/events/track`.

use insta::assert_json_snapshot;
use serde_json::{Value, json};
use sona_testkit::{Backend, TestServer, backends};

use crate::{checkerboard, code, list, pointers, post_text, titles};

const URL: &str = "/api/v1/events/track";

fn watch(user: &str, title: &str) -> Value {
    json!({"user_id": user, "content_id": title, "event_type": "watch", "completion_rate": 1})
}

fn with(mut event: Value, field: &str, value: Value) -> Value {
    event[field] = value;
    event
}

async fn count(server: &TestServer, user: &str) -> u64 {
    list(server, user, 1).await["interaction_count"].as_u64().expect("a count")
}

#[tokio::test]
async fn the_next_list_reflects_the_event() {
    for backend in backends() {
        let server = checkerboard(backend).await;
        let before = list(&server, "user-0", 10).await;
        let top = titles(&before, "recommendations").remove(0);
        let (status, body) = server.post(URL, &watch("user-0", &top)).await;
        assert_eq!((status, &body["status"]), (200, &json!("accepted")), "{body}");
        let after = list(&server, "user-0", 10).await;
        assert!(!titles(&after, "recommendations").contains(&top));
        assert_eq!(after["interaction_count"], 5);
    }
}

#[tokio::test]
async fn a_dismissed_title_is_gone_and_an_added_one_stays() {
    let server = checkerboard(Backend::Sqlite).await;
    let event = |title: &str, kind: &str| json!({"user_id": "user-0", "content_id": title, "event_type": kind});
    server.post(URL, &event("title-1", "dismiss")).await;
    server.post(URL, &event("title-3", "add")).await;
    let shown = titles(&list(&server, "user-0", 10).await, "recommendations");
    assert!(!shown.contains(&"title-1".to_owned()));
    assert!(shown.contains(&"title-3".to_owned()));
}

#[tokio::test]
async fn an_event_counts_once_also_after_a_restart() {
    for backend in backends() {
        let mut server = checkerboard(backend).await;
        let event = with(watch("new", "title-1"), "event_id", json!("e-1"));
        let (_, first) = server.post(URL, &event).await;
        let (status, second) = server.post(URL, &event).await;
        assert_eq!(first, json!({"status": "accepted", "event_id": "e-1"}));
        assert_eq!((status, second), (200, json!({"status": "duplicate", "event_id": "e-1"})));
        assert_eq!(count(&server, "new").await, 1);
        server.restart().await;
        assert_eq!(count(&server, "new").await, 1);
        let (_, third) = server.post(URL, &event).await;
        assert_eq!(third["status"], "duplicate");
    }
}

#[tokio::test]
async fn the_past_is_taken_and_the_future_is_refused() {
    let server = checkerboard(Backend::Sqlite).await;
    let at = |time: &str| with(watch("new", "title-1"), "timestamp", json!(time));
    for (time, expected) in [
        ("1999-01-01T00:00:00Z", 200),
        ("2026-01-01T00:05:00Z", 200),
        ("2026-01-01T00:05:01Z", 422),
        ("2026-01-01T02:05:00+02:00", 200),
        ("yesterday", 422),
    ] {
        let (status, body) = server.post(URL, &at(time)).await;
        assert_eq!(status, expected, "{time}: {body}");
        assert_eq!(pointers(&body), if expected == 422 { vec!["/timestamp"] } else { vec![] });
    }
}

#[tokio::test]
async fn unknown_content_is_refused_by_name() {
    for backend in backends() {
        let server = checkerboard(backend).await;
        let (status, body) = server.post(URL, &watch("new", "no such title")).await;
        assert_eq!((status, pointers(&body)), (422, vec!["/content_id"]));
        assert!(body["detail"].as_str().expect("text").contains("no such title"));
        assert_eq!(server.get("/api/v1/profile/new").await.0, 404);
    }
}

#[tokio::test]
async fn all_problems_of_an_event_at_once() {
    let server = checkerboard(Backend::Sqlite).await;
    let event = json!({"user_id": "", "event_type": "wach", "rating": 9, "completion_rate": -1, "contxt": 1});
    let (status, body) = server.post(URL, &event).await;
    assert_eq!(status, 422);
    assert_json_snapshot!(body);
}

#[tokio::test]
async fn several_events_each_have_a_result() {
    for backend in backends() {
        let server = checkerboard(backend).await;
        let events = json!([
            with(watch("new", "title-1"), "event_id", json!("a")),
            with(watch("new", "title-2"), "event_id", json!("a")),
            watch("new", "title-3"),
        ]);
        let (status, body) = server.post(URL, &events).await;
        assert_eq!(status, 200);
        assert_eq!([&body["accepted"], &body["duplicates"], &body["rejected"]], [2, 1, 0]);
        assert_eq!(body["results"][1], json!({"index": 1, "status": "duplicate", "event_id": "a"}));
        assert_eq!(count(&server, "new").await, 2);
    }
}

#[tokio::test]
async fn a_mixed_list_is_207_and_its_valid_events_are_written() {
    let server = checkerboard(Backend::Sqlite).await;
    let events = json!([
        watch("new", "title-1"),
        with(watch("new", "title-2"), "rating", json!(7)),
        watch("new", "nothing"),
        17,
    ]);
    let (status, body) = server.post(URL, &events).await;
    assert_eq!(status, 207);
    assert_json_snapshot!(body);
    assert_eq!(count(&server, "new").await, 1);
}

#[tokio::test]
async fn a_list_of_which_nothing_is_valid_is_a_problem() {
    let server = checkerboard(Backend::Sqlite).await;
    let (status, body) = server.post(URL, &json!([watch("new", "nothing"), {}])).await;
    assert_eq!((status, code(&body)), (422, "invalid-request"));
    assert_eq!(pointers(&body), ["/0/content_id", "/1/user_id", "/1/content_id", "/1/event_type"]);
    let (status, body) = server.post(URL, &json!([])).await;
    assert_eq!((status, pointers(&body)), (422, vec![""]));
}

#[tokio::test]
async fn one_event_per_line() {
    let server = checkerboard(Backend::Sqlite).await;
    let lines = [
        watch("new", "title-1").to_string(),
        String::new(),
        r#"{"user_id": "new", "#.to_owned(),
        with(watch("new", "title-2"), "rating", json!(0)).to_string(),
        watch("new", "title-3").to_string() + "\r",
    ]
    .join("\n");
    for kind in [Some("application/x-ndjson; charset=utf-8"), Some("application/jsonl")] {
        let (status, body) = post_text(&server, URL, kind, &lines).await.json();
        assert_eq!(status, 207);
        insta::allow_duplicates! {
            assert_json_snapshot!(body, {".results[].event_id" => "[id]"});
        }
    }
}

#[tokio::test]
async fn without_a_telling_content_type_the_body_is_looked_at() {
    let server = checkerboard(Backend::Sqlite).await;
    let lines = format!("{}\n{}\n", watch("new", "title-1"), watch("new", "title-2"));
    let pretty = serde_json::to_string_pretty(&watch("new", "title-3")).expect("json");
    for kind in [None, Some("application/x-www-form-urlencoded"), Some("text/plain")] {
        let (status, body) = post_text(&server, URL, kind, &lines).await.json();
        assert_eq!((status, &body["accepted"]), (200, &json!(2)), "{body}");
        let (status, body) = post_text(&server, URL, kind, &pretty).await.json();
        assert_eq!((status, &body["status"]), (200, &json!("accepted")), "{body}");
        let one_line = watch("new", "title-4").to_string() + "\n";
        let (_, body) = post_text(&server, URL, kind, &one_line).await.json();
        assert_eq!(body["status"], "accepted", "one object is one event");
    }
}

#[tokio::test]
async fn a_line_alone_is_still_a_list_of_lines() {
    let server = checkerboard(Backend::Sqlite).await;
    let line = watch("new", "title-1").to_string();
    let (_, body) = post_text(&server, URL, Some("application/x-ndjson"), &line).await.json();
    assert_eq!((&body["accepted"], &body["results"][0]["line"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn lines_sent_as_json_are_told_what_to_send() {
    let server = checkerboard(Backend::Sqlite).await;
    let lines = format!("{}\n{}\n", watch("new", "title-1"), watch("new", "title-2"));
    let answer = post_text(&server, URL, Some("application/json"), &lines).await;
    let (status, body) = answer.json();
    assert_eq!((status, code(&body)), (400, "malformed-json"));
    let detail = body["detail"].as_str().expect("text");
    assert!(
        detail.contains("line 2 column 1") && detail.contains("application/x-ndjson"),
        "{detail}"
    );
}

#[tokio::test]
async fn at_most_5000_events() {
    let server = checkerboard(Backend::Sqlite).await;
    let event = watch("new", "title-1");
    let (status, body) = server.post(URL, &json!(vec![event.clone(); 5001])).await;
    assert_eq!((status, code(&body)), (422, "invalid-request"));
    let lines = format!("{event}\n").repeat(5001);
    let (status, body) = post_text(&server, URL, Some("application/jsonl"), &lines).await.json();
    assert_eq!((status, pointers(&body)), (422, vec![""]));
    let (status, body) = server.post(URL, &json!(vec![event; 5000])).await;
    assert_eq!((status, &body["accepted"]), (200, &json!(5000)));
}
