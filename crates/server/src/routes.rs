//! One file per group of URLs.

pub(crate) mod adapters;
pub(crate) mod content;
pub(crate) mod embeddings;
pub(crate) mod events;
pub(crate) mod exposures;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod profile;
pub(crate) mod recommendations;
pub(crate) mod score;
pub(crate) mod similar;
pub(crate) mod users;
