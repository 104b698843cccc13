//! What is done to adapters from outside: served accordingly at once here, and within a moment by every other process.

use sona_domain::{
    AdapterHandled, AdapterName, AdapterOrigin, AdapterState, AdapterUse, AdapterVersion,
};
use sona_engine::{AdapterCommand, AdapterError, Engine, Error, handle_stored};
use sona_store::Store;
use sona_testkit::databases::Backend;

use super::{go_on, options, step_of, used, world};
use crate::on_both;
use crate::world::{World, list, user_id};

const OPTED_OUT: AdapterUse = AdapterUse { state: AdapterState::OptedOut, events: 0, gain: 0.0 };

fn name() -> AdapterName {
    AdapterName::default()
}

pub(super) async fn versions(engine: &Engine, user: &str) -> Vec<AdapterVersion> {
    let listed = engine.adapters(&user_id(user), None, None, 100).await.expect("read");
    listed.into_iter().map(|listed| listed.about).collect()
}

/// Waits, within reason, until something is so.
pub(super) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1_500 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it never became so");
}

/// Lets a user go on, and waits until what they taught is written; the number of events of the version. It is one version:
/// what is learned at once is written at once.
async fn learn(world: &World, steps: std::ops::Range<usize>) -> u64 {
    world.track(steps.map(|step| step_of(0, step)).collect()).await;
    world.engine.follow().await.expect("followed");
    let learned = used(&world.list("u0", 5).await).events;
    until(async || {
        let served = versions(&world.engine, "u0").await;
        served.first().is_some_and(|newest| newest.training_iterations == learned)
    })
    .await;
    learned
}

pub(super) async fn do_to(
    world: &World,
    command: AdapterCommand,
) -> Result<AdapterHandled, AdapterError> {
    world.engine.handle_adapters(&user_id("u0"), command).await.map_err(adapter_error)
}

pub(super) fn adapter_error(error: Error) -> AdapterError {
    let Error::Adapter(error) = error else { panic!("{error}") };
    error
}

async fn elsewhere(store: &dyn Store, command: AdapterCommand) -> AdapterHandled {
    let now = sona_domain::Timestamp::from_seconds(1_800_000_000);
    handle_stored(store, &user_id("u0"), command, now).await.expect("done")
}

async fn rolled_back_is_served_at_once(backend: Backend) {
    let world = world(backend, options()).await;
    let before = learn(&world, 8..12).await;
    let after = learn(&world, 12..16).await;
    assert!(before < after);
    let [newest, oldest] = &versions(&world.engine, "u0").await[..] else { panic!("two versions") };
    assert_eq!((newest.parent_version, newest.origin), (Some(1), AdapterOrigin::Learned));
    assert!(newest.is_served && !oldest.is_served);
    let back = |served| AdapterCommand::RollBack { name: name(), served };
    let refused = do_to(&world, back(Some(1))).await;
    assert_eq!(refused, Err(AdapterError::Conflict { served: Some(2) }));
    let handled = do_to(&world, back(Some(2))).await.expect("rolled back");
    assert_eq!((handled.served_version, handled.deleted), (Some(1), 0));
    assert_eq!(used(&world.list("u0", 5).await).events, before);
    assert_eq!(do_to(&world, back(None)).await, Err(AdapterError::NoneBefore { served: 1 }));
    let serve = |version| AdapterCommand::Serve { name: name(), version, served: Some(1) };
    assert!(matches!(do_to(&world, serve(9)).await, Err(AdapterError::Unknown { .. })));
    do_to(&world, serve(2)).await.expect("served");
    assert_eq!(used(&world.list("u0", 5).await).events, after);
    // It goes on learning from there.
    assert!(learn(&world, 16..19).await > after);
    assert_eq!(versions(&world.engine, "u0").await[0].parent_version, Some(2));
}
on_both!(rolled_back_is_served_at_once);

async fn what_is_done_elsewhere_is_seen(backend: Backend) {
    let world = world(backend, options()).await;
    let before = learn(&world, 8..12).await;
    learn(&world, 12..16).await;
    let store = sona_store::open(&world.database.url).await.expect("opens");
    // What is learned here and not written yet rests on what is no longer served: it goes.
    go_on(&world, 0, 16..18).await;
    let first = AdapterCommand::Serve { name: name(), version: 1, served: None };
    elsewhere(&*store, first).await;
    until(async || used(&world.list("u0", 5).await).events == before).await;
    let saved = versions(&world.engine, "u0").await;
    assert!(saved.iter().any(|version| version.version == 1 && version.is_served), "{saved:?}");
    go_on(&world, 0, 18..20).await;
    elsewhere(&*store, AdapterCommand::Reset).await;
    until(async || used(&world.list("u0", 5).await).events == 0).await;
    assert_eq!(versions(&world.engine, "u0").await, []);
    // Longer than it takes to write behind: nothing comes back.
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert_eq!(versions(&world.engine, "u0").await, []);
}
on_both!(what_is_done_elsewhere_is_seen);

async fn a_reset_takes_what_waits_to_be_written(backend: Backend) {
    let mut world = world(backend, options()).await;
    go_on(&world, 0, 8..12).await;
    assert!(used(&world.list("u0", 5).await).events > 0);
    do_to(&world, AdapterCommand::Reset).await.expect("reset");
    assert_eq!(used(&world.list("u0", 5).await).events, 0);
    world.restart().await;
    assert_eq!(used(&world.list("u0", 5).await).events, 0);
    assert_eq!(versions(&world.engine, "u0").await, []);
}
on_both!(a_reset_takes_what_waits_to_be_written);

async fn who_opts_out_is_served_without(backend: Backend) {
    let mut world = world(backend, options()).await;
    learn(&world, 8..12).await;
    let other = world.another().await;
    assert!(used(&list(&other, "u0", 5).await).events > 0);
    let handled = do_to(&world, AdapterCommand::OptOut).await.expect("opted out");
    assert_eq!(handled.deleted, 1);
    assert_eq!(used(&world.list("u0", 5).await), OPTED_OUT);
    assert!(world.engine.opted_out_at(&user_id("u0")).await.expect("read").is_some());
    until(async || used(&list(&other, "u0", 5).await) == OPTED_OUT).await;
    go_on(&world, 0, 12..16).await;
    world.restart().await;
    assert_eq!(used(&world.list("u0", 5).await), OPTED_OUT);
    go_on(&world, 0, 16..18).await;
    assert_eq!(used(&world.list("u0", 5).await), OPTED_OUT);
    assert_eq!(versions(&world.engine, "u0").await, []);
    do_to(&world, AdapterCommand::OptIn).await.expect("opted in");
    assert_eq!(used(&world.list("u0", 5).await).events, 0);
    until(async || used(&list(&other, "u0", 5).await).state == AdapterState::Learning).await;
    go_on(&world, 0, 18..20).await;
    assert!(used(&world.list("u0", 5).await).events > 0, "it begins anew");
    let report = world.engine.adapter_report().await.expect("read");
    assert_eq!(report.opted_out, 0);
    let held = report.resident.expect("held");
    assert_eq!(held.served + held.held_back, 1, "the user's many events make it due: {held:?}");
}
on_both!(who_opts_out_is_served_without);

async fn an_erased_user_has_opted_out_of_nothing(backend: Backend) {
    let world = world(backend, options()).await;
    let other = world.another().await;
    do_to(&world, AdapterCommand::OptOut).await.expect("opted out");
    until(async || used(&list(&other, "u0", 5).await) == OPTED_OUT).await;
    world.engine.erase_user(&user_id("u0")).await.expect("erased");
    assert_ne!(used(&world.list("u0", 5).await), OPTED_OUT);
    until(async || used(&list(&other, "u0", 5).await) != OPTED_OUT).await;
}
on_both!(an_erased_user_has_opted_out_of_nothing);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erasing_while_adapters_are_written_leaves_none() {
    let world = world(Backend::Sqlite, options()).await;
    for round in 0..5 {
        // The writing begins every two seconds: erasures fall before, into and after it.
        let user = 2 * round;
        for step in 8..11 {
            world.track(vec![super::step_of(user, step)]).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(450 * round as u64)).await;
        let id = user_id(&format!("u{user}"));
        world.engine.erase_user(&id).await.expect("erased");
        assert_eq!(versions(&world.engine, id.as_str()).await, []);
    }
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    for round in 0..5 {
        assert_eq!(versions(&world.engine, &format!("u{}", 2 * round)).await, []);
    }
}
