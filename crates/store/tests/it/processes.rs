//! Several processes on one database, and what a killed one leaves behind.

use std::collections::HashSet;
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use sona_domain::{Cursor, Event, LoggedEvent};
use sona_store::open;

use crate::databases::TestDatabase;
use crate::{Db, at, event};

on_both!(processes_that_start_together_all_succeed, what_was_acknowledged_survives_a_kill);

/// Names the database of a child process; tells [`child`] that it is one.
const URL: &str = "SONA_STORE_TEST_URL";
/// The prefix of the child's event ids.
const NAME: &str = "SONA_STORE_TEST_NAME";
/// How many batches the child appends.
const BATCHES: &str = "SONA_STORE_TEST_BATCHES";
/// Printed after each acknowledged batch.
const ACKNOWLEDGED: &str = "acknowledged ";

/// The events of one batch.
fn batch(name: &str, number: usize) -> Vec<Event> {
    (0..3)
        .map(|n| event(&format!("{name}-{number}-{n}"), &format!("{name}{}", number % 5), 1))
        .collect()
}

/// What the other tests start as a process of its own; as a test it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn child() {
    let Ok(url) = env::var(URL) else { return };
    let name = env::var(NAME).expect("a name");
    let batches = env::var(BATCHES).expect("a number").parse().expect("a number");
    let store = open(&url).await.expect("opened");
    for number in 0..batches {
        store.append(&batch(&name, number), at(1)).await.expect("appended");
        println!("{ACKNOWLEDGED}{number}");
    }
    store.close().await;
}

/// A child process; killed when dropped.
struct Process(Child);

impl Process {
    fn start(url: &str, name: &str, batches: usize) -> Self {
        let program = env::current_exe().expect("this program");
        let child = Command::new(program)
            .args(["--exact", "processes::child", "--nocapture"])
            .envs([(URL, url), (NAME, name), (BATCHES, &batches.to_string())])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        Self(child)
    }

    fn output(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().expect("piped"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The numbers of the acknowledged batches, as they come.
fn acknowledged(output: impl BufRead) -> impl Iterator<Item = usize> {
    output
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix(ACKNOWLEDGED).and_then(|number| number.parse().ok()))
}

/// True if the cursors count from 1 and no id is there twice.
fn is_whole(log: &[LoggedEvent]) -> bool {
    let ids: HashSet<_> = log.iter().map(|logged| &logged.event.event_id).collect();
    ids.len() == log.len() && log.iter().map(|logged| logged.cursor.0).eq(1..=log.len() as i64)
}

async fn processes_that_start_together_all_succeed(db: Db) {
    const PROCESSES: usize = 4;
    // The database of the test exists already; this race is on fresh ones.
    for round in 0..3 {
        let database = TestDatabase::new(db.backend).await;
        let processes: Vec<_> =
            (0..PROCESSES).map(|n| Process::start(&database.url, &format!("p{n}"), 10)).collect();
        for mut process in processes {
            // To the end of the output first: a full pipe would stop the child.
            assert_eq!(acknowledged(process.output()).count(), 10, "in round {round}");
            assert!(process.0.wait().expect("waited").success(), "in round {round}");
        }
        let store = open(&database.url).await.expect("opened");
        let log = store.after(Cursor(0), 1000).await.expect("read");
        assert_eq!(log.len(), PROCESSES * 10 * 3);
        assert!(is_whole(&log));
        let applied = store.migrations().await.expect("read");
        assert_eq!(applied, db.store.migrations().await.expect("read"));
        store.close().await;
    }
}

async fn what_was_acknowledged_survives_a_kill(db: Db) {
    let mut process = Process::start(&db.database.url, "p", 1_000_000);
    let mut numbers = acknowledged(process.output());
    assert!(numbers.any(|number| number == 100), "the child works");
    process.0.kill().expect("killed");
    process.0.wait().expect("gone");
    // What it still said before it died counts too.
    let last = numbers.last().unwrap_or(100);

    // In PostgreSQL the server may still finish what the child sent last; that is for the next writer to wait for.
    let mut resent = batch("p", last);
    resent.extend(batch("p", last + 1));
    db.store.append(&resent, at(2)).await.expect("appended");
    let log = db.store.after(Cursor(0), 1_000_000).await.expect("read");
    assert!(is_whole(&log));
    let expected: Vec<_> = (0..=last + 1).flat_map(|number| batch("p", number)).collect();
    let found: Vec<_> = log.into_iter().map(|logged| logged.event).collect();
    assert_eq!(found, expected);
}
