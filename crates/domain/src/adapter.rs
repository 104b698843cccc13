//! A user's adapters: small sets of weights that learn what is theirs alone, in versions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::time::Timestamp;

/// Longest name of an adapter, in bytes.
pub const MAX_NAME_BYTES: usize = 100;

/// The largest file of an adapter's weights, in bytes.
pub const MAX_WEIGHTS_BYTES: usize = 4 << 20;

/// What one of a user's adapters is called: 1 to 100 letters, digits, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String, example = "default"))]
#[serde(try_from = "String", into = "String")]
pub struct AdapterName(Arc<str>);

impl AdapterName {
    /// The name of the adapter that is served where nobody asks for another.
    pub const DEFAULT: &str = "default";

    /// Checks and wraps `text`.
    ///
    /// # Errors
    /// In words, if it is no name.
    pub fn new(text: impl AsRef<str>) -> Result<Self, String> {
        let text = text.as_ref();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if text.is_empty() || text.len() > MAX_NAME_BYTES || !text.bytes().all(fits) {
            return Err(format!(
                "expected 1 to {MAX_NAME_BYTES} letters, digits, '.', '_' and '-', found {text:?}"
            ));
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for AdapterName {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl fmt::Display for AdapterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AdapterName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(text)
    }
}

impl TryFrom<String> for AdapterName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(text)
    }
}

impl From<AdapterName> for String {
    fn from(name: AdapterName) -> Self {
        name.0.as_ref().to_owned()
    }
}

/// How a version came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AdapterOrigin {
    /// It learned from events as they came, or as they were gone through for the base layer.
    Learned,
    /// It was trained anew on the user's stored events.
    Trained,
    /// It was brought in as a file.
    Imported,
}

impl AdapterOrigin {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Learned, Self::Trained, Self::Imported];

    /// Its name, in the database too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Trained => "trained",
            Self::Imported => "imported",
        }
    }

    /// Reads the database name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.as_str() == text)
    }
}

/// One immutable version of an adapter, without its weights. Versions of a name count up from 1 and are never reused; which one
/// is served is said by a pointer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AdapterVersion {
    /// Whose it is.
    pub user_id: UserId,
    /// Which of the user's.
    pub adapter_name: AdapterName,
    /// 1, 2, 3, …
    pub version: i64,
    /// The version that was served when this one was saved.
    pub parent_version: Option<i64>,
    /// The version of the base layer it was learned on: on another one its numbers must be carried over.
    pub base_version: i64,
    /// How it came to be.
    pub origin: AdapterOrigin,
    /// Size of the weights.
    pub size_bytes: u64,
    /// Events or trainings it rests on.
    pub training_iterations: u64,
    /// Whether it is kept when old versions are dropped.
    pub is_pinned: bool,
    /// Whether it is the one that is served.
    pub is_served: bool,
    /// When it was saved.
    pub created_at: Timestamp,
    /// When it was saved, pinned or unpinned.
    pub updated_at: Timestamp,
}

/// A version with its weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// What is known of it.
    pub about: AdapterVersion,
    /// The file, as whoever saved it wrote it.
    pub weights: Vec<u8>,
}

/// A version about to be saved; the store allocates the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAdapter {
    /// As [`AdapterVersion::user_id`].
    pub user_id: UserId,
    /// As [`AdapterVersion::adapter_name`].
    pub adapter_name: AdapterName,
    /// As [`AdapterVersion::base_version`], at least 1.
    pub base_version: i64,
    /// As [`AdapterVersion::origin`].
    pub origin: AdapterOrigin,
    /// As [`AdapterVersion::training_iterations`].
    pub training_iterations: u64,
    /// The file, 1 to [`MAX_WEIGHTS_BYTES`] bytes.
    pub weights: Vec<u8>,
}

/// A version, with what its file says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AdapterDetails {
    /// What is known of it.
    #[serde(flatten)]
    pub about: AdapterVersion,
    /// Numbers a candidate is brought down to.
    pub rank: usize,
    /// Numbers that describe a moment: rows of the weights.
    pub contexts: usize,
    /// The most its effect adds to a logit, or takes away.
    pub scale: f32,
    /// How much better it has foreseen the user's latest choices than the ranker without it, in nats: older ones count less.
    /// Below -1 it is held back. Absent where it is not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
}

/// A version in a list, with what its file says of how good it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListedAdapter {
    /// What is known of it.
    #[serde(flatten)]
    pub about: AdapterVersion,
    /// Numbers a candidate is brought down to; absent if the file cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// How much better it had foreseen the user's choices than the ranker without it when it was saved, in nats. Below -1 it is
    /// held back. Absent where it is not judged, or the file cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
    /// Why the file cannot be read: such a version is not served. Absent if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

/// What was done to a user's adapters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AdapterHandled {
    /// Whose.
    pub user_id: UserId,
    /// Which of the user's; absent if all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter_name: Option<AdapterName>,
    /// The version that is served now; absent if none is, or all were concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_version: Option<i64>,
    /// Versions deleted.
    pub deleted: u64,
}

/// What became of training a user's adapter anew. Losses are mean negative log-likelihoods of what the user chose, in nats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AdapterTraining {
    /// Always `training_completed`.
    pub status: String,
    /// Whose.
    pub user_id: UserId,
    /// The version it is saved and served as.
    pub version: i64,
    /// How long it took.
    pub duration_ms: u64,
    /// Choices the adapter has learned from.
    pub training_iterations: u64,
    /// Stored events that were choices it could learn from; others are of titles the user knew already or did not like.
    pub events_used: u64,
    /// Without the adapter.
    pub loss_before: f64,
    /// With the adapter as it was just before each choice: what it could foresee.
    pub loss_foreseen: f64,
    /// With the adapter as it is now, which has learned from them.
    pub loss_after: f64,
}

/// Users' adapters in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AdapterReport {
    /// All that are stored.
    pub stored: AdapterStatistics,
    /// Users who want none.
    pub opted_out: u64,
    /// Of users in this process's memory; absent where none are held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident: Option<ResidentAdapters>,
}

/// The adapters a process holds in memory.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ResidentAdapters {
    /// Users whose adapter has a part in their lists.
    pub served: u64,
    /// Users whose adapter has learned, but who have too few events for it to have a part in their lists.
    pub learning: u64,
    /// Users whose adapter foresaw their choices worse than the ranker without it.
    pub held_back: u64,
    /// Of those with enough events, the share whose gain is above 0; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helped_share: Option<f64>,
    /// How the gains of those with enough events are distributed, in ascending order.
    pub gains: Vec<GainBucket>,
    /// Choices this process's adapters learned from.
    pub events_learned: u64,
    /// Choices they refused: they held numbers nothing can be learned from.
    pub events_refused: u64,
    /// Versions this process has written.
    pub versions_saved: u64,
    /// Users whose adapter waits to be written.
    pub waiting: u64,
}

/// Adapters whose gain is in a range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GainBucket {
    /// The largest gain in it, in nats; absent in the last one. It begins above that of the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to: Option<f64>,
    /// Adapters.
    pub adapters: u64,
}

/// All stored adapters in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AdapterStatistics {
    /// Versions.
    pub total_adapters: u64,
    /// Users who have one.
    pub unique_users: u64,
    /// Bytes of all weights.
    pub total_bytes: u64,
}

impl AdapterStatistics {
    /// Bytes of a version's weights on average; 0 if there is none.
    pub fn mean_bytes(&self) -> f64 {
        self.total_bytes as f64 / self.total_adapters.max(1) as f64
    }
}

/// How a user's adapter took part in a list.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AdapterUse {
    /// Whether it had a part, and why not.
    pub state: AdapterState,
    /// Events it has learned from: those that chose a title from the top of what could have been shown.
    pub events: u64,
    /// How much better it has foreseen the user's latest choices than the ranker without it, in nats: older ones count less.
    /// Below -1 it is held back.
    pub gain: f32,
}

/// Whether an adapter has a part in a list, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AdapterState {
    /// It has.
    Served,
    /// Its user has too few events (`adapters.least_events`), or none it could learn from.
    Learning,
    /// It has foreseen the user's latest choices worse than the ranker without it.
    HeldBack,
    /// It could not be read.
    Unavailable,
    /// The user wants none: nothing is learned of them alone.
    OptedOut,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for name in ["default", "experimental", "a", "v1.2_x-y", &"n".repeat(100)] {
            assert_eq!(AdapterName::new(name).map(String::from), Ok(name.to_owned()));
        }
        for name in ["", "a b", "ä", "a/b", "a\n", &"n".repeat(101)] {
            assert!(AdapterName::new(name).is_err(), "{name:?}");
            let json = serde_json::to_string(name).expect("a text");
            assert!(serde_json::from_str::<AdapterName>(&json).is_err(), "{name:?}");
        }
        assert_eq!(AdapterName::new("default"), Ok(AdapterName::default()));
    }

    #[test]
    fn no_adapters_have_no_size() {
        assert_eq!(AdapterStatistics::default().mean_bytes(), 0.0);
        let two = AdapterStatistics { total_adapters: 2, unique_users: 1, total_bytes: 3 };
        assert_eq!(two.mean_bytes(), 1.5);
    }
}
