//! Processes killed with SIGKILL at bad moments, on every database: what was acknowledged stays, what was half
//! done is never served, and work goes on.

mod adapters;
mod events;
mod training;

use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};
use sona_testkit::{Backend, TestDatabase};

use crate::api::Api;
use crate::process::{Folder, PATIENCE, Sona};

/// Titles of the small catalogue.
const TITLES: usize = 80;

/// Users whose events the models are made from.
const USERS: usize = 60;

/// A database and a folder with everything a process needs to use it.
struct Place {
    folder: Folder,
    database: TestDatabase,
}

impl Place {
    /// An empty database. Only `sona train` trains, and a killed training may be taken over soon; no model is
    /// rejected, so that a version number says which training was the last.
    async fn new(backend: Backend) -> Self {
        let database = TestDatabase::new(backend).await;
        let folder = Folder::new()
            .with("SONA_STORAGE_DATABASE", &database.url)
            .with("SONA_STORAGE_BLOBS", "file:blobs")
            .with("SONA_TRAINING_INTERVAL_HOURS", "0")
            .with("SONA_TRAINING_REJECTION_MARGIN", "1");
        Self { folder, database }
    }

    /// Starts a server.
    fn serve(&self) -> (Sona, Api) {
        let sona = self.folder.start(&["serve", "--port", "0"]);
        let api = Api::of(&sona);
        (sona, api)
    }

    /// Trains; returns the version that was registered.
    fn train(&self) -> i64 {
        let job = self.folder.sona(&["train", "--json"]).expect(0).json();
        job["outcome"]["version"].as_i64().unwrap_or_else(|| panic!("{job:#}"))
    }
}

fn title(n: usize) -> String {
    format!("t{}", n % TITLES)
}

/// Puts the small catalogue in.
async fn put_catalogue(api: &Api) {
    let entry = |n: usize| {
        let genre = ["Drama", "Comedy"][n % 2];
        json!({"content_id": title(n), "title": format!("Title {n}"), "genres": [genre]})
    };
    let entries: Vec<Value> = (0..TITLES).map(entry).collect();
    let (status, answer) = api.post("/api/v1/content/bulk", &entries.into()).await;
    assert_eq!(status, 200, "{answer}");
}

/// Even users watch even titles, odd users odd ones.
async fn put_viewings(api: &Api) {
    let viewing = |user: usize, n: usize| {
        let content_id = title(user % 2 + 2 * (user * 3 + n * 7));
        json!({"event_id": format!("v-{user}-{n}"), "user_id": format!("viewer-{user}"),
            "content_id": content_id, "event_type": "watch", "completion_rate": 1.0})
    };
    let viewings: Vec<Value> =
        (0..USERS).flat_map(|user| (0..15).map(move |n| viewing(user, n))).collect();
    let (status, answer) = api.post("/api/v1/events/track", &viewings.into()).await;
    assert_eq!(status, 200, "{answer}");
}

/// Asks until the answer is yes.
async fn until<F: Future<Output = bool>>(what: &str, mut answer: impl FnMut() -> F) {
    let asking = async {
        while !answer().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let answered = tokio::time::timeout(PATIENCE, asking).await;
    answered.unwrap_or_else(|_| panic!("never came: {what}"));
}
