//! What is known of a user: a view of their events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::Cursor;
use crate::id::UserId;
use crate::time::Timestamp;

/// The affinity of a genre nothing is known about.
pub const NEUTRAL_AFFINITY: f32 = 0.5;

/// How far one event moves a genre's affinity towards its engagement weight.
pub const AFFINITY_STEP: f32 = 0.1;

/// What is known of a user. Derived from the log up to `through`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Profile {
    /// Whose.
    pub user_id: UserId,
    /// The user's ALS factors under `model_version`; empty before a model is trained or without history.
    pub preference_vector: Vec<f32>,
    /// The model the vector belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version: Option<i64>,
    /// Per genre 0..=1, .5 neutral: `.9 old + .1 engagement weight` for every event on a title of that genre.
    pub genre_affinities: BTreeMap<String, f32>,
    /// Events per hour of the day, UTC, 24 entries from midnight.
    pub hourly_events: Vec<u64>,
    /// Events per weekday, UTC, 7 entries from Monday.
    pub weekday_events: Vec<u64>,
    /// Events in all.
    pub interaction_count: u64,
    /// Titles seen.
    pub seen_count: u64,
    /// When the latest event happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_event_at: Option<Timestamp>,
    /// The last event of this user that is included.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub through: Cursor,
    /// When this view was taken.
    pub updated_at: Timestamp,
}
