//! One user's weights.

use serde::{Deserialize, Serialize};

use super::file::{self, Read, Written, finite};
use super::{MOST_WITH_STATISTICS, OUTPUTS, RANKS, check_width};

const KIND: &str = "adapter";

/// A user's weights, with all that is needed to go on learning.
#[derive(Debug, Clone, PartialEq)]
pub struct UserWeights {
    /// The version of the base layer they were learned on, at least 1.
    pub base_version: i64,
    /// Numbers a candidate is brought down to.
    pub rank: usize,
    /// d_out.
    pub outputs: usize,
    /// What their effect is multiplied by, above 0.
    pub scale: f32,
    /// Events or trainings they rest on.
    pub iterations: u64,
    /// The numbers.
    pub learned: Learned,
}

/// What was learned, by the trainer that did.
#[derive(Debug, Clone, PartialEq)]
pub enum Learned {
    /// In closed form, from lists.
    Lists {
        /// `B`, d_out×rank.
        solution: Vec<f64>,
        /// `P`, its lower triangle row by row, n(n+1)/2 of n = d_out·rank.
        precision: Vec<f64>,
        /// `b`, d_out×rank.
        right: Vec<f64>,
        /// What the weights have gained in foreseeing choices, in nats.
        gain: f64,
        /// Events that are in the statistics and not yet in `B`.
        unsolved: u32,
    },
    /// By gradient descent.
    Gradient {
        /// `B`, d_out×rank.
        rows: Vec<f32>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    base_version: i64,
    rank: usize,
    outputs: usize,
    /// As the nearest f64, whose decimals read back exactly.
    scale: f64,
    iterations: u64,
    trainer: Trainer,
    unsolved: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Trainer {
    Lists,
    Gradient,
}

impl UserWeights {
    /// The file's bytes.
    ///
    /// # Errors
    /// In words, if these are no weights that could be read back.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        self.check()?;
        let about = About {
            base_version: self.base_version,
            rank: self.rank,
            outputs: self.outputs,
            scale: f64::from(self.scale),
            iterations: self.iterations,
            trainer: self.learned.trainer(),
            unsolved: self.learned.unsolved(),
        };
        file::write(KIND, about, &self.tensors())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// In words, if it is no such file, altered, cut off, of another shape or format, or holds a number that is not finite.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let file: Read<'_, About> = file::read(bytes, KIND)?;
        let About { base_version, rank, outputs, scale, iterations, trainer, unsolved } =
            file.about;
        check_shape(rank, outputs, trainer)?;
        let shape = [outputs, rank];
        let learned = match trainer {
            Trainer::Gradient => {
                file.has(1)?;
                Learned::Gradient { rows: file.f32("B", &shape)? }
            }
            Trainer::Lists => {
                file.has(4)?;
                Learned::Lists {
                    solution: file.f64("B", &shape)?,
                    precision: file.f64("P", &[triangle(rank * outputs)])?,
                    right: file.f64("b", &shape)?,
                    gain: file.f64("gain", &[1])?[0],
                    unsolved,
                }
            }
        };
        let scale = scale as f32;
        let weights = Self { base_version, rank, outputs, scale, iterations, learned };
        weights.check()?;
        Ok(weights)
    }

    /// `B`, d_out×rank, in the precision that is handed to other programs.
    pub fn weights(&self) -> Vec<f32> {
        match &self.learned {
            Learned::Lists { solution, .. } => solution.iter().map(|b| *b as f32).collect(),
            Learned::Gradient { rows } => rows.clone(),
        }
    }

    fn check(&self) -> Result<(), String> {
        check_shape(self.rank, self.outputs, self.learned.trainer())?;
        if self.base_version < 1 {
            return Err(format!("there is no base layer {}", self.base_version));
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Err(format!("the scale {} is not above 0", self.scale));
        }
        let n = self.rank * self.outputs;
        let check = |name: &str, values: &[f64], expect: usize| {
            check_length(name, values.len(), expect)?;
            finite(name, values.iter().collect(), |value| value.is_finite()).map(|_| ())
        };
        match &self.learned {
            Learned::Lists { solution, precision, right, gain, .. } => {
                check("B", solution, n)?;
                check("P", precision, triangle(n))?;
                check("b", right, n)?;
                check("gain", &[*gain], 1)
            }
            Learned::Gradient { rows } => {
                check_length("B", rows.len(), n)?;
                finite("B", rows.iter().collect(), |value| value.is_finite()).map(|_| ())
            }
        }
    }

    fn tensors(&self) -> Vec<Written> {
        let shape = vec![self.outputs, self.rank];
        match &self.learned {
            Learned::Lists { solution, precision, right, gain, .. } => vec![
                Written::f64("B", shape.clone(), solution),
                Written::f64("P", vec![precision.len()], precision),
                Written::f64("b", shape, right),
                Written::f64("gain", vec![1], &[*gain]),
            ],
            Learned::Gradient { rows } => vec![Written::f32("B", shape, rows)],
        }
    }
}

impl Learned {
    fn trainer(&self) -> Trainer {
        match self {
            Self::Lists { .. } => Trainer::Lists,
            Self::Gradient { .. } => Trainer::Gradient,
        }
    }

    fn unsolved(&self) -> u32 {
        match self {
            Self::Lists { unsolved, .. } => *unsolved,
            Self::Gradient { .. } => 0,
        }
    }
}

fn check_shape(rank: usize, outputs: usize, trainer: Trainer) -> Result<(), String> {
    check_width("the rank", rank, &RANKS)?;
    check_width("d_out", outputs, &OUTPUTS)?;
    let n = rank * outputs;
    if trainer == Trainer::Lists && n > MOST_WITH_STATISTICS {
        return Err(format!(
            "with statistics B has at most {MOST_WITH_STATISTICS} numbers, not {n}"
        ));
    }
    Ok(())
}

fn check_length(name: &str, found: usize, expect: usize) -> Result<(), String> {
    if found == expect {
        return Ok(());
    }
    Err(format!("{name} has {found} numbers, expected were {expect}"))
}

fn triangle(n: usize) -> usize {
    n * (n + 1) / 2
}
