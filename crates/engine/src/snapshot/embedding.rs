//! The embedding of a model version, its vectors on the catalogue's rows. A title the model was not trained on has its
//! place from its attributes, from the moment it is in the catalogue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use sona_domain::Content;
use sona_numeric::attribute::Attributes;
use sona_numeric::embedding::{Model, Vectors};

use crate::artifact;
use crate::attributes;
use crate::catalogue::View;

/// A model and where its vectors lie now.
pub(crate) struct Embedding {
    model: Model,
    /// By name, the attributes of the fit.
    attributes: HashMap<Box<str>, u32>,
    /// By row, the items of the fit.
    items: HashMap<u32, u32>,
    placed: RwLock<Placed>,
    followed: Mutex<Arc<View>>,
}

/// The vectors by row.
pub(crate) struct Placed {
    pub(crate) vectors: Vectors,
    /// Tells these vectors from what they were before a title was placed.
    pub(crate) revision: u64,
}

impl Embedding {
    /// The model of a file whose item `i` lies on row `rows[i]`, with a place for every entry of `view`.
    pub(crate) fn new(embedding: &artifact::Embedding, rows: &[u32], view: Arc<View>) -> Self {
        let artifact::Embedding { model, attributes } = embedding;
        let names = attributes.iter().map(|name| Box::from(name.as_str()));
        let this = Self {
            attributes: names.zip(0..).collect(),
            items: rows.iter().copied().zip(0..).collect(),
            placed: RwLock::new(Placed { vectors: Vectors::new(model, 0), revision: 0 }),
            followed: Mutex::default(),
            model: model.clone(),
        };
        // What is known from events only has what it was trained with: nothing but itself.
        let unlisted: Vec<_> =
            rows.iter().copied().filter(|row| view.get(*row).is_none()).collect();
        for row in unlisted {
            this.place(row, None);
        }
        this.follow(view);
        this
    }

    /// The model of items that lie on the rows of `attributes` already.
    pub(crate) fn of_rows(model: Model, attributes: &Attributes) -> Self {
        let rows = attributes.items();
        let mut vectors = Vectors::new(&model, rows);
        for row in 0..rows as u32 {
            vectors.place(row, &model, Some(row), attributes.of(row));
        }
        Self {
            model,
            attributes: HashMap::new(),
            items: HashMap::new(),
            placed: RwLock::new(Placed { vectors, revision: 0 }),
            followed: Mutex::default(),
        }
    }

    /// The vectors as they lie; hold them briefly.
    pub(crate) fn placed(&self) -> RwLockReadGuard<'_, Placed> {
        self.placed.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `view` has nothing new. Does not wait for whoever takes something in: then it has.
    pub(crate) fn has_followed(&self, view: &View) -> bool {
        let followed = self.followed.try_lock();
        followed.is_ok_and(|followed| followed.revision() >= view.revision())
    }

    /// Places what is new in `view`. A deleted title keeps its place: what people did with it still speaks for them.
    pub(crate) fn follow(&self, view: Arc<View>) {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if followed.revision() >= view.revision() {
            return;
        }
        for row in view.changed_since(&followed) {
            if let Some(content) = view.get(row) {
                self.place(row, Some(content));
            }
        }
        *followed = view;
    }

    fn place(&self, row: u32, content: Option<&Arc<Content>>) {
        let names = content.map_or_else(Vec::new, |content| attributes::names(content));
        let mut known: Vec<_> =
            names.iter().filter_map(|name| self.attributes.get(name.as_str()).copied()).collect();
        known.sort_unstable();
        known.dedup();
        let item = self.items.get(&row).copied();
        let mut placed = self.placed.write().unwrap_or_else(PoisonError::into_inner);
        placed.vectors.grow(row as usize + 1);
        placed.vectors.place(row, &self.model, item, &known);
        placed.revision += 1;
    }
}
