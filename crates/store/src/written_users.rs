//! What is written of users besides what they did: attributes, and vectors made elsewhere.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sona_domain::{AgeRange, Region, Timestamp, UserAttributes, UserId};

use crate::error::{Error, Result};
use crate::row::{floats_of, json_text};

/// The name of the head of the list of writes.
pub(crate) const LOG: &str = "written_users";

/// What was written of a user.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenUser {
    /// Of whom.
    pub user_id: UserId,
    /// The place of the last write: of two reads the one with the higher place is the newer.
    pub sequence: i64,
    /// Their attributes; none where only vectors were written.
    pub attributes: UserAttributes,
    /// The vector of the model that was asked for.
    pub vector: Option<Vec<f32>>,
}

/// A user of whom something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserWrite {
    /// The place of the last write; follows commit order.
    pub sequence: i64,
    /// Of whom.
    pub user_id: UserId,
}

/// Users as they were written. All of it goes with the user.
#[async_trait]
pub trait WrittenUsers: Send + Sync {
    /// Writes the attributes of users in place of those they had, all or none; who is not there is added. Of several of one
    /// user the last counts.
    async fn put_users(&self, users: &[(UserId, UserAttributes)], now: Timestamp) -> Result<()>;

    /// What was written of `users`, with the vectors `model` has of them, in no order. One of whom nothing was ever written
    /// is left out.
    async fn written_users(
        &self,
        model: Option<&str>,
        users: &[UserId],
    ) -> Result<Vec<WrittenUser>>;

    /// The place of the last write; 0 if nothing was ever written.
    async fn user_writes_head(&self) -> Result<i64>;

    /// Up to `limit` users of whom something was written after `sequence`, each once, in the order of their last writes.
    async fn user_writes_after(&self, sequence: i64, limit: usize) -> Result<Vec<UserWrite>>;
}

/// Of users each once, the last of each, by id: the order all writers take their locks in.
pub(crate) fn last_of_each(
    users: &[(UserId, UserAttributes)],
) -> BTreeMap<&UserId, &UserAttributes> {
    users.iter().map(|(id, attributes)| (id, attributes)).collect()
}

/// What is written of one user's attributes.
#[derive(serde::Serialize)]
pub(crate) struct Columns<'u> {
    pub(crate) user_id: &'u str,
    pub(crate) age_range: Option<&'static str>,
    pub(crate) region: Option<String>,
    pub(crate) genres: String,
}

impl<'u> Columns<'u> {
    pub(crate) fn new(user_id: &'u UserId, attributes: &UserAttributes) -> Self {
        Self {
            user_id: user_id.as_str(),
            age_range: attributes.age_range.map(AgeRange::word),
            region: attributes.region.map(Into::into),
            genres: json_text(&attributes.genres),
        }
    }
}

/// A row of `written_users` and a vector.
#[derive(sqlx::FromRow)]
pub(crate) struct WrittenRow {
    user_id: String,
    sequence: i64,
    age_range: Option<String>,
    region: Option<String>,
    genres: String,
    vector: Option<Vec<u8>>,
}

impl WrittenRow {
    pub(crate) fn read(self) -> Result<WrittenUser> {
        let age_range = self.age_range.as_deref().map(AgeRange::parse).transpose();
        let region = self.region.as_deref().map(Region::parse).transpose();
        let vector = self.vector.map(|bytes| floats_of(&bytes, "embeddings.vector")).transpose()?;
        Ok(WrittenUser {
            user_id: UserId::new(self.user_id).map_err(Error::corrupt("written_users.user_id"))?,
            sequence: self.sequence,
            attributes: UserAttributes {
                age_range: age_range.map_err(Error::corrupt("written_users.age_range"))?,
                region: region.map_err(Error::corrupt("written_users.region"))?,
                genres: serde_json::from_str(&self.genres)
                    .map_err(Error::corrupt("written_users.genres"))?,
            },
            vector,
        })
    }
}

/// A row of the list of writes.
#[derive(sqlx::FromRow)]
pub(crate) struct WriteRow {
    sequence: i64,
    user_id: String,
}

impl WriteRow {
    pub(crate) fn read(self) -> Result<UserWrite> {
        let user_id = UserId::new(self.user_id).map_err(Error::corrupt("written_users.user_id"))?;
        Ok(UserWrite { sequence: self.sequence, user_id })
    }
}
