//! The event log in SQLite.

use std::sync::LazyLock;

use async_trait::async_trait;
use sona_domain::{Cursor, Event, LoggedEvent, Timestamp, UserId};
use sqlx::SqliteConnection;

use super::{SqliteStore, head, set_head};
use crate::error::Result;
use crate::events::{
    AppendOutcome, EventRow, Events, HistoryRow, Placement, check, context_text, event_columns,
};
use crate::row::{json_text, sql_limit};

const LOG: &str = "viewing_events";

/// Events written by one statement, while that many are left: a statement costs two thread switches.
const CHUNK: usize = 64;

static INSERT_CHUNK: LazyLock<String> = LazyLock::new(|| insert_statement(CHUNK));
static INSERT_ONE: LazyLock<String> = LazyLock::new(|| insert_statement(1));

fn insert_statement(rows: usize) -> String {
    let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let columns = event_columns!();
    format!("INSERT INTO viewing_events ({columns}) VALUES {}", vec![row; rows].join(", "))
}

#[async_trait]
impl Events for SqliteStore {
    async fn append(&self, events: &[Event], now: Timestamp) -> Result<Vec<AppendOutcome>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        check(events)?;
        let mut transaction = self.write().await?;
        let placed = append(&mut transaction, events, now).await?;
        if !placed.fresh.is_empty() {
            transaction.commit().await?;
        }
        Ok(placed.outcomes)
    }

    async fn head(&self) -> Result<Cursor> {
        Ok(Cursor(head(&mut *self.readers.acquire().await?, LOG).await?))
    }

    async fn after(&self, cursor: Cursor, limit: usize) -> Result<Vec<LoggedEvent>> {
        let rows = sqlx::query_as(concat!(
            "SELECT ",
            event_columns!(),
            " FROM viewing_events WHERE cursor > ?1 ORDER BY cursor LIMIT ?2"
        ))
        .bind(cursor.0)
        .bind(sql_limit(limit))
        .fetch_all(&self.readers)
        .await?;
        EventRow::read_all(rows)
    }

    async fn since(
        &self,
        since: Timestamp,
        cursor: Cursor,
        limit: usize,
    ) -> Result<Vec<LoggedEvent>> {
        // From the start of the log the index on time finds the first event of the window; further pages walk
        // the log. `+` keeps either part from using the other's index.
        let rows = sqlx::query_as(concat!(
            "SELECT ",
            event_columns!(),
            " FROM viewing_events
             WHERE +timestamp >= ?1 AND cursor > CASE WHEN ?2 > 0 THEN ?2
                   ELSE (SELECT min(+cursor) - 1 FROM viewing_events WHERE timestamp >= ?1) END
             ORDER BY cursor LIMIT ?3"
        ))
        .bind(since.as_micros())
        .bind(cursor.0)
        .bind(sql_limit(limit))
        .fetch_all(&self.readers)
        .await?;
        EventRow::read_all(rows)
    }

    async fn histories(&self, users: &[UserId]) -> Result<Vec<Vec<LoggedEvent>>> {
        let rows = sqlx::query_as(concat!(
            "SELECT key AS place, ",
            event_columns!(),
            " FROM json_each(?1) CROSS JOIN viewing_events ON user_id = value ORDER BY key, cursor"
        ))
        .bind(json_text(users))
        .fetch_all(&self.readers)
        .await?;
        HistoryRow::read_all(rows, users.len())
    }
}

/// Appends within a transaction, which holds the write lock.
pub(super) async fn append<'e>(
    connection: &mut SqliteConnection,
    events: &'e [Event],
    now: Timestamp,
) -> Result<Placement<'e>> {
    let ids: Vec<_> = events.iter().map(|event| event.event_id.as_str()).collect();
    let known: Vec<String> = sqlx::query_scalar(
        "SELECT event_id FROM viewing_events WHERE event_id IN (SELECT value FROM json_each(?1))",
    )
    .bind(json_text(&ids))
    .fetch_all(&mut *connection)
    .await?;
    let placed = Placement::new(events, &known, Cursor(head(connection, LOG).await?));
    if placed.fresh.is_empty() {
        return Ok(placed);
    }
    sqlx::query(
        "INSERT INTO users (user_id, created_at) SELECT value, ?2 FROM json_each(?1) WHERE TRUE
         ON CONFLICT (user_id) DO NOTHING",
    )
    .bind(json_text(&placed.users()))
    .bind(now.as_micros())
    .execute(&mut *connection)
    .await?;
    insert(connection, &placed.fresh).await?;
    set_head(connection, LOG, placed.head.0).await?;
    Ok(placed)
}

async fn insert(connection: &mut SqliteConnection, events: &[(Cursor, &Event)]) -> Result<()> {
    let (chunks, rest) = events.as_chunks::<CHUNK>();
    for chunk in chunks {
        insert_with(&INSERT_CHUNK, connection, chunk).await?;
    }
    for event in rest {
        insert_with(&INSERT_ONE, connection, std::slice::from_ref(event)).await?;
    }
    Ok(())
}

/// Runs `statement`, which takes exactly as many events as there are.
async fn insert_with(
    statement: &'static str,
    connection: &mut SqliteConnection,
    events: &[(Cursor, &Event)],
) -> Result<()> {
    let mut query = sqlx::query(statement);
    for (cursor, event) in events {
        query = query
            .bind(cursor.0)
            .bind(event.event_id.as_str())
            .bind(event.user_id.as_str())
            .bind(event.content_id.as_str())
            .bind(event.event_type.as_str())
            .bind(event.completion_rate)
            .bind(event.rating)
            .bind(event.is_rewatch)
            .bind(event.dismissed)
            .bind(context_text(event))
            .bind(event.timestamp.as_micros());
    }
    query.execute(connection).await?;
    Ok(())
}
