//! The event log. Append-only; the log is the truth, everything in memory is a view of it.

use std::collections::HashSet;

use async_trait::async_trait;
use sona_domain::{
    ContentId, Cursor, Event, EventId, EventType, LoggedEvent, RecommendationId, Timestamp, UserId,
};

use crate::error::{Error, Result};
use crate::row::json_text;

/// What became of one appended event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOutcome {
    /// Written at this place.
    Appended(Cursor),
    /// An event of this id is already in the log (or came earlier in the same call); nothing was written.
    Duplicate,
}

/// The event log.
#[async_trait]
pub trait Events: Send + Sync {
    /// Appends in order, in one durable transaction; answers one outcome per event. Users met for the
    /// first time are created.
    ///
    /// Cursors follow commit order without gaps: once a reader has seen cursor `c`, no cursor below `c` can
    /// still appear, whoever else appends at the same time.
    async fn append(&self, events: &[Event], now: Timestamp) -> Result<Vec<AppendOutcome>>;

    /// The cursor of the last event; `Cursor(0)` for an empty log.
    async fn head(&self) -> Result<Cursor>;

    /// Up to `limit` events strictly after `cursor`, oldest cursor first.
    async fn after(&self, cursor: Cursor, limit: usize) -> Result<Vec<LoggedEvent>>;

    /// Up to `limit` events strictly after `cursor` that happened at or after `since`, oldest cursor first.
    async fn since(
        &self,
        since: Timestamp,
        cursor: Cursor,
        limit: usize,
    ) -> Result<Vec<LoggedEvent>>;

    /// The whole history of each user, in the order asked, each oldest cursor first; empty for an unknown user.
    async fn histories(&self, users: &[UserId]) -> Result<Vec<Vec<LoggedEvent>>>;
}

/// Refuses what only one of the databases would refuse, before either sees it.
pub(crate) fn check(events: &[Event]) -> Result<()> {
    for event in events {
        let in_range = event.completion_rate.is_none_or(|rate| (0.0..=1.0).contains(&rate))
            && event.rating.is_none_or(|stars| (1.0..=5.0).contains(&stars));
        if !in_range {
            return Err(Error::Invalid(format!(
                "event {}: completion_rate must lie in 0..=1 and rating in 1..=5",
                event.event_id
            )));
        }
    }
    Ok(())
}

/// Cursors whose latest time is kept together: the database's own number, see the migrations.
const BLOCK: i64 = 4096;

/// Where the events of one batch go.
pub(crate) struct Placement<'e> {
    /// One outcome an event.
    pub(crate) outcomes: Vec<AppendOutcome>,
    /// The events to write, in order.
    pub(crate) fresh: Vec<(Cursor, &'e Event)>,
    /// The head afterwards.
    pub(crate) head: Cursor,
}

impl<'e> Placement<'e> {
    /// Gives every event that is neither in `known` (the ids of the batch already in the log) nor earlier
    /// in the batch the next cursor after `head`.
    pub(crate) fn new(events: &'e [Event], known: &[String], head: Cursor) -> Self {
        let mut seen: HashSet<&str> = known.iter().map(String::as_str).collect();
        // Ids that ascend, as those of a file's rows do, are all different.
        let distinct = seen.is_empty() && events.is_sorted_by(|a, b| a.event_id < b.event_id);
        let mut placed = Self {
            outcomes: Vec::with_capacity(events.len()),
            fresh: Vec::with_capacity(events.len()),
            head,
        };
        for event in events {
            let outcome = if distinct || seen.insert(event.event_id.as_str()) {
                placed.head.0 += 1;
                placed.fresh.push((placed.head, event));
                AppendOutcome::Appended(placed.head)
            } else {
                AppendOutcome::Duplicate
            };
            placed.outcomes.push(outcome);
        }
        placed
    }

    /// The users of the events to write, each once, in an order all writers share.
    pub(crate) fn users(&self) -> Vec<&'e str> {
        let mut users: Vec<_> =
            self.fresh.iter().map(|(_, event)| event.user_id.as_str()).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// The blocks the events to write are in, each with the latest time (in microseconds) of those events.
    pub(crate) fn blocks(&self) -> Vec<(i64, i64)> {
        let mut blocks: Vec<(i64, i64)> = Vec::new();
        for (cursor, event) in &self.fresh {
            let (block, time) = (cursor.0 / BLOCK, event.timestamp.as_micros());
            match blocks.last_mut() {
                Some((last, latest)) if *last == block => *latest = time.max(*latest),
                _ => blocks.push((block, time)),
            }
        }
        blocks
    }
}

/// The least and the greatest event id of a batch; `None` if it is empty.
pub(crate) fn id_range(events: &[Event]) -> Option<(&str, &str)> {
    let mut ids = events.iter().map(|event| event.event_id.as_str());
    let first = ids.next()?;
    Some(ids.fold((first, first), |(least, greatest), id| {
        if id > greatest { (least, id) } else { (least.min(id), greatest) }
    }))
}

/// The context of an event as it is stored.
pub(crate) fn context_text(event: &Event) -> Option<String> {
    event.context.as_ref().map(json_text)
}

/// The names of the columns an [`EventRow`] is read from.
macro_rules! event_columns {
    () => {
        "cursor, event_id, user_id, content_id, event_type, completion_rate, rating, \
         is_rewatch, dismissed, context, recommendation_id, timestamp"
    };
}
pub(crate) use event_columns;

/// A row of `viewing_events`.
#[derive(sqlx::FromRow)]
pub(crate) struct EventRow {
    cursor: i64,
    event_id: String,
    user_id: String,
    content_id: String,
    event_type: String,
    completion_rate: Option<f32>,
    rating: Option<f32>,
    is_rewatch: bool,
    dismissed: bool,
    context: Option<String>,
    recommendation_id: Option<String>,
    timestamp: i64,
}

impl EventRow {
    pub(crate) fn read(self) -> Result<LoggedEvent> {
        let context = self.context.map(|text| serde_json::from_str(&text)).transpose();
        let recommendation_id = self.recommendation_id.map(RecommendationId::new).transpose();
        let event = Event {
            event_id: EventId::new(self.event_id)
                .map_err(Error::corrupt("viewing_events.event_id"))?,
            user_id: UserId::new(self.user_id).map_err(Error::corrupt("viewing_events.user_id"))?,
            content_id: ContentId::new(self.content_id)
                .map_err(Error::corrupt("viewing_events.content_id"))?,
            event_type: EventType::new(&self.event_type)
                .map_err(Error::corrupt("viewing_events.event_type"))?,
            completion_rate: self.completion_rate,
            rating: self.rating,
            is_rewatch: self.is_rewatch,
            dismissed: self.dismissed,
            context: context.map_err(Error::corrupt("viewing_events.context"))?,
            recommendation_id: recommendation_id
                .map_err(Error::corrupt("viewing_events.recommendation_id"))?,
            timestamp: Timestamp::from_micros(self.timestamp),
        };
        Ok(LoggedEvent { cursor: Cursor(self.cursor), event })
    }

    pub(crate) fn read_all(rows: Vec<Self>) -> Result<Vec<LoggedEvent>> {
        rows.into_iter().map(Self::read).collect()
    }
}

/// An event of one of the histories asked for together.
#[derive(sqlx::FromRow)]
pub(crate) struct HistoryRow {
    /// Which of the users asked for, from 0.
    place: i64,
    #[sqlx(flatten)]
    event: EventRow,
}

impl HistoryRow {
    /// The rows, in order, as one history for each of `count` users.
    pub(crate) fn read_all(rows: Vec<Self>, count: usize) -> Result<Vec<Vec<LoggedEvent>>> {
        let mut histories = vec![Vec::new(); count];
        for row in rows {
            let history = usize::try_from(row.place).ok().and_then(|n| histories.get_mut(n));
            // The place is the statement's own count of what was asked.
            history.expect("a place within the request").push(row.event.read()?);
        }
        Ok(histories)
    }
}
