//! The `sona` binary: reads the command line, hands over to one command, turns errors into exit codes.

mod commands;
mod config;
mod data_set;
mod demo;
mod output;
mod telemetry;
mod wiring;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{
    adapters, demo as demo_command, doctor, evaluate, export, import, import_vectors, keys,
    migrate, recommend, serve, similar, token, train, tune, users,
};
use crate::output::Exit;

/// States of users and rows of histories are made by one thread and freed by another, all day long. Memory stays
/// flatter and batches take less time than with the allocator of most systems.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A self-hosted, real-time personalization engine: what should this user see next, and why.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "\
Try it:
  sona demo                      a catalogue of films, trained and served in a few seconds

Exit codes:
  0  done
  1  failed; the message says why
  2  the command line or the configuration is wrong, or rows of an import were rejected
  3  no such user, content, adapter or API key
  4  training finished, but its model was rejected"
)]
struct Cli {
    /// Configuration file; ./sona.toml is read if it exists. `sona.example.toml` documents every key.
    #[arg(long, global = true, value_name = "FILE", env = "SONA_CONFIG")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Import the shipped film catalogue, train on it and serve it.
    Demo(demo_command::Args),
    /// Serve the HTTP API; trains anew as configured.
    Serve(serve::Args),
    /// Import a catalogue and events from a file or a folder.
    Import(import::Args),
    /// Import vectors of titles that were made elsewhere.
    ImportVectors(import_vectors::Args),
    /// Write the catalogue and the event log as files.
    Export(export::Args),
    /// Train a model on the event log and make it the current one.
    Train(train::Args),
    /// Print a user's list and the reasons for it.
    Recommend(recommend::Args),
    /// Print the titles most like a title.
    Similar(similar::Args),
    /// Measure the lists' quality on a data set, the way the literature does.
    Evaluate(Box<evaluate::Args>),
    /// Search a source's options on a data set's validation rows.
    Tune(tune::Args),
    /// Erase a user with every trace.
    Users(users::Args),
    /// Look at users' adapters, train, roll back, export, import or delete them.
    Adapters(Box<adapters::Args>),
    /// Bring the database's schema up to date and list what is applied.
    Migrate(migrate::Args),
    /// Make tokens that say who a caller is.
    Token(token::Args),
    /// Make, list and revoke API keys.
    Keys(keys::Args),
    /// Check configuration, identity, storage, model and port, and say what to do about each problem.
    Doctor(doctor::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&anyhow::Error::new(error)),
    };
    match runtime.block_on(run(cli)) {
        Ok(exit) => exit.into(),
        Err(error) => output::fail(&error),
    }
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let config = config::Config::load(cli.config.as_deref())?;
    telemetry::start(&config.log);
    match cli.command {
        Command::Demo(args) => demo_command::run(config, &args).await,
        Command::Serve(args) => serve::run(args.place.within(config), &args).await,
        Command::Import(args) => import::run(&args.place.within(config), &args).await,
        Command::ImportVectors(args) => {
            import_vectors::run(&args.place.within(config), &args).await
        }
        Command::Export(args) => export::run(&args.place.within(config), &args).await,
        Command::Train(args) => train::run(&args.place.within(config), &args).await,
        Command::Recommend(args) => recommend::run(&args.place.within(config), &args).await,
        Command::Similar(args) => similar::run(&args.place.within(config), &args).await,
        Command::Evaluate(args) => evaluate::run(&config, &args).await,
        Command::Tune(args) => tune::run(&config, &args).await,
        Command::Users(args) => users::run(&args.place.within(config), &args).await,
        Command::Adapters(args) => {
            let config = args.place.within(config);
            adapters::run(&config, &args).await
        }
        Command::Migrate(args) => migrate::run(&args.place.within(config), &args).await,
        Command::Token(args) => token::run(&config, &args).await,
        Command::Keys(args) => keys::run(&args.place.within(config), &args).await,
        Command::Doctor(args) => doctor::run(&args.place.within(config), &args).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
