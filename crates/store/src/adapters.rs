//! Users' adapters, in versions, and which version is served.

use async_trait::async_trait;
use sona_domain::adapter::MAX_WEIGHTS_BYTES;
use sona_domain::{
    Adapter, AdapterName, AdapterOrigin, AdapterStatistics, AdapterVersion, NewAdapter, Timestamp,
    UserId,
};

use crate::error::{Error, Result};

/// When a version may be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// Whichever version is served.
    Any,
    /// Only while this one is served; `None`: while none is.
    Served(Option<i64>),
    /// Only if the user never had a version of this name, and nothing was done to their adapters from outside.
    Never,
    /// Only while one is served, or none, and only if nothing was done to the user's adapters from outside after a position
    /// of the feed ([`AdapterChanges`](crate::AdapterChanges)).
    Unchanged {
        /// As above.
        served: Option<i64>,
        /// A position of the feed.
        since: i64,
    },
}

impl Parent {
    /// The position of the feed after which nothing may have been done to the user's adapters, if that matters.
    pub(crate) fn since(self) -> Option<i64> {
        match self {
            Self::Any | Self::Served(_) => None,
            Self::Never => Some(0),
            Self::Unchanged { since, .. } => Some(since),
        }
    }

    /// Whether a version may have this number.
    pub(crate) fn admits_number(self, version: i64) -> bool {
        self != Self::Never || version == 1
    }

    /// Whether a version may be saved while `served` is served, as far as that tells.
    fn admits(self, served: Option<i64>) -> bool {
        match self {
            Self::Any | Self::Never => true,
            Self::Served(expected) | Self::Unchanged { served: expected, .. } => expected == served,
        }
    }
}

/// What became of a version that was to be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It has this number and is served.
    Version(i64),
    /// Another one than the expected is served: this one, if any; or something was done to the user's adapters meanwhile. Nothing
    /// was saved.
    Conflict(Option<i64>),
    /// The user does not exist, or no more. Nothing was saved.
    UnknownUser,
    /// The user wants no adapter. Nothing was saved.
    OptedOut,
}

/// Where a list of versions goes on: after the last one that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterPosition {
    /// When that one was saved.
    pub created_at: Timestamp,
    /// Its name.
    pub adapter_name: AdapterName,
    /// Its number.
    pub version: i64,
}

impl From<&AdapterVersion> for AdapterPosition {
    fn from(about: &AdapterVersion) -> Self {
        Self {
            created_at: about.created_at,
            adapter_name: about.adapter_name.clone(),
            version: about.version,
        }
    }
}

/// The adapters. A user may have several, by name; they go with the user. Whatever is done to them but by learning is told to
/// other processes ([`AdapterChanges`](crate::AdapterChanges)), in the same transaction.
#[async_trait]
pub trait Adapters: Send + Sync {
    /// Saves a version and serves it. The number is allocated in the same transaction: one more than the highest ever given out
    /// to this user under this name, also if versions were deleted or many save at once.
    async fn save_adapter(&self, new: &NewAdapter, parent: Parent, now: Timestamp)
    -> Result<Saved>;

    /// The version that is served.
    async fn served_adapter(&self, user: &UserId, name: &AdapterName) -> Result<Option<Adapter>>;

    /// One version.
    async fn adapter(
        &self,
        user: &UserId,
        name: &AdapterName,
        version: i64,
    ) -> Result<Option<Adapter>>;

    /// Serves `version` if `expected` is served now; `false` if it is not, or if there is no such version.
    async fn serve_adapter(
        &self,
        user: &UserId,
        name: &AdapterName,
        expected: Option<i64>,
        version: i64,
        now: Timestamp,
    ) -> Result<bool>;

    /// Goes back from `served` to the newest version before it and answers which one that is; `None`, and no change, if
    /// another one is served or there is none before it.
    async fn roll_back_adapter(
        &self,
        user: &UserId,
        name: &AdapterName,
        served: i64,
        now: Timestamp,
    ) -> Result<Option<i64>>;

    /// Keeps a version when old ones are dropped, or if it is not `pinned` no longer; `false` if there is none.
    async fn pin_adapter(
        &self,
        user: &UserId,
        name: &AdapterName,
        version: i64,
        pinned: bool,
        now: Timestamp,
    ) -> Result<bool>;

    /// Deletes a version; `false` if there is none, or it is pinned or served.
    async fn delete_adapter(&self, user: &UserId, name: &AdapterName, version: i64)
    -> Result<bool>;

    /// Deletes every version of a name, pinned and served ones too, and answers how many there were.
    async fn delete_adapters_named(
        &self,
        user: &UserId,
        name: &AdapterName,
        now: Timestamp,
    ) -> Result<u64>;

    /// Deletes every version of a user, pinned and served ones too, and answers how many there were.
    async fn delete_adapters(&self, user: &UserId, now: Timestamp) -> Result<u64>;

    /// Deletes all but the newest `keep` versions of a name, and answers how many. Pinned and served ones stay, however old.
    async fn retain_adapters(&self, user: &UserId, name: &AdapterName, keep: usize) -> Result<u64>;

    /// Up to `limit` versions of a user, of one name if given, that come after `after`, with their weights: the newest first (by
    /// time, then by name, then by number, all descending).
    async fn adapters(
        &self,
        user: &UserId,
        name: Option<&AdapterName>,
        after: Option<&AdapterPosition>,
        limit: usize,
    ) -> Result<Vec<Adapter>>;

    /// How many versions a user has, of one name if given.
    async fn count_adapters(&self, user: &UserId, name: Option<&AdapterName>) -> Result<u64>;

    /// All stored adapters in numbers.
    async fn adapter_statistics(&self) -> Result<AdapterStatistics>;
}

/// What decides whether a version may be saved.
#[derive(sqlx::FromRow)]
pub(crate) struct Standing {
    is_known: bool,
    has_opted_out: bool,
    /// The version that is served.
    pub(crate) served: Option<i64>,
    /// Something was done to the user's adapters after [`Parent::since`].
    is_changed: bool,
}

impl Standing {
    /// Why a version with this parent is not saved; `None` if it is.
    pub(crate) fn refuses(&self, parent: Parent) -> Option<Saved> {
        if !self.is_known {
            Some(Saved::UnknownUser)
        } else if self.has_opted_out {
            Some(Saved::OptedOut)
        } else {
            let admitted = parent.admits(self.served) && !self.is_changed;
            (!admitted).then_some(Saved::Conflict(self.served))
        }
    }
}

/// Refuses what no column takes, and answers the columns `size_bytes` and `training_iterations`.
pub(crate) fn checked(new: &NewAdapter) -> Result<(i64, i64)> {
    let size = new.weights.len();
    if !(1..=MAX_WEIGHTS_BYTES).contains(&size) {
        let refused = format!("an adapter has 1 to {MAX_WEIGHTS_BYTES} bytes, not {size}");
        return Err(Error::Invalid(refused));
    }
    if new.base_version < 1 {
        let refused = format!("versions begin at 1: there is no base layer {}", new.base_version);
        return Err(Error::Invalid(refused));
    }
    let iterations = i64::try_from(new.training_iterations)
        .map_err(|_| Error::Invalid(format!("{} trainings", new.training_iterations)))?;
    Ok((size as i64, iterations))
}

/// A row of `lora_adapters` with its weights, and whether the pointer names it.
#[derive(sqlx::FromRow)]
pub(crate) struct AdapterRow {
    user_id: String,
    adapter_name: String,
    version: i64,
    parent_version: Option<i64>,
    base_version: i64,
    origin: String,
    size_bytes: i64,
    training_iterations: i64,
    is_pinned: bool,
    is_served: bool,
    created_at: i64,
    updated_at: i64,
    weights: Vec<u8>,
}

/// The columns of the version that is served which are not known to whoever asks for it.
macro_rules! served_columns {
    () => {
        "version, parent_version, base_version, origin, training_iterations, is_pinned, created_at, updated_at, weights"
    };
}
pub(crate) use served_columns;

/// A row of these.
#[derive(sqlx::FromRow)]
pub(crate) struct ServedRow {
    version: i64,
    parent_version: Option<i64>,
    base_version: i64,
    origin: String,
    training_iterations: i64,
    is_pinned: bool,
    created_at: i64,
    updated_at: i64,
    weights: Vec<u8>,
}

impl ServedRow {
    pub(crate) fn read(self, user: &UserId, name: &AdapterName) -> Result<Adapter> {
        let row = AdapterRow {
            user_id: user.as_str().to_owned(),
            adapter_name: name.as_str().to_owned(),
            version: self.version,
            parent_version: self.parent_version,
            base_version: self.base_version,
            origin: self.origin,
            // The table sees to that.
            size_bytes: self.weights.len() as i64,
            training_iterations: self.training_iterations,
            is_pinned: self.is_pinned,
            is_served: true,
            created_at: self.created_at,
            updated_at: self.updated_at,
            weights: self.weights,
        };
        row.read()
    }
}

impl AdapterRow {
    pub(crate) fn read(self) -> Result<Adapter> {
        let about = AdapterVersion {
            user_id: UserId::new(self.user_id).map_err(Error::corrupt("lora_adapters.user_id"))?,
            adapter_name: AdapterName::new(self.adapter_name)
                .map_err(Error::corrupt("lora_adapters.adapter_name"))?,
            version: self.version,
            parent_version: self.parent_version,
            base_version: self.base_version,
            origin: AdapterOrigin::parse(&self.origin)
                .ok_or(self.origin)
                .map_err(Error::corrupt("lora_adapters.origin"))?,
            size_bytes: u64::try_from(self.size_bytes)
                .map_err(Error::corrupt("lora_adapters.size_bytes"))?,
            training_iterations: u64::try_from(self.training_iterations)
                .map_err(Error::corrupt("lora_adapters.training_iterations"))?,
            is_pinned: self.is_pinned,
            is_served: self.is_served,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        };
        Ok(Adapter { about, weights: self.weights })
    }
}

/// How many rows a statement counted.
pub(crate) fn count(rows: i64) -> Result<u64> {
    u64::try_from(rows).map_err(Error::corrupt("lora_adapters"))
}

/// Counts of `lora_adapters`: versions, users, bytes.
pub(crate) fn statistics(row: (i64, i64, i64)) -> Result<AdapterStatistics> {
    let (adapters, users, bytes) = row;
    Ok(AdapterStatistics {
        total_adapters: count(adapters)?,
        unique_users: count(users)?,
        total_bytes: count(bytes)?,
    })
}
