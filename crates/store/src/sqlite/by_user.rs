//! The index of events by user. Into an empty log an import writes without it and builds it at its end: entries that
//! come sorted take a small part of the time that entries all over a large index take.
//!
//! The events and the index's absence are committed together, and so are its presence and the end of the import.
//! Whoever opens the database for anything but an import builds the index first if it is not there, and nobody leaves
//! it out while another process has the database open. So nobody is ever without it who wants to look up histories.

use sqlx::SqliteConnection;

use super::{events, head};
use crate::error::Result;

/// In KiB, a negative number.
const SORTED: i64 = -4096;

/// Leaves the index out if the log is empty. The caller holds the write lock, and nobody else has the database open.
pub(super) async fn leave_out(connection: &mut SqliteConnection) -> Result<()> {
    if head(connection, events::LOG).await? == 0 {
        sqlx::query("DROP INDEX IF EXISTS viewing_events_by_user").execute(connection).await?;
    }
    Ok(())
}

/// Builds the index if it is not there. The caller holds the write lock.
pub(super) async fn build(connection: &mut SqliteConnection) -> Result<()> {
    let is_there =
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'viewing_events_by_user')";
    if sqlx::query_scalar(is_there).fetch_one(&mut *connection).await? {
        return Ok(());
    }
    tracing::info!("building the index of events by user");
    // How much is sorted at once before it is merged: what the processor's own memory holds is sorted twice as fast
    // as 64 MiB. A second thread would save a tenth of the time and cost half as much processor time again.
    let before = sqlx::query_scalar("PRAGMA cache_size").fetch_one(&mut *connection).await?;
    set_cache(connection, SORTED).await?;
    let statement = "CREATE INDEX viewing_events_by_user ON viewing_events (user_id, cursor)";
    let built = sqlx::query(statement).execute(&mut *connection).await;
    set_cache(connection, before).await?;
    built?;
    Ok(())
}

async fn set_cache(connection: &mut SqliteConnection, size: i64) -> Result<()> {
    let statement = sqlx::AssertSqlSafe(format!("PRAGMA cache_size = {size}"));
    sqlx::query(statement).execute(connection).await?;
    Ok(())
}
