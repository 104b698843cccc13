//! The content source: titles whose texts are like those of the user's titles.

use sona_domain::{EventDraft, RecommendationType, Recommendations, Source};
use sona_testkit::databases::Backend;

use crate::encoder::eventually;
use crate::vectors::{film, with_vectors};
use crate::world::{World, content_id, event, only, watch, watch_at};

async fn world() -> World {
    with_vectors(World::with(Backend::Sqlite, only(Source::Content)).await).await
}

/// The titles the content source speaks for, best first.
fn by_content(list: &Recommendations) -> Vec<String> {
    let said = list.recommendations.iter().filter(|item| {
        item.sources.iter().any(|part| part.source == Source::Content && part.score > 0.0)
    });
    said.map(|item| item.content_id.to_string()).collect()
}

fn absent(list: &Recommendations) -> Option<String> {
    let status = list.sources.iter().find(|status| status.source == Source::Content);
    status.expect("listed").absent.as_ref().map(ToString::to_string)
}

#[tokio::test]
async fn a_title_nobody_has_watched_is_found() {
    let world = world().await;
    world.track(vec![watch("u", "s1")]).await;
    let new = film("new", "An astronaut repairs a station above the planet.");
    world.engine.put_content(&[new]).await.expect("written");
    eventually(async || world.engine.stats().vectors == 7).await;
    let list = world.list("u", 3).await;
    let found = by_content(&list);
    assert!(found.contains(&"new".to_owned()), "{found:?}");
    assert!(!found.contains(&"s1".to_owned()), "what was seen is not shown: {found:?}");
    let first = &list.recommendations[0];
    assert!(["s2", "s3", "new"].contains(&first.content_id.as_str()), "{found:?}");
    assert_eq!(first.recommendation_type, RecommendationType::Content);
    assert_eq!(first.based_on, [content_id("s1")]);
    assert_eq!(first.explanation, "Because you watched Solaris");
    assert!((first.score - 1.0).abs() < 1e-6, "the best has all of the weight");
}

#[tokio::test]
async fn both_tastes_are_served() {
    let world = world().await;
    world.track(vec![watch("u", "s1"), watch("u", "w1")]).await;
    let found = by_content(&world.list("u", 4).await);
    let of = |family: &str| found.iter().filter(|id| id.starts_with(family)).count();
    assert_eq!((of("s"), of("w")), (2, 2), "{found:?}");
}

#[tokio::test]
async fn who_refused_everything_has_no_taste() {
    let world = world().await;
    let refused = |id: &str| EventDraft { dismissed: true, ..watch("u", id) };
    world.track(vec![refused("s1"), refused("w1"), event("u", "w2", "dislike")]).await;
    let list = world.list("u", 9).await;
    assert_eq!(by_content(&list), Vec::<String>::new());
    assert_eq!(absent(&list).as_deref(), Some("the user has no history yet"));
    assert!(list.recommendations.iter().all(|item| item.score.is_finite()));
}

#[tokio::test]
async fn the_future_counts_as_now_and_the_past_less() {
    let world = world().await;
    let now = world.engine.now();
    let years = |n: i64| now.plus_seconds(n * 365 * 86_400);
    world.track(vec![watch_at("a", "s1", years(-30)), watch_at("a", "w1", years(30))]).await;
    let ahead = by_content(&world.list("a", 1).await);
    assert!(ahead[0].starts_with('w'), "{ahead:?}");
    world.track(vec![watch_at("b", "s1", now), watch_at("b", "w1", years(-30))]).await;
    let past = by_content(&world.list("b", 1).await);
    assert!(past[0].starts_with('s'), "{past:?}");
}

#[tokio::test]
async fn the_threshold_does_not_empty_the_list() {
    let mut options = only(Source::Content);
    options.content.seeds = 0;
    options.content.similarity_threshold = 1.0;
    let mut world = with_vectors(World::with(Backend::Sqlite, options).await).await;
    world.track(vec![watch("u", "s1")]).await;
    assert!(!by_content(&world.list("u", 9).await).is_empty(), "nothing reaches a cosine of 1");

    // A twin does.
    let twin = sona_domain::Content { title: "Solaris".to_owned(), ..film("twin", OVERVIEW) };
    world.engine.put_content(&[twin]).await.expect("written");
    eventually(async || world.engine.stats().vectors == 7).await;
    world.options.content.similarity_threshold = 0.999;
    world.restart().await;
    assert_eq!(by_content(&world.list("u", 9).await), ["twin"]);
}

const OVERVIEW: &str = "An astronaut meets his past above an ocean planet.";

#[tokio::test]
async fn without_vectors_it_says_so() {
    let world = World::with(Backend::Sqlite, only(Source::Content)).await;
    world.fill(4, 4).await;
    let list = world.list("a-user0", 3).await;
    assert_eq!(absent(&list).as_deref(), Some("no title has a vector yet"));
    assert!(!list.recommendations.is_empty(), "others step in");
}

#[tokio::test]
async fn a_title_nobody_has_watched_has_similar_ones() {
    let world = with_vectors(World::new(Backend::Sqlite).await).await;
    let similar = async |id: &str| world.engine.similar(&content_id(id), 5).await.expect("known");
    let found = similar("s1").await;
    assert!(["s2", "s3"].contains(&found[0].content_id.as_str()), "{found:?}");
    assert_eq!(found[0].recommendation_type, RecommendationType::Content);

    // With users there are more sources, and each says what it adds.
    world.fill(6, 8).await;
    world.track(vec![watch("a", "s1"), watch("a", "s2"), watch("b", "s1"), watch("b", "s2")]).await;
    world.train().await;
    let found = similar("s1").await;
    let first = &found[0];
    assert_eq!(first.content_id, content_id("s2"));
    assert_eq!(first.recommendation_type, RecommendationType::Hybrid);
    let says: Vec<_> = first.sources.iter().map(|part| part.source).collect();
    for source in [Source::Collaborative, Source::Sequence, Source::Content] {
        assert!(says.contains(&source), "{says:?}");
    }
    let sum: f32 = first.sources.iter().map(|part| part.contribution).sum();
    assert!((sum - first.score).abs() < 1e-5);
}
