//! `sona users`

use sona_domain::{Clock, Erasure, FileTraces, UserId};

use crate::config::{Config, DataDir};
use crate::output::{Exit, say, say_json};
use crate::wiring::{self, Stores, SystemClock};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    pub(crate) place: DataDir,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Remove every trace of a user and print a receipt.
    #[command(
        after_help = "Works on the database directly; processes that serve it forget the user within
live.follow_interval_ms. Erasing a user nobody has heard of is no error: the receipt has zeros.
Exits with 1 if the rows are gone but their traces in the database's file are not; repeat it then.

Examples:
  sona users erase 42
  sona users erase 42 --json"
    )]
    Erase(Erase),
}

#[derive(Debug, clap::Args)]
struct Erase {
    /// Whom.
    user_id: UserId,
    /// Print the receipt as JSON, as the API answers.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    let Command::Erase(args) = &args.command;
    let Stores { store, .. } = wiring::open_stores(config).await?;
    let erased = sona_engine::erase_stored(&*store, &args.user_id, SystemClock.now()).await;
    store.close().await;
    let receipt = erased?;
    if args.json {
        say_json(&receipt)?;
    } else {
        print(&receipt)?;
    }
    Ok(match receipt.files {
        FileTraces::None | FileTraces::Vacuumed => Exit::Done,
        FileTraces::Remain => Exit::Failed,
    })
}

/// A receipt for people.
fn print(receipt: &Erasure) -> anyhow::Result<()> {
    let removed = &receipt.removed;
    let counts = format!("{} events, {} profiles", removed.events, removed.profiles);
    say(format!("Erased user {}: {counts}.", receipt.user_id))?;
    say(match receipt.files {
        FileTraces::None => "The database's files hold no trace of the rows.",
        FileTraces::Vacuumed => {
            "The rows are vacuumed out of PostgreSQL's tables; its own log and backups are yours to see to."
        }
        FileTraces::Remain => {
            "Traces remain in the database's file because somebody reads it; erase again."
        }
    })?;
    if !receipt.models.is_empty() {
        let versions: Vec<_> = receipt.models.iter().map(ToString::to_string).collect();
        let versions = versions.join(", ");
        say(format!(
            "Model versions {versions} were trained with the events. They hold sums and no ids; `sona train` \
             replaces the one served."
        ))?;
    }
    Ok(())
}
