//! `/api/v1/recommendations/{recommendation_id}/exposure`: what a list showed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sona_domain::{Exposure, RecommendationId};

use crate::app::App;
use crate::error::{ApiError, Code, Problem, Result};
use crate::identity::caller::Caller;
use crate::params::PathId;

/// Read what a list showed
///
/// Which titles, at which rank, with which score, and from which model and ranker. Lists are written behind the answers, within
/// about a second, and kept for `exposures.keep_days`. An end user reads their own.
#[utoipa::path(
    get, path = "/api/v1/recommendations/{recommendation_id}/exposure", operation_id = "read_exposure",
    tag = "recommendations",
    params(("recommendation_id" = RecommendationId, Path, description = "Of which list")),
    responses(
        (status = 200, description = "What was shown", body = Exposure),
        (status = 404, description = "No such list is logged, or not any more, or not yet", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathId(recommendation_id): PathId<RecommendationId>,
) -> Result<Json<Exposure>> {
    let found = app.engine.exposure(&recommendation_id).await?;
    // Somebody else's list is answered like none.
    match found.filter(|exposure| caller.acts_for(&exposure.user_id)) {
        Some(exposure) => Ok(Json(exposure)),
        None => Err(ApiError::new(
            Code::UnknownRecommendation,
            format!("there is no list {recommendation_id:?}"),
        )),
    }
}
