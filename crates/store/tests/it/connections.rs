//! Connections that are lost while nobody uses them, and more callers than there are connections.

use std::env;

use sona_domain::{AdapterName, AdapterOrigin, NewAdapter};
use sona_store::{Parent, Saved, Store, open};
use sqlx::{Connection, PgConnection};

use crate::databases::{Backend, SERVER};
use crate::{Db, at, event, run, user};

on_both!(many_read_at_once, closing_does_not_wait_for_connections_that_are_kept);

/// What requests read.
async fn read_all(store: &dyn Store, round: usize) {
    let a = user("a");
    let histories = store.histories(&[a.clone(), user("b")]).await.expect("read");
    assert_eq!(histories.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0], "in round {round}");
    assert_eq!(store.written_users(None, std::slice::from_ref(&a)).await.expect("read"), []);
    let served = store.served_adapter(&a, &AdapterName::default()).await.expect("read");
    assert_eq!(served.expect("one is served").weights, b"w", "in round {round}");
}

async fn fill(store: &dyn Store) {
    store.append(&[event("e", "a", 1)], at(1)).await.expect("appended");
    let new = NewAdapter {
        user_id: user("a"),
        adapter_name: AdapterName::default(),
        base_version: 1,
        origin: AdapterOrigin::Learned,
        training_iterations: 1,
        weights: b"w".to_vec(),
    };
    let saved = store.save_adapter(&new, Parent::Any, at(1)).await.expect("answered");
    assert_eq!(saved, Saved::Version(1));
}

async fn many_read_at_once(db: Db) {
    fill(&*db.store).await;
    let readers: Vec<_> = (0..100)
        .map(|n| {
            let store = db.store.clone();
            tokio::spawn(async move { read_all(&*store, n).await })
        })
        .collect();
    for (n, reader) in readers.into_iter().enumerate() {
        // Some give up while the database answers.
        if n % 3 == 0 {
            reader.abort();
        } else {
            reader.await.expect("read");
        }
    }
    read_all(&*db.store, 100).await;
}

async fn closing_does_not_wait_for_connections_that_are_kept(db: Db) {
    fill(&*db.store).await;
    let other = db.another().await;
    read_all(&*other, 0).await;
    other.close().await;
    other.histories(&[user("a")]).await.expect_err("it is closed");
    read_all(&*db.store, 1).await;
}

/// A server that was started anew, or a network that gave up on what was quiet: whoever reads next does not notice, and writes
/// go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_while_idle_is_not_noticed() {
    run(Backend::Postgres, async |db: Db| {
        let name = format!("lost-{}", std::process::id());
        let url = format!("{}&application_name={name}", db.database.url);
        let store = open(&url).await.expect("opened");
        fill(&*store).await;
        let mut server = PgConnection::connect(&env::var(SERVER).expect("a server")).await;
        for round in 0..3 {
            read_all(&*store, round).await;
            let ended = end_all(server.as_mut().expect("connected"), &name).await;
            assert!(ended > 0, "connections were kept in round {round}");
        }
        read_all(&*store, 3).await;
        end_all(server.as_mut().expect("connected"), &name).await;
        store.append(&[event("later", "b", 1)], at(2)).await.expect("appended");
        store.close().await;
    })
    .await;
}

/// Ends all connections of a name and waits until they have ended.
async fn end_all(server: &mut PgConnection, name: &str) -> i64 {
    let ended = sqlx::query_scalar(
        "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
         WHERE application_name = $1",
    );
    ended.bind(name).fetch_one(server).await.expect("ended")
}

/// A database in memory has one connection for everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory_all_share_one() {
    let store = open("sqlite::memory:").await.expect("opened");
    fill(&*store).await;
    for round in 0..3 {
        read_all(&*store, round).await;
        store.append(&[event("e", "a", 1)], at(1)).await.expect("appended");
    }
    store.close().await;
}
