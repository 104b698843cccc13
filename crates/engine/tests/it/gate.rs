//! What must not be shown is not shown, also while it changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sona_domain::{Clock, ContentId, RequestContext};
use sona_engine::{RecommendRequest, WriteContent};
use sona_testkit::databases::Backend;

use crate::world::{World, content_id, event, small_options, title, user_id, watch};

const TITLES: usize = 40;
const USERS: usize = 12;
const ASKERS: usize = 2;
const REQUESTS: usize = 1_000_000;

/// What is forbidden for certain: set after the change is acknowledged, cleared before it is undone. Every change
/// moves the epoch, so an asker can tell that a flag held during its whole request.
#[derive(Default)]
struct Flag {
    epoch: AtomicU64,
    forbidden: AtomicBool,
}

impl Flag {
    fn set(&self, forbidden: bool) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.forbidden.store(forbidden, Ordering::SeqCst);
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    fn read(&self) -> Option<u64> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        let forbidden = self.forbidden.load(Ordering::SeqCst);
        (forbidden && epoch == self.epoch.load(Ordering::SeqCst)).then_some(epoch)
    }
}

struct Board {
    titles: Vec<Flag>,
    pairs: Vec<Vec<Flag>>,
    asked: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_requests_while_everything_changes() {
    // Of a million lists nobody asks what they showed.
    let mut options = small_options();
    options.exposures.keep_days = 0;
    let world = World::with(Backend::Sqlite, options).await;
    world.fill(TITLES / 2, 4).await;
    let world = Arc::new(world);
    world.train().await;
    let flags = |n: usize| (0..n).map(|_| Flag::default()).collect::<Vec<_>>();
    let board = Arc::new(Board {
        titles: flags(TITLES),
        pairs: (0..USERS).map(|_| flags(TITLES)).collect(),
        asked: AtomicUsize::new(0),
    });
    let askers: Vec<_> =
        (0..ASKERS).map(|n| tokio::spawn(ask(world.clone(), board.clone(), n as u64))).collect();
    let writer = tokio::spawn(write(world.clone(), board.clone()));
    for asker in askers {
        asker.await.expect("nothing forbidden was shown");
    }
    let changes = writer.await.expect("no panic");
    assert!(changes > 100, "hardly anything changed: {changes}");
    println!("{changes} changes");
    assert!(board.asked.load(Ordering::SeqCst) >= REQUESTS);
}

fn name(title: usize) -> ContentId {
    content_id(&format!("{}{}", ["a", "b"][title % 2], title / 2))
}

async fn ask(world: Arc<World>, board: Arc<Board>, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let names: Vec<_> = (0..TITLES).map(name).collect();
    for _ in 0..REQUESTS.div_ceil(ASKERS) {
        let user = rng.random_range(0..USERS);
        let exclude: Vec<_> = (0..rng.random_range(0..3))
            .map(|_| names[rng.random_range(0..TITLES)].clone())
            .collect();
        let flags =
            || board.titles.iter().zip(&board.pairs[user]).map(|(a, b)| (a.read(), b.read()));
        let before: Vec<_> = flags().collect();
        let request = RecommendRequest {
            user_id: user_id(&format!("user{user}")),
            limit: rng.random_range(1..30),
            exclude,
            context: RequestContext::default(),
        };
        let list = world.engine.recommend(&request).await.expect("a list");
        let after: Vec<_> = flags().collect();
        for item in &list.recommendations {
            assert!(!request.exclude.contains(&item.content_id), "excluded {:?}", item.content_id);
            let n = names.iter().position(|name| *name == item.content_id).expect("a known title");
            let held = |a: Option<u64>, b: Option<u64>| a.is_some() && a == b;
            assert!(!held(before[n].0, after[n].0), "{:?} is not available", item.content_id);
            assert!(!held(before[n].1, after[n].1), "user{user} refused {:?}", item.content_id);
        }
        // A warm request never waits, so without this the askers would keep the writer from its thread.
        if board.asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(8) {
            tokio::task::yield_now().await;
        }
    }
}

/// Hides, shows, opens and closes windows, deletes, brings back, dismisses, watches, moves the clock.
async fn write(world: Arc<World>, board: Arc<Board>) -> usize {
    let mut rng = SmallRng::seed_from_u64(99);
    let mut changes = 0;
    while board.asked.load(Ordering::SeqCst) < REQUESTS {
        let n = rng.random_range(0..TITLES);
        let id = name(n);
        let mut content = title(id.as_str());
        board.titles[n].set(false);
        let now = world.clock.now();
        let forbidden = match rng.random_range(0..5) {
            0 => {
                world.engine.delete_content(&id).await.expect("deleted");
                true
            }
            kind => {
                content.hidden = kind == 1;
                content.available_from = (kind == 2).then(|| now.plus_seconds(1_000_000));
                content.available_until = (kind == 3).then(|| now.plus_seconds(10));
                world.engine.write_content(&content, WriteContent::Upsert).await.expect("written");
                if kind == 3 {
                    world.clock.advance(10);
                }
                kind != 4
            }
        };
        board.titles[n].set(forbidden);
        let user = rng.random_range(0..USERS);
        let user_name = format!("user{user}");
        let act = match rng.random_range(0..2) {
            0 => event(&user_name, id.as_str(), "dismiss"),
            _ => watch(&user_name, id.as_str()),
        };
        // Late in the test a user has refused everything; begin anew with an empty history.
        let refused = board.pairs[user].iter().filter(|flag| flag.read().is_some()).count();
        if refused > TITLES / 2 {
            board.pairs[user].iter().for_each(|flag| flag.set(false));
            world.engine.erase_user(&user_id(&user_name)).await.expect("erased");
        } else if matches!(
            world.track(vec![act]).await[0],
            sona_engine::TrackOutcome::Accepted { .. }
        ) {
            board.pairs[user][n].set(true);
        }
        changes += 1;
    }
    changes
}
