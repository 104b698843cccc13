//! `sona serve`

use std::sync::Arc;

use sona_engine::Engine;
use sona_server::{Identity, Server};

use crate::config::{Config, DataDir};
use crate::output::{Exit, say};
use crate::wiring;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without [identity] in the configuration callers are not asked who they are, and only a
loopback address is accepted.

Examples:
  sona serve
  sona serve --port 9000
  sona --config /etc/sona.toml serve
  SONA_STORAGE_DATABASE=postgres://sona@db/sona sona serve"
)]
pub(crate) struct Args {
    /// Address to listen on; overrides server.host.
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on, 0 for any free one; overrides server.port.
    #[arg(long)]
    port: Option<u16>,
    #[command(flatten)]
    pub(crate) place: DataDir,
}

pub(crate) async fn run(mut config: Config, args: &Args) -> anyhow::Result<Exit> {
    if let Some(host) = &args.host {
        config.server.host.clone_from(host);
    }
    if let Some(port) = args.port {
        config.server.port = port;
    }
    // Before anything is opened: a wrong address is told at once.
    let server = bind(&config).await?;
    let identity = wiring::open_identity(&config).await?;
    let engine = wiring::open(&config).await?;
    let stop = stop_signal()?;
    say(format!(
        "Serving http://{} (database: {}).",
        server.local_addr(),
        engine.stats().database
    ))?;
    say(match identity.describe() {
        Ok(identity) => format!("Identity: {identity}."),
        Err(problem) => format!("Identity: keys are missing for now: {problem}."),
    })?;
    serve(&config, Serving { server, identity, engine }, stop).await
}

/// Binds the configured address.
pub(crate) async fn bind(config: &Config) -> anyhow::Result<Server> {
    Ok(Server::bind(&config.server, &config.identity).await?)
}

/// What serves.
pub(crate) struct Serving {
    pub(crate) server: Server,
    pub(crate) identity: Identity,
    pub(crate) engine: Arc<Engine>,
}

/// Serves until `stop`, training as configured; then finishes what waits.
pub(crate) async fn serve(
    config: &Config,
    Serving { server, identity, engine }: Serving,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<Exit> {
    let ids = Arc::new(wiring::UuidIds);
    let router = sona_server::router(engine.clone(), identity, ids, &config.server);
    let worker = tokio::spawn(engine.clone().work(wiring::worker_name()));
    let ahead = engine.clone();
    tokio::spawn(async move {
        if let Err(error) = ahead.read_ahead().await {
            tracing::warn!(%error, "users could not be read ahead; they are read when they come");
        }
    });
    server.serve(router, stop).await?;
    worker.abort();
    engine.close().await;
    Ok(Exit::Done)
}

/// Resolves on SIGINT or SIGTERM. From this call on (not from the first poll) these signals no longer end the
/// process by themselves, so call it before anybody is told that there is a server to stop.
#[cfg(unix)]
pub(crate) fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves on Ctrl-C.
#[cfg(not(unix))]
pub(crate) fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
