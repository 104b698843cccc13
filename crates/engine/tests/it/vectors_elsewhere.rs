//! An index outside of the process is a help: whatever it lacks, memory has, and the answer says that it was needed.

use std::time::Duration;

use sona_engine::Engine;
use sona_testkit::databases::Backend;
use sona_testkit::qdrant::QdrantDouble;
use tonic::Code;

use crate::encoder::{eventually, learn};
use crate::vectors::{embed, film, with_vectors};
use crate::vectors_sides::{degraded, fill, options, vector, world};
use crate::world::{World, content_id, small_options, title};

fn searches(engine: &Engine, outcome: &str) -> u64 {
    let counts = engine.stats().vector_searches;
    counts.into_iter().find(|(name, _)| *name == outcome).expect("counted").1
}

#[tokio::test]
async fn in_memory_there_is_nothing_to_say_of_it() {
    let world = world("memory:").await;
    fill(&world, 5).await;
    let stats = world.engine.stats();
    assert_eq!((&*stats.vector_index, stats.vector_index_error), ("memory:", None));
    assert!(stats.vector_searches.is_empty());
}

#[tokio::test]
async fn the_index_is_what_memory_is() {
    let server = QdrantDouble::start();
    let mut world = world(&server.url()).await;
    fill(&world, 12).await;
    assert_eq!(world.engine.stats().vector_index, format!("{}/sona", server.url()));
    assert!(searches(&world.engine, "answered") > 0 && server.calls("query") > 0);
    let collection = "sona.imported_3atest";
    assert_eq!(server.content()[collection].len(), 12);
    world.engine.delete_content(&content_id("t3")).await.expect("deleted");
    eventually(async || server.content()[collection].len() == 11).await;

    // What is there is not sent again, what should not be there is taken out.
    let before = server.calls("upsert");
    world.engine.close().await;
    server.forget("t5");
    world.restart().await;
    eventually(async || degraded(&world.list("u", 1).await).is_none()).await;
    assert_eq!((server.content()[collection].len(), server.calls("upsert")), (11, before + 1));
}

#[tokio::test]
async fn two_encoders_sets_are_side_by_side_until_the_new_one_serves() {
    let server = QdrantDouble::start();
    let mut options = small_options();
    options.fusion.content = 1.0;
    options.live.follow_interval_ms = 20;
    let world = with_vectors(World::searching(Backend::Sqlite, options, &server.url()).await).await;
    let sets = || server.content().into_iter().map(|(set, c)| (set, c.len())).collect::<Vec<_>>();
    let of = |encoder: &str, titles| vec![(format!("sona.{encoder}"), titles)];
    eventually(async || sets() == of("learned-1", 6)).await;
    learn(&world.engine).await;
    let new = film("s4", "An astronaut repairs a station above the planet.");
    world.engine.put_content(&[new]).await.expect("written");
    eventually(async || sets() == of("learned-1", 7)).await;

    // While the new set is made the old one stays, also if making it fails at first.
    server.delay(Duration::from_millis(50));
    server.fail_with([Code::PermissionDenied]);
    embed(&world.engine).await;
    let mut side_by_side = false;
    eventually(async || {
        side_by_side |= sets().len() == 2;
        sets() == of("learned-2", 7)
    })
    .await;
    assert!(side_by_side);
}

#[tokio::test]
async fn without_the_server_lists_are_what_they_were() {
    let mut server = QdrantDouble::start();
    let world = world(&server.url()).await;
    fill(&world, 20).await;
    let before = world.ids("u", 5).await;
    server.stop().await;
    for _ in 0..3 {
        let list = world.list("u", 5).await;
        assert_eq!(crate::world::ids(&list), before);
        let said = degraded(&list).expect("named");
        assert_eq!(said, "the vector index failed; memory was searched");
    }
    assert!(world.engine.stats().vector_index_error.is_some());
    // It is left alone for a while, and a change waits for it.
    let said = degraded(&world.list("u", 5).await).expect("named");
    assert_eq!(said, "the vector index failed lately; memory was searched");
    assert_eq!((searches(&world.engine, "failed"), searches(&world.engine, "resting")), (3, 1));

    server.listen();
    world.clock.advance(2);
    eventually(async || degraded(&world.list("u", 5).await).is_none()).await;
    eventually(async || world.engine.stats().vector_index_error.is_none()).await;
    assert_eq!(world.ids("u", 5).await, before);
}

#[tokio::test]
async fn a_server_that_is_late_is_not_waited_for() {
    let server = QdrantDouble::start();
    let mut options = options();
    options.vectors.deadline_ms = 300;
    let world = World::searching(Backend::Sqlite, options, &server.url()).await;
    fill(&world, 20).await;
    let before = world.ids("u", 5).await;
    server.delay(Duration::from_secs(20));
    let list = world.list("u", 5).await;
    assert_eq!(crate::world::ids(&list), before);
    let said = degraded(&list).expect("named");
    assert_eq!(said, "the vector index was too slow; memory was searched");
    assert_eq!(searches(&world.engine, "late"), 1);
}

#[tokio::test]
async fn what_the_server_lost_is_found_and_made_anew() {
    let server = QdrantDouble::start();
    let world = world(&server.url()).await;
    fill(&world, 8).await;
    let before = world.ids("u", 7).await;
    server.forget("t4");
    let list = world.list("u", 7).await;
    assert_eq!(crate::world::ids(&list), before);
    let said = degraded(&list).expect("named");
    assert_eq!(said, "the vector index found too few titles; memory was searched");

    eventually(async || degraded(&world.list("u", 7).await).is_none()).await;
    assert_eq!(server.content()["sona.imported_3atest"].len(), 8);

    server.drop_collection("sona.imported_3atest");
    assert_eq!(world.ids("u", 7).await, before);
    eventually(async || degraded(&world.list("u", 7).await).is_none()).await;
    assert_eq!(server.content()["sona.imported_3atest"].len(), 8);
    assert_eq!(world.ids("u", 7).await, before);
}

#[tokio::test]
async fn an_engine_opens_without_the_server() {
    let mut server = QdrantDouble::start();
    let url = server.url();
    server.stop().await;
    let world = world(&url).await;
    let titles: Vec<_> = ["t0", "t1", "t2"].map(title).into();
    world.engine.put_content(&titles).await.expect("written");
    let vectors = (0..3).map(|n| (content_id(&format!("t{n}")), vector(n))).collect();
    world.engine.put_vectors("imported:test", vectors).await.expect("written");
    world.track(vec![crate::world::watch("u", "t0")]).await;
    let list = world.list("u", 2).await;
    assert_eq!(crate::world::ids(&list), ["t1", "t2"]);
    let said = degraded(&list).expect("named");
    assert_eq!(said, "the vector index is not complete yet; memory was searched");
}
