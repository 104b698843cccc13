//! `/api/v1/recommendations`.

use insta::{assert_json_snapshot, rounded_redaction};
use serde_json::json;
use sona_testkit::{Backend, World, backends};

use crate::{checkerboard, list, pointers, titles};

const URL: &str = "/api/v1/recommendations";

#[tokio::test]
async fn everybody_gets_the_title_their_like_watched() {
    for backend in backends() {
        let server = checkerboard(backend).await;
        server.train().await;
        for user in 0..10 {
            let list = list(&server, World::user(user).as_str(), 3).await;
            assert_eq!(titles(&list, "recommendations")[0], World::title(user).as_str(), "{list}");
            assert_eq!(list["model_version"], 1);
            assert_eq!(list["interaction_count"], 4);
        }
    }
}

#[tokio::test]
async fn a_list_says_why() {
    let server = checkerboard(Backend::Sqlite).await;
    let body = list(&server, "user-0", 2).await;
    assert_json_snapshot!(body, {
        ".recommendation_id" => "[id]",
        ".**.score" => rounded_redaction(4),
        ".**.contribution" => rounded_redaction(4),
        ".**.weight" => rounded_redaction(4),
    });
}

#[tokio::test]
async fn nothing_seen_is_in_a_list_and_a_list_is_as_long_as_it_can_be() {
    let server = checkerboard(Backend::Sqlite).await;
    let shown = titles(&list(&server, "user-1", 100).await, "recommendations");
    assert_eq!(shown.len(), 6, "ten titles, four of them seen");
    assert!(!shown.contains(&"title-3".to_owned()));
}

#[tokio::test]
async fn an_unknown_user_gets_a_cold_list() {
    for backend in backends() {
        let server = checkerboard(backend).await;
        let list = list(&server, "nobody", 100).await;
        assert_eq!(titles(&list, "recommendations").len(), 10);
        assert_eq!(list["interaction_count"], 0);
    }
}

#[tokio::test]
async fn excluded_titles_stay_out_and_unknown_ones_are_ignored() {
    let server = checkerboard(Backend::Sqlite).await;
    let body = json!({"user_id": "user-0", "exclude": ["title-0", "no such title"]});
    let (status, body) = server.post(URL, &body).await;
    assert_eq!(status, 200);
    assert_eq!(titles(&body, "recommendations").len(), 5);
    assert!(!titles(&body, "recommendations").contains(&"title-0".to_owned()));
}

#[tokio::test]
async fn the_context_takes_part() {
    let server = checkerboard(Backend::Sqlite).await;
    let context = json!({
        "device_type": "tv", "mood": "happy", "company": "family", "timezone": "Europe/Berlin"
    });
    let (status, body) = server.post(URL, &json!({"user_id": "new", "context": context})).await;
    assert_eq!(status, 200);
    let sources = body["sources"].as_array().expect("sources");
    let context = sources.iter().find(|s| s["source"] == "context").expect("the context source");
    assert!(context["weight"].as_f64() > Some(0.0), "{context}");
}

#[tokio::test]
async fn all_problems_at_once() {
    let server = checkerboard(Backend::Sqlite).await;
    let body = json!({
        "limit": 101, "exclude": ["title-1", 7, ""], "user": "user-1",
        "context": {
            "device_type": "fridge", "mood": "hapy", "company": "dog", "time_of_day": "noon",
            "weekday": "sun", "timezone": "Berlin", "weather": "rain"
        }
    });
    let (status, body) = server.post(URL, &body).await;
    assert_eq!(status, 422);
    assert_json_snapshot!(body);
}

#[tokio::test]
async fn limits_are_1_to_100() {
    let server = checkerboard(Backend::Sqlite).await;
    for (limit, expected) in
        [(json!(0), 422), (json!(1), 200), (json!(100), 200), (json!(101), 422), (json!("5"), 422)]
    {
        let (status, body) = server.post(URL, &json!({"user_id": "u", "limit": limit})).await;
        assert_eq!(status, expected, "{limit}");
        assert_eq!(pointers(&body), if expected == 422 { vec!["/limit"] } else { vec![] });
    }
    let (status, body) =
        server.post(URL, &json!({"user_id": "u", "exclude": vec!["x"; 10_001]})).await;
    assert_eq!((status, pointers(&body)), (422, vec!["/exclude"]));
}

#[tokio::test]
async fn a_list_says_how_it_came_about_where_it_is_asked() {
    let server = checkerboard(Backend::Sqlite).await;
    server.train().await;
    let ask = async |query: &str| {
        server.post(&format!("{URL}{query}"), &json!({"user_id": "user-0", "limit": 2})).await
    };
    let (status, plain) = ask("").await;
    assert_eq!((status, plain.get("explain")), (200, None));
    let (status, list) = ask("?explain=full").await;
    assert_eq!((status, &list["recommendations"]), (200, &plain["recommendations"]));
    let explain = &list["explain"];
    assert!(explain["stages"]["total"].as_u64() > Some(0), "{explain}");
    let sources = explain["sources"].as_array().expect("sources");
    assert!(
        sources.iter().any(|s| s["source"] == "trending" && s["candidates"] == 6),
        "{explain:#}"
    );
    assert_eq!(
        (&explain["dropped"]["seen"], &explain["dropped"]["beyond_limit"]),
        (&json!(4), &json!(4))
    );
    for (query, pointer) in [
        ("?explain=half", "?explain"),
        ("?explain", "?explain"),
        ("?explain=full&explain=full", "?explain"),
        ("?explian=full", "?explian"),
    ] {
        let (status, body) = ask(query).await;
        assert_eq!((status, pointers(&body)), (422, vec![pointer]), "{query}");
    }
}
