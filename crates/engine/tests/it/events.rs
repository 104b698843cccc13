//! Events: once each, durable, and in the very next list.

use sona_domain::EventId;
use sona_engine::TrackOutcome;
use sona_testkit::databases::Backend;

use crate::on_both;
use crate::world::{World, content_id, event, title, user_id, watch, watch_at};

async fn the_next_list_reflects_an_event(backend: Backend) {
    let world = World::two_families(backend, 6, 8).await;
    world.train().await;
    for _ in 0..4 {
        let before = world.list("newcomer", 5).await;
        let first = before.recommendations[0].content_id.to_string();
        world.track(vec![watch("newcomer", &first)]).await;
        let after = world.list("newcomer", 5).await;
        assert!(!crate::world::ids(&after).contains(&first), "{first} is still listed");
        assert_eq!(after.interaction_count, before.interaction_count + 1);
        assert_ne!(before.recommendations, after.recommendations);
    }
}
on_both!(the_next_list_reflects_an_event);

async fn an_event_sent_twice_counts_once(backend: Backend) {
    let world = World::two_families(backend, 3, 2).await;
    let mut once = watch("u", "a0");
    once.event_id = Some(EventId::new("e1").expect("an id"));
    let event_id = EventId::new("e1").expect("an id");
    let outcomes = world.track(vec![once.clone(), once.clone()]).await;
    let accepted = TrackOutcome::Accepted { event_id: event_id.clone() };
    let duplicate = TrackOutcome::Duplicate { event_id };
    assert_eq!(outcomes, [accepted, duplicate.clone()]);
    assert_eq!(world.track(vec![once]).await, [duplicate]);
    let profile = world.engine.profile(&user_id("u")).await.expect("read").expect("known");
    assert_eq!(profile.interaction_count, 1);
}
on_both!(an_event_sent_twice_counts_once);

async fn unknown_content_is_refused_by_name(backend: Backend) {
    let world = World::two_families(backend, 3, 2).await;
    let outcomes = world.track(vec![watch("u", "a0"), watch("u", "nowhere")]).await;
    assert!(matches!(outcomes[0], TrackOutcome::Accepted { .. }));
    assert_eq!(outcomes[1], TrackOutcome::UnknownContent { content_id: content_id("nowhere") });
    assert_eq!(world.list("u", 5).await.interaction_count, 1);
}
on_both!(unknown_content_is_refused_by_name);

async fn concurrent_callers_share_commits_and_lose_nothing(backend: Backend) {
    let world = World::two_families(backend, 6, 2).await;
    let calls = (0..200).map(|n| {
        let engine = world.engine.clone();
        tokio::spawn(async move {
            let user = format!("caller{}", n % 10);
            let title = format!("a{}", n % 6);
            engine.track(vec![event(&user, &title, "click")]).await.expect("tracked")
        })
    });
    for call in calls.collect::<Vec<_>>() {
        assert!(matches!(call.await.expect("no panic")[0], TrackOutcome::Accepted { .. }));
    }
    for user in 0..10 {
        let id = user_id(&format!("caller{user}"));
        let profile = world.engine.profile(&id).await.expect("read").expect("known");
        assert_eq!(profile.interaction_count, 20);
    }
}
on_both!(concurrent_callers_share_commits_and_lose_nothing);

async fn late_events_take_their_place_in_time(backend: Backend) {
    let world = World::two_families(backend, 6, 8).await;
    let now = world.engine.now();
    world.track(vec![watch_at("u", "b1", now.plus_seconds(-10))]).await;
    world.track(vec![watch_at("u", "a1", now.plus_seconds(-1_000_000))]).await;
    let list = world.list("u", 3).await;
    // The newest title in time is b1, although a1 arrived last: family b leads.
    assert!(list.recommendations[0].content_id.as_str().starts_with('b'));
    let profile = world.engine.profile(&user_id("u")).await.expect("read").expect("known");
    assert_eq!(profile.last_event_at, Some(now.plus_seconds(-10)));
}
on_both!(late_events_take_their_place_in_time);

async fn a_rejection_removes_and_interest_does_not(backend: Backend) {
    let world = World::two_families(backend, 6, 8).await;
    world.track(vec![watch("u", "a1")]).await;
    let full = world.ids("u", 50).await;
    assert_eq!(full.len(), 11);
    world.track(vec![event("u", "a2", "dismiss"), event("u", "a3", "dislike")]).await;
    world.track(vec![event("u", "a4", "add"), event("u", "a5", "click")]).await;
    let rest = world.ids("u", 50).await;
    assert!(!rest.contains(&"a2".to_owned()) && !rest.contains(&"a3".to_owned()));
    assert!(rest.contains(&"a4".to_owned()) && rest.contains(&"a5".to_owned()));
}
on_both!(a_rejection_removes_and_interest_does_not);

#[tokio::test]
async fn content_written_a_moment_ago_takes_events() {
    let world = World::new(Backend::Sqlite).await;
    let another = world.another().await;
    another.put_content(&[title("fresh")]).await.expect("written");
    let outcomes = world.track(vec![watch("u", "fresh")]).await;
    assert!(matches!(outcomes[0], TrackOutcome::Accepted { .. }));
}
