//! The catalogue in SQLite.

use async_trait::async_trait;
use sona_domain::{Content, ContentId, Timestamp};
use sqlx::SqliteConnection;

use super::{SqliteStore, head, set_head};
use crate::content::{
    Catalogue, ContentChange, ContentRow, Revision, check, last_of_each, missing,
};
use crate::error::Result;
use crate::row::{json_text, sql_limit};

const LOG: &str = "content";

/// The columns a [`ContentRow`] is read from.
macro_rules! columns {
    () => {
        "content_id, content_type, title, original_title, overview, year, runtime_minutes, popularity,
         genres, themes, moods, credits, available_from, available_until, hidden, deleted, revision"
    };
}

#[async_trait]
impl Catalogue for SqliteStore {
    async fn insert_content(&self, content: &Content, now: Timestamp) -> Result<Option<Revision>> {
        check(content)?;
        let mut transaction = self.write().await?;
        let taken: Option<i64> = sqlx::query_scalar(
            "SELECT revision FROM content WHERE content_id = ?1 AND NOT deleted",
        )
        .bind(content.content_id.as_str())
        .fetch_optional(&mut *transaction)
        .await?;
        if taken.is_some() {
            return Ok(None);
        }
        let revision = head(&mut transaction, LOG).await? + 1;
        put(&mut transaction, content, revision, now).await?;
        set_head(&mut transaction, LOG, revision).await?;
        transaction.commit().await?;
        Ok(Some(Revision(revision)))
    }

    async fn put_content(&self, content: &[Content], now: Timestamp) -> Result<Revision> {
        content.iter().try_for_each(check)?;
        let mut transaction = self.write().await?;
        if !content.is_empty() {
            put_all(&mut transaction, content, now).await?;
        }
        let revision = head(&mut transaction, LOG).await?;
        transaction.commit().await?;
        Ok(Revision(revision))
    }

    async fn content(&self, id: &ContentId) -> Result<Option<Content>> {
        let row: Option<ContentRow> =
            sqlx::query_as(concat!("SELECT ", columns!(), " FROM content WHERE content_id = ?1"))
                .bind(id.as_str())
                .fetch_optional(&self.readers)
                .await?;
        Ok(row.map(ContentRow::read).transpose()?.and_then(|change| change.content))
    }

    async fn delete_content(&self, id: &ContentId, now: Timestamp) -> Result<Option<Revision>> {
        let mut transaction = self.write().await?;
        let revision = head(&mut transaction, LOG).await? + 1;
        let deleted = sqlx::query(
            "UPDATE content SET deleted = TRUE, hidden = FALSE, revision = ?2, updated_at = ?3,
                 content_type = NULL, title = NULL, original_title = NULL, overview = NULL, year = NULL,
                 runtime_minutes = NULL, popularity = NULL, genres = NULL, themes = NULL, moods = NULL,
                 credits = NULL, available_from = NULL, available_until = NULL
             WHERE content_id = ?1 AND NOT deleted",
        )
        .bind(id.as_str())
        .bind(revision)
        .bind(now.as_micros())
        .execute(&mut *transaction)
        .await?;
        if deleted.rows_affected() == 0 {
            return Ok(None);
        }
        sqlx::query("DELETE FROM embeddings WHERE entity_type = 'content' AND entity_id = ?1")
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
            " FROM content WHERE revision > ?1 ORDER BY revision LIMIT ?2"
        ))
        .bind(revision.0)
        .bind(sql_limit(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(ContentRow::read).collect()
    }
}

/// Writes entries, of those with the same id the last, and answers how many. The transaction holds the write lock.
pub(super) async fn put_all(
    connection: &mut SqliteConnection,
    content: &[Content],
    now: Timestamp,
) -> Result<u64> {
    write(connection, &last_of_each(content), now).await
}

/// Writes those entries whose ids the catalogue does not have, and answers how many.
pub(super) async fn add_missing(
    connection: &mut SqliteConnection,
    content: &[Content],
    now: Timestamp,
) -> Result<u64> {
    if content.is_empty() {
        return Ok(0);
    }
    let ids: Vec<_> = content.iter().map(|entry| entry.content_id.as_str()).collect();
    let taken: Vec<String> = sqlx::query_scalar(
        "SELECT content_id FROM content
         WHERE content_id IN (SELECT value FROM json_each(?1)) AND NOT deleted",
    )
    .bind(json_text(&ids))
    .fetch_all(&mut *connection)
    .await?;
    write(connection, &missing(content, &taken), now).await
}

async fn write(
    connection: &mut SqliteConnection,
    entries: &[&Content],
    now: Timestamp,
) -> Result<u64> {
    if entries.is_empty() {
        return Ok(0);
    }
    let mut revision = head(connection, LOG).await?;
    for entry in entries {
        revision += 1;
        put(connection, entry, revision, now).await?;
    }
    set_head(connection, LOG, revision).await?;
    Ok(entries.len() as u64)
}

/// Writes an entry over what is there, which may be its tombstone.
async fn put(
    connection: &mut SqliteConnection,
    content: &Content,
    revision: i64,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO content (content_id, content_type, title, original_title, overview, year,
             runtime_minutes, popularity, genres, themes, moods, credits, available_from, available_until,
             hidden, revision, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?17)
         ON CONFLICT (content_id) DO UPDATE SET
             content_type = excluded.content_type, title = excluded.title,
             original_title = excluded.original_title, overview = excluded.overview,
             year = excluded.year, runtime_minutes = excluded.runtime_minutes,
             popularity = excluded.popularity, genres = excluded.genres, themes = excluded.themes,
             moods = excluded.moods, credits = excluded.credits,
             available_from = excluded.available_from, available_until = excluded.available_until,
             hidden = excluded.hidden, revision = excluded.revision, deleted = FALSE,
             created_at = CASE WHEN deleted THEN excluded.created_at ELSE created_at END,
             updated_at = excluded.updated_at",
    )
    .bind(content.content_id.as_str())
    .bind(content.content_type.as_str())
    .bind(content.title.as_str())
    .bind(content.original_title.as_deref())
    .bind(content.overview.as_deref())
    .bind(content.year)
    .bind(content.runtime_minutes)
    .bind(content.popularity)
    .bind(json_text(&content.genres))
    .bind(json_text(&content.themes))
    .bind(json_text(&content.moods))
    .bind(json_text(&content.credits))
    .bind(content.available_from.map(Timestamp::as_micros))
    .bind(content.available_until.map(Timestamp::as_micros))
    .bind(content.hidden)
    .bind(revision)
    .bind(now.as_micros())
    .execute(connection)
    .await?;
    Ok(())
}
