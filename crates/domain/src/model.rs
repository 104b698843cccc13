//! Registered model versions.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::job::JobId;
use crate::time::Timestamp;

/// One immutable version of a model. Versions of a name count up from 1 and are never reused;
/// which one is served is said by an explicit pointer, not by the newest date.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelVersion {
    /// The model's name, such as `collaborative`.
    pub model_name: String,
    /// 1, 2, 3, …
    pub version: i64,
    /// Key of the file in the blob store.
    pub blob_key: String,
    /// Size of the file.
    pub size_bytes: i64,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// Options, held-out metrics and the log position it was trained through.
    pub metadata: Map<String, Value>,
    /// The job that made it.
    pub job_id: Option<JobId>,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// A model version about to be registered; the store allocates the number.
#[derive(Debug, Clone, PartialEq)]
pub struct NewModelVersion {
    /// As [`ModelVersion::model_name`].
    pub model_name: String,
    /// As [`ModelVersion::blob_key`].
    pub blob_key: String,
    /// As [`ModelVersion::size_bytes`].
    pub size_bytes: i64,
    /// As [`ModelVersion::sha256`].
    pub sha256: String,
    /// As [`ModelVersion::metadata`].
    pub metadata: Map<String, Value>,
    /// As [`ModelVersion::job_id`].
    pub job_id: Option<JobId>,
}
