//! Lists: never empty while something unseen exists, never random, their parts sum up.

use sona_domain::{Mood, RequestContext, Source};
use sona_engine::{RecommendRequest, WriteContent};
use sona_testkit::databases::Backend;

use crate::world::{World, content_id, event, title, user_id, watch, watch_at};

#[tokio::test]
async fn families_stay_together() {
    let world = World::two_families(Backend::Sqlite, 8, 16).await;
    world.train().await;
    for (family, user) in [("a", "a-user3"), ("b", "b-user5")] {
        // The one title of the family this user has not watched comes first.
        let own = format!("{family}{}", &user[user.len() - 1..]);
        assert_eq!(world.ids(user, 3).await[0], own);
    }
    let similar = world.engine.similar(&content_id("a0"), 5).await.expect("known");
    assert_eq!(similar.len(), 5);
    assert!(similar.iter().all(|item| item.content_id.as_str().starts_with('a')));
}

#[tokio::test]
async fn contributions_sum_to_the_score_and_weights_to_one() {
    let world = World::two_families(Backend::Sqlite, 8, 16).await;
    world.train().await;
    for user in ["a-user1", "b-user2", "nobody"] {
        let list = world.list(user, 20).await;
        let weights: f32 = list.sources.iter().map(|source| source.weight).sum();
        assert!((weights - 1.0).abs() < 1e-5, "{weights}");
        for item in &list.recommendations {
            let sum: f32 = item.sources.iter().map(|part| part.contribution).sum();
            assert!((sum - item.score).abs() < 1e-6);
            assert!((0.0..=1.0 + 1e-6).contains(&item.score));
            assert!(item.sources.iter().all(|part| (0.0..=1.0).contains(&part.score)));
            assert!(!item.explanation.is_empty());
        }
        assert!(list.recommendations.is_sorted_by(|a, b| a.score >= b.score));
    }
}

#[tokio::test]
async fn a_source_that_cannot_answer_says_why() {
    let world = World::two_families(Backend::Sqlite, 4, 4).await;
    let absent = |source: Source, list: &sona_domain::Recommendations| {
        let status = list.sources.iter().find(|status| status.source == source).expect("listed");
        (status.weight, status.absent.clone())
    };
    let list = world.list("a-user0", 4).await;
    let (weight, why) = absent(Source::Collaborative, &list);
    assert_eq!((weight, why.as_deref()), (0.0, Some("no model is trained yet")));
    world.train().await;
    let cold = world.list("nobody", 4).await;
    let (_, why) = absent(Source::Sequence, &cold);
    assert_eq!(why.as_deref(), Some("the user has no history yet"));
}

#[tokio::test]
async fn a_cold_user_gets_what_is_trending() {
    let world = World::two_families(Backend::Sqlite, 5, 4).await;
    let now = world.engine.now();
    let old = now.plus_seconds(-20 * 86_400);
    // b4 was watched by many long ago, a4 by a few just now.
    let many = (0..30).map(|n| watch_at(&format!("old{n}"), "b4", old));
    let few = (0..9).map(|n| watch(&format!("new{n}"), "a4"));
    world.track(many.chain(few).collect()).await;
    let list = world.list("nobody", 5).await;
    assert_eq!(list.recommendations[0].content_id.as_str(), "a4");
    assert_eq!(list.recommendations[0].ttl_seconds, 1800);
    assert!(list.recommendations[0].explanation.starts_with("Trending: 13 viewers"));
}

#[tokio::test]
async fn nobody_gets_an_empty_list_while_something_unseen_exists() {
    let world = World::new(Backend::Sqlite).await;
    assert_eq!(world.ids("u", 5).await, Vec::<String>::new(), "there is nothing at all");
    let mut fresh: Vec<_> = (0..3).map(|n| title(&format!("t{n}"))).collect();
    fresh[1].popularity = Some(0.9);
    fresh[2].year = Some(2020);
    world.engine.put_content(&fresh).await.expect("written");
    // Nobody has watched anything: the owner's popularity, then the newest.
    assert_eq!(world.ids("u", 5).await, ["t1", "t2", "t0"]);
    world.track(vec![watch("u", "t1"), watch("u", "t2")]).await;
    assert_eq!(world.ids("u", 5).await, ["t0"]);
    world.track(vec![event("u", "t0", "dismiss")]).await;
    assert_eq!(world.ids("u", 5).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_same_question_has_the_same_answer() {
    let mut world = World::two_families(Backend::Sqlite, 8, 16).await;
    world.train().await;
    let first = world.list("a-user1", 20).await;
    let mut second = world.list("a-user1", 20).await;
    assert_ne!(second.recommendation_id, first.recommendation_id, "every list has its own name");
    second.recommendation_id = first.recommendation_id.clone();
    assert_eq!(second, first);
    world.restart().await;
    let again = world.list("a-user1", 20).await;
    assert_eq!(crate::world::ids(&again), crate::world::ids(&first));
    for (one, other) in first.recommendations.iter().zip(&again.recommendations) {
        assert!((one.score - other.score).abs() < 1e-5, "{one:?}\n{other:?}");
    }
}

#[tokio::test]
async fn exclusions_and_context_are_heard() {
    let world = World::two_families(Backend::Sqlite, 6, 8).await;
    let mut funny = title("a2");
    funny.genres = vec!["Comedy".to_owned()];
    world.engine.write_content(&funny, WriteContent::Update).await.expect("known");
    let ask = |exclude: &[&str], mood: Option<&str>| RecommendRequest {
        user_id: user_id("nobody"),
        limit: 12,
        exclude: exclude.iter().map(|id| content_id(id)).collect(),
        context: RequestContext {
            mood: mood.map(|mood| Mood::parse(mood).expect("known")),
            device_type: None,
            ..RequestContext::default()
        },
    };
    let plain = world.engine.recommend(&ask(&[], None)).await.expect("a list");
    let rest = world.engine.recommend(&ask(&["a0", "b3", "unheard-of"], None)).await;
    assert_eq!(rest.expect("a list").recommendations.len(), plain.recommendations.len() - 2);
    let happy = world.engine.recommend(&ask(&[], Some("happy"))).await.expect("a list");
    let scored = |list: &sona_domain::Recommendations| {
        let item = list.recommendations.iter().find(|i| i.content_id.as_str() == "a2");
        item.expect("listed").sources.iter().any(|part| part.source == Source::Context)
    };
    assert!(scored(&happy) && !scored(&plain));
}

#[tokio::test]
async fn reasons_name_what_the_user_did() {
    let world = World::two_families(Backend::Sqlite, 8, 16).await;
    world.train().await;
    let list = world.list("a-user3", 1).await;
    let item = &list.recommendations[0];
    assert!(item.explanation.starts_with("Because you watched Title a"), "{}", item.explanation);
    assert!(!item.based_on.is_empty());
    assert!(item.based_on.iter().all(|id| id.as_str().starts_with('a')));
}
