//! Erasing a user: from the database, from its files, from everything this process holds.
//!
//! The rows and the memory go in the log task's turn, between two commits: events of the user that were sent before
//! are written by then and go with the others, events sent later begin a new history.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sona_domain::{Erased, Erasure, FileTraces, LoggedEvent, Timestamp, UserId};
use sona_store::Store;
use tokio::sync::oneshot;

use crate::Engine;
use crate::artifact::hex;
use crate::error::{Error, Result};
use crate::live::counts::{Share, viewer_key};
use crate::log::Request;
use crate::start::MODEL_NAME;

impl Engine {
    /// Removes every trace of a user and says what there was; see [`Erasure`]. Goes on to its end if the caller
    /// does not wait for it.
    pub async fn erase_user(self: &Arc<Self>, user: &UserId) -> Result<Erasure> {
        let (engine, user) = (self.clone(), user.clone());
        let work = async move {
            let (reply, done) = oneshot::channel();
            let request = Request::Erase { user: user.clone(), reply };
            engine.requests.send(request).await.map_err(|_| Error::Closed)?;
            let mut erasure = done.await.map_err(|_| Error::Closed)??;
            erasure.files = engine.store.scrub(&user).await?;
            Ok(erasure)
        };
        tokio::spawn(work).await.map_err(|_| Error::Closed)?
    }

    /// The log task's part: the rows, and what is in memory.
    pub(crate) async fn erase_rows(&self, user: &UserId) -> Result<Erasure> {
        // No adapter of theirs is being written while they go, and none is after.
        let _turn = self.unsaved_adapters.turn().await;
        let rows = Rows::erase(&*self.store, user, self.clock.now()).await?;
        let mut erasure = rows.erasure;
        self.unsaved_adapters.forget(user);
        self.adapter_changes.forget(|gone| gone == viewer_key(user));
        erasure.removed.states = u64::from(self.users.forget(user).await);
        let applied = self.applied();
        let events = rows.events.into_iter().filter(|logged| logged.cursor <= applied);
        let events: Vec<_> = events
            .filter_map(|logged| Some((self.catalogue.row(&logged.event.content_id)?, logged)))
            .collect();
        let mut counts = self.counts_mut();
        let share = Share::of(&events, counts.trained_through, &self.options);
        erasure.removed.counted_titles = share.counted.len() as u64;
        erasure.removed.trending_titles = counts.forget(&share, viewer_key(user));
        drop(counts);
        let viewer = HashSet::from([viewer_key(user)]);
        self.snapshot.load().graph().inspect(|graph| graph.forget(&viewer));
        // Our own removal is taken note of; were it met in the list, it would hit what the user does next.
        let seen = self.removals_seen.load(Ordering::Acquire);
        if rows.sequence == Some(seen + 1) {
            self.removals_seen.store(seen + 1, Ordering::Release);
        }
        Ok(erasure)
    }
}

/// Erases a user from the database alone, for a process that holds nothing in memory; those that do follow.
pub async fn erase_stored(store: &dyn Store, user: &UserId, now: Timestamp) -> Result<Erasure> {
    let mut erasure = Rows::erase(store, user, now).await?.erasure;
    erasure.files = store.scrub(user).await?;
    Ok(erasure)
}

/// What was in the database.
struct Rows {
    erasure: Erasure,
    events: Vec<LoggedEvent>,
    sequence: Option<i64>,
}

impl Rows {
    /// Deletes them; the files are not looked at.
    async fn erase(store: &dyn Store, user: &UserId, now: Timestamp) -> Result<Self> {
        let events = store.histories(std::slice::from_ref(user)).await?.concat();
        let mut models = Vec::new();
        if let Some(first) = events.first() {
            for model in store.models(MODEL_NAME).await? {
                let through = model.metadata.get("through").and_then(serde_json::Value::as_i64);
                if through.is_none_or(|through| through >= first.cursor.0) {
                    models.push(model.version);
                }
            }
        }
        let removed = store.remove_user(user, now).await?;
        let counts = removed.unwrap_or_default();
        let erasure = Erasure {
            user_id: user.clone(),
            erased_at: now,
            removed: Erased {
                events: counts.events,
                profiles: counts.profiles,
                attributes: counts.attributes,
                embeddings: counts.embeddings,
                exposures: counts.exposures,
                adapters: counts.adapters,
                ..Erased::default()
            },
            files: FileTraces::Remain,
            kept_digest: removed.map(|_| hex(&sona_store::users::digest(user))),
            models,
        };
        Ok(Self { erasure, events, sequence: removed.map(|removed| removed.sequence) })
    }
}
