//! Bulk imports: what a file brings, and how far its reading has come, in one transaction.

mod met_users;

use async_trait::async_trait;
use sona_domain::{Content, Event, Timestamp};

use crate::error::{Error, Result};

pub(crate) use met_users::MetUsers;

/// How far an import has come, and what it has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// The file being read, from 0.
    pub file: u64,
    /// Rows of that file that were read, good or bad.
    pub row: u64,
    /// Rows of all files that were read.
    pub read: u64,
    /// Events appended.
    pub events: u64,
    /// Events that were in the log already.
    pub duplicates: u64,
    /// Catalogue entries added or replaced.
    pub content: u64,
    /// Catalogue entries made for events on unknown content.
    pub created: u64,
    /// Bad rows.
    pub rejected: u64,
    /// Length of the file of bad rows.
    pub rejects_bytes: u64,
    /// Everything was read.
    pub finished: bool,
}

/// What is written together.
#[derive(Debug)]
pub struct ImportBatch<'b> {
    /// Names the import: 1 to 255 bytes, the same for the same files and options.
    pub import_id: &'b str,
    /// Entries to add or replace; of those with the same id the last wins.
    pub content: &'b [Content],
    /// Entries to add unless the catalogue has them.
    pub stand_ins: &'b [Content],
    /// Events to append, in order.
    pub events: &'b [Event],
    /// How far the import has come with this batch; what the batch itself does is added to its counts of
    /// events, duplicates, content and created entries.
    pub progress: ImportProgress,
}

/// Bulk imports.
#[async_trait]
pub trait Imports: Send + Sync {
    /// How far the import has come; `None` if nothing of it was ever written.
    async fn import_progress(&self, import_id: &str) -> Result<Option<ImportProgress>>;

    /// Writes the entries, appends the events as [`crate::Events::append`] does, and notes the progress, in one
    /// durable transaction. Answers the progress with this batch counted.
    async fn write_import(&self, batch: &ImportBatch<'_>, now: Timestamp)
    -> Result<ImportProgress>;
}

impl ImportBatch<'_> {
    /// Refuses what only one of the databases would refuse, before either sees it.
    pub(crate) fn check(&self) -> Result<()> {
        self.content.iter().chain(self.stand_ins).try_for_each(crate::content::check)?;
        crate::events::check(self.events)
    }
}

/// The names of the columns an [`ImportRow`] is read from.
macro_rules! import_columns {
    () => {
        "file_index, file_row, rows_read, events, duplicates, content, created, rejected, rejects_bytes, finished"
    };
}
pub(crate) use import_columns;

/// A row of `imports`.
#[derive(sqlx::FromRow)]
pub(crate) struct ImportRow {
    file_index: i64,
    file_row: i64,
    rows_read: i64,
    events: i64,
    duplicates: i64,
    content: i64,
    created: i64,
    rejected: i64,
    rejects_bytes: i64,
    finished: bool,
}

impl ImportRow {
    pub(crate) fn read(self) -> Result<ImportProgress> {
        let count = |value: i64| u64::try_from(value).map_err(Error::corrupt("imports"));
        Ok(ImportProgress {
            file: count(self.file_index)?,
            row: count(self.file_row)?,
            read: count(self.rows_read)?,
            events: count(self.events)?,
            duplicates: count(self.duplicates)?,
            content: count(self.content)?,
            created: count(self.created)?,
            rejected: count(self.rejected)?,
            rejects_bytes: count(self.rejects_bytes)?,
            finished: self.finished,
        })
    }
}

/// The numbers of a progress, in the order of the columns.
pub(crate) fn counts(progress: &ImportProgress) -> [i64; 9] {
    [
        progress.file,
        progress.row,
        progress.read,
        progress.events,
        progress.duplicates,
        progress.content,
        progress.created,
        progress.rejected,
        progress.rejects_bytes,
    ]
    .map(|count| i64::try_from(count).unwrap_or(i64::MAX))
}
