//! How long it is kept what was shown.

use serde::{Deserialize, Serialize};

/// What was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exposures {
    /// Lists are kept for so many days; at 0 none is written.
    pub keep_days: u32,
}

impl Default for Exposures {
    fn default() -> Self {
        Self { keep_days: 30 }
    }
}
