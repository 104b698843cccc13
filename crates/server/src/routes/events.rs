//! `/api/v1/events/track`: taking in what users did.
//!
//! The body is one event, a JSON list of events, or one event per line. `application/json` is one event or a
//! list; `application/x-ndjson` and `application/jsonl` are lines; with any other content type (or none) a body
//! that is JSON is read as JSON, and one that starts like lines of objects is read by line. Of several events
//! the valid ones are written whatever is wrong with the others, and every event has its own result.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sona_domain::{
    ContentId, EventDraft, EventId, EventType, RecommendationId, Timestamp, UserId, Violation,
    Violations,
};
use sona_engine::TrackOutcome;
use utoipa::ToSchema;

use crate::app::App;
use crate::body::{AnyBody, Entries, Entry};
use crate::error::{ApiError, Problem, Result};
use crate::identity::caller::Caller;
use crate::metrics::EventCounts;

/// Most events in one call.
pub(crate) const MAX_EVENTS: usize = 5_000;

/// Something a user did with a title.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"user_id": "ada", "content_id": "stalker", "event_type": "watch", "completion_rate": 0.9}))]
#[expect(
    dead_code,
    reason = "the shape for the document; the domain reads it and names every problem"
)]
pub(crate) struct EventInput {
    /// Its name; an event sent twice under one id counts once. Allocated if not given.
    event_id: Option<EventId>,
    /// Who; an end user who sends it is meant where it is left out. A user is created by their first event.
    user_id: Option<UserId>,
    /// With what; it must be in the catalogue.
    content_id: ContentId,
    /// Did what: `watch`, `complete`, `rate`, `like`, `dislike`, `dismiss`, `add`, `click`, or a configured type.
    event_type: EventType,
    /// How much of it was watched.
    #[schema(minimum = 0, maximum = 1)]
    completion_rate: Option<f32>,
    /// Stars. A `rate` event needs them.
    #[schema(minimum = 1, maximum = 5)]
    rating: Option<f32>,
    /// True if it was not the first time.
    #[schema(default = false)]
    is_rewatch: Option<bool>,
    /// True if the user said "not for me".
    #[schema(default = false)]
    dismissed: Option<bool>,
    /// Circumstances, kept as sent; at most 4096 bytes. What a request's context may say teaches which titles fit it and
    /// takes the same values here; other fields are free.
    context: Option<Map<String, Value>>,
    /// The list it was done with. Nobody looks whether there is such a list: it may have expired.
    recommendation_id: Option<RecommendationId>,
    /// When it happened; the time of arrival if not given. At most 5 minutes ahead; any time in the past.
    timestamp: Option<Timestamp>,
}

/// One event, or a list of up to 5,000.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(example = json!({"user_id": "ada", "content_id": "stalker", "event_type": "watch", "completion_rate": 0.9}))]
#[expect(dead_code, reason = "the shape for the document")]
pub(crate) enum EventsInput {
    /// One event.
    One(EventInput),
    /// Several.
    Many(Vec<EventInput>),
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventStatus {
    /// Durable, and reflected in the user's next list.
    Accepted,
    /// It was there already; nothing changed.
    Duplicate,
    /// It breaks a rule and was not written.
    Rejected,
}

/// The answer to one event.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrackedEvent {
    /// `accepted` or `duplicate`.
    status: EventStatus,
    /// The event's id, as sent or as allocated.
    event_id: EventId,
}

/// The answer to several events.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrackedEvents {
    /// How many were accepted.
    accepted: u64,
    /// How many were there already.
    duplicates: u64,
    /// How many were rejected.
    rejected: u64,
    /// What became of each, in the order sent.
    results: Vec<EventResult>,
}

/// What became of one of several events.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventResult {
    /// Its place among the events sent, 0-based; lines that are empty do not count.
    index: usize,
    /// The line it stands on, 1-based, if events were sent one per line.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// What became of it.
    status: EventStatus,
    /// Its id, unless it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    /// Every rule it breaks; pointers start with its index.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Violation>,
}

/// The answer, by what was sent.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the shape for the document")]
pub(crate) enum Tracked {
    /// One event was sent.
    One(TrackedEvent),
    /// A list or lines were sent.
    Many(TrackedEvents),
}

/// Track events
///
/// When this is answered the accepted events are durable and their users' next lists reflect them. Send an
/// `event_id` to be able to send an event again safely. Of several events the valid ones are written whatever is
/// wrong with the others. Where an end user sends several and one names somebody else, none is written.
#[utoipa::path(
    post, path = "/api/v1/events/track", operation_id = "track_events", tag = "events",
    request_body(
        description = "One event, a list, or (as `application/x-ndjson`) one event per line; at most 5,000.",
        content((EventsInput = "application/json"), (String = "application/x-ndjson")),
    ),
    responses(
        (status = 200, description = "Every event was accepted or is a duplicate", body = Tracked),
        (status = 207, description = "Some events were rejected; the others are written", body = TrackedEvents),
        (status = 422, description = "Every event was rejected", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again after `retry-after` seconds; with an `event_id` nothing counts twice", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn track(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: AnyBody,
) -> Result<Response> {
    match body.entries(MAX_EVENTS)? {
        Entries::One(mut event) => {
            caller.settle_user(&app, &mut event)?;
            track_one(&app, &event).await
        }
        Entries::Many(mut events) => {
            for event in events.iter_mut().filter_map(|entry| entry.value.as_mut().ok()) {
                caller.settle_user(&app, event)?;
            }
            track_many(&app, &events).await
        }
    }
}

async fn track_one(app: &App, event: &Value) -> Result<Response> {
    let reject = |error| {
        app.metrics.events(EventCounts { rejected: 1, ..EventCounts::default() });
        error
    };
    let draft = read(app, event, "").map_err(|errors| reject(ApiError::invalid(errors)))?;
    let outcomes = app.engine.track(vec![draft]).await?;
    let outcome = outcomes.into_iter().next().expect("one outcome for one event");
    let result = EventResult::of(0, None, "", Ok(outcome));
    let Some(event_id) = result.event_id else {
        return Err(reject(ApiError::invalid(result.errors)));
    };
    app.metrics.events(count(result.status));
    Ok(Json(TrackedEvent { status: result.status, event_id }).into_response())
}

async fn track_many(app: &App, entries: &[Entry]) -> Result<Response> {
    let mut drafts = Vec::with_capacity(entries.len());
    let mut problems = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let read = match &entry.value {
            Ok(event) => read(app, event, &format!("/{index}")),
            Err(malformed) => {
                Err(vec![Violation { pointer: format!("/{index}"), detail: malformed.clone() }])
            }
        };
        problems.push(read.map(|draft| drafts.push(draft)));
    }
    let mut outcomes = app.engine.track(drafts).await?.into_iter();
    let results = problems.into_iter().zip(entries).enumerate().map(|(index, (read, entry))| {
        let outcome =
            read.map(|()| outcomes.next().expect("one outcome for every event that was read"));
        EventResult::of(index, entry.line, &format!("/{index}"), outcome)
    });
    TrackedEvents::answer(app, results.collect())
}

fn read(app: &App, event: &Value, at: &str) -> Result<EventDraft, Vec<Violation>> {
    let mut problems = Violations::new();
    let (rules, now) = (&app.engine.options().events, app.engine.now());
    let draft = EventDraft::read(event, at, rules, now, &mut problems);
    problems.unless(draft).map_err(Violations::into_vec)
}

impl EventResult {
    fn of(
        index: usize,
        line: Option<usize>,
        at: &str,
        outcome: Result<TrackOutcome, Vec<Violation>>,
    ) -> Self {
        let (status, event_id, errors) = match outcome {
            Ok(TrackOutcome::Accepted { event_id }) => {
                (EventStatus::Accepted, Some(event_id), Vec::new())
            }
            Ok(TrackOutcome::Duplicate { event_id }) => {
                (EventStatus::Duplicate, Some(event_id), Vec::new())
            }
            Ok(TrackOutcome::UnknownContent { content_id }) => {
                (EventStatus::Rejected, None, vec![unknown_content(at, &content_id)])
            }
            Err(errors) => (EventStatus::Rejected, None, errors),
        };
        Self { index, line, status, event_id, errors }
    }
}

impl TrackedEvents {
    /// 200 if nothing was rejected, 207 if some were, a problem if all were.
    fn answer(app: &App, results: Vec<EventResult>) -> Result<Response> {
        let of = |status| results.iter().filter(|result| result.status == status).count() as u64;
        let counts = EventCounts {
            accepted: of(EventStatus::Accepted),
            duplicate: of(EventStatus::Duplicate),
            rejected: of(EventStatus::Rejected),
        };
        app.metrics.events(counts);
        let EventCounts { accepted, duplicate: duplicates, rejected } = counts;
        if rejected as usize == results.len() {
            return Err(ApiError::invalid(results.into_iter().flat_map(|r| r.errors).collect()));
        }
        let status = if rejected == 0 { StatusCode::OK } else { StatusCode::MULTI_STATUS };
        Ok((status, Json(Self { accepted, duplicates, rejected, results })).into_response())
    }
}

/// The problem of an event on content that is not in the catalogue.
pub(crate) fn unknown_content(at: &str, content_id: &ContentId) -> Violation {
    Violation {
        pointer: format!("{at}/content_id"),
        detail: format!("there is no content {content_id:?} in the catalogue"),
    }
}

fn count(status: EventStatus) -> EventCounts {
    let one = |wanted| u64::from(status == wanted);
    EventCounts {
        accepted: one(EventStatus::Accepted),
        duplicate: one(EventStatus::Duplicate),
        rejected: one(EventStatus::Rejected),
    }
}
