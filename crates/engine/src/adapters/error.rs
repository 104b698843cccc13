//! Why something cannot be done to a user's adapter.

use sona_domain::UserId;

/// Why something cannot be done to a user's adapter, named after what the caller can do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdapterError {
    /// There is no such version, or none is served.
    #[error("user {user} has no {what}")]
    Unknown {
        /// Whose.
        user: UserId,
        /// What was looked for.
        what: String,
    },
    /// No event of the user is known.
    #[error("there is no user {0}")]
    UnknownUser(UserId),
    /// Another version is served than the caller took for the one served.
    #[error("{}", served.map_or_else(|| "no version is served".to_owned(), |served| format!("version {served} is served")))]
    Conflict {
        /// The one served.
        served: Option<i64>,
    },
    /// There is no version before the one served.
    #[error("there is no version before {served}; delete the adapter to begin anew")]
    NoneBefore {
        /// The one served.
        served: i64,
    },
    /// The version is pinned or served, so it is not deleted.
    #[error("version {version} is {why}")]
    Kept {
        /// Which.
        version: i64,
        /// What keeps it and what to do.
        why: &'static str,
    },
    /// The user wants no adapter.
    #[error("user {0} has opted out of adapters; they have to opt in again first")]
    OptedOut(UserId),
    /// Adapters are switched off, or what they rest on is not there yet.
    #[error("{0}")]
    NotReady(&'static str),
    /// The user's adapter is being trained already.
    #[error("the adapter of user {0} is being trained already; ask again when that is done")]
    Training(UserId),
    /// Something was done to the user's adapters, or the user was erased, while it was trained.
    #[error(
        "what was trained is dropped: the adapters of user {0} were changed meanwhile; train again"
    )]
    Overtaken(UserId),
    /// There are too few events to train on.
    #[error("user {user} has {found} events and training asks for {least}; send more, or force it")]
    TooFewEvents {
        /// Whose.
        user: UserId,
        /// How many there are.
        found: u64,
        /// How many there have to be.
        least: u64,
    },
    /// None of the events can be learned from.
    #[error(
        "none of the {found} events of user {user} can be learned from: they are of titles that are not in the catalogue any \
         more, that the user knew already or did not like, or that were
         far from what could have been shown"
    )]
    NothingToLearn {
        /// Whose.
        user: UserId,
        /// How many there are.
        found: u64,
    },
    /// A file is no adapter, or none for this catalogue.
    #[error("{0}")]
    Unfit(String),
}
