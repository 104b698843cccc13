//! API keys: their metadata and the digests of their secrets.

use async_trait::async_trait;
use sona_domain::{ApiKey, Scope, Scopes, Timestamp};

use crate::error::{Error, Result};

/// The log whose head counts changes of the keys.
pub(crate) const LOG: &str = "api_keys";

/// The API keys.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Adds a key; `false` if its id is taken.
    async fn create_key(&self, key: &ApiKey) -> Result<bool>;

    /// All keys, oldest first, also those that are no longer taken.
    async fn keys(&self) -> Result<Vec<ApiKey>>;

    /// Revokes a key for good; the time of the first revocation stays. `false` for an unknown one.
    async fn revoke_key(&self, key_id: &str, now: Timestamp) -> Result<bool>;

    /// A number that grows with every key created or revoked, never with anything else.
    async fn keys_revision(&self) -> Result<i64>;

    /// Notes when keys were used; an earlier time than the one known changes nothing, nor does an unknown key.
    async fn touch_keys(&self, used: &[(String, Timestamp)]) -> Result<()>;
}

/// A row of `api_keys`.
#[derive(sqlx::FromRow)]
pub(crate) struct KeyRow {
    key_id: String,
    name: String,
    scopes: String,
    digest: Vec<u8>,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl KeyRow {
    pub(crate) fn read(self) -> Result<ApiKey> {
        let scopes: Scopes = self
            .scopes
            .split_ascii_whitespace()
            .map(str::parse::<Scope>)
            .collect::<Result<_, _>>()
            .map_err(Error::corrupt("api_keys.scopes"))?;
        Ok(ApiKey {
            key_id: self.key_id,
            name: self.name,
            scopes,
            digest: <[u8; 32]>::try_from(self.digest.as_slice())
                .map_err(Error::corrupt("api_keys.digest"))?,
            created_at: Timestamp::from_micros(self.created_at),
            expires_at: self.expires_at.map(Timestamp::from_micros),
            revoked_at: self.revoked_at.map(Timestamp::from_micros),
            last_used_at: self.last_used_at.map(Timestamp::from_micros),
        })
    }
}
