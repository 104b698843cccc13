//! Profiles.

use std::collections::BTreeMap;

use sona_domain::{Cursor, Profile};
use sona_store::Error;

use crate::{Db, at, event, user};

on_both!(
    everything_is_read_back_as_it_was_written,
    an_older_view_does_not_replace_a_newer_one,
    a_profile_needs_its_user,
    of_one_user_the_newest_counts,
    numbers_must_be_finite,
);

pub(crate) fn profile(name: &str, through: i64) -> Profile {
    Profile {
        user_id: user(name),
        preference_vector: Vec::new(),
        model_version: None,
        genre_affinities: BTreeMap::new(),
        hourly_events: vec![0; 24],
        weekday_events: vec![0; 7],
        interaction_count: 0,
        seen_count: 0,
        last_event_at: None,
        through: Cursor(through),
        updated_at: at(through),
    }
}

async fn with_users(db: &Db, names: &[&str]) {
    let events: Vec<_> = names.iter().map(|name| event(name, name, 1)).collect();
    db.store.append(&events, at(1)).await.expect("appended");
}

async fn everything_is_read_back_as_it_was_written(db: Db) {
    with_users(&db, &["ü", "plain"]).await;
    let affinities = [("Science Fiction", 0.1 + 0.2), ("Драма \"x\"", 1.0 / 3.0), ("", 1e-45)];
    let full = Profile {
        preference_vector: (0..512).map(|n| (n as f32).sin() / 3.0).collect(),
        model_version: Some(3),
        genre_affinities: affinities.map(|(g, a)| (g.to_owned(), a)).into(),
        hourly_events: (0..24).map(|n| n * n).collect(),
        weekday_events: (0..7).collect(),
        interaction_count: 12,
        seen_count: 9,
        last_event_at: Some(at(77)),
        ..profile("ü", 5)
    };
    let plain = Profile { preference_vector: vec![-0.0, f32::MIN_POSITIVE], ..profile("plain", 0) };
    db.store.put_profiles(&[full.clone(), plain.clone()]).await.expect("put");
    for written in [full, plain] {
        let read = db.store.profile(&written.user_id).await.expect("read").expect("there");
        assert_eq!(read, written);
        let bits =
            |p: &Profile| -> Vec<_> { p.preference_vector.iter().map(|x| x.to_bits()).collect() };
        assert_eq!(bits(&read), bits(&written));
    }
    assert_eq!(db.store.profile(&user("none")).await.expect("read"), None);
}

async fn an_older_view_does_not_replace_a_newer_one(db: Db) {
    with_users(&db, &["a"]).await;
    let view = |through, seen_count| Profile { seen_count, ..profile("a", through) };
    // (through, seen count) written, seen count expected afterwards.
    for (through, written, expected) in [(5, 1, 1), (4, 2, 1), (5, 3, 3), (6, 4, 4), (0, 5, 4)] {
        db.store.put_profiles(&[view(through, written)]).await.expect("put");
        let read = db.store.profile(&user("a")).await.expect("read").expect("there");
        assert_eq!(read.seen_count, expected, "after through {through}");
    }
}

async fn a_profile_needs_its_user(db: Db) {
    with_users(&db, &["a"]).await;
    db.store.put_profiles(&[]).await.expect("nothing to do");
    let three = ["nobody", "a", "nothing"].map(|name| profile(name, 1));
    db.store.put_profiles(&three).await.expect("put");
    assert_eq!(db.store.profile(&user("nobody")).await.expect("read"), None);
    assert!(db.store.profile(&user("a")).await.expect("read").is_some());
    assert_eq!(db.store.count_users().await.expect("read"), 1);
}

async fn of_one_user_the_newest_counts(db: Db) {
    with_users(&db, &["a", "b"]).await;
    let view = |name, through, seen_count| Profile { seen_count, ..profile(name, through) };
    let views =
        [view("b", 1, 9), view("a", 2, 1), view("a", 3, 2), view("a", 3, 3), view("a", 1, 4)];
    db.store.put_profiles(&views).await.expect("put");
    let read = db.store.profile(&user("a")).await.expect("read").expect("there");
    assert_eq!((read.through, read.seen_count), (Cursor(3), 3));
    assert!(db.store.profile(&user("b")).await.expect("read").is_some());
}

async fn numbers_must_be_finite(db: Db) {
    with_users(&db, &["a"]).await;
    let affinities = [("Drama".to_owned(), f32::INFINITY)].into();
    let bad = [
        Profile { preference_vector: vec![0.0, f32::NAN], ..profile("a", 1) },
        Profile { genre_affinities: affinities, ..profile("a", 1) },
    ];
    for profile in bad {
        let refused = db.store.put_profiles(&[profile]).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    assert_eq!(db.store.profile(&user("a")).await.expect("read"), None);
}
