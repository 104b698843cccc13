//! Maximal marginal relevance: a list that is relevant and does not repeat itself (Carbonell & Goldstein, *The use of MMR,
//! diversity-based reranking for reordering documents and producing summaries*, SIGIR 1998).
//!
//! One candidate after the other is selected, each the one with the largest
//!
//! ```text
//! λ · rel_i  −  (1 − λ) · max_{j selected} sim(i, j)          sim = max(0, cosine)
//! ```
//!
//! of those left, ties to the one that comes first. Opposite is no better than unrelated, so that a candidate without a
//! vector, whose similarity to all others is 0, is as welcome as one that shares nothing.
//!
//! A similarity is worked out at most once. The largest one of a candidate only grows, so one whose value with those it was
//! compared with so far does not reach the best of this round needs no comparison in this round.

#[cfg(test)]
mod tests;

use crate::matrix::dot;
use std::collections::HashMap;

/// What a list is made of, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// `λ`: 1 is the order of relevance, 0 that of difference alone. Clamped to 0..=1; NaN is 1.
    pub lambda: f32,
    /// Length of the list, where there are as many candidates.
    pub limit: usize,
    /// Candidates with the same attribute, at most; `None`: any number. Where a list would stay short, caps of all attributes
    /// are raised by one, and again, until it does not.
    pub cap: Option<usize>,
}

/// One that was selected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Selected {
    /// Which of the candidates.
    pub index: usize,
    /// `(1 − λ) · max sim` to those before it, which its relevance was lowered by; in 0..=1 − λ, and 0 for the first.
    pub penalty: f32,
}

/// Selects from candidates whose relevance, in 0..=1, is given; what is beyond counts as the nearest, NaN as 0.
///
/// `vector` gives a candidate's vector, not necessarily of unit length; all have one length. One that is zero or not finite counts
/// as none. `attributes` gives what [`Options::cap`] counts, each once. The list has `min(limit, candidates)` entries, in
/// the order of their selection.
pub fn select<'v>(
    relevance: &[f32],
    vector: impl Fn(usize) -> Option<&'v [f32]>,
    attributes: impl Fn(usize) -> &'v [u32],
    options: &Options,
) -> Vec<Selected> {
    let lambda = if options.lambda.is_nan() { 1.0 } else { options.lambda.clamp(0.0, 1.0) };
    let mut caps = Caps::new(relevance.len(), attributes, options.cap);
    let mut left: Vec<Candidate<'v>> = relevance
        .iter()
        .enumerate()
        .map(|(index, relevance)| {
            let relevance = if relevance.is_nan() { 0.0 } else { relevance.clamp(0.0, 1.0) };
            Candidate::new(index, lambda * relevance, vector(index))
        })
        .collect();
    let mut vectors = Vec::new();
    let mut selected = Vec::with_capacity(options.limit.min(left.len()));
    while selected.len() < options.limit && !left.is_empty() {
        let Some(at) = best(&mut left, &vectors, 1.0 - lambda, &caps) else {
            caps.raise();
            continue;
        };
        let candidate = left.remove(at);
        caps.count(candidate.index);
        vectors.extend(candidate.vector);
        selected.push(Selected { index: candidate.index, penalty: candidate.penalty });
    }
    selected
}

/// One that is not selected yet.
struct Candidate<'v> {
    index: usize,
    /// `λ · rel`.
    relevance: f32,
    vector: Option<Unit<'v>>,
    /// How many of the selected vectors it was compared with.
    compared: usize,
    /// Of those.
    penalty: f32,
}

/// A vector and one over its length.
#[derive(Clone, Copy)]
struct Unit<'v> {
    values: &'v [f32],
    scale: f32,
}

impl<'v> Unit<'v> {
    fn new(values: &'v [f32]) -> Option<Self> {
        let scale = dot(values, values).sqrt().recip();
        (scale.is_finite() && scale > 0.0).then_some(Self { values, scale })
    }

    fn cosine(&self, other: &Self) -> f32 {
        (dot(self.values, other.values) * self.scale * other.scale).clamp(-1.0, 1.0)
    }
}

impl<'v> Candidate<'v> {
    fn new(index: usize, relevance: f32, vector: Option<&'v [f32]>) -> Self {
        Self { index, relevance, vector: vector.and_then(Unit::new), compared: 0, penalty: 0.0 }
    }

    /// What it is worth, or more if it has not been compared with all selected.
    fn worth(&self) -> f32 {
        self.relevance - self.penalty
    }

    fn compare(&mut self, selected: &[Unit<'_>], weight: f32) {
        if let Some(own) = &self.vector {
            for other in &selected[self.compared..] {
                self.penalty = self.penalty.max(weight * own.cosine(other));
            }
        }
        self.compared = selected.len();
    }
}

/// The place of the first of those worth most; `None` if the caps let none pass.
fn best(
    left: &mut [Candidate<'_>],
    selected: &[Unit<'_>],
    weight: f32,
    caps: &Caps,
) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (at, candidate) in left.iter_mut().enumerate() {
        let beats = |worth: f32| best.is_none_or(|(_, most)| worth > most);
        if !beats(candidate.worth()) || !caps.let_pass(candidate.index) {
            continue;
        }
        // With λ = 1 similarity counts nothing.
        if weight > 0.0 {
            candidate.compare(selected, weight);
        }
        if beats(candidate.worth()) {
            best = Some((at, candidate.worth()));
        }
    }
    best.map(|(at, _)| at)
}

/// How often each attribute was selected.
struct Caps {
    /// Where each candidate's attributes begin, and at last where they end; empty without a cap.
    starts: Vec<usize>,
    /// Numbered from 0.
    attributes: Vec<usize>,
    counts: Vec<usize>,
    cap: usize,
}

impl Caps {
    fn new<'v>(candidates: usize, of: impl Fn(usize) -> &'v [u32], cap: Option<usize>) -> Self {
        let (mut starts, mut attributes, mut numbers) = (Vec::new(), Vec::new(), HashMap::new());
        if cap.is_some() {
            for index in 0..candidates {
                starts.push(attributes.len());
                for attribute in of(index) {
                    let next = numbers.len();
                    attributes.push(*numbers.entry(*attribute).or_insert(next));
                }
            }
            starts.push(attributes.len());
        }
        let counts = vec![0; numbers.len()];
        Self { starts, attributes, counts, cap: cap.unwrap_or(usize::MAX) }
    }

    fn of(&self, index: usize) -> &[usize] {
        match self.starts.get(index..index + 2) {
            Some(ends) => &self.attributes[ends[0]..ends[1]],
            None => &[],
        }
    }

    fn let_pass(&self, index: usize) -> bool {
        self.of(index).iter().all(|attribute| self.counts[*attribute] < self.cap)
    }

    fn count(&mut self, index: usize) {
        let Self { starts, attributes, counts, .. } = self;
        if let Some(ends) = starts.get(index..index + 2) {
            for attribute in &attributes[ends[0]..ends[1]] {
                counts[*attribute] += 1;
            }
        }
    }

    fn raise(&mut self) {
        self.cap += 1;
    }
}

/// How different a list is in itself: the mean of `1 − cosine` over its pairs, in 0..=2; a vector that is absent, zero or not
/// finite has cosine 0 with all others. `None` for fewer than two. (Ziegler et al., *Improving recommendation lists through
/// topic diversification*, WWW 2005.)
pub fn intra_list_distance(vectors: &[Option<&[f32]>]) -> Option<f64> {
    let units: Vec<_> = vectors.iter().map(|vector| vector.and_then(Unit::new)).collect();
    let mut sum = 0.0;
    for (at, one) in units.iter().enumerate() {
        for other in &units[at + 1..] {
            let cosine = one.as_ref().zip(other.as_ref()).map_or(0.0, |(a, b)| a.cosine(b));
            sum += 1.0 - f64::from(cosine);
        }
    }
    let pairs = units.len() * units.len().saturating_sub(1) / 2;
    (pairs > 0).then(|| sum / pairs as f64)
}
