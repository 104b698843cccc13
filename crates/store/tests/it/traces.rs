//! What is left of a removed user in the database's files.

use std::path::Path;

use sona_domain::{
    AdapterName, AdapterOrigin, Embedding, Entity, Event, FileTraces, NewAdapter, UserAttributes,
};
use sona_store::Parent;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::databases::Backend;
use crate::exposures::exposure;
use crate::profiles::profile;
use crate::{Db, at, event, user};

on_both!(no_byte_of_a_removed_user_is_left, an_unknown_user_is_scrubbed_too);

const USERS: usize = 120;

/// Ids of all lengths, so that pages are split in every way.
fn name(n: usize) -> String {
    format!("find-me-{n:04}-{}", "x".repeat(n * 37 % 150))
}

/// A batch as real ones are: users in no order, rows of all sizes.
fn batch(round: usize) -> Vec<Event> {
    let event = |n: usize| {
        let who = (round * 7919 + n * 104_729 + n * n * 31) % USERS;
        let mut event =
            event(&format!("{:x}-{round}-{n}", n * 2_654_435_761 % 65_537), &name(who), 1);
        let filler = "y".repeat(n * 61 % 700);
        event.context =
            (!n.is_multiple_of(3)).then(|| serde_json::Map::from_iter([(filler, n.into())]));
        event
    };
    (0..60).map(event).collect()
}

/// Attributes of all sizes.
fn described(round: usize) -> UserAttributes {
    let genres = (0..round % 20).map(|n| format!("genre {n}")).collect();
    UserAttributes { genres, ..UserAttributes::default() }
}

async fn no_byte_of_a_removed_user_is_left(db: Db) {
    for round in 0..USERS {
        db.store.append(&batch(round), at(1)).await.expect("appended");
        let mut profiles = [profile(&name(round), 1), profile(&name((round + 40) % USERS), 1)];
        profiles[0].genre_affinities = (0..round).map(|n| (format!("genre {n}"), 0.5)).collect();
        db.store.put_profiles(&profiles).await.expect("put");
        let embeddings = profiles.map(|profile| Embedding {
            entity: Entity::User(profile.user_id),
            vector: vec![round as f32; 16],
            source_digest: [1; 32],
        });
        let written = embeddings.iter().filter_map(|embedding| match &embedding.entity {
            Entity::User(id) => Some((id.clone(), described(round))),
            Entity::Content(_) => None,
        });
        db.store.put_users(&written.collect::<Vec<_>>(), at(1)).await.expect("put");
        db.store.put_embeddings("m", &embeddings, at(1)).await.expect("put");
        let shown = [round, (round + 40) % USERS]
            .map(|n| exposure(&format!("{round}-{n}"), &name(n), 1, &["t", "another title"]));
        db.store.put_exposures(&shown).await.expect("put");
        for n in [round, (round + 40) % USERS] {
            let adapter = NewAdapter {
                user_id: user(&name(n)),
                adapter_name: AdapterName::default(),
                base_version: 1,
                origin: if n % 3 == 0 { AdapterOrigin::Trained } else { AdapterOrigin::Learned },
                training_iterations: 1,
                weights: vec![7; 1 + n * 53 % 3000],
            };
            db.store.save_adapter(&adapter, Parent::Any, at(1)).await.expect("answered");
            if n % 5 == 0 {
                db.store.opt_out_of_adapters(&adapter.user_id, at(1)).await.expect("opted out");
            }
        }
        if round % 2 == 1 {
            let id = user(&name(round));
            let removed = db.store.remove_user(&id, at(2)).await.expect("removed");
            assert!(removed.is_some(), "{id:?} has acted");
            let expect = match db.backend {
                Backend::Sqlite => FileTraces::None,
                Backend::Postgres => FileTraces::Vacuumed,
            };
            assert_eq!(db.store.scrub(&id).await.expect("scrubbed"), expect);
            assert!(!is_anywhere(&db, id.as_str()).await, "{id:?} is still in the database");
        }
    }
    assert!(is_anywhere(&db, &name(0)).await, "others stay");
}

async fn an_unknown_user_is_scrubbed_too(db: Db) {
    // A removal whose scrubbing was cut short is finished by repeating both.
    db.store.append(&[event("1", "find-me", 1)], at(1)).await.expect("appended");
    db.store.remove_user(&user("find-me"), at(2)).await.expect("removed");
    assert_eq!(db.store.remove_user(&user("find-me"), at(3)).await.expect("asked"), None);
    db.store.scrub(&user("find-me")).await.expect("scrubbed");
    assert!(!is_anywhere(&db, "find-me").await);
}

/// True if `text` is in a file of the database, or in a row of any table where the files belong to a server.
async fn is_anywhere(db: &Db, text: &str) -> bool {
    match db.backend {
        Backend::Sqlite => {
            let path = db.database.url.strip_prefix("sqlite:").expect("a file");
            let folder = Path::new(path).parent().expect("a folder");
            let files = fs_err::read_dir(folder).expect("readable");
            files.map(|file| file.expect("readable").path()).any(|file| holds(&file, text))
        }
        Backend::Postgres => is_in_a_table(&db.database.url, text).await,
    }
}

fn holds(file: &Path, text: &str) -> bool {
    let bytes = fs_err::read(file).expect("readable");
    memchr::memmem::find(&bytes, text.as_bytes()).is_some()
}

async fn is_in_a_table(url: &str, text: &str) -> bool {
    let mut connection = PgConnection::connect(url).await.expect("reached");
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::TEXT FROM information_schema.tables WHERE table_schema = current_schema()",
    )
    .fetch_all(&mut connection)
    .await
    .expect("listed");
    assert!(tables.len() > 5, "{tables:?}");
    for table in tables {
        let rows = format!("SELECT count(*) FROM {table} AS t WHERE position($1 IN t::TEXT) > 0");
        let found = sqlx::query_scalar::<_, i64>(AssertSqlSafe(rows)).bind(text);
        if found.fetch_one(&mut connection).await.expect("searched") > 0 {
            return true;
        }
    }
    false
}
