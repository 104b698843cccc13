//! `/api/v1/content`.

use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};
use sona_testkit::{Answer, Backend, TestServer, backends};

use crate::{checkerboard, code, list, pointers, post_text, titles};

const URL: &str = "/api/v1/content";

fn stalker() -> Value {
    json!({
        "content_id": "stalker", "content_type": "film", "title": "Stalker", "year": 1979, "runtime_minutes": 162,
        "genres": ["Drama", "Science Fiction"], "themes": [], "moods": ["curious"],
        "credits": [{"person_name": "Andrei Tarkovsky", "role_type": "director", "order_index": 0}],
        "hidden": false
    })
}

#[tokio::test]
async fn create_read_replace_change_remove() {
    for backend in backends() {
        let server = TestServer::start(backend).await;
        let url = format!("{URL}/stalker");
        let answer = Answer::to(server.request(Method::POST, URL).json(&stalker())).await;
        assert_eq!((answer.status, answer.header("location")), (201, url.as_str()));
        assert_eq!(answer.json().1, stalker());
        let (status, body) = server.post(URL, &stalker()).await;
        assert_eq!((status, code(&body)), (409, "content-exists"));
        assert_eq!(server.get(&url).await, (200, stalker()));

        let (status, body) = server.put(&url, &json!({"title": "Сталкер"})).await;
        assert_eq!((status, &body["title"], &body["year"]), (200, &json!("Сталкер"), &Value::Null));
        let (status, body) = server.patch(&url, &json!({"year": 1979, "genres": ["Drama"]})).await;
        assert_eq!((status, &body["title"], &body["year"]), (200, &json!("Сталкер"), &json!(1979)));
        let (status, body) = server.patch(&url, &json!({"year": null})).await;
        assert_eq!(
            (status, &body["genres"], &body["year"]),
            (200, &json!(["Drama"]), &Value::Null)
        );

        assert_eq!(server.delete(&url).await, (204, Value::Null));
        for (status, body) in [
            server.get(&url).await,
            server.delete(&url).await,
            server.patch(&url, &json!({"year": 1979})).await,
        ] {
            assert_eq!((status, code(&body)), (404, "unknown-content"));
        }
        let (status, _) = server.put(&url, &stalker()).await;
        assert_eq!(status, 201);
    }
}

#[tokio::test]
async fn hiding_a_title_is_immediate() {
    for backend in backends() {
        let server = checkerboard(backend).await;
        let shown = async || titles(&list(&server, "user-0", 10).await, "recommendations");
        assert!(shown().await.contains(&"title-0".to_owned()));
        server.patch("/api/v1/content/title-0", &json!({"hidden": true})).await;
        assert!(!shown().await.contains(&"title-0".to_owned()));
        server.patch("/api/v1/content/title-0", &json!({"hidden": false})).await;
        assert!(shown().await.contains(&"title-0".to_owned()));
        server.delete("/api/v1/content/title-0").await;
        assert!(!shown().await.contains(&"title-0".to_owned()));
    }
}

#[tokio::test]
async fn a_title_is_shown_only_while_it_is_available() {
    let server = checkerboard(Backend::Sqlite).await;
    let window = json!({"available_from": "2026-01-01T01:00:00Z", "available_until": "2026-01-01T02:00:00Z"});
    server.patch("/api/v1/content/title-0", &window).await;
    let mut shown = Vec::new();
    for _ in 0..3 {
        let list = list(&server, "user-0", 10).await;
        shown.push(titles(&list, "recommendations").contains(&"title-0".to_owned()));
        server.clock.advance(3600);
    }
    assert_eq!(shown, [false, true, false]);
}

#[tokio::test]
async fn all_problems_of_an_entry_at_once() {
    let server = TestServer::start(Backend::Sqlite).await;
    let entry = json!({
        "title": "", "year": 0, "popularity": 2, "genre": ["Drama"],
        "credits": [{"person_name": "X", "role_type": "grip"}]
    });
    let (status, body) = server.post(URL, &entry).await;
    assert_eq!(status, 422);
    assert_json_snapshot!(body);
}

#[tokio::test]
async fn the_id_in_the_url_rules() {
    let server = TestServer::start(Backend::Sqlite).await;
    server.post(URL, &stalker()).await;
    let other = json!({"content_id": "solaris", "title": "Solaris"});
    for (status, body) in [
        server.put("/api/v1/content/stalker", &other).await,
        server.patch("/api/v1/content/stalker", &other).await,
    ] {
        assert_eq!((status, pointers(&body)), (422, vec!["/content_id"]));
    }
    let (status, body) = server.patch("/api/v1/content/stalker", &json!([])).await;
    assert_eq!((status, pointers(&body)), (422, vec![""]));
    let (status, body) = server.patch("/api/v1/content/stalker", &json!({"title": null})).await;
    assert_eq!((status, pointers(&body)), (422, vec!["/title"]));
}

#[tokio::test]
async fn the_location_leads_to_the_entry_whatever_its_id() {
    let server = TestServer::start(Backend::Sqlite).await;
    for id in ["a/b c?d#e%", "映画", "bulk", "..", "~tilde+plus"] {
        let body = json!({"content_id": id, "title": "T"});
        let answer = Answer::to(server.request(Method::POST, URL).json(&body)).await;
        assert_eq!(answer.status, 201, "{id}");
        if id == ".." {
            // Clients resolve dots before they send; such an id cannot stand in a URL.
            continue;
        }
        let (status, body) = server.get(answer.header("location")).await;
        assert_eq!((status, &body["content_id"]), (200, &json!(id)));
    }
}

#[tokio::test]
async fn many_at_once_all_or_none() {
    for backend in backends() {
        let server = TestServer::start(backend).await;
        let url = format!("{URL}/bulk");
        let solaris = json!({"content_id": "solaris", "title": "Solaris"});
        let (status, body) = server.post(&url, &json!([stalker(), solaris])).await;
        assert_eq!((status, body), (200, json!({"written": 2})));
        assert_eq!(server.get("/api/v1/content/stalker").await, (200, stalker()));

        let lines =
            format!("{solaris}\n\n{}\n", json!({"content_id": "mirror", "title": "Mirror"}));
        let (status, body) =
            post_text(&server, &url, Some("application/x-ndjson"), &lines).await.json();
        assert_eq!((status, body), (200, json!({"written": 2})));

        let wrong = json!([{"content_id": "good", "title": "Good"}, {"title": "No id"}, {"content_id": "x", "title": "X", "yeer": 1}]);
        let (status, body) = server.post(&url, &wrong).await;
        assert_eq!((status, pointers(&body)), (422, vec!["/1/content_id", "/2/yeer"]));
        assert_eq!(server.get("/api/v1/content/good").await.0, 404, "nothing was written");

        let (status, body) =
            post_text(&server, &url, Some("application/jsonl"), "{\n7\n").await.json();
        assert_eq!((status, pointers(&body)), (422, vec!["/0", "/1"]));
        for body in [json!([]), json!("stalker"), json!(vec![stalker(); 5001])] {
            assert_eq!(server.post(&url, &body).await.0, 422);
        }
    }
}

#[tokio::test]
async fn concurrent_changes_lose_nothing() {
    let server = TestServer::start(Backend::Sqlite).await;
    server.post(URL, &stalker()).await;
    let changes = [
        json!({"year": 1980}),
        json!({"genres": ["Film"]}),
        json!({"moods": ["calm"]}),
        json!({"overview": "A zone."}),
        json!({"popularity": 0.5}),
        json!({"themes": ["faith"]}),
    ];
    let url = "/api/v1/content/stalker";
    let requests =
        changes.iter().map(|change| Answer::to(server.request(Method::PATCH, url).json(change)));
    let tasks: Vec<_> = requests.map(tokio::spawn).collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic").status, 200);
    }
    let (_, body) = server.get(url).await;
    assert_eq!(
        [
            &body["year"],
            &body["genres"],
            &body["moods"],
            &body["overview"],
            &body["popularity"],
            &body["themes"]
        ],
        [
            &json!(1980),
            &json!(["Film"]),
            &json!(["calm"]),
            &json!("A zone."),
            &json!(0.5),
            &json!(["faith"])
        ]
    );
}
