//! The engine through its public face, on both databases where it matters.

mod adapters;
mod attributes;
mod circumstances;
mod content_based;
mod counting_store;
mod embedding;
mod encoder;
mod erasure;
mod evaluate;
mod events;
mod explain;
mod exposures;
mod follow;
mod gate;
mod graph;
mod learning;
mod lists;
mod ranker;
mod score;
mod training;
mod vectors;
mod vectors_elsewhere;
mod vectors_sides;
mod warm;
mod world;
mod written_users;
