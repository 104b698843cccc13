//! `/health`: how the server is, whether it lives, whether it should get requests.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{ApiError, Code, Problem, Result};

/// How long the database may take to answer before the server is not ready.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

const FOLLOW_PROBLEM: &str = "the event log cannot be followed";
const MODEL_PROBLEM: &str = "the current model is not served";
const ENCODER_PROBLEM: &str = "the current text encoder is not in use";
const INDEX_PROBLEM: &str = "the vector index does not work; memory is searched";

/// How the server is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// In one word.
    status: HealthStatus,
    /// Always `sona`.
    service: &'static str,
    /// The version of this server.
    version: &'static str,
    /// Which database, without credentials; only its kind where identity is configured.
    database: String,
    /// Whether callers must say who they are.
    identity: IdentityMode,
    /// Entries in the catalogue.
    content: usize,
    /// Users whose state is in memory.
    resident_users: u64,
    /// The model served; absent before the first training.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<i64>,
    /// What makes vectors of texts; absent while none is configured and none is learned or imported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoder: Option<Encoder>,
    /// The vectors of titles; absent until the catalogue was encoded once.
    #[serde(skip_serializing_if = "Option::is_none")]
    vectors: Option<Vectors>,
    /// Where vectors are searched: `memory:`, or a vector index outside of this process, without credentials; only its kind
    /// where identity is configured.
    vector_index: String,
    /// Position in the event log up to which events are reflected in lists.
    applied_cursor: i64,
    /// What is wrong, in words; empty if nothing is. Where identity is configured the causes are in the log only.
    problems: Vec<String>,
}

/// What makes vectors of texts.
#[derive(Serialize, ToSchema)]
pub(crate) struct Encoder {
    /// Where it comes from.
    kind: EncoderKind,
    /// Which one it is; vectors of encoders with different names cannot be compared.
    name: String,
    /// Length of its vectors.
    width: usize,
}

/// The vectors of titles that are in use.
#[derive(Serialize, ToSchema)]
pub(crate) struct Vectors {
    /// Name of the encoder that made them. It differs from that of the encoder in use while that one still encodes the
    /// catalogue.
    encoder: String,
    /// How many titles have one.
    titles: usize,
}

/// Where a text encoder comes from.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EncoderKind {
    /// The configuration names it.
    Configured,
    /// It is learned from the catalogue.
    Learned,
    /// There is none: vectors made elsewhere were imported.
    Imported,
}

impl From<sona_engine::EncoderInfo> for Encoder {
    fn from(info: sona_engine::EncoderInfo) -> Self {
        let kind = match info.kind {
            sona_engine::EncoderKind::Configured => EncoderKind::Configured,
            sona_engine::EncoderKind::Learned => EncoderKind::Learned,
            sona_engine::EncoderKind::Imported => EncoderKind::Imported,
        };
        Self { kind, name: info.name, width: info.width }
    }
}

/// How the server is, in one word.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HealthStatus {
    /// Nothing is wrong.
    Ok,
    /// It answers, but `problems` says what is wrong.
    Degraded,
}

/// Whether callers must say who they are.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdentityMode {
    /// No: only this machine is answered, and may do everything.
    None,
    /// Yes: every caller needs a token or an API key.
    Required,
}

/// Say how the server is
///
/// Always 200; whether to send requests here is answered by `/health/ready`.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "operations",
    responses((status = 200, description = "How the server is", body = Health))
)]
pub(crate) async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    let stats = app.engine.stats();
    let follow = stats.follow_error.map(|error| app.told(FOLLOW_PROBLEM, &error));
    let model = stats.model_error.map(|error| app.told(MODEL_PROBLEM, &error));
    let encoder = stats.encoder_error.map(|error| app.told(ENCODER_PROBLEM, &error));
    let index = stats.vector_index_error.map(|error| app.told(INDEX_PROBLEM, &error));
    let strangers = app.identity.is_configured();
    let problems: Vec<_> = [follow, model, encoder, index].into_iter().flatten().collect();
    let place = |url: String| {
        if strangers { url.split(':').next().unwrap_or_default().to_owned() } else { url }
    };
    Json(Health {
        status: if problems.is_empty() { HealthStatus::Ok } else { HealthStatus::Degraded },
        service: "sona",
        version: env!("CARGO_PKG_VERSION"),
        database: place(stats.database),
        identity: if strangers { IdentityMode::Required } else { IdentityMode::None },
        content: stats.content,
        resident_users: stats.resident_users,
        model_version: stats.model_version,
        encoder: stats.encoder.map(Encoder::from),
        vectors: stats.vectors_of.map(|encoder| Vectors { encoder, titles: stats.vectors }),
        vector_index: place(stats.vector_index),
        applied_cursor: stats.applied.0,
        problems,
    })
}

/// A probe's answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Probe {
    /// `live` or `ready`.
    status: &'static str,
}

/// Say that the process answers
#[utoipa::path(
    get, path = "/health/live", operation_id = "health_live", tag = "operations",
    responses((status = 200, description = "The process answers", body = Probe))
)]
pub(crate) async fn live() -> Json<Probe> {
    Json(Probe { status: "live" })
}

/// Say whether to send requests here
///
/// Ready means that the database answers within 2 seconds and the event log can be followed.
#[utoipa::path(
    get, path = "/health/ready", operation_id = "health_ready", tag = "operations",
    responses(
        (status = 200, description = "Send requests", body = Probe),
        (status = 503, description = "Send none for now", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Probe>> {
    let not_ready = |detail: String| ApiError::new(Code::NotReady, detail);
    match tokio::time::timeout(PING_TIMEOUT, app.engine.ping()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            return Err(not_ready(app.told("the database does not answer", &error.to_string())));
        }
        Err(_) => return Err(not_ready(format!("the database took more than {PING_TIMEOUT:?}"))),
    }
    match app.engine.stats().follow_error {
        Some(error) => Err(not_ready(app.told(FOLLOW_PROBLEM, &error))),
        None => Ok(Json(Probe { status: "ready" })),
    }
}

impl App {
    /// A problem and its cause. Where strangers can ask, the cause, which may name other machines, stays in the log.
    fn told(&self, problem: &str, cause: &str) -> String {
        if self.identity.is_configured() {
            tracing::debug!(cause, "{problem}");
            format!("{problem}; the log says why")
        } else {
            format!("{problem}: {cause}")
        }
    }
}
