//! Everything that moves with each event: the users' states and the counts all users share.

pub(crate) mod attributes;
pub(crate) mod counts;
pub(crate) mod shortlist;
pub(crate) mod trending;
pub(crate) mod users;
