//! The embedding: trained with the model, kept in its file, and with a place for titles that came after it.

use std::sync::{Arc, Mutex};

use sona_domain::Source;
use sona_engine::artifact::{Artifact, FORMAT, checksum};
use sona_engine::train::Progress;
use sona_engine::{MODEL_NAME, Options, WriteContent};
use sona_testkit::databases::Backend;

use crate::on_both;
use crate::world::{World, content_id, ids, list, of_genre, only, title, watch};

/// Only the embedding speaks.
fn options() -> Options {
    let mut options = only(Source::Embedding);
    options.embedding.width = 8;
    options.embedding.batch = 32;
    options.embedding.epochs = 20;
    options.embedding.learning_rate = 0.02;
    options.embedding.vector_dropout = 0.1;
    options
}

/// Two genres of eight titles; users keep to one and walk through it.
async fn fill(world: &World) {
    let genres = ["a", "b"];
    let titles = genres.iter().flat_map(|g| (0..8).map(move |n| of_genre(&format!("{g}{n}"), g)));
    world.engine.put_content(&titles.collect::<Vec<_>>()).await.expect("written");
    let watched = genres.iter().flat_map(|g| {
        (0..24).flat_map(move |u| {
            (0..6).map(move |n| watch(&format!("{g}-user{u}"), &format!("{g}{}", (u + n) % 8)))
        })
    });
    world.track(watched.collect()).await;
}

async fn artifact(world: &World) -> (Vec<u8>, Artifact) {
    let store = sona_store::open(&world.database.url).await.expect("a database");
    let model = store.current_model(MODEL_NAME).await.expect("read").expect("trained");
    let bytes = world.blobs.get(&model.blob_key).await.expect("read").expect("there").to_vec();
    let artifact = Artifact::decode(&bytes, &model.sha256).expect("sound");
    (bytes, artifact)
}

async fn a_new_title_has_a_place_from_what_it_is(backend: Backend) {
    let mut world = World::with(backend, options()).await;
    fill(&world).await;
    world.track(vec![watch("u", "a0"), watch("u", "a1")]).await;
    assert_eq!(
        world.list("u", 1).await.sources[5].absent.as_deref(),
        Some("no model is trained yet")
    );
    world.train().await;
    let genre = |list: &sona_domain::Recommendations, n: usize| -> String {
        list.recommendations[..n].iter().map(|item| &item.content_id.as_str()[..1]).collect()
    };
    let served = world.list("u", 6).await;
    assert_eq!(genre(&served, 3), "aaa");
    let first = &served.recommendations[0];
    let spoken = (first.sources[0].source, first.sources[0].contribution);
    assert_eq!(spoken, (Source::Embedding, first.score));
    assert!((first.score - 1.0).abs() < 1e-6);
    assert!(first.explanation.starts_with("Because you watched Title a"), "{}", first.explanation);
    assert!(!first.based_on.is_empty());

    let other = world.another().await;
    let new = [of_genre("a-new", "a"), of_genre("b-new", "b")];
    world.engine.put_content(&new).await.expect("written");
    let place = |ids: &[String], id: &str| ids.iter().position(|other| other == id);
    let after = world.ids("u", 16).await;
    assert!(place(&after, "a-new") < place(&after, "b0"), "{after:?}");
    assert!(place(&after, "b-new") > place(&after, "a-new"), "{after:?}");
    other.follow().await.expect("followed");
    assert_eq!(ids(&list(&other, "u", 16).await), after);
    // What was new speaks for its viewers at once.
    world.track(vec![watch("w", "b-new")]).await;
    assert_eq!(genre(&world.list("w", 3).await, 3), "bbb");
    // It becomes another thing.
    world.engine.write_content(&of_genre("a-new", "b"), WriteContent::Update).await.expect("known");
    let changed = world.ids("u", 16).await;
    assert!(place(&changed, "a-new") > place(&after, "a-new"), "{changed:?}");
    world.restart().await;
    // The two new titles are told apart by nothing but their rows.
    let but_new = |ids: Vec<String>| -> Vec<String> {
        ids.into_iter().filter(|id| !id.ends_with("new")).collect()
    };
    assert_eq!(but_new(world.ids("u", 16).await), but_new(changed));
    assert!(world.engine.delete_content(&content_id("a2")).await.expect("deleted"));
    assert_eq!(place(&world.ids("u", 16).await, "a2"), None);
}
on_both!(a_new_title_has_a_place_from_what_it_is);

#[tokio::test]
async fn the_file_holds_it_and_is_the_same_every_time() {
    let mut sums = Vec::new();
    for _ in 0..2 {
        let world = World::with(Backend::Sqlite, options()).await;
        fill(&world).await;
        world.train().await;
        let (bytes, artifact) = artifact(&world).await;
        let embedding = artifact.embedding.as_ref().expect("trained");
        assert_eq!((embedding.model.items(), embedding.model.width()), (16, 8));
        assert_eq!(embedding.attributes, ["type:film", "genre:a", "genre:b"]);
        let again = artifact.encode().expect("written");
        assert_eq!(again, bytes);
        let read = Artifact::decode(&again, &checksum(&again)).expect("sound");
        assert_eq!(read.embedding, artifact.embedding);
        sums.push(checksum(&bytes));
    }
    assert_eq!(sums[0], sums[1]);
}

#[tokio::test]
async fn earlier_files_are_read_and_later_ones_refused_with_the_reason() {
    let mut options = options();
    options.fusion.embedding = 0.0;
    options.fusion.collaborative = 1.0;
    let world = World::with(Backend::Sqlite, options).await;
    fill(&world).await;
    world.train().await;
    let (bytes, with) = artifact(&world).await;
    assert_eq!(with.embedding, None, "without a weight it is not trained");
    // A file without one is written as format 2 wrote it, but for the number.
    let rewritten = |format: u32| {
        let (now, then) = (format!("\\\"format\\\":{FORMAT}"), format!("\\\"format\\\":{format}"));
        let at = bytes.windows(now.len()).position(|part| part == now.as_bytes()).expect("named");
        let mut bytes = bytes.clone();
        bytes[at..at + now.len()].copy_from_slice(then.as_bytes());
        bytes
    };
    let earlier = rewritten(2);
    assert!(Artifact::decode(&earlier, &checksum(&earlier)).is_ok());
    let later = rewritten(9);
    let refused = Artifact::decode(&later, &checksum(&later)).expect_err("unknown");
    assert_eq!(refused, format!("format 9 is not one of the formats 1 to {FORMAT} read here"));
}

#[tokio::test]
async fn a_training_says_how_far_it_is() {
    let world = World::with(Backend::Sqlite, options()).await;
    fill(&world).await;
    let job = world.engine.submit_training().await.expect("submitted");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let report = {
        let seen = seen.clone();
        move |progress| {
            if let Progress::Epoch { index, of, .. } = progress {
                seen.lock().expect("whole").push((index, of));
            }
        }
    };
    world.engine.run_training("w", Some(&job), Arc::new(report)).await.expect("trained");
    assert_eq!(*seen.lock().expect("whole"), (1..=20).map(|n| (n, 20)).collect::<Vec<_>>());
    let store = sona_store::open(&world.database.url).await.expect("a database");
    let points = store.metrics(&job).await.expect("read");
    let losses: Vec<f64> =
        points.iter().filter(|p| p.name == "embedding_loss").map(|point| point.value).collect();
    assert_eq!(losses.len(), 20);
    assert!(losses[19] < losses[0], "{losses:?}");
}

/// One user with one title: nothing follows anything, and the rest of the model is trained all the same.
#[tokio::test]
async fn without_a_second_title_there_is_none() {
    let world = World::with(Backend::Sqlite, options()).await;
    world.engine.put_content(&[title("a"), title("b")]).await.expect("written");
    world.track(vec![watch("u", "a")]).await;
    world.train().await;
    assert_eq!(artifact(&world).await.1.embedding, None);
    let list = world.list("u", 1).await;
    let status = list.sources.iter().find(|s| s.source == Source::Embedding).expect("listed");
    assert_eq!(status.absent.as_deref(), Some("the model was trained without it"));
}
