//! One file a command.

pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod migrate;
pub(crate) mod recommend;
pub(crate) mod serve;
pub(crate) mod similar;
pub(crate) mod train;
pub(crate) mod users;
