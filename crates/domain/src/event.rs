//! What a user did, and the log's cursor.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::context::RequestContext;
use crate::engagement::EventRules;
use crate::id::{ContentId, EventId, RecommendationId, UserId};
use crate::time::Timestamp;
use crate::violation::{Object, Violations, nearest};

/// Events may be this many seconds ahead of our clock before they are refused.
pub const MAX_FUTURE_SECONDS: i64 = 300;

/// The most bytes an event's `context` may have as JSON.
pub const MAX_CONTEXT_BYTES: usize = 4096;

/// What the user did: one of the configured types, 1 to 50 of `a-z`, `0-9` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(value_type = String, max_length = 50, example = "watch"))]
pub struct EventType(String);

impl EventType {
    /// Watched some of it; `completion_rate` says how much.
    pub const WATCH: &'static str = "watch";
    /// Watched to the end.
    pub const COMPLETE: &'static str = "complete";
    /// Said they like it.
    pub const LIKE: &'static str = "like";
    /// Gave a `rating`.
    pub const RATE: &'static str = "rate";

    /// Checks and wraps `text`.
    pub fn new(text: &str) -> Result<Self, String> {
        let fits = (1..=50).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{text:?} is not 1 to 50 of a-z, 0-9 and _"))
        }
    }

    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A position in the event log. Later commits have larger cursors; the first event has cursor 1.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Cursor(pub i64);

/// Something a user did with a title.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its name; an event sent twice under one id counts once.
    pub event_id: EventId,
    /// Who.
    pub user_id: UserId,
    /// With what.
    pub content_id: ContentId,
    /// Did what.
    pub event_type: EventType,
    /// How much of it was watched, 0..=1.
    pub completion_rate: Option<f32>,
    /// Stars, 1..=5.
    pub rating: Option<f32>,
    /// True if it was not the first time.
    pub is_rewatch: bool,
    /// True if the user said "not for me".
    pub dismissed: bool,
    /// Circumstances, as sent. What [`RequestContext::of_event`] reads teaches which titles fit them.
    pub context: Option<Map<String, Value>>,
    /// The list it was done with, as quoted; nobody looks whether there is such a list, it may have expired.
    pub recommendation_id: Option<RecommendationId>,
    /// When it happened.
    pub timestamp: Timestamp,
}

/// An event and its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedEvent {
    /// Where it stands.
    pub cursor: Cursor,
    /// What happened.
    pub event: Event,
}

/// A valid event as it was sent: its id and time may still be missing.
#[derive(Debug, Clone, PartialEq)]
pub struct EventDraft {
    /// As [`Event::event_id`]; allocated on arrival if missing.
    pub event_id: Option<EventId>,
    /// As [`Event::user_id`].
    pub user_id: UserId,
    /// As [`Event::content_id`].
    pub content_id: ContentId,
    /// As [`Event::event_type`].
    pub event_type: EventType,
    /// As [`Event::completion_rate`].
    pub completion_rate: Option<f32>,
    /// As [`Event::rating`].
    pub rating: Option<f32>,
    /// As [`Event::is_rewatch`].
    pub is_rewatch: bool,
    /// As [`Event::dismissed`].
    pub dismissed: bool,
    /// As [`Event::context`].
    pub context: Option<Map<String, Value>>,
    /// As [`Event::recommendation_id`].
    pub recommendation_id: Option<RecommendationId>,
    /// As [`Event::timestamp`]; the time of arrival if missing.
    pub timestamp: Option<Timestamp>,
}

impl EventDraft {
    /// Reads an event from JSON, checked against the configured types and the present time; every
    /// problem is noted under `at`.
    pub fn read(
        value: &Value,
        at: &str,
        rules: &EventRules,
        now: Timestamp,
        problems: &mut Violations,
    ) -> Option<Self> {
        let before = problems.len();
        let mut object = Object::open(value, at, problems)?;
        let user_id = object.required("user_id", UserId::new);
        let draft = read_rest(&mut object, user_id, None, rules, now);
        object.finish();
        draft.filter(|_| problems.len() == before)
    }

    /// Reads one viewing of `user` (`event_type` is `watch` unless given); otherwise like [`EventDraft::read`].
    pub fn read_viewing(
        value: &Value,
        at: &str,
        user: &UserId,
        rules: &EventRules,
        now: Timestamp,
        problems: &mut Violations,
    ) -> Option<Self> {
        let before = problems.len();
        let mut object = Object::open(value, at, problems)?;
        let draft = read_rest(&mut object, Some(user.clone()), Some(EventType::WATCH), rules, now);
        object.finish();
        draft.filter(|_| problems.len() == before)
    }

    /// The event this draft becomes when it arrives at `now`.
    pub fn complete(self, now: Timestamp, fresh_id: impl FnOnce() -> EventId) -> Event {
        Event {
            event_id: self.event_id.unwrap_or_else(fresh_id),
            user_id: self.user_id,
            content_id: self.content_id,
            event_type: self.event_type,
            completion_rate: self.completion_rate,
            rating: self.rating,
            is_rewatch: self.is_rewatch,
            dismissed: self.dismissed,
            context: self.context,
            recommendation_id: self.recommendation_id,
            timestamp: self.timestamp.unwrap_or(now),
        }
    }
}

fn read_rest(
    object: &mut Object<'_, '_>,
    user_id: Option<UserId>,
    default_type: Option<&str>,
    rules: &EventRules,
    now: Timestamp,
) -> Option<EventDraft> {
    let event_id = object.parsed("event_id", EventId::new);
    let content_id = object.required("content_id", ContentId::new);
    let event_type = read_type(object, default_type, rules);
    let completion_rate = object.number("completion_rate", 0.0, 1.0).map(|rate| rate as f32);
    let rating = object.number("rating", 1.0, 5.0).map(|stars| stars as f32);
    let is_rewatch = object.flag("is_rewatch");
    let dismissed = object.flag("dismissed");
    let context = read_context(object);
    let recommendation_id = object.parsed("recommendation_id", RecommendationId::new);
    let timestamp = object.timestamp("timestamp");
    if timestamp.is_some_and(|at| at > now.plus_seconds(MAX_FUTURE_SECONDS)) {
        object.problem(
            "timestamp",
            format!("lies more than {MAX_FUTURE_SECONDS} s in the future (it is {now} here)"),
        );
    }
    if event_type.as_ref().is_some_and(|t| t.as_str() == EventType::RATE) && rating.is_none() {
        object.problem("rating", "a rate event needs a rating from 1 to 5");
    }
    Some(EventDraft {
        event_id,
        user_id: user_id?,
        content_id: content_id?,
        event_type: event_type?,
        completion_rate,
        rating,
        is_rewatch,
        dismissed,
        context,
        recommendation_id,
        timestamp,
    })
}

fn read_type(
    object: &mut Object<'_, '_>,
    default_type: Option<&str>,
    rules: &EventRules,
) -> Option<EventType> {
    let known = |text: &str| {
        if rules.get(text).is_some() {
            return EventType::new(text);
        }
        let all: Vec<_> = rules.names().collect();
        let hint = nearest(text, all.iter().copied())
            .map(|near| format!(" (did you mean {near:?}?)"))
            .unwrap_or_default();
        Err(format!("{text:?} is not one of {}{hint}", all.join(", ")))
    };
    match default_type {
        Some(default) if object.raw("event_type").is_none() => known(default).ok(),
        _ => object.required("event_type", known),
    }
}

fn read_context(object: &mut Object<'_, '_>) -> Option<Map<String, Value>> {
    let value = object.raw("context")?;
    let Some(context) = value.as_object() else {
        object.problem("context", "expected a JSON object");
        return None;
    };
    let size = value.to_string().len();
    if size > MAX_CONTEXT_BYTES {
        object.problem("context", format!("at most {MAX_CONTEXT_BYTES} bytes, found {size}"));
    }
    for problem in RequestContext::problems_of_event(context) {
        object.problem("context", problem);
    }
    Some(context.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Result<EventDraft, Violations> {
        let mut problems = Violations::new();
        let now = Timestamp::parse("2026-01-01T00:00:00Z").expect("valid");
        let draft = EventDraft::read(value, "", &EventRules::default(), now, &mut problems);
        problems.unless(draft)
    }

    fn pointers(value: &Value) -> Vec<String> {
        read(value).expect_err("refused").into_vec().into_iter().map(|v| v.pointer).collect()
    }

    #[test]
    fn a_minimal_event() {
        let draft = read(&json!({"user_id": "u", "content_id": "c", "event_type": "like"}));
        assert_eq!(draft.expect("valid").timestamp, None);
    }

    #[test]
    fn a_list_is_quoted_like_any_id() {
        let quoting = |id: Value| json!({"user_id": "u", "content_id": "c", "event_type": "like", "recommendation_id": id});
        let draft = read(&quoting(json!("r-1"))).expect("valid");
        assert_eq!(draft.recommendation_id, RecommendationId::new("r-1").ok());
        assert_eq!(read(&quoting(Value::Null)).expect("valid").recommendation_id, None);
        assert_eq!(pointers(&quoting(json!(""))), ["/recommendation_id"]);
        assert_eq!(pointers(&quoting(json!(7))), ["/recommendation_id"]);
    }

    #[test]
    fn all_problems_at_once() {
        let body = json!({
            "user_id": "", "event_type": "wach", "completion_rate": 1.01, "rating": 0,
            "timestamp": "2026-01-01T00:05:01Z", "contxt": {}
        });
        assert_eq!(
            pointers(&body),
            [
                "/user_id",
                "/content_id",
                "/event_type",
                "/completion_rate",
                "/rating",
                "/timestamp",
                "/contxt"
            ]
        );
    }

    #[test]
    fn the_future_is_refused_after_five_minutes_and_the_past_never() {
        let at = |text: &str| json!({"user_id": "u", "content_id": "c", "event_type": "like", "timestamp": text});
        assert!(read(&at("2026-01-01T00:05:00Z")).is_ok());
        assert!(read(&at("1999-01-01T00:00:00Z")).is_ok());
        assert_eq!(pointers(&at("2026-01-01T00:05:00.000001Z")), ["/timestamp"]);
        assert_eq!(pointers(&at("soon")), ["/timestamp"]);
    }

    #[test]
    fn a_rating_needs_stars() {
        let body = json!({"user_id": "u", "content_id": "c", "event_type": "rate"});
        assert_eq!(pointers(&body), ["/rating"]);
    }
}
