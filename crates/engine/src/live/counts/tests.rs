//! The counts without a user are those of a world in which the user never was.

use std::collections::HashMap;

use proptest::prelude::*;
use sona_domain::{ContentId, EventId, EventType};

use super::*;

const USERS: usize = 4;
const ROWS: usize = 8;

/// (user, row, type, time) in log order.
type Act = (usize, u32, &'static str, i64);

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let kinds =
        prop_oneof![Just("watch"), Just("click"), Just("like"), Just("dislike"), Just("dismiss")];
    prop::collection::vec((0..USERS, 0..ROWS as u32, kinds, 0_i64..100), 0..80)
}

fn user(n: usize) -> UserId {
    UserId::new(format!("user-{n}")).expect("an id")
}

fn logged(cursor: usize, (who, row, kind, at): Act) -> (u32, LoggedEvent) {
    let event = Event {
        event_id: EventId::new(format!("e{cursor}")).expect("an id"),
        user_id: user(who),
        content_id: ContentId::new(format!("c{row}")).expect("an id"),
        event_type: EventType::new(kind).expect("a type"),
        completion_rate: None,
        rating: None,
        is_rewatch: false,
        dismissed: false,
        context: None,
        recommendation_id: None,
        timestamp: Timestamp::from_seconds(at),
    };
    (row, LoggedEvent { cursor: Cursor(cursor as i64), event })
}

/// The counts of `log`: what is through `trained` by whole sequences, the rest as it comes, in batches.
fn counts_of(log: &[(u32, LoggedEvent)], trained: Cursor, options: &Options) -> Counts {
    let now = Timestamp::from_seconds(100);
    let mut histories: HashMap<UserId, History> = HashMap::new();
    let mut take = |(row, logged): &(u32, LoggedEvent)| {
        let history = histories.entry(logged.event.user_id.clone()).or_default();
        history.apply(*row, &logged.event, logged.cursor, &options.events);
        history.clone()
    };
    let (base, rest) = log.split_at(log.partition_point(|(_, e)| e.cursor <= trained));
    let mut latest = HashMap::new();
    for event in base {
        latest.insert(event.1.event.user_id.clone(), take(event));
    }
    let sequences: Vec<_> = latest.values().map(History::sequence).collect();
    let mut viewers = vec![0; ROWS];
    sequences.iter().flatten().for_each(|row| viewers[*row as usize] += 1);
    let transitions = Transitions::from_sequences(ROWS, &sequences, &(&options.sequence).into());
    let mut counts = Counts::new(transitions, viewers, trained, options, now);
    for (row, logged) in base {
        counts.trend(*row, (&logged.event, None), now);
    }
    for batch in rest.chunks(3) {
        for event in batch {
            latest.insert(event.1.event.user_id.clone(), take(event));
        }
        for (row, logged) in batch {
            counts.apply(*row, logged.cursor, &latest[&logged.event.user_id]);
            counts.trend(*row, (&logged.event, None), now);
        }
    }
    counts
}

proptest! {
    #[test]
    fn a_forgotten_user_never_was(acts in acts(), trained in 0_i64..80) {
        let options = Options::default();
        let log: Vec<_> = acts.into_iter().enumerate().map(|(n, act)| logged(n + 1, act)).collect();
        let (theirs, others): (Vec<_>, Vec<_>) =
            log.iter().cloned().partition(|(_, logged)| logged.event.user_id == user(0));
        let mut counts = counts_of(&log, Cursor(trained), &options);
        let share = Share::of(&theirs, counts.trained_through, &options);
        counts.forget(&share, viewer_key(&user(0)));
        let expect = counts_of(&others, Cursor(trained), &options);
        prop_assert_eq!(&counts.viewers, &expect.viewers);
        prop_assert_eq!(counts.transitions.len(), expect.transitions.len());
        for from in 0..ROWS as u32 {
            for (to, count) in expect.transitions.neighbours(from) {
                prop_assert!((counts.transitions.count(from, to) - count).abs() < 1e-4);
            }
            prop_assert_eq!(counts.trending.viewers(from), expect.trending.viewers(from));
            prop_assert!((counts.trending.score(from) - expect.trending.score(from)).abs() < 1e-4);
        }
    }
}
