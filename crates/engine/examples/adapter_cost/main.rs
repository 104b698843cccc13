//! What users' adapters cost: read, written, learned and served.
//!
//! `bench/adapters`, or `cargo run --release -p sona-engine --example adapter_cost [-- REDIS_HOST:PORT]`
//!
//! Files are read and written on SQLite, and on PostgreSQL where `TEST_POSTGRES_URL` names a server, in turn with the same bytes
//! through sqlx alone, and through Redis where one is named. Then 10,000 users with an adapter each are asked for in turn with one
//! user alone, each with and without adapters.

mod learning;
mod measure;
mod redis;
mod serving;
mod storage;

#[tokio::main]
async fn main() {
    let redis = std::env::args().nth(1);
    learning::run();
    storage::run(redis.as_deref()).await;
    serving::run().await;
}
