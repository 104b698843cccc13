//! Users as they were written, in PostgreSQL.

use async_trait::async_trait;
use sona_domain::{Timestamp, UserAttributes, UserId};
use sqlx::PgConnection;

use super::{PostgresStore, events, head, locked_head, set_head, users};
use crate::error::Result;
use crate::row::sql_limit;
use crate::written_users::{
    Columns, LOG, UserWrite, WriteRow, WrittenRow, WrittenUser, WrittenUsers, last_of_each,
};

#[async_trait]
impl WrittenUsers for PostgresStore {
    async fn put_users(&self, users: &[(UserId, UserAttributes)], now: Timestamp) -> Result<()> {
        if users.is_empty() {
            return Ok(());
        }
        let users = last_of_each(users);
        let ids: Vec<_> = users.keys().map(|id| id.as_str()).collect();
        let rows: Vec<_> = users.iter().map(|(id, user)| Columns::new(id, user)).collect();
        let mut transaction = self.begin().await?;
        // Nobody is removed between being added and being described.
        sqlx::query("SELECT head FROM log_heads WHERE log_name = $1 FOR SHARE")
            .bind(users::LOG)
            .execute(&mut *transaction)
            .await?;
        let last = locked_head(&mut transaction, LOG).await?;
        events::add_users(&mut transaction, &ids, now).await?;
        sqlx::query(
            "INSERT INTO written_users (user_id, age_range, region, genres, sequence)
             SELECT user_id, age_range, region, genres, $5 + place
             FROM unnest($1, $2, $3, $4)
                 WITH ORDINALITY AS given (user_id, age_range, region, genres, place)
             ON CONFLICT (user_id) DO UPDATE SET
                 age_range = excluded.age_range, region = excluded.region,
                 genres = excluded.genres, sequence = excluded.sequence",
        )
        .bind(ids)
        .bind(rows.iter().map(|row| row.age_range).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.region.as_deref()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.genres.as_str()).collect::<Vec<_>>())
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
        let asked: Vec<_> = users.iter().map(UserId::as_str).collect();
        let query = || {
            sqlx::query_as(
                "SELECT written.user_id, sequence, age_range, region, genres, vector
                 FROM written_users AS written
                 LEFT JOIN embeddings
                     ON model_name = $1 AND entity_type = 'user' AND entity_id = written.user_id
                 WHERE written.user_id = ANY ($2)",
            )
            .bind(model)
            .bind(&asked)
        };
        let rows: Vec<WrittenRow> = self.fetch_at_hand(query).await?;
        rows.into_iter().map(WrittenRow::read).collect()
    }

    async fn user_writes_head(&self) -> Result<i64> {
        head(&mut *self.pool.acquire().await?, LOG).await
    }

    async fn user_writes_after(&self, sequence: i64, limit: usize) -> Result<Vec<UserWrite>> {
        let rows: Vec<WriteRow> = sqlx::query_as(
            "SELECT sequence, user_id FROM written_users
             WHERE sequence > $1 ORDER BY sequence LIMIT $2",
        )
        .bind(sequence)
        .bind(sql_limit(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(WriteRow::read).collect()
    }
}

/// Notes that vectors of `users` were written, who are locked against removal; of one who is not there none was. The caller
/// has locked the head ([`locked_head`]) before the users, at `last`.
pub(super) async fn note_vectors(
    connection: &mut PgConnection,
    users: &[&str],
    last: i64,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO written_users (user_id, sequence)
         SELECT users.user_id, $2 + place
         FROM unnest($1) WITH ORDINALITY AS given (user_id, place)
         JOIN users ON users.user_id = given.user_id ORDER BY place
         ON CONFLICT (user_id) DO UPDATE SET sequence = excluded.sequence",
    )
    .bind(users)
    .bind(last)
    .execute(&mut *connection)
    .await?;
    set_head(connection, LOG, last + users.len() as i64).await
}

/// Notes that all vectors `model` has of users are about to go; whoever is being removed is waited for.
pub(super) async fn note_deletion(connection: &mut PgConnection, model: &str) -> Result<()> {
    let last = locked_head(connection, LOG).await?;
    let noted = sqlx::query(
        "WITH present AS MATERIALIZED (
             SELECT user_id FROM users
             WHERE user_id IN (
                 SELECT entity_id FROM embeddings WHERE model_name = $1 AND entity_type = 'user')
             ORDER BY user_id FOR KEY SHARE)
         INSERT INTO written_users (user_id, sequence)
         SELECT user_id, $2 + row_number() OVER (ORDER BY user_id) FROM present
         ON CONFLICT (user_id) DO UPDATE SET sequence = excluded.sequence",
    )
    .bind(model)
    .bind(last)
    .execute(&mut *connection)
    .await?;
    set_head(connection, LOG, last + noted.rows_affected() as i64).await
}
