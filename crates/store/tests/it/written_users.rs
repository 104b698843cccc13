//! Users as they were written.

use std::collections::HashSet;

use sona_domain::{AgeRange, Embedding, Entity, Region, UserAttributes, UserId};
use sona_store::{UserWrite, WrittenUser};

use crate::{Db, at, event, meddle, user};

on_both!(
    everything_is_read_back_as_it_was_written,
    of_one_user_the_last_counts,
    writing_makes_a_user_and_acting_does_not_write_one,
    a_vector_is_a_write_too,
    every_user_is_listed_once_at_the_last_write,
    it_goes_with_its_user,
    removal_among_writes,
    a_spoilt_row_is_named,
);

fn attributes(age_range: Option<AgeRange>, region: &str, genres: &[&str]) -> UserAttributes {
    let genres = genres.iter().map(|genre| (*genre).to_owned()).collect();
    UserAttributes { age_range, region: Region::parse(region).ok(), genres }
}

async fn put(db: &Db, users: &[(&str, &UserAttributes)]) {
    let users: Vec<_> = users.iter().map(|(id, known)| (user(id), (*known).clone())).collect();
    db.store.put_users(&users, at(1)).await.expect("put");
}

async fn put_vectors(db: &Db, model: &str, ids: &[&str]) {
    let vector = |id: &&str| Embedding {
        entity: Entity::User(user(id)),
        vector: vec![1.0, id.len() as f32],
        source_digest: [1; 32],
    };
    let vectors: Vec<_> = ids.iter().map(vector).collect();
    db.store.put_embeddings(model, &vectors, at(1)).await.expect("put");
}

async fn read(db: &Db, model: Option<&str>, ids: &[&str]) -> Vec<WrittenUser> {
    let ids: Vec<_> = ids.iter().map(|id| user(id)).collect();
    let mut found = db.store.written_users(model, &ids).await.expect("read");
    found.sort_by(|a, b| a.user_id.cmp(&b.user_id));
    found
}

async fn writes(db: &Db, after: i64) -> Vec<(i64, String)> {
    let writes = db.store.user_writes_after(after, 100).await.expect("read").into_iter();
    writes.map(|UserWrite { sequence, user_id }| (sequence, user_id.to_string())).collect()
}

async fn everything_is_read_back_as_it_was_written(db: Db) {
    let genres = ["Драма \"x\"", "Science Fiction", "it's"];
    let mut written: Vec<_> = AgeRange::ALL
        .iter()
        .enumerate()
        .map(|(n, age)| (user(&format!("u{n}")), attributes(Some(*age), "DE", &genres[n % 3..])))
        .collect();
    written.push((user("ü \"'"), UserAttributes::default()));
    db.store.put_users(&written, at(7)).await.expect("put");
    db.store.put_users(&[], at(8)).await.expect("nothing to do");
    let ids: Vec<_> = written.iter().map(|(id, _)| id.as_str()).collect();
    let found = read(&db, None, &ids).await;
    assert!(
        found
            .iter()
            .map(|found| (&found.user_id, &found.attributes))
            .eq(written.iter().map(|(id, known)| (id, known)))
    );
    assert!(found.iter().all(|found| found.vector.is_none() && found.sequence > 0));
    assert_eq!(db.store.user_created_at(&user("u0")).await.expect("read"), Some(at(7)));
    assert_eq!(read(&db, None, &["nobody"]).await, []);
    assert_eq!(read(&db, None, &[]).await, []);
}

async fn of_one_user_the_last_counts(db: Db) {
    let (one, other) =
        (attributes(None, "DE", &["A"]), attributes(Some(AgeRange::From65), "", &[]));
    put(&db, &[("u", &one), ("v", &one), ("u", &other)]).await;
    assert_eq!(read(&db, None, &["u"]).await[0].attributes, other);
    put(&db, &[("u", &one)]).await;
    assert_eq!(read(&db, None, &["u"]).await[0].attributes, one, "what is left out is taken away");
    assert_eq!(db.store.count_users().await.expect("read"), 2);
}

async fn writing_makes_a_user_and_acting_does_not_write_one(db: Db) {
    db.store.append(&[event("1", "actor", 1)], at(1)).await.expect("appended");
    put(&db, &[("written", &UserAttributes::default())]).await;
    assert_eq!(read(&db, None, &["actor"]).await, []);
    let known = [user("actor"), user("nobody"), user("written")];
    let known = db.store.known_users(&known).await.expect("read");
    assert_eq!(known, HashSet::from([user("actor"), user("written")]));
    // Who was written acts, and stays as written.
    db.store.append(&[event("2", "written", 1)], at(9)).await.expect("appended");
    assert_eq!(db.store.user_created_at(&user("written")).await.expect("read"), Some(at(1)));
    assert_eq!(read(&db, None, &["written"]).await.len(), 1);
}

async fn a_vector_is_a_write_too(db: Db) {
    db.store.append(&[event("1", "actor", 1)], at(1)).await.expect("appended");
    let german = attributes(None, "DE", &[]);
    put(&db, &[("u", &german)]).await;
    let before = db.store.user_writes_head().await.expect("read");
    put_vectors(&db, "m", &["u", "actor", "nobody"]).await;
    let found = read(&db, Some("m"), &["actor", "nobody", "u"]).await;
    let found: Vec<_> = found.into_iter().map(|found| (found.attributes, found.vector)).collect();
    let actor = (UserAttributes::default(), Some(vec![1.0, 5.0]));
    assert_eq!(found, [actor, (german.clone(), Some(vec![1.0, 1.0]))]);
    assert_eq!(read(&db, Some("other"), &["u"]).await[0].vector, None);
    assert_eq!(read(&db, None, &["u"]).await[0].vector, None);
    let names =
        |writes: Vec<(i64, String)>| writes.into_iter().map(|(_, id)| id).collect::<Vec<_>>();
    assert_eq!(names(writes(&db, before).await), ["actor", "u"]);
    // A set that goes is a write to all who had a vector of it.
    let before = db.store.user_writes_head().await.expect("read");
    db.store.delete_embeddings("m").await.expect("deleted");
    assert_eq!(names(writes(&db, before).await), ["actor", "u"]);
    assert_eq!(read(&db, Some("m"), &["u"]).await[0].attributes, german);
    assert_eq!(read(&db, Some("m"), &["u"]).await[0].vector, None);
}

async fn every_user_is_listed_once_at_the_last_write(db: Db) {
    assert_eq!(db.store.user_writes_head().await.expect("read"), 0);
    let none = UserAttributes::default();
    put(&db, &[("a", &none), ("b", &none), ("c", &none)]).await;
    put(&db, &[("b", &none)]).await;
    let all = writes(&db, 0).await;
    assert_eq!(all.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["a", "c", "b"]);
    assert!(all.is_sorted() && all[2].0 == db.store.user_writes_head().await.expect("read"));
    assert_eq!(writes(&db, all[1].0).await, all[2..]);
    let first = db.store.user_writes_after(0, 1).await.expect("read");
    assert_eq!(first, [UserWrite { sequence: all[0].0, user_id: user("a") }]);
    assert_eq!(read(&db, None, &["b"]).await[0].sequence, all[2].0);
    // Places are not given out again.
    db.store.remove_user(&user("b"), at(2)).await.expect("removed");
    put(&db, &[("b", &none)]).await;
    assert!(writes(&db, 0).await[2].0 > all[2].0);
}

async fn it_goes_with_its_user(db: Db) {
    let german = attributes(Some(AgeRange::From18), "DE", &["A"]);
    put(&db, &[("a", &german), ("b", &german)]).await;
    put_vectors(&db, "m", &["a", "b"]).await;
    let removed = db.store.remove_user(&user("a"), at(2)).await.expect("removed").expect("there");
    assert_eq!((removed.attributes, removed.embeddings, removed.events), (1, 1, 0));
    let left = read(&db, Some("m"), &["a", "b"]).await;
    assert_eq!(left.iter().map(|left| left.user_id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(db.store.removals_after(0, 10).await.expect("read").len(), 1);
    // A vector alone does not bring them back.
    put_vectors(&db, "m", &["a"]).await;
    assert_eq!(db.store.user_created_at(&user("a")).await.expect("read"), None);
    assert_eq!(writes(&db, 0).await.len(), 1);
}

async fn removal_among_writes(db: Db) {
    const ROUNDS: usize = 40;
    let names = ["a", "b", "c"];
    let other = db.another().await;
    let german = attributes(None, "DE", &[]);
    let all: Vec<(UserId, UserAttributes)> =
        ["c", "a", "b"].map(|id| (user(id), german.clone())).into();
    let write = async {
        for _ in 0..ROUNDS {
            db.store.put_users(&all, at(1)).await.expect("put");
        }
    };
    let write_vectors = async {
        for round in 0..ROUNDS {
            put_vectors(&db, "m", &names).await;
            if round % 8 == 7 {
                db.store.delete_embeddings("m").await.expect("deleted");
            }
        }
    };
    let act = async {
        for round in 0..ROUNDS {
            let batch = names.map(|name| event(&format!("{name}{round}"), name, 1));
            db.store.append(&batch, at(1)).await.expect("appended");
        }
    };
    let remove = async {
        for round in 0..ROUNDS {
            let name = names[round % names.len()];
            other.remove_user(&user(name), at(2)).await.expect("removed");
        }
    };
    tokio::join!(write, write_vectors, act, remove);
    for name in names {
        db.store.remove_user(&user(name), at(3)).await.expect("removed");
    }
    assert_eq!(read(&db, Some("m"), &names).await, []);
    let entities = names.map(|name| Entity::User(user(name)));
    assert_eq!(db.store.embeddings_of("m", &entities).await.expect("read"), []);
    assert_eq!(db.store.count_users().await.expect("read"), 0);
}

async fn a_spoilt_row_is_named(db: Db) {
    put(&db, &[("u", &UserAttributes::default())]).await;
    meddle(&db, "UPDATE written_users SET genres = 'no json'").await;
    let spoilt = db.store.written_users(None, &[user("u")]).await.expect_err("spoilt").to_string();
    assert!(spoilt.contains("written_users.genres"), "{spoilt}");
}
