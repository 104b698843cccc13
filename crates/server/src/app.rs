//! What every handler shares.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sona_domain::IdSource;
use sona_engine::Engine;
use tokio::sync::Mutex;

use crate::identity::Identity;
use crate::identity::access::AccessRules;
use crate::metrics::Metrics;

/// The state of the application; handlers get it behind an `Arc`.
pub(crate) struct App {
    pub(crate) engine: Arc<Engine>,
    /// Names requests that come without an id.
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) metrics: Metrics,
    /// How callers prove who they are.
    pub(crate) identity: Identity,
    /// Whom each route lets in.
    pub(crate) rules: AccessRules,
    /// The configured host, as which this server answers also without identity.
    pub(crate) host: String,
    /// The largest body taken, in bytes.
    pub(crate) body_limit: usize,
    /// How long a request may take.
    pub(crate) timeout: Duration,
    /// Held by whoever writes content, so that reading, merging and writing an entry is one step.
    pub(crate) content_writes: Mutex<()>,
    /// The OpenAPI document.
    pub(crate) openapi: Bytes,
}
