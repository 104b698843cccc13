//! The embedded database: one file in WAL mode, one connection that writes, a few that read.
//!
//! Other processes may use the same file: whoever finds it locked waits, up to [`BUSY_TIMEOUT`]. Every write is a
//! `BEGIN IMMEDIATE` transaction, so that it holds the write lock before it reads what it decides upon.

mod adapter_changes;
mod adapters;
mod by_user;
mod content;
mod embeddings;
mod events;
mod exposures;
mod imports;
mod jobs;
mod keys;
mod lessons;
mod models;
mod presence;
mod profiles;
mod traces;
mod users;
mod written_users;

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::query::QueryAs;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection, FromRow, Sqlite, SqliteConnection, Transaction};
use tokio::sync::Mutex;

use crate::at_hand::AtHand;
use crate::error::{Error, Result};
use crate::imports::MetUsers;
use crate::{Purpose, Store, error};
use presence::Presence;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long to wait for another process that holds the file's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Memory in which the writer keeps pages, in KiB (a negative number says so): the upper levels and the busy
/// leaves of the indexes of a log of millions.
const WRITER_CACHE: &str = "-65536";

/// How often to wait that long for whoever writes, on opening: building an index takes minutes.
const MIGRATION_ATTEMPTS: u32 = 60;

/// How often to try switching a fresh file to WAL mode, which SQLite refuses at once (without waiting) while
/// another process does the same.
const OPEN_ATTEMPTS: u32 = 100;

/// The SQLite twin of [`Store`].
pub(crate) struct SqliteStore {
    /// One connection; whoever wants to write queues for it.
    writer: SqlitePool,
    /// Connections that refuse to write. In memory there is only the writer.
    readers: SqlitePool,
    /// Of those, some that requests wait for. In memory there are none.
    at_hand: AtHand<Sqlite>,
    /// One connection for imports. In memory it is the writer.
    bulk: SqlitePool,
    /// Of the imports of this process, which take turns.
    met: Mutex<MetUsers>,
    /// The file; none in memory.
    file: Option<DatabaseFile>,
    name: String,
}

/// The file of a database.
struct DatabaseFile {
    path: PathBuf,
    presence: Presence,
    purpose: Purpose,
}

impl SqliteStore {
    /// Opens `sqlite:PATH` (created if missing, and its folder too) or `sqlite::memory:`.
    pub(crate) async fn open(url: &str, purpose: Purpose) -> Result<Self> {
        let path = path_of(url).ok_or_else(|| Error::Url(error::redact(url)))?;
        let name = format!("sqlite:{path}");
        if path == ":memory:" {
            let options: SqliteConnectOptions = "sqlite::memory:".parse()?;
            let writer = open_writer(options, purpose).await?;
            let (readers, bulk) = (writer.clone(), writer.clone());
            let (at_hand, met) = (AtHand::new(readers.clone(), 0), Mutex::default());
            return Ok(Self { writer, readers, at_hand, bulk, met, file: None, name });
        }
        if Path::new(path).is_dir() {
            let detail =
                format!("{path} is a folder; a database is a file, such as {path}/sona.db");
            return Err(Error::Invalid(detail));
        }
        if let Some(folder) = Path::new(path).parent().filter(|folder| *folder != Path::new("")) {
            fs_err::create_dir_all(folder).map_err(sqlx::Error::Io)?;
        }
        let presence = Presence::enter(Path::new(path)).map_err(sqlx::Error::Io)?;
        let file = DatabaseFile { path: path.into(), presence, purpose };
        let options = file_options(path);
        let writer =
            open_writer(options.clone().pragma("cache_size", WRITER_CACHE), purpose).await?;
        let bulk = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .connect_lazy_with(imports::bulk_options(options.clone()));
        let count = available_parallelism().map_or(4, |n| n.get().clamp(2, 8) as u32);
        let readers = SqlitePoolOptions::new()
            .max_connections(count)
            .test_before_acquire(false)
            .connect_lazy_with(options.pragma("query_only", "on"));
        let (at_hand, met) = (AtHand::new(readers.clone(), count), Mutex::default());
        Ok(Self { writer, readers, at_hand, bulk, met, file: Some(file), name })
    }

    /// Begins a transaction that may write; waits for its turn.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// The rows of a statement that requests wait for.
    async fn fetch_at_hand<O>(
        &self,
        query: QueryAs<'_, Sqlite, O, SqliteArguments>,
    ) -> Result<Vec<O>>
    where
        O: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        let mut lent = self.at_hand.lend().await?;
        let rows = query.fetch_all(&mut *lent).await?;
        lent.give_back();
        Ok(rows)
    }
}

/// The path in a `sqlite:` URL. Parameters are refused rather than taken for part of a file name.
fn path_of(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    (!path.is_empty() && !path.contains(['?', '\0'])).then_some(path)
}

fn file_options(path: &str) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged write survives a power cut, not only a crash of this process.
        .synchronous(SqliteSynchronous::Full)
        // What is deleted is overwritten at once: an erased user is not left in the file.
        .pragma("secure_delete", "on")
        // A commit touches pages all over the indexes: many commits share one way into the file.
        .pragma("wal_autocheckpoint", "8192")
        // A long reader lets the log grow; give the space back when it has gone.
        .pragma("journal_size_limit", "67108864")
        .row_buffer_size(512)
}

async fn open_writer(options: SqliteConnectOptions, purpose: Purpose) -> Result<SqlitePool> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        // In memory the connection is the database.
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false);
    let mut attempts = 1;
    let writer = loop {
        match pool.clone().connect_with(options.clone()).await.map_err(Error::from) {
            Ok(writer) => break writer,
            Err(Error::Unavailable(_)) if attempts < OPEN_ATTEMPTS => attempts += 1,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    migrate(&mut *writer.acquire().await?, purpose).await?;
    Ok(writer)
}

/// Brings the schema up to date, all steps or none. The migrator takes no lock on SQLite, so this does: of two
/// processes that open a fresh file together, the second finds the work done.
async fn migrate(connection: &mut SqliteConnection, purpose: Purpose) -> Result<()> {
    wait_for_writer(connection).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    MIGRATIONS.run_direct(None, &mut *transaction, false).await?;
    if purpose == Purpose::Use {
        by_user::build(&mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Waits until nobody writes, and says so if that takes long.
async fn wait_for_writer(connection: &mut SqliteConnection) -> Result<()> {
    let mut attempts = 1;
    loop {
        match connection.begin_with("BEGIN IMMEDIATE").await.map_err(Error::from) {
            Ok(transaction) => return Ok(transaction.rollback().await?),
            Err(Error::Unavailable(error)) if attempts < MIGRATION_ATTEMPTS => {
                tracing::warn!(%error, "waiting for another process that writes to the database");
                attempts += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The next position of a log. The caller holds the write lock.
async fn head(connection: &mut SqliteConnection, log: &'static str) -> Result<i64> {
    let head = sqlx::query_scalar("SELECT head FROM log_heads WHERE log_name = ?1").bind(log);
    Ok(head.fetch_one(connection).await?)
}

async fn set_head(connection: &mut SqliteConnection, log: &'static str, head: i64) -> Result<()> {
    sqlx::query("UPDATE log_heads SET head = ?2 WHERE log_name = ?1")
        .bind(log)
        .bind(head)
        .execute(connection)
        .await?;
    Ok(())
}

#[async_trait]
impl Store for SqliteStore {
    fn describe(&self) -> String {
        self.name.clone()
    }

    async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT head FROM log_heads LIMIT 1").fetch_one(&self.readers).await?;
        Ok(())
    }

    async fn migrations(&self) -> Result<Vec<(i64, String)>> {
        let all = "SELECT version, description FROM _sqlx_migrations ORDER BY version";
        Ok(sqlx::query_as(all).fetch_all(&self.readers).await?)
    }

    async fn close(&self) {
        // Taking the writer waits for the write under way. Failure to checkpoint loses nothing: the log stays.
        if let Ok(mut writer) = self.writer.acquire().await {
            let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *writer);
            if let Err(error) = checkpoint.await {
                tracing::debug!(%error, "no checkpoint on close");
            }
        }
        self.at_hand.close().await;
        self.readers.close().await;
        self.bulk.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_files() {
        let check = |url, expect: Option<&str>| assert_eq!(path_of(url), expect, "{url}");
        check("sqlite:data/sona.db", Some("data/sona.db"));
        check("sqlite:/var/lib/sona.db", Some("/var/lib/sona.db"));
        check("sqlite:///var/lib/sona.db", Some("/var/lib/sona.db"));
        check("sqlite::memory:", Some(":memory:"));
        check("sqlite:sona.db?mode=ro", None);
        check("sqlite:", None);
    }
}
