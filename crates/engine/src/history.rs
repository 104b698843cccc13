//! What one user did, folded from their events: per title how strongly it speaks for their taste, and in
//! which order titles came. Live state and training read events through this one fold.

mod packed;

use packed::Titles;
use sona_domain::{Cursor, Effect, Event, EventRules, EventType, Timestamp};

/// A user's titles, by row.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    titles: Titles,
}

/// A title that speaks for a user's taste.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Liked {
    pub(crate) row: u32,
    /// Engagement weight, above 0.
    pub(crate) weight: f32,
    /// The latest engagement.
    pub(crate) at: Timestamp,
}

/// What a user did with one title.
#[derive(Debug, Clone, PartialEq)]
struct Title {
    row: u32,
    /// The strongest engagement weight of events without an opinion.
    implicit: f32,
    /// The latest opinion (rate, like, dislike, dismiss).
    opinion: Option<Opinion>,
    engaged: Engaged,
    /// Watched, completed, rated or liked.
    seen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Opinion {
    at: Timestamp,
    weight: f32,
    is_rejection: bool,
}

/// An engagement's time, ties decided by its place in the log.
type Place = (Timestamp, Cursor);

/// When a title was engaged with.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Engaged {
    Never,
    Once(Place),
    Again(Places),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Places {
    /// The first to arrive, by which the shared counts took the title in: what comes later, with whatever time,
    /// changes nothing about how it was counted.
    counted: Place,
    /// The earliest by time.
    first: Place,
    /// The latest by time.
    last: Place,
}

impl Engaged {
    fn add(&mut self, place: Place) {
        match self {
            Self::Never => *self = Self::Once(place),
            Self::Once(counted) => {
                let (counted, first, last) = (*counted, place.min(*counted), place.max(*counted));
                *self = Self::Again(Places { counted, first, last });
            }
            Self::Again(places) => {
                places.first = places.first.min(place);
                places.last = places.last.max(place);
            }
        }
    }

    fn counted(&self) -> Option<Place> {
        match self {
            Self::Never => None,
            Self::Once(place) => Some(*place),
            Self::Again(places) => Some(places.counted),
        }
    }

    fn first(&self) -> Option<Place> {
        match self {
            Self::Never => None,
            Self::Once(place) => Some(*place),
            Self::Again(places) => Some(places.first),
        }
    }

    fn last(&self) -> Option<Place> {
        match self {
            Self::Never => None,
            Self::Once(place) => Some(*place),
            Self::Again(places) => Some(places.last),
        }
    }
}

impl Title {
    const fn new(row: u32) -> Self {
        Self { row, implicit: 0.0, opinion: None, engaged: Engaged::Never, seen: false }
    }

    /// The pair's engagement weight: the latest opinion if there is one, else the strongest of the other
    /// events. Events of one pair are never summed: five glances are not one viewing.
    fn weight(&self) -> f32 {
        self.opinion.map_or(self.implicit, |opinion| opinion.weight)
    }

    fn is_blocked(&self) -> bool {
        self.seen || self.opinion.is_some_and(|opinion| opinion.is_rejection)
    }

    fn apply(&mut self, event: &Event, cursor: Cursor, rules: &EventRules) {
        let (weight, effect) = (rules.weight(event), rules.effect(event));
        self.seen |= effect == Effect::Seen;
        if is_opinion(event, effect) {
            if self.opinion.is_none_or(|opinion| opinion.at <= event.timestamp) {
                let is_rejection = effect == Effect::Reject;
                self.opinion = Some(Opinion { at: event.timestamp, weight, is_rejection });
            }
        } else {
            self.implicit = self.implicit.max(weight);
        }
        if weight > 0.0 {
            self.engaged.add((event.timestamp, cursor));
        }
    }
}

/// Likes, ratings and rejections say what the user thinks; everything else what they did.
fn is_opinion(event: &Event, effect: Effect) -> bool {
    effect == Effect::Reject
        || event.rating.is_some()
        || matches!(event.event_type.as_str(), EventType::RATE | EventType::LIKE)
}

impl History {
    /// Takes in one event on the title of `row`. Events must come in log order.
    pub(crate) fn apply(&mut self, row: u32, event: &Event, cursor: Cursor, rules: &EventRules) {
        let place = (event.timestamp, cursor);
        self.titles.update(row, place, |title| title.apply(event, cursor, rules));
    }

    /// Bytes it takes beside itself.
    pub(crate) fn memory(&self) -> usize {
        self.titles.memory()
    }

    /// Titles that must not be recommended: seen or rejected.
    pub(crate) fn blocked(&self) -> impl Iterator<Item = u32> {
        self.titles.iter().filter(Title::is_blocked).map(|title| title.row)
    }

    /// True if a title must not be recommended.
    pub(crate) fn is_blocked(&self, row: u32) -> bool {
        self.titles.get(row).is_some_and(|title| title.is_blocked())
    }

    /// True if a title speaks for the user's taste already.
    pub(crate) fn has_engaged(&self, row: u32) -> bool {
        self.titles.get(row).is_some_and(|title| title.engaged != Engaged::Never)
    }

    /// Whether the title was seen.
    pub(crate) fn is_seen(&self, row: u32) -> bool {
        self.titles.get(row).is_some_and(|title| title.seen)
    }

    /// How many titles were seen.
    pub(crate) fn seen_count(&self) -> usize {
        self.titles.iter().filter(|title| title.seen).count()
    }

    /// (row, engagement weight) of every title that speaks for the user's taste, by row.
    pub(crate) fn engaged(&self) -> Vec<(u32, f32)> {
        let pairs = self.titles.iter().map(|title| (title.row, title.weight()));
        pairs.filter(|(_, weight)| *weight > 0.0).collect()
    }

    /// Engaged titles in the order they first came, oldest first.
    pub(crate) fn sequence(&self) -> Vec<u32> {
        let mut titles: Vec<_> = self
            .titles
            .iter()
            .filter(|title| title.weight() > 0.0)
            .filter_map(|title| Some((title.engaged.first()?, title.row)))
            .collect();
        titles.sort_unstable();
        titles.into_iter().map(|(_, row)| row).collect()
    }

    /// The latest `limit` engaged titles, newest first.
    pub(crate) fn recent(&self, limit: usize) -> Vec<Liked> {
        let titles = self
            .titles
            .iter()
            .filter(|title| title.weight() > 0.0)
            .filter_map(|title| Some((title.engaged.last()?, title.row)));
        let rows = latest(titles.collect(), limit);
        let liked = |row| {
            let title = self.titles.get(row)?;
            Some(Liked { row, weight: title.weight(), at: title.engaged.last()?.0 })
        };
        rows.into_iter().rev().filter_map(liked).collect()
    }

    /// If the event at `cursor` was the one by which the shared counts learn of `row`: the titles engaged with
    /// before it, oldest first, at most `window`. Later events, if the history has them already, change
    /// nothing.
    pub(crate) fn newly_engaged(
        &self,
        row: u32,
        cursor: Cursor,
        window: usize,
    ) -> Option<Vec<u32>> {
        let place = self.titles.get(row)?.engaged.counted()?;
        if place.1 != cursor {
            return None;
        }
        let before = self
            .titles
            .iter()
            .filter_map(|title| Some((title.engaged.counted()?, title.row)))
            .filter(|(counted, _)| *counted < place && counted.1 < cursor);
        Some(latest(before.collect(), window))
    }
}

/// The rows of the latest `limit` places, oldest first.
fn latest(mut titles: Vec<(Place, u32)>, limit: usize) -> Vec<u32> {
    let from = titles.len().saturating_sub(limit);
    if from > 0 && from < titles.len() {
        // Of a long history only the end has to be in order.
        titles.select_nth_unstable(from);
    }
    let mut titles = titles.split_off(from);
    titles.sort_unstable();
    titles.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sona_domain::{ContentId, EventId, UserId};

    fn event(event_type: &str, at: i64) -> Event {
        Event {
            event_id: EventId::new("e").expect("an id"),
            user_id: UserId::new("u").expect("an id"),
            content_id: ContentId::new("c").expect("an id"),
            event_type: EventType::new(event_type).expect("a type"),
            completion_rate: None,
            rating: None,
            is_rewatch: false,
            dismissed: false,
            context: None,
            recommendation_id: None,
            timestamp: Timestamp::from_seconds(at),
        }
    }

    fn fold(events: &[(u32, &str, i64)]) -> History {
        let rules = EventRules::default();
        let mut history = History::default();
        for (n, (row, event_type, at)) in events.iter().enumerate() {
            history.apply(*row, &event(event_type, *at), Cursor(n as i64 + 1), &rules);
        }
        history
    }

    #[test]
    fn glances_do_not_add_up_and_a_dislike_lowers() {
        let five = fold(&[(1, "click", 1), (1, "click", 2), (1, "click", 3)]);
        assert_eq!(five.engaged(), fold(&[(1, "click", 1)]).engaged());
        let disliked = fold(&[(1, "complete", 1), (1, "dislike", 2)]);
        assert_eq!(disliked.engaged(), []);
        assert!(disliked.is_blocked(1));
    }

    #[test]
    fn the_latest_opinion_by_time_wins_however_late_it_arrives() {
        let late = fold(&[(1, "like", 10), (1, "dislike", 5)]);
        assert_eq!(late.engaged(), fold(&[(1, "like", 10)]).engaged());
    }

    #[test]
    fn interest_does_not_block() {
        let history = fold(&[(1, "add", 1), (2, "click", 2), (3, "watch", 3), (4, "dismiss", 4)]);
        let mut blocked: Vec<_> = history.blocked().collect();
        blocked.sort_unstable();
        assert_eq!(blocked, [3, 4]);
        assert_eq!(history.seen_count(), 1);
    }

    #[test]
    fn order_is_by_time_not_arrival() {
        let history =
            fold(&[(1, "watch", 30), (2, "watch", 10), (3, "watch", 20), (2, "like", 40)]);
        assert_eq!(history.sequence(), [2, 3, 1]);
        assert_eq!(history.recent(2).iter().map(|liked| liked.row).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn a_title_is_counted_once() {
        let history = fold(&[(1, "watch", 1), (2, "click", 2), (2, "watch", 3)]);
        assert_eq!(history.newly_engaged(2, Cursor(2), 20), Some(vec![1]));
        assert_eq!(history.newly_engaged(2, Cursor(3), 20), None);
    }
}
