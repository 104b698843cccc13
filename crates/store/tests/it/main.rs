//! The contract of the store: every test runs on every database, and both must agree.
//!
//! PostgreSQL is tested when `TEST_POSTGRES_URL` names a server, and must be where `CI` is set.

/// Makes each named `async fn(Db)` of the surrounding module a test on every database.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::run(crate::databases::Backend::Sqlite, super::$test).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::run(crate::databases::Backend::Postgres, super::$test).await;
                }
            )+
        }
    };
}

mod adapter_changes;
mod adapters;
mod blobs;
mod connections;
mod content;
#[path = "../../../testkit/src/databases.rs"]
#[expect(unreachable_pub, reason = "a module of the test kit, included: the kit needs this crate")]
mod databases;
mod embeddings;
mod events;
mod exposures;
mod imports;
mod jobs;
mod keys;
mod lessons;
mod migrations;
mod models;
mod processes;
mod profiles;
#[path = "../../../testkit/src/qdrant.rs"]
#[expect(unreachable_pub, reason = "a module of the test kit, included: the kit needs this crate")]
mod qdrant;
mod traces;
mod users;
mod vectors;
mod written_users;

use std::sync::Arc;

use databases::{Backend, TestDatabase};
use sona_domain::{ContentId, Event, EventId, EventType, Timestamp, UserId};
use sona_store::{AppendOutcome, Store, open};
use sqlx::{Connection, PgConnection, SqliteConnection};

/// A database of its own for one test.
struct Db {
    store: Arc<dyn Store>,
    database: TestDatabase,
    backend: Backend,
}

impl Db {
    async fn new(backend: Backend) -> Self {
        let database = TestDatabase::new(backend).await;
        let store = open(&database.url).await.expect("the database opens");
        Self { store, database, backend }
    }

    /// The same database as another process would see it.
    async fn another(&self) -> Arc<dyn Store> {
        open(&self.database.url).await.expect("the database opens again")
    }
}

async fn run<F: Future<Output = ()>>(backend: Backend, test: impl FnOnce(Db) -> F) {
    if backend.is_available() {
        test(Db::new(backend).await).await;
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn user(id: &str) -> UserId {
    UserId::new(id).expect("an id")
}

/// A plain event.
fn event(id: &str, user_id: &str, seconds: i64) -> Event {
    Event {
        event_id: EventId::new(id).expect("an id"),
        user_id: user(user_id),
        content_id: ContentId::new("m1").expect("an id"),
        event_type: EventType::new("watch").expect("a type"),
        completion_rate: None,
        rating: None,
        is_rewatch: false,
        dismissed: false,
        context: None,
        recommendation_id: None,
        timestamp: at(seconds),
    }
}

/// The cursors given out, `None` for duplicates.
fn cursors(outcomes: &[AppendOutcome]) -> Vec<Option<i64>> {
    outcomes
        .iter()
        .map(|outcome| match outcome {
            AppendOutcome::Appended(cursor) => Some(cursor.0),
            AppendOutcome::Duplicate => None,
        })
        .collect()
}

/// Runs a statement past the store.
async fn meddle(db: &Db, statement: &'static str) {
    if db.backend == Backend::Sqlite {
        let mut connection = SqliteConnection::connect(&db.database.url).await.expect("connected");
        sqlx::query(statement).execute(&mut connection).await.expect("executed");
        connection.close().await.expect("closed");
    } else {
        let mut connection = PgConnection::connect(&db.database.url).await.expect("connected");
        sqlx::query(statement).execute(&mut connection).await.expect("executed");
        connection.close().await.expect("closed");
    }
}
