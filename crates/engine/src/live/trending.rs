//! Distinct viewers in a window, recent ones counting more.
//!
//! Every (title, viewer) pair counts once, with `2^-(age / half life)` of its latest engagement. Decay is a
//! common factor of all titles, so scores are kept relative to a moving origin and the order never has to
//! be recomputed; pairs that leave the window are taken out in order of age. So are those that are too many:
//! on a busy day the window is as long as memory allows.

use std::collections::{BTreeSet, HashMap, HashSet};

use sona_domain::Timestamp;

use crate::live::moments::{Circumstances, Moments};
use crate::options;

/// The origin moves when an event lies more than this many half lives from it.
const MAX_HALF_LIVES: f64 = 200.0;

/// Identifies a viewer without holding their id.
pub(crate) type ViewerKey = u64;

/// Trending titles.
#[derive(Debug, Clone)]
pub(crate) struct Trending {
    window_seconds: f64,
    half_life_seconds: f64,
    max_pairs: usize,
    origin: Timestamp,
    latest: HashMap<(u32, ViewerKey), (Timestamp, Circumstances)>,
    by_age: BTreeSet<(Timestamp, u32, ViewerKey)>,
    /// By row.
    titles: Vec<Title>,
    /// Best last; the score's bits order like the score because scores are positive.
    order: BTreeSet<(u64, std::cmp::Reverse<u32>)>,
    moments: Moments,
}

#[derive(Debug, Clone, Copy, Default)]
struct Title {
    score: f64,
    viewers: u32,
}

impl Trending {
    /// Nobody has watched anything yet.
    pub(crate) fn new(options: &options::Trending, now: Timestamp) -> Self {
        Self {
            window_seconds: options.window_days * 86_400.0,
            half_life_seconds: options.half_life_days * 86_400.0,
            max_pairs: options.max_pairs,
            origin: now,
            latest: HashMap::new(),
            by_age: BTreeSet::new(),
            titles: Vec::new(),
            order: BTreeSet::new(),
            moments: Moments::default(),
        }
    }

    /// `viewer` engaged with the title of `row` at that time and in those circumstances. Taking the same event in twice
    /// changes nothing.
    pub(crate) fn add(
        &mut self,
        row: u32,
        viewer: ViewerKey,
        (at, circumstances): (Timestamp, Circumstances),
        now: Timestamp,
    ) {
        if now.seconds_since(at) >= self.window_seconds {
            return;
        }
        // Far from the origin, on either side (a clock may be set back), scores would leave f64's range.
        if (at.seconds_since(self.origin) / self.half_life_seconds).abs() > MAX_HALF_LIVES {
            self.move_origin(now);
        }
        match self.latest.get(&(row, viewer)).copied() {
            Some((before, _)) if before >= at => return,
            Some((before, _)) => self.take_out(row, viewer, before),
            None => {}
        }
        self.latest.insert((row, viewer), (at, circumstances));
        self.moments.add(row, circumstances);
        self.by_age.insert((at, row, viewer));
        let gain = self.relative(at);
        self.change(row, |title| {
            title.score += gain;
            title.viewers += 1;
        });
        while self.latest.len() > self.max_pairs
            && let Some((at, row, viewer)) = self.by_age.first().copied()
        {
            self.take_out(row, viewer, at);
        }
    }

    /// Takes out what has left the window by `now`.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some((at, row, viewer)) = self.by_age.first().copied() {
            if now.seconds_since(at) < self.window_seconds {
                return;
            }
            self.take_out(row, viewer, at);
        }
    }

    /// True if [`Trending::expire`] has something to do.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        self.by_age.first().is_some_and(|(at, ..)| now.seconds_since(*at) >= self.window_seconds)
    }

    /// Forgets viewers whose titles are not known; looks at every pair.
    pub(crate) fn forget(&mut self, viewers: &HashSet<ViewerKey>) {
        let theirs: Vec<_> = self
            .latest
            .iter()
            .filter(|((_, viewer), _)| viewers.contains(viewer))
            .map(|((row, viewer), (at, _))| (*row, *viewer, *at))
            .collect();
        for (row, viewer, at) in theirs {
            self.take_out(row, viewer, at);
        }
    }

    /// Forgets a viewer of no other titles than `rows`; answers at how many they were counted.
    pub(crate) fn forget_at(&mut self, viewer: ViewerKey, rows: &HashSet<u32>) -> u64 {
        let mut counted = 0;
        for row in rows {
            if let Some((at, _)) = self.latest.get(&(*row, viewer)).copied() {
                self.take_out(*row, viewer, at);
                counted += 1;
            }
        }
        counted
    }

    /// Rows, best first.
    pub(crate) fn best(&self) -> impl Iterator<Item = u32> {
        self.order.iter().rev().map(|(_, row)| row.0)
    }

    /// The best title's score; 0 if nothing is trending. Only to be compared with [`Trending::score`].
    pub(crate) fn highest(&self) -> f64 {
        self.order.last().map_or(0.0, |(bits, _)| f64::from_bits(*bits))
    }

    /// A title's score; it means nothing by itself.
    pub(crate) fn score(&self, row: u32) -> f64 {
        self.titles.get(row as usize).map_or(0.0, |title| title.score)
    }

    /// Viewers of a title, each counting `2^-(age / half life)` of their latest engagement at `now`.
    pub(crate) fn weight(&self, row: u32, now: Timestamp) -> f64 {
        self.score(row) / self.relative(now)
    }

    /// Distinct viewers of a title in the window.
    pub(crate) fn viewers(&self, row: u32) -> u32 {
        self.titles.get(row as usize).map_or(0, |title| title.viewers)
    }

    /// In which circumstances titles are watched, by the latest engagement of every viewer in the window.
    pub(crate) fn moments(&self) -> &Moments {
        &self.moments
    }

    fn relative(&self, at: Timestamp) -> f64 {
        (at.seconds_since(self.origin) / self.half_life_seconds).exp2()
    }

    fn take_out(&mut self, row: u32, viewer: ViewerKey, at: Timestamp) {
        if let Some((_, circumstances)) = self.latest.remove(&(row, viewer)) {
            self.moments.take_out(row, circumstances);
        }
        self.by_age.remove(&(at, row, viewer));
        let loss = self.relative(at);
        self.change(row, |title| {
            title.viewers -= 1;
            // The last viewer leaves nothing behind, whatever rounding says.
            title.score =
                if title.viewers == 0 { 0.0 } else { (title.score - loss).max(f64::MIN_POSITIVE) };
        });
    }

    fn change(&mut self, row: u32, change: impl FnOnce(&mut Title)) {
        if self.titles.len() <= row as usize {
            self.titles.resize(row as usize + 1, Title::default());
        }
        let title = &mut self.titles[row as usize];
        self.order.remove(&(title.score.to_bits(), std::cmp::Reverse(row)));
        change(title);
        if title.viewers > 0 {
            self.order.insert((title.score.to_bits(), std::cmp::Reverse(row)));
        }
    }

    fn move_origin(&mut self, now: Timestamp) {
        self.origin = now;
        self.titles.clear();
        self.order.clear();
        let pairs: Vec<_> = self.by_age.iter().copied().collect();
        for (at, row, _) in pairs {
            let gain = self.relative(at);
            self.change(row, |title| {
                title.score += gain;
                title.viewers += 1;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(day: f64) -> Timestamp {
        Timestamp::from_seconds((day * DAY as f64) as i64)
    }

    fn plain(at: Timestamp) -> (Timestamp, Circumstances) {
        (at, Circumstances::default())
    }

    fn trending() -> Trending {
        Trending::new(&options::Trending::default(), at(0.0))
    }

    #[test]
    fn a_viewer_counts_once_and_recent_viewers_count_more() {
        let mut t = trending();
        for _ in 0..5 {
            t.add(1, 100, plain(at(1.0)), at(8.0));
        }
        t.add(2, 200, plain(at(8.0)), at(8.0));
        assert_eq!((t.viewers(1), t.viewers(2)), (1, 1));
        assert_eq!(t.best().collect::<Vec<_>>(), [2, 1]);
        assert!((t.score(1) / t.highest() - 0.5).abs() < 1e-6, "seven days are one half life");
    }

    #[test]
    fn what_leaves_the_window_is_gone() {
        let mut t = trending();
        t.add(1, 100, plain(at(1.0)), at(1.0));
        t.add(2, 100, plain(at(9.0)), at(9.0));
        assert!(!t.is_stale(at(14.9)));
        assert!(t.is_stale(at(15.0)));
        t.expire(at(15.0));
        assert_eq!(t.best().collect::<Vec<_>>(), [2]);
        t.expire(at(99.0));
        assert_eq!((t.best().count(), t.score(2), t.latest.len()), (0, 0.0, 0));
    }

    #[test]
    fn years_of_events_do_not_overflow() {
        let mut t = trending();
        for day in 0..5000_i32 {
            let now = at(f64::from(day));
            t.add(day as u32 % 7, day as u64, plain(now), now);
            t.expire(now);
        }
        assert!((0..7).all(|row| t.score(row).is_finite() && t.score(row) > 0.0));
        assert_eq!((0..7).map(|row| t.viewers(row)).sum::<u32>(), 14);
    }

    #[test]
    fn a_clock_set_back_for_years_changes_nothing() {
        let mut t = Trending::new(
            &options::Trending { half_life_days: 1.0, ..options::Trending::default() },
            at(5000.0),
        );
        t.add(1, 100, plain(at(1.0)), at(2.0));
        t.add(2, 100, plain(at(2.0)), at(2.0));
        assert_eq!(t.best().collect::<Vec<_>>(), [2, 1]);
        assert!((t.score(1) / t.highest() - 0.5).abs() < 1e-6);
    }

    #[test]
    fn the_oldest_leave_when_there_are_too_many() {
        let mut t = Trending::new(
            &options::Trending { max_pairs: 2, ..options::Trending::default() },
            at(0.0),
        );
        t.add(1, 100, plain(at(2.0)), at(3.0));
        t.add(2, 100, plain(at(1.0)), at(3.0));
        t.add(3, 100, plain(at(3.0)), at(3.0));
        assert_eq!(t.best().collect::<Vec<_>>(), [3, 1]);
        t.add(1, 100, plain(at(4.0)), at(4.0));
        assert_eq!(t.best().collect::<Vec<_>>(), [1, 3], "seen again is no more than before");
        t.add(1, 200, plain(at(4.0)), at(4.0));
        assert_eq!((t.best().collect::<Vec<_>>(), t.viewers(1)), (vec![1], 2));
    }

    #[test]
    fn a_forgotten_viewer_leaves_no_trace() {
        let mut t = trending();
        t.add(1, 100, plain(at(1.0)), at(1.0));
        t.add(1, 200, plain(at(1.0)), at(1.0));
        assert_eq!(t.forget_at(100, &HashSet::from([1, 2])), 1);
        assert_eq!((t.viewers(1), t.forget_at(100, &HashSet::from([1, 2]))), (1, 0));
        t.forget(&HashSet::from([200, 300]));
        assert_eq!(t.best().count(), 0);
    }
}
