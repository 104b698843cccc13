//! What is done to users' adapters from outside, for every process to see; and who wants none.

use async_trait::async_trait;
use sona_domain::{Timestamp, UserId};

use crate::error::{Error, Result};

/// Rows kept of the feed. Processes read it several times a second.
pub(crate) const KEPT: i64 = 10_000;

/// The name of the feed's head.
pub(crate) const LOG: &str = "lora_adapter_changes";

/// What became of a user's adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdapterChangeKind {
    /// Another version is served, or none.
    Adapter,
    /// The user wants none; all versions are gone.
    OptedOut,
    /// The user wants one again.
    OptedIn,
}

impl AdapterChangeKind {
    const ALL: [Self; 3] = [Self::Adapter, Self::OptedOut, Self::OptedIn];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Adapter => "adapter",
            Self::OptedOut => "opted_out",
            Self::OptedIn => "opted_in",
        }
    }
}

/// An entry of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterChange {
    /// Where it stands; follows commit order without gaps, except that old entries are dropped.
    pub sequence: i64,
    /// Whose adapters; `None` if the user was erased since.
    pub user_id: Option<UserId>,
    /// What happened.
    pub kind: AdapterChangeKind,
}

/// The feed of what was done to adapters other than by learning, and the users who want none.
#[async_trait]
pub trait AdapterChanges: Send + Sync {
    /// The last position of the feed; 0 if nothing was ever changed.
    async fn adapter_changes_head(&self) -> Result<i64>;

    /// Up to `limit` changes after `sequence`, oldest first. If the first does not follow `sequence` directly, those between
    /// are dropped already.
    async fn adapter_changes_after(
        &self,
        sequence: i64,
        limit: usize,
    ) -> Result<Vec<AdapterChange>>;

    /// Notes that a user wants no adapter, known or not, and deletes all versions they have; answers how many. Until they opt
    /// in again none is saved. Doing so again changes nothing.
    async fn opt_out_of_adapters(&self, user: &UserId, now: Timestamp) -> Result<u64>;

    /// Notes that a user wants an adapter again; `false` if they had not opted out.
    async fn opt_in_to_adapters(&self, user: &UserId, now: Timestamp) -> Result<bool>;

    /// Since when a user wants no adapter; `None` if they do want one.
    async fn opted_out_at(&self, user: &UserId) -> Result<Option<Timestamp>>;

    /// Up to `limit` users who want no adapter, by id, after `after`.
    async fn opted_out_after(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<UserId>>;
}

/// A row of `lora_adapter_changes`.
#[derive(sqlx::FromRow)]
pub(crate) struct ChangeRow {
    sequence: i64,
    user_id: Option<String>,
    change: String,
}

impl ChangeRow {
    pub(crate) fn read(self) -> Result<AdapterChange> {
        let user_id = self.user_id.map(UserId::new).transpose();
        let user_id = user_id.map_err(Error::corrupt("lora_adapter_changes.user_id"))?;
        let kind = AdapterChangeKind::ALL.into_iter().find(|kind| kind.as_str() == self.change);
        let kind =
            kind.ok_or(self.change).map_err(Error::corrupt("lora_adapter_changes.change"))?;
        Ok(AdapterChange { sequence: self.sequence, user_id, kind })
    }
}

/// The ids in a column of `lora_opt_outs`.
pub(crate) fn users(ids: Vec<String>) -> Result<Vec<UserId>> {
    let read = |id| UserId::new(id).map_err(Error::corrupt("lora_opt_outs.user_id"));
    ids.into_iter().map(read).collect()
}
