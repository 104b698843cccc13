//! Erasing users: what goes, what others notice, what begins anew.

use std::sync::Arc;

use sona_domain::{ContentId, Entity, Erased, FileTraces, Region, Source, UserAttributes};
use sona_engine::Engine;
use sona_testkit::databases::Backend;

use crate::on_both;
use crate::vectors_sides::{SET, options as content_alone, vector};
use crate::world::{World, content_id, event, ids, list, small_options, title, user_id, watch};

async fn a_receipt_says_what_there_was(backend: Backend) {
    let mut world = World::two_families(backend, 4, 4).await;
    world
        .track(vec![watch("gone", "a0"), watch("gone", "a1"), event("gone", "b1", "dismiss")])
        .await;
    world.engine.write_profiles(&[user_id("gone")]).await.expect("written");
    world.train().await;
    world.track(vec![watch("gone", "a2")]).await;
    let receipt = world.engine.erase_user(&user_id("gone")).await.expect("erased");
    let expect = Erased {
        events: 4,
        profiles: 1,
        attributes: 0,
        embeddings: 0,
        exposures: 0,
        adapters: 0,
        waiting_profiles: 1,
        states: 1,
        counted_titles: 3,
        trending_titles: 3,
    };
    assert_eq!((&receipt.user_id, receipt.removed), (&user_id("gone"), expect));
    assert_eq!(receipt.models, [1]);
    assert_eq!(receipt.kept_digest.as_deref().map(str::len), Some(64));
    let files = if backend == Backend::Sqlite { FileTraces::None } else { FileTraces::Vacuumed };
    assert_eq!(receipt.files, files);

    let again = world.engine.erase_user(&user_id("gone")).await.expect("asked");
    assert_eq!((again.removed, again.kept_digest, again.models), (Erased::default(), None, vec![]));
    for _ in 0..2 {
        assert_eq!(world.engine.profile(&user_id("gone")).await.expect("read"), None);
        assert_eq!(world.list("gone", 3).await.interaction_count, 0);
        world.restart().await;
    }
    // The log goes on behind the gap.
    world.track(vec![watch("other", "a0")]).await;
    assert_eq!(world.list("other", 3).await.interaction_count, 1);
}
on_both!(a_receipt_says_what_there_was);

async fn what_was_sent_before_goes_and_what_is_sent_later_stays(backend: Backend) {
    let world = World::two_families(backend, 6, 4).await;
    let id = user_id("u");
    for round in 0..20 {
        let (before, receipt, after) = tokio::join!(
            biased;
            world.engine.track(vec![watch("u", "a0"), watch("u", "a1")]),
            world.engine.erase_user(&id),
            async {
                // The erasure is in the queue by then.
                tokio::task::yield_now().await;
                world.engine.follow().await.expect("followed");
                world.engine.track(vec![watch("u", "b3")]).await
            },
        );
        before.expect("accepted");
        after.expect("accepted");
        let receipt = receipt.expect("erased");
        assert!(receipt.removed.events >= 2, "round {round}: {receipt:?}");
        world.engine.follow().await.expect("followed");
        let rest = world.list("u", 20).await;
        assert!(rest.interaction_count <= 1, "round {round}: {}", rest.interaction_count);
        assert!(ids(&rest).contains(&"a0".to_owned()) && ids(&rest).contains(&"a1".to_owned()));
        world.engine.erase_user(&id).await.expect("erased");
    }
}
on_both!(what_was_sent_before_goes_and_what_is_sent_later_stays);

async fn a_new_life_counts_from_its_first_event(backend: Backend) {
    let world = World::two_families(backend, 4, 2).await;
    world.track(vec![watch("u", "a0")]).await;
    world.engine.erase_user(&user_id("u")).await.expect("erased");
    world.track(vec![watch("u", "b1")]).await;
    // The removal is old news by now and must not hit what came after it.
    world.engine.follow().await.expect("followed");
    let receipt = world.engine.erase_user(&user_id("u")).await.expect("erased");
    assert_eq!((receipt.removed.events, receipt.removed.trending_titles), (1, 1));
}
on_both!(a_new_life_counts_from_its_first_event);

/// Lists rest on counts that are those of a world in which the user never was, before and after a training.
async fn others_lists_are_as_if_the_user_had_never_been(backend: Backend) {
    let mut options = small_options();
    // What was trained with the user stays until the next training.
    options.fusion.collaborative = 0.0;
    options.fusion.item_item = 0.0;
    let with = World::with(backend, options.clone()).await;
    let without = World::with(Backend::Sqlite, options).await;
    for world in [&with, &without] {
        world.fill(6, 5).await;
    }
    let lists = async |world: &World| {
        let mut all = Vec::new();
        for user in ["a-user0", "b-user1", "nobody"] {
            // Titles of one family are alike: rounding decides their order.
            let mut list = list(&world.engine, user, 12).await.recommendations;
            list.sort_by(|a, b| a.content_id.cmp(&b.content_id));
            all.extend(list.into_iter().map(|item| (item.content_id, item.score)));
        }
        all
    };
    with.track(["a0", "b0", "a1", "b1"].map(|title| watch("u", title)).into()).await;
    for world in [&with, &without] {
        world.train().await;
    }
    with.track(vec![watch("u", "b5"), event("u", "a0", "dislike"), watch("u", "a4")]).await;
    assert_ne!(lists(&with).await, lists(&without).await, "the user makes a difference");
    with.engine.erase_user(&user_id("u")).await.expect("erased");
    let (ours, theirs) = (lists(&with).await, lists(&without).await);
    assert_eq!(ours.len(), theirs.len());
    for (a, b) in ours.iter().zip(&theirs) {
        assert_eq!(a.0, b.0);
        assert!((a.1 - b.1).abs() < 1e-4, "{a:?} {b:?}");
    }
}
on_both!(others_lists_are_as_if_the_user_had_never_been);

/// What is done to a user who is being erased: events, attributes, vectors, and requests that bring them into memory. `life`
/// says which: every life has its own titles, region and vector.
async fn live(engine: &Arc<Engine>, life: usize) {
    let user = user_id("u");
    let region = Region::parse(["DE", "FR"][life]).ok();
    let known = UserAttributes { region, ..UserAttributes::default() };
    for n in 0..4 {
        engine.put_users(&[(user.clone(), known.clone())]).await.expect("written");
        let seen = format!("t{}", life * 20 + n);
        engine.track(vec![watch("u", &seen)]).await.expect("tracked");
        // There is no user while they are erased: then there is no vector either.
        let own = vec![(user.clone(), vector(life * 200 + 100))];
        let _ = engine.put_vectors(SET, own).await;
        list(engine, "u", 3).await;
        tokio::task::yield_now().await;
    }
}

/// What the database has of the user, and that it is all of the second life.
async fn check_stored(world: &World, round: usize) -> usize {
    let store = sona_store::open(&world.database.url).await.expect("opened");
    let (user, users) = (user_id("u"), [user_id("u")]);
    let history = store.histories(&users).await.expect("read").concat();
    let titles: Vec<ContentId> =
        history.iter().map(|logged| logged.event.content_id.clone()).collect();
    let first: Vec<_> = (0..4).map(|n| content_id(&format!("t{n}"))).collect();
    assert!(titles.iter().all(|title| !first.contains(title)), "round {round}: {titles:?}");
    for written in store.written_users(Some(SET), &users).await.expect("read") {
        let region = written.attributes.region.map(|region| region.to_string());
        assert!(
            region.is_none_or(|region| region == "FR"),
            "round {round}: {:?}",
            written.attributes
        );
        assert!(written.vector.is_none_or(|own| own == vector(300)), "round {round}");
    }
    let vectors = store.embeddings_of(SET, &[Entity::User(user)]).await.expect("read");
    assert!(vectors.iter().all(|own| own.vector == vector(300)), "round {round}");
    store.close().await;
    history.len()
}

/// What a process has of the user in memory, as their list tells.
#[derive(Debug, Default, PartialEq)]
struct Known {
    events: u64,
    region: Option<String>,
    /// The title that is nearest to their vector and their titles.
    nearest: Option<ContentId>,
}

async fn known(engine: &Engine) -> Known {
    let list = list(engine, "u", 40).await;
    let mut known = Known { events: list.interaction_count, ..Known::default() };
    let mut best = 0.0;
    for item in list.recommendations {
        let region = item.explanation.strip_prefix("Watched often in ").map(str::to_owned);
        known.region = known.region.or(region);
        for part in item.sources.iter().filter(|part| part.source == Source::Content) {
            if part.score > best {
                best = part.score;
                known.nearest = Some(item.content_id.clone());
            }
        }
    }
    known
}

/// Erased while they act, are written and are asked for in two processes, a user is afterwards what came after the erasure:
/// in the database, and in the memory of both processes, which know of them what one that was just opened knows.
async fn nothing_outlives_an_erasure_among_writes(backend: Backend) {
    const ROUNDS: usize = 12;
    let mut options = content_alone();
    // The reason tells the region.
    options.fusion.context = 5.0;
    let world = World::with(backend, options).await;
    let titles: Vec<_> = (0..40).map(|n| title(&format!("t{n}"))).collect();
    world.engine.put_content(&titles).await.expect("written");
    let vectors = (0..40).map(|n| (content_id(&format!("t{n}")), vector(n * 10))).collect();
    world.engine.put_vectors(SET, vectors).await.expect("written");
    // Something is watched in one region and not in the other, so that a reason can say where.
    for (neighbour, region, own) in [("hans", "DE", "t38"), ("jean", "FR", "t39")] {
        let from = UserAttributes { region: Region::parse(region).ok(), ..Default::default() };
        world.engine.put_users(&[(user_id(neighbour), from)]).await.expect("written");
        world.track(vec![watch(neighbour, own)]).await;
    }
    let other = world.another().await;
    for round in 0..ROUNDS {
        // The first life is over, and acknowledged, before the erasure is asked for.
        tokio::join!(live(&world.engine, 0), live(&other, 0));
        for engine in [&world.engine, &other] {
            engine.follow().await.expect("followed");
            let known = known(engine).await;
            assert_eq!((known.events, known.region.as_deref()), (8, Some("DE")), "round {round}");
        }
        let erase = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            world.engine.erase_user(&user_id("u")).await.expect("erased")
        };
        let (ours, theirs) = (world.engine.clone(), other.clone());
        let (_, first, second) = tokio::join!(
            erase,
            tokio::spawn(async move { live(&ours, 1).await }),
            tokio::spawn(async move { live(&theirs, 1).await }),
        );
        first.and(second).expect("nothing fails");
        let stored = check_stored(&world, round).await;
        let fresh = world.another().await;
        let expect = known(&fresh).await;
        assert_eq!(expect.events, stored as u64, "round {round}");
        for engine in [&world.engine, &other] {
            engine.follow().await.expect("followed");
            assert_eq!(known(engine).await, expect, "round {round}");
        }
        fresh.close().await;
        // And of what nobody adds to nothing is left at all.
        world.engine.erase_user(&user_id("u")).await.expect("erased");
        assert_eq!(check_stored(&world, round).await, 0);
        for engine in [&world.engine, &other] {
            engine.follow().await.expect("followed");
            assert_eq!(known(engine).await, Known::default(), "round {round}");
        }
    }
    other.close().await;
}
on_both!(nothing_outlives_an_erasure_among_writes);
