//! Vectors by model.

use std::sync::Arc;

use sona_domain::{Content, ContentId, Embedding, EmbeddingModel, Entity, EntityType};
use sona_store::{Error, RemovedUser};

use crate::{Db, at, event, user};

on_both!(
    everything_is_read_back_as_it_was_written,
    of_one_entity_the_last_counts,
    models_lie_side_by_side,
    all_of_a_model_are_equally_wide,
    numbers_must_be_finite,
    a_vector_needs_what_it_stands_for,
    it_goes_with_its_content,
    it_goes_with_its_user,
    pages_follow_the_ids,
    a_model_says_when_it_was_complete,
    writing_among_deletions,
);

fn content(id: &str) -> Entity {
    Entity::Content(ContentId::new(id).expect("an id"))
}

fn embedding(entity: Entity, vector: &[f32]) -> Embedding {
    Embedding { entity, vector: vector.to_vec(), source_digest: [7; 32] }
}

async fn with_content(db: &Db, ids: &[&str]) {
    let entry = |id: &&str| Content::new(ContentId::new(*id).expect("an id"), "x");
    let content: Vec<_> = ids.iter().map(entry).collect();
    db.store.put_content(&content, at(1)).await.expect("put");
}

async fn put(db: &Db, model: &str, embeddings: &[Embedding]) {
    db.store.put_embeddings(model, embeddings, at(1)).await.expect("put");
}

async fn get(db: &Db, model: &str, entities: &[Entity]) -> Vec<Embedding> {
    let mut found = db.store.embeddings_of(model, entities).await.expect("read");
    found.sort_by(|a, b| a.entity.cmp(&b.entity));
    found
}

async fn everything_is_read_back_as_it_was_written(db: Db) {
    with_content(&db, &["ü", "plain"]).await;
    db.store.append(&[event("1", "plain", 1)], at(1)).await.expect("appended");
    let wide: Vec<f32> = (0..512).map(|n| (n as f32).sin() / 3.0).collect();
    let mut odd = vec![0.0; 512];
    odd[..4].copy_from_slice(&[-0.0, f32::MIN_POSITIVE, 1e-45, f32::MAX]);
    let written = [
        Embedding { source_digest: [255; 32], ..embedding(content("plain"), &odd) },
        embedding(content("ü"), &wide),
        embedding(Entity::User(user("plain")), &wide),
    ];
    put(&db, "learned-1", &written).await;
    let all = written.clone().map(|embedding| embedding.entity);
    let read = get(&db, "learned-1", &all).await;
    assert_eq!(read, written);
    let bits = |e: &Embedding| e.vector.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert!(read.iter().map(bits).eq(written.iter().map(bits)));
    assert_eq!(get(&db, "learned-2", &all).await, []);
    assert_eq!(get(&db, "learned-1", &[]).await, []);
    put(&db, "learned-1", &[]).await;
}

async fn of_one_entity_the_last_counts(db: Db) {
    with_content(&db, &["a"]).await;
    put(&db, "m", &[embedding(content("a"), &[1.0]), embedding(content("a"), &[2.0])]).await;
    assert_eq!(get(&db, "m", &[content("a")]).await, [embedding(content("a"), &[2.0])]);
    let anew = Embedding { source_digest: [8; 32], ..embedding(content("a"), &[3.0]) };
    put(&db, "m", std::slice::from_ref(&anew)).await;
    assert_eq!(get(&db, "m", &[content("a")]).await, [anew]);
}

async fn models_lie_side_by_side(db: Db) {
    with_content(&db, &["a"]).await;
    put(&db, "old", &[embedding(content("a"), &[1.0])]).await;
    put(&db, "new", &[embedding(content("a"), &[1.0, 2.0])]).await;
    assert_eq!(get(&db, "old", &[content("a")]).await, [embedding(content("a"), &[1.0])]);
    assert!(db.store.delete_embeddings("old").await.expect("deleted"));
    assert!(!db.store.delete_embeddings("old").await.expect("answered"));
    assert_eq!(get(&db, "old", &[content("a")]).await, []);
    assert_eq!(get(&db, "new", &[content("a")]).await, [embedding(content("a"), &[1.0, 2.0])]);
}

async fn all_of_a_model_are_equally_wide(db: Db) {
    with_content(&db, &["a", "b"]).await;
    let refused = async |embeddings: &[Embedding]| {
        let refused = db.store.put_embeddings("m", embeddings, at(1)).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    };
    refused(&[embedding(content("a"), &[])]).await;
    refused(&[embedding(content("a"), &vec![0.5; 4097])]).await;
    refused(&[embedding(content("a"), &[1.0]), embedding(content("b"), &[1.0, 2.0])]).await;
    assert_eq!(db.store.embedding_models().await.expect("read"), []);
    put(&db, "m", &[embedding(content("a"), &[1.0, 2.0])]).await;
    refused(&[embedding(content("b"), &[1.0])]).await;
    let narrow = db.store.complete_embeddings("m", 1, at(2)).await;
    assert!(matches!(narrow, Err(Error::Invalid(_))), "{narrow:?}");
    assert_eq!(get(&db, "m", &[content("b")]).await, []);
}

async fn numbers_must_be_finite(db: Db) {
    with_content(&db, &["a", "b"]).await;
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let both = [embedding(content("a"), &[1.0, 0.0]), embedding(content("b"), &[0.0, bad])];
        let refused = db.store.put_embeddings("m", &both, at(1)).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    assert_eq!(get(&db, "m", &[content("a")]).await, [], "all or none");
}

async fn a_vector_needs_what_it_stands_for(db: Db) {
    with_content(&db, &["a", "gone"]).await;
    db.store.delete_content(&ContentId::new("gone").expect("an id"), at(2)).await.expect("deleted");
    let given = [
        embedding(content("never"), &[1.0]),
        embedding(content("gone"), &[1.0]),
        embedding(content("a"), &[1.0]),
        embedding(Entity::User(user("a")), &[1.0]),
    ];
    put(&db, "m", &given).await;
    let all = given.map(|embedding| embedding.entity);
    assert_eq!(get(&db, "m", &all).await, [embedding(content("a"), &[1.0])]);
}

async fn it_goes_with_its_content(db: Db) {
    with_content(&db, &["a", "b"]).await;
    for model in ["old", "new"] {
        let both = [embedding(content("a"), &[1.0]), embedding(content("b"), &[1.0])];
        put(&db, model, &both).await;
    }
    db.store.delete_content(&ContentId::new("a").expect("an id"), at(2)).await.expect("deleted");
    with_content(&db, &["a"]).await;
    for model in ["old", "new"] {
        let left = get(&db, model, &[content("a"), content("b")]).await;
        assert_eq!(left, [embedding(content("b"), &[1.0])]);
    }
}

async fn it_goes_with_its_user(db: Db) {
    with_content(&db, &["a"]).await;
    let events = [event("1", "a", 1), event("2", "b", 1)];
    db.store.append(&events, at(1)).await.expect("appended");
    let given = [
        embedding(content("a"), &[1.0]),
        embedding(Entity::User(user("a")), &[1.0]),
        embedding(Entity::User(user("b")), &[1.0]),
    ];
    put(&db, "m", &given).await;
    let removed = db.store.remove_user(&user("a"), at(2)).await.expect("removed");
    assert_eq!(
        removed,
        Some(RemovedUser {
            sequence: 1,
            events: 1,
            profiles: 0,
            attributes: 1,
            embeddings: 1,
            exposures: 0,
            adapters: 0,
        })
    );
    let all = given.clone().map(|embedding| embedding.entity);
    assert_eq!(get(&db, "m", &all).await, [given[0].clone(), given[2].clone()]);
}

async fn pages_follow_the_ids(db: Db) {
    let ids = ["B", "a", "ab", "z", "é"];
    with_content(&db, &ids).await;
    let given: Vec<_> = ids.iter().rev().map(|id| embedding(content(id), &[1.0])).collect();
    put(&db, "m", &given).await;
    put(&db, "other", &given[..1]).await;
    let mut found: Vec<String> = Vec::new();
    loop {
        let after = found.last().cloned().unwrap_or_default();
        let page = db.store.embeddings_after("m", EntityType::Content, &after, 2).await;
        let page = page.expect("read");
        if page.is_empty() {
            break;
        }
        found.extend(page.iter().map(|embedding| embedding.entity.id().to_owned()));
    }
    assert_eq!(found, ids);
    let users = db.store.embeddings_after("m", EntityType::User, "", 9).await.expect("read");
    assert_eq!(users, []);
}

async fn a_model_says_when_it_was_complete(db: Db) {
    with_content(&db, &["a"]).await;
    put(&db, "old", &[embedding(content("a"), &[1.0])]).await;
    db.store.complete_embeddings("new", 3, at(2)).await.expect("noted");
    db.store.complete_embeddings("new", 3, at(3)).await.expect("noted");
    let model = |name: &str, width, completed_at| EmbeddingModel {
        name: name.to_owned(),
        width,
        completed_at,
    };
    let models = db.store.embedding_models().await.expect("read");
    assert_eq!(models, [model("old", 1, None), model("new", 3, Some(at(3)))]);
}

async fn writing_among_deletions(db: Db) {
    const ROUNDS: usize = 30;
    let other = db.another().await;
    let ids = ["a", "b", "c"];
    let given = Arc::new(ids.map(|id| embedding(content(id), &[1.0])));
    let write = async {
        for _ in 0..ROUNDS {
            db.store.put_embeddings("m", &*given, at(1)).await.expect("put");
        }
    };
    let delete = async {
        for round in 0..ROUNDS {
            let id = ContentId::new(ids[round % ids.len()]).expect("an id");
            other.put_content(&[Content::new(id.clone(), "x")], at(1)).await.expect("put");
            other.delete_content(&id, at(2)).await.expect("deleted");
        }
    };
    tokio::join!(write, delete);
    let all = ids.map(content);
    assert_eq!(get(&db, "m", &all).await, [], "no vector outlives its content");
}
