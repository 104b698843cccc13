//! The shared database: PostgreSQL 15 or newer, used by any number of processes.
//!
//! Statements assume the default isolation level (read committed): whoever decides upon a row locks it first
//! and then reads with a fresh snapshot. Locks are always taken in the same order: log heads, then users, then
//! what belongs to them.

mod adapter_changes;
mod adapters;
mod content;
mod embeddings;
mod events;
mod exposures;
mod imports;
mod jobs;
mod keys;
mod lessons;
mod models;
mod profiles;
mod users;
mod written_users;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::query::QueryAs;
use sqlx::{ConnectOptions, Connection, FromRow, PgConnection, Postgres, Transaction};
use tokio::sync::Mutex;

use crate::at_hand::AtHand;
use crate::error::{Error, Result};
use crate::imports::MetUsers;
use crate::{Store, error};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Most connections one process opens, besides those at hand.
const MAX_CONNECTIONS: u32 = 12;

/// Most connections that are at hand for what requests wait for.
const AT_HAND: u32 = 4;

/// How long to wait for one of them.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The PostgreSQL twin of [`Store`].
pub(crate) struct PostgresStore {
    pool: PgPool,
    at_hand: AtHand<Postgres>,
    /// Of the imports of this process, which take turns.
    met: Mutex<MetUsers>,
    name: String,
}

impl PostgresStore {
    /// Opens `postgres://…`.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url.parse().map_err(|_| Error::Url(error::redact(url)))?;
        migrate(&options).await?;
        let name = describe(&options);
        let pool = PgPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        let at_hand = AtHand::new(pool.clone(), AT_HAND);
        Ok(Self { pool, at_hand, met: Mutex::default(), name })
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        Ok(self.pool.begin().await?)
    }

    /// The rows of a statement that requests wait for and that changes nothing. If the connection was lost, by a server that was
    /// started anew or a network that gave it up, it is asked once more on one that is alive.
    async fn fetch_at_hand<'q, O>(
        &self,
        query: impl Fn() -> QueryAs<'q, Postgres, O, PgArguments> + Send + Sync,
    ) -> Result<Vec<O>>
    where
        O: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut lent = self.at_hand.lend().await?;
        match query().fetch_all(&mut *lent).await.map_err(Error::from) {
            Ok(rows) => {
                lent.give_back();
                Ok(rows)
            }
            Err(Error::Unavailable(error)) => {
                tracing::debug!(%error, "a connection was lost");
                drop(lent);
                Ok(query().fetch_all(&self.pool).await?)
            }
            Err(error) => Err(error),
        }
    }
}

/// Brings the schema up to date. The migrator holds an advisory lock of its session meanwhile, so processes that
/// start together take turns; the session ends here, so the lock cannot outlive a failure.
async fn migrate(options: &PgConnectOptions) -> Result<()> {
    let mut connection = options.connect().await?;
    let migrated = MIGRATIONS.run_direct(None, &mut connection, false).await;
    let closed = connection.close().await;
    migrated?;
    Ok(closed?)
}

fn describe(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let user = options.get_username();
    format!("postgres://{user}@{host}/{}", options.get_database().unwrap_or(user))
}

/// The last position of a log as of now.
async fn head(connection: &mut PgConnection, log: &'static str) -> Result<i64> {
    let head = sqlx::query_scalar("SELECT head FROM log_heads WHERE log_name = $1").bind(log);
    Ok(head.fetch_one(connection).await?)
}

/// The last position of a log; the row stays locked until the transaction ends, so nobody else can give out
/// the next one.
async fn locked_head(connection: &mut PgConnection, log: &'static str) -> Result<i64> {
    let head =
        sqlx::query_scalar("SELECT head FROM log_heads WHERE log_name = $1 FOR UPDATE").bind(log);
    Ok(head.fetch_one(connection).await?)
}

async fn set_head(connection: &mut PgConnection, log: &'static str, head: i64) -> Result<()> {
    sqlx::query("UPDATE log_heads SET head = $2 WHERE log_name = $1")
        .bind(log)
        .bind(head)
        .execute(connection)
        .await?;
    Ok(())
}

#[async_trait]
impl Store for PostgresStore {
    fn describe(&self) -> String {
        self.name.clone()
    }

    async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT head FROM log_heads LIMIT 1").fetch_one(&self.pool).await?;
        Ok(())
    }

    async fn migrations(&self) -> Result<Vec<(i64, String)>> {
        let all = "SELECT version, description FROM _sqlx_migrations ORDER BY version";
        Ok(sqlx::query_as(all).fetch_all(&self.pool).await?)
    }

    async fn close(&self) {
        self.at_hand.close().await;
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_have_no_password() {
        let check = |url: &str, expect: &str| {
            assert_eq!(describe(&url.parse().expect("a URL")), expect);
        };
        check("postgres://sona:secret@db:5433/x?application_name=a", "postgres://sona@db:5433/x");
        check("postgres://sona@%2Frun%2Fpg/x", "postgres://sona@/run/pg/x");
    }
}
