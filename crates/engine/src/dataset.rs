//! The log read as training data: every user's titles, with rows sorted by id so that the same log always
//! gives the same matrices.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use sona_domain::{ContentId, Cursor, EventRules, LoggedEvent, Timestamp, UserId};
use sona_numeric::Attributes;
use sona_numeric::interactions::Interactions;
use sona_numeric::sequence::{self, Transitions};
use sona_numeric::walk;
use sona_store::Store;

use crate::attributes::Vocabulary;
use crate::catalogue::Catalogue;
use crate::error::{Error, Result};
use crate::history::History;
use crate::live::counts::viewer_key;
use crate::live::trending::ViewerKey;
use crate::log::PAGE;
use crate::snapshot::graph::Graph;

/// Users with fewer engaged titles are never judged on.
const MIN_HELD_OUT_HISTORY: usize = 5;

/// Of ten users, one may be held out.
const HELD_OUT_SHARE: u8 = 10;

/// The log as training data.
pub(crate) struct Dataset {
    /// Row to id, sorted.
    pub(crate) items: Vec<ContentId>,
    /// Per user, in order of their ids: engaged titles (row, weight), and the same titles oldest first.
    users: Vec<UserData>,
    /// The last event read.
    pub(crate) through: Cursor,
}

struct UserData {
    viewer: ViewerKey,
    engaged: Vec<(u32, f32)>,
    sequence: Vec<u32>,
    may_be_held_out: bool,
}

/// One user a model is judged on.
pub(crate) struct HeldOut {
    /// What the model may know of them.
    pub(crate) history: Vec<(u32, f32)>,
    /// What it should find.
    pub(crate) target: u32,
}

/// The counts every source but ALS needs.
pub(crate) struct Counted {
    pub(crate) transitions: Transitions,
    pub(crate) viewers: Vec<u32>,
}

impl Dataset {
    /// No event at all.
    pub(crate) const fn empty() -> Self {
        Self { items: Vec::new(), users: Vec::new(), through: Cursor(0) }
    }

    /// Reads the whole log.
    pub(crate) async fn read(store: &dyn Store, rules: &EventRules) -> Result<Self> {
        Self::read_before(store, rules, None).await
    }

    /// Reads the events that happened before `end`, or all.
    pub(crate) async fn read_before(
        store: &dyn Store,
        rules: &EventRules,
        end: Option<Timestamp>,
    ) -> Result<Self> {
        let mut rows: HashMap<ContentId, u32> = HashMap::new();
        let mut histories: HashMap<UserId, History> = HashMap::new();
        let mut through = Cursor::default();
        loop {
            let events = store.after(through, PAGE).await?;
            let Some(last) = events.last() else { break };
            through = last.cursor;
            let early = |logged: &&LoggedEvent| end.is_none_or(|end| logged.event.timestamp < end);
            for logged in events.iter().filter(early) {
                let next = rows.len() as u32;
                let row = *rows.entry(logged.event.content_id.clone()).or_insert(next);
                let history = histories.entry(logged.event.user_id.clone()).or_default();
                history.apply(row, &logged.event, logged.cursor, rules);
            }
        }
        Ok(Self::sorted(rows, histories, through))
    }

    /// Gives rows by order of id instead of order of arrival.
    fn sorted(
        rows: HashMap<ContentId, u32>,
        histories: HashMap<UserId, History>,
        through: Cursor,
    ) -> Self {
        let mut by_id: Vec<_> = rows.into_iter().collect();
        by_id.sort_unstable();
        let mut place = vec![0_u32; by_id.len()];
        for (sorted, (_, arrival)) in by_id.iter().enumerate() {
            place[*arrival as usize] = sorted as u32;
        }
        let mut users: Vec<_> = histories.into_iter().collect();
        users.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let users = users
            .into_iter()
            .map(|(id, history)| {
                let mut engaged = history.engaged();
                for (row, _) in &mut engaged {
                    *row = place[*row as usize];
                }
                engaged.sort_unstable_by_key(|(row, _)| *row);
                let sequence =
                    history.sequence().into_iter().map(|row| place[row as usize]).collect();
                UserData {
                    viewer: viewer_key(&id),
                    engaged,
                    sequence,
                    may_be_held_out: may_be_held_out(&id),
                }
            })
            .collect();
        Self { items: by_id.into_iter().map(|(id, _)| id).collect(), users, through }
    }

    /// Sets the latest title of up to `limit` users aside. Which users is decided by their ids alone, so a
    /// later training sets the same users' titles aside, and no model is judged on a title it has seen.
    pub(crate) fn hold_out(&mut self, limit: usize) -> Vec<HeldOut> {
        let mut held_out = Vec::new();
        for user in &mut self.users {
            if held_out.len() == limit {
                break;
            }
            if !user.may_be_held_out || user.sequence.len() < MIN_HELD_OUT_HISTORY {
                continue;
            }
            let Some(target) = user.sequence.last().copied() else { continue };
            user.engaged.retain(|(row, _)| *row != target);
            held_out.push(HeldOut { history: user.engaged.clone(), target });
        }
        held_out
    }

    /// The matrix ALS factorises.
    pub(crate) fn interactions(&self) -> Result<Interactions> {
        let rows = self.users.iter().map(|user| user.engaged.clone());
        let interactions = Interactions::from_rows(self.items.len(), rows)
            .map_err(|error| Error::NothingToTrain(error.to_string()))?;
        if interactions.is_empty() {
            return Err(Error::NothingToTrain("the log has no engagement yet".to_owned()));
        }
        Ok(interactions)
    }

    /// Every user's titles, oldest first, held-out ones included.
    pub(crate) fn sequences(&self) -> Vec<Vec<u32>> {
        self.users.iter().map(|user| user.sequence.clone()).collect()
    }

    /// What the catalogue says of each title, and what the attributes are called.
    pub(crate) fn attributes(&self, catalogue: &Catalogue) -> (Vec<String>, Attributes) {
        let (view, mut vocabulary) = (catalogue.latest(), Vocabulary::default());
        let of = |id| {
            let content = catalogue.row(id).and_then(|row| view.get(row));
            content.map_or_else(Vec::new, |content| vocabulary.numbers_of(content))
        };
        let attributes = self.items.iter().map(of).collect();
        (vocabulary.names().iter().map(ToString::to_string).collect(), attributes)
    }

    /// The graph of the catalogue's titles, on its rows.
    pub(crate) fn graph(&self, catalogue: &Catalogue, options: walk::Options) -> Graph {
        let rows = catalogue.rows_of(&self.items);
        let (view, mut vocabulary) = (catalogue.latest(), Vocabulary::default());
        let of =
            |row| view.get(row).map_or_else(Vec::new, |content| vocabulary.numbers_of(content));
        let items = catalogue.len();
        let attributes: Attributes = (0..items as u32).map(of).collect();
        let watched = self.users.iter().map(|user| {
            let engaged = user.engaged.iter().map(|(row, weight)| (rows[*row as usize], *weight));
            (user.viewer, engaged.collect())
        });
        Graph::new(items, &attributes, vocabulary.names(), watched, options)
    }

    /// Transitions and viewers of the whole log, held-out titles included.
    pub(crate) fn count(&self, options: &sequence::Options) -> Counted {
        let sequences = self.sequences();
        let mut viewers = vec![0; self.items.len()];
        for row in sequences.iter().flatten() {
            viewers[*row as usize] += 1;
        }
        let transitions = Transitions::from_sequences(self.items.len(), &sequences, options);
        Counted { transitions, viewers }
    }
}

fn may_be_held_out(user: &UserId) -> bool {
    let digest = Sha256::digest(user.as_str());
    // Not the bytes other choices by id are made from.
    digest[31] % HELD_OUT_SHARE == 0
}
