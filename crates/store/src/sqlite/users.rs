//! Users in SQLite.

use std::collections::HashSet;

use async_trait::async_trait;
use sona_domain::{FileTraces, Timestamp, UserId};

use super::{SqliteStore, exposures, head, set_head, traces};
use crate::error::{Error, Result};
use crate::row::{json_text, sql_limit};
use crate::users::{RemovalRow, RemovedUser, UserRemoval, Users, digest, ids};

pub(super) const LOG: &str = "user_removals";

#[async_trait]
impl Users for SqliteStore {
    async fn user_created_at(&self, user: &UserId) -> Result<Option<Timestamp>> {
        let at: Option<i64> = sqlx::query_scalar("SELECT created_at FROM users WHERE user_id = ?1")
            .bind(user.as_str())
            .fetch_optional(&self.readers)
            .await?;
        Ok(at.map(Timestamp::from_micros))
    }

    async fn known_users(&self, users: &[UserId]) -> Result<HashSet<UserId>> {
        let found = sqlx::query_scalar(
            "SELECT user_id FROM json_each(?1) CROSS JOIN users ON user_id = value",
        )
        .bind(json_text(users))
        .fetch_all(&self.readers)
        .await?;
        ids(found)
    }

    async fn count_users(&self) -> Result<u64> {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&self.readers).await?;
        u64::try_from(count).map_err(Error::corrupt("users"))
    }

    async fn remove_user(&self, user: &UserId, now: Timestamp) -> Result<Option<RemovedUser>> {
        let mut transaction = self.write().await?;
        let mut removed = [0; 10];
        let statements = [
            "DELETE FROM viewing_events WHERE user_id = ?1",
            "DELETE FROM profiles WHERE user_id = ?1",
            "DELETE FROM written_users WHERE user_id = ?1",
            "DELETE FROM embeddings WHERE entity_type = 'user' AND entity_id = ?1",
            "DELETE FROM exposures WHERE user_id = ?1",
            "DELETE FROM lora_adapter_pointers WHERE user_id = ?1",
            "DELETE FROM lora_adapters WHERE user_id = ?1",
            "DELETE FROM lora_opt_outs WHERE user_id = ?1",
            "UPDATE lora_adapter_changes SET user_id = NULL WHERE user_id = ?1",
            "DELETE FROM users WHERE user_id = ?1",
        ];
        for (statement, removed) in statements.into_iter().zip(&mut removed) {
            let query = sqlx::query(statement).bind(user.as_str());
            *removed = query.execute(&mut *transaction).await?.rows_affected();
        }
        let [events, profiles, attributes, embeddings, removed_exposures, ..] = removed;
        let [.., adapters, opt_outs, _, users] = removed;
        exposures::hold_back(&mut transaction, user, now).await?;
        if users == 0 && removed_exposures == 0 && opt_outs == 0 {
            transaction.commit().await?;
            return Ok(None);
        }
        let sequence = head(&mut transaction, LOG).await? + 1;
        sqlx::query(
            "INSERT INTO user_removals (sequence, user_digest, removed_at) VALUES (?1, ?2, ?3)",
        )
        .bind(sequence)
        .bind(digest(user).to_vec())
        .bind(now.as_micros())
        .execute(&mut *transaction)
        .await?;
        set_head(&mut transaction, LOG, sequence).await?;
        transaction.commit().await?;
        Ok(Some(RemovedUser {
            sequence,
            events,
            profiles,
            attributes,
            embeddings,
            exposures: removed_exposures,
            adapters,
        }))
    }

    async fn scrub(&self, user: &UserId) -> Result<FileTraces> {
        let Some(path) = self.file.as_ref().map(|file| file.path.clone()) else {
            return Ok(FileTraces::None);
        };
        if !traces::empty_log(&mut *self.writer.acquire().await?).await? {
            return Ok(FileTraces::Remain);
        }
        let id = user.clone();
        let found = tokio::task::spawn_blocking(move || traces::in_free_space(&path, id.as_str()))
            .await
            .map_err(|panic| sqlx::Error::Io(panic.into()))?;
        if found.map_err(sqlx::Error::Io)? {
            let mut writer = self.writer.acquire().await?;
            sqlx::query("VACUUM").execute(&mut *writer).await?;
            if !traces::empty_log(&mut writer).await? {
                return Ok(FileTraces::Remain);
            }
        }
        Ok(FileTraces::None)
    }

    async fn removals_after(&self, sequence: i64, limit: usize) -> Result<Vec<UserRemoval>> {
        let rows: Vec<RemovalRow> = sqlx::query_as(
            "SELECT sequence, user_digest FROM user_removals
             WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        )
        .bind(sequence)
        .bind(sql_limit(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(RemovalRow::read).collect()
    }
}
