//! Why a path cannot be read at all. What is wrong with single rows is [`crate::Rejected`].

use std::path::PathBuf;

/// A path that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system or the decompressor failed; the message names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Nothing Sona can read is there.
    #[error("{}: {detail}", path.display())]
    Unrecognised {
        /// Which file or folder.
        path: PathBuf,
        /// What was looked for, and what to do.
        detail: String,
    },
    /// An option does not fit the file.
    #[error("{}: {detail}", path.display())]
    Options {
        /// Which file.
        path: PathBuf,
        /// What does not fit, and what would.
        detail: String,
    },
}

impl Error {
    pub(crate) fn unrecognised(path: impl Into<PathBuf>, detail: impl Into<String>) -> Self {
        Self::Unrecognised { path: path.into(), detail: detail.into() }
    }

    pub(crate) fn options(path: impl Into<PathBuf>, detail: impl Into<String>) -> Self {
        Self::Options { path: path.into(), detail: detail.into() }
    }
}
