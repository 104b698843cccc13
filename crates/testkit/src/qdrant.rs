//! A Qdrant server for tests, in this process: the calls Sona makes over real gRPC, answered from memory.
//!
//! It searches by real cosines with real filters, and refuses what the server refuses. It can be told to be slow, to fail, to
//! forget and to overlook, and to go away. It is not Qdrant: what it shows is that Sona's side is right by the protocol.

#[path = "qdrant/collection.rs"]
mod collection;
#[path = "qdrant/service.rs"]
mod service;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qdrant_client::qdrant::collections_server::CollectionsServer;
use qdrant_client::qdrant::points_server::PointsServer;
use qdrant_client::qdrant::qdrant_server::QdrantServer;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Status};

use collection::Collection;

/// Names the Qdrant server for tests.
pub const SERVER: &str = "TEST_QDRANT_URL";

/// The address of the real server tests are to run on too; says so if there is none.
pub fn real_server() -> Option<String> {
    let url = std::env::var(SERVER).ok();
    if url.is_none() {
        eprintln!("skipped on a real server: {SERVER} not set");
    }
    url
}

/// A server that is there until it is stopped or dropped.
pub struct QdrantDouble {
    address: SocketAddr,
    state: Arc<State>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// What the server holds, and how it is to behave.
#[derive(Default)]
pub(crate) struct State(Mutex<Inner>);

#[derive(Default)]
pub(crate) struct Inner {
    collections: BTreeMap<String, Collection>,
    /// What the next calls fail with.
    failures: VecDeque<Code>,
    delay: Duration,
    api_key: Option<String>,
    /// Searches that are not exact overlook so many of the nearest points.
    overlooked: usize,
    calls: HashMap<&'static str, usize>,
}

impl State {
    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every call goes through.
    pub(crate) async fn enter<T>(
        &self,
        call: &'static str,
        request: Request<T>,
    ) -> Result<T, Status> {
        let delay = self.inner().delay;
        tokio::time::sleep(delay).await;
        let mut inner = self.inner();
        *inner.calls.entry(call).or_default() += 1;
        let key = request.metadata().get("api-key").and_then(|key| key.to_str().ok());
        if inner.api_key.as_deref().is_some_and(|wanted| key != Some(wanted)) {
            return Err(Status::unauthenticated("Must provide an API key"));
        }
        match inner.failures.pop_front() {
            Some(code) => Err(Status::new(code, "as the test wants it")),
            None => Ok(request.into_inner()),
        }
    }
}

impl QdrantDouble {
    /// Starts one on a free port of this machine.
    pub fn start() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { address, state: Arc::default(), running: None };
        server.listen();
        server
    }

    /// How Sona names it.
    pub fn url(&self) -> String {
        format!("qdrant://{}", self.address)
    }

    /// Stops it; what it holds stays.
    pub async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            drop(stop);
            task.await.expect("the server does not panic");
        }
    }

    /// Starts it again where it was.
    pub fn listen(&mut self) {
        let incoming = TcpIncoming::bind(self.address).expect("a free port");
        self.address = incoming.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel::<()>();
        let state = self.state.clone();
        let server = Server::builder()
            .add_service(PointsServer::from_arc(state.clone()))
            .add_service(CollectionsServer::from_arc(state.clone()))
            .add_service(QdrantServer::from_arc(state));
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            server.serve_with_incoming_shutdown(incoming, stopped).await.expect("served");
        });
        self.running = Some((stop, task));
    }

    /// Has the next calls fail.
    pub fn fail_with(&self, codes: impl IntoIterator<Item = Code>) {
        self.state.inner().failures.extend(codes);
    }

    /// Has every call take so long.
    pub fn delay(&self, delay: Duration) {
        self.state.inner().delay = delay;
    }

    /// Demands a key.
    pub fn demand_key(&self, key: &str) {
        self.state.inner().api_key = Some(key.to_owned());
    }

    /// Has searches that are not exact overlook so many of the nearest points, as a graph may.
    pub fn overlook(&self, points: usize) {
        self.state.inner().overlooked = points;
    }

    /// Takes a title's point out behind everybody's back.
    pub fn forget(&self, content_id: &str) {
        let mut inner = self.state.inner();
        inner.collections.values_mut().for_each(|collection| collection.forget(content_id));
    }

    /// Takes a collection out behind everybody's back.
    pub fn drop_collection(&self, name: &str) {
        self.state.inner().collections.remove(name).expect("there");
    }

    /// The collections with the content ids of their points, both in order.
    pub fn content(&self) -> BTreeMap<String, Vec<String>> {
        let inner = self.state.inner();
        inner.collections.iter().map(|(name, c)| (name.clone(), c.content_ids())).collect()
    }

    /// How often each call was made so far.
    pub fn calls(&self, call: &str) -> usize {
        self.state.inner().calls.get(call).copied().unwrap_or_default()
    }
}
