//! A real server on a free port, over a database of its own, with a clock and ids that tests control.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use sona_domain::Clock as _;
use sona_engine::{Engine, Options, Parts};
use sona_server::{Identity, IdentityOptions, Server, ServerOptions, router};
use sona_store::{Blobs, Store};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock::ManualClock;
use crate::databases::{Backend, TestDatabase};
use crate::ids::CountingIds;
use crate::world::World;

/// A running server.
pub struct TestServer {
    /// What the server takes the time from.
    pub clock: Arc<ManualClock>,
    /// The engine behind the server.
    pub engine: Arc<Engine>,
    options: ServerOptions,
    identity: IdentityOptions,
    engine_options: Options,
    blobs: Arc<dyn Blobs>,
    ids: Arc<CountingIds>,
    client: reqwest::Client,
    running: Option<Running>,
    database: TestDatabase,
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as text.
    pub text: String,
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl TestServer {
    /// A server over an empty database.
    pub async fn start(backend: Backend) -> Self {
        Self::with_options(backend, ServerOptions::default()).await
    }

    /// A server over an empty database, with options; it always takes a free port.
    pub async fn with_options(backend: Backend, options: ServerOptions) -> Self {
        Self::launch(backend, options, IdentityOptions::default(), Options::default()).await
    }

    /// A server over an empty database, with an engine of these options.
    pub async fn with_engine(backend: Backend, options: Options) -> Self {
        let (server, identity) = (ServerOptions::default(), IdentityOptions::default());
        Self::launch(backend, server, identity, options).await
    }

    /// A server over an empty database whose callers must say who they are.
    pub async fn with_identity(backend: Backend, identity: IdentityOptions) -> Self {
        Self::launch(backend, ServerOptions::default(), identity, Options::default()).await
    }

    async fn launch(
        backend: Backend,
        options: ServerOptions,
        identity: IdentityOptions,
        mut engine_options: Options,
    ) -> Self {
        let database = TestDatabase::new(backend).await;
        let blobs = sona_store::blobs::open_blobs("memory:").await.expect("memory is there");
        let clock = Arc::new(ManualClock::default());
        let ids = Arc::new(CountingIds::default());
        // It takes longest to train.
        engine_options.fusion.embedding = 0.0;
        let engine = open(&database, &blobs, &clock, &ids, &engine_options).await;
        let mut server = Self {
            clock,
            engine,
            options: ServerOptions { port: 0, ..options },
            identity,
            engine_options,
            blobs,
            ids,
            client: reqwest::Client::new(),
            running: None,
            database,
        };
        server.listen().await;
        server
    }

    /// A server that knows a [`World`].
    pub async fn with_world(backend: Backend, world: World) -> Self {
        let server = Self::start(backend).await;
        server.populate(world).await;
        server
    }

    /// Makes the server know a [`World`].
    pub async fn populate(&self, world: World) {
        self.engine.put_content(&world.content()).await.expect("valid content");
        self.engine.track(world.events(self.clock.now())).await.expect("valid events");
    }

    /// The server's database, opened once more as another process would.
    pub async fn another_store(&self) -> Arc<dyn Store> {
        sona_store::open(&self.database.url).await.expect("the database opens again")
    }

    /// Stops the server, closes the engine, and starts both anew over the same database.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.engine =
            open(&self.database, &self.blobs, &self.clock, &self.ids, &self.engine_options).await;
        self.listen().await;
    }

    /// Stops the server and closes the engine.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.stop.send(());
            running.task.await.expect("the server does not panic").expect("the server stops");
        }
        self.engine.close().await;
    }

    /// Trains a model and serves it.
    pub async fn train(&self) {
        let job = self.engine.submit_training().await.expect("a queued job");
        let report = Arc::new(|_| {});
        self.engine.run_training("test", Some(&job), report).await.expect("training succeeds");
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Where the server answers.
    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().expect("the server runs").address
    }

    /// A request to be added to.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// GET.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        Answer::to(self.request(Method::GET, path)).await.json()
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        Answer::to(self.request(Method::POST, path).json(body)).await.json()
    }

    /// PUT of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        Answer::to(self.request(Method::PUT, path).json(body)).await.json()
    }

    /// PATCH with JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> (u16, Value) {
        Answer::to(self.request(Method::PATCH, path).json(body)).await.json()
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> (u16, Value) {
        Answer::to(self.request(Method::DELETE, path)).await.json()
    }

    async fn listen(&mut self) {
        let server = Server::bind(&self.options, &self.identity).await.expect("a free port");
        let address = server.local_addr();
        let identity = Identity::open(&self.identity, self.clock.now()).await.expect("identity");
        let router = router(self.engine.clone(), identity, self.ids.clone(), &self.options);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.serve(router, async {
            let _ = stopped.await;
        }));
        self.running = Some(Running { address, stop, task });
    }
}

impl Answer {
    /// Sends a request.
    pub async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("the server answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("the whole body");
        Self { status, headers, text }
    }

    /// Status and body; an empty body or one that is not JSON is `null`.
    pub fn json(&self) -> (u16, Value) {
        (self.status, serde_json::from_str(&self.text).unwrap_or_default())
    }

    /// A header as text; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

async fn open(
    database: &TestDatabase,
    blobs: &Arc<dyn Blobs>,
    clock: &Arc<ManualClock>,
    ids: &Arc<CountingIds>,
    options: &Options,
) -> Arc<Engine> {
    let store = sona_store::open(&database.url).await.expect("the database opens");
    let parts = Parts {
        store,
        blobs: blobs.clone(),
        vectors: None,
        clock: clock.clone(),
        ids: ids.clone(),
        options: options.clone(),
    };
    Engine::open(parts).await.expect("the engine opens")
}
