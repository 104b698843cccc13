//! API keys.

use sona_domain::{ApiKey, Scopes};
use sona_store::Error;

use crate::{Db, at, meddle};

on_both!(
    a_key_comes_back_as_it_was_given,
    an_id_is_given_once,
    revoking_is_for_good,
    the_revision_counts_what_matters,
    the_last_use_only_moves_on,
    keys_made_at_once_are_all_counted,
    a_spoilt_row_is_named,
);

fn key(id: &str, created: i64) -> ApiKey {
    ApiKey {
        key_id: id.to_owned(),
        name: format!("Schlüssel {id}"),
        scopes: Scopes::among("events:write users:admin"),
        digest: std::array::from_fn(|n| n as u8),
        created_at: at(created),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    }
}

async fn a_key_comes_back_as_it_was_given(db: Db) {
    let keys = [
        key("b", 1),
        ApiKey { expires_at: Some(at(9)), scopes: Scopes::ALL, ..key("c", 1) },
        ApiKey { revoked_at: Some(at(4)), last_used_at: Some(at(3)), ..key("a", 2) },
    ];
    for key in keys.iter().rev() {
        assert!(db.store.create_key(key).await.expect("created"));
    }
    assert_eq!(db.another().await.keys().await.expect("read"), keys);
}

async fn an_id_is_given_once(db: Db) {
    assert!(db.store.create_key(&key("a", 1)).await.expect("created"));
    let other = ApiKey { digest: [9; 32], ..key("a", 2) };
    assert!(!db.store.create_key(&other).await.expect("answered"));
    assert_eq!(db.store.keys().await.expect("read"), [key("a", 1)]);
}

async fn revoking_is_for_good(db: Db) {
    assert!(!db.store.revoke_key("a", at(1)).await.expect("answered"));
    db.store.create_key(&key("a", 1)).await.expect("created");
    db.store.create_key(&key("b", 1)).await.expect("created");
    assert!(db.store.revoke_key("a", at(5)).await.expect("revoked"));
    assert!(db.store.revoke_key("a", at(8)).await.expect("it is revoked"));
    let expected = [ApiKey { revoked_at: Some(at(5)), ..key("a", 1) }, key("b", 1)];
    assert_eq!(db.store.keys().await.expect("read"), expected);
}

async fn the_revision_counts_what_matters(db: Db) {
    let other = db.another().await;
    let start = other.keys_revision().await.expect("read");
    db.store.create_key(&key("a", 1)).await.expect("created");
    db.store.create_key(&key("a", 1)).await.expect("refused");
    db.store.revoke_key("b", at(1)).await.expect("refused");
    db.store.touch_keys(&[("a".to_owned(), at(2))]).await.expect("noted");
    assert_eq!(other.keys_revision().await.expect("read"), start + 1);
    db.store.revoke_key("a", at(3)).await.expect("revoked");
    assert_eq!(other.keys_revision().await.expect("read"), start + 2);
}

async fn the_last_use_only_moves_on(db: Db) {
    for id in ["a", "b"] {
        db.store.create_key(&key(id, 1)).await.expect("created");
    }
    let used = |id: &str, seconds| (id.to_owned(), at(seconds));
    db.store.touch_keys(&[used("b", 5), used("a", 7), used("z", 7)]).await.expect("noted");
    db.store.touch_keys(&[used("a", 6), used("b", 6)]).await.expect("noted");
    let found = db.store.keys().await.expect("read");
    let found: Vec<_> = found.iter().map(|key| key.last_used_at).collect();
    assert_eq!(found, [Some(at(7)), Some(at(6))]);
}

async fn keys_made_at_once_are_all_counted(db: Db) {
    let other = db.another().await;
    let make = async |store: &dyn sona_store::Store, name: &str| {
        for n in 0..20 {
            assert!(store.create_key(&key(&format!("{name}{n}"), n)).await.expect("created"));
        }
    };
    tokio::join!(make(&*db.store, "a"), make(&*other, "b"));
    assert_eq!(db.store.keys_revision().await.expect("read"), 40);
    assert_eq!(db.store.keys().await.expect("read").len(), 40);
}

async fn a_spoilt_row_is_named(db: Db) {
    db.store.create_key(&key("a", 1)).await.expect("created");
    meddle(&db, "UPDATE api_keys SET scopes = 'everything'").await;
    let error = db.store.keys().await.expect_err("the row is spoilt");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("api_keys.scopes"), "{error}");
}
