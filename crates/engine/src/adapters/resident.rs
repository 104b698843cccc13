//! The adapter of a user who is in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sona_domain::{AdapterName, AdapterState, AdapterUse, UserId};
use sona_numeric::lora;
use tokio::time::Instant;

use super::{BaseLayer, saved};
use crate::Engine;
use crate::live::users::User;
use crate::options;
use crate::ranker::moment::MOMENT;

/// An adapter that could not be read is tried again after so long.
const RETRY: Duration = Duration::from_secs(5);

/// What another process learned is read so long after it saw the event: it is written by then.
const WRITTEN_AFTER: Duration = Duration::from_secs(4);

/// Bytes of an adapter of rank 8 that has learned.
const LEARNED: u32 = 3_000;

/// What an adapter knows of the moment: that there is one, and how long ago the user's latest title was.
pub(super) const CONTEXTS: usize = 2;

/// The part of a moment that an adapter knows.
pub(super) fn context(moment: &[f32; MOMENT]) -> [f32; CONTEXTS] {
    [moment[0], moment[1]]
}

/// A place for a user's adapter beside their state.
#[derive(Debug, Default)]
pub(crate) struct Resident(Mutex<Slot>);

#[derive(Debug, Default)]
struct Slot {
    adapter: Option<Held>,
    /// The user wants none: what is held has learned nothing and learns nothing.
    opted_out: bool,
    /// It was read, or tried to be, and need not be read before then.
    tried: Option<Instant>,
    /// It is to be read again then.
    stale_at: Option<Instant>,
    /// How often it was forgotten: what was read before the last time is not put here.
    forgotten: u64,
}

/// An adapter, and what is stored of it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) base_version: i64,
    /// The version it was learned from; `None` if none is stored.
    pub(super) saved_version: Option<i64>,
    pub(super) adapter: Arc<lora::Adapter>,
}

/// An adapter on its base layer, as a request finds it.
#[derive(Debug, Clone)]
pub(crate) struct Personal {
    base: Arc<BaseLayer>,
    adapter: Arc<lora::Adapter>,
    opted_out: bool,
    /// Whether the user has done enough for it to be served.
    due: bool,
}

impl Personal {
    /// What it adds to the logit of every candidate; nothing if it is not served. `features` is candidates×features.
    pub(crate) fn logits(&self, features: &[f32], moment: &[f32; MOMENT]) -> Option<Vec<f32>> {
        if !self.is_served() {
            return None;
        }
        let (mut projected, rank) = (Vec::new(), self.base.base.rank());
        self.base.base.project(features, &mut projected);
        let mut logits = vec![0.0; projected.len() / rank];
        self.adapter.adjust(&projected, &context(moment), &mut logits);
        Some(logits)
    }

    /// Whether it has a part in lists.
    pub(crate) fn is_served(&self) -> bool {
        self.due && !self.opted_out && self.adapter.events() > 0 && self.adapter.is_served()
    }

    /// How it takes part.
    pub(crate) fn state(&self) -> AdapterUse {
        if self.opted_out {
            return AdapterUse { state: AdapterState::OptedOut, events: 0, gain: 0.0 };
        }
        let events = self.adapter.events();
        let state = match (self.is_served(), self.due && events > 0) {
            (true, _) => AdapterState::Served,
            (false, true) => AdapterState::HeldBack,
            (false, false) => AdapterState::Learning,
        };
        AdapterUse { state, events, gain: self.adapter.gate().gain() as f32 }
    }
}

impl Resident {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As it is on `base`, of a user who has done enough for it if it is `due`; `None` if it was not carried over to that yet,
    /// or could not be read.
    fn on(&self, base: &Arc<BaseLayer>, due: bool) -> Option<Personal> {
        let slot = self.slot();
        let held = slot.adapter.as_ref().filter(|held| held.base_version == base.version)?;
        let (base, adapter) = (base.clone(), held.adapter.clone());
        Some(Personal { base, adapter, opted_out: slot.opted_out, due })
    }

    /// Another process has seen an event of the user.
    pub(crate) fn go_stale(&self) {
        self.slot().stale_at.get_or_insert_with(|| Instant::now() + WRITTEN_AFTER);
    }

    /// What is held.
    pub(super) fn held(&self) -> Option<Held> {
        self.slot().adapter.clone()
    }

    /// What is held and need not be read again, if it has learned anything.
    fn learned(&self) -> Option<Held> {
        let slot = self.slot();
        let stale = slot.stale_at.is_some_and(|at| at <= Instant::now());
        slot.adapter.clone().filter(|held| !stale && held.adapter.events() > 0)
    }

    /// Bytes it takes: none while it has learned nothing.
    pub(crate) fn memory(&self) -> u32 {
        let slot = self.slot();
        let learned = slot.adapter.as_ref().is_some_and(|held| held.adapter.events() > 0);
        if learned { LEARNED } else { 0 }
    }

    /// Does something to the adapter on a base layer, if it is one and the user wants it.
    pub(super) fn with<R>(
        &self,
        base_version: i64,
        work: impl FnOnce(&mut lora::Adapter) -> R,
    ) -> Option<R> {
        let mut slot = self.slot();
        if slot.opted_out {
            return None;
        }
        let held = slot.adapter.as_mut().filter(|held| held.base_version == base_version)?;
        Some(work(Arc::make_mut(&mut held.adapter)))
    }

    /// Notes that what is held is saved under this version.
    pub(super) fn note_saved(&self, base_version: i64, version: i64) {
        if let Some(held) = self.slot().adapter.as_mut().filter(|h| h.base_version == base_version)
        {
            held.saved_version = Some(version);
        }
    }

    /// Forgets it; it is read again when it is needed.
    pub(crate) fn drop_it(&self) {
        let mut slot = self.slot();
        *slot = Slot { forgotten: slot.forgotten + 1, ..Slot::default() };
    }

    /// Whether it must be read before it can be used on this base layer; if so, how often it was forgotten before.
    fn is_due(&self, base_version: i64) -> Option<u64> {
        let slot = self.slot();
        let now = Instant::now();
        let stale = slot.stale_at.is_some_and(|at| at <= now);
        let fits = slot.adapter.as_ref().is_some_and(|held| held.base_version == base_version);
        (stale || !fits && slot.tried.is_none_or(|at| at <= now)).then_some(slot.forgotten)
    }

    /// Puts here what was read after it was forgotten for the last time.
    fn put(&self, held: Held, (forgotten, opted_out): (u64, bool)) {
        let mut slot = self.slot();
        if slot.forgotten == forgotten {
            let adapter = Some(held);
            *slot = Slot { adapter, opted_out, tried: None, stale_at: None, forgotten };
        }
    }

    fn failed(&self) {
        self.slot().tried = Some(Instant::now() + RETRY);
    }
}

impl From<&options::Adapters> for lora::Options {
    fn from(options: &options::Adapters) -> Self {
        Self { solve_every: options.solve_every, ..Self::default() }
    }
}

impl Engine {
    /// A user's adapter on a base layer; `None` if it was not carried over to that yet, or could not be read.
    pub(crate) fn personal(&self, user: &User, base: &Arc<BaseLayer>) -> Option<Personal> {
        let due = user.state().interaction_count >= self.options.adapters.least_events;
        user.adapter.on(base, due)
    }

    /// The base layer whose inputs are the features of the ranker that serves.
    pub(crate) fn base_layer(&self) -> Option<Arc<BaseLayer>> {
        if !self.options.adapters.enabled {
            return None;
        }
        let ranking = self.ranking.load();
        let layout = &ranking.as_ref()?.ranker.layout;
        self.base_layers.current().filter(|base| base.is_for(layout))
    }

    /// Makes sure that a user's adapter is in memory; reads it if it is not. Without it the user is served as one who has none.
    pub(crate) async fn load_adapter(&self, id: &UserId, user: &User) {
        let Some(base) = self.base_layer() else { return };
        // What is changed from outside while it is read is read again.
        while let Some(forgotten) = user.adapter.is_due(base.version) {
            match self.read_adapter(id, user, &base).await {
                Ok((held, opted_out)) => user.adapter.put(held, (forgotten, opted_out)),
                Err(reason) => {
                    tracing::error!(%id, reason, "a user's adapter cannot be read");
                    user.adapter.failed();
                }
            }
        }
    }

    /// What is to be held of a user, and whether they want nothing to be.
    async fn read_adapter(
        &self,
        id: &UserId,
        user: &User,
        base: &BaseLayer,
    ) -> Result<(Held, bool), String> {
        // All who have learned nothing share one.
        let fresh = |saved_version| Held {
            base_version: base.version,
            saved_version,
            adapter: base.fresh(&self.options.adapters),
        };
        if self.adapter_changes.has_opted_out(id) {
            return Ok((fresh(None), true));
        }
        // What waits to be written is newer than what is stored, and what is in memory spares reading it.
        let waiting = self.unsaved_adapters.get(id).and_then(|waiting| waiting.adapter.held());
        if let Some(held) = waiting.or_else(|| user.adapter.learned()) {
            let saved_version = held.saved_version;
            let held = self.on_base(held, base).await?;
            return Ok((held.unwrap_or_else(|| fresh(saved_version)), false));
        }
        if user.state().interaction_count == 0 {
            return Ok((fresh(None), false));
        }
        let stored = self.store.served_adapter(id, &AdapterName::default()).await;
        let Some(stored) = stored.map_err(|error| error.to_string())? else {
            return Ok((fresh(None), false));
        };
        let version = stored.about.version;
        let of_version = |reason: String| format!("version {version}: {reason}");
        let held = saved::read(&stored, &self.options.adapters).map_err(of_version)?;
        let held = self.on_base(held, base).await.map_err(of_version)?;
        // Where nothing is left of the base layer it was learned on a new one takes its place.
        Ok((held.unwrap_or_else(|| fresh(Some(version))), false))
    }
}
