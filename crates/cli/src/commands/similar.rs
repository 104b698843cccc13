//! `sona similar`

use serde_json::json;
use sona_domain::ContentId;

use crate::config::{Config, DataDir};
use crate::output::{Exit, say, say_json};
use crate::wiring;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sona similar 0468569
  sona similar 0468569 --limit 5 --json")]
pub(crate) struct Args {
    /// The title's content id.
    content_id: ContentId,
    /// How many titles.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) place: DataDir,
}

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    let engine = wiring::open(config).await?;
    let Some(content) = engine.content(&args.content_id) else {
        tracing::debug!("asked for an unknown title");
        eprintln_not_found(&args.content_id);
        engine.close().await;
        return Ok(Exit::NotFound);
    };
    let similar = engine.similar(&args.content_id, args.limit.into()).await?;
    if args.json {
        let list = serde_json::to_value(&similar)?;
        say_json(&json!({"content_id": args.content_id, "similar": list}))?;
    } else {
        say(format!("Like {}:", content.title))?;
        for (n, item) in similar.iter().enumerate() {
            let year = item.year.map(|year| format!(" ({year})")).unwrap_or_default();
            say(format!("{:3}. {:.3}  {}{year}", n + 1, item.score, item.title))?;
        }
        if similar.is_empty() {
            say("  nothing yet: nobody has engaged with it and something else")?;
        }
    }
    engine.close().await;
    Ok(Exit::Done)
}

fn eprintln_not_found(id: &ContentId) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "error: there is no content {id:?}");
}
