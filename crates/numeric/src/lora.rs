//! A private low-rank adapter for every user (after Hu et al., *LoRA: Low-rank adaptation of large language models*, 2021),
//! learned online and in closed form.
//!
//! A ranker gives candidate `i` of a list the logit `f_i`. A user's adapter adds to it
//!
//! ```text
//! z_i = A e_i − mean over the list                  e: what is known of the candidate, d_in numbers; z: rank
//! y_i = hᵀ B_u z_i                                  h: the context of the moment, its first number 1
//! lora_i = clamp(y_i / 4, −1, 1)
//! logit_i = f_i + κ · lora_i                        κ = 4
//! ```
//!
//! `A` [rank×d_in] is shared by everybody ([`base`]); `B_u` [d_out×rank] is the user's own ([`adapter`]). `B_u` is zero at
//! birth: a new adapter changes no score. It learns what is left of the choice once `f` is known, by the lessons of
//! [`crate::online`], and it is served only while it foresees the user's choices
//! ([`gate`]).
//!
//! When `A` is found anew, [`migration`] carries adapters over.
//!
//! [`gradient`] is another trainer, for base layers over embeddings alone.

pub mod adapter;
pub mod base;
pub mod gate;
pub mod gradient;
pub mod migration;

pub use adapter::{Adapter, Choice, Opinion, Options, Refusal, Stored};
pub use base::{Base, BaseFit, Evidence};
pub use gate::Gate;
pub use migration::Migration;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
