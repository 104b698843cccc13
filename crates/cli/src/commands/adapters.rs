//! `sona adapters`

mod files;
mod print;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;
use sona_domain::{AdapterHandled, AdapterName, AdapterReport, Clock, UserId};
use sona_engine::{AdapterCommand, AdapterError, Error, Forced};

use crate::config::{Config, DataDir};
use crate::output::{Exit, note, say, say_json};
use crate::wiring::{self, Stores, SystemClock};

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Works on the database directly; processes that serve it follow within live.follow_interval_ms.
What they have learned in the last two seconds may not be written yet, and is dropped where
another version is served.

Examples:
  sona adapters list 42
  sona adapters show 42
  sona adapters rollback 42
  sona adapters export 42 --to 42.tar"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    pub(crate) place: DataDir,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Train a user's adapter anew on all their events, and serve it.
    Train(Train),
    #[command(flatten)]
    Stored(Stored),
}

/// What needs the database alone.
#[derive(Debug, Subcommand)]
enum Stored {
    /// List the versions of a user's adapters, newest first.
    List(List),
    /// Show the version that is served, or another one.
    Show(Show),
    /// Serve the version before the one that is served.
    Rollback(Rollback),
    /// Serve a version.
    Serve(Serve),
    /// Keep a version when old ones are dropped.
    Pin(Version),
    /// Keep a version no longer than others.
    Unpin(Version),
    /// Delete a version that is neither served nor pinned, or a whole adapter.
    Delete(Delete),
    /// Delete all of a user's adapters: they begin anew.
    Reset(User),
    /// Write an adapter as a tar or a folder, as PEFT reads it.
    Export(files::Export),
    /// Take an adapter in from a tar or a folder, and serve it.
    Import(files::Import),
    /// Print the stored adapters in numbers.
    Report(Report),
    /// Delete what was learned of a user alone, and learn nothing more.
    OptOut(User),
    /// Let a user have an adapter again.
    OptIn(User),
}

/// Whose adapter, and how to print what was done.
#[derive(Debug, ClapArgs)]
struct User {
    /// Whose.
    user_id: UserId,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Which of a user's adapters.
#[derive(Debug, ClapArgs)]
struct Named {
    #[command(flatten)]
    user: User,
    /// Which of the user's; `default` is the one that is served.
    #[arg(long, default_value = AdapterName::DEFAULT)]
    name: AdapterName,
}

#[derive(Debug, ClapArgs)]
struct List {
    #[command(flatten)]
    user: User,
    /// Only this adapter.
    #[arg(long)]
    name: Option<AdapterName>,
    /// How many versions at most.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    limit: u16,
}

#[derive(Debug, ClapArgs)]
struct Show {
    #[command(flatten)]
    named: Named,
    /// Which version; the one that is served if not given.
    #[arg(id = "which", value_name = "VERSION", value_parser = clap::value_parser!(i64).range(1..))]
    version: Option<i64>,
}

#[derive(Debug, ClapArgs)]
struct Train {
    #[command(flatten)]
    user: User,
    /// Train on fewer events than adapters.least_events too.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, ClapArgs)]
struct Rollback {
    #[command(flatten)]
    named: Named,
    /// Only if this version is served now.
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(i64).range(1..))]
    served: Option<i64>,
}

#[derive(Debug, ClapArgs)]
struct Version {
    #[command(flatten)]
    named: Named,
    /// Which version.
    #[arg(id = "which", value_name = "VERSION", value_parser = clap::value_parser!(i64).range(1..))]
    version: i64,
}

#[derive(Debug, ClapArgs)]
struct Serve {
    #[command(flatten)]
    which: Version,
    /// Only if this version is served now.
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(i64).range(1..))]
    served: Option<i64>,
}

#[derive(Debug, ClapArgs)]
struct Delete {
    #[command(flatten)]
    named: Named,
    /// Which version.
    #[arg(id = "which", value_name = "VERSION", value_parser = clap::value_parser!(i64).range(1..), required_unless_present = "all")]
    version: Option<i64>,
    /// All versions of the adapter, served and pinned ones too.
    #[arg(long, conflicts_with = "which")]
    all: bool,
}

#[derive(Debug, ClapArgs)]
struct Report {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    let action = match &args.action {
        Action::Train(args) => return train(config, args).await,
        Action::Stored(action) => action,
    };
    let stores = wiring::open_stores(config).await?;
    let done = act(config, &stores, action).await;
    stores.store.close().await;
    missing_is_said(done)
}

/// What is not there is said, and has an exit code of its own.
fn missing_is_said(done: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
    let error = match done {
        Ok(exit) => return Ok(exit),
        Err(error) => error,
    };
    match error.downcast_ref::<Error>() {
        Some(Error::Adapter(
            missing @ (AdapterError::Unknown { .. } | AdapterError::UnknownUser(_)),
        )) => {
            note(format!("{missing}; `sona adapters list USER_ID` shows what there is"))?;
            Ok(Exit::NotFound)
        }
        Some(_) | None => Err(error),
    }
}

async fn act(config: &Config, stores: &Stores, action: &Stored) -> anyhow::Result<Exit> {
    match action {
        Stored::List(args) => list(stores, args).await,
        Stored::Show(args) => show(stores, args).await,
        Stored::Export(args) => files::export(stores, args).await,
        Stored::Import(args) => files::import(config, stores, args).await,
        Stored::Report(args) => report(stores, args).await,
        Stored::Rollback(Rollback { named, served }) => {
            let name = named.name.clone();
            handle(stores, &named.user, AdapterCommand::RollBack { name, served: *served }).await
        }
        Stored::Serve(Serve { which: Version { named, version }, served }) => {
            let (name, version, served) = (named.name.clone(), *version, *served);
            handle(stores, &named.user, AdapterCommand::Serve { name, version, served }).await
        }
        Stored::Pin(Version { named, version }) => {
            let (name, version) = (named.name.clone(), *version);
            handle(stores, &named.user, AdapterCommand::Pin { name, version }).await
        }
        Stored::Unpin(Version { named, version }) => {
            let (name, version) = (named.name.clone(), *version);
            handle(stores, &named.user, AdapterCommand::Unpin { name, version }).await
        }
        Stored::Delete(Delete { named, version, .. }) => {
            let name = named.name.clone();
            let command = match *version {
                Some(version) => AdapterCommand::DeleteVersion { name, version },
                None => AdapterCommand::Delete { name },
            };
            handle(stores, &named.user, command).await
        }
        Stored::Reset(user) => handle(stores, user, AdapterCommand::Reset).await,
        Stored::OptOut(user) => handle(stores, user, AdapterCommand::OptOut).await,
        Stored::OptIn(user) => handle(stores, user, AdapterCommand::OptIn).await,
    }
}

async fn handle(stores: &Stores, user: &User, command: AdapterCommand) -> anyhow::Result<Exit> {
    let told = print::done(&command);
    let now = SystemClock.now();
    let handled = sona_engine::handle_stored(&*stores.store, &user.user_id, command, now).await?;
    answer(&handled, &told, user.json)
}

/// Prints what was done.
fn answer(handled: &AdapterHandled, told: &str, json: bool) -> anyhow::Result<Exit> {
    if json {
        say_json(handled)?;
        return Ok(Exit::Done);
    }
    say(format!("User {}: {told}.{}", handled.user_id, print::rest(handled)))?;
    Ok(Exit::Done)
}

async fn list(stores: &Stores, args: &List) -> anyhow::Result<Exit> {
    let (store, user) = (&stores.store, &args.user.user_id);
    let opted_out_at = store.opted_out_at(user).await?;
    let (name, limit) = (args.name.as_ref(), args.limit.into());
    let adapters = sona_engine::stored_adapters(&**store, user, name, None, limit).await?;
    if args.user.json {
        let mut listed = json!({"user_id": user, "adapters": adapters});
        if let Some(at) = opted_out_at {
            listed["opted_out_at"] = json!(at);
        }
        say_json(&listed)?;
        return Ok(Exit::Done);
    }
    if let Some(at) = opted_out_at {
        say(format!("User {user} wants no adapter since {at}."))?;
    } else if adapters.is_empty() {
        say(format!("User {user} has no adapter yet; they learn once a ranker serves."))?;
    } else {
        print::table(&adapters)?;
    }
    Ok(Exit::Done)
}

async fn show(stores: &Stores, args: &Show) -> anyhow::Result<Exit> {
    let Show { named, version } = args;
    let user = &named.user.user_id;
    let shown = sona_engine::stored_adapter(&*stores.store, user, &named.name, *version).await?;
    if named.user.json {
        say_json(&shown)?;
    } else {
        print::details(&shown)?;
    }
    Ok(Exit::Done)
}

async fn report(stores: &Stores, args: &Report) -> anyhow::Result<Exit> {
    let (mut opted_out, mut last) = (0, None);
    loop {
        let users = stores.store.opted_out_after(last.as_ref(), 1_000).await?;
        opted_out += users.len() as u64;
        let Some(user) = users.into_iter().next_back() else { break };
        last = Some(user);
    }
    let stored = stores.store.adapter_statistics().await?;
    let report = AdapterReport { stored, opted_out, resident: None };
    if args.json {
        say_json(&report)?;
    } else {
        print::report(&report)?;
    }
    Ok(Exit::Done)
}

/// Trains with everything that serving needs: what could have been shown is asked for.
async fn train(config: &Config, args: &Train) -> anyhow::Result<Exit> {
    let engine = wiring::open(config).await?;
    let forced = if args.force { Forced::Yes } else { Forced::No };
    let trained = engine.train_adapter(&args.user.user_id, forced).await;
    engine.close().await;
    let trained = trained?;
    if args.user.json {
        say_json(&trained)?;
    } else {
        print::training(&trained)?;
    }
    Ok(Exit::Done)
}
