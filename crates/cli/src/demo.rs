//! The shipped film catalogue and its ratings, compiled into the binary.
//!
//! Source and licences: `demo/NOTICE.txt`. The ratings are from 2013; [`events`] shifts them so that the
//! last one is an hour old, otherwise nothing would be recent.

use std::sync::OnceLock;

use anyhow::Context;
use serde::Deserialize;
use sona_domain::{
    Content, ContentId, Credit, Event, EventId, EventType, RoleType, Timestamp, UserId,
};

const ITEMS: &str = include_str!("../../../demo/items.jsonl");
const COLD_ITEMS: &str = include_str!("../../../demo/cold_items.csv");
const EVENTS: &str = include_str!("../../../demo/events.csv");

/// How old the last rating is made, in seconds.
const LAST_AGE: i64 = 3600;

/// A film as it is shipped.
#[derive(Debug, Deserialize)]
struct Film {
    id: String,
    title: String,
    year: u16,
    genres: Vec<String>,
    directors: Vec<String>,
    cast: Vec<String>,
    keywords: Vec<String>,
}

/// A film nobody has rated, as it is shipped; lists are separated by `|`.
#[derive(Debug, Deserialize)]
struct ColdFilm {
    id: String,
    title: String,
    year: u16,
    genres: String,
    directors: String,
    cast: String,
    keywords: String,
}

/// A rating as it is shipped: 0 to 10, seconds since 1970.
#[derive(Debug, Deserialize)]
struct Rating {
    user: String,
    item: String,
    #[serde(rename = "rating")]
    points: f32,
    timestamp: i64,
}

/// The films: the rated ones, then those nobody has rated.
pub(crate) fn content() -> anyhow::Result<Vec<Content>> {
    let rated = ITEMS.lines().map(|line| Ok(serde_json::from_str::<Film>(line)?));
    let cold = csv::Reader::from_reader(COLD_ITEMS.as_bytes())
        .into_deserialize::<ColdFilm>()
        .map(|film| Ok(film?.split()))
        .collect::<Vec<anyhow::Result<Film>>>();
    rated.chain(cold).map(|film| film?.content()).collect()
}

/// The ratings as events, the last one an hour before `now`; or, if an earlier import was interrupted after
/// `first`, moved in time as far as that one was.
pub(crate) fn events(now: Timestamp, first: Option<&Event>) -> anyhow::Result<Vec<Event>> {
    let ratings = csv::Reader::from_reader(EVENTS.as_bytes())
        .into_deserialize::<Rating>()
        .collect::<Result<Vec<_>, _>>()
        .context("the shipped ratings")?;
    let last = ratings.iter().map(|rating| rating.timestamp).max().unwrap_or(0);
    let shift = match (first, ratings.first()) {
        (Some(event), Some(rating)) => seconds(event.timestamp) - rating.timestamp,
        _ => seconds(now) - LAST_AGE - last,
    };
    ratings.iter().enumerate().map(|(line, rating)| rating.event(line, shift)).collect()
}

fn seconds(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000_000)
}

/// How many events there are.
pub(crate) fn event_count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| EVENTS.lines().count() - 1)
}

impl ColdFilm {
    fn split(self) -> Film {
        let list = |text: &str| {
            text.split('|').filter(|s| !s.is_empty()).map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        Film {
            genres: list(&self.genres),
            directors: list(&self.directors),
            cast: list(&self.cast),
            keywords: list(&self.keywords),
            id: self.id,
            title: self.title,
            year: self.year,
        }
    }
}

impl Film {
    fn content(self) -> anyhow::Result<Content> {
        let people = |names: Vec<String>, role_type| {
            names.into_iter().zip(0..).map(move |(person_name, order_index)| Credit {
                person_name,
                role_type,
                character_name: None,
                order_index,
            })
        };
        let mut content = Content::new(ContentId::new(&self.id)?, self.title);
        content.year = Some(self.year);
        content.genres = self.genres;
        content.themes = self.keywords;
        content.credits = people(self.directors, RoleType::Director)
            .chain(people(self.cast, RoleType::Actor))
            .collect();
        Ok(content)
    }
}

impl Rating {
    fn event(&self, line: usize, shift: i64) -> anyhow::Result<Event> {
        Ok(Event {
            // Stable, so that an interrupted import can be repeated.
            event_id: EventId::new(format!("demo-{}", line + 1))?,
            user_id: UserId::new(&self.user)?,
            content_id: ContentId::new(&self.item)?,
            event_type: EventType::new(EventType::RATE).map_err(anyhow::Error::msg)?,
            completion_rate: None,
            rating: Some(stars(self.points)),
            is_rewatch: false,
            dismissed: false,
            context: None,
            recommendation_id: None,
            timestamp: Timestamp::from_seconds(self.timestamp + shift),
        })
    }
}

/// Ten points as one to five stars.
fn stars(points: f32) -> f32 {
    (points / 2.0).round().clamp(1.0, 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_files_are_whole() {
        let content = content().expect("readable");
        assert_eq!(content.len(), 1689 + 127);
        let now = Timestamp::parse("2026-05-01T12:00:00Z").expect("valid");
        let events = events(now, None).expect("readable");
        let later = super::events(now.plus_seconds(99), events.first()).expect("readable");
        assert_eq!(later, events, "an import that goes on keeps the times of its start");
        assert_eq!((events.len(), event_count()), (54_632, 54_632));
        let last = events.iter().map(|event| event.timestamp).max();
        assert_eq!(last, Some(now.plus_seconds(-LAST_AGE)));
        let known: std::collections::HashSet<_> = content.iter().map(|c| &c.content_id).collect();
        assert!(events.iter().all(|event| known.contains(&event.content_id)));
    }

    #[test]
    fn ten_points_are_five_stars() {
        let got = [0.0, 1.0, 2.0, 3.0, 7.0, 10.0].map(|points| stars(points) as u8);
        assert_eq!(got, [1, 1, 1, 2, 4, 5]);
    }
}
