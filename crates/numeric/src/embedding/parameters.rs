//! What is learnt: a row for every item and attribute, once for each of the two vectors.

use super::batch::Examples;
use crate::attribute::Attributes;
use crate::kernel;
use crate::matrix::Matrix;
use rand::{Rng, RngExt};
use rayon::prelude::*;

/// Standard deviation of the first values.
const DEVIATION: f32 = 0.05;

/// Rows put together at once.
const BLOCK: usize = 64;

/// All that is learnt.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parameters {
    /// Of `E_in`.
    pub(super) input: Side,
    /// Of `E_out`.
    pub(super) output: Side,
    /// `b`.
    pub(super) bias: Vec<f32>,
}

/// Rows of one of the two vectors.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Side {
    /// What an item has to itself.
    pub(super) own: Matrix,
    /// What every item with an attribute gets from it.
    pub(super) shared: Matrix,
}

impl Parameters {
    /// Normal numbers for what occurs, zeros for the rest.
    pub(super) fn draw(
        examples: &Examples,
        rarity: &[f32],
        width: usize,
        random: &mut impl Rng,
    ) -> Self {
        let items: Vec<bool> = examples.counts().iter().map(|count| *count > 0).collect();
        let attributes: Vec<bool> = rarity.iter().map(|rarity| *rarity > 0.0).collect();
        let mut side = || Side {
            own: normal(&items, width, random),
            shared: normal(&attributes, width, random),
        };
        Self { input: side(), output: side(), bias: vec![0.0; items.len()] }
    }
}

impl Side {
    /// `E` of an item, one of the fit or not, into `out`.
    pub(super) fn vector(&self, item: Option<u32>, features: &[(u32, f32)], out: &mut [f32]) {
        match item {
            Some(item) => out.copy_from_slice(self.own.row(item as usize)),
            None => out.fill(0.0),
        }
        for (attribute, value) in features {
            kernel::add(out, *value, self.shared.row(*attribute as usize));
        }
    }

    /// `E` of the listed items, one after the other.
    pub(super) fn vectors(&self, items: &[u32], features: &Features, out: &mut Vec<f32>) {
        let width = self.own.width();
        out.resize(items.len() * width, 0.0);
        out.par_chunks_mut(BLOCK * width).zip(items.par_chunks(BLOCK)).for_each(|(out, items)| {
            for (out, item) in out.chunks_exact_mut(width).zip(items) {
                self.vector(Some(*item), features.of(*item), out);
            }
        });
    }
}

/// Normal numbers in the rows that are `wanted`, by the polar method (Marsaglia & Bray, 1964).
fn normal(wanted: &[bool], width: usize, random: &mut impl Rng) -> Matrix {
    let mut rows = Matrix::zeros(wanted.len(), width);
    let mut spare = None;
    for row in (0..wanted.len()).filter(|row| wanted[*row]) {
        for value in rows.row_mut(row) {
            *value = DEVIATION
                * spare.take().unwrap_or_else(|| {
                    let (one, other) = normal_pair(random);
                    spare = Some(other);
                    one
                });
        }
    }
    rows
}

fn normal_pair(random: &mut impl Rng) -> (f32, f32) {
    loop {
        let (x, y) = (random.random_range(-1.0_f32..1.0), random.random_range(-1.0_f32..1.0));
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            let scale = (-2.0 * square.ln() / square).sqrt();
            return (x * scale, y * scale);
        }
    }
}

/// `ln(N/df_a)` among the `known` items; 0 for an attribute none of them has.
pub(super) fn rarity_among(attributes: &Attributes, known: &[u32]) -> Vec<f32> {
    let mut among = Attributes::default();
    let mut has = vec![false; attributes.count()];
    for item in known {
        among.set(*item, attributes.of(*item).to_vec());
        attributes.of(*item).iter().for_each(|attribute| has[*attribute as usize] = true);
    }
    let mut rarity = among.rarity();
    rarity.resize(attributes.count(), 0.0);
    rarity.iter_mut().zip(has).for_each(|(rarity, has)| *rarity *= f32::from(u8::from(has)));
    rarity
}

/// `x_ia` of one item: its attributes that say something, at unit length.
pub(super) fn feature_row(attributes: &[u32], rarity: &[f32]) -> Vec<(u32, f32)> {
    let of = |attribute: &u32| rarity.get(*attribute as usize).copied().unwrap_or(0.0);
    let length = attributes.iter().map(|attribute| of(attribute).powi(2)).sum::<f32>().sqrt();
    let telling = attributes.iter().filter(|attribute| of(attribute) > 0.0);
    telling.map(|attribute| (*attribute, of(attribute) / length)).collect()
}

/// `x`, in compressed rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Features {
    starts: Vec<usize>,
    values: Vec<(u32, f32)>,
}

impl Features {
    pub(super) fn new(attributes: &Attributes, rarity: &[f32]) -> Self {
        let (mut starts, mut values) = (vec![0], Vec::new());
        for item in 0..attributes.items() as u32 {
            values.extend(feature_row(attributes.of(item), rarity));
            starts.push(values.len());
        }
        Self { starts, values }
    }

    pub(super) fn of(&self, item: u32) -> &[(u32, f32)] {
        &self.values[self.starts[item as usize]..self.starts[item as usize + 1]]
    }
}
