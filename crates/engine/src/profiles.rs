//! Profiles: read from the live state, written behind it for SQL readers.

use sona_domain::{Profile, UserId};

use crate::Engine;
use crate::error::Result;

impl Engine {
    /// What is known of a user; `None` for a user without any event.
    pub async fn profile(&self, id: &UserId) -> Result<Option<Profile>> {
        let user = self.users.get(id, &self.stored_users(), &self.catalogue).await?;
        let profile = user.profile(id, &self.snapshot.load(), self.clock.now());
        Ok((profile.interaction_count > 0).then_some(profile))
    }

    /// Stores the present profiles of `ids`.
    pub async fn write_profiles(&self, ids: &[UserId]) -> Result<()> {
        let users = self.users.load_all(ids, &self.stored_users(), &self.catalogue).await?;
        let (snapshot, now) = (self.snapshot.load_full(), self.clock.now());
        let profiles: Vec<_> = users
            .iter()
            .zip(ids)
            .map(|(user, id)| user.profile(id, &snapshot, now))
            .filter(|profile| profile.interaction_count > 0)
            .collect();
        Ok(self.store.put_profiles(&profiles).await?)
    }
}
