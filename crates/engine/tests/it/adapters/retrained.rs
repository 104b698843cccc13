//! Adapters trained anew on all of a user's events.

use sona_domain::{AdapterOrigin, AdapterState};
use sona_engine::{AdapterCommand, AdapterError, Forced};
use sona_testkit::databases::Backend;

use super::handled::{adapter_error, do_to, until, versions};
use super::{go_on, options, used, world};
use crate::on_both;
use crate::world::{World, list, small_options, user_id};

async fn train(
    world: &World,
    user: &str,
    forced: Forced,
) -> Result<sona_domain::AdapterTraining, AdapterError> {
    world.engine.train_adapter(&user_id(user), forced).await.map_err(adapter_error)
}

async fn the_past_is_learned_from(backend: Backend) {
    let mut world = world(backend, options()).await;
    let other = world.another().await;
    assert_eq!(used(&list(&other, "u0", 5).await).events, 0);
    go_on(&world, 0, 8..12).await;
    // Eight events came before there was a base layer.
    let trained = train(&world, "u0", Forced::No).await.expect("trained");
    assert_eq!((trained.status.as_str(), trained.version), ("training_completed", 1));
    assert_eq!((trained.events_used, trained.training_iterations), (12, 12));
    let losses = [trained.loss_before, trained.loss_foreseen, trained.loss_after];
    assert!(losses.iter().all(|loss| loss.is_finite() && *loss > 0.0), "{losses:?}");
    assert!(trained.loss_after < trained.loss_foreseen, "it knows them now: {losses:?}");
    let [version] = &versions(&world.engine, "u0").await[..] else { panic!("one version") };
    assert_eq!((version.origin, version.is_served), (AdapterOrigin::Trained, true));
    let own = used(&world.list("u0", 5).await);
    assert_eq!((own.events, own.gain), (12, 0.0), "nothing is proven yet");
    until(async || used(&list(&other, "u0", 5).await).events == 12).await;
    go_on(&world, 0, 12..14).await;
    assert_eq!(used(&world.list("u0", 5).await).events, 14, "it goes on learning");
    let again = train(&world, "u0", Forced::No).await.expect("trained");
    assert_eq!(again.training_iterations, 14);
    world.restart().await;
    let kept = used(&world.list("u0", 5).await);
    assert_eq!(kept.events, 14);
    assert_ne!(kept.state, AdapterState::Learning);
    // Once more: the same history gives the same adapter.
    let third = train(&world, "u0", Forced::No).await.expect("trained");
    assert_eq!(third.loss_after.to_bits(), again.loss_after.to_bits());
}
on_both!(the_past_is_learned_from);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_few_events_it_must_be_forced() {
    let world = world(Backend::Sqlite, options()).await;
    let few = AdapterError::TooFewEvents { user: user_id("u2"), found: 8, least: 10 };
    assert_eq!(train(&world, "u2", Forced::No).await, Err(few));
    let trained = train(&world, "u2", Forced::Yes).await.expect("trained");
    assert_eq!(trained.events_used, 8);
    assert_eq!(used(&world.list("u2", 5).await).state, AdapterState::Learning, "with too few");
    for forced in [Forced::No, Forced::Yes] {
        let none = AdapterError::TooFewEvents { user: user_id("nobody"), found: 0, least: 10 };
        assert_eq!(train(&world, "nobody", forced).await, Err(none));
    }
    let dismissed = sona_domain::EventDraft {
        dismissed: true,
        ..crate::world::event("critic", "t1", "dismiss")
    };
    world.track(vec![dismissed]).await;
    let nothing = AdapterError::NothingToLearn { user: user_id("critic"), found: 1 };
    assert_eq!(train(&world, "critic", Forced::Yes).await, Err(nothing));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_training_a_user_at_a_time() {
    let world = world(Backend::Sqlite, options()).await;
    let many = futures_util::future::join_all((0..8).map(|_| train(&world, "u0", Forced::Yes)));
    let (many, somebody) = tokio::join!(many, train(&world, "u2", Forced::Yes));
    assert!(somebody.is_ok(), "{somebody:?}");
    let (done, refused): (Vec<_>, Vec<_>) = many.into_iter().partition(Result::is_ok);
    let refusal = Err(AdapterError::Training(user_id("u0")));
    assert!(!refused.is_empty() && refused.iter().all(|one| *one == refusal), "{refused:?}");
    // One after the other is allowed.
    let mut versions: Vec<_> = done.into_iter().map(|one| one.expect("trained").version).collect();
    versions.sort_unstable();
    assert!(versions.iter().copied().eq(1..=versions.len() as i64), "{versions:?}");
    assert!(train(&world, "u0", Forced::Yes).await.is_ok(), "and then the next");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_ranker_there_is_nothing_to_train() {
    let world = World::with(Backend::Sqlite, small_options()).await;
    assert!(matches!(train(&world, "u0", Forced::Yes).await, Err(AdapterError::NotReady(_))));
}

async fn what_was_trained_meanwhile_is_dropped(backend: Backend) {
    let world = world(backend, options()).await;
    for (round, command) in [AdapterCommand::Reset, AdapterCommand::OptOut].into_iter().enumerate()
    {
        let (trained, done) = tokio::join!(train(&world, "u0", Forced::Yes), async {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            do_to(&world, command).await
        });
        done.expect("done");
        // Whichever was first, nothing of the training is left.
        let late = Err(AdapterError::Overtaken(user_id("u0")));
        let refused = Err(AdapterError::OptedOut(user_id("u0")));
        assert!(trained.is_ok() || trained == late || trained == refused, "{round}: {trained:?}");
        if trained.is_err() {
            assert_eq!(versions(&world.engine, "u0").await, []);
        }
    }
    assert_eq!(versions(&world.engine, "u0").await, []);
    let refused = train(&world, "u0", Forced::Yes).await;
    assert_eq!(refused, Err(AdapterError::OptedOut(user_id("u0"))));
}
on_both!(what_was_trained_meanwhile_is_dropped);

async fn who_is_erased_while_training_leaves_nothing(backend: Backend) {
    let world = world(backend, options()).await;
    for (user, wait) in [("u0", 0), ("u2", 1), ("u4", 5), ("u6", 20)] {
        let (_, erased) = tokio::join!(train(&world, user, Forced::Yes), async {
            tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
            world.engine.erase_user(&user_id(user)).await
        });
        erased.expect("erased");
        assert_eq!(versions(&world.engine, user).await, [], "{user}");
        assert_eq!(used(&world.list(user, 5).await).events, 0, "{user}");
    }
}
on_both!(who_is_erased_while_training_leaves_nothing);
