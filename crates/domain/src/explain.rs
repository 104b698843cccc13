//! How a list came about: what took how long, who brought how much, and what became of the rest of the catalogue.

use serde::{Deserialize, Serialize};

use crate::recommendation::Source;

/// How a list came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Explain {
    /// How long each stage took.
    pub stages: Stages,
    /// The sources that were asked, in listing order.
    pub sources: Vec<SourceTrace>,
    /// Why the other titles of the catalogue are not in the list. These counts and the items add up to the catalogue.
    pub dropped: Drops,
}

/// How long each stage of an answer took, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Stages {
    /// Finding the user's state; reading their history if it was not in memory.
    pub user: u64,
    /// Working out what follows from the state under the model, and from the latest titles.
    pub prepare: u64,
    /// Both looks at what may be shown.
    pub gate: u64,
    /// Waiting for an index of vectors outside of the process; 0 if there is none.
    pub search: u64,
    /// Asking all sources for their best.
    pub sources: u64,
    /// Scoring every candidate and putting the best in order.
    pub order: u64,
    /// Choosing titles that do not repeat each other, and measuring how far apart they are.
    pub diversify: u64,
    /// Saying why.
    pub reasons: u64,
    /// From the first to the last.
    pub total: u64,
}

/// One source's part in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SourceTrace {
    /// Which source.
    pub source: Source,
    /// How many candidates it brought.
    pub candidates: u32,
    /// How long that took, in microseconds.
    pub microseconds: u64,
}

/// How many titles are not in a list, by the first reason that holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Drops {
    /// Hidden, or not in their time.
    pub unavailable: u64,
    /// The user has seen them.
    pub seen: u64,
    /// The user has dismissed them.
    pub rejected: u64,
    /// The request excludes them.
    pub excluded: u64,
    /// No source brought them.
    pub not_brought: u64,
    /// They became forbidden while the request was worked on.
    pub became_forbidden: u64,
    /// They were brought, and others are better.
    pub beyond_limit: u64,
}
