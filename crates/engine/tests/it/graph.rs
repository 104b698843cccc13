//! Titles reached over what they share with the user's titles, and over who watched them.

use sona_domain::Source;
use sona_testkit::databases::Backend;

use crate::on_both;
use crate::world::{World, content_id, directed, only, title, user_id, watch};

/// Two directors with four titles each; a third title ties one of Ozu's to its viewers.
async fn fill(world: &World) {
    let titles = (0..8).map(|n| directed(&format!("t{n}"), ["Ozu", "Varda"][n / 4], &[]));
    let alone = (0..12).map(|n| title(&format!("x{n}")));
    world.engine.put_content(&titles.chain(alone).collect::<Vec<_>>()).await.expect("written");
    let mut events = Vec::new();
    for user in 0..12 {
        // Everybody something of their own, so that there is something to learn.
        events.push(watch(&format!("v{user}"), &format!("x{user}")));
        events.push(watch(&format!("v{user}"), &format!("x{}", (user + 1) % 12)));
        events.push(watch(&format!("v{user}"), "t4"));
    }
    world.track(events).await;
}

async fn a_walk_leads_over_people_and_viewers_and_says_how(backend: Backend) {
    let mut world = World::with(backend, only(Source::Graph)).await;
    fill(&world).await;
    let before = world.list("u", 3).await;
    let status = before.sources.iter().find(|status| status.source == Source::Graph);
    assert_eq!(status.and_then(|s| s.absent.as_deref()), Some("no model is trained yet"));
    world.train().await;
    world.track(vec![watch("u", "t0")]).await;
    for restarted in [false, true] {
        if restarted {
            world.restart().await;
        }
        let list = world.list("u", 3).await;
        for item in &list.recommendations {
            assert_eq!(item.sources[0].source, Source::Graph);
            assert_eq!(item.explanation, "Directed by Ozu, like Title t0");
            assert_eq!(item.based_on, [content_id("t0")]);
        }
    }
    // Nobody directed x5: only its viewers lead there.
    world.track(vec![watch("w", "x4")]).await;
    let list = world.list("w", 20).await;
    let item = list.recommendations.iter().find(|item| item.content_id == content_id("x5"));
    let item = item.expect("v4 watched both");
    assert_eq!(item.explanation, "Watched by people who watched Title x4");
}
on_both!(a_walk_leads_over_people_and_viewers_and_says_how);

#[tokio::test]
async fn who_is_erased_connects_nothing() {
    let world = World::with(Backend::Sqlite, only(Source::Graph)).await;
    fill(&world).await;
    world.train().await;
    world.track(vec![watch("w", "x4")]).await;
    let found = async |title: &str| {
        let list = world.list("w", 20).await;
        let item =
            list.recommendations.into_iter().find(|item| item.content_id == content_id(title));
        item.is_some_and(|item| item.sources.iter().any(|part| part.source == Source::Graph))
    };
    assert!(found("x5").await && found("x3").await);
    world.engine.erase_user(&user_id("v4")).await.expect("erased");
    assert!(!found("x5").await, "only v4 had watched x4 and x5");
    assert!(found("x3").await, "v3 is still there");
}

#[tokio::test]
async fn similar_titles_are_reached_too() {
    let world = World::with(Backend::Sqlite, only(Source::Graph)).await;
    fill(&world).await;
    assert!(world.engine.similar(&content_id("t0"), 5).await.expect("answered").is_empty());
    world.train().await;
    let similar = world.engine.similar(&content_id("t0"), 3).await.expect("answered");
    let mut found: Vec<_> = similar.iter().map(|title| title.content_id.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, ["t1", "t2", "t3"], "the others of the same director");
    assert!(similar.iter().all(|title| title.sources[0].source == Source::Graph));
}
