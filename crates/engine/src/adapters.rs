//! A private adapter for every user: what is theirs alone of how sources are weighed, learned from each of their events.
//!
//! A candidate's features are brought down to a few numbers by a base layer that all users share (`base`), trained with the
//! ranker. On these each user has weights of their own ([`sona_numeric::lora`]), which are added to what the ranker and the
//! shared layer say. `resident` keeps them beside the user's state and says whether they are served; `learn` teaches them in
//! the log task, before the event is acknowledged; `saved` writes them behind, as versions. `handle` is what may be done to them
//! from outside, `look` what may be seen of them, `retrain` trains one anew, `portable` hands one out as a file and takes it in;
//! `changes` makes every process see what was done, and `migrate` carries adapters over when the base layer is found anew.

mod base;
mod begin;
mod changes;
mod error;
mod follow;
mod handle;
mod learn;
mod look;
mod migrate;
mod portable;
mod resident;
mod retrain;
mod saved;
mod train;

use std::sync::atomic::{AtomicU64, Ordering};

pub use base::BASE_LAYER_NAME;
pub(crate) use base::BaseLayer;
pub(crate) use changes::Changes;
pub use error::AdapterError;
pub use handle::{AdapterCommand, handle_stored};
pub(crate) use learn::{OwnChoice, Taught};
pub use look::{stored_adapter, stored_adapters};
pub(crate) use migrate::BaseLayers;
pub use portable::{export_adapter, import_adapter};
pub(crate) use resident::{Personal, Resident};
pub use retrain::Forced;
pub(crate) use saved::{Unsaved, write_behind};
pub(crate) use train::Found;

/// What became of adapters in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdapterCounts {
    /// Choices that users' adapters learned from.
    pub learned: u64,
    /// Choices they refused: they held numbers nothing can be learned from.
    pub refused: u64,
    /// Lists an adapter had a part in.
    pub served: u64,
    /// Lists without one, because its user had done too little, or nothing it could learn from.
    pub learning: u64,
    /// Lists without one, because it foresaw choices worse than the ranker alone.
    pub held_back: u64,
    /// Lists without one, because it could not be read.
    pub unavailable: u64,
    /// Lists without one, because the user wants none.
    pub opted_out: u64,
    /// Versions written.
    pub saved: u64,
    /// Adapters carried over to another base layer.
    pub migrated: u64,
    /// Adapters that began anew, because the base layer they were learned on is gone.
    pub retired: u64,
    /// Users whose adapter waits to be written.
    pub waiting: u64,
}

/// The same while it is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    learned: AtomicU64,
    refused: AtomicU64,
    served: AtomicU64,
    learning: AtomicU64,
    held_back: AtomicU64,
    unavailable: AtomicU64,
    opted_out: AtomicU64,
    saved: AtomicU64,
    migrated: AtomicU64,
    retired: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self, waiting: usize) -> AdapterCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AdapterCounts {
            learned: read(&self.learned),
            refused: read(&self.refused),
            served: read(&self.served),
            learning: read(&self.learning),
            held_back: read(&self.held_back),
            unavailable: read(&self.unavailable),
            opted_out: read(&self.opted_out),
            saved: read(&self.saved),
            migrated: read(&self.migrated),
            retired: read(&self.retired),
            waiting: waiting as u64,
        }
    }

    /// Counts a list.
    pub(crate) fn list(&self, state: sona_domain::AdapterState) {
        let counter = match state {
            sona_domain::AdapterState::Served => &self.served,
            sona_domain::AdapterState::Learning => &self.learning,
            sona_domain::AdapterState::HeldBack => &self.held_back,
            sona_domain::AdapterState::Unavailable => &self.unavailable,
            sona_domain::AdapterState::OptedOut => &self.opted_out,
        };
        add(counter, 1);
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
