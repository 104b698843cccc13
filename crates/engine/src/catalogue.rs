//! The catalogue in memory, and the one bridge between content ids and dense rows.
//!
//! Rows are given out in the order ids are met and never reused, so a row seen once means the same title for
//! as long as the process lives. Readers load one immutable [`View`]; writers replace it. The view is always
//! brought up to date through the store's change feed ([`Catalogue::follow`]), so this process's writes and
//! other processes' writes take the same path and arrive in the same order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use sona_domain::{Content, ContentId, Timestamp};
use sona_numeric::rows::RowSet;
use sona_store::{ContentChange, Revision, Store};
use tokio::sync::Mutex;

use crate::error::Result;

/// Entries of one copy-on-write piece of a view.
const PIECE: usize = 1024;

/// Changes read from the feed at once.
const FEED_PAGE: usize = 2000;

/// The catalogue.
pub(crate) struct Catalogue {
    /// Rows by id.
    bridge: RwLock<HashMap<ContentId, u32>>,
    view: ArcSwap<View>,
    followed: Mutex<Revision>,
    revisions: AtomicU64,
}

/// One state of the catalogue.
#[derive(Clone, Default)]
pub(crate) struct View {
    pieces: Vec<Arc<Vec<Option<Arc<Content>>>>>,
    len: usize,
    entries: usize,
    windowed: RowSet,
    available: RowSet,
    /// `available` is right for instants in this half-open range.
    valid: (i64, i64),
    revision: u64,
}

impl Catalogue {
    /// An empty catalogue.
    pub(crate) fn new() -> Self {
        let view = View { valid: (i64::MIN, i64::MAX), ..View::default() };
        Self {
            bridge: RwLock::default(),
            view: ArcSwap::from_pointee(view),
            followed: Mutex::new(Revision::default()),
            revisions: AtomicU64::new(0),
        }
    }

    /// The row of an id, if it was ever met.
    pub(crate) fn row(&self, id: &ContentId) -> Option<u32> {
        self.bridge.read().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    /// The rows of ids, each given out now if it is new.
    pub(crate) fn rows_of<'i>(&self, ids: impl IntoIterator<Item = &'i ContentId>) -> Vec<u32> {
        ids.into_iter().map(|id| self.row(id).unwrap_or_else(|| self.add_row(id))).collect()
    }

    fn add_row(&self, id: &ContentId) -> u32 {
        let mut bridge = self.bridge.write().unwrap_or_else(PoisonError::into_inner);
        let next = bridge.len() as u32;
        *bridge.entry(id.clone()).or_insert(next)
    }

    /// How many rows were given out.
    pub(crate) fn len(&self) -> usize {
        self.bridge.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The catalogue as it is, with availability worked out for `now`.
    pub(crate) fn view(&self, now: Timestamp) -> Arc<View> {
        let view = self.view.load_full();
        if view.is_valid_at(now) {
            return view;
        }
        let mut fresh = View::clone(&view);
        fresh.work_out_availability(now);
        fresh.revision = self.next_revision();
        let fresh = Arc::new(fresh);
        // If somebody changed the catalogue meanwhile, their view stays and ours serves this call only.
        self.view.compare_and_swap(&view, fresh.clone());
        fresh
    }

    /// The entries as they are; for whoever does not ask what is available.
    pub(crate) fn latest(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Applies what the store's feed has and this view has not; tells `changed` the rows.
    pub(crate) async fn follow(
        &self,
        store: &dyn Store,
        now: Timestamp,
        mut changed: impl FnMut(&View, &[u32]),
    ) -> Result<()> {
        let mut followed = self.followed.lock().await;
        loop {
            let changes = store.content_after(*followed, FEED_PAGE).await?;
            let Some(last) = changes.last() else { return Ok(()) };
            let revision = last.revision;
            let full = changes.len() == FEED_PAGE;
            let rows = self.apply(changes, now);
            changed(&self.latest(), &rows);
            *followed = revision;
            if !full {
                return Ok(());
            }
        }
    }

    /// Replaces the view by one with `changes`. Only [`Catalogue::follow`] calls this, one call at a time;
    /// a concurrent [`Catalogue::view`] may only recompute availability, which the loop below tolerates.
    fn apply(&self, changes: Vec<ContentChange>, now: Timestamp) -> Vec<u32> {
        let rows = self.rows_of(changes.iter().map(|change| &change.content_id));
        let entries: Vec<_> = rows
            .iter()
            .copied()
            .zip(changes.into_iter().map(|c| c.content.map(Arc::new)))
            .collect();
        self.view.rcu(|view| {
            let mut view = View::clone(view);
            for (row, content) in &entries {
                view.put(*row, content.clone());
            }
            view.work_out_availability(now);
            view.revision = self.next_revision();
            view
        });
        rows
    }

    fn next_revision(&self) -> u64 {
        self.revisions.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl View {
    /// Entries by row, all of them available at any time.
    pub(crate) fn of(entries: impl Iterator<Item = Option<Content>>) -> Self {
        let mut view = Self { valid: (i64::MIN, i64::MAX), ..Self::default() };
        for (row, content) in entries.enumerate() {
            view.put(row as u32, content.map(Arc::new));
        }
        view
    }

    /// The entry of a row; `None` if it was deleted or is only known from events.
    pub(crate) fn get(&self, row: u32) -> Option<&Arc<Content>> {
        self.pieces.get(row as usize / PIECE)?.get(row as usize % PIECE)?.as_ref()
    }

    /// How many entries there are.
    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    /// All entries with their rows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Arc<Content>)> {
        (0..self.len as u32).filter_map(|row| Some((row, self.get(row)?)))
    }

    /// The rows that may be shown at the instant this view was asked for.
    pub(crate) fn available(&self) -> &RowSet {
        &self.available
    }

    /// Tells this view from every other one of the process: what was worked out from it holds while it is served.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The rows whose entries are not those of `before`, ascending. Costs what differs, and a comparison for every
    /// piece.
    pub(crate) fn changed_since(&self, before: &Self) -> Vec<u32> {
        let mut rows = Vec::new();
        for (at, piece) in self.pieces.iter().enumerate() {
            let old = before.pieces.get(at);
            if old.is_some_and(|old| Arc::ptr_eq(old, piece)) {
                continue;
            }
            for (place, entry) in piece.iter().enumerate() {
                let old = old.and_then(|old| old.get(place)).and_then(Option::as_ref);
                let same = match (old, entry) {
                    (Some(old), Some(entry)) => Arc::ptr_eq(old, entry),
                    (old, entry) => old.is_none() && entry.is_none(),
                };
                if !same {
                    rows.push((at * PIECE + place) as u32);
                }
            }
        }
        rows
    }

    fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.valid.0..self.valid.1).contains(&now.as_micros())
    }

    fn put(&mut self, row: u32, content: Option<Arc<Content>>) {
        let row = row as usize;
        while self.pieces.len() <= row / PIECE {
            self.pieces.push(Arc::new(Vec::new()));
        }
        let piece = Arc::make_mut(&mut self.pieces[row / PIECE]);
        if piece.len() <= row % PIECE {
            piece.resize(row % PIECE + 1, None);
        }
        self.len = self.len.max(row + 1);
        self.windowed.grow(self.len);
        self.available.grow(self.len);
        self.windowed.remove(row as u32);
        self.available.remove(row as u32);
        if let Some(content) = &content {
            if content.available_from.is_some() || content.available_until.is_some() {
                self.windowed.insert(row as u32);
            } else if !content.hidden {
                self.available.insert(row as u32);
            }
        }
        self.entries += usize::from(content.is_some());
        self.entries -= usize::from(piece[row % PIECE].is_some());
        piece[row % PIECE] = content;
    }

    /// Decides the entries with an availability window for `now`, and until when that holds.
    fn work_out_availability(&mut self, now: Timestamp) {
        let mut valid = (i64::MIN, i64::MAX);
        for row in self.windowed.iter().collect::<Vec<_>>() {
            let Some(content) = self.get(row).cloned() else { continue };
            for edge in [content.available_from, content.available_until].into_iter().flatten() {
                if edge <= now {
                    valid.0 = valid.0.max(edge.as_micros());
                } else {
                    valid.1 = valid.1.min(edge.as_micros());
                }
            }
            if content.is_available(now) {
                self.available.insert(row);
            } else {
                self.available.remove(row);
            }
        }
        self.valid = valid;
    }
}
