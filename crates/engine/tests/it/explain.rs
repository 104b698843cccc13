//! How a list came about.

use sona_domain::{Content, Explain, RequestContext, Source};
use sona_engine::RecommendRequest;
use sona_testkit::databases::Backend;

use crate::world::{World, content_id, event, title, user_id};

async fn explain(world: &World, limit: usize, exclude: &[&str]) -> (usize, Explain) {
    let request = RecommendRequest {
        user_id: user_id("a-user1"),
        limit,
        exclude: exclude.iter().map(|id| content_id(id)).collect(),
        context: RequestContext::default(),
    };
    let plain = world.engine.recommend(&request).await.expect("a list");
    assert_eq!(plain.explain, None);
    let list = world.engine.recommend_explained(&request).await.expect("a list");
    assert_eq!(list.recommendations, plain.recommendations, "looking changes nothing");
    for trace in &list.explain.as_ref().expect("asked for").sources {
        let status = list.sources.iter().find(|status| status.source == trace.source);
        assert_eq!(status.expect("listed").candidates, trace.candidates);
    }
    (list.recommendations.len(), list.explain.expect("asked for"))
}

#[tokio::test]
async fn every_title_is_accounted_for() {
    let world = World::two_families(Backend::Sqlite, 10, 12).await;
    world.train().await;
    // Of 23 titles one is hidden; the user has watched nine, dismissed one of the others and liked another.
    let more = [title("fresh"), title("unseen"), Content { hidden: true, ..title("hidden") }];
    world.engine.put_content(&more).await.expect("written");
    world.track(vec![event("a-user1", "b0", "dismiss"), event("a-user1", "b1", "like")]).await;

    let (shown, explain) =
        explain(&world, 3, &["b2", "b2", "b0", "a0", "hidden", "unheard-of"]).await;
    let dropped = explain.dropped;
    assert_eq!((dropped.unavailable, dropped.seen, dropped.rejected), (1, 10, 1));
    assert_eq!((dropped.excluded, dropped.became_forbidden), (1, 0));
    let left = 23 - 1 - 10 - 1 - 1 - shown as u64;
    assert_eq!((shown, dropped.not_brought + dropped.beyond_limit), (3, left));
}

#[tokio::test]
async fn stages_are_measured_and_add_up() {
    let world = World::two_families(Backend::Sqlite, 10, 12).await;
    world.train().await;
    let (_, explain) = explain(&world, 5, &[]).await;
    let stages = explain.stages;
    let parts =
        stages.user + stages.prepare + stages.gate + stages.sources + stages.order + stages.reasons;
    assert!(parts <= stages.total, "{stages:?}");
    assert!(stages.total > 0);
    let asked: Vec<_> = explain.sources.iter().map(|trace| trace.source).collect();
    assert!(asked.is_sorted() && asked.contains(&Source::Collaborative), "{asked:?}");
    let spent: u64 = explain.sources.iter().map(|trace| trace.microseconds).sum();
    assert!(spent <= stages.sources, "each is rounded down: {explain:?}");
}
