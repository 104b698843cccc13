//! `/api/v1/similar/{content_id}`: titles like a title.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sona_domain::{ContentId, SimilarTitle, Timestamp};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{Problem, Result};
use crate::params::{Params, PathId};

/// Titles in an answer unless asked otherwise.
const DEFAULT_LIMIT: usize = 20;

/// Titles like a title.
#[derive(Serialize, ToSchema)]
pub(crate) struct SimilarTitles {
    /// Like which title.
    content_id: ContentId,
    /// Most alike first; empty if nobody has engaged with the title yet and its text has no vector.
    similar: Vec<SimilarTitle>,
    /// When the answer was made.
    generated_at: Timestamp,
}

/// Find titles like a title
///
/// Alike are titles that people engaged with who engaged with this one, and titles whose texts are alike; every
/// item says which. Only titles that may be shown now are in the answer; the title itself may be hidden.
#[utoipa::path(
    get, path = "/api/v1/similar/{content_id}", operation_id = "find_similar", tag = "recommendations",
    params(
        ("content_id" = ContentId, Path, description = "Like which title"),
        ("limit" = Option<u8>, Query, description = "How many titles, 20 unless given", minimum = 1, maximum = 100),
    ),
    responses(
        (status = 200, description = "The titles, most alike first", body = SimilarTitles),
        (status = 404, description = "The catalogue has no such title", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The request breaks a rule", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn similar(
    State(app): State<Arc<App>>,
    PathId(content_id): PathId<ContentId>,
    mut params: Params,
) -> Result<Json<SimilarTitles>> {
    let limit = params.integer("limit", 1, 100).unwrap_or(DEFAULT_LIMIT);
    params.finish()?;
    let generated_at = app.engine.now();
    let similar = app.engine.similar(&content_id, limit).await?;
    Ok(Json(SimilarTitles { content_id, similar, generated_at }))
}
