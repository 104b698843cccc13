//! Taking an address and answering on it until told to stop.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::{TcpListener, lookup_host};
use tokio::sync::oneshot;

use crate::identity::IdentityOptions;
use crate::options::ServerOptions;

/// After the order to stop, requests under way may take this long before they are cut off.
const GRACE: Duration = Duration::from_secs(10);

/// An address that was taken. Nothing is answered until [`Server::serve`].
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
}

/// Why an address could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address can be reached from other machines, and anybody there would be let in.
    #[error(
        "refusing to answer on {host:?}: no identity is configured, so anyone who reaches this address could \
         read and change every user's data; use 127.0.0.1, ::1 or localhost, or set up [identity]"
    )]
    NotLoopback {
        /// As configured.
        host: String,
    },
    /// The host name means nothing.
    #[error("the host {host:?} cannot be resolved: {source}")]
    Unresolvable {
        /// As configured.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Somebody else answers there.
    #[error(
        "{address} is in use, perhaps by another sona; stop that one or choose another port with --port \
         (0 takes a free one)"
    )]
    InUse {
        /// Where.
        address: SocketAddr,
    },
    /// The operating system refuses.
    #[error("cannot answer on {address}: {source}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// What it said.
        source: io::Error,
    },
}

impl Server {
    /// Takes the configured address: any if callers must say who they are, else one of this machine only.
    pub async fn bind(
        options: &ServerOptions,
        identity: &IdentityOptions,
    ) -> Result<Self, BindError> {
        let address = address(&options.host, options.port, identity.is_configured()).await?;
        let refused = |source: io::Error| {
            if source.kind() == io::ErrorKind::AddrInUse {
                BindError::InUse { address }
            } else {
                BindError::Refused { address, source }
            }
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let local_addr = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, local_addr })
    }

    /// The address that was taken, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers until `stop` is done, then lets requests under way finish (for at most 10 s) and returns.
    pub async fn serve(
        self,
        router: Router,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let (stopping, stopped) = oneshot::channel();
        let stop = async move {
            stop.await;
            let _ = stopping.send(());
        };
        let listener = self.listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY could not be set");
            }
        });
        let grace = async {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            served = axum::serve(listener, router).with_graceful_shutdown(stop) => served,
            () = grace => {
                tracing::warn!("connections still open after {GRACE:?} are cut off");
                Ok(())
            }
        }
    }
}

/// The one address `host` means; only a loopback one unless others `may_reach` it.
async fn address(host: &str, port: u16, may_reach: bool) -> Result<SocketAddr, BindError> {
    let unresolvable = |source| BindError::Unresolvable { host: host.to_owned(), source };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<_> = lookup_host((bare, port)).await.map_err(unresolvable)?.collect();
    if !may_reach && addresses.iter().any(|address| !address.ip().is_loopback()) {
        return Err(BindError::NotLoopback { host: host.to_owned() });
    }
    // Prefer IPv4: the printed URL is then the one people expect.
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| unresolvable(io::Error::from(io::ErrorKind::NotFound)))
}
