//! `/api/v1/users/{user_id}/adapters`: looking at a user's adapters.

pub(crate) mod handle;
pub(crate) mod portable;
pub(crate) mod train;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sona_domain::{AdapterDetails, AdapterName, AdapterReport, ListedAdapter, Timestamp, UserId};
use sona_engine::AdapterPosition;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{Problem, Result};
use crate::identity::caller::{PathAdapter, PathAdapterVersion, PathUser};
use crate::params::Params;

/// Versions on a page, at most and unless asked otherwise.
const PAGE: (usize, usize) = (100, 20);

/// A user's adapters, one page.
#[derive(Serialize, ToSchema)]
pub(crate) struct AdapterList {
    /// Whose.
    user_id: UserId,
    /// Since when the user wants no adapter; absent if they want one.
    #[serde(skip_serializing_if = "Option::is_none")]
    opted_out_at: Option<Timestamp>,
    /// Versions, newest first.
    adapters: Vec<ListedAdapter>,
    /// `after` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List a user's adapters
///
/// Their versions, newest first, each with its rank and with how much better it had foreseen the user's choices when it was
/// saved. What the user taught in the last seconds may not be a version yet. For a user of whom nothing is known the list is
/// empty.
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}/adapters", operation_id = "list_adapters", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
        ("name" = Option<AdapterName>, Query, description = "Only this adapter"),
        ("limit" = Option<usize>, Query, description = "Versions on the page", minimum = 1, maximum = 100),
        ("after" = Option<String>, Query, description = "Where to go on: `next` of the page before"),
    ),
    responses((status = 200, description = "The versions", body = AdapterList))
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    PathUser(user_id): PathUser,
    mut params: Params,
) -> Result<Json<AdapterList>> {
    let name = params.parsed("name", |text| AdapterName::new(text));
    let limit = params.integer("limit", 1, PAGE.0).unwrap_or(PAGE.1);
    let after = params.parsed("after", position);
    params.finish()?;
    let found = app.engine.adapters(&user_id, name.as_ref(), after.as_ref(), limit + 1).await?;
    let more = found.len() > limit;
    let adapters: Vec<_> = found.into_iter().take(limit).collect();
    let next = adapters.last().filter(|_| more).map(|last| cursor(&(&last.about).into()));
    let opted_out_at = app.engine.opted_out_at(&user_id).await?;
    Ok(Json(AdapterList { user_id, opted_out_at, adapters, next }))
}

/// Read the adapter that is served
///
/// The version of the name that is served, with what its file says.
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}/adapters/{adapter_name}", operation_id = "read_adapter", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
        ("adapter_name" = AdapterName, Path, description = "Which of the user's; `default` is the one that is served"),
    ),
    responses(
        (status = 200, description = "The version that is served", body = AdapterDetails),
        (status = 404, description = "None is served under this name", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    PathAdapter(user_id, name): PathAdapter,
) -> Result<Json<AdapterDetails>> {
    Ok(Json(app.engine.adapter(&user_id, &name, None).await?))
}

/// Read a version of an adapter
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}/adapters/{adapter_name}/versions/{version}",
    operation_id = "read_adapter_version", tag = "adapters",
    params(
        ("user_id" = UserId, Path, description = "Whose"),
        ("adapter_name" = AdapterName, Path, description = "Which of the user's; `default` is the one that is served"),
        ("version" = i64, Path, description = "Which version", minimum = 1),
    ),
    responses(
        (status = 200, description = "The version", body = AdapterDetails),
        (status = 404, description = "There is no such version", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read_version(
    State(app): State<Arc<App>>,
    PathAdapterVersion(user_id, name, version): PathAdapterVersion,
) -> Result<Json<AdapterDetails>> {
    Ok(Json(app.engine.adapter(&user_id, &name, Some(version)).await?))
}

/// Read how adapters do
///
/// All that are stored, and of users in this server's memory how many are served, learning or held back, and how much better
/// adapters foresaw what they chose.
#[utoipa::path(
    get, path = "/api/v1/adapters/report", operation_id = "adapter_report", tag = "adapters",
    responses((status = 200, description = "The numbers", body = AdapterReport))
)]
pub(crate) async fn report(State(app): State<Arc<App>>) -> Result<Json<AdapterReport>> {
    Ok(Json(app.engine.adapter_report().await?))
}

/// A place in a list, as clients hand it back.
fn cursor(place: &AdapterPosition) -> String {
    format!("{}_{}_{}", place.created_at.as_micros(), place.version, place.adapter_name)
}

fn position(text: &str) -> Result<AdapterPosition, String> {
    let read = || {
        let (at, rest) = text.split_once('_')?;
        let (version, name) = rest.split_once('_')?;
        Some(AdapterPosition {
            created_at: Timestamp::from_micros(at.parse().ok()?),
            version: version.parse().ok()?,
            adapter_name: AdapterName::new(name).ok()?,
        })
    };
    read().ok_or_else(|| format!("expected `next` of the page before, found {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back() {
        for (at, name) in [(0, "default"), (-5, "a_b-c_"), (i64::MAX, "1_2_3")] {
            let place = AdapterPosition {
                created_at: Timestamp::from_micros(at),
                adapter_name: AdapterName::new(name).expect("a name"),
                version: 7,
            };
            assert_eq!(position(&cursor(&place)), Ok(place));
        }
        for text in ["", "1", "1_2", "x_1_a", "1_x_a", "1_2_", "1_2_a b"] {
            assert!(position(text).is_err(), "{text}");
        }
    }
}
