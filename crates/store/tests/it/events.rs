//! The event log.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use sona_domain::{Cursor, Event, LoggedEvent, RecommendationId, UserId};
use sona_store::{AppendOutcome, Error, Store};

use crate::databases::{Backend, backends};
use crate::{Db, at, cursors, event, user};

on_both!(
    appends_in_order_and_counts_each_id_once,
    an_empty_log,
    everything_is_read_back_as_it_was_written,
    a_closed_store_is_found_again,
    pages_follow_the_cursor,
    since_filters_by_time_of_event,
    histories_come_in_the_order_asked,
    an_event_creates_its_user,
    values_out_of_range_are_refused,
    large_batches_are_one_transaction,
    two_appenders_and_a_tail_lose_nothing,
    the_same_event_sent_to_two_processes_counts_once,
    a_thousand_events_are_quick,
);

fn ids(events: &[LoggedEvent]) -> Vec<&str> {
    events.iter().map(|logged| logged.event.event_id.as_str()).collect()
}

async fn appends_in_order_and_counts_each_id_once(db: Db) {
    let batch = [event("a", "u", 1), event("b", "u", 2), event("a", "v", 3)];
    let outcomes = db.store.append(&batch, at(10)).await.expect("appended");
    assert_eq!(cursors(&outcomes), [Some(1), Some(2), None]);
    let batch = [event("b", "u", 9), event("c", "u", 4), event("c", "u", 4), event("d", "u", 5)];
    let outcomes = db.store.append(&batch, at(11)).await.expect("appended");
    assert_eq!(cursors(&outcomes), [None, Some(3), None, Some(4)]);

    let log = db.store.after(Cursor(0), 100).await.expect("read");
    assert_eq!(ids(&log), ["a", "b", "c", "d"]);
    assert_eq!(log[0].event, event("a", "u", 1), "the first of an id stays");
    assert_eq!(log[1].event, event("b", "u", 2));
    assert_eq!(db.store.head().await.expect("read"), Cursor(4));
    let known = db.store.user_created_at(&user("v")).await.expect("read");
    assert_eq!(known, None, "a duplicate creates nobody");
}

async fn an_empty_log(db: Db) {
    assert_eq!(db.store.head().await.expect("read"), Cursor(0));
    assert_eq!(db.store.append(&[], at(1)).await.expect("nothing to do"), []);
    assert_eq!(db.store.after(Cursor(0), 10).await.expect("read"), []);
    assert_eq!(db.store.since(at(0), Cursor(0), 10).await.expect("read"), []);
    assert_eq!(db.store.histories(&[]).await.expect("read"), Vec::<Vec<_>>::new());
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

/// Events that use every field and the corners of every type.
fn demanding_events() -> Vec<Event> {
    let context = json!({
        "nul": "a\u{0}b", "text": "映画 ‘quoted’ \"double\" \\ 🎬 é", "deep": [{"x": [1, 2.5, null, true]}],
        "numbers": [0.1, 1e300, -0.0, 5e-324, i64::MIN, u64::MAX, 0.1 + 0.2], "": "an empty key"
    });
    let mut full = event("映画-事件", "пользователь", 1_700_000_000);
    full.completion_rate = Some(0.1 + 0.2);
    full.rating = Some(4.3);
    full.is_rewatch = true;
    full.context = Some(object(&context));
    full.recommendation_id = RecommendationId::new("список-1").ok();
    let mut dismissed = event(&"x".repeat(255), &"é".repeat(127), -1);
    dismissed.dismissed = true;
    dismissed.completion_rate = Some(f32::MIN_POSITIVE);
    dismissed.rating = Some(1.0);
    dismissed.context = Some(Map::new());
    let mut edge = event("'; DROP TABLE users; --", "%_\\", 0);
    edge.completion_rate = Some(1.0);
    edge.rating = Some(f32::from_bits(5.0_f32.to_bits() - 1));
    edge.timestamp = sona_domain::Timestamp::from_micros(-62_135_596_800_000_001);
    let mut tiny = event("tiny", "u", 3);
    tiny.completion_rate = Some(f32::from_bits(1));
    vec![full, dismissed, edge, tiny]
}

async fn everything_is_read_back_as_it_was_written(db: Db) {
    let written = demanding_events();
    db.store.append(&written, at(1)).await.expect("appended");
    let read: Vec<_> = db.store.after(Cursor(0), 100).await.expect("read");
    let read: Vec<_> = read.into_iter().map(|logged| logged.event).collect();
    assert_eq!(read, written);
    let bits = |events: &[Event]| -> Vec<_> {
        events
            .iter()
            .map(|e| (e.completion_rate.map(f32::to_bits), e.rating.map(f32::to_bits)))
            .collect()
    };
    assert_eq!(bits(&read), bits(&written));
    let context = |events: &[Event]| serde_json::to_string(&events[0].context).expect("JSON");
    assert_eq!(context(&read), context(&written), "down to the bytes");
}

async fn a_closed_store_is_found_again(db: Db) {
    db.store.append(&demanding_events(), at(1)).await.expect("appended");
    let before = db.store.after(Cursor(0), 100).await.expect("read");
    db.store.close().await;
    assert!(matches!(db.store.head().await, Err(Error::Unavailable(_))), "closed is closed");
    let again = db.another().await;
    assert_eq!(again.after(Cursor(0), 100).await.expect("read"), before);
    let outcomes = again.append(&demanding_events(), at(2)).await.expect("appended");
    assert_eq!(cursors(&outcomes), [None; 4], "ids are remembered");
    assert_eq!(again.head().await.expect("read"), Cursor(4));
}

async fn pages_follow_the_cursor(db: Db) {
    let batch: Vec<_> = (0..10).map(|n| event(&format!("e{n}"), "u", n)).collect();
    db.store.append(&batch, at(1)).await.expect("appended");
    let mut cursor = Cursor(0);
    let mut pages = Vec::new();
    loop {
        let page = db.store.after(cursor, 4).await.expect("read");
        let Some(last) = page.last() else { break };
        cursor = last.cursor;
        pages.push(page.len());
    }
    assert_eq!(pages, [4, 4, 2]);
    assert_eq!(db.store.after(Cursor(0), 0).await.expect("read"), []);
    let all = db.store.after(Cursor(-5), usize::MAX).await.expect("read");
    assert_eq!(all.len(), 10);
}

async fn since_filters_by_time_of_event(db: Db) {
    // The fourth arrives late: it happened before all others.
    let times = [100, 200, 300, 50, 250, 400];
    let batch: Vec<_> =
        times.iter().enumerate().map(|(n, t)| event(&format!("e{n}"), "u", *t)).collect();
    db.store.append(&batch, at(1000)).await.expect("appended");
    let check = async |since, cursor, limit, expect: &[&str]| {
        let found = db.store.since(at(since), Cursor(cursor), limit).await.expect("read");
        assert_eq!(ids(&found), expect, "since {since} after {cursor}, {limit} of them");
    };
    check(0, 0, 10, &["e0", "e1", "e2", "e3", "e4", "e5"]).await;
    check(200, 0, 10, &["e1", "e2", "e4", "e5"]).await;
    check(200, 0, 2, &["e1", "e2"]).await;
    check(200, 3, 2, &["e4", "e5"]).await;
    check(50, 3, 1, &["e3"]).await;
    check(401, 0, 10, &[]).await;
    check(400, 6, 10, &[]).await;
}

async fn histories_come_in_the_order_asked(db: Db) {
    let batch = [
        event("1", "b", 9),
        event("2", "a", 8),
        event("3", "b", 1),
        event("4", "c", 5),
        event("5", "a", 5),
    ];
    db.store.append(&batch, at(10)).await.expect("appended");
    let asked: Vec<UserId> = ["c", "nobody", "b", "a", "b"].map(user).into();
    let histories = db.store.histories(&asked).await.expect("read");
    let found: Vec<_> = histories.iter().map(|history| ids(history)).collect();
    assert_eq!(found, [vec!["4"], vec![], vec!["1", "3"], vec!["2", "5"], vec!["1", "3"]]);
}

async fn an_event_creates_its_user(db: Db) {
    db.store.append(&[event("1", "a", 9), event("2", "a", 8)], at(10)).await.expect("appended");
    db.store.append(&[event("3", "a", 1), event("4", "b", 1)], at(20)).await.expect("appended");
    assert_eq!(db.store.user_created_at(&user("a")).await.expect("read"), Some(at(10)));
    assert_eq!(db.store.user_created_at(&user("b")).await.expect("read"), Some(at(20)));
    assert_eq!(db.store.user_created_at(&user("c")).await.expect("read"), None);
    assert_eq!(db.store.count_users().await.expect("read"), 2);
}

async fn values_out_of_range_are_refused(db: Db) {
    let spoilt: [fn(&mut Event); 4] = [
        |event| event.completion_rate = Some(1.1),
        |event| event.completion_rate = Some(f32::NAN),
        |event| event.rating = Some(0.5),
        |event| event.rating = Some(f32::INFINITY),
    ];
    for spoil in spoilt {
        let mut bad = event("bad", "u", 1);
        spoil(&mut bad);
        let refused = db.store.append(&[event("good", "u", 1), bad], at(1)).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    assert_eq!(db.store.head().await.expect("read"), Cursor(0), "all or none");
}

async fn large_batches_are_one_transaction(db: Db) {
    // Sizes around the number of rows a statement takes.
    let mut expected = 0;
    for size in [1, 63, 64, 65, 1000, 5000] {
        let batch: Vec<_> =
            (0..size).map(|n| event(&format!("{size}-{n}"), &format!("u{}", n % 700), n)).collect();
        let outcomes = db.store.append(&batch, at(1)).await.expect("appended");
        let want: Vec<_> = (0..size).map(|n| Some(expected + n + 1)).collect();
        assert_eq!(cursors(&outcomes), want);
        expected += size;
    }
    let log = db.store.after(Cursor(0), 10_000).await.expect("read");
    assert!(log.iter().map(|logged| logged.cursor.0).eq(1..=expected), "without gaps");
    assert_eq!(db.store.count_users().await.expect("read"), 700);
}

const BATCHES: usize = 150;

/// Appends small batches; answers what each event became.
async fn append_many(store: Arc<dyn Store>, name: usize) -> Vec<(String, i64)> {
    let mut written = Vec::new();
    for batch in 0..BATCHES {
        let events: Vec<_> = (0..=batch % 4)
            .map(|n| event(&format!("{name}-{batch}-{n}"), &format!("u{}", batch % 7), 1))
            .collect();
        let outcomes = store.append(&events, at(1)).await.expect("appended");
        let given = cursors(&outcomes).into_iter().map(|cursor| cursor.expect("a new id"));
        written.extend(events.iter().map(|e| e.event_id.to_string()).zip(given));
    }
    written
}

/// Reads behind the appenders until they are done and nothing is left.
async fn tail(store: Arc<dyn Store>, done: Arc<AtomicBool>) -> Vec<(String, i64)> {
    let mut read: Vec<(String, i64)> = Vec::new();
    loop {
        let last_round = done.load(Ordering::SeqCst);
        let head = store.head().await.expect("read");
        let cursor = read.last().map_or(0, |(_, cursor)| *cursor);
        let page = store.after(Cursor(cursor), 50).await.expect("read");
        assert!(
            page.len() == 50 || page.last().map_or(cursor, |last| last.cursor.0) >= head.0,
            "what the head promises can be read"
        );
        for logged in &page {
            let cursor = read.last().map_or(0, |(_, cursor)| *cursor);
            assert_eq!(logged.cursor.0, cursor + 1, "in order and without gaps");
            read.push((logged.event.event_id.to_string(), logged.cursor.0));
        }
        if page.is_empty() && last_round {
            return read;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

async fn two_appenders_and_a_tail_lose_nothing(db: Db) {
    // Two appenders share a process (and, in SQLite, its writing connection), the third is another.
    let other = db.another().await;
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(tail(db.another().await, Arc::clone(&done)));
    let stores = [Arc::clone(&db.store), Arc::clone(&db.store), other];
    let appenders: Vec<_> = stores
        .into_iter()
        .enumerate()
        .map(|(name, store)| tokio::spawn(append_many(store, name)))
        .collect();
    let mut written = Vec::new();
    for appender in appenders {
        written.extend(appender.await.expect("appends"));
    }
    done.store(true, Ordering::SeqCst);
    written.sort_by_key(|(_, cursor)| *cursor);
    let read = reader.await.expect("reads");
    assert_eq!(read.len(), written.len());
    assert_eq!(read, written);
}

async fn the_same_event_sent_to_two_processes_counts_once(db: Db) {
    let other = db.another().await;
    let batch: Vec<_> = (0..200).map(|n| event(&format!("e{n}"), "u", n)).collect();
    let mut reversed = batch.clone();
    reversed.reverse();
    let send = async |store: &Arc<dyn Store>, events: &[Event]| {
        let mut appended = 0;
        for chunk in events.chunks(7) {
            let outcomes = store.append(chunk, at(1)).await.expect("appended");
            appended += outcomes.iter().filter(|o| matches!(o, AppendOutcome::Appended(_))).count();
        }
        appended
    };
    let (first, second) = tokio::join!(send(&db.store, &batch), send(&other, &reversed));
    assert_eq!(first + second, 200);
    let log = db.store.after(Cursor(0), 1000).await.expect("read");
    assert_eq!(ids(&log).into_iter().collect::<HashSet<_>>().len(), 200);
    assert_eq!(log.len(), 200);
}

/// Prints what an append costs; fails only if it is far off.
async fn a_thousand_events_are_quick(db: Db) {
    let mut context = Map::new();
    context.insert("device".into(), json!("tv"));
    for round in 0..5 {
        let batch: Vec<_> = (0..1000)
            .map(|n| Event {
                completion_rate: Some(0.5),
                context: Some(context.clone()),
                ..event(
                    &format!("{round}-0192f0c1-aaaa-7bbb-8ccc-{n:012}"),
                    &format!("user-{}", n % 50),
                    n,
                )
            })
            .collect();
        let start = Instant::now();
        db.store.append(&batch, at(1)).await.expect("appended");
        let took = start.elapsed();
        eprintln!("1000 events in {:.1} ms", took.as_secs_f64() * 1e3);
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
}

/// What a log is, in the fewest words.
#[derive(Default)]
struct Model {
    log: Vec<Event>,
}

impl Model {
    fn append(&mut self, events: &[Event]) -> Vec<Option<i64>> {
        events
            .iter()
            .map(|event| {
                let known = self.log.iter().any(|e| e.event_id == event.event_id);
                (!known).then(|| {
                    self.log.push(event.clone());
                    self.log.len() as i64
                })
            })
            .collect()
    }
}

/// Batches whose event ids collide often.
fn colliding_batches() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let one = (0..12_u8, 0..3_u8, 0..100_i64, proptest::option::of(0.0..=1.0_f32)).prop_map(
        |(id, user_id, seconds, completion_rate)| Event {
            completion_rate,
            ..event(&format!("e{id}"), &format!("u{user_id}"), seconds)
        },
    );
    proptest::collection::vec(proptest::collection::vec(one, 0..8), 1..6)
}

async fn agrees_with_the_model(backend: Backend, batches: Vec<Vec<Event>>) {
    let db = Db::new(backend).await;
    let mut model = Model::default();
    for batch in &batches {
        let outcomes = db.store.append(batch, at(1)).await.expect("appended");
        assert_eq!(cursors(&outcomes), model.append(batch), "{backend:?}");
    }
    let log = db.store.after(Cursor(0), 1000).await.expect("read");
    let log: Vec<_> = log.into_iter().map(|logged| logged.event).collect();
    assert_eq!(log, model.log, "{backend:?}");
    let users: Vec<_> = ["u0", "u1", "u2"].map(user).into();
    for (asked, history) in users.iter().zip(db.store.histories(&users).await.expect("read")) {
        let history: Vec<_> = history.into_iter().map(|logged| logged.event).collect();
        let expected: Vec<_> = model.log.iter().filter(|e| e.user_id == *asked).cloned().collect();
        assert_eq!(history, expected, "{backend:?}");
    }
}

#[test]
fn any_batches_give_the_same_log_everywhere() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config =
        ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    runner
        .run(&colliding_batches(), |batches| {
            for backend in backends() {
                runtime.block_on(agrees_with_the_model(backend, batches.clone()));
            }
            Ok(())
        })
        .expect("the databases agree with the model");
}
