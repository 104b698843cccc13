//! What given titles score for a user: the same parts as in a list, also for titles that would not be in it.

use serde::{Deserialize, Serialize};

use crate::id::{ContentId, UserId};
use crate::recommendation::{Adjustment, RecommendationType, SourceScore};
use crate::time::Timestamp;

/// What given titles score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Scores {
    /// For whom.
    pub user_id: UserId,
    /// The titles that have a score, in the order asked.
    pub scores: Vec<ScoredTitle>,
    /// Those that have none, in the order asked.
    pub unscored: Vec<Unscored>,
    /// How many events of this user the answer rests on; 0 for an unknown user.
    pub interaction_count: u64,
    /// The model the collaborative source used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version: Option<i64>,
    /// When the answer was made.
    pub generated_at: Timestamp,
}

/// A title with its score and what it is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ScoredTitle {
    /// Which title.
    pub content_id: ContentId,
    /// Its title.
    pub title: String,
    /// Its year, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<u16>,
    /// The sum of all contributions, on the scale of the user's list: 1 is its best candidate and 0 its worst. What no
    /// source brought may lie below.
    pub score: f32,
    /// Its one source, or `hybrid`.
    pub recommendation_type: RecommendationType,
    /// What every source says, strongest contribution first.
    pub sources: Vec<SourceScore>,
    /// What decides besides the sources.
    pub adjustments: Vec<Adjustment>,
    /// Titles from the user's history that speak for it, strongest first.
    pub based_on: Vec<ContentId>,
    /// Why, in one sentence.
    pub explanation: String,
    /// Why no list would show it, however well it scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_out: Option<KeptOut>,
}

/// Why a title that has a score is in no list of this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeptOut {
    /// The user has seen it.
    Seen,
    /// The user has dismissed it.
    Rejected,
}

/// A title without a score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Unscored {
    /// Which title.
    pub content_id: ContentId,
    /// Why.
    pub reason: NotScored,
}

/// Why a title has no score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NotScored {
    /// The catalogue has no such title.
    Unknown,
    /// It is hidden, or not in its time.
    Unavailable,
}
