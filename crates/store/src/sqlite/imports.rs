//! Bulk imports in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use sona_domain::{Cursor, Event, Timestamp};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

use super::{SqliteStore, by_user, content, events, head, users};
use crate::Purpose;
use crate::error::Result;
use crate::events::{Placement, id_range};
use crate::imports::{ImportBatch, ImportProgress, ImportRow, Imports, counts, import_columns};

#[async_trait]
impl Imports for SqliteStore {
    async fn import_progress(&self, import_id: &str) -> Result<Option<ImportProgress>> {
        let row: Option<ImportRow> = sqlx::query_as(concat!(
            "SELECT ",
            import_columns!(),
            " FROM imports WHERE import_id = ?1"
        ))
        .bind(import_id)
        .fetch_optional(&self.readers)
        .await?;
        row.map(ImportRow::read).transpose()
    }

    async fn write_import(
        &self,
        batch: &ImportBatch<'_>,
        now: Timestamp,
    ) -> Result<ImportProgress> {
        batch.check()?;
        let mut met = self.met.lock().await;
        let mut progress = batch.progress;
        let mut transaction = self.bulk.begin_with("BEGIN IMMEDIATE").await?;
        if !batch.events.is_empty() && self.may_leave_index_out()? {
            by_user::leave_out(&mut transaction).await?;
        }
        progress.content += content::put_all(&mut transaction, batch.content, now).await?;
        progress.created += content::add_missing(&mut transaction, batch.stand_ins, now).await?;
        let placed = place(&mut transaction, batch.events).await?;
        progress.events += placed.fresh.len() as u64;
        progress.duplicates += (batch.events.len() - placed.fresh.len()) as u64;
        met.refresh(head(&mut transaction, users::LOG).await?);
        let new = met.new_among(&placed);
        if !placed.fresh.is_empty() {
            let ids: Vec<_> = new.iter().map(|user| user.as_str()).collect();
            events::add_users(&mut transaction, &ids, now).await?;
            events::write(&mut transaction, &placed).await?;
        }
        if progress.finished {
            by_user::build(&mut transaction).await?;
        }
        note(&mut transaction, batch.import_id, &progress, now).await?;
        transaction.commit().await?;
        met.add(&new);
        Ok(progress)
    }
}

impl SqliteStore {
    fn may_leave_index_out(&self) -> Result<bool> {
        let file = self.file.as_ref().filter(|file| file.purpose == Purpose::Import);
        let alone = file.map_or(Ok(false), |file| file.presence.is_alone());
        Ok(alone.map_err(sqlx::Error::Io)?)
    }
}

/// What differs for the connection that writes imports. It promises no less: a batch is as durable as any write.
pub(super) fn bulk_options(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        // Users are put in, and kept from being removed, by the transaction that writes their events.
        .foreign_keys(false)
        // Whoever opens the database after an interrupted import builds an index first.
        .busy_timeout(BULK_TIMEOUT)
        // Building an index takes as long as it takes.
        .disable_statement_logging()
        .pragma("cache_size", BULK_CACHE)
        .pragma("wal_autocheckpoint", BULK_CHECKPOINT)
}

/// How long an import waits for another process that writes.
const BULK_TIMEOUT: Duration = Duration::from_mins(10);

/// Memory in which pages are kept, in KiB (a negative number says so): a large batch touches the same pages again
/// and again.
const BULK_CACHE: &str = "-65536";

/// The log is copied into the file after so many pages of 4 KiB: 64 MiB.
const BULK_CHECKPOINT: &str = "16384";

/// Gives the events their cursors. The transaction holds the write lock.
async fn place<'e>(
    connection: &mut SqliteConnection,
    events: &'e [Event],
) -> Result<Placement<'e>> {
    let mut known = Vec::new();
    if let Some((least, greatest)) = id_range(events) {
        // One look tells that a file is new: the ids made from it are neighbours.
        let any = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM viewing_events WHERE event_id BETWEEN ?1 AND ?2)",
        );
        if any.bind(least).bind(greatest).fetch_one(&mut *connection).await? {
            known = events::known(connection, events).await?;
        }
    }
    Ok(Placement::new(events, &known, Cursor(head(connection, events::LOG).await?)))
}

async fn note(
    connection: &mut SqliteConnection,
    import_id: &str,
    progress: &ImportProgress,
    now: Timestamp,
) -> Result<()> {
    let mut query = sqlx::query(concat!(
        "INSERT INTO imports (import_id, ",
        import_columns!(),
        ", updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (import_id) DO UPDATE SET
             file_index = excluded.file_index, file_row = excluded.file_row,
             rows_read = excluded.rows_read, events = excluded.events, duplicates = excluded.duplicates,
             content = excluded.content, created = excluded.created, rejected = excluded.rejected,
             rejects_bytes = excluded.rejects_bytes, finished = excluded.finished,
             updated_at = excluded.updated_at"
    ))
    .bind(import_id);
    for count in counts(progress) {
        query = query.bind(count);
    }
    query.bind(progress.finished).bind(now.as_micros()).execute(connection).await?;
    Ok(())
}
