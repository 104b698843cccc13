//! Users who are not in memory, as the database has them.

use std::collections::HashMap;

use sona_domain::{LoggedEvent, UserAttributes, UserId};
use sona_store::{Store, WrittenUser};

use crate::candidates::content::unit;
use crate::error::Result;

/// What the database has of one user.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoredUser {
    pub(crate) events: Vec<LoggedEvent>,
    pub(crate) written: Option<Written>,
}

/// What others wrote of a user.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written {
    /// Of two the one with the higher is the newer.
    pub(super) sequence: i64,
    pub(crate) attributes: UserAttributes,
    /// The user's vector in the imported set that is in use, of length 1.
    pub(crate) vector: Option<Box<[f32]>>,
}

impl Written {
    /// What was read, without the id.
    pub(crate) fn new(read: WrittenUser) -> Self {
        let vector = read.vector.and_then(unit).map(Vec::into_boxed_slice);
        Self { sequence: read.sequence, attributes: read.attributes, vector }
    }

    /// Bytes it takes in memory.
    pub(super) fn memory(&self) -> usize {
        let genres = self.attributes.genres.iter().map(|genre| genre.len() + size_of::<String>());
        let vector = self.vector.as_ref().map_or(0, |vector| size_of_val(&**vector));
        size_of::<Self>() + genres.sum::<usize>() + vector
    }
}

/// Where users are read from.
pub(crate) trait StoredUsers: Sync {
    /// One for each of `ids`, in their order; of an unknown one there is nothing.
    fn read(&self, ids: &[UserId]) -> impl Future<Output = Result<Vec<StoredUser>>> + Send;
}

/// A database, and the imported set whose vectors are in use.
pub(crate) struct Database<'d> {
    pub(crate) store: &'d dyn Store,
    pub(crate) set: Option<&'d str>,
}

impl StoredUsers for Database<'_> {
    async fn read(&self, ids: &[UserId]) -> Result<Vec<StoredUser>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let histories = self.store.histories(ids).await?;
        let written = self.store.written_users(self.set, ids).await?.into_iter();
        let mut written: HashMap<_, _> =
            written.map(|user| (user.user_id.clone(), Written::new(user))).collect();
        let users = ids.iter().zip(histories);
        Ok(users.map(|(id, events)| StoredUser { events, written: written.remove(id) }).collect())
    }
}
