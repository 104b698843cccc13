//! Blobs, in a folder and in memory.

use std::sync::Arc;

use bytes::Bytes;
use sona_store::blobs::open_blobs;
use sona_store::{Blobs, Error};
use tempfile::TempDir;

struct Place {
    blobs: Arc<dyn Blobs>,
    folder: Option<TempDir>,
}

async fn places() -> [Place; 2] {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("file:{}", folder.path().join("made/as needed").display());
    [
        Place { blobs: open_blobs(&url).await.expect("opened"), folder: Some(folder) },
        Place { blobs: open_blobs("memory:").await.expect("opened"), folder: None },
    ]
}

#[tokio::test]
async fn what_is_put_is_found_until_it_is_deleted() {
    for Place { blobs, folder: _folder } in places().await {
        let large: Bytes = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>().into();
        let written = [("models/als/1.safetensors", large), ("models/als/2", Bytes::new())];
        for (key, bytes) in &written {
            assert_eq!(blobs.get(key).await.expect("read"), None);
            blobs.put(key, bytes.clone()).await.expect("put");
            assert_eq!(blobs.get(key).await.expect("read").as_ref(), Some(bytes));
        }
        blobs.put("models/als/2", Bytes::from_static(b"again")).await.expect("replaced");
        let again = blobs.get("models/als/2").await.expect("read");
        assert_eq!(again, Some(Bytes::from_static(b"again")));
        assert!(blobs.delete("models/als/2").await.expect("deleted"));
        assert!(!blobs.delete("models/als/2").await.expect("answered"));
        assert_eq!(blobs.get("models/als/2").await.expect("read"), None);
    }
}

#[tokio::test]
async fn keys_are_listed_in_order_by_whole_segments() {
    for Place { blobs, folder: _folder } in places().await {
        assert_eq!(blobs.list("").await.expect("listed"), Vec::<String>::new());
        for key in ["models/b/1", "models/a/2", "models/a/10", "modelsx", "other"] {
            blobs.put(key, Bytes::from_static(b"x")).await.expect("put");
        }
        let check = async |prefix, expect: &[&str]| {
            assert_eq!(blobs.list(prefix).await.expect("listed"), expect, "under {prefix:?}");
        };
        check("", &["models/a/10", "models/a/2", "models/b/1", "modelsx", "other"]).await;
        check("models", &["models/a/10", "models/a/2", "models/b/1"]).await;
        check("models/a/", &["models/a/10", "models/a/2"]).await;
        check("nothing", &[]).await;
    }
}

#[tokio::test]
async fn keys_that_leave_the_folder_are_refused() {
    for Place { blobs, folder: _folder } in places().await {
        for key in ["../outside", "/etc/passwd", "a/../../b", "", "a//b", "a/"] {
            let put = blobs.put(key, Bytes::from_static(b"x")).await;
            assert!(matches!(put, Err(Error::Invalid(_))), "{key:?}: {put:?}");
            let got = blobs.get(key).await;
            assert!(matches!(got, Err(Error::Invalid(_))), "{key:?}: {got:?}");
            let deleted = blobs.delete(key).await;
            assert!(matches!(deleted, Err(Error::Invalid(_))), "{key:?}: {deleted:?}");
        }
        assert!(matches!(blobs.list("..").await, Err(Error::Invalid(_))));
    }
}

#[tokio::test]
async fn readers_see_a_whole_blob_or_the_one_before() {
    for Place { blobs, folder: _folder } in places().await {
        let version = |n: u8| Bytes::from(vec![n; 200_000]);
        blobs.put("model", version(0)).await.expect("put");
        let writer = Arc::clone(&blobs);
        let writes = tokio::spawn(async move {
            for n in 1..=20 {
                writer.put("model", version(n)).await.expect("put");
            }
        });
        loop {
            let done = writes.is_finished();
            let read = blobs.get("model").await.expect("read").expect("there");
            assert_eq!(read.len(), 200_000);
            assert!(read.iter().all(|byte| *byte == read[0]), "of one version");
            if done {
                break;
            }
            // In memory nothing else gives the writer its turn.
            tokio::task::yield_now().await;
        }
        writes.await.expect("written");
    }
}

#[tokio::test]
async fn a_put_that_was_cut_off_is_not_there() {
    let [Place { blobs, folder }, _] = places().await;
    let folder = folder.expect("a folder").path().join("made/as needed");
    blobs.put("models/whole", Bytes::from_static(b"whole")).await.expect("put");
    // What a crash leaves: the temporary file, not yet renamed.
    fs_err::write(folder.join("models/cut#1"), b"cu").expect("written");
    assert_eq!(blobs.get("models/cut").await.expect("read"), None);
    assert_eq!(blobs.list("").await.expect("listed"), ["models/whole"]);
    blobs.put("models/cut", Bytes::from_static(b"complete")).await.expect("put");
    assert_eq!(blobs.list("models").await.expect("listed"), ["models/cut", "models/whole"]);
}

#[tokio::test]
async fn urls() {
    for url in ["s3://bucket", "", "file:", "memory", "/plain/path"] {
        assert!(matches!(open_blobs(url).await.err(), Some(Error::Url(_))), "{url:?}");
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    let url = format!("file:{}/below", file.path().display());
    assert!(matches!(open_blobs(&url).await.err(), Some(Error::Blob { .. })), "{url:?}");
}
