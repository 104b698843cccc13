//! The demo's data, imported and trained once for each build of the binary and copied by every test that
//! wants it. Every test may be a process of its own, so a file lock keeps them apart.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::process::{Folder, SONA};

/// Where prepared data is kept; inside the target folder.
const KEPT: &str = env!("CARGO_TARGET_TMPDIR");

/// A folder with the imported and trained demo where every command looks for data.
pub(crate) fn demo() -> Folder {
    let folder =
        Folder::new().with("SONA_SERVER_PORT", "0").with("SONA_TRAINING_INTERVAL_HOURS", "0");
    let lock = lock();
    let prepared = PathBuf::from(KEPT).join(name());
    if !prepared.exists() {
        remove_others();
        prepare(&prepared);
    }
    copy(&prepared, &folder.path().join("sona-data"));
    drop(lock);
    folder
}

fn lock() -> File {
    let path = PathBuf::from(KEPT).join("demo.lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let lock = lock.expect("a lock file");
    lock.lock().expect("file locks");
    lock
}

/// Named after the build of the binary.
fn name() -> String {
    let binary = fs_err::metadata(SONA).expect("the binary is there");
    let built = binary.modified().expect("files have times");
    let built = built.duration_since(UNIX_EPOCH).expect("built after 1970");
    format!("demo-{}-{}", binary.len(), built.as_nanos())
}

/// Removes what earlier builds left.
fn remove_others() {
    for entry in fs_err::read_dir(KEPT).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("demo-") {
            fs_err::remove_dir_all(path).expect("removable");
        }
    }
}

fn prepare(prepared: &Path) {
    let folder = Folder::new();
    let sona = folder.start(&["demo", "--port", "0"]);
    assert_eq!(sona.terminate(), Some(0));
    // Renamed when whole, so that an interrupted copy is never used.
    let partial = prepared.with_file_name("demo-partial");
    copy(&folder.path().join("sona-data"), &partial);
    fs_err::rename(partial, prepared).expect("renamed");
}

fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).expect("a folder");
    for entry in fs_err::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("known").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs_err::copy(entry.path(), target).expect("copied");
        }
    }
}
