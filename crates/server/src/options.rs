//! What the server can be told, with its defaults.

use serde::{Deserialize, Serialize};

/// The server's options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerOptions {
    /// The address to answer on. Only addresses of this machine are taken while no
    /// identity is configured.
    pub host: String,
    /// The port to answer on; 0 takes a free one.
    pub port: u16,
    /// The largest body taken, in bytes.
    pub body_limit_bytes: usize,
    /// How long a request may take, in seconds: the arrival of its body and the work on it together.
    pub timeout_seconds: u64,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8082,
            body_limit_bytes: 16 * 1024 * 1024,
            timeout_seconds: 30,
        }
    }
}
