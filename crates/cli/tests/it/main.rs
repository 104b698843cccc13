//! The binary as its users meet it: started, asked, killed, started again. A file per topic.

mod adapters;
mod api;
mod commands;
mod config;
mod crash;
mod demo;
mod erasure;
mod evaluate;
mod identity;
mod identity_tls;
mod import;
mod prepared;
mod process;
mod readme;
mod vectors;
