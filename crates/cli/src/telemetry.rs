//! Log lines on standard error.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`; or per module, such as `info,sona_engine=debug`.
    pub(crate) level: String,
    /// `text` or `json`.
    pub(crate) format: Format,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "warn".to_owned(), format: Format::Text }
    }
}

/// Starts logging. Call once.
pub(crate) fn start(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("warn"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        Format::Text => subscriber.init(),
        Format::Json => subscriber.json().init(),
    }
}
