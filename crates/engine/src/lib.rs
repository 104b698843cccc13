//! What Sona does, in the product's words: take events in, learn from them, say what a user should see next
//! and why.
//!
//! [`Engine`] is the one public face. It holds a view of the store in memory: the catalogue, one immutable
//! model snapshot, the users' live states, the counts all users share and which titles are alike. Writes go to the store first and
//! come back through the log (`log`), so this process's writes and other processes' writes take one path.
//! A warm recommendation touches memory only.
//!
//! ```text
//! recommend ─▶ gate ─▶ candidates/* ─▶ fuse ─▶ reasons        train ─▶ dataset ─▶ ALS ─▶ artifact ─▶ model
//! encode ─▶ encoder (configured, or learned from the catalogue by a training of its own)
//! track ─▶ log (commit, apply) ─▶ live/{users,counts,trending}
//! import, export ─▶ store (no live state: whoever serves follows the log)
//! recommend ─▶ exposures (what was shown, written behind)
//! ```

pub mod artifact;
pub mod encoder;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod import;
pub mod options;
pub mod recommend;
pub mod train;
pub mod tune;
pub mod vectors;

mod adapters;
mod attributes;
mod candidates;
mod catalogue;
mod content;
mod dataset;
mod diversify;
mod erase;
mod explain;
mod exposures;
mod fuse;
mod gate;
mod history;
mod ingest;
mod judge;
mod keys;
mod live;
mod log;
mod order;
mod profiles;
mod ranker;
mod read_ahead;
mod reasons;
mod registry;
mod score;
mod similar;
mod snapshot;
mod start;
mod swap;
mod written_users;

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use sona_domain::{Clock, Cursor, IdSource, Timestamp};
use sona_numeric::sequence::Transitions;
use sona_store::vectors::EMBEDDED;
use sona_store::{Blobs, Store, VectorIndex};
use tokio::sync::mpsc;

pub use adapters::{
    AdapterCommand, AdapterCounts, AdapterError, BASE_LAYER_NAME, Forced, export_adapter,
    handle_stored, import_adapter, stored_adapter, stored_adapters,
};
pub use content::WriteContent;
pub use encoder::{ENCODER_NAME, Encoded, EncoderInfo, EncoderKind};
pub use erase::erase_stored;
pub use error::{Error, Result};
pub use exposures::ExposureCounts;
pub use ingest::TrackOutcome;
pub use options::Options;
pub use ranker::RANKER_NAME;
pub use recommend::{RecommendRequest, RequestContext};
pub use score::{MAX_SCORED, ScoreRequest};
pub use sona_store::AdapterPosition;
pub use start::MODEL_NAME;
pub use vectors::EMBEDDINGS_NAME;

use adapters::{BaseLayers, Unsaved};
use catalogue::Catalogue;
use encoder::Encoders;
use exposures::Exposures;
use keys::KeyRing;
use live::attributes::Attributes;
use live::counts::Counts;
use live::users::Users;
use log::{LogTask, Request};
use ranker::Serving;
use snapshot::Snapshot;
use vectors::{Elsewhere, Follower, Vectors};

/// What the engine is made of; the caller decides which twins, clock and ids.
pub struct Parts {
    /// The database.
    pub store: Arc<dyn Store>,
    /// Where model files are kept.
    pub blobs: Arc<dyn Blobs>,
    /// An index of title vectors outside of this process; without one those in memory are searched.
    pub vectors: Option<Arc<dyn VectorIndex>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names for lists, for events sent without one, and for jobs.
    pub ids: Arc<dyn IdSource>,
    /// The numbers.
    pub options: Options,
}

/// The engine. Open one per process and share it.
pub struct Engine {
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    options: Options,
    catalogue: Catalogue,
    snapshot: ArcSwap<Snapshot>,
    users: Users,
    counts: RwLock<Counts>,
    attributes: Arc<Attributes>,
    keys: ArcSwap<KeyRing>,
    applied: AtomicI64,
    removals_seen: AtomicI64,
    requests: mpsc::Sender<Request>,
    encoders: Encoders,
    ranking: ArcSwapOption<Serving>,
    base_layers: BaseLayers,
    unsaved_adapters: Unsaved,
    adapter_counters: adapters::Counters,
    adapter_changes: adapters::Changes,
    vectors: RwLock<Vectors>,
    follower: Arc<Follower>,
    elsewhere: Option<Arc<Elsewhere>>,
    exposures: Arc<Exposures>,
    condition: Mutex<Condition>,
}

/// What is known of the engine's own health.
#[derive(Debug, Default)]
struct Condition {
    follow_error: Option<String>,
    refused_models: HashSet<i64>,
    model_error: Option<String>,
    preparing: Option<i64>,
    /// The ranker that was loaded last, or could not be.
    ranker_tried: Option<i64>,
    base_layer_tried: Option<i64>,
    /// How far the log was at the last training this process knows of, whatever became of it.
    trained_through: Cursor,
}

/// The engine in numbers, for health checks and metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// Which database, without credentials.
    pub database: String,
    /// Entries in the catalogue.
    pub content: usize,
    /// Users whose state is in memory.
    pub resident_users: u64,
    /// The last event applied.
    pub applied: Cursor,
    /// The model served.
    pub model_version: Option<i64>,
    /// Title-to-title counts held.
    pub transitions: usize,
    /// Why the log could not be followed at the last try.
    pub follow_error: Option<String>,
    /// Why the current model is not the one served.
    pub model_error: Option<String>,
    /// The text encoder in use.
    pub encoder: Option<EncoderInfo>,
    /// Why the current text encoder is not the one in use.
    pub encoder_error: Option<String>,
    /// Titles with a vector in memory.
    pub vectors: usize,
    /// [`EncoderInfo::name`] of the encoder they are of; during a switch that is still the last one.
    pub vectors_of: Option<String>,
    /// Where vectors are searched: `memory:`, or an index outside of this process, without credentials.
    pub vector_index: String,
    /// Why that index, if it is not memory, cannot be searched or kept in step.
    pub vector_index_error: Option<String>,
    /// Searches there so far, by what became of them; empty if it is memory.
    pub vector_searches: Vec<(&'static str, u64)>,
    /// What became of the lists this process has shown.
    pub exposures: ExposureCounts,
    /// What became of users' adapters in this process.
    pub adapters: AdapterCounts,
    /// The base layer they are on; absent where there is none, or none that fits the ranker.
    pub base_layer_version: Option<i64>,
}

impl Engine {
    /// Opens the engine and brings it to the present: when this returns, it can answer.
    pub async fn open(parts: Parts) -> Result<Arc<Self>> {
        let Parts { store, blobs, vectors, clock, ids, options } = parts;
        let elsewhere = vectors.map(|index| {
            let deadline = Duration::from_millis(options.vectors.deadline_ms);
            Arc::new(Elsewhere::new(index, deadline))
        });
        let encoders = Encoders::open(&options.encoder).await?;
        let (requests, queue) = mpsc::channel(options.live.queue.max(1));
        let counts = Counts::new(Transitions::new(0), Vec::new(), Cursor(0), &options, clock.now());
        let wanted = options.fusion.attributes > 0.0;
        let attributes = Attributes::new((&options.attributes).into(), wanted);
        let engine = Arc::new(Self {
            users: Users::new(
                options.live.max_megabytes.saturating_mul(1_000_000),
                options.events.clone(),
            ),
            store,
            blobs,
            clock,
            ids,
            options,
            catalogue: Catalogue::new(),
            snapshot: ArcSwap::from_pointee(Snapshot::untrained()),
            counts: RwLock::new(counts),
            attributes: Arc::new(attributes),
            keys: ArcSwap::default(),
            applied: AtomicI64::new(0),
            removals_seen: AtomicI64::new(0),
            requests,
            encoders,
            ranking: ArcSwapOption::empty(),
            base_layers: BaseLayers::default(),
            unsaved_adapters: Unsaved::default(),
            adapter_counters: adapters::Counters::default(),
            adapter_changes: adapters::Changes::default(),
            vectors: RwLock::default(),
            follower: Arc::default(),
            elsewhere,
            exposures: Arc::default(),
            condition: Mutex::default(),
        });
        engine.load().await?;
        engine.load_vectors().await?;
        engine.follow_keys().await?;
        if let Err(error) = engine.load_ranker().await {
            tracing::error!(%error, "the ranker cannot be served; lists are ordered by weights");
        }
        if let Err(error) = engine.follow_base_layer().await {
            tracing::error!(%error, "the base layer cannot be read; users are served without adapters");
        }
        tokio::spawn(LogTask::new(engine.clone(), queue).run());
        let period = Duration::from_millis(engine.options.live.follow_interval_ms.max(10));
        tokio::spawn(vectors::follow(Arc::downgrade(&engine), engine.follower.clone(), period));
        if let Some(elsewhere) = &engine.elsewhere {
            tokio::spawn(vectors::copy(Arc::downgrade(&engine), elsewhere.clone(), period));
        }
        tokio::spawn(adapters::write_behind(Arc::downgrade(&engine)));
        tokio::spawn(exposures::write_behind(Arc::downgrade(&engine), engine.exposures.clone()));
        Ok(engine)
    }

    /// Finishes what waits, writes profiles, adapters and what was shown behind, and closes the database.
    pub async fn close(&self) {
        self.follower.stop();
        self.elsewhere.iter().for_each(|elsewhere| elsewhere.wake());
        let (reply, done) = tokio::sync::oneshot::channel();
        if self.requests.send(Request::Stop { reply }).await.is_ok() {
            let _ = done.await;
        }
        self.close_adapters().await;
        self.close_exposures().await;
        self.store.close().await;
    }

    /// The options the engine runs with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The engine's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The engine in numbers.
    pub fn stats(&self) -> Stats {
        let condition = self.condition();
        let vectors = self.vectors();
        let elsewhere = self.elsewhere.as_deref();
        Stats {
            database: self.store.describe(),
            content: self.catalogue.latest().entries(),
            resident_users: self.users.resident(),
            applied: self.applied(),
            model_version: self.snapshot.load().version(),
            transitions: self.counts().transitions.len(),
            follow_error: condition.follow_error.clone(),
            model_error: condition.model_error.clone(),
            encoder: self.encoders.info().or_else(|| self.encoders.imported_as(&vectors)),
            encoder_error: self.encoders.error(),
            vectors: vectors.len(),
            vectors_of: Some(vectors.encoder().to_owned()).filter(|name| !name.is_empty()),
            vector_index: elsewhere.map_or_else(|| EMBEDDED.to_owned(), Elsewhere::describe),
            vector_index_error: elsewhere.and_then(Elsewhere::error),
            vector_searches: elsewhere.map(Elsewhere::searches).unwrap_or_default(),
            exposures: self.exposures.counts(),
            adapters: self.adapter_counters.read(self.unsaved_adapters.len()),
            base_layer_version: self.base_layer().map(|base| base.version),
        }
    }

    /// Answers if the database does.
    pub async fn ping(&self) -> Result<()> {
        Ok(self.store.ping().await?)
    }

    /// Looks at once for what other processes wrote.
    pub async fn follow(&self) -> Result<()> {
        let (reply, done) = tokio::sync::oneshot::channel();
        self.requests.send(Request::Follow { reply }).await.map_err(|_| Error::Closed)?;
        done.await.map_err(|_| Error::Closed)?
    }

    /// Does something between two commits, when everything appended before is applied; removals are taken in before it. Goes on
    /// to its end if the caller does not wait for it.
    async fn between<R: Send + 'static>(
        &self,
        work: impl Future<Output = R> + Send + 'static,
    ) -> Result<R> {
        let (reply, done) = tokio::sync::oneshot::channel();
        let work = Box::pin(async move {
            let _ = reply.send(work.await);
        });
        self.requests.send(Request::Between { work }).await.map_err(|_| Error::Closed)?;
        done.await.map_err(|_| Error::Closed)
    }

    fn applied(&self) -> Cursor {
        Cursor(self.applied.load(Ordering::Acquire))
    }

    fn set_applied(&self, cursor: Cursor) {
        self.applied.store(cursor.0, Ordering::Release);
    }

    fn counts(&self) -> RwLockReadGuard<'_, Counts> {
        self.counts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts_mut(&self) -> RwLockWriteGuard<'_, Counts> {
        self.counts.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn vectors(&self) -> RwLockReadGuard<'_, Vectors> {
        self.vectors.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn vectors_mut(&self) -> RwLockWriteGuard<'_, Vectors> {
        self.vectors.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn condition(&self) -> std::sync::MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers how following went; logs when that changes.
    fn note_follow(&self, followed: &Result<()>) {
        let error = followed.as_ref().err().map(ToString::to_string);
        let mut condition = self.condition();
        if condition.follow_error != error {
            if let Some(error) = &error {
                tracing::warn!(%error, "the log cannot be followed");
            } else {
                tracing::info!("the log is followed again");
            }
            condition.follow_error = error;
        }
    }

    fn refuse_model(&self, version: i64, error: &Error) {
        let mut condition = self.condition();
        condition.refused_models.insert(version);
        condition.model_error = Some(error.to_string());
    }
}
