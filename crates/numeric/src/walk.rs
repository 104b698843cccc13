//! A walk from titles over what they have in common to other titles.
//!
//! The graph has titles on one side and *hubs* on the other: genres, people, themes, viewers. Hubs of one kind make a
//! [`Layer`]. With seeds `s` of weight `w_s` (scaled to sum to 1), layers `k` of weight `W_k` (likewise) and edges of
//! strength `x` in (0, 1], a title scores
//!
//! ```text
//! score(j) = Σ_k W_k Σ_s w_s Σ_h  [ ι_h·x_sh / Σ_g ι_g·x_sg ] · x_hj        ι_h = degree(h)^−γ
//! ```
//!
//! With all strengths 1 and γ = 0 the inner sum is the overlap |A_s ∩ A_j| / |A_s|: the share of the *seed's*
//! attributes that the title has. It is not symmetric, and a title does not lose by attributes the seed lacks. γ holds
//! back hubs that everything is connected to; γ = 1 is the resource-allocation index of Zhou, Lü and Zhang, *Predicting
//! missing links via local information* (Eur. Phys. J. B, 2009). Scores lie in 0..=1.
//!
//! A query touches a bounded number of edges, however large the graph: of a seed the strongest [`Options::fan_in`] hubs
//! of each layer, of a hub its strongest [`Options::fan_out`] titles, hubs in the order of what reached them until
//! [`Options::budget`] is spent. Nothing is drawn at random.

mod layer;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

pub use layer::{Edge, EdgeError, Layer};

/// How far a walk goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `γ`: how strongly hubs with many titles are held back; ≥ 0.
    pub hub_exponent: f32,
    /// Hubs of each layer a seed leads to, the strongest.
    pub fan_in: usize,
    /// Titles a hub leads to, the strongest.
    pub fan_out: usize,
    /// Edges from hubs to titles, in all. Layers share it by weight; what one leaves, the following have.
    pub budget: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { hub_exponent: 0.5, fan_in: 100, fan_out: 1000, budget: 20_000 }
    }
}

/// Titles, hubs and the edges between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    items: usize,
    layers: Vec<(f32, Layer)>,
}

/// One way from a seed to a title.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// Row of the seed.
    pub seed: u32,
    /// Which layer the hub is of, in the order they were given.
    pub layer: usize,
    /// The hub.
    pub hub: u32,
    /// What it adds to the title's score.
    pub weight: f32,
}

impl Graph {
    /// A graph of layers over the same `items` titles, with their weights `W_k` (finite, ≥ 0; scaled to sum to 1).
    ///
    /// # Panics
    /// If a layer is over another number of titles, or a weight is negative or not finite.
    pub fn new(items: usize, layers: Vec<(f32, Layer)>) -> Self {
        for (weight, layer) in &layers {
            assert!(weight.is_finite() && *weight >= 0.0, "a layer of weight {weight}");
            assert!(layer.items() == items, "a layer over {} of {items} titles", layer.items());
        }
        let sum: f32 = layers.iter().map(|(weight, _)| weight).sum();
        let share = |weight: f32| if sum > 0.0 { weight / sum } else { 0.0 };
        let layers = layers.into_iter().map(|(weight, layer)| (share(weight), layer)).collect();
        Self { items, layers }
    }

    /// Number of titles.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Number of edges.
    pub fn edges(&self) -> usize {
        self.layers.iter().map(|(_, layer)| layer.edges()).sum()
    }

    /// The walk from these `(row, weight)` seeds as far as the hubs. Weights that are not above 0 and rows the graph does
    /// not have say nothing.
    pub fn walk(&self, seeds: &[(u32, f32)], options: &Options) -> Walk<'_> {
        let seeds = self.shares(seeds);
        let (mut reaches, mut left) = (Vec::with_capacity(self.layers.len()), 0);
        for (weight, layer) in &self.layers {
            left += part(*weight, options);
            let reach = layer.reach(&seeds, options, left);
            left -= reach.hubs.iter().map(|reached| reached.fan_out).sum::<usize>();
            reaches.push(reach);
        }
        Walk { graph: self, reaches }
    }

    /// The same without the edges of some hubs of a layer.
    #[must_use]
    pub fn without(&self, layer: usize, hubs: &HashSet<u32>) -> Self {
        let mut graph = self.clone();
        if let Some((_, layer)) = graph.layers.get_mut(layer) {
            layer.forget(hubs);
        }
        graph
    }

    /// Known seeds, each once, with weights that sum to 1.
    fn shares(&self, seeds: &[(u32, f32)]) -> Vec<(u32, f32)> {
        let usable = |&&(row, weight): &&(u32, f32)| {
            (row as usize) < self.items && weight.is_finite() && weight > 0.0
        };
        let mut known: Vec<_> = seeds.iter().filter(usable).copied().collect();
        known.sort_by_key(|(row, _)| *row);
        known.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            kept.1 += if same { later.1 } else { 0.0 };
            same
        });
        let sum: f64 = known.iter().map(|(_, weight)| f64::from(*weight)).sum();
        for (_, weight) in &mut known {
            *weight = (f64::from(*weight) / sum) as f32;
        }
        known
    }
}

/// Where seeds lead, to be asked about titles.
pub struct Walk<'g> {
    graph: &'g Graph,
    /// By layer.
    reaches: Vec<layer::Reach>,
}

impl Walk<'_> {
    /// Every title's score, into `scores`; seeds score too.
    pub fn score(&self, scores: &mut Vec<f32>) {
        scores.clear();
        scores.resize(self.graph.items, 0.0);
        for ((weight, layer), reach) in self.graph.layers.iter().zip(&self.reaches) {
            for reached in &reach.hubs {
                for (item, strength) in layer.titles(reached) {
                    scores[item as usize] += weight * reached.activation * strength;
                }
            }
        }
    }

    /// The ways from the seeds to `target`, each with what it adds to the target's [`Walk::score`]; strongest first.
    pub fn paths(&self, target: u32) -> Vec<Path> {
        let mut paths = Vec::new();
        let layers = self.graph.layers.iter().zip(&self.reaches).enumerate();
        for (at, ((weight, layer), reach)) in layers {
            for (reached, strength) in layer.towards(target, reach) {
                paths.extend(reach.steps_to(reached).iter().map(|step| Path {
                    seed: step.seed,
                    layer: at,
                    hub: reached.hub,
                    weight: weight * step.weight * strength,
                }));
            }
        }
        paths.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        paths
    }
}

/// Of the budget, what a layer of this weight brings.
fn part(weight: f32, options: &Options) -> usize {
    (f64::from(weight) * options.budget as f64) as usize
}
