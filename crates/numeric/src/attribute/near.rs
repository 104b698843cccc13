//! Items alike by their attributes, kept up to date item by item.

use super::Attributes;
use crate::rows::RowSet;
use crate::scores::Scores;
use rayon::prelude::*;

/// Numbers of viewers whose powers are kept ready.
const POWERS: u32 = 1024;

/// How items are compared and read.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `r`: how much more a rare attribute counts than a common one; ≥ 0.
    pub rarity_exponent: f32,
    /// Items whose cosine is lower are not alike; above 0, at most 1.
    pub least_cosine: f32,
    /// `e`: how much more a close neighbour counts than a distant one; ≥ 0.
    pub similarity_exponent: f32,
    /// Neighbours kept of each item, the strongest, ties to the newer (higher) row; ≥ 1.
    pub neighbours: usize,
    /// How many of the newest items speak for a user; ≥ 1.
    pub history: usize,
    /// Weight of each older item relative to the next newer one, in 0..1.
    pub history_decay: f32,
    /// `p`: how strongly popular items are preferred among those alike; ≥ 0.
    pub popularity_exponent: f32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rarity_exponent: 2.0,
            least_cosine: 0.3,
            similarity_exponent: 2.0,
            neighbours: 256,
            history: 10,
            history_decay: 0.6,
            popularity_exponent: 0.2,
        }
    }
}

/// Which items are alike, and what it takes to place one more.
///
/// An item is the vector `x_ia = ln(N/df_a)^r` over its attributes, at unit length. With `s` the [cosine](Self::cosine)
/// of two items,
///
/// ```text
/// G[i,j] = s_ij^e where s_ij ≥ least_cosine, 0 elsewhere
/// score(j) = (viewers_j + 1)^p · Σ_k decay^k · G[recent_k, j]        k = 0 the newest
/// ```
///
/// `G` is stored as each item's strongest neighbours, 8 bytes a pair; beside it each item's attributes twice, 4 bytes each
/// time. Who is alike is found among the carriers of an item's rare attributes only: those that share nothing but its
/// common ones cannot reach `least_cosine` (Bayardo, Ma & Srikant, *Scaling up all pairs similarity search*, 2007).
///
/// A new or changed item is placed at once. The rarities stay those of the last [`Self::new`] until the next: an attribute
/// it did not know counts as one that a single item has, and a full row that loses a neighbour does not get back one that
/// it had to leave out.
#[derive(Clone, Debug, PartialEq)]
pub struct Near {
    options: Options,
    attributes: Attributes,
    weights: Weights,
    /// Length of each item's vector before it is brought to 1; 0 where nothing is said of it.
    lengths: Vec<f32>,
    /// The items that have each attribute, ascending.
    carriers: Vec<Vec<u32>>,
    /// `(viewers + 1)^p` of the lowest numbers of viewers: most items have few, and a power costs more than a score.
    powers: Vec<f32>,
    /// The neighbours of each item, ascending, with `G`.
    rows: Vec<Vec<(u32, f32)>>,
}

impl Near {
    /// Finds every item's neighbours, in parallel; the result does not depend on the number of threads.
    pub fn new(attributes: Attributes, options: Options) -> Self {
        let weights = Weights::new(&attributes, options.rarity_exponent);
        let items = attributes.items() as u32;
        let mut carriers = vec![Vec::new(); attributes.count()];
        for item in 0..items {
            for attribute in attributes.of(item) {
                carriers[*attribute as usize].push(item);
            }
        }
        let lengths = (0..items).map(|item| weights.length(attributes.of(item))).collect();
        let powers = (0..POWERS).map(|n| power_of(n, options.popularity_exponent)).collect();
        let rows = Vec::new();
        let mut this = Self { options, attributes, weights, lengths, carriers, powers, rows };
        this.rows = (0..items)
            .into_par_iter()
            .with_min_len(16)
            .map_init(
                || RowSet::new(items as usize),
                |met, item| strongest(this.alike(item, met), this.options.neighbours),
            )
            .collect();
        this
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.rows.len()
    }

    /// Stored pairs of all items.
    pub fn pairs(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }

    /// The attributes as they are now.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// What is alike to `item`: neighbours, ascending, with `G`; none for an item beyond the end.
    pub fn neighbours(&self, item: u32) -> &[(u32, f32)] {
        self.rows.get(item as usize).map_or(&[], Vec::as_slice)
    }

    /// Replaces the attributes of `item` and its place among the others. Rows not known yet are made room for.
    pub fn set(&mut self, item: u32, attributes: Vec<u32>) {
        self.grow(item as usize + 1);
        let mut met = RowSet::new(self.items());
        for (other, _) in self.alike(item, &mut met) {
            let row = &mut self.rows[other as usize];
            if let Ok(at) = row.binary_search_by_key(&item, |(row, _)| *row) {
                row.remove(at);
            }
        }
        for attribute in self.attributes.of(item) {
            remove(&mut self.carriers[*attribute as usize], item);
        }
        self.attributes.set(item, attributes);
        self.carriers.resize(self.attributes.count(), Vec::new());
        for attribute in self.attributes.of(item) {
            insert(&mut self.carriers[*attribute as usize], item);
        }
        self.lengths[item as usize] = self.weights.length(self.attributes.of(item));
        let alike = self.alike(item, &mut met);
        for (other, weight) in &alike {
            admit(&mut self.rows[*other as usize], (item, *weight), self.options.neighbours);
        }
        self.rows[item as usize] = strongest(alike, self.options.neighbours);
    }

    fn grow(&mut self, items: usize) {
        if self.rows.len() < items {
            self.rows.resize(items, Vec::new());
            self.lengths.resize(items, 0.0);
        }
    }

    /// The cosine of two items, in 0..=1; 0 if nothing is said of one of them.
    pub fn cosine(&self, a: u32, b: u32) -> f32 {
        let length = |item: u32| self.lengths.get(item as usize).copied().unwrap_or(0.0);
        let lengths = length(a) * length(b);
        if lengths > 0.0 && lengths.is_finite() {
            let product: f32 = self.shared(a, b).map(|at| self.weights.of(at).powi(2)).sum();
            (product / lengths).min(1.0)
        } else {
            0.0
        }
    }

    /// The attributes two items have in common, ascending.
    pub fn shared(&self, a: u32, b: u32) -> impl Iterator<Item = u32> + '_ {
        let (mut a, mut b) = (self.attributes.of(a), self.attributes.of(b));
        std::iter::from_fn(move || {
            while let (Some((first, a_rest)), Some((second, b_rest))) =
                (a.split_first(), b.split_first())
            {
                if first <= second {
                    a = a_rest;
                }
                if second <= first {
                    b = b_rest;
                }
                if first == second {
                    return Some(*first);
                }
            }
            None
        })
    }

    /// `ln(N/df_a)^r` as of the last [`Near::new`]: what sharing an attribute says.
    pub fn weight(&self, attribute: u32) -> f32 {
        self.weights.of(attribute)
    }

    /// Who reaches `least_cosine`, in no order, with `G`. `met` is empty before and after.
    fn alike(&self, item: u32, met: &mut RowSet) -> Vec<(u32, f32)> {
        let mut candidates = Vec::new();
        for attribute in self.telling(item) {
            let carriers = &self.carriers[attribute as usize];
            candidates.extend(carriers.iter().copied().filter(|other| met.insert(*other)));
        }
        let mut alike = Vec::new();
        for other in candidates {
            met.remove(other);
            let cosine = self.cosine(item, other);
            if other != item && cosine >= self.options.least_cosine {
                alike.push((other, cosine.powf(self.options.similarity_exponent)));
            }
        }
        alike
    }

    /// The rarest attributes of `item`, of which one must be shared by whoever reaches `least_cosine`.
    fn telling(&self, item: u32) -> Vec<u32> {
        let squares = |attribute: u32| f64::from(self.weights.of(attribute)).powi(2);
        let mut rarest: Vec<u32> = self.attributes.of(item).to_vec();
        rarest.sort_by(|a, b| squares(*a).total_cmp(&squares(*b)));
        let total: f64 = rarest.iter().map(|attribute| squares(*attribute)).sum();
        // A little lower, for what single precision may add to a cosine.
        let bound = total * f64::from(self.options.least_cosine).powi(2) * 0.9999;
        let mut common = 0.0;
        rarest.retain(|attribute| {
            common += squares(*attribute);
            common >= bound && squares(*attribute) > 0.0
        });
        rarest
    }

    /// What the user's `recent` items (newest first; only the first `history` matter) say for every item alike to one of
    /// them, into `scores`; see [`Near`] for the formula. `viewers[j]` is the number of distinct viewers of `j`, 0 beyond
    /// its end.
    pub fn score(&self, recent: &[u32], viewers: &[u32], scores: &mut Scores) {
        scores.restart(self.items());
        for (from, weight) in self.sources(recent) {
            for (to, similarity) in self.neighbours(from) {
                scores.add(*to, weight * similarity);
            }
        }
        scores.weigh(|row| self.target_weight(row, viewers));
    }

    /// Which of the `recent` items speak for `target`, and how much each adds to its [`Near::score`]: strongest first, ties
    /// to the more recent.
    pub fn evidence(&self, recent: &[u32], target: u32, viewers: &[u32]) -> Vec<(u32, f32)> {
        let mut found: Vec<(u32, f32)> = Vec::new();
        for (from, weight) in self.sources(recent) {
            let row = self.neighbours(from);
            let Ok(at) = row.binary_search_by_key(&target, |(row, _)| *row) else { continue };
            let contribution = weight * row[at].1 * self.target_weight(target, viewers);
            match found.iter_mut().find(|(row, _)| *row == from) {
                Some((_, sum)) => *sum += contribution,
                None => found.push((from, contribution)),
            }
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }

    /// `(recent_k, decay^k)`.
    fn sources(&self, recent: &[u32]) -> impl Iterator<Item = (u32, f32)> {
        let decay = self.options.history_decay;
        let recent = recent.iter().take(self.options.history).enumerate();
        recent.map(move |(k, &row)| (row, decay.powi(k as i32)))
    }

    /// `(viewers_j + 1)^p`.
    fn target_weight(&self, target: u32, viewers: &[u32]) -> f32 {
        let viewers = viewers.get(target as usize).copied().unwrap_or(0);
        let known = self.powers.get(viewers as usize).copied();
        known.unwrap_or_else(|| power_of(viewers, self.options.popularity_exponent))
    }
}

/// `(viewers + 1)^p`.
fn power_of(viewers: u32, exponent: f32) -> f32 {
    (viewers as f32 + 1.0).powf(exponent)
}

/// `ln(N/df_a)^r`, as of one moment.
#[derive(Clone, Debug, PartialEq)]
struct Weights {
    known: Vec<f32>,
    /// Of an attribute that was not there at that moment.
    unknown: f32,
}

impl Weights {
    fn new(attributes: &Attributes, exponent: f32) -> Self {
        // 0^0 would make something of an attribute that says nothing.
        let power = |rarity: f32| if rarity > 0.0 { rarity.powf(exponent) } else { 0.0 };
        let known = attributes.rarity().into_iter().map(power).collect();
        Self { known, unknown: power((attributes.described() as f32).ln()) }
    }

    fn of(&self, attribute: u32) -> f32 {
        self.known.get(attribute as usize).copied().unwrap_or(self.unknown)
    }

    fn length(&self, attributes: &[u32]) -> f32 {
        attributes.iter().map(|attribute| self.of(*attribute).powi(2)).sum::<f32>().sqrt()
    }
}

/// Stronger first, ties to the higher row.
fn stronger(a: (u32, f32), b: (u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(b.0.cmp(&a.0))
}

/// The `most` strongest, ascending by row.
fn strongest(mut row: Vec<(u32, f32)>, most: usize) -> Vec<(u32, f32)> {
    let most = most.max(1);
    if row.len() > most {
        row.select_nth_unstable_by(most - 1, |a, b| stronger(*a, *b));
        row.truncate(most);
        row.shrink_to_fit();
    }
    row.sort_unstable_by_key(|(item, _)| *item);
    row
}

/// Takes a neighbour into a row, at the cost of the weakest where there are `most` already.
fn admit(row: &mut Vec<(u32, f32)>, neighbour: (u32, f32), most: usize) {
    if row.len() >= most.max(1) {
        let weakest = (0..row.len()).max_by(|a, b| stronger(row[*a], row[*b]));
        match weakest {
            Some(at) if stronger(neighbour, row[at]).is_lt() => row.remove(at),
            _ => return,
        };
    }
    if let Err(at) = row.binary_search_by_key(&neighbour.0, |(item, _)| *item) {
        row.insert(at, neighbour);
    }
}

fn insert(ascending: &mut Vec<u32>, row: u32) {
    if let Err(at) = ascending.binary_search(&row) {
        ascending.insert(at, row);
    }
}

fn remove(ascending: &mut Vec<u32>, row: u32) {
    if let Ok(at) = ascending.binary_search(&row) {
        ascending.remove(at);
    }
}
