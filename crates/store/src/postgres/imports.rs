//! Bulk imports in PostgreSQL.

use async_trait::async_trait;
use sona_domain::{Cursor, Event, Timestamp};
use sqlx::PgConnection;

use super::{PostgresStore, content, events, head, locked_head, users};
use crate::error::Result;
use crate::events::{Placement, id_range};
use crate::imports::{ImportBatch, ImportProgress, ImportRow, Imports, counts, import_columns};

#[async_trait]
impl Imports for PostgresStore {
    async fn import_progress(&self, import_id: &str) -> Result<Option<ImportProgress>> {
        let row: Option<ImportRow> = sqlx::query_as(concat!(
            "SELECT ",
            import_columns!(),
            " FROM imports WHERE import_id = $1"
        ))
        .bind(import_id)
        .fetch_optional(&self.pool)
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
        let mut transaction = self.begin().await?;
        // Locks in the order of all writers: the heads of the catalogue and of the event log, then users.
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
        note(&mut transaction, batch.import_id, &progress, now).await?;
        transaction.commit().await?;
        met.add(&new);
        Ok(progress)
    }
}

/// Gives the events their cursors. From here on the transaction holds the log's head, and no user is removed.
async fn place<'e>(connection: &mut PgConnection, events: &'e [Event]) -> Result<Placement<'e>> {
    let head = Cursor(locked_head(connection, events::LOG).await?);
    let mut known = Vec::new();
    if let Some((least, greatest)) = id_range(events) {
        // One look tells that a file is new: the ids made from it are neighbours.
        let any = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM viewing_events WHERE event_id BETWEEN $1 AND $2)",
        );
        if any.bind(least).bind(greatest).fetch_one(&mut *connection).await? {
            known = events::known(connection, events).await?;
        }
    }
    Ok(Placement::new(events, &known, head))
}

async fn note(
    connection: &mut PgConnection,
    import_id: &str,
    progress: &ImportProgress,
    now: Timestamp,
) -> Result<()> {
    let mut query = sqlx::query(concat!(
        "INSERT INTO imports (import_id, ",
        import_columns!(),
        ", updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
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
