//! Rows whose vectors came, changed or went, until the index outside of this process has heard of it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The rows that wait.
#[derive(Debug, Default)]
pub(super) struct Journal {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// With the number of the last change.
    rows: HashMap<u32, u64>,
    changes: u64,
}

impl Journal {
    /// Notes that a row's vector is another one, or gone.
    pub(super) fn note(&self, row: u32) {
        let mut waiting = self.waiting();
        waiting.changes += 1;
        let change = waiting.changes;
        waiting.rows.insert(row, change);
        drop(waiting);
        self.wake.notify_one();
    }

    /// Returns when something was noted, or [`Journal::wake`] was called, since the last time.
    pub(super) async fn noted(&self) {
        self.wake.notified().await;
    }

    /// Has [`Journal::noted`] return.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Up to `limit` rows that wait, with what [`Journal::done`] needs to tell whether they changed again.
    pub(super) fn some(&self, limit: usize) -> Vec<(u32, u64)> {
        self.waiting().rows.iter().take(limit).map(|(row, change)| (*row, *change)).collect()
    }

    /// The rows that wait.
    pub(super) fn rows(&self) -> Vec<u32> {
        self.waiting().rows.keys().copied().collect()
    }

    /// These wait no more, unless they changed again.
    pub(super) fn done(&self, rows: &[(u32, u64)]) {
        let mut waiting = self.waiting();
        for (row, change) in rows {
            if waiting.rows.get(row) == Some(change) {
                waiting.rows.remove(row);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_again_waits_again() {
        let journal = Journal::default();
        journal.note(1);
        journal.note(2);
        let some = journal.some(9);
        journal.note(2);
        assert_eq!(some.len(), 2);
        journal.done(&some);
        assert_eq!(journal.rows(), [2]);
        journal.done(&journal.some(9));
        assert!(journal.rows().is_empty());
    }
}
