//! Files read and written, in turn with the same bytes through sqlx alone, and through Redis.
#![expect(clippy::print_stdout, reason = "a program whose result is what it prints")]

use std::sync::Arc;

use sona_domain::{
    AdapterName, AdapterOrigin, ContentId, Event, EventId, EventType, NewAdapter, Timestamp, UserId,
};
use sona_formats::adapters::UserWeights;
use sona_store::{Parent, Saved, Store};
use sona_testkit::databases::{Backend, TestDatabase, backends};
use sqlx::{Connection, PgConnection, SqliteConnection};

use super::learning::{large, small};
use super::measure::Times;
use super::redis::Redis;

const USERS: usize = 200;
const ROUNDS: usize = 60;

/// Operations of one kind in a round.
const BLOCK: usize = 50;

pub(crate) async fn run(redis: Option<&str>) {
    for backend in backends() {
        for (name, bytes) in [("adapter", small()), ("40 KB", large())] {
            println!("\n{backend:?}, {name} of {} bytes, {} of each", bytes.len(), ROUNDS * BLOCK);
            println!("{:<28}{:>10}{:>10}{:>10}{:>12}", "us", "p10", "p50", "CPU", "p50 / sqlx");
            Contenders::new(backend, redis).await.race(&bytes).await;
        }
    }
}

struct Contenders {
    store: Arc<dyn Store>,
    plain: Plain,
    redis: Option<Redis>,
    _database: TestDatabase,
}

/// A table of bytes by user, by sqlx alone.
enum Plain {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Contenders {
    async fn new(backend: Backend, redis: Option<&str>) -> Self {
        let database = TestDatabase::new(backend).await;
        let store = sona_store::open(&database.url).await.expect("a database");
        let events: Vec<Event> = (0..USERS).map(event).collect();
        store.append(&events, at()).await.expect("appended");
        let plain = Plain::open(backend, &database.url).await;
        let redis = match redis {
            Some(address) => Some(Redis::connect(address).await),
            None => None,
        };
        Self { store, plain, redis, _database: database }
    }

    async fn race(mut self, bytes: &[u8]) {
        let (name, store) = (AdapterName::default(), self.store.clone());
        for at in 0..USERS {
            self.plain.write(at, bytes).await;
            save(&*store, at, bytes).await;
        }
        let [mut write, mut saved, mut dropped]: [Times; 3] = Default::default();
        let [mut read, mut served, mut loaded]: [Times; 3] = Default::default();
        let [mut set, mut get]: [Times; 2] = Default::default();
        for _ in 0..ROUNDS {
            read.take(BLOCK, async |n| assert_eq!(self.plain.read(n).await, bytes)).await;
            let serve = async |n| store.served_adapter(&user(n), &name).await.expect("read");
            served
                .take(BLOCK, async |n| assert_eq!(serve(n).await.expect("there").weights, bytes))
                .await;
            let load = async |n| UserWeights::decode(&serve(n).await.expect("there").weights);
            loaded.take(BLOCK, async |n| drop(load(n).await.expect("whole"))).await;
            write.take(BLOCK, async |n| self.plain.write(n, bytes).await).await;
            saved.take(BLOCK, async |n| save(&*store, n, bytes).await).await;
            let drop_old = async |n| store.retain_adapters(&user(n), &name, 5).await;
            dropped.take(BLOCK, async |n| assert!(drop_old(n).await.expect("dropped") <= 2)).await;
            if let Some(redis) = &mut self.redis {
                set.take(BLOCK, async |n| redis.set(&key(n), bytes).await).await;
                get.take(BLOCK, async |n| assert_eq!(redis.get(&key(n)).await, bytes)).await;
            }
        }
        print("read: sqlx alone", &read, &read);
        print("read: the served version", &served, &read);
        print("read and decoded", &loaded, &read);
        print("written: sqlx alone", &write, &write);
        print("saved: a version", &saved, &write);
        print("old versions dropped", &dropped, &write);
        if self.redis.is_some() {
            print("Redis GET", &get, &read);
            print("Redis SET", &set, &write);
        }
        store.close().await;
    }
}

fn print(name: &str, times: &Times, plain: &Times) {
    let (p10, p50, cpu) = (times.at(0.1), times.at(0.5), times.cpu());
    let ratio = p50 / plain.at(0.5);
    println!("{name:<28}{p10:>10.1}{p50:>10.1}{cpu:>10.1}{ratio:>12.2}");
}

impl Plain {
    async fn open(backend: Backend, url: &str) -> Self {
        match backend {
            Backend::Sqlite => {
                let mut connection = SqliteConnection::connect(url).await.expect("connected");
                // As durable as the store is.
                let durable = sqlx::query("PRAGMA synchronous = FULL");
                durable.execute(&mut connection).await.expect("set");
                let table = "CREATE TABLE plain (user_id TEXT PRIMARY KEY, weights BLOB NOT NULL)";
                sqlx::query(table).execute(&mut connection).await.expect("made");
                Self::Sqlite(connection)
            }
            Backend::Postgres => {
                let mut connection = PgConnection::connect(url).await.expect("connected");
                let table = "CREATE TABLE plain (user_id TEXT PRIMARY KEY, weights BYTEA NOT NULL)";
                sqlx::query(table).execute(&mut connection).await.expect("made");
                Self::Postgres(connection)
            }
        }
    }

    async fn read(&mut self, n: usize) -> Vec<u8> {
        let sql = "SELECT weights FROM plain WHERE user_id = $1";
        let read = match self {
            Self::Sqlite(db) => sqlx::query_scalar(sql).bind(key(n)).fetch_one(db).await,
            Self::Postgres(db) => sqlx::query_scalar(sql).bind(key(n)).fetch_one(db).await,
        };
        read.expect("read")
    }

    async fn write(&mut self, n: usize, bytes: &[u8]) {
        let sql = "INSERT INTO plain (user_id, weights) VALUES ($1, $2)
             ON CONFLICT (user_id) DO UPDATE SET weights = excluded.weights";
        let rows = match self {
            Self::Sqlite(db) => {
                let done = sqlx::query(sql).bind(key(n)).bind(bytes).execute(db).await;
                done.expect("written").rows_affected()
            }
            Self::Postgres(db) => {
                let done = sqlx::query(sql).bind(key(n)).bind(bytes).execute(db).await;
                done.expect("written").rows_affected()
            }
        };
        assert_eq!(rows, 1);
    }
}

async fn save(store: &dyn Store, n: usize, bytes: &[u8]) {
    let new = NewAdapter {
        user_id: user(n),
        adapter_name: AdapterName::default(),
        base_version: 1,
        origin: AdapterOrigin::Learned,
        training_iterations: 12,
        weights: bytes.to_vec(),
    };
    let saved = store.save_adapter(&new, Parent::Any, at()).await.expect("answered");
    assert!(matches!(saved, Saved::Version(_)));
}

fn key(n: usize) -> String {
    format!("user-{}", n % USERS)
}

fn user(n: usize) -> UserId {
    UserId::new(key(n)).expect("an id")
}

fn at() -> Timestamp {
    Timestamp::from_seconds(1_750_000_000)
}

fn event(n: usize) -> Event {
    Event {
        event_id: EventId::new(key(n)).expect("an id"),
        user_id: user(n),
        content_id: ContentId::new("t").expect("an id"),
        event_type: EventType::new("watch").expect("a type"),
        completion_rate: None,
        rating: None,
        is_rewatch: false,
        dismissed: false,
        context: None,
        recommendation_id: None,
        timestamp: at(),
    }
}
