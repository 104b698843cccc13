//! `sona demo`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use sona_domain::{
    ContentId, Cursor, EventDraft, EventType, Recommendations, RequestContext, UserId,
};
use sona_engine::{Engine, RecommendRequest};
use sona_server::{Identity, IdentityOptions};
use sona_store::{ContentChange, Revision, Store};

use super::{recommend, serve, train};
use crate::config::{Config, Storage};
use crate::demo;
use crate::output::{Exit, say};
use crate::wiring::{self, Stores};

/// Two users of the shipped ratings: of those with a dozen ratings or more, the ones with the largest share of
/// romances and of horror films.
const USERS: [&str; 2] = ["374", "1098"];

/// Events written in one commit.
const BATCH: usize = 5_000;

#[derive(Debug, clap::Args)]
#[command(after_help = "Everything is in the binary: no network and no services are used.

Examples:
  sona demo
  sona demo --once
  sona demo --data-dir /tmp/films --port 9000")]
pub(crate) struct Args {
    /// Show two lists, an event and the changed list, then stop.
    #[arg(long)]
    once: bool,
    /// Where to keep the data; a second start reuses it.
    #[arg(long, value_name = "DIR", default_value = "sona-data")]
    data_dir: PathBuf,
    /// Port to listen on, 0 for any free one; overrides server.port.
    #[arg(long)]
    port: Option<u16>,
}

pub(crate) async fn run(mut config: Config, args: &Args) -> anyhow::Result<Exit> {
    let started = Instant::now();
    config.storage = Storage::in_folder(&args.data_dir);
    // It is there to be tried, by whoever sits at this machine.
    config.identity = IdentityOptions::default();
    if let Some(port) = args.port {
        config.server.port = port;
    }
    // A port that is taken is told before anything is imported.
    let server = if args.once { None } else { Some(serve::bind(&config).await?) };
    say(format!("Data folder: {}", args.data_dir.display()))?;
    let stores = wiring::open_stores(&config).await?;
    import(&stores).await?;
    let engine = wiring::open_engine(&config, stores).await?;
    if engine.stats().model_version.is_none() {
        let job = train::train(&engine, train::Model::First).await?;
        say(train::summary(&job))?;
    }
    say(format!("Ready after {:.1} s.\n", started.elapsed().as_secs_f64()))?;
    match server {
        None => {
            show(&engine).await?;
            engine.close().await;
            Ok(Exit::Done)
        }
        Some(server) => {
            let address = server.local_addr().to_string();
            let stop = serve::stop_signal()?;
            invite(&engine, &address).await?;
            let serving = serve::Serving { server, identity: Identity::none(), engine };
            serve::serve(&config, serving, stop).await
        }
    }
}

/// Imports what is not there yet. Safe to repeat after an interruption.
async fn import(stores: &Stores) -> anyhow::Result<()> {
    let store = &*stores.store;
    if store.head().await?.0 >= demo::event_count() as i64 {
        say("Reusing the data of an earlier start.")?;
        return Ok(());
    }
    let now = sona_domain::Clock::now(&wiring::SystemClock);
    let content = demo::content().context("the shipped films")?;
    let foreign = store.content_after(Revision::default(), 1).await?;
    let ours = |change: &ContentChange| content.iter().any(|c| c.content_id == change.content_id);
    anyhow::ensure!(
        foreign.iter().all(ours),
        "the data folder holds another catalogue; choose an empty one with --data-dir"
    );
    store.put_content(&content, now).await?;
    let first = store.after(Cursor::default(), 1).await?;
    let first = first.first().map(|logged| &logged.event);
    let events = demo::events(now, first.filter(|event| event.event_id.as_str() == "demo-1"))?;
    import_events(store, &events, now).await?;
    let users: std::collections::HashSet<_> = events.iter().map(|e| &e.user_id).collect();
    say(format!(
        "Imported {} films and {} ratings by {} users (MovieTweetings, 2013; moved in time so that \
         the last one is an hour old; 0-10 points became 1-5 stars).",
        content.len(),
        events.len(),
        users.len()
    ))?;
    Ok(())
}

async fn import_events(
    store: &dyn Store,
    events: &[sona_domain::Event],
    now: sona_domain::Timestamp,
) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("Importing {bar:40} {pos}/{len} ratings")?;
    let bar = ProgressBar::new(events.len() as u64).with_style(style);
    for batch in events.chunks(BATCH) {
        store.append(batch, now).await?;
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Two lists, an event, the changed list.
async fn show(engine: &Arc<Engine>) -> anyhow::Result<()> {
    let mut lists = Vec::new();
    for user in USERS {
        let answer = list(engine, user).await?;
        recommend::print(&answer)?;
        say("")?;
        lists.push(answer);
    }
    anyhow::ensure!(ids(&lists[0]) != ids(&lists[1]), "two users got the same list");
    let watched = lists[0].recommendations.first().context("the list is empty")?;
    say(format!("User {} watches {} and gives it 5 stars.\n", USERS[0], watched.title))?;
    engine.track(vec![rating(USERS[0], &watched.content_id)?]).await?;
    let changed = list(engine, USERS[0]).await?;
    recommend::print(&changed)?;
    anyhow::ensure!(
        !ids(&changed).contains(&&watched.content_id),
        "a watched film is still listed"
    );
    anyhow::ensure!(ids(&changed) != ids(&lists[0]), "the list did not change");
    Ok(())
}

async fn list(engine: &Arc<Engine>, user: &str) -> anyhow::Result<Recommendations> {
    let request = RecommendRequest {
        user_id: UserId::new(user)?,
        limit: 10,
        exclude: Vec::new(),
        context: RequestContext::default(),
    };
    Ok(engine.recommend(&request).await?)
}

fn ids(answer: &Recommendations) -> Vec<&ContentId> {
    answer.recommendations.iter().map(|item| &item.content_id).collect()
}

fn rating(user: &str, content_id: &ContentId) -> anyhow::Result<EventDraft> {
    Ok(EventDraft {
        event_id: None,
        user_id: UserId::new(user)?,
        content_id: content_id.clone(),
        event_type: EventType::new(EventType::RATE).map_err(anyhow::Error::msg)?,
        completion_rate: Some(1.0),
        rating: Some(5.0),
        is_rewatch: false,
        dismissed: false,
        context: None,
        recommendation_id: None,
        timestamp: None,
    })
}

/// Three lines to paste.
async fn invite(engine: &Arc<Engine>, address: &str) -> anyhow::Result<()> {
    let user = USERS[0];
    let first = list(engine, user).await?;
    let film = first.recommendations.first().context("the list is empty")?;
    let json = "-H 'content-type: application/json'";
    let ask = format!(
        "curl -s http://{address}/api/v1/recommendations {json} -d '{{\"user_id\":\"{user}\",\"limit\":5}}'"
    );
    say(format!("Serving http://{address} (API and documentation: http://{address}/api/docs)"))?;
    say("\nA list, an event, the changed list:")?;
    say(format!("  {ask}"))?;
    say(format!(
        "  curl -s http://{address}/api/v1/events/track {json} -d '{{\"user_id\":\"{user}\",\
         \"content_id\":\"{}\",\"event_type\":\"rate\",\"rating\":5}}'",
        film.content_id
    ))?;
    say(format!("  {ask}"))?;
    say("\nStop with Ctrl-C.")?;
    Ok(())
}
