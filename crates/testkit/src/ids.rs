//! Ids that count up, so that tests can foretell them.

use std::sync::atomic::{AtomicU64, Ordering};

use sona_domain::IdSource;

/// `id-1`, `id-2`, …
#[derive(Debug, Default)]
pub struct CountingIds(AtomicU64);

impl IdSource for CountingIds {
    fn fresh(&self) -> String {
        format!("id-{}", self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}
