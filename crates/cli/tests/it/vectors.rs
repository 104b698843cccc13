//! Vectors made elsewhere: imported by the real binary, served, and what `similar` and the content source make of them.

use serde_json::{Value, json};
use sona_testkit::{TestDatabase, backends};

use crate::process::{Folder, PATIENCE, Sona};

/// Titles whose texts say nothing, and vectors of two directions; "d" has none.
const TITLES: [(&str, Option<[f32; 2]>); 5] = [
    ("a", Some([1.0, 0.0])),
    ("b", Some([0.9, 0.1])),
    ("c", Some([0.0, 1.0])),
    ("d", None),
    ("e", Some([0.1, 0.9])),
];

fn put(folder: &Folder, name: &str, lines: &[Value]) {
    let lines: Vec<_> = lines.iter().map(Value::to_string).collect();
    fs_err::write(folder.path().join(name), lines.join("\n")).expect("writable");
}

fn catalogue() -> Vec<Value> {
    TITLES.map(|(id, _)| json!({"content_id": id, "title": "Untitled"})).into()
}

fn vectors() -> Vec<Value> {
    let with = TITLES.iter().filter_map(|(id, vector)| Some((id, (*vector)?)));
    with.map(|(id, vector)| json!({"content_id": id, "vector": vector})).collect()
}

fn ids(items: &Value) -> Vec<&str> {
    let items = items.as_array().expect("a list");
    items.iter().map(|item| item["content_id"].as_str().expect("an id")).collect()
}

async fn send(method: reqwest::Method, sona: &Sona, path: &str, body: Value) -> (u16, Value) {
    let request = reqwest::Client::new().request(method, format!("{}{path}", sona.base));
    let request = if body.is_null() { request } else { request.json(&body) };
    let answer = request.timeout(PATIENCE).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn get(sona: &Sona, path: &str) -> Value {
    let (status, body) = send(reqwest::Method::GET, sona, path, Value::Null).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn post(sona: &Sona, path: &str, body: Value) -> Value {
    let (status, body) = send(reqwest::Method::POST, sona, path, body).await;
    assert!((200..300).contains(&status), "{body}");
    body
}

/// The two titles most like `id`, once the first is `expect`.
async fn similar(sona: &Sona, id: &str, expect: &str) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let similar = get(sona, &format!("/api/v1/similar/{id}?limit=2")).await;
        if ids(&similar["similar"]).first() == Some(&expect) {
            return similar;
        }
        assert!(begun.elapsed() < PATIENCE, "{similar:#}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Waits until the first title of a user's list is `expect`.
async fn offered(sona: &Sona, user: &str, expect: &str) {
    let begun = std::time::Instant::now();
    loop {
        let ask = json!({"user_id": user, "limit": 1});
        let list = post(sona, "/api/v1/recommendations", ask).await;
        if list["recommendations"][0]["content_id"] == expect {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{list:#}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_served_and_used() {
    for backend in backends() {
        let database = TestDatabase::new(backend).await;
        let folder = Folder::new()
            .with("SONA_STORAGE_DATABASE", &database.url)
            .with("SONA_STORAGE_BLOBS", "file:blobs")
            .with("SONA_SERVER_PORT", "0")
            .with("SONA_LIVE_FOLLOW_INTERVAL_MS", "20")
            .with("SONA_ENCODER_VECTORS", "mini")
            .with("SONA_FUSION_CONTENT", "0.5");
        put(&folder, "films.jsonl", &catalogue());
        put(&folder, "mini.jsonl", &vectors());
        folder.sona(&["import", "films.jsonl"]).expect(0);
        let sona = folder.start(&["serve"]);
        assert_eq!(get(&sona, "/health").await["vectors"], Value::Null);

        // A server that runs takes them in.
        let import = ["import-vectors", "mini.jsonl", "--encoder", "mini", "--json"];
        let imported = folder.sona(&import).expect(0).json();
        let expect = (&json!(4), &json!(2), &json!("imported:mini"));
        assert_eq!((&imported["written"], &imported["width"], &imported["encoder"]), expect);
        assert_eq!(ids(&similar(&sona, "a", "b").await["similar"])[0], "b");
        let health = get(&sona, "/health").await;
        let encoder = json!({"kind": "imported", "name": "imported:mini", "width": 2});
        assert_eq!(health["encoder"], encoder);
        assert_eq!(health["vectors"], json!({"encoder": "imported:mini", "titles": 4}));

        // The content source.
        let event = json!({"user_id": "u", "content_id": "c", "event_type": "like"});
        post(&sona, "/api/v1/events/track", event).await;
        let ask = json!({"user_id": "u", "limit": 1});
        let list = post(&sona, "/api/v1/recommendations", ask).await;
        let first = &list["recommendations"][0];
        assert_eq!(first["content_id"], "e", "{list:#}");
        let sources = first["sources"].as_array().expect("sources");
        assert!(sources.iter().any(|source| source["source"] == "content"), "{list:#}");

        // A title has none until one is imported, and what is imported again replaces.
        let bulk = |id: &str, vector: [f32; 2]| json!({"encoder": "mini", "embeddings": [{"content_id": id, "vector": vector}]});
        post(&sona, "/api/v1/content", json!({"content_id": "f", "title": "New"})).await;
        assert_eq!(get(&sona, "/health").await["vectors"]["titles"], 4);
        post(&sona, "/api/v1/embeddings/bulk", bulk("f", [1.0, 0.02])).await;
        let at_once = get(&sona, "/api/v1/similar/a?limit=1").await;
        assert_eq!(ids(&at_once["similar"]), ["f"], "without waiting");
        put(&folder, "again.jsonl", &[json!({"content_id": "f", "vector": [-1, 0.3]})]);
        folder.sona(&["import-vectors", "again.jsonl", "--encoder", "mini"]).expect(0);
        similar(&sona, "a", "b").await;

        // A user who has done nothing yet, and one who is not there.
        let (status, _) = send(reqwest::Method::PUT, &sona, "/api/v1/users/new", json!({})).await;
        assert_eq!(status, 200);
        let own = |id: &str| json!({"user_id": id, "vector": [1, 0]});
        put(&folder, "users.jsonl", &[own("nobody"), own("new")]);
        let import = ["import-vectors", "users.jsonl", "--encoder", "mini", "--json"];
        let imported = folder.sona(&import).expect(2).json();
        assert_eq!((&imported["written"], &imported["rejected"]), (&json!(1), &json!(1)));
        let rejects = fs_err::read_to_string(folder.path().join("users.jsonl.rejects.csv"));
        assert!(rejects.expect("written").contains("users.jsonl,1,user_id,"));
        offered(&sona, "new", "a").await;

        // What is gone is gone, and another process starts with the same.
        send(reqwest::Method::DELETE, &sona, "/api/v1/content/b", Value::Null).await;
        similar(&sona, "c", "e").await;
        assert_eq!(sona.terminate(), Some(0));
        let sona = folder.start(&["serve"]);
        similar(&sona, "c", "e").await;
        assert_eq!(get(&sona, "/health").await["vectors"]["titles"], 4, "a, c, e, f");
    }
}

#[test]
fn bad_rows_are_listed_and_the_good_ones_kept() {
    let folder = Folder::new();
    put(&folder, "films.jsonl", &catalogue());
    folder.sona(&["import", "films.jsonl"]).expect(0);
    let mut lines = vectors();
    lines.push(json!({"content_id": "nobody's", "vector": [1, 1]}));
    lines.push(json!({"content_id": "d", "vector": [1, 1, 1]}));
    lines.push(json!({"content_id": "d", "vector": [0, 0]}));
    put(&folder, "mini.jsonl", &lines);
    let import = ["import-vectors", "mini.jsonl", "--encoder", "mini", "--json"];
    let imported = folder.sona(&import).expect(2).json();
    assert_eq!((&imported["written"], &imported["rejected"]), (&json!(4), &json!(3)));
    let rejects = fs_err::read_to_string(folder.path().join("mini.jsonl.rejects.csv"));
    let rejects = rejects.expect("written");
    let lines: Vec<_> = rejects.lines().skip(1).collect();
    assert!(lines[0].starts_with("mini.jsonl,5,content_id,"), "{rejects}");
    assert!(lines[1].starts_with("mini.jsonl,6,vector,"), "{rejects}");
    assert!(lines[1].contains("expected 2 numbers as the others have, found 3"), "{rejects}");
    assert!(lines[2].starts_with("mini.jsonl,7,vector,"), "{rejects}");

    // Vectors of another width are another set, or replace the old one.
    put(&folder, "wide.jsonl", &[json!({"content_id": "a", "vector": [1, 2, 3]})]);
    let wide = ["import-vectors", "wide.jsonl", "--encoder", "mini"];
    folder.sona(&wide).expect(2);
    folder.sona(&[&wide[..], &["--replace"]].concat()).expect(0);

    let refused = folder.sona(&["import-vectors", "films.csv", "--encoder", "a b"]).expect(2);
    assert!(refused.stderr.contains("letters, digits"), "{}", refused.stderr);
    let both = [("SONA_ENCODER_VECTORS", "mini"), ("SONA_ENCODER_MODEL", "m.onnx")];
    let refused = folder.sona_with(&both, &["doctor"]).expect(2).stderr;
    assert!(refused.contains("exclude each other"), "{refused}");
    let mini = [("SONA_ENCODER_VECTORS", "mini")];
    let doctor = folder.sona_with(&mini, &["doctor"]).stdout;
    assert!(doctor.contains("imported:mini, 3 numbers each"), "{doctor}");
    let refused = folder.sona_with(&mini, &["train", "encoder"]).expect(1).stderr;
    assert!(refused.contains("clear encoder.vectors"), "{refused}");
}
