//! `/api/v1/users/{user_id}`: erasing a user.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sona_domain::{Erasure, UserId};

use crate::app::App;
use crate::error::Result;
use crate::identity::caller::PathUser;

/// Erase a user
///
/// With every trace: events, profile, what is held in memory or waits to be written, their part in the counts lists
/// rest on, and what deleted rows leave in the database's files. Answers a receipt; for an unknown user one of zeros,
/// so a request may be repeated. Events sent before are erased, events sent later begin a new history. A request
/// given up at the time limit goes on to its end.
#[utoipa::path(
    delete, path = "/api/v1/users/{user_id}", operation_id = "erase_user", tag = "users",
    params(("user_id" = UserId, Path, description = "Whom")),
    responses((status = 200, description = "The user is erased", body = Erasure))
)]
pub(crate) async fn erase(
    State(app): State<Arc<App>>,
    PathUser(user_id): PathUser,
) -> Result<Json<Erasure>> {
    Ok(Json(app.engine.erase_user(&user_id).await?))
}
