//! `/api/v1/personalization/score`: what given titles score for a user.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use sona_domain::violation::Object;
use sona_domain::{ContentId, RequestContext, Scores, UserId, Violations};
use sona_engine::{MAX_SCORED, ScoreRequest};
use utoipa::ToSchema;

use crate::app::App;
use crate::body::JsonBody;
use crate::error::{Problem, Result};
use crate::identity::caller::Caller;
use crate::routes::recommendations::{Context, content_ids};

/// For whom, which titles, and under what circumstances.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"user_id": "ada", "content_ids": ["stalker", "solaris"], "context": {"device_type": "tv"}}))]
#[expect(dead_code, reason = "the shape for the document; `read` reads it and names every problem")]
pub(crate) struct ScoresRequest {
    /// For whom; an end user who asks is meant where it is left out. For an unknown user what is trending and popular counts.
    user_id: Option<UserId>,
    /// Which titles; one that comes twice is answered once.
    #[schema(min_items = 1, max_items = 100)]
    content_ids: Vec<ContentId>,
    /// The circumstances.
    context: Option<Context>,
}

/// Score titles for a user
///
/// On the scale of the user's list, with the same components, also where no source brings a title: 1 is the best candidate of
/// that list and 0 the worst. Titles that may not be shown to anybody are named with the reason; those the user has seen or
/// dismissed have a score and say so. Nothing is logged as shown.
#[utoipa::path(
    post, path = "/api/v1/personalization/score", operation_id = "score", tag = "recommendations",
    request_body = ScoresRequest,
    responses(
        (status = 200, description = "The scores, in the order asked", body = Scores),
        (status = 422, description = "The request breaks a rule", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn score(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(mut body): JsonBody,
) -> Result<Json<Scores>> {
    caller.settle_user(&app, &mut body)?;
    Ok(Json(app.engine.score(&read(&body)?).await?))
}

fn read(body: &Value) -> Result<ScoreRequest, Violations> {
    let mut problems = Violations::new();
    let request = read_fields(body, &mut problems);
    problems.unless(request)
}

fn read_fields(body: &Value, problems: &mut Violations) -> Option<ScoreRequest> {
    let mut object = Object::open(body, "", problems)?;
    let user_id = object.required("user_id", UserId::new);
    let content_ids = content_ids(&mut object, "content_ids", MAX_SCORED);
    if body.get("content_ids").is_none_or(|value| value.as_array().is_some_and(Vec::is_empty)) {
        object.problem("content_ids", "name at least one title");
    }
    let context = object.raw("context");
    object.finish();
    let context =
        context.map(|value| RequestContext::read(value, "/context", problems)).unwrap_or_default();
    Some(ScoreRequest { user_id: user_id?, content_ids, context })
}
