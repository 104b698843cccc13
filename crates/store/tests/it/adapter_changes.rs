//! What is done to adapters from outside: the feed other processes read, and users who want none.

use sona_domain::{AdapterName, AdapterOrigin, NewAdapter};
use sona_store::{AdapterChange, AdapterChangeKind, Parent, Saved};

use crate::{Db, at, event, user};

on_both!(
    what_is_not_learned_is_in_the_feed,
    what_changes_nothing_is_not_in_the_feed,
    old_entries_of_the_feed_are_dropped,
    who_learned_before_a_reset_does_not_save_after_it,
    who_ever_had_an_adapter_is_given_no_first_one,
    who_opts_out_has_no_adapter_until_they_opt_in,
    who_opts_out_need_not_be_known,
    those_who_opted_out_are_listed_page_by_page,
    an_opt_out_goes_with_the_user,
    of_opting_out_and_savers_at_once_nothing_is_left,
);

use AdapterChangeKind::{Adapter, OptedIn, OptedOut};

fn new(who: &str, origin: AdapterOrigin) -> NewAdapter {
    NewAdapter {
        user_id: user(who),
        adapter_name: AdapterName::default(),
        base_version: 1,
        origin,
        training_iterations: 10,
        weights: b"w".to_vec(),
    }
}

async fn with_users(db: &Db, names: &[&str]) {
    let events: Vec<_> = names.iter().map(|name| event(name, name, 1)).collect();
    db.store.append(&events, at(1)).await.expect("appended");
}

async fn save(db: &Db, who: &str, origin: AdapterOrigin) -> Saved {
    db.store.save_adapter(&new(who, origin), Parent::Any, at(1)).await.expect("answered")
}

async fn changes(db: &Db, after: i64) -> Vec<AdapterChange> {
    db.store.adapter_changes_after(after, 1_000).await.expect("read")
}

/// The kinds of what was done to a user.
async fn kinds(db: &Db, who: &str) -> Vec<AdapterChangeKind> {
    let who = Some(user(who));
    let all = changes(db, 0).await.into_iter().filter(|change| change.user_id == who);
    all.map(|change| change.kind).collect()
}

async fn what_is_not_learned_is_in_the_feed(db: Db) {
    with_users(&db, &["a", "b"]).await;
    let (a, name) = (user("a"), AdapterName::default());
    assert_eq!(db.store.adapter_changes_head().await.expect("read"), 0);
    save(&db, "a", AdapterOrigin::Learned).await;
    save(&db, "a", AdapterOrigin::Learned).await;
    assert_eq!(changes(&db, 0).await, [], "who learns need not be told");
    save(&db, "a", AdapterOrigin::Trained).await;
    save(&db, "b", AdapterOrigin::Imported).await;
    db.store.roll_back_adapter(&a, &name, 3, at(2)).await.expect("rolled back");
    db.store.serve_adapter(&a, &name, Some(2), 1, at(2)).await.expect("served");
    db.store.delete_adapters_named(&a, &name, at(2)).await.expect("deleted");
    db.store.delete_adapters(&a, at(2)).await.expect("nothing was left, yet somebody may hold it");
    let all = changes(&db, 0).await;
    assert!(all.iter().map(|change| change.sequence).eq(1..=6), "{all:?}");
    assert_eq!(kinds(&db, "a").await, [Adapter; 5]);
    assert_eq!(kinds(&db, "b").await, [Adapter]);
    assert_eq!(changes(&db, 4).await, all[4..]);
    assert_eq!(db.store.adapter_changes_after(0, 2).await.expect("read"), all[..2]);
    assert_eq!(db.another().await.adapter_changes_head().await.expect("read"), 6);
}

async fn what_changes_nothing_is_not_in_the_feed(db: Db) {
    with_users(&db, &["a"]).await;
    let (a, name) = (user("a"), AdapterName::default());
    save(&db, "a", AdapterOrigin::Learned).await;
    let refused = new("a", AdapterOrigin::Trained);
    let saved = db.store.save_adapter(&refused, Parent::Served(None), at(1)).await;
    assert_eq!(saved.expect("answered"), Saved::Conflict(Some(1)));
    assert!(!db.store.serve_adapter(&a, &name, Some(2), 1, at(2)).await.expect("answered"));
    assert!(!db.store.serve_adapter(&a, &name, Some(1), 9, at(2)).await.expect("answered"));
    let before = db.store.roll_back_adapter(&a, &name, 1, at(2)).await.expect("answered");
    assert_eq!(before, None);
    db.store.pin_adapter(&a, &name, 1, true, at(2)).await.expect("pinned");
    db.store.delete_adapter(&a, &name, 1).await.expect("answered");
    db.store.retain_adapters(&a, &name, 0).await.expect("retained");
    assert!(!db.store.opt_in_to_adapters(&a, at(2)).await.expect("answered"));
    assert_eq!(changes(&db, 0).await, []);
}

async fn old_entries_of_the_feed_are_dropped(db: Db) {
    let old = "UPDATE log_heads SET head = 10500 WHERE log_name = 'lora_adapter_changes'";
    db.store.delete_adapters(&user("a"), at(1)).await.expect("noted");
    crate::meddle(&db, old).await;
    db.store.delete_adapters(&user("a"), at(2)).await.expect("noted");
    let left = changes(&db, 0).await;
    assert_eq!(left.iter().map(|change| change.sequence).collect::<Vec<_>>(), [10_501]);
}

async fn who_learned_before_a_reset_does_not_save_after_it(db: Db) {
    with_users(&db, &["a", "b"]).await;
    let (new, a) = (new("a", AdapterOrigin::Learned), user("a"));
    let save = async |served, since| {
        let saved = db.store.save_adapter(&new, Parent::Unchanged { served, since }, at(1)).await;
        saved.expect("answered")
    };
    db.store.delete_adapters(&user("b"), at(1)).await.expect("of somebody else");
    db.store.delete_adapters(&a, at(1)).await.expect("nothing was saved yet");
    assert_eq!(save(None, 1).await, Saved::Conflict(None), "none is served, as before the reset");
    assert_eq!(save(None, 2).await, Saved::Version(1));
    assert_eq!(save(None, 2).await, Saved::Conflict(Some(1)));
    db.store.delete_adapters(&user("b"), at(1)).await.expect("of somebody else");
    assert_eq!(save(Some(1), 2).await, Saved::Version(2));
}

async fn who_ever_had_an_adapter_is_given_no_first_one(db: Db) {
    with_users(&db, &["a", "b", "c"]).await;
    let first = async |who: &str| {
        let new = new(who, AdapterOrigin::Learned);
        db.store.save_adapter(&new, Parent::Never, at(1)).await.expect("answered")
    };
    assert_eq!(first("a").await, Saved::Version(1));
    assert_eq!(first("a").await, Saved::Conflict(Some(1)));
    db.store.delete_adapters(&user("a"), at(1)).await.expect("deleted");
    assert_eq!(first("a").await, Saved::Conflict(None), "they began anew");
    assert_eq!(save(&db, "a", AdapterOrigin::Learned).await, Saved::Version(2), "no gap");
    db.store.opt_out_of_adapters(&user("b"), at(1)).await.expect("opted out");
    assert_eq!(first("b").await, Saved::OptedOut);
    db.store.opt_in_to_adapters(&user("b"), at(1)).await.expect("opted in");
    assert_eq!(first("b").await, Saved::Conflict(None));
    assert_eq!(first("c").await, Saved::Version(1));
    assert_eq!(first("nobody").await, Saved::UnknownUser);
}

async fn who_opts_out_has_no_adapter_until_they_opt_in(db: Db) {
    with_users(&db, &["a", "b"]).await;
    let a = user("a");
    for who in ["a", "a", "b"] {
        save(&db, who, AdapterOrigin::Learned).await;
    }
    assert_eq!(db.store.opted_out_at(&a).await.expect("read"), None);
    assert_eq!(db.store.opt_out_of_adapters(&a, at(5)).await.expect("opted out"), 2);
    assert_eq!(db.store.opt_out_of_adapters(&a, at(6)).await.expect("again"), 0);
    assert_eq!(db.store.opted_out_at(&a).await.expect("read"), Some(at(5)));
    assert_eq!(db.store.count_adapters(&a, None).await.expect("counted"), 0);
    for origin in AdapterOrigin::ALL {
        assert_eq!(save(&db, "a", origin).await, Saved::OptedOut);
    }
    assert_eq!(save(&db, "b", AdapterOrigin::Learned).await, Saved::Version(2));
    assert!(db.store.opt_in_to_adapters(&a, at(7)).await.expect("opted in"));
    assert_eq!(db.store.opted_out_at(&a).await.expect("read"), None);
    assert_eq!(save(&db, "a", AdapterOrigin::Learned).await, Saved::Version(3), "not reused");
    assert_eq!(kinds(&db, "a").await, [OptedOut, OptedIn]);
}

async fn who_opts_out_need_not_be_known(db: Db) {
    let a = user("a");
    assert_eq!(db.store.opt_out_of_adapters(&a, at(1)).await.expect("opted out"), 0);
    assert_eq!(db.store.user_created_at(&a).await.expect("read"), None);
    with_users(&db, &["a"]).await;
    assert_eq!(save(&db, "a", AdapterOrigin::Learned).await, Saved::OptedOut);
}

async fn those_who_opted_out_are_listed_page_by_page(db: Db) {
    for who in ["b", "ü", "a", "c"] {
        db.store.opt_out_of_adapters(&user(who), at(1)).await.expect("opted out");
    }
    let page = async |after: Option<&str>| {
        let after = after.map(user);
        let page = db.store.opted_out_after(after.as_ref(), 2).await.expect("read");
        page.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(page(None).await, ["a", "b"]);
    assert_eq!(page(Some("b")).await, ["c", "ü"]);
    assert_eq!(page(Some("ü")).await, [""; 0]);
}

async fn an_opt_out_goes_with_the_user(db: Db) {
    with_users(&db, &["a"]).await;
    for who in ["a", "stranger"] {
        db.store.opt_out_of_adapters(&user(who), at(1)).await.expect("opted out");
        let removed = db.store.remove_user(&user(who), at(2)).await.expect("removed");
        assert!(removed.is_some(), "other processes must hear of {who}");
        assert_eq!(db.store.opted_out_at(&user(who)).await.expect("read"), None);
    }
    let nobody = AdapterChange { sequence: 1, user_id: None, kind: OptedOut };
    let all = changes(&db, 0).await;
    assert_eq!(all, [nobody.clone(), AdapterChange { sequence: 2, ..nobody }], "nor who they were");
}

async fn of_opting_out_and_savers_at_once_nothing_is_left(db: Db) {
    with_users(&db, &["a"]).await;
    let mut savers = tokio::task::JoinSet::new();
    for n in 0..20 {
        let store = db.another().await;
        savers.spawn(async move {
            if n == 10 {
                store.opt_out_of_adapters(&user("a"), at(2)).await.map(|_| ())
            } else {
                let new = new("a", AdapterOrigin::ALL[n % 3]);
                store.save_adapter(&new, Parent::Any, at(1)).await.map(|_| ())
            }
        });
    }
    for done in savers.join_all().await {
        done.expect("nobody is in anybody's way");
    }
    assert_eq!(db.store.count_adapters(&user("a"), None).await.expect("counted"), 0);
}
