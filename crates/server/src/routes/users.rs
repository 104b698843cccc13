//! `/api/v1/users/{user_id}`: forgetting a user.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sona_domain::UserId;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{ApiError, Code, Problem, Result};
use crate::identity::caller::PathUser;

/// What was removed.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserRemoved {
    /// Whose.
    user_id: UserId,
    /// How much of what.
    removed: Removed,
}

/// How much of what was removed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Removed {
    /// Events taken out of the log.
    events: u64,
    /// Stored profiles, 0 or 1.
    profiles: u64,
}

/// Remove a user
///
/// With all that is theirs: events, profile, what is held in memory. Counts that name nobody (how often two
/// titles follow each other) change with the next training.
#[utoipa::path(
    delete, path = "/api/v1/users/{user_id}", operation_id = "remove_user", tag = "users",
    params(("user_id" = UserId, Path, description = "Whom")),
    responses(
        (status = 200, description = "The user is removed", body = UserRemoved),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    PathUser(user_id): PathUser,
) -> Result<Json<UserRemoved>> {
    match app.engine.remove_user(&user_id).await? {
        Some(removed) => {
            let removed = Removed { events: removed.events, profiles: removed.profiles };
            Ok(Json(UserRemoved { user_id, removed }))
        }
        None => Err(ApiError::new(Code::UnknownUser, format!("there is no user {user_id:?}"))),
    }
}
