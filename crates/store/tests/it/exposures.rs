//! What was shown.

use sona_domain::{ContentId, ExposedItem, Exposure, RecommendationId};
use sona_store::Error;

use crate::{Db, at, event, user};

on_both!(
    a_list_is_read_back_as_it_was_written,
    a_list_is_written_once,
    what_json_cannot_say_is_refused,
    the_oldest_go_first_and_few_at_a_time,
    removal_takes_what_was_shown_with_it,
    what_waited_while_its_user_was_removed_is_not_written,
    removal_among_lists,
);

/// These titles as they are shown: scores fall from 1.
pub(crate) fn exposure(id: &str, user_id: &str, seconds: i64, titles: &[&str]) -> Exposure {
    let item = |(title, rank): (&&str, u32)| ExposedItem {
        content_id: ContentId::new(title).expect("an id"),
        rank,
        score: 1.0 / rank as f32,
    };
    Exposure {
        recommendation_id: list(id),
        user_id: user(user_id),
        shown_at: at(seconds),
        model_version: None,
        ranker_version: None,
        items: titles.iter().zip(1..).map(item).collect(),
    }
}

fn list(id: &str) -> RecommendationId {
    RecommendationId::new(id).expect("an id")
}

async fn is_there(db: &Db, id: &str) -> bool {
    db.store.exposure(&list(id)).await.expect("read").is_some()
}

async fn a_list_is_read_back_as_it_was_written(db: Db) {
    let mut full = exposure("список \" \\ 1", "'; DROP TABLE users", 7, &["映画", "a\"b", "%_"]);
    full.items[1].score = f32::from_bits(0x3e99_999b);
    full.items[2].score = -1e-7;
    (full.model_version, full.ranker_version) = (Some(3), Some(i64::MAX));
    let written = [full, exposure("empty", "nobody", -5, &[])];
    db.store.put_exposures(&written).await.expect("put");
    db.store.put_exposures(&[]).await.expect("nothing");
    for expected in written {
        let found = db.store.exposure(&expected.recommendation_id).await.expect("read");
        assert_eq!(found, Some(expected));
    }
    assert!(!is_there(&db, "other").await);
}

async fn a_list_is_written_once(db: Db) {
    db.store.put_exposures(&[exposure("1", "u", 1, &["a"])]).await.expect("put");
    let again = [exposure("1", "v", 2, &["b"]), exposure("2", "v", 2, &["b"])];
    db.store.put_exposures(&again).await.expect("put");
    let first = db.store.exposure(&list("1")).await.expect("read").expect("there");
    assert_eq!(first.user_id, user("u"));
    assert!(is_there(&db, "2").await);
}

async fn what_json_cannot_say_is_refused(db: Db) {
    let mut endless = exposure("1", "u", 1, &["a"]);
    endless.items[0].score = f32::INFINITY;
    let mut disordered = exposure("1", "u", 1, &["a", "b"]);
    disordered.items.swap(0, 1);
    for refused in [endless, disordered] {
        let error = db.store.put_exposures(&[refused]).await.expect_err("refused");
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
}

async fn the_oldest_go_first_and_few_at_a_time(db: Db) {
    let lists: Vec<_> =
        (0..10).map(|n| exposure(&n.to_string(), "u", 100 - n, &["a", "b"])).collect();
    db.store.put_exposures(&lists).await.expect("put");
    assert_eq!(db.store.delete_exposures(at(96), 2).await.expect("deleted"), 2);
    let mut there = Vec::new();
    for n in 0..10 {
        there.push(is_there(&db, &n.to_string()).await);
    }
    assert_eq!(there, [true, true, true, true, true, true, true, true, false, false]);
    assert_eq!(db.store.delete_exposures(at(96), 100).await.expect("deleted"), 3);
    assert_eq!(db.store.delete_exposures(at(96), 100).await.expect("deleted"), 0);
    assert!(is_there(&db, "4").await && !is_there(&db, "5").await);
}

async fn removal_takes_what_was_shown_with_it(db: Db) {
    db.store.append(&[event("1", "a", 1)], at(1)).await.expect("appended");
    let lists = ["1", "2"].map(|id| exposure(id, "a", 1, &["x"]));
    db.store.put_exposures(&lists).await.expect("put");
    db.store.put_exposures(&[exposure("3", "b", 1, &["x"])]).await.expect("put");
    let removed = db.store.remove_user(&user("a"), at(2)).await.expect("removed").expect("known");
    assert_eq!((removed.events, removed.exposures), (1, 2));
    assert!(!is_there(&db, "1").await && is_there(&db, "3").await);
    // Nothing else is known of whom only lists were shown to.
    let removed = db.store.remove_user(&user("b"), at(2)).await.expect("removed").expect("known");
    assert_eq!((removed.sequence, removed.events, removed.exposures), (2, 0, 1));
    assert_eq!(db.store.remove_user(&user("b"), at(3)).await.expect("asked"), None);
}

async fn what_waited_while_its_user_was_removed_is_not_written(db: Db) {
    db.store.append(&[event("1", "a", 1)], at(1)).await.expect("appended");
    db.store.remove_user(&user("a"), at(5)).await.expect("removed");
    assert_eq!(db.store.remove_user(&user("nobody"), at(5)).await.expect("asked"), None);
    let lists =
        [("before", "a", 5), ("unknown", "nobody", 4), ("after", "a", 6), ("other", "b", 5)];
    let lists = lists.map(|(id, user, shown)| exposure(id, user, shown, &["x"]));
    db.store.put_exposures(&lists).await.expect("put");
    assert!(!is_there(&db, "before").await && !is_there(&db, "unknown").await);
    assert!(is_there(&db, "after").await && is_there(&db, "other").await);
    db.store.remove_user(&user("nobody"), at(3)).await.expect("a clock that is behind");
    db.store.put_exposures(&lists).await.expect("put");
    assert!(!is_there(&db, "unknown").await, "the latest removal counts");
    // Whoever lets lists expire need not know whom they were shown to.
    db.store.delete_exposures(at(6), 10).await.expect("deleted");
    db.store.put_exposures(&lists).await.expect("put");
    assert!(is_there(&db, "unknown").await);
}

async fn removal_among_lists(db: Db) {
    const ROUNDS: i64 = 40;
    db.store.append(&[event("1", "a", 1)], at(0)).await.expect("appended");
    let other = db.another().await;
    let show = async {
        for round in 0..ROUNDS {
            let lists = ["a", "b"].map(|name| exposure(&format!("{name}{round}"), name, 1, &["x"]));
            db.store.put_exposures(&lists).await.expect("put");
        }
    };
    let remove = async {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        other.remove_user(&user("a"), at(1)).await.expect("removed");
    };
    tokio::join!(show, remove);
    for round in 0..ROUNDS {
        assert!(!is_there(&db, &format!("a{round}")).await, "{round}: whenever it was written");
        assert!(is_there(&db, &format!("b{round}")).await);
    }
}
