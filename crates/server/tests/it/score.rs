//! `/api/v1/personalization/score`.

use serde_json::{Value, json};
use sona_testkit::Backend;

use crate::{checkerboard, list, pointers};

const URL: &str = "/api/v1/personalization/score";

#[tokio::test]
async fn titles_score_as_in_the_list() {
    let server = checkerboard(Backend::Sqlite).await;
    server.train().await;
    let list = list(&server, "user-0", 20).await;
    let body = json!({"user_id": "user-0", "content_ids": ["title-0", "title-2", "no such title"]});
    let (status, body) = server.post(URL, &body).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["unscored"], json!([{"content_id": "no such title", "reason": "unknown"}]));
    assert_eq!(body["scores"][1]["kept_out"], "seen");
    let items = list["recommendations"].as_array().expect("items");
    let item = items.iter().find(|item| item["content_id"] == "title-0").expect("unseen");
    let mut item = item.clone();
    item.as_object_mut().expect("an object").remove("ttl_seconds");
    assert_eq!(body["scores"][0], item, "{body}");
    assert_eq!(body["model_version"], 1);
}

#[tokio::test]
async fn all_problems_at_once() {
    let server = checkerboard(Backend::Sqlite).await;
    let check = async |body: Value, expected: &[&str]| {
        let (status, body) = server.post(URL, &body).await;
        assert_eq!((status, pointers(&body)), (422, expected.to_vec()), "{body}");
    };
    check(
        json!({"content_ids": ["a", 7, ""], "limit": 1, "context": {"mood": "hapy"}}),
        &["/user_id", "/content_ids/1", "/content_ids/2", "/limit", "/context/mood"],
    )
    .await;
    check(json!({"user_id": "u", "content_ids": []}), &["/content_ids"]).await;
    check(json!({"user_id": "u"}), &["/content_ids"]).await;
    check(json!({"user_id": "u", "content_ids": vec!["x"; 101]}), &["/content_ids"]).await;
}
