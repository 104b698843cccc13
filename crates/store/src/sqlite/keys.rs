//! API keys in SQLite.

use async_trait::async_trait;
use sona_domain::{ApiKey, Timestamp};

use super::{SqliteStore, head, set_head};
use crate::error::Result;
use crate::keys::{KeyRow, Keys, LOG};

#[async_trait]
impl Keys for SqliteStore {
    async fn create_key(&self, key: &ApiKey) -> Result<bool> {
        let mut transaction = self.write().await?;
        let created = sqlx::query(
            "INSERT INTO api_keys (key_id, name, scopes, digest, created_at, expires_at, revoked_at,
                 last_used_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (key_id) DO NOTHING",
        )
        .bind(key.key_id.as_str())
        .bind(key.name.as_str())
        .bind(key.scopes.to_string())
        .bind(key.digest.to_vec())
        .bind(key.created_at.as_micros())
        .bind(key.expires_at.map(Timestamp::as_micros))
        .bind(key.revoked_at.map(Timestamp::as_micros))
        .bind(key.last_used_at.map(Timestamp::as_micros))
        .execute(&mut *transaction)
        .await?;
        if created.rows_affected() == 0 {
            return Ok(false);
        }
        let revision = head(&mut transaction, LOG).await? + 1;
        set_head(&mut transaction, LOG, revision).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn keys(&self) -> Result<Vec<ApiKey>> {
        let rows: Vec<KeyRow> = sqlx::query_as(
            "SELECT key_id, name, scopes, digest, created_at, expires_at, revoked_at, last_used_at
             FROM api_keys ORDER BY created_at, key_id",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(KeyRow::read).collect()
    }

    async fn revoke_key(&self, key_id: &str, now: Timestamp) -> Result<bool> {
        let mut transaction = self.write().await?;
        let revoked = sqlx::query(
            "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?2) WHERE key_id = ?1",
        )
        .bind(key_id)
        .bind(now.as_micros())
        .execute(&mut *transaction)
        .await?;
        if revoked.rows_affected() == 0 {
            return Ok(false);
        }
        let revision = head(&mut transaction, LOG).await? + 1;
        set_head(&mut transaction, LOG, revision).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn keys_revision(&self) -> Result<i64> {
        let head = sqlx::query_scalar("SELECT head FROM log_heads WHERE log_name = ?1").bind(LOG);
        Ok(head.fetch_one(&self.readers).await?)
    }

    async fn touch_keys(&self, used: &[(String, Timestamp)]) -> Result<()> {
        let mut transaction = self.write().await?;
        for (key_id, at) in used {
            sqlx::query(
                "UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, ?2), ?2)
                 WHERE key_id = ?1",
            )
            .bind(key_id.as_str())
            .bind(at.as_micros())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
