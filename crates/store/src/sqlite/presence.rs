//! Who has the database open: everybody holds a shared lock on a file beside it, which the system takes back when a
//! process ends, however it ends.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use fs_err::OpenOptions;

/// A place among those who have a database open; given up when dropped.
pub(super) struct Presence(File);

impl Presence {
    /// Takes a place. Waits while somebody finds out whether they are alone, which takes no time.
    pub(super) fn enter(database: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(beside(database))?;
        let file = file.into_file();
        file.lock_shared()?;
        Ok(Self(file))
    }

    /// True if nobody else has the database open; whoever opens it later finds what the caller does under a write lock
    /// it holds already.
    pub(super) fn is_alone(&self) -> io::Result<bool> {
        let alone = self.0.try_lock().is_ok();
        self.0.lock_shared()?;
        Ok(alone)
    }
}

/// `sona.db-open` for `sona.db`.
fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-open");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_alone_and_two_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("a.db");
        let one = Presence::enter(&database).expect("entered");
        assert!(one.is_alone().expect("told"));
        let two = Presence::enter(&database).expect("entered");
        assert!(!one.is_alone().expect("told"));
        assert!(!two.is_alone().expect("told"), "asking gives no place up");
        drop(one);
        assert!(two.is_alone().expect("told"));
    }
}
