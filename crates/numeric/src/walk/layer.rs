//! Hubs of one kind and the titles they connect.

use super::Options;
use rayon::prelude::*;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// A title and a hub, and how much they have to do with each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// Row of the title.
    pub item: u32,
    /// Number of the hub.
    pub hub: u32,
    /// In (0, 1]; kept in steps of 1/255.
    pub strength: f32,
}

/// Why an edge is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EdgeError {
    /// There is no such title.
    Item(Edge),
    /// There is no such hub.
    Hub(Edge),
    /// The strength is not in (0, 1].
    Strength(Edge),
    /// There is another one between the same title and hub.
    Duplicate(Edge),
}

impl fmt::Display for EdgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (edge, why) = match self {
            Self::Item(edge) => (edge, "there is no such title"),
            Self::Hub(edge) => (edge, "there is no such hub"),
            Self::Strength(edge) => (edge, "the strength is not above 0 and at most 1"),
            Self::Duplicate(edge) => (edge, "it is given twice"),
        };
        let Edge { item, hub, strength } = edge;
        write!(f, "edge of strength {strength} between title {item} and hub {hub}: {why}")
    }
}

impl std::error::Error for EdgeError {}

/// The edges between titles and hubs of one kind, from both sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    of_items: Adjacency,
    of_hubs: Adjacency,
}

/// A hub that seeds lead to.
pub(super) struct Reached {
    pub(super) hub: u32,
    /// `Σ_s w_s·[ι_h·x_sh / Σ_g ι_g·x_sg]`.
    pub(super) activation: f32,
    /// To how many titles, the strongest, the walk goes on.
    pub(super) fan_out: usize,
    /// Its place in [`Reach::steps`].
    steps: Range<usize>,
}

/// One step from a seed to a hub.
pub(super) struct Step {
    hub: u32,
    pub(super) seed: u32,
    /// The seed's part of the activation.
    pub(super) weight: f32,
}

/// Where seeds lead.
pub(super) struct Reach {
    /// By hub.
    steps: Vec<Step>,
    /// The most activated first.
    pub(super) hubs: Vec<Reached>,
}

impl Layer {
    /// Sorts edges in, given in any order; titles are `0..items`, hubs `0..hubs`.
    ///
    /// # Errors
    /// See [`EdgeError`].
    pub fn new(items: usize, hubs: usize, edges: &[Edge]) -> Result<Self, EdgeError> {
        for &edge in edges {
            if edge.item as usize >= items {
                return Err(EdgeError::Item(edge));
            }
            if edge.hub as usize >= hubs {
                return Err(EdgeError::Hub(edge));
            }
            if !(edge.strength > 0.0 && edge.strength <= 1.0) {
                return Err(EdgeError::Strength(edge));
            }
        }
        let weakness = |edge: &Edge| 255 - (edge.strength * 255.0).round().max(1.0) as u8;
        let of_items = edges.par_iter().map(|edge| (edge.item, weakness(edge), edge.hub));
        let of_items = Adjacency::new(items, of_items.collect());
        if let Some((item, hub)) = of_items.repeated() {
            let repeated = edges.iter().rfind(|edge| (edge.item, edge.hub) == (item, hub));
            return repeated.map_or(Ok(Self::default()), |edge| Err(EdgeError::Duplicate(*edge)));
        }
        let of_hubs = edges.par_iter().map(|edge| (edge.hub, weakness(edge), edge.item));
        Ok(Self { of_items, of_hubs: Adjacency::new(hubs, of_hubs.collect()) })
    }

    /// Number of titles.
    pub fn items(&self) -> usize {
        self.of_items.rows()
    }

    /// Number of hubs.
    pub fn hubs(&self) -> usize {
        self.of_hubs.rows()
    }

    /// Number of edges.
    pub fn edges(&self) -> usize {
        self.of_hubs.targets.len()
    }

    /// Takes out the edges of some hubs.
    pub(super) fn forget(&mut self, hubs: &HashSet<u32>) {
        self.of_items.retain(|_, target| !hubs.contains(&target));
        self.of_hubs.retain(|row, _| !hubs.contains(&row));
    }

    /// The hubs that seeds of these shares lead to; their fan-outs sum to at most `budget`.
    pub(super) fn reach(&self, seeds: &[(u32, f32)], options: &Options, budget: usize) -> Reach {
        let mut steps = Vec::with_capacity(seeds.len() * options.fan_in.min(64));
        for &(seed, share) in seeds {
            self.step(seed, share, options, &mut steps);
        }
        // Stable: the steps to a hub stay in the order of the seeds.
        steps.sort_by_key(|step| step.hub);
        let mut hubs = Vec::new();
        let mut start = 0;
        for same in steps.chunk_by(|a, b| a.hub == b.hub) {
            let activation = same.iter().map(|step| step.weight).sum();
            let steps = start..start + same.len();
            start = steps.end;
            hubs.push(Reached { hub: same[0].hub, activation, fan_out: 0, steps });
        }
        hubs.sort_unstable_by(|a, b| b.activation.total_cmp(&a.activation).then(a.hub.cmp(&b.hub)));
        let mut left = budget;
        for reached in &mut hubs {
            reached.fan_out = self.of_hubs.degree(reached.hub).min(options.fan_out).min(left);
            left -= reached.fan_out;
        }
        hubs.retain(|reached| reached.fan_out > 0);
        Reach { steps, hubs }
    }

    /// The steps from one seed: `w_s·ι_h·x_sh / Σ_g ι_g·x_sg`.
    fn step(&self, seed: u32, share: f32, options: &Options, steps: &mut Vec<Step>) {
        let first = steps.len();
        for (hub, strength) in self.of_items.strongest(seed, options.fan_in) {
            let degree = self.of_hubs.degree(hub) as f32;
            let weight = strength * degree.powf(-options.hub_exponent);
            steps.push(Step { hub, seed, weight });
        }
        let sum: f32 = steps[first..].iter().map(|step| step.weight).sum();
        for step in &mut steps[first..] {
            step.weight *= share / sum;
        }
    }

    /// The titles a hub leads to, and how strongly.
    pub(super) fn titles(&self, reached: &Reached) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.of_hubs.strongest(reached.hub, reached.fan_out)
    }

    /// Those of `reach` that lead to `target`, and how strongly.
    pub(super) fn towards<'r>(&self, target: u32, reach: &'r Reach) -> Vec<(&'r Reached, f32)> {
        let edges: usize = reach.hubs.iter().map(|reached| reached.fan_out).sum();
        if self.of_items.degree(target) < edges {
            let mut by_hub: Vec<&Reached> = reach.hubs.iter().collect();
            by_hub.sort_unstable_by_key(|reached| reached.hub);
            let found = self.of_items.all(target).filter_map(|(hub, weakness)| {
                let at = by_hub.binary_search_by_key(&hub, |reached| reached.hub).ok()?;
                let within = self.of_hubs.key(hub, by_hub[at].fan_out - 1);
                ((weakness, target) <= within).then(|| (by_hub[at], strength_of(weakness)))
            });
            found.collect()
        } else {
            let found = reach.hubs.iter().filter_map(|reached| {
                let found = self.titles(reached).find(|(item, _)| *item == target);
                found.map(|(_, strength)| (reached, strength))
            });
            found.collect()
        }
    }
}

impl Reach {
    /// The steps to a hub.
    pub(super) fn steps_to(&self, reached: &Reached) -> &[Step] {
        &self.steps[reached.steps.clone()]
    }
}

/// Compressed rows of `(target, 255 − strength·255)`, the strongest first, ties to the lower target.
#[derive(Clone, Debug, Default, PartialEq)]
struct Adjacency {
    starts: Vec<u64>,
    targets: Vec<u32>,
    weaknesses: Vec<u8>,
}

fn strength_of(weakness: u8) -> f32 {
    f32::from(255 - weakness) / 255.0
}

impl Adjacency {
    /// From `(row, weakness, target)`.
    fn new(rows: usize, mut edges: Vec<(u32, u8, u32)>) -> Self {
        edges.par_sort_unstable();
        let mut starts = vec![0; rows + 1];
        for (row, ..) in &edges {
            starts[*row as usize + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let targets = edges.iter().map(|(.., target)| *target).collect();
        let weaknesses = edges.iter().map(|(_, weakness, _)| *weakness).collect();
        Self { starts, targets, weaknesses }
    }

    /// Keeps the edges of which `keeps` says so, by row and target.
    fn retain(&mut self, keeps: impl Fn(u32, u32) -> bool) {
        let mut kept = Self { starts: vec![0], ..Self::default() };
        for row in 0..self.rows() as u32 {
            for at in self.range(row).filter(|at| keeps(row, self.targets[*at])) {
                kept.targets.push(self.targets[at]);
                kept.weaknesses.push(self.weaknesses[at]);
            }
            kept.starts.push(kept.targets.len() as u64);
        }
        *self = kept;
    }

    fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    fn range(&self, row: u32) -> Range<usize> {
        match self.starts.get(row as usize..row as usize + 2) {
            Some(bounds) => bounds[0] as usize..bounds[1] as usize,
            None => 0..0,
        }
    }

    fn degree(&self, row: u32) -> usize {
        self.range(row).len()
    }

    fn all(&self, row: u32) -> impl Iterator<Item = (u32, u8)> + '_ {
        let range = self.range(row);
        self.targets[range.clone()].iter().copied().zip(self.weaknesses[range].iter().copied())
    }

    fn strongest(&self, row: u32, most: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.all(row).take(most).map(|(target, weakness)| (target, strength_of(weakness)))
    }

    /// What the edges of a row are ordered by, of the one at `place`.
    fn key(&self, row: u32, place: usize) -> (u8, u32) {
        let at = self.range(row).start + place;
        (self.weaknesses[at], self.targets[at])
    }

    /// A row and a target that come together twice.
    fn repeated(&self) -> Option<(u32, u32)> {
        (0..self.rows() as u32).into_par_iter().find_map_first(|row| {
            let mut targets = self.targets[self.range(row)].to_vec();
            targets.sort_unstable();
            targets.windows(2).find(|two| two[0] == two[1]).map(|two| (row, two[0]))
        })
    }
}
