//! `sona serve`

use std::sync::Arc;

use sona_engine::Engine;
use sona_server::Server;

use crate::config::Config;
use crate::output::{Exit, say};
use crate::wiring;

#[derive(Debug, clap::Args)]
#[command(after_help = "No identity is configured yet, so only a loopback address is accepted.

Examples:
  sona serve
  sona serve --port 9000
  sona --config /etc/sona.toml serve
  SONA_STORAGE_DATABASE=postgres://sona@db/sona sona serve")]
pub(crate) struct Args {
    /// Address to listen on; overrides server.host.
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on, 0 for any free one; overrides server.port.
    #[arg(long)]
    port: Option<u16>,
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
    let engine = wiring::open(&config).await?;
    say(format!(
        "Serving http://{} (database: {}).",
        server.local_addr(),
        engine.stats().database
    ))?;
    serve(&config, server, engine).await
}

/// Binds the configured address.
pub(crate) async fn bind(config: &Config) -> anyhow::Result<Server> {
    Ok(Server::bind(&config.server).await?)
}

/// Serves until a signal comes, training as configured; then finishes what waits.
pub(crate) async fn serve(
    config: &Config,
    server: Server,
    engine: Arc<Engine>,
) -> anyhow::Result<Exit> {
    let router = sona_server::router(engine.clone(), Arc::new(wiring::UuidIds), &config.server);
    let worker = tokio::spawn(engine.clone().work(wiring::worker_name()));
    server.serve(router, stop_signal()).await?;
    worker.abort();
    engine.close().await;
    Ok(Exit::Done)
}

/// Resolves on SIGINT or SIGTERM.
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            let _ = interrupt.await;
            return;
        };
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = interrupt.await;
}
