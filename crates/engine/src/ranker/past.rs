//! The log's latest part, read apart from what came before it: what a ranker is trained on.
//!
//! Everything that is counted or fitted for it rests on events before the part; what follows is replayed in the order of
//! time. So no feature of a title knows that the title was about to be chosen.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use sona_domain::{Cursor, EventRules, LoggedEvent, Timestamp, UserId};

use crate::Engine;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::history::History;
use crate::log::PAGE;

/// Users whose histories are read at once.
const USERS: usize = 1_000;

/// A log in two parts.
pub(crate) struct Past {
    /// The events before the latest part.
    pub(crate) before: Dataset,
    /// The users of `latest` as they were before, on the catalogue's rows.
    pub(crate) histories: HashMap<UserId, History>,
    /// Engagements of the trending window before the latest part, oldest first.
    pub(crate) window: Vec<LoggedEvent>,
    /// The latest part in the order of time.
    pub(crate) latest: Vec<LoggedEvent>,
    /// The last event of the log.
    pub(crate) through: Cursor,
}

impl Past {
    /// All of one user's events, in the order of time, as the latest part; nobody else's, and nothing before.
    pub(crate) fn of_one(mut events: Vec<LoggedEvent>) -> Self {
        events.sort_by_key(|logged| (logged.event.timestamp, logged.cursor));
        Self {
            before: Dataset::empty(),
            histories: HashMap::new(),
            window: Vec::new(),
            latest: events,
            through: Cursor::default(),
        }
    }
}

impl Engine {
    /// Reads the log in two parts, the latest of at most `most` events and at most `share` of all.
    ///
    /// # Errors
    /// [`Error::NothingToTrain`] if there are too few events to tell the parts apart.
    pub(crate) async fn read_past(&self, most: usize, share: f64) -> Result<Past> {
        let rules = &self.options.events;
        let (begins, through) = self.latest_part(most, share).await?;
        let before = Dataset::read_before(&*self.store, rules, Some(begins)).await?;
        let latest = self.events_between(begins, None, most).await?;
        let seconds = (-self.options.trending.window_days * 86_400.0) as i64;
        let (since, pairs) = (begins.plus_seconds(seconds), self.options.trending.max_pairs);
        let window = self.events_between(since, Some(begins), pairs).await?;
        let histories = self.histories_before(&latest, begins).await?;
        Ok(Past { before, histories, window, latest, through })
    }

    /// When the latest part begins, and where the log ends.
    async fn latest_part(&self, most: usize, share: f64) -> Result<(Timestamp, Cursor)> {
        // The latest times so far, the earliest of them on top.
        let mut latest: BinaryHeap<Reverse<Timestamp>> = BinaryHeap::with_capacity(most + 1);
        let (mut at, mut all) = (Cursor::default(), 0_usize);
        loop {
            let events = self.store.after(at, PAGE).await?;
            let Some(last) = events.last() else { break };
            at = last.cursor;
            all += events.len();
            for logged in &events {
                latest.push(Reverse(logged.event.timestamp));
                if latest.len() > most {
                    latest.pop();
                }
            }
        }
        let wanted = most.min((all as f64 * share) as usize);
        let times = latest.into_sorted_vec();
        // Sorted by `Reverse`: the latest first.
        let begins = wanted.checked_sub(1).and_then(|last| times.get(last));
        let begins = begins.ok_or_else(|| Error::NothingToTrain("the log is empty".to_owned()))?;
        Ok((begins.0, at))
    }

    /// The events from `since` to before `end`, at most the latest `most`, in the order of time.
    async fn events_between(
        &self,
        since: Timestamp,
        end: Option<Timestamp>,
        most: usize,
    ) -> Result<Vec<LoggedEvent>> {
        let place = |logged: &LoggedEvent| (logged.event.timestamp, logged.cursor);
        let (mut at, mut found) = (Cursor::default(), Vec::new());
        loop {
            let events = self.store.since(since, at, PAGE).await?;
            let Some(last) = events.last() else { break };
            at = last.cursor;
            let early = |l: &LoggedEvent| end.is_none_or(|end| l.event.timestamp < end);
            found.extend(events.into_iter().filter(early));
            // However many happened at one time, no more of them are held than are wanted and a page.
            if found.len() > most {
                found.select_nth_unstable_by_key(most.saturating_sub(1), |logged| {
                    Reverse(place(logged))
                });
                found.truncate(most);
            }
        }
        found.sort_unstable_by_key(place);
        Ok(found)
    }

    async fn histories_before(
        &self,
        latest: &[LoggedEvent],
        begins: Timestamp,
    ) -> Result<HashMap<UserId, History>> {
        let mut ids: Vec<_> = latest.iter().map(|logged| logged.event.user_id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut histories = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(USERS) {
            for (id, mut events) in ids.iter().zip(self.store.histories(ids).await?) {
                events.retain(|logged| logged.event.timestamp < begins);
                histories.insert(id.clone(), self.fold(&events, &self.options.events));
            }
        }
        Ok(histories)
    }

    fn fold(&self, events: &[LoggedEvent], rules: &EventRules) -> History {
        let rows = self.catalogue.rows_of(events.iter().map(|logged| &logged.event.content_id));
        let mut history = History::default();
        for (logged, row) in events.iter().zip(rows) {
            history.apply(row, &logged.event, logged.cursor, rules);
        }
        history
    }
}
