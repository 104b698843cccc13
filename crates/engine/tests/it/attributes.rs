//! Titles that share attributes: served the moment they are in the catalogue, by what they are alone.

use sona_domain::{Content, RecommendationType, Source};
use sona_engine::WriteContent;
use sona_testkit::databases::Backend;

use crate::on_both;
use crate::world::{World, content_id, directed, ids, list, only, title, watch};

/// Twelve titles, three to a director, with a theme that half of them have.
async fn fill(world: &World) {
    let director = |n: usize| ["Ray", "Varda", "Kurosawa", "Ozu"][n / 3];
    let half = |n: usize| if n.is_multiple_of(2) { "even" } else { "odd" };
    let titles = (0..12).map(|n| directed(&format!("t{n}"), director(n), &[half(n)]));
    world.engine.put_content(&titles.collect::<Vec<_>>()).await.expect("written");
}

async fn a_new_title_is_served_at_once(backend: Backend) {
    let mut world = World::with(backend, only(Source::Attributes)).await;
    let other = world.another().await;
    fill(&world).await;
    world.track(vec![watch("u", "t0"), watch("u", "t1")]).await;
    assert_eq!(world.ids("u", 1).await, ["t2"]);

    let new = directed("new", "Ray", &["odd"]);
    world.engine.write_content(&new, WriteContent::Create).await.expect("written");
    let served = world.list("u", 2).await;
    let item = served.recommendations.iter().find(|item| item.content_id.as_str() == "new");
    let item = item.expect("in the very next list");
    assert_eq!(item.recommendation_type, RecommendationType::Attributes);
    assert_eq!(item.sources[0].source, Source::Attributes);
    assert_eq!(item.explanation, "Shares Ray and odd with Title t1");
    assert_eq!(item.based_on, [content_id("t1")]);
    assert_eq!(served.model_version, None, "nothing is trained");

    // Another process sees it too, and so does one that was just opened.
    other.follow().await.expect("followed");
    let mut expect = ids(&served);
    expect.sort();
    for engine in [&other, &world.another().await] {
        let mut found = ids(&list(engine, "u", 2).await);
        found.sort();
        assert_eq!(found, expect);
    }

    // Another director now, and then none at all.
    let changed = directed("new", "Varda", &[]);
    world.engine.write_content(&changed, WriteContent::Update).await.expect("written");
    assert_eq!(world.ids("u", 1).await, ["t2"]);
    world.track(vec![watch("v", "t3")]).await;
    assert!(world.ids("v", 3).await.contains(&"new".to_owned()));
    assert!(world.engine.delete_content(&content_id("new")).await.expect("deleted"));
    assert!(!world.ids("v", 3).await.contains(&"new".to_owned()));
    world.restart().await;
    assert_eq!(world.ids("u", 1).await, ["t2"]);
}
on_both!(a_new_title_is_served_at_once);

#[tokio::test]
async fn many_titles_at_once_and_one_by_one_are_alike_the_same_way() {
    let (at_once, one_by_one) = (
        World::with(Backend::Sqlite, only(Source::Attributes)).await,
        World::with(Backend::Sqlite, only(Source::Attributes)).await,
    );
    fill(&at_once).await;
    fill(&one_by_one).await;
    let half = |n: usize| if n % 4 < 2 { "even" } else { "odd" };
    let more: Vec<_> =
        (0..40).map(|n| directed(&format!("m{n}"), ["Ray", "Ozu"][n % 2], &[half(n)])).collect();
    at_once.engine.put_content(&more).await.expect("written");
    for one in &more {
        one_by_one.engine.write_content(one, WriteContent::Create).await.expect("written");
    }
    for world in [&at_once, &one_by_one] {
        world.track(vec![watch("u", "t0")]).await;
    }
    // Those that share both: how alike the others are depends on when rarities were last found.
    let mut lists = [at_once.ids("u", 11).await, one_by_one.ids("u", 11).await];
    for list in &mut lists {
        list.sort();
    }
    assert_eq!(lists[0], lists[1]);
    assert!(lists[0].contains(&"t2".to_owned()) && lists[0].contains(&"m4".to_owned()));
}

#[tokio::test]
async fn who_it_cannot_help_is_told_why() {
    let world = World::with(Backend::Sqlite, only(Source::Attributes)).await;
    let absent = async |user: &str| {
        let list = world.list(user, 3).await;
        let status = list.sources.into_iter().find(|status| status.source == Source::Attributes);
        status.expect("listed").absent.map(std::borrow::Cow::into_owned)
    };
    world.engine.put_content(&[title("a"), title("b")]).await.expect("written");
    assert_eq!(absent("u").await.as_deref(), Some("the user has no history yet"));
    world.track(vec![watch("u", "a")]).await;
    let said = "nothing unseen shares attributes with the user's latest titles";
    assert_eq!(absent("u").await.as_deref(), Some(said));
    fill(&world).await;
    assert_eq!(absent("u").await.as_deref(), Some(said));
}

#[tokio::test]
async fn what_is_described_alike_is_similar_before_anybody_watched_it() {
    let world = World::with(Backend::Sqlite, only(Source::Attributes)).await;
    fill(&world).await;
    let of_year = |id: &str, year| Content { year: Some(year), ..directed(id, "Ray", &[]) };
    let titles = [of_year("asked", 1960), of_year("close", 1962), of_year("far", 2005)];
    world.engine.put_content(&titles).await.expect("written");
    let similar = world.engine.similar(&content_id("asked"), 20).await.expect("known");
    let place = |id: &str| similar.iter().position(|item| item.content_id.as_str() == id);
    assert!(place("close").expect("shares a director") < place("far").expect("so does it"));
    assert_eq!(similar[0].recommendation_type, RecommendationType::Attributes);
    assert!(place("t3").is_none(), "another director's, and nothing else in common");
}
