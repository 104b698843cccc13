//! What is private of every user.

use serde::{Deserialize, Serialize};

/// The adapters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adapters {
    /// Whether users have adapters at all.
    pub enabled: bool,
    /// Numbers a candidate's features are brought down to, for a base layer that is trained from now on.
    pub rank: usize,
    /// An adapter has a part in lists once its user has so many events.
    pub least_events: u64,
    /// Its weights are worked out anew after so many events.
    pub solve_every: u32,
    /// So many of its versions are kept besides those that are pinned.
    pub keep_versions: usize,
}

impl Default for Adapters {
    fn default() -> Self {
        Self { enabled: true, rank: 8, least_events: 10, solve_every: 1, keep_versions: 5 }
    }
}
