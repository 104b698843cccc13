//! What others write of users: their attributes, and vectors made elsewhere.
//!
//! It is part of a user's state in memory and read with it. Every write has a place in the store's list of them; whoever
//! follows that reads anew what is in memory, in the log task's turn, as removals are taken in: so nothing of a user who is
//! gone is brought back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sona_domain::{LoggedEvent, RequestContext, User, UserAttributes, UserId};

use crate::Engine;
use crate::error::Result;
use crate::live::users::stored::{Database, Written};

/// Writes looked at at once.
const PAGE: usize = 1_000;

impl Engine {
    /// Writes the attributes of users in place of those they had, all or none; who is not there is added. The next list of
    /// this process knows them. Of several of one user the last counts.
    pub async fn put_users(self: &Arc<Self>, users: &[(UserId, UserAttributes)]) -> Result<()> {
        self.store.put_users(users, self.clock.now()).await?;
        self.see_user_writes().await
    }

    /// A user as they are stored; `None` if there is no such user.
    pub async fn stored_user(&self, id: &UserId) -> Result<Option<User>> {
        let Some(created_at) = self.store.user_created_at(id).await? else { return Ok(None) };
        let written = self.store.written_users(None, std::slice::from_ref(id)).await?;
        let attributes = written.into_iter().next().map(|written| written.attributes);
        Ok(Some(User::new(id.clone(), attributes.unwrap_or_default(), created_at)))
    }

    /// Where users are read from who are not in memory.
    pub(crate) fn stored_users(&self) -> Database<'_> {
        Database { store: &*self.store, set: self.encoders.imported() }
    }

    /// Takes in what this process just wrote.
    pub(crate) async fn see_user_writes(self: &Arc<Self>) -> Result<()> {
        let engine = self.clone();
        self.between(async move { engine.follow_user_writes().await }).await?
    }

    /// Begins to follow the list of writes, at its end. What is read of users later is newer.
    pub(crate) async fn skip_old_user_writes(&self) -> Result<()> {
        let head = self.store.user_writes_head().await?;
        self.users.writes_seen.store(head, Ordering::Release);
        Ok(())
    }

    /// Reads anew what was written of users in memory. Only in the log task's turn, as [`crate::live::users::Users::weigh`].
    pub(crate) async fn follow_user_writes(&self) -> Result<()> {
        loop {
            let seen = self.users.writes_seen.load(Ordering::Acquire);
            let writes = self.store.user_writes_after(seen, PAGE).await?;
            let Some(last) = writes.last().map(|write| write.sequence) else { return Ok(()) };
            // Who is being read meanwhile is read again.
            self.users.changed();
            let mut resident = HashMap::new();
            for write in writes {
                if let Some(user) = self.users.peek(&write.user_id).await {
                    resident.insert(write.user_id, user);
                }
            }
            let ids: Vec<_> = resident.keys().cloned().collect();
            let written = if ids.is_empty() {
                Vec::new()
            } else {
                self.store.written_users(self.encoders.imported(), &ids).await?
            };
            for read in written {
                let (id, user) = (read.user_id.clone(), &resident[&read.user_id]);
                user.take_in(Written::new(read));
                self.users.weigh(&id, user).await;
            }
            self.users.writes_seen.store(last, Ordering::Release);
        }
    }

    /// The attributes of those who did this, as far as any were written.
    pub(crate) async fn attributes_of(
        &self,
        events: &[LoggedEvent],
    ) -> Result<HashMap<UserId, UserAttributes>> {
        if self.users.writes_seen.load(Ordering::Acquire) == 0 {
            return Ok(HashMap::new());
        }
        let mut ids: Vec<_> = events.iter().map(|logged| logged.event.user_id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let written = self.store.written_users(None, &ids).await?.into_iter();
        Ok(written.map(|written| (written.user_id, written.attributes)).collect())
    }
}

/// A request's context, with what is known of the user where it leaves that out.
pub(crate) fn completed(context: &RequestContext, written: Option<&Written>) -> RequestContext {
    written.map_or_else(|| context.clone(), |written| written.attributes.complete(context))
}
