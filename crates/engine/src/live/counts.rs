//! What all users share: which titles follow which, how many saw what, what is trending.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use sha2::{Digest, Sha256};
use sona_domain::{Content, Cursor, Event, LoggedEvent, Timestamp, UserAttributes, UserId, Zone};
use sona_numeric::sequence::{self, Popularity, Transitions};

use crate::history::History;
use crate::live::moments::Circumstances;
use crate::live::trending::{Trending, ViewerKey};
use crate::options::Options;

#[cfg(test)]
mod tests;

/// The shared counts.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    /// Which titles follow which.
    pub(crate) transitions: Transitions,
    /// Distinct viewers by row.
    pub(crate) viewers: Popularity,
    /// `ln(1 + viewers)` by row.
    popularity: Vec<f32>,
    /// What is trending.
    pub(crate) trending: Trending,
    /// Events up to here were counted by whole sequences, later ones as they came.
    pub(crate) trained_through: Cursor,
    sequence: sequence::Options,
    timezone: Zone,
    /// Most viewers first, then the owner's popularity, then the newest, then the row.
    order: BTreeSet<PopularPlace>,
    places: Vec<Option<PopularPlace>>,
}

/// A title's place among the popular ones; smaller is better.
type PopularPlace = (Reverse<u32>, Reverse<u32>, Reverse<u16>, u32);

impl Counts {
    /// Counts without any event, or those of a log prefix.
    pub(crate) fn new(
        transitions: Transitions,
        viewers: Vec<u32>,
        trained_through: Cursor,
        options: &Options,
        now: Timestamp,
    ) -> Self {
        let sequence = (&options.sequence).into();
        Self {
            transitions,
            popularity: viewers.iter().map(|viewers| popularity(*viewers)).collect(),
            viewers: Popularity::new(viewers, &sequence),
            trained_through,
            trending: Trending::new(&options.trending, now),
            sequence,
            timezone: options.context.timezone.clone(),
            order: BTreeSet::new(),
            places: Vec::new(),
        }
    }

    /// Makes room for `rows` rows.
    pub(crate) fn grow(&mut self, rows: usize) {
        self.viewers.grow(rows);
        self.popularity.resize(self.viewers.viewers().len(), 0.0);
        self.transitions.grow(rows);
    }

    /// Takes in the event at `cursor` on the title of `row`, which `history` (of the same user) already includes.
    pub(crate) fn apply(&mut self, row: u32, cursor: Cursor, history: &History) {
        self.grow(row as usize + 1);
        let Some(before) = history.newly_engaged(row, cursor, self.sequence.window) else { return };
        self.transitions.observe(&before, row, &self.sequence);
        self.set_viewers(row, self.viewers.of(row) + 1);
    }

    /// Takes out again what one user put in; answers at how many titles they were trending.
    pub(crate) fn forget(&mut self, share: &Share, viewer: ViewerKey) -> u64 {
        for Counted { before, row } in &share.counted {
            self.transitions.forget(before, *row, &self.sequence);
            if let Some(fewer) = self.viewers.of(*row).checked_sub(1) {
                self.set_viewers(*row, fewer);
            }
        }
        self.trending.forget_at(viewer, &share.rows)
    }

    /// Takes an engagement into the trending titles; what is known of its user counts where it says nothing of them.
    pub(crate) fn trend(
        &mut self,
        row: u32,
        (event, user): (&Event, Option<&UserAttributes>),
        now: Timestamp,
    ) {
        let circumstances = Circumstances::of(event, user, &self.timezone);
        let viewer = viewer_key(&event.user_id);
        self.trending.add(row, viewer, (event.timestamp, circumstances), now);
    }

    /// Lists a title among the popular ones where its counts put it, or takes it off the list.
    pub(crate) fn list(&mut self, row: u32, content: Option<&Content>) {
        self.grow(row as usize + 1);
        if self.places.len() <= row as usize {
            self.places.resize(row as usize + 1, None);
        }
        let place = content.map(|content| {
            // Whole millionths order like the fractions they stand for.
            let popularity = (content.popularity.unwrap_or(0.0) * 1e6) as u32;
            let viewers = self.viewers.of(row);
            (Reverse(viewers), Reverse(popularity), Reverse(content.year.unwrap_or(0)), row)
        });
        if let Some(old) = std::mem::replace(&mut self.places[row as usize], place) {
            self.order.remove(&old);
        }
        self.order.extend(place);
    }

    /// Rows by distinct viewers, best first.
    pub(crate) fn popular(&self) -> impl Iterator<Item = u32> {
        self.order.iter().map(|(.., row)| *row)
    }

    /// `ln(1 + viewers)` of a title.
    pub(crate) fn popularity(&self, row: u32) -> f32 {
        self.popularity.get(row as usize).copied().unwrap_or(0.0)
    }

    /// That of the listed title that has most.
    pub(crate) fn highest_popularity(&self) -> f32 {
        self.order.first().map_or(0.0, |(.., row)| self.popularity(*row))
    }

    fn set_viewers(&mut self, row: u32, viewers: u32) {
        self.viewers.set(row, viewers);
        self.popularity[row as usize] = popularity(viewers);
        self.move_place(row);
    }

    fn move_place(&mut self, row: u32) {
        let Some(Some(place)) = self.places.get_mut(row as usize) else { return };
        self.order.remove(place);
        place.0 = Reverse(self.viewers.of(row));
        self.order.insert(*place);
    }
}

fn popularity(viewers: u32) -> f32 {
    (viewers as f32).ln_1p()
}

/// What one user put into the counts.
#[derive(Debug, Default)]
pub(crate) struct Share {
    /// The titles they were counted at, and what each was counted after.
    pub(crate) counted: Vec<Counted>,
    /// Every title of their events.
    rows: HashSet<u32>,
}

/// One title taken into the counts.
#[derive(Debug)]
pub(crate) struct Counted {
    before: Vec<u32>,
    row: u32,
}

impl Share {
    /// The share of the user whose events are `events` (in log order, with their rows) in counts that were
    /// trained through `trained_through`.
    pub(crate) fn of(
        events: &[(u32, LoggedEvent)],
        trained_through: Cursor,
        options: &Options,
    ) -> Self {
        let rows = events.iter().map(|(row, _)| *row).collect();
        let mut history = History::default();
        let (trained, later) =
            events.split_at(events.partition_point(|(_, e)| e.cursor <= trained_through));
        for (row, logged) in trained {
            history.apply(*row, &logged.event, logged.cursor, &options.events);
        }
        let (sequence, window) = (history.sequence(), options.sequence.window);
        let mut counted: Vec<_> = sequence
            .iter()
            .enumerate()
            .map(|(at, row)| Counted {
                before: sequence[at.saturating_sub(window)..at].to_vec(),
                row: *row,
            })
            .collect();
        for (row, logged) in later {
            history.apply(*row, &logged.event, logged.cursor, &options.events);
            let before = history.newly_engaged(*row, logged.cursor, window);
            counted.extend(before.map(|before| Counted { before, row: *row }));
        }
        Self { counted, rows }
    }
}

/// A stable 64-bit stand-in for a user id: the first eight bytes of its digest.
pub(crate) fn viewer_key(user: &UserId) -> ViewerKey {
    key_of_digest(&Sha256::digest(user.as_str()).into())
}

/// The stand-in of the user with this SHA-256 digest.
pub(crate) fn key_of_digest(digest: &[u8; 32]) -> ViewerKey {
    digest.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}
