//! What may be done to a user's adapters: serving another version, keeping one, deleting, starting anew, wanting none.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sona_domain::{AdapterHandled, AdapterName, UserId};
use sona_engine::AdapterCommand;

use crate::app::App;
use crate::error::{Problem, Result};
use crate::identity::caller::{PathAdapter, PathAdapterVersion, PathUser};
use crate::params::Params;

/// Roll back an adapter
///
/// Serves the newest version before the one that is served. What was learned since is kept as a version, but for what is not
/// written yet. In force when it is answered; other servers follow within `live.follow_interval_ms`.
#[utoipa::path(
    post, path = "/api/v1/users/{user_id}/adapters/{adapter_name}/rollback",
    operation_id = "roll_back_adapter", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
        ("adapter_name" = AdapterName, Path, description = "Which of the user's; `default` is the one that is served"),
        ("served" = Option<i64>, Query, description = "The version you take for the one served; with another one nothing is done", minimum = 1),
    ),
    responses(
        (status = 200, description = "The version before is served", body = AdapterHandled),
        (status = 404, description = "None is served under this name", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another version is served (`served_version`), or there is none before it", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn roll_back(
    State(app): State<Arc<App>>,
    PathAdapter(user_id, name): PathAdapter,
    mut params: Params,
) -> Result<Json<AdapterHandled>> {
    let served = params.version("served");
    params.finish()?;
    handle(&app, &user_id, AdapterCommand::RollBack { name, served }).await
}

/// Serve a version of an adapter
///
/// In force when it is answered; other servers follow within `live.follow_interval_ms`. Learning goes on from it.
#[utoipa::path(
    post, path = "/api/v1/users/{user_id}/adapters/{adapter_name}/versions/{version}/serve",
    operation_id = "serve_adapter_version", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
        ("adapter_name" = AdapterName, Path, description = "Which of the user's; `default` is the one that is served"),
        ("version" = i64, Path, description = "Which version", minimum = 1),
        ("served" = Option<i64>, Query, description = "The version you take for the one served; with another one nothing is done", minimum = 1),
    ),
    responses(
        (status = 200, description = "The version is served", body = AdapterHandled),
        (status = 404, description = "There is no such version", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another version is served (`served_version`)", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn serve(
    State(app): State<Arc<App>>,
    PathAdapterVersion(user_id, name, version): PathAdapterVersion,
    mut params: Params,
) -> Result<Json<AdapterHandled>> {
    let served = params.version("served");
    params.finish()?;
    handle(&app, &user_id, AdapterCommand::Serve { name, version, served }).await
}

/// Pin a version of an adapter
///
/// A pinned version stays when old ones are dropped, and is not deleted on its own.
#[utoipa::path(
    put, path = "/api/v1/users/{user_id}/adapters/{adapter_name}/versions/{version}/pin",
    operation_id = "pin_adapter_version", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
        ("adapter_name" = AdapterName, Path, description = "Which of the user's; `default` is the one that is served"),
        ("version" = i64, Path, description = "Which version", minimum = 1),
    ),
    responses(
        (status = 200, description = "The version is pinned", body = AdapterHandled),
        (status = 404, description = "There is no such version", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn pin(
    State(app): State<Arc<App>>,
    PathAdapterVersion(user_id, name, version): PathAdapterVersion,
) -> Result<Json<AdapterHandled>> {
    handle(&app, &user_id, AdapterCommand::Pin { name, version }).await
}

/// Unpin a version of an adapter
///
/// It is dropped when it is among the old ones.
#[utoipa::path(
    delete, path = "/api/v1/users/{user_id}/adapters/{adapter_name}/versions/{version}/pin",
    operation_id = "unpin_adapter_version", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
        ("adapter_name" = AdapterName, Path, description = "Which of the user's; `default` is the one that is served"),
        ("version" = i64, Path, description = "Which version", minimum = 1),
    ),
    responses(
        (status = 200, description = "The version is not pinned", body = AdapterHandled),
        (status = 404, description = "There is no such version", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn unpin(
    State(app): State<Arc<App>>,
    PathAdapterVersion(user_id, name, version): PathAdapterVersion,
) -> Result<Json<AdapterHandled>> {
    handle(&app, &user_id, AdapterCommand::Unpin { name, version }).await
}

/// Delete a version of an adapter
///
/// One that is neither served nor pinned.
#[utoipa::path(
    delete, path = "/api/v1/users/{user_id}/adapters/{adapter_name}/versions/{version}",
    operation_id = "delete_adapter_version", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
        ("adapter_name" = AdapterName, Path, description = "Which of the user's; `default` is the one that is served"),
        ("version" = i64, Path, description = "Which version", minimum = 1),
    ),
    responses(
        (status = 200, description = "The version is deleted", body = AdapterHandled),
        (status = 404, description = "There is no such version", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The version is served or pinned", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete_version(
    State(app): State<Arc<App>>,
    PathAdapterVersion(user_id, name, version): PathAdapterVersion,
) -> Result<Json<AdapterHandled>> {
    handle(&app, &user_id, AdapterCommand::DeleteVersion { name, version }).await
}

/// Delete an adapter
///
/// All its versions, served and pinned ones too, and what waits to be written. Numbers of versions are not used again.
#[utoipa::path(
    delete, path = "/api/v1/users/{user_id}/adapters/{adapter_name}",
    operation_id = "delete_adapter", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
        ("adapter_name" = AdapterName, Path, description = "Which of the user's; `default` is the one that is served"),
    ),
    responses(
        (status = 200, description = "The adapter is deleted", body = AdapterHandled),
    )
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    PathAdapter(user_id, name): PathAdapter,
) -> Result<Json<AdapterHandled>> {
    handle(&app, &user_id, AdapterCommand::Delete { name }).await
}

/// Reset a user's adapters
///
/// Deletes all versions of all the user's adapters, with what waits to be written. What is learned from then on begins anew.
#[utoipa::path(
    delete, path = "/api/v1/users/{user_id}/adapters",
    operation_id = "reset_adapters", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
    ),
    responses(
        (status = 200, description = "The user has no adapter any more", body = AdapterHandled),
    )
)]
pub(crate) async fn reset(
    State(app): State<Arc<App>>,
    PathUser(user_id): PathUser,
) -> Result<Json<AdapterHandled>> {
    handle(&app, &user_id, AdapterCommand::Reset).await
}

/// Opt out of adapters
///
/// Deletes what was learned of the user alone. From then on nothing is, and lists say so (`adapter.state` is `opted_out`).
/// The user need not be known yet. Erasing a user forgets it.
#[utoipa::path(
    put, path = "/api/v1/users/{user_id}/adapter-opt-out",
    operation_id = "opt_out_of_adapters", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
    ),
    responses(
        (status = 200, description = "The user has opted out", body = AdapterHandled),
    )
)]
pub(crate) async fn opt_out(
    State(app): State<Arc<App>>,
    PathUser(user_id): PathUser,
) -> Result<Json<AdapterHandled>> {
    handle(&app, &user_id, AdapterCommand::OptOut).await
}

/// Opt in to adapters again
///
/// The user's adapter begins anew.
#[utoipa::path(
    delete, path = "/api/v1/users/{user_id}/adapter-opt-out",
    operation_id = "opt_in_to_adapters", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
    ),
    responses(
        (status = 200, description = "The user has not opted out", body = AdapterHandled),
    )
)]
pub(crate) async fn opt_in(
    State(app): State<Arc<App>>,
    PathUser(user_id): PathUser,
) -> Result<Json<AdapterHandled>> {
    handle(&app, &user_id, AdapterCommand::OptIn).await
}

async fn handle(
    app: &App,
    user_id: &UserId,
    command: AdapterCommand,
) -> Result<Json<AdapterHandled>> {
    Ok(Json(app.engine.handle_adapters(user_id, command).await?))
}
