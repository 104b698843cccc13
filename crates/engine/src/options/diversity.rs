//! How unlike the titles of a list are.

use serde::{Deserialize, Serialize};

/// How unlike the titles of a list are; see [`sona_numeric::mmr`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Diversity {
    /// What relevance counts beside being unlike the titles before: 1 is the order of relevance.
    pub lambda: f32,
    /// So many of the best candidates are chosen from, for a list of ten; for longer ones more.
    pub pool: usize,
    /// At most so many titles of a list share what `capped` says; 0 = any number.
    pub cap: usize,
    /// What the cap counts.
    pub capped: Capped,
}

/// What [`Diversity::cap`] counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capped {
    /// Genres.
    Genre,
    /// Themes.
    Theme,
    /// Directors.
    #[default]
    Director,
    /// Actors.
    Actor,
}

impl Default for Diversity {
    fn default() -> Self {
        Self { lambda: 1.0, pool: 100, cap: 0, capped: Capped::default() }
    }
}

impl Diversity {
    /// How many candidates a list of `limit` is chosen from.
    pub(crate) fn pool_of(&self, limit: usize) -> usize {
        self.pool.saturating_mul(limit.div_ceil(10)).clamp(limit, MOST_POOLED.max(limit))
    }
}

/// Most candidates a list is chosen from.
const MOST_POOLED: usize = 500;
