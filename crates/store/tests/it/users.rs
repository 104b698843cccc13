//! Users and their removal.

use sha2::{Digest, Sha256};
use sona_domain::{Cursor, UserId};
use sona_store::{RemovedUser, UserRemoval};

use crate::profiles::profile;
use crate::{Db, at, cursors, event, user};

on_both!(
    removal_takes_all_that_is_theirs,
    an_unknown_user_leaves_no_trace,
    a_removed_user_can_come_back,
    cursors_are_not_given_out_again,
    removals_are_listed_in_order,
    removal_among_appends_and_profiles,
);

fn digest(user: &UserId) -> [u8; 32] {
    Sha256::digest(user.as_str().as_bytes()).into()
}

async fn removal_takes_all_that_is_theirs(db: Db) {
    let batch = [event("1", "a", 1), event("2", "b", 1), event("3", "a", 1)];
    db.store.append(&batch, at(1)).await.expect("appended");
    db.store.put_profiles(&[profile("a", 3), profile("b", 2)]).await.expect("put");
    let removed = db.store.remove_user(&user("a"), at(2)).await.expect("removed");
    assert_eq!(
        removed,
        Some(RemovedUser {
            sequence: 1,
            events: 2,
            profiles: 1,
            attributes: 0,
            embeddings: 0,
            exposures: 0,
            adapters: 0,
        })
    );

    assert_eq!(db.store.user_created_at(&user("a")).await.expect("read"), None);
    assert_eq!(db.store.profile(&user("a")).await.expect("read"), None);
    assert_eq!(db.store.histories(&[user("a")]).await.expect("read"), [vec![]]);
    let log = db.store.after(Cursor(0), 10).await.expect("read");
    assert_eq!(log.iter().map(|logged| logged.cursor.0).collect::<Vec<_>>(), [2]);
    assert_eq!(db.store.count_users().await.expect("read"), 1);
    assert!(db.store.profile(&user("b")).await.expect("read").is_some(), "others stay");

    let removals = db.store.removals_after(0, 10).await.expect("read");
    assert_eq!(removals, [UserRemoval { sequence: 1, user_digest: digest(&user("a")) }]);
}

async fn an_unknown_user_leaves_no_trace(db: Db) {
    assert_eq!(db.store.remove_user(&user("nobody"), at(1)).await.expect("answered"), None);
    assert_eq!(db.store.removals_after(0, 10).await.expect("read"), []);
}

async fn a_removed_user_can_come_back(db: Db) {
    db.store.append(&[event("1", "a", 1)], at(1)).await.expect("appended");
    db.store.remove_user(&user("a"), at(2)).await.expect("removed");
    // Even under the same event id: the log has forgotten it.
    let outcomes = db.store.append(&[event("1", "a", 1)], at(3)).await.expect("appended");
    assert_eq!(cursors(&outcomes), [Some(2)]);
    assert_eq!(db.store.user_created_at(&user("a")).await.expect("read"), Some(at(3)));
    db.store.put_profiles(&[profile("a", 2)]).await.expect("put");
    let removed = db.store.remove_user(&user("a"), at(4)).await.expect("removed");
    assert_eq!(
        removed,
        Some(RemovedUser {
            sequence: 2,
            events: 1,
            profiles: 1,
            attributes: 0,
            embeddings: 0,
            exposures: 0,
            adapters: 0,
        })
    );
    let removals = db.store.removals_after(0, 10).await.expect("read");
    assert_eq!(removals.iter().map(|removal| removal.sequence).collect::<Vec<_>>(), [1, 2]);
}

async fn cursors_are_not_given_out_again(db: Db) {
    db.store.append(&[event("1", "a", 1), event("2", "a", 1)], at(1)).await.expect("appended");
    db.store.remove_user(&user("a"), at(2)).await.expect("removed");
    assert_eq!(db.store.head().await.expect("read"), Cursor(2));
    db.store.close().await;
    let store = db.another().await;
    assert_eq!(store.head().await.expect("read"), Cursor(2), "also after a restart");
    let outcomes = store.append(&[event("3", "b", 1)], at(3)).await.expect("appended");
    assert_eq!(cursors(&outcomes), [Some(3)]);
}

async fn removals_are_listed_in_order(db: Db) {
    let names = ["c", "a", "b"];
    for (n, name) in names.into_iter().enumerate() {
        db.store.append(&[event(&n.to_string(), name, 1)], at(1)).await.expect("appended");
        db.store.remove_user(&user(name), at(2)).await.expect("removed");
    }
    let all = db.store.removals_after(0, 10).await.expect("read");
    let expected: Vec<_> = (1..).zip(names.map(|name| digest(&user(name)))).collect();
    let found: Vec<_> = all.iter().map(|r| (r.sequence, r.user_digest)).collect();
    assert_eq!(found, expected);
    assert_eq!(db.store.removals_after(1, 1).await.expect("read"), all[1..2]);
    assert_eq!(db.store.removals_after(3, 10).await.expect("read"), []);
}

async fn removal_among_appends_and_profiles(db: Db) {
    const ROUNDS: i64 = 40;
    let names = ["a", "b", "c"];
    let other = db.another().await;
    let append = async {
        for round in 0..ROUNDS {
            let batch = names.map(|name| event(&format!("{name}{round}"), name, round));
            db.store.append(&batch, at(1)).await.expect("appended");
        }
    };
    let remove = async {
        for round in 0..ROUNDS {
            let name = names[round as usize % names.len()];
            other.remove_user(&user(name), at(2)).await.expect("removed");
        }
    };
    let write_profiles = async {
        for round in 0..ROUNDS {
            let profiles = ["c", "a", "b"].map(|name| profile(name, round));
            db.store.put_profiles(&profiles).await.expect("put, whoever is gone");
        }
    };
    tokio::join!(append, remove, write_profiles);
    for name in names.map(user) {
        let known = db.store.user_created_at(&name).await.expect("read").is_some();
        let history = db.store.histories(std::slice::from_ref(&name)).await.expect("read");
        assert_eq!(known, !history[0].is_empty(), "{name:?}: a user has events or is gone");
        let profile = db.store.profile(&name).await.expect("read");
        assert!(known || profile.is_none(), "{name:?}: no profile without a user");
    }
    assert_eq!(db.store.head().await.expect("read"), Cursor(3 * ROUNDS));
}
