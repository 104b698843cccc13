//! Users as they were written, in SQLite.

use async_trait::async_trait;
use sona_domain::{Timestamp, UserAttributes, UserId};
use sqlx::SqliteConnection;

use super::{SqliteStore, events, head, set_head};
use crate::error::Result;
use crate::row::{json_text, sql_limit};
use crate::written_users::{
    Columns, LOG, UserWrite, WriteRow, WrittenRow, WrittenUser, WrittenUsers, last_of_each,
};

#[async_trait]
impl WrittenUsers for SqliteStore {
    async fn put_users(&self, users: &[(UserId, UserAttributes)], now: Timestamp) -> Result<()> {
        if users.is_empty() {
            return Ok(());
        }
        let users = last_of_each(users);
        let ids: Vec<_> = users.keys().map(|id| id.as_str()).collect();
        let rows: Vec<_> = users.iter().map(|(id, user)| Columns::new(id, user)).collect();
        let mut transaction = self.write().await?;
        events::add_users(&mut transaction, &ids, now).await?;
        let last = head(&mut transaction, LOG).await?;
        sqlx::query(
            "INSERT INTO written_users (user_id, age_range, region, genres, sequence)
             SELECT value ->> 'user_id', value ->> 'age_range', value ->> 'region', value ->> 'genres',
                 ?2 + key + 1
             FROM json_each(?1) WHERE TRUE
             ON CONFLICT (user_id) DO UPDATE SET
                 age_range = excluded.age_range, region = excluded.region,
                 genres = excluded.genres, sequence = excluded.sequence",
        )
        .bind(json_text(&rows))
        .bind(last)
        .execute(&mut *transaction)
        .await?;
        set_head(&mut transaction, LOG, last + rows.len() as i64).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn written_users(
        &self,
        model: Option<&str>,
        users: &[UserId],
    ) -> Result<Vec<WrittenUser>> {
        let query = sqlx::query_as(
            "SELECT written.user_id, sequence, age_range, region, genres, vector
             FROM json_each(?2) CROSS JOIN written_users AS written ON written.user_id = value
             LEFT JOIN embeddings
                 ON model_name = ?1 AND entity_type = 'user' AND entity_id = written.user_id",
        )
        .bind(model)
        .bind(json_text(users));
        let rows: Vec<WrittenRow> = self.fetch_at_hand(query).await?;
        rows.into_iter().map(WrittenRow::read).collect()
    }

    async fn user_writes_head(&self) -> Result<i64> {
        head(&mut *self.readers.acquire().await?, LOG).await
    }

    async fn user_writes_after(&self, sequence: i64, limit: usize) -> Result<Vec<UserWrite>> {
        let rows: Vec<WriteRow> = sqlx::query_as(
            "SELECT sequence, user_id FROM written_users
             WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        )
        .bind(sequence)
        .bind(sql_limit(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(WriteRow::read).collect()
    }
}

/// Notes that vectors of `users` were written; of one who is not there none was. The caller holds the write lock.
pub(super) async fn note_vectors(connection: &mut SqliteConnection, users: &[&str]) -> Result<()> {
    let last = head(connection, LOG).await?;
    sqlx::query(
        "INSERT INTO written_users (user_id, sequence)
         SELECT user_id, ?2 + key + 1 FROM json_each(?1) CROSS JOIN users ON user_id = value
         WHERE TRUE ON CONFLICT (user_id) DO UPDATE SET sequence = excluded.sequence",
    )
    .bind(json_text(users))
    .bind(last)
    .execute(&mut *connection)
    .await?;
    set_head(connection, LOG, last + users.len() as i64).await
}

/// Notes that all vectors `model` has of users are about to go. The caller holds the write lock.
pub(super) async fn note_deletion(connection: &mut SqliteConnection, model: &str) -> Result<()> {
    let last = head(connection, LOG).await?;
    let noted = sqlx::query(
        "INSERT INTO written_users (user_id, sequence)
         SELECT entity_id, ?2 + row_number() OVER (ORDER BY entity_id) FROM embeddings
         WHERE model_name = ?1 AND entity_type = 'user'
         ON CONFLICT (user_id) DO UPDATE SET sequence = excluded.sequence",
    )
    .bind(model)
    .bind(last)
    .execute(&mut *connection)
    .await?;
    set_head(connection, LOG, last + noted.rows_affected() as i64).await
}
