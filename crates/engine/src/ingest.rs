//! Events in: checked against the catalogue, committed and applied by the log task.

use std::collections::HashSet;
use std::sync::Arc;

use sona_domain::{ContentId, Cursor, Event, EventDraft, EventId, LoggedEvent, UserId};
use sona_store::AppendOutcome;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use crate::Engine;
use crate::error::{Error, Result};
use crate::live::trending::ViewerKey;
use crate::log::Request;

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackOutcome {
    /// It is in the log, durable, and reflected in every list from now on.
    Accepted {
        /// Its id, as sent or as allocated.
        event_id: EventId,
    },
    /// It was in the log already; nothing changed.
    Duplicate {
        /// Its id.
        event_id: EventId,
    },
    /// Its content is not in the catalogue; it was not written.
    UnknownContent {
        /// The content it names.
        content_id: ContentId,
    },
}

impl Engine {
    /// Takes events in. Answers one outcome per event, in order, after the accepted ones are durable and
    /// applied: their users' very next lists reflect them.
    pub async fn track(&self, drafts: Vec<EventDraft>) -> Result<Vec<TrackOutcome>> {
        let unknown = self.unknown_content(&drafts).await?;
        let now = self.clock.now();
        let mut known = Vec::with_capacity(drafts.len());
        let mut outcomes = Vec::with_capacity(drafts.len());
        for draft in drafts {
            if unknown.contains(&draft.content_id) {
                let content_id = draft.content_id;
                outcomes.push(Some(TrackOutcome::UnknownContent { content_id }));
            } else {
                outcomes.push(None);
                known.push(draft.complete(now, || self.fresh_event_id()));
            }
        }
        let ids: Vec<_> = known.iter().map(|event| event.event_id.clone()).collect();
        let mut appended = ids.into_iter().zip(self.append(known).await?);
        let outcomes = outcomes.into_iter().map(|refused| {
            refused.unwrap_or_else(|| {
                match appended.next().expect("one outcome per appended event") {
                    (event_id, AppendOutcome::Appended(_)) => TrackOutcome::Accepted { event_id },
                    (event_id, AppendOutcome::Duplicate) => TrackOutcome::Duplicate { event_id },
                }
            })
        });
        Ok(outcomes.collect())
    }

    async fn append(&self, events: Vec<Event>) -> Result<Vec<AppendOutcome>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, outcomes) = oneshot::channel();
        match self.requests.try_send(Request::Append { events, reply }) {
            Ok(()) => outcomes.await.map_err(|_| Error::Closed)?,
            Err(TrySendError::Full(_)) => Err(Error::Busy),
            Err(TrySendError::Closed(_)) => Err(Error::Closed),
        }
    }

    /// The content of `drafts` that is not in the catalogue, also after a fresh look at the store.
    async fn unknown_content(&self, drafts: &[EventDraft]) -> Result<HashSet<ContentId>> {
        let missing = |engine: &Self| -> HashSet<ContentId> {
            let view = engine.catalogue.latest();
            drafts
                .iter()
                .map(|draft| &draft.content_id)
                .filter(|id| engine.catalogue.row(id).and_then(|row| view.get(row)).is_none())
                .cloned()
                .collect()
        };
        let unknown = missing(self);
        if unknown.is_empty() {
            return Ok(unknown);
        }
        self.follow_catalogue().await?;
        Ok(missing(self))
    }

    /// Applies events that directly follow what is applied: to their users, then to what all users share.
    pub(crate) async fn apply(&self, events: &[LoggedEvent]) -> Result<()> {
        let Some(last) = events.last() else { return Ok(()) };
        let ids: Vec<UserId> = events.iter().map(|logged| logged.event.user_id.clone()).collect();
        let users = self.users.load_all(&ids, &self.stored_users(), &self.catalogue).await?;
        let rows = self.catalogue.rows_of(events.iter().map(|logged| &logged.event.content_id));
        let view = self.catalogue.latest();
        let now = self.clock.now();
        for ((logged, row), user) in events.iter().zip(&rows).zip(&users) {
            if user.apply(*row, logged, &self.options.events, &view) {
                self.users.weigh(&logged.event.user_id, user).await;
            }
        }
        let mut counts = self.counts_mut();
        for ((logged, row), user) in events.iter().zip(&rows).zip(&users) {
            counts.apply(*row, logged.cursor, &user.state().history);
            if self.options.events.weight(&logged.event) > 0.0 {
                let written = user.written();
                let attributes = written.as_ref().map(|written| &written.attributes);
                counts.trend(*row, (&logged.event, attributes), now);
            }
        }
        drop(counts);
        self.set_applied(Cursor(last.cursor.0));
        Ok(())
    }

    /// Takes in what the catalogue's feed has.
    pub(crate) async fn follow_catalogue(&self) -> Result<()> {
        let followed = self
            .catalogue
            .follow(&*self.store, self.clock.now(), |view, rows| {
                let mut counts = self.counts_mut();
                for row in rows {
                    counts.list(*row, view.get(*row).map(Arc::as_ref));
                }
                drop(counts);
                self.follower.changed(rows);
            })
            .await;
        // Also when a later page of the feed could not be read.
        self.follow_entries().await;
        followed
    }

    /// Brings what is worked out from the catalogue up to it.
    pub(crate) async fn follow_entries(&self) {
        let (view, snapshot) = (self.catalogue.latest(), self.snapshot.load_full());
        if !self.attributes.has_followed(&view) || !snapshot.has_followed(&view) {
            let attributes = self.attributes.clone();
            let work = move || {
                snapshot.follow(&view);
                attributes.follow(view);
            };
            tokio::task::spawn_blocking(work).await.expect("comparing attributes cannot fail");
        }
    }

    /// Takes out of the trending titles what has left the window.
    pub(crate) fn expire_trending(&self) {
        let now = self.clock.now();
        if self.counts().trending.is_stale(now) {
            self.counts_mut().trending.expire(now);
        }
    }

    /// Forgets users other processes removed: their states and their places among the trending viewers. What
    /// they put into the other counts can no longer be told apart and stays until the next model.
    pub(crate) async fn forget_viewers(&self, keys: &HashSet<ViewerKey>) {
        self.users.forget_where(|id| keys.contains(&crate::live::counts::viewer_key(id))).await;
        self.counts_mut().trending.forget(keys);
        self.snapshot.load().graph().inspect(|graph| graph.forget(keys));
    }

    fn fresh_event_id(&self) -> EventId {
        EventId::new(self.ids.fresh()).expect("an id source gives valid ids")
    }
}
