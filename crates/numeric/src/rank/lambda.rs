//! The cost of pairs: how it changes with every score.

#![expect(
    clippy::inline_always,
    reason = "code left out of line is compiled for the oldest machine"
)]

use super::options::Options;
use super::order::{Order, discount, inverse_ideals};
use super::queries::Groups;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// First and second derivative of the cost by one score.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Slope {
    pub(super) g: f64,
    pub(super) h: f64,
}

/// What a pair costs.
#[derive(Debug)]
pub(super) struct Cost {
    sigmoid: f64,
    truncation: usize,
    /// `1/maxDCG@T`, one a query.
    inverse_ideals: Vec<f64>,
    /// Of every place.
    discounts: Vec<f64>,
}

impl Cost {
    pub(super) fn new(groups: &Groups, options: &Options) -> Self {
        let queries = 0..groups.weights.len();
        let longest = queries.map(|query| groups.range(query).len()).max().unwrap_or(0);
        Self {
            sigmoid: options.sigmoid,
            truncation: options.truncation,
            inverse_ideals: inverse_ideals(groups, options.truncation),
            discounts: (0..longest).map(discount).collect(),
        }
    }

    /// The derivatives at the scores of `order`, one a row.
    pub(super) fn slopes(&self, order: &Order<'_>, slopes: &mut [Slope]) {
        let groups = order.groups;
        let cut = groups.cut(&order.blocks, slopes);
        cut.into_par_iter().zip(&order.blocks).for_each(|(mut slopes, block)| {
            let mut room = Room::default();
            for query in block.clone() {
                let range = groups.range(query);
                let (own, rest) = slopes.split_at_mut(range.len());
                slopes = rest;
                let (gains, scores) = (&groups.gains[range.clone()], &order.scores[range.clone()]);
                let places = &order.places[range];
                room.enter(gains, scores, places);
                let sum = self.of_query(&mut room, self.inverse_ideals[query]);
                let scale =
                    if sum > 0.0 { sum.ln_1p() / std::f64::consts::LN_2 / sum } else { 1.0 };
                let scale = scale * groups.weights[query];
                for ((place, g), h) in places.iter().zip(&room.g).zip(&room.h) {
                    own[*place as usize] = Slope { g: g * scale, h: h * scale };
                }
            }
        });
    }

    /// The derivatives within one query before they are scaled; `Λ`.
    fn of_query(&self, room: &mut Room, inverse_ideal: f64) -> f64 {
        let candidates = room.gains.len();
        let differs = room.scores.first() != room.scores.last();
        let mut sum = 0.0;
        for place in 0..candidates {
            if room.gains[place] == 0.0 {
                continue;
            }
            // Whoever is beyond the first `T` is paired with those within.
            let within = place < self.truncation;
            let partners = if within { candidates } else { self.truncation };
            let pairs = Pairs {
                high: (room.gains[place], room.scores[place], self.discounts[place]),
                sigmoid: self.sigmoid,
                scale: self.sigmoid * inverse_ideal,
                soft: if differs { (0.01, 1.0) } else { (1.0, 0.0) },
                discounts: &self.discounts[..partners],
                room: &mut *room,
            };
            let own = Arch::new().dispatch(pairs);
            room.g[place] -= own.g;
            room.h[place] += own.h;
            sum += 2.0 * own.g;
        }
        sum
    }
}

/// One query's candidates, best first.
#[derive(Default)]
struct Room {
    gains: Vec<f64>,
    scores: Vec<f64>,
    g: Vec<f64>,
    h: Vec<f64>,
    /// Derivatives of the pairs of one candidate.
    pairs_g: Vec<f64>,
    pairs_h: Vec<f64>,
}

impl Room {
    fn enter(&mut self, gains: &[f32], scores: &[f64], places: &[u32]) {
        self.gains.clear();
        self.gains.extend(places.iter().map(|place| f64::from(gains[*place as usize])));
        self.scores.clear();
        self.scores.extend(places.iter().map(|place| scores[*place as usize]));
        for slopes in [&mut self.g, &mut self.h, &mut self.pairs_g, &mut self.pairs_h] {
            slopes.clear();
            slopes.resize(places.len(), 0.0);
        }
    }
}

/// The pairs of one candidate with those of less gain among the first.
struct Pairs<'a> {
    /// Gain, score and discount of the candidate.
    high: (f64, f64, f64),
    sigmoid: f64,
    scale: f64,
    /// `δ` is divided by the first and the second times the distance of the scores.
    soft: (f64, f64),
    /// Of the partners.
    discounts: &'a [f64],
    room: &'a mut Room,
}

impl WithSimd for Pairs<'_> {
    type Output = Slope;

    /// Adds to the partners' derivatives; the sums over them.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Slope {
        let Self { high: (gain, score, discount), sigmoid, scale, soft, discounts, room } = self;
        let partners = discounts.len();
        let (gains, scores) = (&room.gains[..partners], &room.scores[..partners]);
        let (sums_g, sums_h) = (&mut room.g[..partners], &mut room.h[..partners]);
        let pairs_g = &mut room.pairs_g[..partners];
        let pairs_h = &mut room.pairs_h[..partners];
        for at in 0..partners {
            let apart = score - scores[at];
            let better = gain - gains[at];
            let better = if better > 0.0 { better } else { 0.0 };
            let delta = better * (discount - discounts[at]).abs();
            let grown = exp(sigmoid * apart);
            let soft = soft.0 + soft.1 * apart.abs();
            let inverse = 1.0 / (soft * (1.0 + grown));
            let g = scale * delta * inverse;
            let h = sigmoid * g * (grown * soft * inverse);
            sums_g[at] += g;
            sums_h[at] += h;
            pairs_g[at] = g;
            pairs_h[at] = h;
        }
        Slope { g: sum(pairs_g), h: sum(pairs_h) }
    }
}

/// In a fixed order that does not wait for every addition.
#[inline(always)]
fn sum(values: &[f64]) -> f64 {
    let (wide, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for values in wide {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *sum += value;
    }
    sums.iter().sum()
}

/// `e^x` for |x| ≤ 600, beyond which it is that of the nearest; to about 14 digits, in steps that registers of several
/// numbers can take.
#[inline(always)]
fn exp(x: f64) -> f64 {
    // ln 2 in two parts, the first with zeros at its end, so that its multiples are exact.
    const LN_2: (f64, f64) = (0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10);
    // The last bit of so large a number is worth 1.
    const LARGE: f64 = 6_755_399_441_055_744.0;
    let x = if x > 600.0 { 600.0 } else { x };
    let x = if x < -600.0 { -600.0 } else { x };
    let shifted = x * std::f64::consts::LOG2_E + LARGE;
    let whole = shifted - LARGE;
    let rest = (x - whole * LN_2.0) - whole * LN_2.1;
    let mut power = 1.0 / 479_001_600.0;
    for inverse in [
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        power = power * rest + inverse;
    }
    f64::from_bits(power.to_bits().wrapping_add(shifted.to_bits() << 52))
}
