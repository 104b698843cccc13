//! `sona keys`

use clap::Subcommand;
use serde_json::{Value, json};
use sona_domain::{ApiKey, Clock, Scope, Timestamp, api_key};
use sona_server::identity::api_key::issue;
use sona_store::Store;

use crate::config::{Config, DataDir};
use crate::output::{Exit, note, say, say_json};
use crate::wiring::{self, SystemClock};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    pub(crate) place: DataDir,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an API key and print it, this once.
    Create(CreateArgs),
    /// List all keys, without their secrets.
    List(ListArgs),
    /// Revoke a key for good.
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The key is not kept: the database has a hash of it. Its holder is a service and may do what
its scopes say, for any user. The scopes: events:write, recommendations:read, content:write,
users:admin, models:write, experiments:write. It is sent as `authorization: Bearer KEY` or
`x-api-key: KEY`.

Examples:
  sona keys create --name importer --scope content:write
  sona keys create --name shop --scope events:write,recommendations:read --expires 90d")]
struct CreateArgs {
    /// What it is for, in your words.
    #[arg(long, value_parser = name)]
    name: String,
    /// What its holder may do; may be given more than once.
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', value_parser = scope, required = true)]
    scopes: Vec<Scope>,
    /// How long it is valid, such as 12h or 90d; until it is revoked if not given.
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<Lifetime>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every server refuses the key from its next look at the database on
(live.follow_interval_ms, a quarter of a second unless configured otherwise).

Example:
  sona keys revoke 8f14e45fceea167a")]
struct RevokeArgs {
    /// The part of the key between `sona_` and the next `_`; `sona keys list` shows it.
    #[arg(value_name = "ID")]
    key_id: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A length of time, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime(pub(crate) i64);

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    let store = wiring::open_stores(config).await?.store;
    let exit = match &args.action {
        Action::Create(args) => create(config, &*store, args).await,
        Action::List(args) => list(&*store, args).await,
        Action::Revoke(args) => revoke(&*store, args).await,
    };
    store.close().await;
    exit
}

async fn create(config: &Config, store: &dyn Store, args: &CreateArgs) -> anyhow::Result<Exit> {
    let now = SystemClock.now();
    let scopes = args.scopes.iter().copied().collect();
    let expires_at = args.expires.map(|lifetime| now.plus_seconds(lifetime.0));
    let random = wiring::random_bytes()?;
    let (key, text) = issue(&random, args.name.clone(), scopes, now, expires_at);
    anyhow::ensure!(store.create_key(&key).await?, "the key's id is taken already; try again");
    if args.json {
        let mut shown = described(&key, now);
        shown["key"] = text.into();
        say_json(&shown)?;
    } else {
        say(text)?;
        note(format!("Key {} is shown this once; `sona keys revoke {0}` ends it.", key.key_id))?;
    }
    if !config.identity.is_configured() {
        note(
            "Servers with this configuration do not ask for keys: set identity.required or a key for tokens.",
        )?;
    }
    Ok(Exit::Done)
}

async fn list(store: &dyn Store, args: &ListArgs) -> anyhow::Result<Exit> {
    let (keys, now) = (store.keys().await?, SystemClock.now());
    if args.json {
        say_json(&keys.iter().map(|key| described(key, now)).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    if keys.is_empty() {
        say("No keys; `sona keys create` makes one.")?;
    }
    let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    for key in &keys {
        say(format!(
            "{}  {:<7}  {}  [{}]  expires {}, last used {}",
            key.key_id,
            key.state(now).as_str(),
            key.name,
            key.scopes,
            time(key.expires_at),
            time(key.last_used_at)
        ))?;
    }
    Ok(Exit::Done)
}

async fn revoke(store: &dyn Store, args: &RevokeArgs) -> anyhow::Result<Exit> {
    let revoked = store.revoke_key(&args.key_id, SystemClock.now()).await?;
    if args.json {
        say_json(&json!({"key_id": args.key_id, "revoked": revoked}))?;
    } else if revoked {
        say(format!("Key {} is revoked.", args.key_id))?;
    } else {
        note(format!("There is no key {:?}; `sona keys list` shows all.", args.key_id))?;
    }
    Ok(if revoked { Exit::Done } else { Exit::NotFound })
}

/// A key for programs: everything but its secret, and its state at `now`.
fn described(key: &ApiKey, now: Timestamp) -> Value {
    let mut value = json!(key);
    value["state"] = key.state(now).as_str().into();
    value
}

/// Reads a scope.
pub(crate) fn scope(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|error: sona_domain::identity::UnknownScope| error.to_string())
}

/// Reads a length of time of at least a second and at most a hundred years.
pub(crate) fn lifetime(text: &str) -> Result<Lifetime, String> {
    let wrong = || format!("{text:?} is no time such as 90s, 15m, 12h or 30d (at most 36500d)");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let total = count.checked_mul(seconds).filter(|total| (1..=36_500 * 86_400).contains(total));
    total.map(Lifetime).ok_or_else(wrong)
}

fn name(text: &str) -> Result<String, String> {
    api_key::name_problem(text).map_or_else(|| Ok(text.to_owned()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        for (text, seconds) in [("1s", 1), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)] {
            assert_eq!(lifetime(text).map(|lifetime| lifetime.0), Ok(seconds), "{text}");
        }
        for wrong in ["", "d", "0d", "-1d", "1", "1w", "1.5h", "36501d", "99999999999999999d", "1é"]
        {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
