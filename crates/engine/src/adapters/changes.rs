//! What is done to adapters from outside, by this process or another one: read from one feed, as events are read from the log.
//!
//! Whoever changes something writes it to the store and to the feed in one transaction; what is in memory is moved by the feed
//! alone. Between a change elsewhere and its being seen here nothing is overwritten: a save that does not know of it is refused.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use sona_domain::UserId;
use sona_store::AdapterChangeKind;

use super::learn::OwnChoice;
use crate::Engine;
use crate::error::Result;
use crate::live::counts::viewer_key;
use crate::live::trending::ViewerKey;

/// Entries read at once.
const PAGE: usize = 1_000;

/// Most choices kept for an adapter that is being trained.
const MOST_MISSED: usize = 1_000;

/// What is known of changes, and who must hear of them.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The last entry of the feed that was taken in.
    seen: AtomicI64,
    opted_out: RwLock<HashSet<ViewerKey>>,
    trainings: Mutex<HashMap<ViewerKey, Training>>,
    tickets: AtomicU64,
}

/// An adapter that is being trained.
#[derive(Debug)]
struct Training {
    ticket: u64,
    /// What its user chose since, each on the base layer of this version.
    missed: Vec<(i64, OwnChoice)>,
}

impl Changes {
    pub(super) fn seen(&self) -> i64 {
        self.seen.load(Ordering::Acquire)
    }

    /// Whether a user wants no adapter.
    pub(super) fn has_opted_out(&self, user: &UserId) -> bool {
        let opted_out = self.opted_out.read().unwrap_or_else(PoisonError::into_inner);
        !opted_out.is_empty() && opted_out.contains(&viewer_key(user))
    }

    /// How many users want none.
    pub(super) fn opted_out(&self) -> usize {
        self.opted_out.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Notes that a user's adapter is being trained; `None` if it is already.
    pub(super) fn begin_training(&self, user: &UserId) -> Option<u64> {
        let mut trainings = self.trainings();
        let key = viewer_key(user);
        if trainings.contains_key(&key) {
            return None;
        }
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        trainings.insert(key, Training { ticket, missed: Vec::new() });
        Some(ticket)
    }

    /// Ends the training with this ticket and answers what its user chose meanwhile; `None` if something was done to the user's
    /// adapters since it began, or too much was missed.
    pub(super) fn end_training(&self, user: &UserId, ticket: u64) -> Option<Vec<(i64, OwnChoice)>> {
        let mut trainings = self.trainings();
        let key = viewer_key(user);
        trainings.get(&key).filter(|training| training.ticket == ticket)?;
        let missed = trainings.remove(&key)?.missed;
        (missed.len() < MOST_MISSED).then_some(missed)
    }

    /// Keeps a choice for the adapter that is being trained, if the user's is.
    pub(super) fn missed(&self, user: &UserId, base_version: i64, choice: OwnChoice) {
        let mut trainings = self.trainings();
        if trainings.is_empty() {
            return;
        }
        let training = trainings.get_mut(&viewer_key(user));
        if let Some(training) = training.filter(|training| training.missed.len() < MOST_MISSED) {
            training.missed.push((base_version, choice));
        }
    }

    /// Forgets erased users: they have opted out of nothing, and what is trained of them is dropped.
    pub(crate) fn forget(&self, is_gone: impl Fn(ViewerKey) -> bool) {
        self.trainings().retain(|key, _| !is_gone(*key));
        let mut opted_out = self.opted_out.write().unwrap_or_else(PoisonError::into_inner);
        opted_out.retain(|key| !is_gone(*key));
    }

    /// Takes in what happened to a user: they want an adapter or none, and what is trained of them is overtaken.
    fn take_in(&self, user: &UserId, kind: AdapterChangeKind) {
        let key = viewer_key(user);
        self.trainings().remove(&key);
        let mut opted_out = self.opted_out.write().unwrap_or_else(PoisonError::into_inner);
        match kind {
            AdapterChangeKind::Adapter => {}
            AdapterChangeKind::OptedOut => drop(opted_out.insert(key)),
            AdapterChangeKind::OptedIn => drop(opted_out.remove(&key)),
        }
    }

    fn trainings(&self) -> MutexGuard<'_, HashMap<ViewerKey, Training>> {
        self.trainings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Begins to follow the feed, at its end; reads who wants no adapter.
    pub(crate) async fn load_adapter_changes(&self) -> Result<()> {
        // In this order: what happens in between is met again.
        let head = self.store.adapter_changes_head().await?;
        let mut all = HashSet::new();
        let mut last = None;
        loop {
            let users = self.store.opted_out_after(last.as_ref(), PAGE).await?;
            all.extend(users.iter().map(viewer_key));
            let Some(user) = users.into_iter().next_back() else { break };
            last = Some(user);
        }
        let changes = &self.adapter_changes;
        *changes.opted_out.write().unwrap_or_else(PoisonError::into_inner) = all;
        changes.seen.store(head, Ordering::Release);
        Ok(())
    }

    /// Takes in what was done to adapters: those concerned are forgotten, with what they learned and nobody wrote, and read
    /// anew when they are needed.
    pub(crate) async fn follow_adapter_changes(&self) -> Result<()> {
        // No adapter is being written meanwhile.
        let _turn = self.unsaved_adapters.turn().await;
        self.take_in_adapter_changes().await
    }

    /// The same for whoever has the turn already.
    pub(super) async fn take_in_adapter_changes(&self) -> Result<()> {
        loop {
            let seen = self.adapter_changes.seen();
            let changes = self.store.adapter_changes_after(seen, PAGE).await?;
            let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
                return Ok(());
            };
            if first.sequence != seen + 1 {
                tracing::warn!("changes of adapters were missed; all are read anew");
                self.load_adapter_changes().await?;
                self.forget_all_adapters();
                continue;
            }
            for change in &changes {
                // Who was erased since is forgotten as such.
                let Some(user) = &change.user_id else { continue };
                self.adapter_changes.take_in(user, change.kind);
                self.unsaved_adapters.forget(user);
                if let Some(user) = self.users.peek(user).await {
                    user.adapter.drop_it();
                }
            }
            self.adapter_changes.seen.store(last.sequence, Ordering::Release);
        }
    }

    fn forget_all_adapters(&self) {
        self.adapter_changes.trainings().clear();
        self.unsaved_adapters.forget_where(|_| true);
        for user in self.users.all_resident() {
            user.adapter.drop_it();
        }
    }
}
