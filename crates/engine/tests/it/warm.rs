//! What is kept from one request to the next never shows: an engine that has answered before answers as one that
//! was just opened, and asks the database nothing.

use std::sync::Arc;

use sona_domain::{Content, Entity, Region, Source, Timestamp, UserAttributes};
use sona_engine::{Engine, Options, Parts, RecommendRequest, ScoreRequest};
use sona_testkit::clock::ManualClock;
use sona_testkit::databases::Backend;
use sona_testkit::ids::CountingIds;

use crate::counting_store::CountingStore;
use crate::on_both;
use crate::vectors_sides::{SET, vector};
use crate::world::{World, content_id, event, small_options, title, user_id, watch};

const DAY: i64 = 86_400;

/// Only the model speaks, and brings fewer titles than there are.
fn options() -> Options {
    let mut options = small_options();
    options.fusion.sequence = 0.0;
    options.fusion.trending = 0.0;
    options.fusion.popular = 0.0;
    options.fusion.candidates_per_source = 5;
    options
}

/// Sixty titles; forty users with twelve of them each, in no pattern, so that no two titles score alike.
async fn fill(world: &World) {
    let titles: Vec<_> = (0..60).map(|n| title(&format!("t{n}"))).collect();
    world.engine.put_content(&titles).await.expect("written");
    let row = |user: u32, n: u32| (user * 7 + n * n * 5 + user * n * 3) % 60;
    let watched =
        |user| (0..12).map(move |n| watch(&format!("u{user}"), &format!("t{}", row(user, n))));
    world.track((0..40).flat_map(watched).collect()).await;
}

fn request(limit: usize, exclude: &[&str]) -> RecommendRequest {
    RecommendRequest {
        user_id: user_id("u1"),
        limit,
        exclude: exclude.iter().map(|id| content_id(id)).collect(),
        context: sona_engine::RequestContext::default(),
    }
}

async fn agree(world: &World) {
    let fresh = world.another().await;
    let many: Vec<_> = (0..40).map(|n| format!("t{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for request in [request(4, &[]), request(4, &["t1"]), request(60, &[]), request(4, &many)] {
        let warm = world.engine.recommend(&request).await.expect("answered");
        let mut again = world.engine.recommend(&request).await.expect("answered");
        assert_ne!(warm.recommendation_id, again.recommendation_id, "every list has its own name");
        again.recommendation_id = warm.recommendation_id.clone();
        assert_eq!(warm, again);
        let fresh = fresh.recommend(&request).await.expect("answered");
        assert!(!warm.recommendations.is_empty());
        assert_eq!(warm.recommendations.len(), fresh.recommendations.len());
        for (warm, fresh) in warm.recommendations.iter().zip(&fresh.recommendations) {
            assert_eq!((&warm.content_id, &warm.based_on), (&fresh.content_id, &fresh.based_on));
            // Rows lie in another order there, and so do the additions.
            assert!((warm.score - fresh.score).abs() < 1e-3, "{request:?} {warm:?} {fresh:?}");
        }
    }
    fresh.close().await;
}

/// The user, others, the catalogue, the clock and the model change in turn.
async fn a_warm_engine_answers_like_a_fresh_one(backend: Backend) {
    let world = World::with(backend, options()).await;
    fill(&world).await;
    world.train().await;
    agree(&world).await;

    world.track(vec![event("u1", "t33", "like"), watch("u2", "t4")]).await;
    agree(&world).await;

    let best = world.list("u1", 1).await.recommendations[0].content_id.clone();
    let hidden = Content { hidden: true, ..title(best.as_str()) };
    world.engine.put_content(&[hidden]).await.expect("written");
    assert_ne!(world.list("u1", 1).await.recommendations[0].content_id, best);
    agree(&world).await;

    let tomorrow = Timestamp::from_micros(world.engine.now().as_micros() + DAY * 1_000_000);
    let soon = Content { available_from: Some(tomorrow), ..title(best.as_str()) };
    world.engine.put_content(&[soon, title("new")]).await.expect("written");
    agree(&world).await;
    world.clock.advance(2 * DAY);
    assert_eq!(world.list("u1", 1).await.recommendations[0].content_id, best);
    agree(&world).await;

    world.train().await;
    agree(&world).await;
}
on_both!(a_warm_engine_answers_like_a_fresh_one);

/// What the task behind the answers asks.
pub(crate) const BEHIND: [&str; 2] = ["put_exposures", "delete_exposures"];

/// Opens the engine anew on a store that notes what it is asked, from now on.
pub(crate) async fn restart_counted(world: &mut World) -> Arc<CountingStore> {
    world.engine.close().await;
    let store = sona_store::open(&world.database.url).await.expect("opened");
    let store = Arc::new(CountingStore::new(store));
    let parts = Parts {
        store: store.clone(),
        blobs: world.blobs.clone(),
        vectors: None,
        clock: Arc::new(ManualClock::default()),
        ids: Arc::new(CountingIds::default()),
        options: world.options.clone(),
    };
    world.engine = Engine::open(parts).await.expect("an engine");
    // The tasks have had their first look.
    world.engine.follow().await.expect("followed");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    store.take();
    store
}

/// Lists, scores and similar titles of a user whose state is in memory come from memory alone.
async fn a_warm_request_asks_the_database_nothing(backend: Backend) {
    let mut options = options();
    // Nobody looks for what other processes wrote meanwhile.
    options.live.follow_interval_ms = 60_000;
    "test".clone_into(&mut options.encoder.vectors);
    options.fusion.content = 0.2;
    options.fusion.context = 0.2;
    let mut world = World::with(backend, options).await;
    fill(&world).await;
    let known = UserAttributes { region: Region::parse("DE").ok(), ..UserAttributes::default() };
    world.engine.put_users(&[(user_id("u1"), known)]).await.expect("written");
    let vectors = (0..60).map(|n| (Entity::from(content_id(&format!("t{n}"))), vector(n)));
    let vectors = vectors.chain([(Entity::from(user_id("u1")), vector(30))]).collect();
    world.engine.put_vectors(SET, vectors).await.expect("written");
    world.train().await;
    let store = restart_counted(&mut world).await;
    let cold = world.list("u1", 5).await;
    let asked = store.take();
    let looked_up = |name| asked.contains(&name);
    assert!(looked_up("histories") && looked_up("written_users"), "who is not in memory is read");
    for source in [Source::Content, Source::Context] {
        let status = cold.sources.iter().find(|status| status.source == source);
        assert_eq!(status.expect("listed").absent, None, "what was written takes part");
    }
    for limit in [1, 5, 50] {
        let list = world.engine.recommend(&request(limit, &["t1"])).await.expect("answered");
        assert_eq!(list.model_version, cold.model_version);
        world.engine.recommend_explained(&request(limit, &[])).await.expect("answered");
    }
    let content_ids = (0..60).map(|n| content_id(&format!("t{n}"))).collect();
    let (user_id, context) = (user_id("u1"), sona_engine::RequestContext::default());
    let scored = ScoreRequest { user_id, content_ids, context };
    world.engine.score(&scored).await.expect("answered");
    world.engine.similar(&content_id("t1"), 5).await.expect("answered");
    let mut asked = store.take();
    asked.retain(|name| !BEHIND.contains(name));
    assert_eq!(asked, [""; 0]);
    world.engine.close().await;
    assert!(store.take().contains(&"put_exposures"));
}
on_both!(a_warm_request_asks_the_database_nothing);
