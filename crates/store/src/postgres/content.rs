//! The catalogue in PostgreSQL.

use async_trait::async_trait;
use sona_domain::{Content, ContentId, Timestamp};
use sqlx::PgConnection;

use super::{PostgresStore, locked_head, set_head};
use crate::content::{
    Catalogue, ContentChange, ContentRow, Revision, check, last_of_each, missing,
};
use crate::error::Result;
use crate::row::{json_text, sql_limit};

pub(super) const LOG: &str = "content";

/// Entries written by one statement, so that a large import is not one enormous message.
const CHUNK: usize = 1000;

/// The columns a [`ContentRow`] is read from.
macro_rules! columns {
    () => {
        "content_id, content_type, title, original_title, overview, year, runtime_minutes, popularity,
         genres::TEXT, themes::TEXT, moods::TEXT, credits::TEXT, available_from, available_until, hidden,
         deleted, revision"
    };
}

#[async_trait]
impl Catalogue for PostgresStore {
    async fn insert_content(&self, content: &Content, now: Timestamp) -> Result<Option<Revision>> {
        check(content)?;
        let mut transaction = self.begin().await?;
        let revision = locked_head(&mut transaction, LOG).await? + 1;
        let taken: Option<i64> = sqlx::query_scalar(
            "SELECT revision FROM content WHERE content_id = $1 AND NOT deleted",
        )
        .bind(content.content_id.as_str())
        .fetch_optional(&mut *transaction)
        .await?;
        if taken.is_some() {
            return Ok(None);
        }
        put(&mut transaction, &[content], revision, now).await?;
        set_head(&mut transaction, LOG, revision).await?;
        transaction.commit().await?;
        Ok(Some(Revision(revision)))
    }

    async fn put_content(&self, content: &[Content], now: Timestamp) -> Result<Revision> {
        content.iter().try_for_each(check)?;
        let mut transaction = self.begin().await?;
        put_all(&mut transaction, content, now).await?;
        let revision = locked_head(&mut transaction, LOG).await?;
        transaction.commit().await?;
        Ok(Revision(revision))
    }

    async fn content(&self, id: &ContentId) -> Result<Option<Content>> {
        let row: Option<ContentRow> =
            sqlx::query_as(concat!("SELECT ", columns!(), " FROM content WHERE content_id = $1"))
                .bind(id.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.map(ContentRow::read).transpose()?.and_then(|change| change.content))
    }

    async fn delete_content(&self, id: &ContentId, now: Timestamp) -> Result<Option<Revision>> {
        let mut transaction = self.begin().await?;
        let revision = locked_head(&mut transaction, LOG).await? + 1;
        let deleted = sqlx::query(
            "UPDATE content SET deleted = TRUE, hidden = FALSE, revision = $2, updated_at = $3,
                 content_type = NULL, title = NULL, original_title = NULL, overview = NULL, year = NULL,
                 runtime_minutes = NULL, popularity = NULL, genres = NULL, themes = NULL, moods = NULL,
                 credits = NULL, available_from = NULL, available_until = NULL
             WHERE content_id = $1 AND NOT deleted",
        )
        .bind(id.as_str())
        .bind(revision)
        .bind(now.as_micros())
        .execute(&mut *transaction)
        .await?;
        if deleted.rows_affected() == 0 {
            return Ok(None);
        }
        sqlx::query("DELETE FROM embeddings WHERE entity_type = 'content' AND entity_id = $1")
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await?;
        set_head(&mut transaction, LOG, revision).await?;
        transaction.commit().await?;
        Ok(Some(Revision(revision)))
    }

    async fn content_after(&self, revision: Revision, limit: usize) -> Result<Vec<ContentChange>> {
        let rows: Vec<ContentRow> = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM content WHERE revision > $1 ORDER BY revision LIMIT $2"
        ))
        .bind(revision.0)
        .bind(sql_limit(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(ContentRow::read).collect()
    }
}

/// Writes entries, of those with the same id the last, and answers how many.
pub(super) async fn put_all(
    connection: &mut PgConnection,
    content: &[Content],
    now: Timestamp,
) -> Result<u64> {
    if content.is_empty() {
        return Ok(0);
    }
    let head = locked_head(connection, LOG).await?;
    write(connection, &last_of_each(content), head, now).await
}

/// Writes those entries whose ids the catalogue does not have, and answers how many.
pub(super) async fn add_missing(
    connection: &mut PgConnection,
    content: &[Content],
    now: Timestamp,
) -> Result<u64> {
    if content.is_empty() {
        return Ok(0);
    }
    // The lock first: what is taken is read after everyone before has committed.
    let head = locked_head(connection, LOG).await?;
    let ids: Vec<_> = content.iter().map(|entry| entry.content_id.as_str()).collect();
    let taken: Vec<String> = sqlx::query_scalar(
        "SELECT content_id FROM content WHERE content_id = ANY ($1) AND NOT deleted",
    )
    .bind(ids)
    .fetch_all(&mut *connection)
    .await?;
    write(connection, &missing(content, &taken), head, now).await
}

/// Writes entries, whose ids are distinct, after `head`, which the caller holds.
async fn write(
    connection: &mut PgConnection,
    entries: &[&Content],
    head: i64,
    now: Timestamp,
) -> Result<u64> {
    let mut revision = head;
    for chunk in entries.chunks(CHUNK) {
        put(connection, chunk, revision + 1, now).await?;
        revision += chunk.len() as i64;
    }
    set_head(connection, LOG, revision).await?;
    Ok(entries.len() as u64)
}

/// Writes entries, whose ids are distinct, over what is there, which may be tombstones. The first gets
/// `first_revision`.
async fn put(
    connection: &mut PgConnection,
    content: &[&Content],
    first_revision: i64,
    now: Timestamp,
) -> Result<()> {
    fn column<'c, T>(content: &[&'c Content], value: impl Fn(&'c Content) -> T) -> Vec<T> {
        content.iter().map(|entry| value(entry)).collect()
    }
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_micros);
    sqlx::query(UPSERT)
        .bind(column(content, |entry| entry.content_id.as_str()))
        .bind(column(content, |entry| entry.content_type.as_str()))
        .bind(column(content, |entry| entry.title.as_str()))
        .bind(column(content, |entry| entry.original_title.as_deref()))
        .bind(column(content, |entry| entry.overview.as_deref()))
        .bind(column(content, |entry| entry.year.map(i32::from)))
        .bind(column(content, |entry| entry.runtime_minutes.map(i64::from)))
        .bind(column(content, |entry| entry.popularity))
        .bind(column(content, |entry| json_text(&entry.genres)))
        .bind(column(content, |entry| json_text(&entry.themes)))
        .bind(column(content, |entry| json_text(&entry.moods)))
        .bind(column(content, |entry| json_text(&entry.credits)))
        .bind(column(content, |entry| micros(entry.available_from)))
        .bind(column(content, |entry| micros(entry.available_until)))
        .bind(column(content, |entry| entry.hidden))
        .bind(first_revision)
        .bind(now.as_micros())
        .execute(connection)
        .await?;
    Ok(())
}

const UPSERT: &str = "INSERT INTO content (content_id, content_type, title, original_title, overview, year,
     runtime_minutes, popularity, genres, themes, moods, credits, available_from, available_until, hidden,
     revision, created_at, updated_at)
 SELECT content_id, content_type, title, original_title, overview, year, runtime_minutes, popularity,
     genres::JSONB, themes::JSONB, moods::JSONB, credits::JSONB, available_from, available_until, hidden,
     $16 + place - 1, $17, $17
 FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) WITH ORDINALITY AS given (
     content_id, content_type, title, original_title, overview, year, runtime_minutes, popularity, genres,
     themes, moods, credits, available_from, available_until, hidden, place)
 ON CONFLICT (content_id) DO UPDATE SET
     content_type = excluded.content_type, title = excluded.title,
     original_title = excluded.original_title, overview = excluded.overview,
     year = excluded.year, runtime_minutes = excluded.runtime_minutes,
     popularity = excluded.popularity, genres = excluded.genres, themes = excluded.themes,
     moods = excluded.moods, credits = excluded.credits,
     available_from = excluded.available_from, available_until = excluded.available_until,
     hidden = excluded.hidden, revision = excluded.revision, deleted = FALSE,
     created_at = CASE WHEN content.deleted THEN excluded.created_at ELSE content.created_at END,
     updated_at = excluded.updated_at";
