//! What an erasure did: the receipt.

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::time::Timestamp;

/// The receipt of an erasure. Erasing an unknown user gives one with nothing but zeros.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Erasure {
    /// Who was erased, as asked; the receipt is the only place that still has the id.
    pub user_id: UserId,
    /// When.
    pub erased_at: Timestamp,
    /// What was removed.
    pub removed: Erased,
    /// What the deleted rows left in the database's files.
    pub files: FileTraces,
    /// The SHA-256 of the id, kept so that other processes learn of the erasure; it names nobody to whom the id
    /// is not known already. Absent if nothing of the user was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_digest: Option<String>,
    /// Model versions trained while the events were there. They hold sums over all users and no ids; the next
    /// trainings replace them.
    pub models: Vec<i64>,
}

/// How much of what was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Erased {
    /// Events taken out of the log; those that waited to be written when the erasure was asked for are among
    /// them.
    pub events: u64,
    /// Stored profiles, 0 or 1.
    pub profiles: u64,
    /// Stored attributes (age range, region, genres), 0 or 1; also 1 where a vector was written and no attributes.
    pub attributes: u64,
    /// Stored vectors, one for each text encoder of which vectors are kept.
    pub embeddings: u64,
    /// Lists that were logged as shown to the user.
    pub exposures: u64,
    /// Stored versions of the user's adapters, of all names.
    pub adapters: u64,
    /// Profiles that waited to be stored, 0 or 1.
    pub waiting_profiles: u64,
    /// States held in this process's memory, 0 or 1. Other processes drop theirs when they next look at the
    /// database.
    pub states: u64,
    /// Titles whose counts of viewers and neighbours in this process were taken back to what they are without
    /// the user.
    pub counted_titles: u64,
    /// Titles at which the user was counted as a viewer of the last days.
    pub trending_titles: u64,
}

/// What deleted rows left in the database's files. `none`: they are overwritten, the write-ahead log is empty and
/// free space does not contain the id. `vacuumed`: PostgreSQL has vacuumed them out of its tables and indexes; their
/// space is overwritten as it is used again, and its own log, replicas and backups are in the hands of whoever runs
/// it. `remain`: the rows are gone, but a reader held on to an earlier state of the file; erase again to finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FileTraces {
    /// Nothing.
    None,
    /// What PostgreSQL leaves after `VACUUM`.
    Vacuumed,
    /// Something, because somebody was reading.
    Remain,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_reads_plainly() {
        let receipt = Erasure {
            user_id: UserId::new("u").expect("an id"),
            erased_at: Timestamp::from_seconds(0),
            removed: Erased { events: 3, ..Erased::default() },
            files: FileTraces::None,
            kept_digest: None,
            models: vec![2],
        };
        let json = serde_json::to_value(&receipt).expect("plain data");
        assert_eq!(json["files"], "none");
        assert_eq!((&json["removed"]["events"], &json["models"][0]), (&3.into(), &2.into()));
        assert_eq!(json.get("kept_digest"), None);
    }
}
