//! `/api/v1/lora/train`: training a user's adapter anew.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use sona_domain::violation::Object;
use sona_domain::{AdapterTraining, UserId, Violations};
use sona_engine::Forced;
use utoipa::ToSchema;

use crate::app::App;
use crate::body::JsonBody;
use crate::error::{Problem, Result};
use crate::identity::caller::Caller;

/// Whose adapter to train.
#[derive(ToSchema)]
#[schema(example = json!({"user_id": "ada", "force": true}))]
#[expect(dead_code, reason = "the shape for the document; `read` reads it and names every problem")]
pub(crate) struct AdapterTrainingRequest {
    /// Whose; an end user who asks is meant where it is left out.
    user_id: Option<UserId>,
    /// Whether to train on fewer events than `adapters.least_events` too.
    #[schema(default = false)]
    force: Option<bool>,
}

/// Train a user's adapter
///
/// Anew, on all stored events of the user: they are gone through from the first one on, and what was chosen each time is learned
/// from, given what could have been shown, in the world as it is now. The result is saved as a version and served. What the
/// user chooses meanwhile is learned too. Adapters learn from every event as it comes; this is for histories that were imported.
/// Given up at the time limit it goes on to its end.
#[utoipa::path(
    post, path = "/api/v1/lora/train", operation_id = "train_adapter", tag = "adapters",
    request_body = AdapterTrainingRequest,
    responses(
        (status = 200, description = "The adapter is trained and served", body = AdapterTraining),
        (status = 400, description = "There are too few events (`current_count`)", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The user's adapter is being trained, was changed meanwhile, is not wanted, or there is no base layer yet", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The request breaks a rule", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn train(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(mut body): JsonBody,
) -> Result<Json<AdapterTraining>> {
    caller.settle_user(&app, &mut body)?;
    let mut problems = Violations::new();
    let read = read(&body, &mut problems);
    let (user_id, forced) = problems.unless(read)?;
    Ok(Json(app.engine.train_adapter(&user_id, forced).await?))
}

fn read(body: &Value, problems: &mut Violations) -> Option<(UserId, Forced)> {
    let mut object = Object::open(body, "", problems)?;
    let user_id = object.required("user_id", UserId::new);
    let force = object.flag("force");
    object.finish();
    Some((user_id?, if force { Forced::Yes } else { Forced::No }))
}
