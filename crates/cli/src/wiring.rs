//! Putting the parts together: the real clock, real ids, the stores the configuration names.

use std::sync::Arc;

use anyhow::Context;
use ring::rand::{SecureRandom, SystemRandom};
use sona_domain::{Clock, IdSource, Timestamp};
use sona_engine::{Engine, Parts};
use sona_server::Identity;
use sona_server::identity::api_key::RANDOM_BYTES;
use sona_store::{Blobs, Store, VectorIndex};

use crate::config::{Config, Vectors};

/// The machine's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the real time enters")]
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }
}

/// Version 7 UUIDs: unique, and ordered by time.
pub(crate) struct UuidIds;

impl IdSource for UuidIds {
    #[expect(clippy::disallowed_methods, reason = "the one place where chance enters")]
    fn fresh(&self) -> String {
        uuid::Uuid::now_v7().to_string()
    }
}

/// What nobody can guess.
pub(crate) fn random_bytes() -> anyhow::Result<[u8; RANDOM_BYTES]> {
    let mut bytes = [0; RANDOM_BYTES];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| anyhow::anyhow!("the system has no random numbers to give"))?;
    Ok(bytes)
}

/// Who callers are, as configured.
pub(crate) async fn open_identity(config: &Config) -> anyhow::Result<Identity> {
    Identity::open(&config.identity, SystemClock.now()).await.context("identity")
}

/// The stores the configuration names, opened.
pub(crate) struct Stores {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) vectors: Option<Arc<dyn VectorIndex>>,
}

/// Opens the stores; brings the schema up to date.
pub(crate) async fn open_stores(config: &Config) -> anyhow::Result<Stores> {
    let store = sona_store::open(&config.storage.database).await.context("storage.database")?;
    let blobs =
        sona_store::blobs::open_blobs(&config.storage.blobs).await.context("storage.blobs")?;
    let vectors = open_vectors(config)?;
    Ok(Stores { store, blobs, vectors })
}

/// The index of title vectors the configuration names; `None` if that is memory. Nothing is connected yet.
pub(crate) fn open_vectors(config: &Config) -> anyhow::Result<Option<Arc<dyn VectorIndex>>> {
    let Vectors { api_key, api_key_file, .. } = &config.vectors;
    let api_key = if api_key_file.is_empty() {
        api_key.0.clone()
    } else {
        let text = fs_err::read_to_string(api_key_file).context("vectors.api_key_file")?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    };
    sona_store::open_vectors(&config.storage.vectors, &api_key).context("storage.vectors")
}

/// Opens the engine on `stores`.
pub(crate) async fn open_engine(config: &Config, stores: Stores) -> anyhow::Result<Arc<Engine>> {
    let parts = Parts {
        store: stores.store,
        blobs: stores.blobs,
        vectors: stores.vectors,
        clock: Arc::new(SystemClock),
        ids: Arc::new(UuidIds),
        options: config.engine_options()?,
    };
    Engine::open(parts).await.context("opening the engine")
}

/// Opens everything the configuration names.
pub(crate) async fn open(config: &Config) -> anyhow::Result<Arc<Engine>> {
    open_engine(config, open_stores(config).await?).await
}

/// Names this process as a worker.
pub(crate) fn worker_name() -> String {
    format!("{}-{}", std::process::id(), UuidIds.fresh())
}
