//! Bulk imports in SQLite.

use async_trait::async_trait;
use sona_domain::Timestamp;
use sqlx::SqliteConnection;

use super::{SqliteStore, content, events};
use crate::error::Result;
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
        let mut progress = batch.progress;
        self.prepare_for_bulk().await?;
        let mut transaction = self.write().await?;
        progress.content += content::put_all(&mut transaction, batch.content, now).await?;
        progress.created += content::add_missing(&mut transaction, batch.stand_ins, now).await?;
        let placed = events::append(&mut transaction, batch.events, now).await?;
        progress.events += placed.fresh.len() as u64;
        progress.duplicates += (batch.events.len() - placed.fresh.len()) as u64;
        note(&mut transaction, batch.import_id, &progress, now).await?;
        transaction.commit().await?;
        Ok(progress)
    }
}

impl SqliteStore {
    /// Lets the writing connection keep the inner pages of all indexes in memory, and copies the write-ahead log into
    /// the file less often: a large batch touches the same pages again and again. Changes no promise of durability.
    async fn prepare_for_bulk(&self) -> Result<()> {
        let mut writer = self.writer.acquire().await?;
        sqlx::query(BULK_CACHE).execute(&mut *writer).await?;
        sqlx::query(BULK_CHECKPOINT).execute(&mut *writer).await?;
        Ok(())
    }
}

/// 96 MiB.
const BULK_CACHE: &str = "PRAGMA cache_size = -98304";

/// After 64 MiB of pages of 4 KiB.
const BULK_CHECKPOINT: &str = "PRAGMA wal_autocheckpoint = 16384";

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
