//! `sona token`

use clap::Subcommand;
use serde_json::json;
use sona_domain::{Clock, Scope, Scopes, Timestamp};
use sona_server::identity::mint::{TokenRequest, create_token};

use super::keys::{Lifetime, lifetime, scope};
use crate::config::Config;
use crate::output::{Exit, say, say_json};
use crate::wiring::SystemClock;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token with the configured secret or private key and print it.
    Create(CreateArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A token with a scope is a service's: it may name any user where it has the scope. A token
without one is an end user's and acts for its subject alone. The scopes: events:write,
recommendations:read, content:write, users:admin, models:write, experiments:write.

It is signed with identity.private_key_file if that is set, else with identity.secret or
identity.secret_file, and printed only if a server with this configuration would take it.
It cannot be taken back: `sona keys create` makes what can be revoked.

Examples:
  sona token create --subject ada
  sona token create --subject shop --scope events:write --scope recommendations:read --expires 30d")]
struct CreateArgs {
    /// For whom: a user id, or the name of a service.
    #[arg(long)]
    subject: String,
    /// What its holder may do; may be given more than once.
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', value_parser = scope)]
    scopes: Vec<Scope>,
    /// How long it is valid, such as 90s, 15m, 12h or 30d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    expires: Lifetime,
    /// The key id to put in, where servers choose keys by id from a key set.
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    let Action::Create(args) = &args.action;
    let scopes: Scopes = args.scopes.iter().copied().collect();
    let request = TokenRequest {
        subject: args.subject.clone(),
        scopes,
        valid_seconds: args.expires.0,
        key_id: args.key_id.clone(),
    };
    // Tokens count whole seconds.
    let now = Timestamp::from_seconds(SystemClock.now().as_micros().div_euclid(1_000_000));
    let token = create_token(&config.identity, &request, now).await?;
    if args.json {
        say_json(&json!({
            "token": token,
            "subject": args.subject,
            "scopes": scopes.iter().map(Scope::as_str).collect::<Vec<_>>(),
            "expires_at": now.plus_seconds(args.expires.0),
        }))?;
    } else {
        say(token)?;
    }
    Ok(Exit::Done)
}
