//! The users' states in memory: read from the database on a miss, moved by every event after that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use sona_domain::profile::{AFFINITY_STEP, NEUTRAL_AFFINITY};
use sona_domain::{Cursor, EventRules, LoggedEvent, Profile, Timestamp, UserId};

use crate::adapters::Resident;
use crate::catalogue::{Catalogue, View};
use crate::error::{Error, Result};
use crate::history::{History, Liked};
use crate::live::shortlist::Kept;
use crate::ranker::features::Layout;
use crate::ranker::viewer::Viewer;
use crate::snapshot::Snapshot;

pub(crate) mod stored;

#[cfg(test)]
mod tests;

use stored::{StoredUser, StoredUsers, Written};

/// Bytes a user takes besides what grows with them: a place in the cache and its order of use, two copies of the id.
const PLACE: usize = 400;

/// Bytes of a genre besides its name, with what the allocator adds.
const GENRE: usize = 16;

/// Users are weighed anew each time they have grown by so many bytes.
const STEP: usize = 128;

/// The latest titles kept ready for the sequence source and the reasons.
pub(crate) const RECENT: usize = 50;

/// The latest titles the recent source rests on.
const FOLDED_IN: usize = 30;

/// What a title counts beside the one after it, in the recent source.
const RECENT_DECAY: f32 = 0.9;

/// What is known of one user right now.
#[derive(Debug, Clone)]
pub(crate) struct UserState {
    pub(crate) history: History,
    pub(crate) interaction_count: u64,
    through: Cursor,
    /// By genre.
    genre_affinities: Vec<(Box<str>, f32)>,
    hourly_events: [u32; 24],
    weekday_events: [u32; 7],
    last_event_at: Option<Timestamp>,
}

/// What follows from a state under one model: worked out by the first request that needs it.
#[derive(Debug)]
pub(crate) struct Taste {
    /// The user's factors; empty without model or history.
    pub(crate) vector: Vec<f32>,
    /// The same from the latest titles alone, the newest counting most.
    pub(crate) recent_vector: Vec<f32>,
    /// All engaged titles, by row.
    pub(crate) engaged: Vec<u32>,
    /// The latest engaged titles, newest first.
    pub(crate) recent: Vec<u32>,
    /// The same with how much they say, and when they came.
    pub(crate) liked: Vec<Liked>,
    /// Titles that must not be recommended, by row.
    pub(crate) blocked: Box<[u32]>,
    model_version: Option<i64>,
    through: Cursor,
    /// The best titles by these factors.
    pub(crate) by_factors: Kept,
    /// The best titles by the factors of the latest titles.
    pub(crate) by_recent_factors: Kept,
    /// The best titles by the model's embedding.
    pub(crate) by_embedding: Kept,
}

impl Taste {
    /// The taste of somebody who is only a history: `engaged` by row, `liked` newest first.
    pub(crate) fn of(snapshot: &Snapshot, engaged: &[(u32, f32)], liked: Vec<Liked>) -> Self {
        Self {
            vector: snapshot.fold_in(engaged),
            recent_vector: fold_in_recent(snapshot, &liked),
            engaged: engaged.iter().map(|(row, _)| *row).collect(),
            recent: rows_of(&liked),
            liked,
            blocked: Box::default(),
            model_version: None,
            through: Cursor::default(),
            by_factors: Kept::default(),
            by_recent_factors: Kept::default(),
            by_embedding: Kept::default(),
        }
    }

    /// The user as a ranker's features see them.
    pub(crate) fn viewer(&self, layout: &Layout, view: &View, now: Timestamp) -> Viewer {
        Viewer::of(layout, view, now, self.engaged.len(), self.recent.iter().copied())
    }
}

/// One user's place in memory.
pub(crate) struct User {
    state: RwLock<UserState>,
    taste: Mutex<Option<Arc<Taste>>>,
    written: RwLock<Option<Arc<Written>>>,
    /// What is private of them.
    pub(crate) adapter: Resident,
}

/// All users in memory.
pub(crate) struct Users {
    resident: moka::future::Cache<UserId, Arc<User>>,
    max_bytes: u64,
    rules: EventRules,
    /// Counts removals and writes; a load that saw one happen starts again.
    changes: AtomicU64,
    /// The place of the last write to a user that was taken in.
    pub(crate) writes_seen: AtomicI64,
}

impl Users {
    /// Nobody yet; states of at most `max_bytes` are kept.
    pub(crate) fn new(max_bytes: u64, rules: EventRules) -> Self {
        let resident = moka::future::Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, user: &Arc<User>| user.memory().saturating_add(user.adapter.memory()))
            .build();
        let (changes, writes_seen) = (AtomicU64::new(0), AtomicI64::new(0));
        Self { resident, max_bytes, rules, changes, writes_seen }
    }

    /// The user's state. An unknown user has an empty one.
    pub(crate) async fn get(
        &self,
        id: &UserId,
        database: &impl StoredUsers,
        catalogue: &Catalogue,
    ) -> Result<Arc<User>> {
        loop {
            if let Some(user) = self.resident.get(id).await {
                return Ok(user);
            }
            let changes = self.changes.load(Ordering::Acquire);
            let load = async {
                let stored = database.read(std::slice::from_ref(id)).await?.pop();
                Ok::<_, Error>(self.fold(stored.unwrap_or_default(), catalogue))
            };
            let user = self.resident.try_get_with_by_ref(id, load).await.map_err(Error::Shared)?;
            if changes == self.changes.load(Ordering::Acquire) {
                return Ok(user);
            }
            // Somebody was removed or written while we read; what we read may be from before that.
            self.resident.invalidate(id).await;
        }
    }

    /// Makes sure that the users of `ids` are resident, reading all missing ones at once.
    pub(crate) async fn load_all(
        &self,
        ids: &[UserId],
        database: &impl StoredUsers,
        catalogue: &Catalogue,
    ) -> Result<Vec<Arc<User>>> {
        loop {
            let changes = self.changes.load(Ordering::Acquire);
            // Each once: a batch names the same user many times.
            let mut found = HashMap::with_capacity(ids.len());
            for id in ids {
                if !found.contains_key(id) {
                    found.insert(id, self.resident.get(id).await);
                }
            }
            let mut missing = Vec::new();
            found.retain(|id, user| {
                user.is_some() || {
                    missing.push((*id).clone());
                    false
                }
            });
            let mut found: HashMap<_, _> =
                found.into_iter().filter_map(|(id, user)| Some((id, user?))).collect();
            let stored = database.read(&missing).await?;
            for (id, stored) in missing.iter().zip(stored) {
                let load = async { Ok::<_, Error>(self.fold(stored, catalogue)) };
                let user = self.resident.try_get_with_by_ref(id, load).await;
                found.insert(id, user.map_err(Error::Shared)?);
            }
            if changes == self.changes.load(Ordering::Acquire) {
                return Ok(ids.iter().map(|id| found[id].clone()).collect());
            }
            // As in `get`: what was read may be from before a change.
            for id in &missing {
                self.resident.invalidate(id).await;
            }
        }
    }

    /// Weighs a user anew who has grown. Only for whoever also removes users, so that nobody is brought
    /// back by it.
    pub(crate) async fn weigh(&self, id: &UserId, user: &Arc<User>) {
        self.resident.insert(id.clone(), user.clone()).await;
    }

    /// Notes that rows of users changed otherwise than by events: who is being read meanwhile is read again.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Forgets one user; says whether they were in memory.
    pub(crate) async fn forget(&self, id: &UserId) -> bool {
        self.changed();
        self.resident.remove(id).await.is_some()
    }

    /// Forgets the users of whom `is_gone` says so.
    pub(crate) async fn forget_where(&self, is_gone: impl Fn(&UserId) -> bool) {
        self.changed();
        let gone: Vec<_> = self
            .resident
            .iter()
            .map(|(id, _)| id.as_ref().clone())
            .filter(|id| is_gone(id))
            .collect();
        for id in gone {
            self.resident.invalidate(&id).await;
        }
    }

    /// The user's state, if it is in memory.
    pub(crate) async fn peek(&self, id: &UserId) -> Option<Arc<User>> {
        self.resident.get(id).await
    }

    /// All users in memory.
    pub(crate) fn all_resident(&self) -> impl Iterator<Item = Arc<User>> {
        self.resident.iter().map(|(_, user)| user)
    }

    /// How many users are in memory.
    pub(crate) fn resident(&self) -> u64 {
        self.resident.entry_count()
    }

    /// Whether there is little room for more: whoever is read from here on may push another one out.
    pub(crate) async fn are_many(&self) -> bool {
        self.resident.run_pending_tasks().await;
        self.resident.weighted_size() >= self.max_bytes - self.max_bytes / 10
    }

    fn fold(&self, stored: StoredUser, catalogue: &Catalogue) -> Arc<User> {
        let events = stored.events.iter();
        let rows = catalogue.rows_of(events.clone().map(|logged| &logged.event.content_id));
        let view = catalogue.latest();
        let mut state = UserState::new();
        for (row, logged) in rows.into_iter().zip(events) {
            state.apply(row, logged, &self.rules, &view);
        }
        Arc::new(User {
            state: RwLock::new(state),
            taste: Mutex::new(None),
            written: RwLock::new(stored.written.map(Arc::new)),
            adapter: Resident::default(),
        })
    }
}

impl User {
    /// The state as it is; hold it briefly.
    pub(crate) fn state(&self) -> RwLockReadGuard<'_, UserState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What others wrote of the user, if they did.
    pub(crate) fn written(&self) -> Option<Arc<Written>> {
        self.written.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what others wrote of the user unless something newer is known.
    pub(crate) fn take_in(&self, written: Written) {
        let mut known = self.written.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| known.sequence <= written.sequence) {
            *known = Some(Arc::new(written));
        }
    }

    /// Bytes the user takes in memory, without the adapter, in whole steps.
    fn memory(&self) -> u32 {
        let written = self.written().map_or(0, |written| written.memory());
        let written = written.next_multiple_of(STEP);
        self.state().memory().saturating_add(u32::try_from(written).unwrap_or(u32::MAX))
    }

    /// Takes in an event of this user unless it is included already; true if the user weighs more by it.
    pub(crate) fn apply(
        &self,
        row: u32,
        event: &LoggedEvent,
        rules: &EventRules,
        view: &View,
    ) -> bool {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let before = state.memory();
        if state.through < event.cursor {
            state.apply(row, event, rules, view);
        }
        state.memory() > before
    }

    /// What follows from the present state under `snapshot`; kept for the next request.
    pub(crate) fn taste(&self, snapshot: &Snapshot) -> Arc<Taste> {
        let state = self.state();
        let mut kept = self.taste.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(taste) if taste.is_of(&state, snapshot) => taste.clone(),
            _ => {
                let taste = Arc::new(Taste::new(&state, snapshot));
                *kept = Some(taste.clone());
                taste
            }
        }
    }

    /// As [`User::taste`], but not kept: most users of whom a profile is stored do not come back soon.
    fn passing_taste(&self, snapshot: &Snapshot) -> Arc<Taste> {
        let state = self.state();
        let kept = self.taste.lock().unwrap_or_else(PoisonError::into_inner).clone();
        kept.filter(|taste| taste.is_of(&state, snapshot))
            .unwrap_or_else(|| Arc::new(Taste::new(&state, snapshot)))
    }

    /// The user's profile at `now`.
    pub(crate) fn profile(&self, id: &UserId, snapshot: &Snapshot, now: Timestamp) -> Profile {
        let taste = self.passing_taste(snapshot);
        let state = self.state();
        Profile {
            user_id: id.clone(),
            model_version: taste.model_version.filter(|_| !taste.vector.is_empty()),
            preference_vector: taste.vector.clone(),
            genre_affinities: state
                .genre_affinities
                .iter()
                .map(|(genre, affinity)| (genre.to_string(), *affinity))
                .collect(),
            hourly_events: state.hourly_events.map(u64::from).to_vec(),
            weekday_events: state.weekday_events.map(u64::from).to_vec(),
            interaction_count: state.interaction_count,
            seen_count: state.history.seen_count() as u64,
            last_event_at: state.last_event_at,
            through: state.through,
            updated_at: now,
        }
    }
}

impl Taste {
    fn new(state: &UserState, snapshot: &Snapshot) -> Self {
        let engaged = state.history.engaged();
        let liked = state.history.recent(RECENT);
        Self {
            vector: snapshot.fold_in(&engaged),
            recent_vector: fold_in_recent(snapshot, &liked),
            engaged: engaged.into_iter().map(|(row, _)| row).collect(),
            recent: rows_of(&liked),
            liked,
            blocked: state.history.blocked().collect(),
            model_version: snapshot.version(),
            through: state.through,
            by_factors: Kept::default(),
            by_recent_factors: Kept::default(),
            by_embedding: Kept::default(),
        }
    }

    /// True if `state` is what this follows from.
    pub(crate) fn rests_on(&self, state: &UserState) -> bool {
        self.through == state.through
    }

    /// True if a title must not be recommended.
    pub(crate) fn is_blocked(&self, row: u32) -> bool {
        self.blocked.binary_search(&row).is_ok()
    }

    fn is_of(&self, state: &UserState, snapshot: &Snapshot) -> bool {
        self.rests_on(state) && self.model_version == snapshot.version()
    }
}

/// The factors that follow from the latest titles, of which the k-th counts [`RECENT_DECAY`]^k of what it did.
fn fold_in_recent(snapshot: &Snapshot, liked: &[Liked]) -> Vec<f32> {
    let aged = liked.iter().take(FOLDED_IN).zip(0..);
    let aged = aged.map(|(liked, age)| (liked.row, liked.weight * RECENT_DECAY.powi(age)));
    snapshot.fold_in(&aged.collect::<Vec<_>>())
}

fn rows_of(liked: &[Liked]) -> Vec<u32> {
    liked.iter().map(|liked| liked.row).collect()
}

impl UserState {
    fn new() -> Self {
        Self {
            history: History::default(),
            interaction_count: 0,
            through: Cursor::default(),
            genre_affinities: Vec::new(),
            hourly_events: [0; 24],
            weekday_events: [0; 7],
            last_event_at: None,
        }
    }

    /// Bytes the user takes in memory, in whole steps.
    fn memory(&self) -> u32 {
        let names: usize = self.genre_affinities.iter().map(|(name, _)| name.len() + GENRE).sum();
        let genres = self.genre_affinities.capacity() * size_of::<(Box<str>, f32)>() + names;
        let bytes = PLACE + size_of::<User>() + self.history.memory() + genres;
        u32::try_from(bytes.next_multiple_of(STEP)).unwrap_or(u32::MAX)
    }

    fn apply(&mut self, row: u32, logged: &LoggedEvent, rules: &EventRules, view: &View) {
        let event = &logged.event;
        self.history.apply(row, event, logged.cursor, rules);
        self.interaction_count += 1;
        self.through = logged.cursor;
        self.hourly_events[event.timestamp.hour_utc()] += 1;
        self.weekday_events[event.timestamp.weekday_utc()] += 1;
        self.last_event_at = self.last_event_at.max(Some(event.timestamp));
        let weight = rules.weight(event);
        for genre in view.get(row).map(|content| content.genres.as_slice()).unwrap_or_default() {
            let known =
                self.genre_affinities.binary_search_by(|(known, _)| (**known).cmp(genre.as_str()));
            let at = known.unwrap_or_else(|at| {
                self.genre_affinities.insert(at, (genre.as_str().into(), NEUTRAL_AFFINITY));
                at
            });
            let affinity = &mut self.genre_affinities[at].1;
            *affinity += AFFINITY_STEP * (weight - *affinity);
        }
    }
}
