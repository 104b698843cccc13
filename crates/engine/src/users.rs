//! Removing a user with all that is theirs.

use std::collections::HashSet;

use sona_domain::UserId;
use sona_store::RemovedUser;

use crate::Engine;
use crate::error::Result;
use crate::live::counts::viewer_key;

impl Engine {
    /// Removes a user: events, profile, live state, place among the trending viewers. `None` for an unknown
    /// user. Counts that name nobody (how often two titles follow each other) change with the next training.
    pub async fn remove_user(&self, user: &UserId) -> Result<Option<RemovedUser>> {
        let removed = self.store.remove_user(user, self.clock.now()).await?;
        self.users.forget(user).await;
        self.forget_viewers(&HashSet::from([viewer_key(user)])).await;
        Ok(removed)
    }
}
