//! What was shown: a list as it was answered, at which rank and with which score, and what it was made from.

use serde::{Deserialize, Serialize};

use crate::id::{ContentId, RecommendationId, UserId};
use crate::time::Timestamp;

/// A list that was shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Exposure {
    /// The list's name.
    pub recommendation_id: RecommendationId,
    /// To whom.
    pub user_id: UserId,
    /// When.
    pub shown_at: Timestamp,
    /// The model its collaborative source used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version: Option<i64>,
    /// The ranker that ordered it; absent if the configured weights did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranker_version: Option<i64>,
    /// The titles, in the order of their ranks.
    pub items: Vec<ExposedItem>,
}

/// One title of a list that was shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ExposedItem {
    /// The title.
    pub content_id: ContentId,
    /// Its place in the list, from 1.
    pub rank: u32,
    /// Its score in the list.
    pub score: f32,
}
