//! After a start, users who were here last are read before they come back.
//!
//! A user who is not in memory costs their first list a few ways to the database and back. Right after a start that is everybody, and
//! they all come at once. So the log is read backwards, and those who are in it are read as they would be for a list, the latest
//! first, a few at a time and with a rest in between: requests go first.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sona_domain::{Cursor, UserId};
use tokio::time::Instant;

use crate::Engine;
use crate::error::Result;

/// Events of the log read at once.
const PAGE: i64 = 500;

/// Users read at once.
const BATCH: usize = 16;

/// The shortest rest after a batch; it is as long as the batch took.
const REST: Duration = Duration::from_millis(1);

/// For each user who may be read, so many events of the log are looked at: among the last ones there may be few users.
const EVENTS_PER_USER: usize = 50;

impl Engine {
    /// Reads the users who were here last, up to `live.read_ahead_users` and as far as there is room for them, and answers how
    /// many. For whoever serves, beside it: nothing waits for it, and [`Engine::close`] ends it.
    ///
    /// # Errors
    /// If the database does not answer. Users are then read when they come.
    pub async fn read_ahead(self: &Arc<Self>) -> Result<u64> {
        let started = Instant::now();
        let mut seen = HashSet::new();
        let read = self.read_latest(&mut seen).await;
        let (users, milliseconds) = (seen.len() as u64, started.elapsed().as_millis() as u64);
        // What fails after that does so because the database is closed.
        if !self.requests.is_closed() {
            read?;
            tracing::info!(users, milliseconds, "users were read ahead");
        }
        Ok(users)
    }

    async fn read_latest(&self, seen: &mut HashSet<UserId>) -> Result<()> {
        let most = self.options.live.read_ahead_users;
        let mut at = self.applied();
        let first = at.0.saturating_sub_unsigned(most.saturating_mul(EVENTS_PER_USER) as u64);
        while at.0 > first.max(0) && seen.len() < most {
            let fresh = self.users_before(&mut at, seen, most).await?;
            for batch in fresh.chunks(BATCH) {
                if self.requests.is_closed() || self.users.are_many().await {
                    return Ok(());
                }
                let began = Instant::now();
                self.read_batch(batch).await?;
                tokio::time::sleep(began.elapsed().max(REST)).await;
            }
        }
        Ok(())
    }

    /// Who is in the page of the log that ends with `at` and was not seen yet, the latest first, until `most` were; moves `at`
    /// before the page.
    async fn users_before(
        &self,
        at: &mut Cursor,
        seen: &mut HashSet<UserId>,
        most: usize,
    ) -> Result<Vec<UserId>> {
        let before = Cursor((at.0 - PAGE).max(0));
        let events = self.store.after(before, PAGE as usize).await?;
        let mut fresh = Vec::new();
        // Where users were erased the page has fewer events, and what follows it was looked at already.
        for logged in events.into_iter().rev().filter(|logged| logged.cursor <= *at) {
            let user = logged.event.user_id;
            if seen.len() < most && seen.insert(user.clone()) {
                fresh.push(user);
            }
        }
        *at = before;
        Ok(fresh)
    }

    /// Who was erased meanwhile is read as somebody who has done nothing.
    async fn read_batch(&self, ids: &[UserId]) -> Result<()> {
        let users = self.users.load_all(ids, &self.stored_users(), &self.catalogue).await?;
        for (id, user) in ids.iter().zip(users) {
            self.load_adapter(id, &user).await;
        }
        Ok(())
    }
}
