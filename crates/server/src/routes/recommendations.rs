//! `/api/v1/recommendations`: what a user should see next, and why.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use sona_domain::violation::Object;
use sona_domain::{
    AgeRange, Company, ContentId, DeviceType, Recommendations, TimeOfDay, UserId, Violations,
    Weekday,
};
use sona_engine::{RecommendRequest, RequestContext};
use utoipa::ToSchema;

use crate::answer::ListJson;
use crate::app::App;
use crate::body::JsonBody;
use crate::error::{Problem, Result};
use crate::identity::caller::Caller;
use crate::params::Params;

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
    /// Who watches along.
    company: Option<Company>,
    /// When in the day, on the user's clock.
    time_of_day: Option<TimeOfDay>,
    /// On which day, on the user's calendar.
    weekday: Option<Weekday>,
    /// Where the user's clock hangs, by its name in the IANA database: tells the time of day and the weekday.
    #[schema(example = "Europe/Berlin")]
    timezone: Option<String>,
    /// How old the user is; counts less the more the user has done.
    age_range: Option<AgeRange>,
    /// In which country the user lives, by its two letters (ISO 3166-1); counts less the more the user has done.
    #[schema(example = "DE", min_length = 2, max_length = 2)]
    region: Option<String>,
    /// Genres the user says they like, as when they sign up; they count less the more the user has done.
    #[schema(max_items = 20)]
    genres: Option<Vec<String>>,
}

/// Recommend titles to a user
///
/// Titles the user has seen or dismissed, hidden titles and titles out of their availability window are never
/// in the list. Every item says its score, what each source contributed, and why it is there. A list is
/// shorter than `limit` only if fewer unseen titles are available. Events that follow from a list may quote its
/// `recommendation_id`.
#[utoipa::path(
    post, path = "/api/v1/recommendations", operation_id = "recommend", tag = "recommendations",
    params(("explain" = Option<String>, Query, description = "`full`: say how the list came about, in `explain`", example = "full")),
    request_body = RecommendationRequest,
    responses(
        (status = 200, description = "The list, best first", body = Recommendations),
        (status = 422, description = "The request breaks a rule", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn recommend(
    State(app): State<Arc<App>>,
    caller: Caller,
    mut params: Params,
    JsonBody(mut body): JsonBody,
) -> Result<ListJson> {
    caller.settle_user(&app, &mut body)?;
    let explained = params.says("explain", "full");
    params.finish()?;
    let request = read(&body)?;
    let list = if explained {
        app.engine.recommend_explained(&request).await?
    } else {
        app.engine.recommend(&request).await?
    };
    app.metrics.list(&list);
    Ok(ListJson(list))
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
    let exclude = content_ids(&mut object, "exclude", MAX_EXCLUDE);
    let context = object.raw("context");
    object.finish();
    let context =
        context.map(|value| RequestContext::read(value, "/context", problems)).unwrap_or_default();
    Some(RecommendRequest { user_id: user_id?, limit: limit as usize, exclude, context })
}

/// A list of titles; every one that is none is noted.
pub(crate) fn content_ids(
    object: &mut Object<'_, '_>,
    name: &'static str,
    most: usize,
) -> Vec<ContentId> {
    let mut ids = Vec::new();
    object.items(name, most, |value, at, problems| match value.as_str() {
        Some(text) => match ContentId::new(text) {
            Ok(id) => ids.push(id),
            Err(error) => problems.add(at, error),
        },
        None => problems.add(at, "expected a content id, which is a string"),
    });
    ids
}
