//! The index of title vectors outside of this process.

/// An index of title vectors outside of this process, where one is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vectors {
    /// How long a request waits for it before it searches in memory, in milliseconds.
    pub deadline_ms: u64,
}

impl Default for Vectors {
    fn default() -> Self {
        Self { deadline_ms: 50 }
    }
}
