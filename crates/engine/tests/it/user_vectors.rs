//! Vectors of users, made elsewhere: what a newcomer is offered by theirs, and how it fades.

use sona_domain::{Entity, Source, UserAttributes};
use sona_engine::{Engine, Error};
use sona_testkit::databases::Backend;

use crate::encoder::eventually;
use crate::on_both;
use crate::vectors_sides::{SET, options as content_alone, vector};
use crate::world::{World, content_id, ids, list, title, user_id, watch};
use crate::written_users::{first, put};

/// Titles a degree apart; only what is near counts.
async fn degrees(backend: Backend) -> World {
    let world = World::with(backend, content_alone()).await;
    let titles: Vec<_> = (0..40).map(|n| title(&format!("t{n}"))).collect();
    world.engine.put_content(&titles).await.expect("written");
    let vectors = (0..40).map(|n| (content_id(&format!("t{n}")), vector(n * 10))).collect();
    world.engine.put_vectors(SET, vectors).await.expect("written");
    world
}

async fn put_vector(world: &World, user: &str, degree: usize) {
    let vectors = vec![(user_id(user), vector(degree * 10))];
    world.engine.put_vectors(SET, vectors).await.expect("written");
}

/// The degree of the first title of a user's list.
async fn degree(engine: &Engine, user: &str) -> usize {
    first(engine, user).await[1..].parse().expect("a number")
}

async fn a_newcomer_gets_what_is_near_their_vector_and_less_with_every_title(backend: Backend) {
    let mut world = degrees(backend).await;
    put(&world, "new", UserAttributes::default()).await;
    put_vector(&world, "new", 30).await;
    let list = world.list("new", 3).await;
    let mut near = ids(&list);
    assert_eq!(near[0], "t30");
    near.sort();
    assert_eq!(near, ["t29", "t30", "t31"]);
    assert_eq!(list.recommendations[0].explanation, "Close to what is known of your taste");
    // One title is a sixth, five are half.
    let mut before = 30;
    for (titles, expect) in (1..=5).zip([25, 22, 19, 18, 16]) {
        world.track(vec![watch("new", &format!("t{}", titles - 1))]).await;
        let now = degree(&world.engine, "new").await;
        assert!(now < before && before - now <= 5, "no cliff: from {before} to {now}");
        assert!(now.abs_diff(expect) <= 1, "{titles} titles: {now}, expected about {expect}");
        before = now;
    }
    world.restart().await;
    assert_eq!(degree(&world.engine, "new").await, before, "also after a restart");
    // Who has titles and no vector goes by the titles alone.
    world.track(vec![watch("plain", "t0")]).await;
    assert_eq!(degree(&world.engine, "plain").await, 1);
}
on_both!(a_newcomer_gets_what_is_near_their_vector_and_less_with_every_title);

async fn a_vector_is_seen_at_once_here_and_soon_elsewhere(backend: Backend) {
    let world = degrees(backend).await;
    let other = world.another().await;
    put(&world, "new", UserAttributes::default()).await;
    list(&other, "new", 1).await;
    for at in [30, 10] {
        put_vector(&world, "new", at).await;
        assert_eq!(degree(&world.engine, "new").await, at);
        eventually(async || degree(&other, "new").await == at).await;
    }
    let receipt = world.engine.erase_user(&user_id("new")).await.expect("erased");
    assert_eq!((receipt.removed.embeddings, receipt.removed.attributes), (1, 1));
    let by_vector = async |engine: &Engine| {
        let list = list(engine, "new", 1).await;
        let content = list.sources.iter().find(|status| status.source == Source::Content);
        content.expect("listed").absent.is_none()
    };
    assert!(!by_vector(&world.engine).await);
    eventually(async || !by_vector(&other).await).await;
    other.close().await;
}
on_both!(a_vector_is_seen_at_once_here_and_soon_elsewhere);

#[tokio::test]
async fn a_vector_needs_its_user_and_the_width_of_the_set() {
    let world = degrees(Backend::Sqlite).await;
    let put = async |user: &str, vector: Vec<f32>| {
        world.engine.put_vectors(SET, vec![(user_id(user), vector)]).await
    };
    let unknown = put("nobody", vec![1.0, 0.0]).await;
    assert!(matches!(unknown, Err(Error::UnknownUser(id)) if id == user_id("nobody")));
    world.track(vec![watch("u", "t0")]).await;
    let narrow = put("u", vec![1.0]).await;
    assert!(matches!(narrow, Err(Error::Width { expected: 2, found: 1 })));
    assert!(put("u", vec![f32::NAN, 1.0]).await.is_err());
    // Of titles and users together all or none.
    let both = vec![
        (Entity::from(content_id("t0")), vector(390)),
        (Entity::from(user_id("nobody")), vector(0)),
    ];
    assert!(world.engine.put_vectors(SET, both).await.is_err());
    assert_eq!(degree(&world.engine, "u").await, 1, "nothing of it was written");
}
