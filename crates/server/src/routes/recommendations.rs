//! `/api/v1/recommendations`: what a user should see next, and why.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use sona_domain::violation::Object;
use sona_domain::{ContentId, DeviceType, Recommendations, UserId, Violations};
use sona_engine::{RecommendRequest, RequestContext};
use utoipa::ToSchema;

use crate::answer::LargeJson;
use crate::app::App;
use crate::body::JsonBody;
use crate::error::{Problem, Result};
use crate::identity::caller::Caller;

/// Items in a list unless asked otherwise.
const DEFAULT_LIMIT: i64 = 20;

/// Most titles one request can exclude.
const MAX_EXCLUDE: usize = 10_000;

/// For whom, how many, and under what circumstances.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"user_id": "ada", "limit": 5, "context": {"device_type": "tv", "mood": "curious"}}))]
#[expect(dead_code, reason = "the shape for the document; `read` reads it and names every problem")]
pub(crate) struct RecommendationRequest {
    /// For whom; an end user who asks is meant where it is left out. An unknown user gets what is trending and
    /// popular.
    user_id: Option<UserId>,
    /// How many items.
    #[schema(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u8>,
    /// Titles not to show this time; unknown ones are ignored.
    #[schema(max_items = 10_000)]
    exclude: Option<Vec<ContentId>>,
    /// The circumstances.
    context: Option<Context>,
}

/// The circumstances of a request.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape for the document")]
pub(crate) struct Context {
    /// On what the list will be watched.
    device_type: Option<DeviceType>,
    /// A mood word: happy, sad, excited, relaxed, scared, romantic, curious, nostalgic, or a synonym.
    #[schema(example = "curious")]
    mood: Option<String>,
}

/// Recommend titles to a user
///
/// Titles the user has seen or dismissed, hidden titles and titles out of their availability window are never
/// in the list. Every item says its score, what each source contributed, and why it is there. A list is
/// shorter than `limit` only if fewer unseen titles are available.
#[utoipa::path(
    post, path = "/api/v1/recommendations", operation_id = "recommend", tag = "recommendations",
    request_body = RecommendationRequest,
    responses(
        (status = 200, description = "The list, best first", body = Recommendations),
        (status = 422, description = "The request breaks a rule", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn recommend(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(mut body): JsonBody,
) -> Result<LargeJson<Recommendations>> {
    caller.settle_user(&app, &mut body)?;
    let list = app.engine.recommend(&read(&body)?).await?;
    app.metrics.list(&list);
    Ok(LargeJson(list))
}

fn read(body: &Value) -> Result<RecommendRequest, Violations> {
    let mut problems = Violations::new();
    let request = read_fields(body, &mut problems);
    problems.unless(request)
}

fn read_fields(body: &Value, problems: &mut Violations) -> Option<RecommendRequest> {
    let mut object = Object::open(body, "", problems)?;
    let user_id = object.required("user_id", UserId::new);
    let limit = object.integer("limit", 1, 100).unwrap_or(DEFAULT_LIMIT);
    let mut exclude = Vec::new();
    object.items("exclude", MAX_EXCLUDE, |value, at, problems| match value.as_str() {
        Some(text) => match ContentId::new(text) {
            Ok(id) => exclude.push(id),
            Err(error) => problems.add(at, error),
        },
        None => problems.add(at, "expected a content id, which is a string"),
    });
    let context = object.raw("context");
    object.finish();
    let context =
        context.map(|value| RequestContext::read(value, "/context", problems)).unwrap_or_default();
    Some(RecommendRequest { user_id: user_id?, limit: limit as usize, exclude, context })
}
