//! `/api/v1/profile`: what is known of a user, and taking in one user's viewings.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sona_domain::violation::Object;
use sona_domain::{
    ContentId, EventDraft, EventId, EventType, Profile, RecommendationId, Timestamp, UserId,
    Violations,
};
use sona_engine::TrackOutcome;
use utoipa::ToSchema;

use crate::app::App;
use crate::body::JsonBody;
use crate::error::{ApiError, Code, Problem, Result};
use crate::identity::caller::{Caller, PathUser};
use crate::metrics::EventCounts;
use crate::routes::events::unknown_content;

/// Most viewings in one call.
const MAX_VIEWINGS: usize = 1_000;

/// Read a profile
///
/// What is known of a user: a view of their events, as it is now.
#[utoipa::path(
    get, path = "/api/v1/profile/{user_id}", operation_id = "read_profile", tag = "users",
    params(("user_id" = UserId, Path, description = "Whose")),
    responses(
        (status = 200, description = "The profile", body = Profile),
        (status = 404, description = "No event of this user is known", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    PathUser(user_id): PathUser,
) -> Result<Json<Profile>> {
    match app.engine.profile(&user_id).await? {
        Some(profile) => Ok(Json(profile)),
        None => Err(ApiError::new(Code::UnknownUser, format!("there is no user {user_id:?}"))),
    }
}

/// One user's viewings.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "user_id": "ada",
    "viewing_events": [{"content_id": "stalker", "completion_rate": 1, "rating": 5}]
}))]
#[expect(
    dead_code,
    reason = "the shape for the document; `read_update` reads it and names every problem"
)]
pub(crate) struct ProfileUpdate {
    /// Whose; an end user who asks is meant where it is left out.
    user_id: Option<UserId>,
    /// What they watched.
    #[schema(min_items = 1, max_items = 1000)]
    viewing_events: Vec<Viewing>,
}

/// One viewing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape for the document")]
pub(crate) struct Viewing {
    /// Of what; it must be in the catalogue.
    content_id: ContentId,
    /// When; now if not given. At most 5 minutes ahead; any time in the past.
    timestamp: Option<Timestamp>,
    /// How much of it was watched.
    #[schema(minimum = 0, maximum = 1)]
    completion_rate: Option<f32>,
    /// Stars.
    #[schema(minimum = 1, maximum = 5)]
    rating: Option<f32>,
    /// True if it was not the first time.
    #[schema(default = false)]
    is_rewatch: Option<bool>,
    /// True if the user said "not for me".
    #[schema(default = false)]
    dismissed: Option<bool>,
    /// Its name; a viewing sent twice under one id counts once. Allocated if not given.
    event_id: Option<EventId>,
    /// `watch` if not given.
    #[schema(default = "watch")]
    event_type: Option<EventType>,
    /// Circumstances, kept as sent; at most 4096 bytes. What a request's context may say teaches which titles fit it and
    /// takes the same values here; other fields are free.
    context: Option<Map<String, Value>>,
    /// The list it was done with. Nobody looks whether there is such a list: it may have expired.
    recommendation_id: Option<RecommendationId>,
}

/// What an update did.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProfileUpdated {
    /// Always `updated`.
    status: &'static str,
    /// Whose.
    user_id: UserId,
    /// Viewings taken in.
    events_processed: u64,
    /// Viewings that were there already.
    duplicates: u64,
    /// Width of the preference vector; 0 before a model is trained.
    preference_vector_dim: usize,
    /// What is known of the user now.
    profile: Profile,
}

/// Take in viewings of a user
///
/// All or none: if any viewing breaks a rule or names unknown content, nothing is written and every problem is
/// in the answer. Otherwise they are durable and reflected in the user's next list when this is answered.
#[utoipa::path(
    post, path = "/api/v1/profile/update", operation_id = "update_profile", tag = "users",
    request_body = ProfileUpdate,
    responses(
        (status = 200, description = "The viewings are taken in", body = ProfileUpdated),
        (status = 422, description = "The request breaks a rule; nothing was written", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again after `retry-after` seconds; with an `event_id` nothing counts twice", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn update(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(mut body): JsonBody,
) -> Result<Json<ProfileUpdated>> {
    caller.settle_user(&app, &mut body)?;
    let mut problems = Violations::new();
    let update = read_update(&app, &body, &mut problems);
    note_unknown_content(&app, &body, &mut problems).await?;
    let (user_id, drafts) = problems.unless(update)?;
    let counts = track(&app, drafts).await?;
    if let Err(error) = app.engine.write_profiles(std::slice::from_ref(&user_id)).await {
        // The events are durable and the profile is written behind them anyway.
        tracing::warn!(%error, "the profile could not be stored at once");
    }
    let profile = app.engine.profile(&user_id).await?;
    let profile = profile.ok_or_else(|| {
        ApiError::new(Code::UnknownUser, "the user was removed while the viewings were taken in")
    })?;
    Ok(Json(ProfileUpdated {
        status: "updated",
        user_id,
        events_processed: counts.accepted,
        duplicates: counts.duplicate,
        preference_vector_dim: profile.preference_vector.len(),
        profile,
    }))
}

fn read_update(
    app: &App,
    body: &Value,
    problems: &mut Violations,
) -> Option<(UserId, Vec<EventDraft>)> {
    let mut object = Object::open(body, "", problems)?;
    let user_id = object.required("user_id", UserId::new);
    // Viewings are checked also when it is not known whose they are.
    let reader = user_id.clone().unwrap_or_else(|| UserId::new("-").expect("a dash is an id"));
    let (rules, now) = (&app.engine.options().events, app.engine.now());
    let mut drafts = Vec::new();
    object.items("viewing_events", MAX_VIEWINGS, |viewing, at, problems| {
        drafts.extend(EventDraft::read_viewing(viewing, &at, &reader, rules, now, problems));
    });
    let viewings = &body["viewing_events"];
    if viewings.is_null() || viewings.as_array().is_some_and(Vec::is_empty) {
        object.problem("viewing_events", "expected at least one viewing");
    }
    object.finish();
    Some((user_id?, drafts))
}

/// Notes every viewing of content that is not in the catalogue, also after a fresh look at the database.
async fn note_unknown_content(app: &App, body: &Value, problems: &mut Violations) -> Result<()> {
    let viewings = body["viewing_events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let unknown = || {
        let ids = viewings.iter().take(MAX_VIEWINGS).map(|viewing| viewing["content_id"].as_str());
        let ids = ids.enumerate().filter_map(|(n, id)| Some((n, ContentId::new(id?).ok()?)));
        ids.filter(|(_, id)| app.engine.content(id).is_none()).collect::<Vec<_>>()
    };
    if unknown().is_empty() {
        return Ok(());
    }
    app.engine.follow().await?;
    for (n, content_id) in unknown() {
        let problem = unknown_content(&format!("/viewing_events/{n}"), &content_id);
        problems.add(problem.pointer, problem.detail);
    }
    Ok(())
}

/// Takes the viewings in. Content deleted since it was checked is refused here; its neighbours are written.
async fn track(app: &App, drafts: Vec<EventDraft>) -> Result<EventCounts> {
    let mut counts = EventCounts::default();
    let mut errors = Vec::new();
    for (n, outcome) in app.engine.track(drafts).await?.into_iter().enumerate() {
        match outcome {
            TrackOutcome::Accepted { .. } => counts.accepted += 1,
            TrackOutcome::Duplicate { .. } => counts.duplicate += 1,
            TrackOutcome::UnknownContent { content_id } => {
                counts.rejected += 1;
                errors.push(unknown_content(&format!("/viewing_events/{n}"), &content_id));
            }
        }
    }
    app.metrics.events(counts);
    if errors.is_empty() { Ok(counts) } else { Err(ApiError::invalid(errors)) }
}
