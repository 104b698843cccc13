//! Blobs: model files, by key. Local folders today; the key scheme is what S3-like stores use.

use std::path::Path as FilePath;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::error::{self, Error, Result};

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 512;

/// A store of immutable files.
///
/// A key is segments of `A-Z a-z 0-9 . _ -` joined by `/`, none of them `.` or `..`, 512 bytes in all; any
/// other is refused as [`Error::Invalid`].
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Writes a whole blob; it appears under `key` complete or not at all, and survives a crash after the answer.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<()>;

    /// Reads a whole blob; `None` if there is none.
    async fn get(&self, key: &str) -> Result<Option<Bytes>>;

    /// Deletes a blob; `false` if there was none. After a crash a blob deleted just before may be there again.
    async fn delete(&self, key: &str) -> Result<bool>;

    /// The keys under a prefix of whole segments (`models/als` or `models/als/`, or all with an empty one), sorted.
    async fn list(&self, prefix: &str) -> Result<Vec<String>>;
}

/// Opens the blob store at `url`: `file:PATH` (created if missing) or `memory:`.
pub async fn open_blobs(url: &str) -> Result<Arc<dyn Blobs>> {
    let store: Box<dyn ObjectStore> = if url == "memory:" {
        Box::new(InMemory::new())
    } else if let Some(path) = folder_of(url) {
        Box::new(open_folder(path.to_owned()).await?)
    } else {
        return Err(Error::Url(error::redact(url)));
    };
    Ok(Arc::new(Objects { store }))
}

fn folder_of(url: &str) -> Option<&str> {
    let path = url.strip_prefix("file:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    (!path.is_empty()).then_some(path)
}

async fn open_folder(path: String) -> Result<LocalFileSystem> {
    let folder = path.clone();
    tokio::task::spawn_blocking(move || create_durably(FilePath::new(&folder)))
        .await
        .unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
        .map_err(|error| {
            failed(&path)(object_store::Error::Generic { store: "file", source: Box::new(error) })
        })?;
    // Each put is a temporary file, synced, renamed, and its folder synced.
    Ok(LocalFileSystem::new_with_prefix(&path).map_err(failed(&path))?.with_fsync(true))
}

/// Creates a folder and those above it; each is on the disk before its own content can be.
fn create_durably(folder: &FilePath) -> std::io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(FilePath::new(""));
    create_durably(parent)?;
    match fs_err::create_dir(folder) {
        // Another process made it meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    let parent = if parent.as_os_str().is_empty() { FilePath::new(".") } else { parent };
    if cfg!(unix) { fs_err::File::open(parent)?.sync_all() } else { Ok(()) }
}

/// Any object store.
struct Objects {
    store: Box<dyn ObjectStore>,
}

#[async_trait]
impl Blobs for Objects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        self.store.put(&path_of(key)?, bytes.into()).await.map_err(failed(key))?;
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        match self.store.get(&path_of(key)?).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed(key)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(key)(error)),
        }
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        let path = path_of(key)?;
        // Not every store says whether there was something to delete.
        let deleted = match self.store.head(&path).await {
            Ok(_) => self.store.delete(&path).await,
            Err(error) => Err(error),
        };
        match deleted {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed(key)(error)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let folder = prefix.strip_suffix('/').unwrap_or(prefix);
        let folder = if folder.is_empty() { None } else { Some(path_of(folder)?) };
        let found = self.store.list(folder.as_ref()).map_ok(|object| object.location.to_string());
        let mut keys: Vec<_> = found.try_collect().await.map_err(failed(prefix))?;
        keys.sort_unstable();
        Ok(keys)
    }
}

fn path_of(key: &str) -> Result<Path> {
    let fits = key.len() <= MAX_KEY_BYTES
        && key.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        });
    if fits {
        Ok(Path::from(key))
    } else {
        Err(Error::Invalid(format!("{key:?} is not a blob key such as models/als/1.safetensors")))
    }
}

fn failed(key: &str) -> impl FnOnce(object_store::Error) -> Error {
    let key = key.to_owned();
    move |source| Error::Blob { key, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_inside() {
        for key in ["a", "models/als/1.safetensors", "A-b_c/.hidden"] {
            assert!(path_of(key).is_ok_and(|path| path.as_ref() == key), "{key}");
        }
        let long = "x".repeat(MAX_KEY_BYTES + 1);
        for key in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "a b", "é", "a#1", &long]
        {
            assert!(matches!(path_of(key), Err(Error::Invalid(_))), "{key}");
        }
    }
}
