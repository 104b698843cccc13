//! Adapters in PostgreSQL.

use async_trait::async_trait;
use sona_domain::{
    Adapter, AdapterName, AdapterOrigin, AdapterStatistics, NewAdapter, Timestamp, UserId,
};
use sqlx::PgConnection;

use super::{PostgresStore, adapter_changes};
use crate::adapter_changes::AdapterChangeKind;
use crate::adapters::{
    AdapterPosition, AdapterRow, Adapters, Parent, Saved, ServedRow, Standing, checked, count,
    served_columns, statistics,
};
use crate::error::Result;
use crate::row::sql_limit;

/// The statement that selects the columns of an [`AdapterRow`] and goes on with `$rest`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT a.user_id, a.adapter_name, a.version, a.parent_version, a.base_version, a.origin, a.size_bytes,
                 a.training_iterations, a.is_pinned, p.version IS NOT NULL AS is_served, a.created_at, a.updated_at, a.weights
             FROM lora_adapters AS a LEFT JOIN lora_adapter_pointers AS p
                 ON p.user_id = a.user_id AND p.adapter_name = a.adapter_name AND p.version = a.version ",
            $rest
        )
    };
}

#[async_trait]
impl Adapters for PostgresStore {
    async fn save_adapter(
        &self,
        new: &NewAdapter,
        parent: Parent,
        now: Timestamp,
    ) -> Result<Saved> {
        let columns = checked(new)?;
        let mut transaction = self.begin().await?;
        // The name stays locked until the transaction ends; if that is without a commit the number was not given out.
        let Some(version) = next_version(&mut transaction, &new.user_id, &new.adapter_name).await?
        else {
            return Ok(Saved::UnknownUser);
        };
        let standing = standing(&mut transaction, new, parent).await?;
        if let Some(refused) = standing.refuses(parent) {
            return Ok(refused);
        }
        if !parent.admits_number(version) {
            return Ok(Saved::Conflict(standing.served));
        }
        let place = (version, standing.served, now);
        insert(&mut transaction, (new, columns), place).await?;
        // Whoever learns knows what they save; other processes see the events it was learned from.
        if new.origin != AdapterOrigin::Learned {
            note_moved(&mut transaction, &new.user_id, now).await?;
        }
        transaction.commit().await?;
        Ok(Saved::Version(version))
    }

    async fn served_adapter(&self, user: &UserId, name: &AdapterName) -> Result<Option<Adapter>> {
        let query = || {
            sqlx::query_as(concat!(
                "SELECT ",
                served_columns!(),
                " FROM lora_adapters
                 WHERE user_id = $1 AND adapter_name = $2 AND version = (
                     SELECT version FROM lora_adapter_pointers
                     WHERE user_id = $1 AND adapter_name = $2)"
            ))
            .bind(user.as_str())
            .bind(name.as_str())
        };
        let row = self.fetch_at_hand::<ServedRow>(query).await?.pop();
        row.map(|row| row.read(user, name)).transpose()
    }

    async fn adapter(
        &self,
        user: &UserId,
        name: &AdapterName,
        version: i64,
    ) -> Result<Option<Adapter>> {
        let row: Option<AdapterRow> = sqlx::query_as(select!(
            "WHERE a.user_id = $1 AND a.adapter_name = $2 AND a.version = $3"
        ))
        .bind(user.as_str())
        .bind(name.as_str())
        .bind(version)
        .fetch_optional(&self.pool)
        .await?;
        row.map(AdapterRow::read).transpose()
    }

    async fn serve_adapter(
        &self,
        user: &UserId,
        name: &AdapterName,
        expected: Option<i64>,
        version: i64,
        now: Timestamp,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        lock_name(&mut transaction, user, name).await?;
        if served(&mut transaction, user, name).await? != expected {
            return Ok(false);
        }
        let moved = point(&mut transaction, user, name, version, now).await?;
        if moved {
            note_moved(&mut transaction, user, now).await?;
        }
        transaction.commit().await?;
        Ok(moved)
    }

    async fn roll_back_adapter(
        &self,
        user: &UserId,
        name: &AdapterName,
        from: i64,
        now: Timestamp,
    ) -> Result<Option<i64>> {
        let mut transaction = self.begin().await?;
        lock_name(&mut transaction, user, name).await?;
        if served(&mut transaction, user, name).await? != Some(from) {
            return Ok(None);
        }
        let before: Option<i64> = sqlx::query_scalar(
            "SELECT max(version) FROM lora_adapters
             WHERE user_id = $1 AND adapter_name = $2 AND version < $3",
        )
        .bind(user.as_str())
        .bind(name.as_str())
        .bind(from)
        .fetch_one(&mut *transaction)
        .await?;
        if let Some(version) = before {
            point(&mut transaction, user, name, version, now).await?;
            note_moved(&mut transaction, user, now).await?;
        }
        transaction.commit().await?;
        Ok(before)
    }

    async fn pin_adapter(
        &self,
        user: &UserId,
        name: &AdapterName,
        version: i64,
        pinned: bool,
        now: Timestamp,
    ) -> Result<bool> {
        let updated = sqlx::query(
            "UPDATE lora_adapters SET is_pinned = $4, updated_at = $5
             WHERE user_id = $1 AND adapter_name = $2 AND version = $3",
        )
        .bind(user.as_str())
        .bind(name.as_str())
        .bind(version)
        .bind(pinned)
        .bind(now.as_micros())
        .execute(&self.pool)
        .await?;
        Ok(updated.rows_affected() == 1)
    }

    async fn delete_adapter(
        &self,
        user: &UserId,
        name: &AdapterName,
        version: i64,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        lock_name(&mut transaction, user, name).await?;
        let deleted = sqlx::query(
            "DELETE FROM lora_adapters
             WHERE user_id = $1 AND adapter_name = $2 AND version = $3 AND NOT is_pinned AND NOT EXISTS (
                 SELECT 1 FROM lora_adapter_pointers
                 WHERE user_id = $1 AND adapter_name = $2 AND version = $3)",
        )
        .bind(user.as_str())
        .bind(name.as_str())
        .bind(version)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected() == 1)
    }

    async fn delete_adapters_named(
        &self,
        user: &UserId,
        name: &AdapterName,
        now: Timestamp,
    ) -> Result<u64> {
        let mut transaction = self.begin().await?;
        lock_name(&mut transaction, user, name).await?;
        let mut deleted = 0;
        for statement in [
            "DELETE FROM lora_adapter_pointers WHERE user_id = $1 AND adapter_name = $2",
            "DELETE FROM lora_adapters WHERE user_id = $1 AND adapter_name = $2",
        ] {
            let query = sqlx::query(statement).bind(user.as_str()).bind(name.as_str());
            deleted = query.execute(&mut *transaction).await?.rows_affected();
        }
        // Also where nothing was stored: somebody may hold what waits to be.
        note_moved(&mut transaction, user, now).await?;
        transaction.commit().await?;
        Ok(deleted)
    }

    async fn delete_adapters(&self, user: &UserId, now: Timestamp) -> Result<u64> {
        let mut transaction = self.begin().await?;
        let mut deleted = 0;
        for statement in [
            adapter_changes::LOCK_USER,
            LOCK_NAMES,
            "DELETE FROM lora_adapter_pointers WHERE user_id = $1",
            "DELETE FROM lora_adapters WHERE user_id = $1",
        ] {
            let query = sqlx::query(statement).bind(user.as_str());
            deleted = query.execute(&mut *transaction).await?.rows_affected();
        }
        // Also where nothing was stored: somebody may hold what waits to be.
        note_moved(&mut transaction, user, now).await?;
        transaction.commit().await?;
        Ok(deleted)
    }

    async fn retain_adapters(&self, user: &UserId, name: &AdapterName, keep: usize) -> Result<u64> {
        let mut transaction = self.begin().await?;
        lock_name(&mut transaction, user, name).await?;
        let deleted = sqlx::query(
            "DELETE FROM lora_adapters
             WHERE user_id = $1 AND adapter_name = $2 AND NOT is_pinned
                 AND version NOT IN (SELECT version FROM lora_adapter_pointers
                     WHERE user_id = $1 AND adapter_name = $2)
                 AND version NOT IN (SELECT version FROM lora_adapters
                     WHERE user_id = $1 AND adapter_name = $2 ORDER BY version DESC LIMIT $3)",
        )
        .bind(user.as_str())
        .bind(name.as_str())
        .bind(sql_limit(keep))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected())
    }

    async fn adapters(
        &self,
        user: &UserId,
        name: Option<&AdapterName>,
        after: Option<&AdapterPosition>,
        limit: usize,
    ) -> Result<Vec<Adapter>> {
        let rows: Vec<AdapterRow> = sqlx::query_as(select!(
            "WHERE a.user_id = $1 AND ($2::TEXT IS NULL OR a.adapter_name = $2)
                 AND ($3::BIGINT IS NULL OR (a.created_at, a.adapter_name, a.version) < ($3, $4::TEXT, $5::BIGINT))
             ORDER BY a.created_at DESC, a.adapter_name DESC, a.version DESC LIMIT $6"
        ))
        .bind(user.as_str())
        .bind(name.map(AdapterName::as_str))
        .bind(after.map(|after| after.created_at.as_micros()))
        .bind(after.map(|after| after.adapter_name.as_str()))
        .bind(after.map(|after| after.version))
        .bind(sql_limit(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(AdapterRow::read).collect()
    }

    async fn count_adapters(&self, user: &UserId, name: Option<&AdapterName>) -> Result<u64> {
        let rows: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM lora_adapters
             WHERE user_id = $1 AND ($2::TEXT IS NULL OR adapter_name = $2)",
        )
        .bind(user.as_str())
        .bind(name.map(AdapterName::as_str))
        .fetch_one(&self.pool)
        .await?;
        count(rows)
    }

    async fn adapter_statistics(&self) -> Result<AdapterStatistics> {
        let row = sqlx::query_as(
            "SELECT count(*), count(DISTINCT user_id), coalesce(sum(size_bytes), 0)::BIGINT FROM lora_adapters",
        )
        .fetch_one(&self.pool)
        .await?;
        statistics(row)
    }
}

/// Holds all names of a user, in one order for everybody.
pub(super) const LOCK_NAMES: &str = "SELECT adapter_name FROM lora_adapter_names WHERE user_id = $1
     ORDER BY adapter_name FOR UPDATE";

/// Holds a name, if there is one, until the transaction ends: the pointer cannot move to a version that is being deleted, and
/// nobody saves or moves it meanwhile.
async fn lock_name(connection: &mut PgConnection, user: &UserId, name: &AdapterName) -> Result<()> {
    sqlx::query(
        "SELECT last_version FROM lora_adapter_names WHERE user_id = $1 AND adapter_name = $2 FOR UPDATE",
    )
    .bind(user.as_str())
    .bind(name.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// The version that is served. The caller holds the name.
async fn served(
    connection: &mut PgConnection,
    user: &UserId,
    name: &AdapterName,
) -> Result<Option<i64>> {
    let version = sqlx::query_scalar(
        "SELECT version FROM lora_adapter_pointers WHERE user_id = $1 AND adapter_name = $2",
    )
    .bind(user.as_str())
    .bind(name.as_str())
    .fetch_optional(connection)
    .await?;
    Ok(version)
}

/// How it is as the transaction sees it. The caller holds the user and the name.
async fn standing(
    connection: &mut PgConnection,
    new: &NewAdapter,
    parent: Parent,
) -> Result<Standing> {
    let found = sqlx::query_as(
        "SELECT EXISTS (SELECT 1 FROM users WHERE user_id = $1) AS is_known,
             EXISTS (SELECT 1 FROM lora_opt_outs WHERE user_id = $1) AS has_opted_out,
             (SELECT version FROM lora_adapter_pointers
              WHERE user_id = $1 AND adapter_name = $2) AS served,
             EXISTS (SELECT 1 FROM lora_adapter_changes
                     WHERE user_id = $1 AND sequence > $3) AS is_changed",
    )
    .bind(new.user_id.as_str())
    .bind(new.adapter_name.as_str())
    .bind(parent.since())
    .fetch_one(connection)
    .await?;
    Ok(found)
}

/// Writes a version and serves it.
async fn insert(
    connection: &mut PgConnection,
    (new, (size, iterations)): (&NewAdapter, (i64, i64)),
    (version, parent, now): (i64, Option<i64>, Timestamp),
) -> Result<()> {
    sqlx::query(
        "WITH saved AS (
             INSERT INTO lora_adapters (user_id, adapter_name, version, parent_version, base_version, weights,
                 size_bytes, training_iterations, created_at, updated_at, origin)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)
             RETURNING user_id, adapter_name, version)
         INSERT INTO lora_adapter_pointers (user_id, adapter_name, version, updated_at)
         SELECT user_id, adapter_name, version, $9 FROM saved
         ON CONFLICT (user_id, adapter_name) DO UPDATE
         SET version = excluded.version, updated_at = excluded.updated_at",
    )
    .bind(new.user_id.as_str())
    .bind(new.adapter_name.as_str())
    .bind(version)
    .bind(parent)
    .bind(new.base_version)
    .bind(new.weights.as_slice())
    .bind(size)
    .bind(iterations)
    .bind(now.as_micros())
    .bind(new.origin.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// Holds a user and gives out a name's next number; `None` if there is no such user. Whoever is being removed is waited for,
/// and then not there.
async fn next_version(
    connection: &mut PgConnection,
    user: &UserId,
    name: &AdapterName,
) -> Result<Option<i64>> {
    let version = sqlx::query_scalar(
        "WITH known AS (SELECT user_id FROM users WHERE user_id = $1 FOR KEY SHARE)
         INSERT INTO lora_adapter_names (user_id, adapter_name, last_version)
         SELECT user_id, $2, 1 FROM known
         ON CONFLICT (user_id, adapter_name) DO UPDATE SET last_version = lora_adapter_names.last_version + 1
         RETURNING last_version",
    )
    .bind(user.as_str())
    .bind(name.as_str())
    .fetch_optional(connection)
    .await?;
    Ok(version)
}

/// Serves a version; `false` if there is no such version.
async fn point(
    connection: &mut PgConnection,
    user: &UserId,
    name: &AdapterName,
    version: i64,
    now: Timestamp,
) -> Result<bool> {
    let moved = sqlx::query(
        "INSERT INTO lora_adapter_pointers (user_id, adapter_name, version, updated_at)
         SELECT user_id, adapter_name, version, $4 FROM lora_adapters
         WHERE user_id = $1 AND adapter_name = $2 AND version = $3
         ON CONFLICT (user_id, adapter_name) DO UPDATE
         SET version = excluded.version, updated_at = excluded.updated_at",
    )
    .bind(user.as_str())
    .bind(name.as_str())
    .bind(version)
    .bind(now.as_micros())
    .execute(connection)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Tells other processes that another version of a user's is served, or none.
async fn note_moved(connection: &mut PgConnection, user: &UserId, now: Timestamp) -> Result<()> {
    adapter_changes::note(connection, user, AdapterChangeKind::Adapter, now).await
}
