//! The engine through its public face, on both databases where it matters.

mod attributes;
mod embedding;
mod erasure;
mod evaluate;
mod events;
mod follow;
mod gate;
mod learning;
mod lists;
mod training;
mod warm;
mod world;
