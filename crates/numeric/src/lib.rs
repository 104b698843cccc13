//! Sona's mathematics: pure functions over dense rows and `f32` slices.
//!
//! What it holds: implicit-feedback matrix factorisation ([`als`]), what is near what ([`item_item`]),
//! what is alike ([`attribute`]), a small embedding of both ([`embedding`]), counts of what follows what
//! ([`sequence`]), walks over a graph ([`walk`]), the nearest vectors ([`index`]), singular vectors ([`svd`]) and regression
//! ([`ridge`]), what weighs how much in a list ([`listwise`]) and how that changes from event to event ([`online`]) and
//! from user to user ([`lora`]), trees that
//! order candidates ([`rank`]), sets of rows ([`rows`]) and their scores ([`scores`]), selection of the best ([`select`]) and
//! of what differs ([`mmr`]), ranking metrics
//! ([`metrics`]) and intervals around their means ([`bootstrap`]). What it deliberately does not hold: IO, async, logging, public ids, a clock or a
//! random source of its own. Chance enters as a seed, users and items are dense `u32` rows, and the
//! same input gives the same bytes on the same machine, whatever the number of threads.
//!
//! # Notation
//!
//! | letter | shape | meaning |
//! |---|---|---|
//! | `X` | users×f | user factors, one row `x` per user |
//! | `Y` | items×f | item factors, one row `y` per item |
//! | `G` | f×f | Gramian `YᵀY` (or `XᵀX` while items are solved) |
//! | `f` | | number of factors |
//! | `w` | | engagement weight of an observed pair, finite and > 0 |
//! | `p` | | preference: 1 for an observed pair, 0 otherwise |
//! | `c` | | confidence in `p`: `α0` unobserved, `α0 + α·w` observed |
//! | `α0` | | weight of an unobserved pair |
//! | `α` | | slope of confidence over engagement |
//! | `λ` | | regularisation |
//! | `ν` | | exponent by which `λ` grows with a row's total weight |
//! | `n` | | observed pairs of a row |
//! | `A`, `b` | f×f, f | left and right side of a row's normal equations |
//! | `C` | items×items | how often the column item came near after the row item |
//! | `d` | | distance of two items in a user's sequence, 1 for neighbours |

#![cfg_attr(test, expect(clippy::float_cmp, reason = "a test names the exact value it expects"))]

pub mod als;
pub mod attribute;
pub mod bootstrap;
mod cholesky;
pub mod embedding;
pub mod index;
pub mod interactions;
pub mod item_item;
mod kernel;
pub mod listwise;
pub mod lora;
pub mod matrix;
pub mod metrics;
pub mod mmr;
pub mod online;
pub mod rank;
pub mod ridge;
pub mod rows;
pub mod scores;
pub mod select;
pub mod sequence;
mod spectrum;
pub mod svd;
pub mod walk;

pub use als::Projection;
pub use attribute::Attributes;
pub use index::Index;
pub use interactions::{Interactions, InteractionsError};
pub use matrix::{Matrix, cosine, dot};
pub use rows::RowSet;
pub use scores::Scores;
pub use select::top_k;
pub use sequence::Transitions;
