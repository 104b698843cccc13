//! A user's adapter as a file: handing it out, and taking it in.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;
use sona_domain::{AdapterHandled, AdapterName, UserId};

use crate::app::App;
use crate::body::Tar;
use crate::error::{Problem, Result};
use crate::identity::caller::PathAdapter;
use crate::params::Params;

/// Export an adapter
///
/// A tar of the files PEFT reads, `adapter_config.json` and `adapter_model.safetensors`, and `sona.safetensors`, from which
/// learning goes on. It holds no user id.
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}/adapters/{adapter_name}/export", operation_id = "export_adapter", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
        ("adapter_name" = AdapterName, Path, description = "Which of the user's"),
        ("version" = Option<i64>, Query, description = "Which version; the one that is served if not given", minimum = 1),
    ),
    responses(
        (status = 200, description = "The tar", body = Vec<u8>, content_type = "application/x-tar"),
        (status = 404, description = "There is no such version, or none is served", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The base layer it was learned on is gone", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    PathAdapter(user_id, name): PathAdapter,
    mut params: Params,
) -> Result<impl IntoResponse> {
    let version = params.version("version");
    params.finish()?;
    let tar = app.engine.export_adapter(&user_id, &name, version).await?;
    let file = format!("attachment; filename=\"adapter-{name}.tar\"");
    Ok(([(CONTENT_TYPE, "application/x-tar".to_owned()), (CONTENT_DISPOSITION, file)], tar))
}

/// Import an adapter
///
/// A tar as it is exported; `sona.safetensors` may be left out: then the weights are what is believed of the user
/// before anything is learned. It must have been learned on a base layer of this installation. Saved as a version and served.
#[utoipa::path(
    post, path = "/api/v1/users/{user_id}/adapters/{adapter_name}/import", operation_id = "import_adapter", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
        ("adapter_name" = AdapterName, Path, description = "Which of the user's; `default` is the one that is served"),
        ("served" = Option<i64>, Query, description = "The version you take for the one served; with another one nothing is done", minimum = 1),
    ),
    request_body(content((Vec<u8> = "application/x-tar"))),
    responses(
        (status = 200, description = "The adapter is served", body = AdapterHandled),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another version is served (`served_version`), the user has opted out, or there is no base layer", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The file is no adapter, or does not fit; `detail` says why", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn import(
    State(app): State<Arc<App>>,
    PathAdapter(user_id, name): PathAdapter,
    mut params: Params,
    Tar(bytes): Tar,
) -> Result<Json<AdapterHandled>> {
    let served = params.version("served");
    params.finish()?;
    Ok(Json(app.engine.import_adapter((&user_id, &name), &bytes, served).await?))
}
