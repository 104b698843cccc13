//! Items near items, by one of two algorithms.
//!
//! # GF-CF
//!
//! Shen et al., *How Powerful is Graph Convolution for Recommendation?* (CIKM 2021).
//! With binary `R`, `R̃ = Du^−½ R Di^−½`, and `V` the `k` leading right singular vectors of `R̃`, a user whose items are
//! `h` scores item `j` by
//!
//! ```text
//! Σ_{i∈h}  (R̃ᵀR̃)_ij  +  β · Di_i^−½ V_i · V_j Di_j^½
//! ```
//!
//! The first term is what those who share an item with the user had besides; the second what the whole says of it. Both
//! are sums over the user's items, so a user the fit has never seen is scored like any other. The first term is
//! stored as each item's strongest neighbours, the second as one row of factors an item.
//!
//! # EASE
//!
//! Steck, *Embarrassingly Shallow Autoencoders for Sparse Data* (WWW 2019): a user scores item `j` by `Σ_{i∈h} B_ij`, where
//! `B` is the best linear map of users' items onto themselves with nothing on its diagonal (`ease`). Its weights may be
//! negative; there is no second term. A dense matrix of all items is inverted, so it is for catalogues of thousands.

mod ease;
mod neighbours;

#[cfg(test)]
mod tests;

use crate::interactions::Interactions;
use crate::kernel;
use crate::matrix::{Matrix, dot};
use crate::spectrum::{self, Symmetric};
use neighbours::Neighbours;
use rayon::prelude::*;
use std::fmt;

/// How items' weights for each other are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// Graph filtering, for catalogues of any size.
    #[default]
    GfCf,
    /// A linear autoencoder, for up to 16,000 items: 12 bytes times their square while it is fitted.
    Ease,
}

/// What is fitted, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// `λ` of EASE; > 0.
    pub ridge: f32,
    /// `k`: singular vectors of GF-CF's second term; 0 leaves it out.
    pub components: usize,
    /// `β`: weight of the second term; ≥ 0.
    pub low_pass_weight: f32,
    /// Neighbours kept of each item, the strongest by size; 0 = all.
    pub neighbours: usize,
    /// Seed of the vectors the iteration begins with.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::GfCf,
            ridge: 300.0,
            components: 256,
            low_pass_weight: 0.3,
            neighbours: 0,
            seed: 1,
        }
    }
}

/// Why there is no model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Error {
    /// There is not one pair.
    NoInteractions,
    /// The weight of the second term is negative or not finite.
    LowPassWeight(f32),
    /// `λ` is not above 0 or not finite.
    Ridge(f32),
    /// EASE was asked for more items than it is for.
    TooManyItems(usize),
    /// The singular vectors did not settle; the largest residual is given.
    NotConverged(f32),
    /// A dense step failed.
    Decomposition,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInteractions => write!(f, "there is not one interaction"),
            Self::LowPassWeight(weight) => {
                write!(f, "low_pass_weight must be at least 0, is {weight}")
            }
            Self::Ridge(ridge) => write!(f, "ridge must be above 0, is {ridge}"),
            Self::TooManyItems(items) => {
                let most = ease::MOST_ITEMS;
                write!(f, "ease is for at most {most} items, there are {items}; gf-cf is for more")
            }
            Self::NotConverged(residual) => {
                write!(f, "the singular vectors did not settle (residual {residual:.1e})")
            }
            Self::Decomposition => write!(f, "a dense decomposition failed"),
        }
    }
}

impl std::error::Error for Error {}

impl From<spectrum::Error> for Error {
    fn from(error: spectrum::Error) -> Self {
        match error {
            spectrum::Error::NotConverged(residual) => Self::NotConverged(residual),
            spectrum::Error::Decomposition => Self::Decomposition,
        }
    }
}

/// A fitted model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    neighbours: Neighbours,
    /// `V_j Di_j^½`, items×k.
    factors: Matrix,
    /// Users of each item, 0 for an item nobody had.
    degrees: Vec<f32>,
    low_pass_weight: f32,
}

/// Fits on binary interactions; engagement weights are not looked at. The same input and options give the same
/// model, whatever the number of threads.
///
/// # Errors
/// See [`Error`].
pub fn fit(interactions: &Interactions, options: &Options) -> Result<Model, Error> {
    let weight = options.low_pass_weight;
    if !(weight.is_finite() && weight >= 0.0) {
        return Err(Error::LowPassWeight(weight));
    }
    if interactions.is_empty() {
        return Err(Error::NoInteractions);
    }
    match options.algorithm {
        Algorithm::GfCf => fit_gf_cf(interactions, options),
        Algorithm::Ease => fit_ease(interactions, options),
    }
}

fn fit_ease(interactions: &Interactions, options: &Options) -> Result<Model, Error> {
    let Options { ridge, neighbours, .. } = *options;
    if !(ridge.is_finite() && ridge > 0.0) {
        return Err(Error::Ridge(ridge));
    }
    let by_item = interactions.transpose();
    Ok(Model {
        neighbours: ease::fit(interactions, ridge, neighbours)?,
        factors: Matrix::zeros(by_item.users(), 0),
        degrees: degrees(&by_item),
        low_pass_weight: 0.0,
    })
}

fn fit_gf_cf(interactions: &Interactions, options: &Options) -> Result<Model, Error> {
    let weight = options.low_pass_weight;
    let by_item = interactions.transpose();
    let graph = Graph {
        user_scale: inverse_roots(interactions),
        item_scale: inverse_roots(&by_item),
        by_user: interactions,
        by_item: &by_item,
    };
    let degrees = degrees(&by_item);
    let mut factors = if options.components == 0 || weight == 0.0 {
        Matrix::zeros(by_item.users(), 0)
    } else {
        spectrum::settled(&graph, options.components, options.seed)?.vectors
    };
    for (item, degree) in degrees.iter().enumerate() {
        for value in factors.row_mut(item) {
            *value *= degree.sqrt();
        }
    }
    let neighbours = Neighbours::new(&graph, options.neighbours);
    Ok(Model { neighbours, factors, degrees, low_pass_weight: weight })
}

/// How many users each item has.
fn degrees(by_item: &Interactions) -> Vec<f32> {
    (0..by_item.users()).map(|item| by_item.row(item).0.len() as f32).collect()
}

/// `R̃`, by rows and by columns.
struct Graph<'i> {
    by_user: &'i Interactions,
    by_item: &'i Interactions,
    /// `Du^−½`.
    user_scale: Vec<f32>,
    /// `Di^−½`.
    item_scale: Vec<f32>,
}

/// `S = R̃ᵀR̃`, whose eigenvectors are the right singular vectors of `R̃` and whose eigenvalues lie in 0..=1.
impl Symmetric for Graph<'_> {
    fn size(&self) -> usize {
        self.by_item.users()
    }

    fn rank(&self) -> usize {
        self.by_item.users().min(self.by_user.users())
    }

    fn times(&self, x: &Matrix) -> Matrix {
        let (users, items) = (&self.user_scale, &self.item_scale);
        // R̃ᵀ(R̃x) = Di^−½ Rᵀ Du^−1 R Di^−½ x
        let gathered = spread(self.by_user, x, items, |user| users[user] * users[user]);
        let ones = vec![1.0; users.len()];
        spread(self.by_item, &gathered, &ones, |item| items[item])
    }
}

/// Each row's sum of `scale[column] · x[column]`, times `own` of the row.
fn spread(
    rows: &Interactions,
    x: &Matrix,
    scale: &[f32],
    own: impl Fn(usize) -> f32 + Sync,
) -> Matrix {
    let width = x.width();
    let mut out = Matrix::zeros(rows.users(), width);
    out.as_mut_slice().par_chunks_mut(width).enumerate().for_each(|(row, sum)| {
        for column in rows.row(row).0 {
            kernel::add(sum, scale[*column as usize], x.row(*column as usize));
        }
        let own = own(row);
        for value in sum {
            *value *= own;
        }
    });
    out
}

/// One over the root of each row's number of pairs; 0 for an empty row.
fn inverse_roots(rows: &Interactions) -> Vec<f32> {
    let count = |row| rows.row(row).0.len() as f32;
    (0..rows.users())
        .map(|row| if count(row) > 0.0 { count(row).sqrt().recip() } else { 0.0 })
        .collect()
}

/// A model as plain arrays, for whoever stores it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// Where each item's neighbours start in `neighbours`, and at last where they end; items + 1.
    pub starts: Vec<u64>,
    /// Neighbours, ascending within an item.
    pub neighbours: Vec<u32>,
    /// Their weights, not 0.
    pub weights: Vec<f32>,
    /// `V_j Di_j^½`, items×k.
    pub factors: Matrix,
    /// Users of each item.
    pub degrees: Vec<f32>,
    /// `β`.
    pub low_pass_weight: f32,
}

impl Model {
    /// The model's arrays.
    pub fn to_parts(&self) -> Parts {
        let (starts, neighbours, weights) = self.neighbours.to_arrays();
        Parts {
            starts,
            neighbours,
            weights,
            factors: self.factors.clone(),
            degrees: self.degrees.clone(),
            low_pass_weight: self.low_pass_weight,
        }
    }

    /// Reads what [`Model::to_parts`] wrote.
    ///
    /// # Errors
    /// In words, if it cannot have written these.
    pub fn from_parts(parts: Parts) -> Result<Self, &'static str> {
        let Parts { starts, neighbours, weights, factors, degrees, low_pass_weight } = parts;
        if factors.rows() != degrees.len() || starts.len() != degrees.len() + 1 {
            return Err("factors, degrees and starts differ in length");
        }
        let numbers = factors.as_slice().iter().chain(&degrees).chain([&low_pass_weight]);
        if !numbers.into_iter().all(|number| number.is_finite()) {
            return Err("a number is not finite");
        }
        let neighbours = Neighbours::from_arrays(&starts, neighbours, weights)?;
        Ok(Self { neighbours, factors, degrees, low_pass_weight })
    }

    /// The same model with item `i` as row `rows[i]` of `items` rows; the others are items nobody had.
    ///
    /// # Panics
    /// If `rows` names a row twice or one that is not below `items`.
    #[must_use]
    pub fn moved(&self, rows: &[u32], items: usize) -> Self {
        let mut factors = Matrix::zeros(items, self.factors.width());
        let mut degrees = vec![0.0; items];
        for (from, to) in rows.iter().map(|to| *to as usize).enumerate() {
            factors.row_mut(to).copy_from_slice(self.factors.row(from));
            degrees[to] = self.degrees[from];
        }
        let neighbours = self.neighbours.moved(rows, items);
        Self { neighbours, factors, degrees, low_pass_weight: self.low_pass_weight }
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.degrees.len()
    }

    /// Stored neighbours of all items.
    pub fn pairs(&self) -> usize {
        self.neighbours.len()
    }

    /// Every item's score for a user with these items (each once; unknown ones say nothing), into `scores`.
    pub fn score(&self, history: &[u32], scores: &mut Vec<f32>) {
        let known = || history.iter().copied().filter(|item| (*item as usize) < self.items());
        if self.factors.width() > 0 {
            let mut user = vec![0.0; self.factors.width()];
            for item in known() {
                let scale = self.low_pass_scale(item);
                for (sum, value) in user.iter_mut().zip(self.factors.row(item as usize)) {
                    *sum += scale * value;
                }
            }
            self.factors.times(&user, scores);
        } else {
            scores.clear();
            scores.resize(self.items(), 0.0);
        }
        for item in known() {
            for (neighbour, weight) in self.neighbours.of(item) {
                scores[neighbour as usize] += weight;
            }
        }
    }

    /// Which of the items in `history` speak for `target`, and how much each adds to its score: strongest first,
    /// only what is above 0.
    pub fn evidence(&self, history: &[u32], target: u32) -> Vec<(u32, f32)> {
        if target as usize >= self.items() {
            return Vec::new();
        }
        let towards = self.factors.row(target as usize);
        let known = history.iter().copied().filter(|item| (*item as usize) < self.items());
        let spoken = known.map(|item| {
            let low_pass =
                self.low_pass_scale(item) * dot(self.factors.row(item as usize), towards);
            (item, low_pass + self.neighbours.weight(item, target))
        });
        let mut spoken: Vec<_> = spoken.filter(|(_, weight)| *weight > 0.0).collect();
        spoken.sort_by(|a, b| b.1.total_cmp(&a.1));
        spoken
    }

    /// `β / Di`: makes the factors an item is found by into those it speaks with.
    fn low_pass_scale(&self, item: u32) -> f32 {
        let degree = self.degrees[item as usize];
        if degree > 0.0 { self.low_pass_weight / degree } else { 0.0 }
    }
}
