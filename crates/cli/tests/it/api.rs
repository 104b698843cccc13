//! Asking a serving process.

use serde_json::{Value, json};

use crate::process::{PATIENCE, Sona};

/// Asks one server.
#[derive(Clone)]
pub(crate) struct Api {
    base: String,
    client: reqwest::Client,
}

impl Api {
    /// Asks `sona`.
    pub(crate) fn of(sona: &Sona) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
        Self { base: sona.base.clone(), client: client.expect("a client") }
    }

    /// GETs; status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.base));
        answer(request).await.unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// POSTs; status and body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.try_post(path, body).await;
        answer.unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// DELETEs; status and body.
    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        let request = self.client.delete(format!("{}{path}", self.base));
        answer(request).await.unwrap_or_else(|error| panic!("DELETE {path}: {error}"))
    }

    /// POSTs to a server that may go away meanwhile.
    pub(crate) async fn try_post(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<(u16, Value), reqwest::Error> {
        answer(self.client.post(format!("{}{path}", self.base)).json(body)).await
    }

    /// The content ids of a user's list.
    pub(crate) async fn list(&self, user: &str) -> Vec<String> {
        let body = json!({"user_id": user, "limit": 10});
        let (status, answer) = self.post("/api/v1/recommendations", &body).await;
        assert_eq!(status, 200, "{answer}");
        ids(&answer)
    }

    /// How many events of a user are known; 0 for a user nobody knows.
    pub(crate) async fn interaction_count(&self, user: &str) -> u64 {
        let (status, profile) = self.get(&format!("/api/v1/profile/{user}")).await;
        match status {
            404 => 0,
            _ => profile["interaction_count"].as_u64().unwrap_or_else(|| panic!("{profile}")),
        }
    }

    /// The server's own account of itself.
    pub(crate) async fn health(&self) -> Value {
        let (status, health) = self.get("/health").await;
        assert_eq!(status, 200, "{health}");
        health
    }

    /// The model served.
    pub(crate) async fn model_version(&self) -> Option<i64> {
        self.health().await["model_version"].as_i64()
    }
}

/// The content ids of an answered list.
pub(crate) fn ids(answer: &Value) -> Vec<String> {
    let items = answer["recommendations"].as_array().unwrap_or_else(|| panic!("{answer}"));
    items.iter().map(|item| item["content_id"].as_str().expect("an id").to_owned()).collect()
}

async fn answer(request: reqwest::RequestBuilder) -> Result<(u16, Value), reqwest::Error> {
    let response = request.send().await?;
    Ok((response.status().as_u16(), response.json().await?))
}
