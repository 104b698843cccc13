//! The event log in SQLite.

use std::sync::LazyLock;

use async_trait::async_trait;
use sona_domain::{Cursor, Event, LoggedEvent, RecommendationId, Timestamp, UserId};
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqliteConnection};

use super::{SqliteStore, head, set_head};
use crate::error::Result;
use crate::events::{
    AppendOutcome, EventRow, Events, HistoryRow, Placement, check, context_text, event_columns,
};
use crate::row::{json_text, sql_limit};

pub(super) const LOG: &str = "viewing_events";

/// How many events a statement writes, most first: a statement costs two thread switches.
const CHUNKS: [usize; 3] = [256, 16, 1];

static INSERTS: LazyLock<[(usize, String); 3]> =
    LazyLock::new(|| CHUNKS.map(|rows| (rows, insert_statement(rows))));

fn insert_statement(rows: usize) -> String {
    let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let columns = event_columns!();
    // Whoever appends gives the whole transaction up if a row fails; undoing one statement would cost copies of pages.
    format!("INSERT OR FAIL INTO viewing_events ({columns}) VALUES {}", vec![row; rows].join(", "))
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
        // From the start of the log the blocks tell where the window can begin; further pages walk the log.
        let rows = sqlx::query_as(concat!(
            "SELECT ",
            event_columns!(),
            " FROM viewing_events
             WHERE timestamp >= ?1 AND cursor > CASE WHEN ?2 > 0 THEN ?2
                   ELSE (SELECT min(block) * 4096 - 1 FROM event_blocks WHERE latest >= ?1) END
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
        let query = sqlx::query_as(concat!(
            "SELECT key AS place, ",
            event_columns!(),
            " FROM json_each(?1) CROSS JOIN viewing_events ON user_id = value ORDER BY key, cursor"
        ));
        let rows = self.fetch_at_hand(query.bind(json_text(users))).await?;
        HistoryRow::read_all(rows, users.len())
    }
}

/// Appends within a transaction, which holds the write lock.
async fn append<'e>(
    connection: &mut SqliteConnection,
    events: &'e [Event],
    now: Timestamp,
) -> Result<Placement<'e>> {
    let known = known(connection, events).await?;
    let placed = Placement::new(events, &known, Cursor(head(connection, LOG).await?));
    if !placed.fresh.is_empty() {
        add_users(connection, &placed.users(), now).await?;
        write(connection, &placed).await?;
    }
    Ok(placed)
}

/// Which ids of the events are in the log already.
pub(super) async fn known(
    connection: &mut SqliteConnection,
    events: &[Event],
) -> Result<Vec<String>> {
    let ids: Vec<_> = events.iter().map(|event| event.event_id.as_str()).collect();
    let known = sqlx::query_scalar(
        "SELECT event_id FROM viewing_events WHERE event_id IN (SELECT value FROM json_each(?1))",
    );
    Ok(known.bind(json_text(&ids)).fetch_all(connection).await?)
}

/// Creates the users that are not there yet.
pub(super) async fn add_users(
    connection: &mut SqliteConnection,
    users: &[&str],
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO users (user_id, created_at) SELECT value, ?2 FROM json_each(?1) WHERE TRUE
         ON CONFLICT (user_id) DO NOTHING",
    )
    .bind(json_text(users))
    .bind(now.as_micros())
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes events whose users are there.
pub(super) async fn write(connection: &mut SqliteConnection, placed: &Placement<'_>) -> Result<()> {
    insert(connection, &placed.fresh).await?;
    sqlx::query(
        "INSERT INTO event_blocks (block, latest)
         SELECT value ->> 0, value ->> 1 FROM json_each(?1) WHERE TRUE
         ON CONFLICT (block) DO UPDATE SET latest = max(latest, excluded.latest)",
    )
    .bind(json_text(&placed.blocks()))
    .execute(&mut *connection)
    .await?;
    set_head(connection, LOG, placed.head.0).await
}

async fn insert(connection: &mut SqliteConnection, mut events: &[(Cursor, &Event)]) -> Result<()> {
    let mut next = next_insert(&mut events);
    while let Some((statement, arguments)) = next {
        let query = sqlx::query_with(statement, arguments.map_err(sqlx::Error::Encode)?);
        // SQLite has a thread of its own: while it writes, the next arguments are made.
        let encode = async { next_insert(&mut events) };
        let (executed, encoded) = tokio::join!(query.execute(&mut *connection), encode);
        executed?;
        next = encoded;
    }
    Ok(())
}

/// Takes as many events as one statement writes.
fn next_insert(
    events: &mut &[(Cursor, &Event)],
) -> Option<(&'static str, Result<SqliteArguments, BoxDynError>)> {
    let (rows, statement) = INSERTS.iter().find(|(rows, _)| *rows <= events.len())?;
    let (chunk, rest) = events.split_at(*rows);
    *events = rest;
    Some((statement, encode(chunk)))
}

fn encode(events: &[(Cursor, &Event)]) -> Result<SqliteArguments, BoxDynError> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(events.len() * 12, 0);
    for (cursor, event) in events {
        arguments.add(cursor.0)?;
        arguments.add(event.event_id.as_str())?;
        arguments.add(event.user_id.as_str())?;
        arguments.add(event.content_id.as_str())?;
        arguments.add(event.event_type.as_str())?;
        arguments.add(event.completion_rate)?;
        arguments.add(event.rating)?;
        arguments.add(event.is_rewatch)?;
        arguments.add(event.dismissed)?;
        arguments.add(context_text(event))?;
        arguments.add(event.recommendation_id.as_ref().map(RecommendationId::as_str))?;
        arguments.add(event.timestamp.as_micros())?;
    }
    Ok(arguments)
}
