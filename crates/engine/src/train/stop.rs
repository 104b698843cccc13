//! Ending long work that nobody waits for any more.
//!
//! What takes long runs on blocking threads, which nobody can interrupt: it asks by itself, between pieces: a choice, a tree, a
//! pass over the data.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sona_numeric::listwise;

/// Tells all threads that work for a run that it ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// The run ends: its job is no longer ours, or nobody waits for it.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it does.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// What work asks between its pieces.
    pub(crate) fn ask(&self) -> Result<(), Stopped> {
        if self.is_set() { Err(Stopped) } else { Ok(()) }
    }
}

/// Work that ended before it was done: there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

impl From<listwise::Cancelled> for Stopped {
    fn from(_: listwise::Cancelled) -> Self {
        Self
    }
}

/// The question whether to go on, asked from any thread.
pub(crate) type GoOn<'g> = &'g (dyn Fn() -> Result<(), Stopped> + Sync);

/// The same question as numeric fits ask it.
pub(crate) fn flow(go_on: GoOn<'_>) -> ControlFlow<()> {
    match go_on() {
        Ok(()) => ControlFlow::Continue(()),
        Err(Stopped) => ControlFlow::Break(()),
    }
}

/// What work asks in tests in which nobody stops it.
#[cfg(test)]
pub(crate) const GO_ON: GoOn<'static> = &|| Ok(());

/// What work comes to that is stopped after `most` questions, and how many it asked.
#[cfg(test)]
pub(crate) fn stopped_after<T>(most: usize, work: impl FnOnce(GoOn<'_>) -> T) -> (T, usize) {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let go_on = || {
        let before = asked.fetch_add(1, Ordering::SeqCst);
        if before < most { Ok(()) } else { Err(Stopped) }
    };
    let done = work(&go_on);
    (done, asked.load(Ordering::SeqCst))
}
