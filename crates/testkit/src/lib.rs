//! Development only: test databases, a manual clock, foretellable ids, a small checkable world, a running server.

pub mod clock;
pub mod databases;
pub mod ids;
pub mod qdrant;
pub mod server;
pub mod world;

pub use databases::{Backend, TestDatabase, backends};
pub use server::{Answer, TestServer};
pub use world::World;
