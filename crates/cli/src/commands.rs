//! One file a command.

pub(crate) mod adapters;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod evaluate;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod import_vectors;
pub(crate) mod keys;
pub(crate) mod migrate;
pub(crate) mod recommend;
pub(crate) mod serve;
pub(crate) mod similar;
pub(crate) mod token;
pub(crate) mod train;
pub(crate) mod tune;
pub(crate) mod users;
