//! The event log in PostgreSQL.

use std::fmt::Write;

use async_trait::async_trait;
use sona_domain::{Cursor, Event, LoggedEvent, RecommendationId, Timestamp, UserId};
use sqlx::PgConnection;

use super::{PostgresStore, head, locked_head, set_head};
use crate::error::Result;
use crate::events::{
    AppendOutcome, EventRow, Events, HistoryRow, Placement, check, context_text, event_columns,
};
use crate::row::sql_limit;

pub(super) const LOG: &str = "viewing_events";

/// From so many events on they are sent as `COPY`, which the server takes in faster than rows of a statement.
const COPIED: usize = 1_000;

/// Bytes of `COPY` sent at once.
const COPY_BYTES: usize = 1 << 20;

#[async_trait]
impl Events for PostgresStore {
    async fn append(&self, events: &[Event], now: Timestamp) -> Result<Vec<AppendOutcome>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        check(events)?;
        let mut transaction = self.begin().await?;
        let placed = append(&mut transaction, events, now).await?;
        if !placed.fresh.is_empty() {
            transaction.commit().await?;
        }
        Ok(placed.outcomes)
    }

    async fn head(&self) -> Result<Cursor> {
        Ok(Cursor(head(&mut *self.pool.acquire().await?, LOG).await?))
    }

    async fn after(&self, cursor: Cursor, limit: usize) -> Result<Vec<LoggedEvent>> {
        let rows = sqlx::query_as(concat!(
            "SELECT ",
            event_columns!(),
            " FROM viewing_events WHERE cursor > $1 ORDER BY cursor LIMIT $2"
        ))
        .bind(cursor.0)
        .bind(sql_limit(limit))
        .fetch_all(&self.pool)
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
             WHERE timestamp >= $1 AND cursor > CASE WHEN $2 > 0 THEN $2
                   ELSE (SELECT min(block) * 4096 - 1 FROM event_blocks WHERE latest >= $1) END
             ORDER BY cursor LIMIT $3"
        ))
        .bind(since.as_micros())
        .bind(cursor.0)
        .bind(sql_limit(limit))
        .fetch_all(&self.pool)
        .await?;
        EventRow::read_all(rows)
    }

    async fn histories(&self, users: &[UserId]) -> Result<Vec<Vec<LoggedEvent>>> {
        let asked: Vec<_> = users.iter().map(UserId::as_str).collect();
        let query = || {
            sqlx::query_as(concat!(
                "SELECT place - 1 AS place, ",
                event_columns!(),
                " FROM unnest($1) WITH ORDINALITY AS asked (asked_id, place)
                 JOIN viewing_events ON user_id = asked_id ORDER BY place, cursor"
            ))
            .bind(&asked)
        };
        let rows = self.fetch_at_hand(query).await?;
        HistoryRow::read_all(rows, users.len())
    }
}

/// Appends within a transaction, which holds the log's head from here on.
async fn append<'e>(
    connection: &mut PgConnection,
    events: &'e [Event],
    now: Timestamp,
) -> Result<Placement<'e>> {
    // The lock first: what is known is read after everyone before has committed.
    let head = Cursor(locked_head(connection, LOG).await?);
    let known = known(connection, events).await?;
    let placed = Placement::new(events, &known, head);
    if !placed.fresh.is_empty() {
        add_users(connection, &placed.users(), now).await?;
        write(connection, &placed).await?;
    }
    Ok(placed)
}

/// Which ids of the events are in the log already.
pub(super) async fn known(connection: &mut PgConnection, events: &[Event]) -> Result<Vec<String>> {
    let ids: Vec<_> = events.iter().map(|event| event.event_id.as_str()).collect();
    let known = sqlx::query_scalar("SELECT event_id FROM viewing_events WHERE event_id = ANY ($1)");
    Ok(known.bind(ids).fetch_all(connection).await?)
}

/// Creates the users that are not there yet.
pub(super) async fn add_users(
    connection: &mut PgConnection,
    users: &[&str],
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO users (user_id, created_at) SELECT user_id, $2 FROM unnest($1) AS user_id
         ON CONFLICT (user_id) DO NOTHING",
    )
    .bind(users)
    .bind(now.as_micros())
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes events whose users are there.
pub(super) async fn write(connection: &mut PgConnection, placed: &Placement<'_>) -> Result<()> {
    if placed.fresh.len() < COPIED {
        insert(connection, &placed.fresh).await?;
    } else {
        copy(connection, &placed.fresh).await?;
    }
    let (blocks, latest): (Vec<_>, Vec<_>) = placed.blocks().into_iter().unzip();
    sqlx::query(
        "INSERT INTO event_blocks (block, latest) SELECT * FROM unnest($1, $2)
         ON CONFLICT (block) DO UPDATE SET latest = greatest(event_blocks.latest, excluded.latest)",
    )
    .bind(blocks)
    .bind(latest)
    .execute(&mut *connection)
    .await?;
    set_head(connection, LOG, placed.head.0).await
}

async fn insert(connection: &mut PgConnection, events: &[(Cursor, &Event)]) -> Result<()> {
    fn column<'e, T>(events: &'e [(Cursor, &'e Event)], value: impl Fn(&'e Event) -> T) -> Vec<T> {
        events.iter().map(|(_, event)| value(event)).collect()
    }
    let cursors: Vec<_> = events.iter().map(|(cursor, _)| cursor.0).collect();
    sqlx::query(concat!(
        "INSERT INTO viewing_events (",
        event_columns!(),
        ") SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    ))
    .bind(cursors)
    .bind(column(events, |event| event.event_id.as_str()))
    .bind(column(events, |event| event.user_id.as_str()))
    .bind(column(events, |event| event.content_id.as_str()))
    .bind(column(events, |event| event.event_type.as_str()))
    .bind(column(events, |event| event.completion_rate))
    .bind(column(events, |event| event.rating))
    .bind(column(events, |event| event.is_rewatch))
    .bind(column(events, |event| event.dismissed))
    .bind(column(events, context_text))
    .bind(column(events, |event| event.recommendation_id.as_ref().map(RecommendationId::as_str)))
    .bind(column(events, |event| event.timestamp.as_micros()))
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes events through `COPY`, in its text format.
async fn copy(connection: &mut PgConnection, events: &[(Cursor, &Event)]) -> Result<()> {
    let statement = concat!("COPY viewing_events (", event_columns!(), ") FROM STDIN");
    let mut copy = connection.copy_in_raw(statement).await?;
    let mut text = String::with_capacity(COPY_BYTES + 8192);
    for (cursor, event) in events {
        copy_line(&mut text, *cursor, event);
        if text.len() >= COPY_BYTES {
            copy.send(text.as_bytes()).await?;
            text.clear();
        }
    }
    copy.send(text.as_bytes()).await?;
    copy.finish().await?;
    Ok(())
}

/// One line of `COPY`: cells between tabs, `\N` for what is absent.
fn copy_line(text: &mut String, cursor: Cursor, event: &Event) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{}\t", cursor.0);
    for id in [
        event.event_id.as_str(),
        event.user_id.as_str(),
        event.content_id.as_str(),
        event.event_type.as_str(),
    ] {
        copy_text(text, id);
        text.push('\t');
    }
    for number in [event.completion_rate, event.rating] {
        let _ = match number {
            Some(number) => write!(text, "{number}\t"),
            None => write!(text, "\\N\t"),
        };
    }
    let _ = write!(text, "{}\t{}\t", event.is_rewatch, event.dismissed);
    let quoted = event.recommendation_id.as_ref().map(RecommendationId::as_str);
    for cell in [context_text(event).as_deref(), quoted] {
        match cell {
            Some(cell) => copy_text(text, cell),
            None => text.push_str("\\N"),
        }
        text.push('\t');
    }
    let _ = writeln!(text, "{}", event.timestamp.as_micros());
}

/// A text with what `COPY` gives a meaning written as `COPY` wants it.
fn copy_text(out: &mut String, text: &str) {
    if !text.contains(['\\', '\t', '\n', '\r']) {
        return out.push_str(text);
    }
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            other => out.push(other),
        }
    }
}
