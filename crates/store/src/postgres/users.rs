//! Users in PostgreSQL.

use std::collections::HashSet;

use async_trait::async_trait;
use sona_domain::{FileTraces, Timestamp, UserId};

use super::{PostgresStore, adapters, events, exposures, locked_head, set_head};
use crate::error::{Error, Result};
use crate::row::sql_limit;
use crate::users::{RemovalRow, RemovedUser, UserRemoval, Users, digest, ids};

pub(super) const LOG: &str = "user_removals";

#[async_trait]
impl Users for PostgresStore {
    async fn user_created_at(&self, user: &UserId) -> Result<Option<Timestamp>> {
        let at: Option<i64> = sqlx::query_scalar("SELECT created_at FROM users WHERE user_id = $1")
            .bind(user.as_str())
            .fetch_optional(&self.pool)
            .await?;
        Ok(at.map(Timestamp::from_micros))
    }

    async fn known_users(&self, users: &[UserId]) -> Result<HashSet<UserId>> {
        let found = sqlx::query_scalar("SELECT user_id FROM users WHERE user_id = ANY ($1)")
            .bind(users.iter().map(UserId::as_str).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await?;
        ids(found)
    }

    async fn count_users(&self) -> Result<u64> {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&self.pool).await?;
        u64::try_from(count).map_err(Error::corrupt("users"))
    }

    async fn remove_user(&self, user: &UserId, now: Timestamp) -> Result<Option<RemovedUser>> {
        let mut transaction = self.begin().await?;
        // No event of the user may be appended, no profile written, between the deletions below.
        locked_head(&mut transaction, events::LOG).await?;
        // Nor may a list shown to the user be written from here on without the removal being seen.
        let sequence = locked_head(&mut transaction, LOG).await? + 1;
        sqlx::query("SELECT user_id FROM users WHERE user_id = $1 FOR UPDATE")
            .bind(user.as_str())
            .execute(&mut *transaction)
            .await?;
        let names = sqlx::query(adapters::LOCK_NAMES).bind(user.as_str());
        names.execute(&mut *transaction).await?;
        let mut removed = [0; 10];
        let statements = [
            "DELETE FROM viewing_events WHERE user_id = $1",
            "DELETE FROM profiles WHERE user_id = $1",
            "DELETE FROM written_users WHERE user_id = $1",
            "DELETE FROM embeddings WHERE entity_type = 'user' AND entity_id = $1",
            "DELETE FROM exposures WHERE user_id = $1",
            "DELETE FROM lora_adapter_pointers WHERE user_id = $1",
            "DELETE FROM lora_adapters WHERE user_id = $1",
            "DELETE FROM lora_opt_outs WHERE user_id = $1",
            "UPDATE lora_adapter_changes SET user_id = NULL WHERE user_id = $1",
            "DELETE FROM users WHERE user_id = $1",
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
        sqlx::query(
            "INSERT INTO user_removals (sequence, user_digest, removed_at) VALUES ($1, $2, $3)",
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

    async fn scrub(&self, _: &UserId) -> Result<FileTraces> {
        // Few dead rows would be left in the indexes, keys and all, unless told otherwise.
        sqlx::raw_sql(
            "VACUUM (INDEX_CLEANUP ON) viewing_events, profiles, written_users, embeddings, exposures,
                 lora_adapter_pointers, lora_adapters, lora_adapter_names, lora_adapter_changes,
                 lora_opt_outs, users",
        )
        .execute(&self.pool)
        .await?;
        Ok(FileTraces::Vacuumed)
    }

    async fn removals_after(&self, sequence: i64, limit: usize) -> Result<Vec<UserRemoval>> {
        let rows: Vec<RemovalRow> = sqlx::query_as(
            "SELECT sequence, user_digest FROM user_removals
             WHERE sequence > $1 ORDER BY sequence LIMIT $2",
        )
        .bind(sequence)
        .bind(sql_limit(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(RemovalRow::read).collect()
    }
}
