//! A small world in which the right answer is obvious: a checkerboard.
//!
//! User `u` watched every title of the same parity (even users even titles, odd users odd ones) except title `u`
//! itself. So the one good recommendation for user `u` among the unseen titles is title `u`: everybody like
//! them watched it, and nobody like them watched any title of the other parity.

use sona_domain::{Content, ContentId, EventDraft, EventId, EventType, Timestamp, UserId};

/// The checkerboard.
#[derive(Debug, Clone, Copy)]
pub struct World {
    size: usize,
}

impl World {
    /// `size` users and `size` titles; even, at least 6.
    pub fn new(size: usize) -> Self {
        assert!(
            size >= 6 && size.is_multiple_of(2),
            "a checkerboard has an even size of at least 6"
        );
        Self { size }
    }

    /// How many users and how many titles.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The id of user `n`.
    pub fn user(n: usize) -> UserId {
        UserId::new(format!("user-{n}")).expect("a valid id")
    }

    /// The id of title `n`.
    pub fn title(n: usize) -> ContentId {
        ContentId::new(format!("title-{n}")).expect("a valid id")
    }

    /// The number of a title by its id.
    pub fn number(id: &str) -> usize {
        id.strip_prefix("title-").and_then(|n| n.parse().ok()).expect("a title of this world")
    }

    /// The catalogue. Even titles are comedies, odd ones dramas.
    pub fn content(&self) -> Vec<Content> {
        let entry = |n: usize| Content {
            year: Some(1990 + n as u16),
            runtime_minutes: Some(90),
            genres: vec![if n.is_multiple_of(2) { "Comedy" } else { "Drama" }.to_owned()],
            ..Content::new(Self::title(n), format!("Title {n}"))
        };
        (0..self.size).map(entry).collect()
    }

    /// The viewings, one a minute, the last one an hour before `now`.
    pub fn events(&self, now: Timestamp) -> Vec<EventDraft> {
        let pairs: Vec<_> = (0..self.size)
            .flat_map(|user| (0..self.size).map(move |title| (user, title)))
            .filter(|(user, title)| user % 2 == title % 2 && user != title)
            .collect();
        let count = pairs.len() as i64;
        let event = |(n, (user, title)): (usize, (usize, usize))| EventDraft {
            event_id: Some(EventId::new(format!("event-{user}-{title}")).expect("a valid id")),
            user_id: Self::user(user),
            content_id: Self::title(title),
            event_type: EventType::new(EventType::COMPLETE).expect("a valid type"),
            completion_rate: None,
            rating: None,
            is_rewatch: false,
            dismissed: false,
            context: None,
            recommendation_id: None,
            timestamp: Some(now.plus_seconds(-3600 - 60 * (count - 1 - n as i64))),
        };
        pairs.into_iter().enumerate().map(event).collect()
    }
}
