//! Which titles are alike by their attributes, kept up to date with the catalogue: a title that is new or changed is among
//! its likes before the call that wrote it returns.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use sona_numeric::attribute::{self, Near};

use crate::attributes::{Vocabulary, word};
use crate::catalogue::View;

/// When more than one of so many titles has changed, all neighbours are found anew: how rare an attribute is has changed
/// too, and many titles at once are placed faster that way.
const ANEW: usize = 4;

/// Words of a reason.
const SHARED: usize = 3;

/// What is alike, and the catalogue it is true of.
pub(crate) struct Attributes {
    alike: RwLock<Alike>,
    followed: Mutex<Followed>,
    options: attribute::Options,
    /// Whether anybody asks.
    wanted: bool,
}

/// What is alike.
pub(crate) struct Alike {
    pub(crate) near: Near,
    names: Vec<Arc<str>>,
}

struct Followed {
    view: Arc<View>,
    vocabulary: Vocabulary,
    /// Titles changed since all neighbours were found.
    changed: usize,
}

impl Attributes {
    /// Nothing yet; nothing ever if it is not `wanted`.
    pub(crate) fn new(options: attribute::Options, wanted: bool) -> Self {
        let near = Near::new(attribute::Attributes::default(), options.clone());
        let followed =
            Followed { view: Arc::default(), vocabulary: Vocabulary::default(), changed: 0 };
        Self {
            alike: RwLock::new(Alike { near, names: Vec::new() }),
            followed: Mutex::new(followed),
            options,
            wanted,
        }
    }

    /// What is alike as it is; hold it briefly.
    pub(crate) fn alike(&self) -> RwLockReadGuard<'_, Alike> {
        self.alike.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `view` has nothing new. Does not wait for whoever takes something in: then it has.
    pub(crate) fn has_followed(&self, view: &View) -> bool {
        let followed = self.followed.try_lock();
        !self.wanted || followed.is_ok_and(|followed| followed.view.revision() >= view.revision())
    }

    /// Takes in what is new in `view`. Readers wait for a title at a time at most.
    pub(crate) fn follow(&self, view: Arc<View>) {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.wanted || followed.view.revision() >= view.revision() {
            return;
        }
        let changed = followed.changes(&view, &self.alike().near);
        followed.changed += changed.len();
        if followed.changed * ANEW > self.alike().near.items() {
            self.find_anew(changed, &followed.vocabulary);
            followed.changed = 0;
        } else {
            for (row, attributes) in changed {
                let mut alike = self.alike.write().unwrap_or_else(PoisonError::into_inner);
                alike.learn(&followed.vocabulary);
                alike.near.set(row, attributes);
            }
        }
        followed.view = view;
    }

    fn find_anew(&self, changed: Vec<(u32, Vec<u32>)>, vocabulary: &Vocabulary) {
        let mut attributes = self.alike().near.attributes().clone();
        for (row, of_row) in changed {
            attributes.set(row, of_row);
        }
        let near = Near::new(attributes, self.options.clone());
        let fresh = Alike { near, names: vocabulary.names().to_vec() };
        let old = std::mem::replace(
            &mut *self.alike.write().unwrap_or_else(PoisonError::into_inner),
            fresh,
        );
        drop(old);
    }
}

impl Followed {
    /// The rows whose attributes are others than `near` knows, with them.
    fn changes(&mut self, view: &View, near: &Near) -> Vec<(u32, Vec<u32>)> {
        let rows = view.changed_since(&self.view);
        let of_rows = rows.into_iter().map(|row| {
            let content = view.get(row);
            (row, content.map_or_else(Vec::new, |content| self.vocabulary.numbers_of(content)))
        });
        of_rows.filter(|(row, attributes)| near.attributes().of(*row) != attributes).collect()
    }
}

impl Alike {
    fn learn(&mut self, vocabulary: &Vocabulary) {
        let known = self.names.len();
        self.names.extend_from_slice(&vocabulary.names()[known..]);
    }

    /// What two titles share, in words: the most telling first, at most three, each once.
    pub(crate) fn shared(&self, a: u32, b: u32) -> Vec<&str> {
        let weighed = self.near.shared(a, b).map(|number| (number, self.near.weight(number)));
        // What every title has is no reason.
        let mut shared: Vec<_> = weighed.filter(|(_, weight)| *weight > 0.0).collect();
        shared.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut words: Vec<&str> = Vec::new();
        for name in shared.into_iter().filter_map(|(number, _)| self.names.get(number as usize)) {
            if !words.contains(&word(name)) {
                words.push(word(name));
            }
        }
        words.truncate(SHARED);
        words
    }
}
