//! The users an import has met, so that it asks the database for each of them once.

use std::collections::HashSet;

use sona_domain::UserId;

use crate::events::Placement;

/// Most bytes of memory, about, that the users may take.
const MAX_BYTES: usize = 64 << 20;

/// About how many bytes a user takes besides the id: the place in the set, and the counts in front of the text.
const USER_BYTES: usize = 48;

/// Users that were in the database when an import last wrote.
#[derive(Debug, Default)]
pub(crate) struct MetUsers {
    users: HashSet<UserId>,
    bytes: usize,
    removals: i64,
}

impl MetUsers {
    /// Forgets everybody if users were removed since the last batch; `removals` is the head of their list, read under
    /// the lock that keeps further removals away.
    pub(crate) fn refresh(&mut self, removals: i64) {
        if self.removals != removals {
            *self = Self { removals, ..Self::default() };
        }
    }

    /// The users of the events to write that were not met before, each once, in an order all writers share.
    pub(crate) fn new_among<'e>(&self, placed: &Placement<'e>) -> Vec<&'e UserId> {
        let users = placed.fresh.iter().map(|(_, event)| &event.user_id);
        let mut new: Vec<_> = users.filter(|user| !self.users.contains(*user)).collect();
        new.sort_unstable();
        new.dedup();
        new
    }

    /// Notes users that are in the database from now on, as long as there is room.
    pub(crate) fn add(&mut self, users: &[&UserId]) {
        for user in users {
            if self.bytes < MAX_BYTES && self.users.insert((*user).clone()) {
                self.bytes += user.as_str().len() + USER_BYTES;
            }
        }
    }
}
