//! Databases for tests, each its own and gone when dropped: a SQLite file in a temporary folder, or a schema of
//! the PostgreSQL server that `TEST_POSTGRES_URL` names (`scripts/postgres start` makes one).

use std::env;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

/// Names the PostgreSQL server for tests.
pub const SERVER: &str = "TEST_POSTGRES_URL";

/// The two kinds of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

impl Backend {
    /// True if this backend can be tested here; says so if not. Where `CI` is set, every backend must be
    /// there: a missing one panics.
    pub fn is_available(self) -> bool {
        match self {
            Self::Sqlite => true,
            Self::Postgres if env::var_os(SERVER).is_some() => true,
            Self::Postgres => {
                assert!(env::var_os("CI").is_none(), "CI must test PostgreSQL too: set {SERVER}");
                eprintln!("skipped: {SERVER} not set");
                false
            }
        }
    }
}

/// The backends that can be tested here.
pub fn backends() -> Vec<Backend> {
    [Backend::Sqlite, Backend::Postgres].into_iter().filter(|b| b.is_available()).collect()
}

/// An empty database; what is in it is removed with it.
#[derive(Debug)]
pub struct TestDatabase {
    /// How to open it.
    pub url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder { _folder: TempDir },
    Schema { server: String, name: String },
}

impl TestDatabase {
    /// Makes one. The backend must be available.
    pub async fn new(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let url = format!("sqlite:{}", folder.path().join("test.db").display());
                Self { url, place: Place::Folder { _folder: folder } }
            }
            Backend::Postgres => {
                let server = env::var(SERVER).expect("TEST_POSTGRES_URL names a server");
                let name = create_schema(&server).await.expect("the test server makes a schema");
                let separator = if server.contains('?') { '&' } else { '?' };
                let url = format!("{server}{separator}options=-csearch_path%3D{name}");
                Self { url, place: Place::Schema { server, name } }
            }
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Place::Schema { server, name } = &self.place else { return };
        let (server, name) = (server.clone(), name.clone());
        // A thread of its own: the test's runtime may be the one that drops this.
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(sqlx::Error::Io)?
                .block_on(drop_schema(&server, &name))
        })
        .join();
        if !matches!(dropped, Ok(Ok(()))) {
            eprintln!("the test schema could not be dropped: {dropped:?}");
        }
    }
}

/// Makes a schema under a name the server makes up, so that any number of test processes can share it.
async fn create_schema(server: &str) -> Result<String, sqlx::Error> {
    let mut connection = PgConnection::connect(server).await?;
    let name: String =
        sqlx::query_scalar("SELECT 'sona_test_' || replace(gen_random_uuid()::TEXT, '-', '')")
            .fetch_one(&mut connection)
            .await?;
    sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA {name}"))).execute(&mut connection).await?;
    connection.close().await?;
    Ok(name)
}

async fn drop_schema(server: &str, name: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(server).await?;
    // A test that failed may have left a transaction open.
    sqlx::query("SET lock_timeout = '5s'").execute(&mut connection).await?;
    sqlx::raw_sql("SET client_min_messages = warning").execute(&mut connection).await?;
    sqlx::query(AssertSqlSafe(format!("DROP SCHEMA {name} CASCADE")))
        .execute(&mut connection)
        .await?;
    connection.close().await
}
