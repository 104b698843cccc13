//! What lists promise wherever vectors are searched: in memory always, on a double of a Qdrant server always, and on a real one
//! where `TEST_QDRANT_URL` names it.

use sona_domain::{Content, Recommendations, Source};
use sona_engine::{Options, RecommendRequest, RequestContext};
use sona_testkit::databases::Backend;
use sona_testkit::qdrant::{QdrantDouble, real_server};

use crate::encoder::eventually;
use crate::world::{World, content_id, only, title, user_id, watch};

/// Makes each named `async fn(World)` a test on every side.
macro_rules! on_sides {
    ($($test:ident),+ $(,)?) => {
        mod memory {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(super::world("memory:").await).await;
                }
            )+
        }
        mod double {
            $(
                #[tokio::test]
                async fn $test() {
                    let server = super::QdrantDouble::start();
                    super::$test(super::world(&server.url()).await).await;
                }
            )+
        }
        mod real {
            $(
                #[tokio::test]
                async fn $test() {
                    let Some(server) = super::real_server() else { return };
                    let server = server.trim_end_matches('/');
                    let name = format!("{}-{}", stringify!($test), std::process::id());
                    super::$test(super::world(&format!("{server}/{name}")).await).await;
                }
            )+
        }
    };
}

on_sides!(
    the_nearest_that_may_be_shown_are_listed,
    lists_are_as_long_at_any_selectivity,
    a_change_counts_at_once,
    titles_are_like_those_near_them,
    another_process_is_not_behind,
);

pub(crate) const SET: &str = "imported:test";

/// Only the content source speaks, of vectors that are imported; nothing else comes into its scores.
pub(crate) fn options() -> Options {
    let mut options = only(Source::Content);
    "test".clone_into(&mut options.encoder.vectors);
    options.content.seeds = 0;
    options.content.similarity_threshold = -1.0;
    options.live.follow_interval_ms = 20;
    options.vectors.deadline_ms = 5_000;
    options
}

pub(crate) async fn world(vectors: &str) -> World {
    World::searching(Backend::Sqlite, options(), vectors).await
}

/// A vector in the plane, `n` tenths of a degree from the first axis.
pub(crate) fn vector(n: usize) -> Vec<f32> {
    let angle = (n as f32 / 10.0).to_radians();
    vec![angle.cos(), angle.sin()]
}

/// Titles `t0` to `t{n - 1}`, each a bit further from the first, and a user who has watched the first.
pub(crate) async fn fill(world: &World, n: usize) {
    let titles: Vec<_> = (0..n).map(|n| title(&format!("t{n}"))).collect();
    world.engine.put_content(&titles).await.expect("written");
    let vectors = (0..n).map(|n| (content_id(&format!("t{n}")), vector(n))).collect();
    world.engine.put_vectors(SET, vectors).await.expect("written");
    world.track(vec![watch("u", "t0")]).await;
    eventually(async || degraded(&world.list("u", 1).await).is_none()).await;
}

/// What the content source says it could not do as it should.
pub(crate) fn degraded(list: &Recommendations) -> Option<String> {
    let status = list.sources.iter().find(|status| status.source == Source::Content);
    status.expect("listed").degraded.as_ref().map(ToString::to_string)
}

/// The list without some titles, in which nothing is degraded.
async fn list_without(world: &World, excluded: &[usize], limit: usize) -> Vec<String> {
    let request = RecommendRequest {
        user_id: user_id("u"),
        limit,
        exclude: excluded.iter().map(|n| content_id(&format!("t{n}"))).collect(),
        context: RequestContext::default(),
    };
    let list = world.engine.recommend(&request).await.expect("a list");
    assert_eq!(degraded(&list), None);
    crate::world::ids(&list)
}

fn named(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|n| format!("t{n}")).collect()
}

async fn the_nearest_that_may_be_shown_are_listed(world: World) {
    fill(&world, 40).await;
    assert_eq!(list_without(&world, &[], 3).await, named([1, 2, 3]));
    world.track(vec![watch("other", "t1")]).await;
    assert_eq!(list_without(&world, &[2, 3, 5], 3).await, named([1, 4, 6]));
    let hidden = Content { hidden: true, ..title("t1") };
    world.engine.put_content(&[hidden]).await.expect("written");
    assert_eq!(list_without(&world, &[], 3).await, named([2, 3, 4]));
}

/// Also where too many titles are allowed, and too many are not, to send either with the search.
async fn lists_are_as_long_at_any_selectivity(world: World) {
    fill(&world, 1400).await;
    for keep_every in [1, 2, 3, 40, 1300] {
        let (kept, excluded): (Vec<_>, Vec<_>) = (1..1400).partition(|n| n % keep_every == 0);
        let found = list_without(&world, &excluded, 50).await;
        assert_eq!(found, named(kept.into_iter().take(50)), "every {keep_every}");
    }
    let excluded: Vec<_> = (1..700).collect();
    assert_eq!(list_without(&world, &excluded, 3).await, named([700, 701, 702]));
}

async fn a_change_counts_at_once(world: World) {
    fill(&world, 20).await;
    let put = async |id: &str, n: usize| {
        let vectors = vec![(content_id(id), vector(n))];
        world.engine.put_vectors(SET, vectors).await.expect("written");
    };
    world.engine.put_content(&[title("t100")]).await.expect("written");
    put("t100", 0).await;
    assert_eq!(world.ids("u", 2).await, named([100, 1]), "a new one");
    put("t1", 900).await;
    assert_eq!(world.ids("u", 2).await, named([100, 2]), "one that moved away");
    world.engine.delete_content(&content_id("t100")).await.expect("deleted");
    assert_eq!(world.ids("u", 2).await, named([2, 3]), "one that is gone");
    eventually(async || degraded(&world.list("u", 1).await).is_none()).await;
    assert_eq!(list_without(&world, &[], 19).await.len(), 19);
    assert_eq!(world.ids("u", 2).await, named([2, 3]));
}

async fn titles_are_like_those_near_them(world: World) {
    fill(&world, 30).await;
    let like = world.engine.similar(&content_id("t10"), 4).await.expect("known");
    let mut like: Vec<_> = like.iter().map(|item| item.content_id.to_string()).collect();
    like.sort_unstable();
    assert_eq!(like, ["t11", "t12", "t8", "t9"]);
}

async fn another_process_is_not_behind(world: World) {
    fill(&world, 20).await;
    let other = world.another().await;
    let list = async || crate::world::list(&other, "u", 2).await;
    eventually(async || degraded(&list().await).is_none()).await;
    world.engine.put_content(&[title("t100")]).await.expect("written");
    // By the time of the last import others know that there is more.
    world.clock.advance(1);
    world.engine.put_vectors(SET, vec![(content_id("t100"), vector(0))]).await.expect("written");
    eventually(async || crate::world::ids(&list().await) == ["t100", "t1"]).await;
    other.close().await;
}
