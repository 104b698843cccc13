//! Users: created by their first event or by being written, removed with all that is theirs.

use std::collections::HashSet;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use sona_domain::{FileTraces, Timestamp, UserId};

use crate::error::{Error, Result};

/// What was removed with a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemovedUser {
    /// Where the removal stands in [`Users::removals_after`].
    pub sequence: i64,
    /// Events taken out of the log.
    pub events: u64,
    /// Profiles removed (0 or 1).
    pub profiles: u64,
    /// Rows of what was written of the user removed (0 or 1).
    pub attributes: u64,
    /// Vectors removed, of all models.
    pub embeddings: u64,
    /// Lists removed that were shown to the user.
    pub exposures: u64,
    /// Versions of adapters removed, of all names.
    pub adapters: u64,
}

/// The trace a removal leaves so that every process forgets the user: a digest, not the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRemoval {
    /// Position in the list of removals; follows commit order.
    pub sequence: i64,
    /// SHA-256 of the user id's bytes.
    pub user_digest: [u8; 32],
}

/// The users.
#[async_trait]
pub trait Users: Send + Sync {
    /// When the user was created; `None` for an unknown one.
    async fn user_created_at(&self, user: &UserId) -> Result<Option<Timestamp>>;

    /// Those of `users` who are there.
    async fn known_users(&self, users: &[UserId]) -> Result<HashSet<UserId>>;

    /// How many users there are.
    async fn count_users(&self) -> Result<u64>;

    /// Removes the user, their events, profile, attributes, vectors, adapters, whether they want any and what was shown to them in one
    /// transaction; `None` if there is nothing of them.
    async fn remove_user(&self, user: &UserId, now: Timestamp) -> Result<Option<RemovedUser>>;

    /// Sees to it that the database's files no longer hold deleted rows of `user`; says how far that went. To be
    /// called after [`Users::remove_user`]; may take as long as reading (in rare cases rewriting) all files.
    async fn scrub(&self, user: &UserId) -> Result<FileTraces>;

    /// Up to `limit` removals after `sequence`, oldest first.
    async fn removals_after(&self, sequence: i64, limit: usize) -> Result<Vec<UserRemoval>>;
}

/// What remembers a removed user: see [`UserRemoval::user_digest`].
pub fn digest(user: &UserId) -> [u8; 32] {
    Sha256::digest(user.as_str()).into()
}

/// The ids in a column of `users`.
pub(crate) fn ids(ids: Vec<String>) -> Result<HashSet<UserId>> {
    let read = |id| UserId::new(id).map_err(Error::corrupt("users.user_id"));
    ids.into_iter().map(read).collect()
}

/// A row of `user_removals`.
#[derive(sqlx::FromRow)]
pub(crate) struct RemovalRow {
    sequence: i64,
    user_digest: Vec<u8>,
}

impl RemovalRow {
    pub(crate) fn read(self) -> Result<UserRemoval> {
        let user_digest = <[u8; 32]>::try_from(self.user_digest.as_slice())
            .map_err(Error::corrupt("user_removals.user_digest"))?;
        Ok(UserRemoval { sequence: self.sequence, user_digest })
    }
}
