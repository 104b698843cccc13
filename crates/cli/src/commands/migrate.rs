//! `sona migrate`

use serde_json::json;

use crate::config::{Config, DataDir};
use crate::output::{Exit, say, say_json};
use crate::wiring;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every command that opens the database does the same; this one does nothing else.

Examples:
  sona migrate
  SONA_STORAGE_DATABASE=postgres://sona@db/sona sona migrate --json"
)]
pub(crate) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) place: DataDir,
}

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    let store = wiring::open_stores(config).await?.store;
    let applied = store.migrations().await?;
    if args.json {
        let list: Vec<_> =
            applied.iter().map(|(n, name)| json!({"number": n, "name": name})).collect();
        say_json(&json!({"database": store.describe(), "migrations": list}))?;
    } else {
        say(format!("{} is up to date:", store.describe()))?;
        for (number, name) in &applied {
            say(format!("  {number:04} {name}"))?;
        }
    }
    store.close().await;
    Ok(Exit::Done)
}
