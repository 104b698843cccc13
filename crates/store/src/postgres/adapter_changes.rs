//! What is done to adapters from outside, in PostgreSQL.

use async_trait::async_trait;
use sona_domain::{Timestamp, UserId};
use sqlx::PgConnection;

use super::{PostgresStore, adapters, head, locked_head, set_head};
use crate::adapter_changes::{
    AdapterChange, AdapterChangeKind, AdapterChanges, ChangeRow, KEPT, LOG, users,
};
use crate::error::Result;
use crate::row::sql_limit;

/// Waits for those who are saving an adapter of a user: they hold the row until they are done, and whoever comes later sees what
/// was done meanwhile.
pub(super) const LOCK_USER: &str = "SELECT 1 FROM users WHERE user_id = $1 FOR UPDATE";

#[async_trait]
impl AdapterChanges for PostgresStore {
    async fn adapter_changes_head(&self) -> Result<i64> {
        head(&mut *self.pool.acquire().await?, LOG).await
    }

    async fn adapter_changes_after(
        &self,
        sequence: i64,
        limit: usize,
    ) -> Result<Vec<AdapterChange>> {
        let rows: Vec<ChangeRow> = sqlx::query_as(
            "SELECT sequence, user_id, change FROM lora_adapter_changes
             WHERE sequence > $1 ORDER BY sequence LIMIT $2",
        )
        .bind(sequence)
        .bind(sql_limit(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(ChangeRow::read).collect()
    }

    async fn opt_out_of_adapters(&self, user: &UserId, now: Timestamp) -> Result<u64> {
        let mut transaction = self.begin().await?;
        sqlx::query(LOCK_USER).bind(user.as_str()).execute(&mut *transaction).await?;
        let added = sqlx::query(
            "INSERT INTO lora_opt_outs (user_id, opted_out_at) VALUES ($1, $2)
             ON CONFLICT (user_id) DO NOTHING",
        )
        .bind(user.as_str())
        .bind(now.as_micros())
        .execute(&mut *transaction)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(0);
        }
        let mut deleted = 0;
        for statement in [
            adapters::LOCK_NAMES,
            "DELETE FROM lora_adapter_pointers WHERE user_id = $1",
            "DELETE FROM lora_adapters WHERE user_id = $1",
        ] {
            let query = sqlx::query(statement).bind(user.as_str());
            deleted = query.execute(&mut *transaction).await?.rows_affected();
        }
        note(&mut transaction, user, AdapterChangeKind::OptedOut, now).await?;
        transaction.commit().await?;
        Ok(deleted)
    }

    async fn opt_in_to_adapters(&self, user: &UserId, now: Timestamp) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let deleted = sqlx::query("DELETE FROM lora_opt_outs WHERE user_id = $1")
            .bind(user.as_str())
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        note(&mut transaction, user, AdapterChangeKind::OptedIn, now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn opted_out_at(&self, user: &UserId) -> Result<Option<Timestamp>> {
        let at: Option<i64> =
            sqlx::query_scalar("SELECT opted_out_at FROM lora_opt_outs WHERE user_id = $1")
                .bind(user.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(at.map(Timestamp::from_micros))
    }

    async fn opted_out_after(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<UserId>> {
        // Every id is after the empty text.
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT user_id FROM lora_opt_outs WHERE user_id > $1 ORDER BY user_id LIMIT $2",
        )
        .bind(after.map_or("", UserId::as_str))
        .bind(sql_limit(limit))
        .fetch_all(&self.pool)
        .await?;
        users(ids)
    }
}

/// Adds an entry to the feed. The feed's head stays locked until the transaction ends: this comes last in it.
pub(super) async fn note(
    connection: &mut PgConnection,
    user: &UserId,
    kind: AdapterChangeKind,
    now: Timestamp,
) -> Result<()> {
    let sequence = locked_head(connection, LOG).await? + 1;
    sqlx::query(
        "INSERT INTO lora_adapter_changes (sequence, user_id, change, changed_at)
         VALUES ($1, $2, $3, $4)",
    )
    .bind(sequence)
    .bind(user.as_str())
    .bind(kind.as_str())
    .bind(now.as_micros())
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM lora_adapter_changes WHERE sequence <= $1")
        .bind(sequence - KEPT)
        .execute(&mut *connection)
        .await?;
    set_head(connection, LOG, sequence).await
}
