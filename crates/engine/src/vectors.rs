//! Vectors of all titles, in memory: what each title's text says, by one encoder.
//!
//! They are a view of the store, which holds them by encoder ([`sona_store::Embeddings`]). The first time an encoder is used
//! the whole catalogue is encoded by a job (`job`); while that runs the vectors of the encoder before stay, and what is
//! written meanwhile gets a vector of that one. Every process follows by itself (`follow`): what is stored is read, what is not
//! is encoded and stored. What is near a vector is found by an exact index ([`sona_numeric::index`]), in which every change
//! counts at once. Where an index outside of this process is configured ([`sona_store::vectors`]) it is kept in step (`copy`) and
//! searched in place of this one (`search`), which answers whenever that one does not (`elsewhere`).

mod copy;
mod elsewhere;
mod follow;
mod imported;
mod job;
mod journal;
mod search;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sona_domain::Timestamp;
use sona_numeric::index::{Index, MAX_WIDTH};
use sona_numeric::matrix::dot;
use sona_numeric::rows::RowSet;
use sona_numeric::select;

pub use job::EMBEDDINGS_NAME;

pub(crate) use copy::copy;
pub(crate) use elsewhere::Elsewhere;
pub(crate) use follow::{Follower, follow};
pub(crate) use imported::imported;
pub(crate) use search::{Found, Wanted};

use journal::Journal;

/// SHA-256 of the text a vector was made from.
pub(crate) type TextDigest = [u8; 32];

/// Rows near a row, the nearest first, with their cosine.
type Near = Arc<[(u32, f32)]>;

/// The vectors of one encoder, each of length 1, by row.
#[derive(Debug)]
pub(crate) struct Vectors {
    encoder: String,
    /// When the set was complete, as it was when it was read.
    completed_at: Option<Timestamp>,
    index: Index,
    made_from: HashMap<u32, TextDigest>,
    /// A number no other set of vectors in this process has; 0 where nobody asks.
    generation: u64,
    /// How often a vector came or went.
    changes: u64,
    /// Who is told of that.
    journal: Option<Arc<Journal>>,
    /// What was found near titles; emptied whenever a vector comes or goes.
    near: Mutex<HashMap<u32, Near>>,
}

impl Default for Vectors {
    fn default() -> Self {
        Self::new(String::new(), 1)
    }
}

impl Vectors {
    /// None yet, of an encoder whose vectors have `width` numbers.
    pub(crate) fn new(encoder: String, width: usize) -> Self {
        Self {
            encoder,
            completed_at: None,
            index: Index::new(width.clamp(1, MAX_WIDTH)),
            made_from: HashMap::new(),
            generation: 0,
            changes: 0,
            journal: None,
            near: Mutex::default(),
        }
    }

    /// From here on `elsewhere` is told of changes; what is there it finds out by itself.
    pub(crate) fn told_to(mut self, elsewhere: &Elsewhere) -> Self {
        self.generation = elsewhere.next_generation();
        self.journal = Some(elsewhere.journal.clone());
        self
    }

    /// Which vectors these are, for an index outside of this process.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    fn changes(&self) -> u64 {
        self.changes
    }

    /// Whose vectors they are; empty as long as there are none.
    pub(crate) fn encoder(&self) -> &str {
        &self.encoder
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.made_from.len()
    }

    /// The rows that have one, as a set.
    fn all(&self) -> &RowSet {
        self.index.rows()
    }

    /// The rows that have one.
    pub(crate) fn rows(&self) -> impl Iterator<Item = u32> {
        self.index.rows().iter()
    }

    /// How wide they are.
    pub(crate) fn width(&self) -> usize {
        self.index.width()
    }

    /// A row's vector.
    pub(crate) fn get(&self, row: u32) -> Option<&[f32]> {
        self.index.vector(row)
    }

    /// What a row's vector was made from.
    pub(crate) fn made_from(&self, row: u32) -> Option<&TextDigest> {
        self.made_from.get(&row)
    }

    /// Gives a row a vector in place of the one it may have; one that points nowhere or is of another width is left out.
    pub(crate) fn put(&mut self, row: u32, vector: &[f32], made_from: TextDigest) {
        self.remove(row);
        if self.index.upsert(row, vector).is_ok() {
            self.made_from.insert(row, made_from);
        }
    }

    /// Takes a row's vector away.
    pub(crate) fn remove(&mut self, row: u32) {
        self.changes += 1;
        if let Some(journal) = &self.journal {
            journal.note(row);
        }
        self.near.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        self.made_from.remove(&row);
        self.index.remove(row);
    }

    /// The `k` rows of `allowed` nearest to `query`, with their cosines, the nearest first; fewer only if fewer of them have
    /// a vector. Empty if `query` points nowhere or is of another width.
    pub(crate) fn nearest(&self, query: &[f32], k: usize, allowed: &RowSet) -> Vec<(u32, f32)> {
        self.index.search(query, k, allowed).unwrap_or_default()
    }

    /// The `limit` of `rows` nearest to `query`, which has length 1, with their cosines, the nearest first; without those that
    /// have no vector.
    pub(crate) fn ranked(&self, query: &[f32], rows: Vec<u32>, limit: usize) -> Vec<(u32, f32)> {
        let cosine = |row| Some((row, dot(query, self.get(row)?)));
        select::top_k_of(rows.into_iter().filter_map(cosine), limit, f32::NEG_INFINITY)
    }

    /// Whether [`Vectors::near`] would have to search.
    pub(crate) fn has_near(&self, row: u32, k: usize) -> bool {
        let known = self.near.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&row).is_some_and(|near| near.len() >= k.min(self.len() - 1))
    }

    /// Keeps what was found near `row` elsewhere, unless these are not the vectors it was found with.
    fn keep_near(&self, row: u32, near: Vec<(u32, f32)>, (generation, changes): (u64, u64)) {
        if (self.generation, self.changes) == (generation, changes) {
            let mut known = self.near.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(row, near.into());
        }
    }

    /// The `k` rows nearest to `row`, without itself; kept until a vector changes. Empty if it has no vector.
    pub(crate) fn near(&self, row: u32, k: usize) -> Near {
        let Some(vector) = self.get(row) else { return Near::default() };
        let known = || self.near.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = known().get(&row).filter(|near| near.len() >= k.min(self.len() - 1)).cloned();
        if let Some(near) = kept {
            return near;
        }
        let mut others = self.index.rows().clone();
        others.remove(row);
        let near: Near = self.nearest(vector, k, &others).into();
        known().insert(row, near.clone());
        near
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(given: &[(u32, &[f32])]) -> Vectors {
        let mut vectors = Vectors::new("m".to_owned(), 2);
        for (row, vector) in given {
            vectors.put(*row, vector, [0; 32]);
        }
        vectors
    }

    #[test]
    fn only_directions_are_kept() {
        let vectors = vectors(&[(3, &[0.0, 7.0]), (0, &[3.0, 4.0])]);
        assert_eq!(vectors.get(3), Some(&[0.0, 1.0][..]));
        assert_eq!(vectors.get(1), None);
        let nearest = vectors.nearest(&[0.0, 9.0], 9, &RowSet::full(5));
        assert_eq!(nearest, [(3, 1.0), (0, 0.8)]);
        assert_eq!(vectors.nearest(&[0.0, 0.0], 9, &RowSet::full(5)), [], "nowhere");
    }

    #[test]
    fn only_what_is_allowed_is_found_however_little_it_is() {
        let mut vectors = Vectors::new("m".to_owned(), 2);
        for row in 0..1000_u16 {
            vectors.put(u32::from(row), &[1.0, f32::from(row)], [0; 32]);
        }
        let mut allowed = RowSet::new(1000);
        for row in [999, 4, 70] {
            allowed.insert(row);
        }
        let rows = |vectors: &Vectors| {
            let found = vectors.nearest(&[1.0, 0.0], 9, &allowed);
            found.into_iter().map(|(row, _)| row).collect::<Vec<_>>()
        };
        assert_eq!(rows(&vectors), [4, 70, 999]);
        vectors.remove(70);
        vectors.put(999, &[1.0, 1.0], [0; 32]);
        assert_eq!(rows(&vectors), [999, 4]);
    }

    #[test]
    fn what_points_nowhere_is_left_out() {
        let zero = [0.0; 2];
        let wide = [1.0; 3];
        let wild = [f32::NAN, 1.0];
        for bad in [&zero[..], &wide, &wild] {
            let mut vectors = vectors(&[(0, &[1.0, 0.0])]);
            vectors.put(0, bad, [1; 32]);
            assert_eq!(
                (vectors.get(0), vectors.len()),
                (None, 0),
                "the old one is of another text"
            );
        }
    }

    #[test]
    fn what_is_near_follows_changes() {
        let mut vectors = vectors(&[(0, &[1.0, 0.0]), (1, &[1.0, 0.1]), (2, &[0.0, 1.0])]);
        let rows = |near: Near| near.iter().map(|(row, _)| *row).collect::<Vec<_>>();
        assert_eq!(rows(vectors.near(0, 2)), [1, 2]);
        vectors.put(4, &[1.0, 0.01], [0; 32]);
        vectors.remove(1);
        assert_eq!(rows(vectors.near(0, 1)), [4]);
        assert_eq!(rows(vectors.near(0, 2)), [4, 2], "more than was kept");
        assert!(vectors.near(1, 2).is_empty());
    }
}
