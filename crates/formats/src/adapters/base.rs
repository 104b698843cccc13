//! The base layer that all users' weights rest on.

use serde::{Deserialize, Serialize};

use super::file::{self, Read, Written, finite};
use super::{INPUTS, RANKS, check_width};

const KIND: &str = "base";

/// A base layer.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseLayer {
    /// What its inputs are, as whoever trained it says it: whoever has others must not use it.
    pub layout: String,
    /// Numbers a candidate is brought down to.
    pub rank: usize,
    /// d_in.
    pub inputs: usize,
    /// Users it was found from; 0 if it was drawn by chance.
    pub users: u64,
    /// `A`, rank×d_in.
    pub rows: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    layout: String,
    rank: usize,
    inputs: usize,
    users: u64,
}

impl BaseLayer {
    /// The file's bytes.
    ///
    /// # Errors
    /// In words, if this is no layer that could be read back.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        let Self { layout, rank, inputs, users, rows } = self;
        check_shape(*rank, *inputs)?;
        if rows.len() != rank * inputs {
            return Err(format!("A has {} numbers, expected were {}", rows.len(), rank * inputs));
        }
        finite("A", rows.iter().collect(), |value| value.is_finite())?;
        let about = About { layout: layout.clone(), rank: *rank, inputs: *inputs, users: *users };
        file::write(KIND, about, &[Written::f32("A", vec![*rank, *inputs], rows)])
    }

    /// Reads a file.
    ///
    /// # Errors
    /// In words, if it is no such file, altered, cut off, of another shape or format, or holds a number that is not finite.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let file: Read<'_, About> = file::read(bytes, KIND)?;
        file.has(1)?;
        let (rank, inputs) = (file.about.rank, file.about.inputs);
        check_shape(rank, inputs)?;
        let rows = file.f32("A", &[rank, inputs])?;
        let About { layout, users, .. } = file.about;
        Ok(Self { layout, rank, inputs, users, rows })
    }
}

fn check_shape(rank: usize, inputs: usize) -> Result<(), String> {
    check_width("the rank", rank, &RANKS)?;
    check_width("d_in", inputs, &INPUTS)
}
