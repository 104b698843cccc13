//! Adapters as bytes: safetensors, with a format version, shapes and a checksum. What is stored is what is learned on from.
//!
//! One file holds one user's weights ([`UserWeights`]) or the base layer that all users' weights rest on ([`BaseLayer`]). The
//! metadata's one key `sona` is a JSON object: `format`, `kind` (`adapter` or `base`), `sha256` and `about`, which says what the
//! file holds. Equal content gives equal bytes, and what is read is what was written, bit by bit.
//!
//! | kind | tensors |
//! |---|---|
//! | `adapter`, trained on lists | `B` f64 `[d_out, rank]`; `P` f64 `[n(n+1)/2]`, n = d_out·rank: a lower triangle, row by row; `b` f64 `[d_out, rank]`; `gain` f64 `[1]` |
//! | `adapter`, trained by gradient | `B` f32 `[d_out, rank]` |
//! | `base` | `A` f32 `[rank, d_in]` |
//!
//! The checksum is over `about` and all tensors with their names, types and shapes. A file that is cut off, altered, of another
//! shape than it says or holds a number that is not finite is refused, with the reason.

mod base;
mod file;
pub mod peft;
mod user;

pub use base::BaseLayer;
pub use file::FORMAT;
pub use user::{Learned, UserWeights};

use std::ops::RangeInclusive;

/// Numbers a candidate is brought down to.
pub const RANKS: RangeInclusive<usize> = 1..=64;

/// Numbers that describe a candidate (d_in).
pub const INPUTS: RangeInclusive<usize> = 1..=512;

/// Numbers that describe a moment or a preference (d_out).
pub const OUTPUTS: RangeInclusive<usize> = 1..=768;

/// Most numbers `B` may have to be kept with its statistics, which grow with their square.
pub const MOST_WITH_STATISTICS: usize = 512;

/// Refuses a width out of range.
fn check_width(what: &str, width: usize, range: &RangeInclusive<usize>) -> Result<(), String> {
    if range.contains(&width) {
        return Ok(());
    }
    Err(format!("{what} is {width}, expected {} to {}", range.start(), range.end()))
}
