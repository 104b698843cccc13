//! Export: the catalogue and the log as files that [`crate::import`] reads, page by page.
//!
//! The catalogue comes in the order of ids' latest changes, the log in its own order: importing both into an empty database and
//! exporting that gives the same bytes.

use std::io;

use sona_domain::Cursor;
use sona_formats::write::Writer;
use sona_store::{Revision, Store};

/// Rows read at once.
const PAGE: usize = 5_000;

/// A failed export. Nothing is left at the file's place.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file cannot be written; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] sona_store::Error),
}

/// Writes the catalogue; answers how many entries it has.
pub async fn content(
    store: &dyn Store,
    mut writer: Writer,
    mut report: impl FnMut(u64),
) -> Result<u64, ExportError> {
    let (mut revision, mut count) = (Revision::default(), 0);
    loop {
        let page = store.content_after(revision, PAGE).await?;
        let Some(last) = page.last() else { break };
        revision = last.revision;
        for entry in page.iter().filter_map(|change| change.content.as_ref()) {
            writer.entry(entry)?;
            count += 1;
        }
        report(count);
    }
    writer.finish()?;
    Ok(count)
}

/// Writes the log as it is now; answers how many events it has.
pub async fn events(
    store: &dyn Store,
    mut writer: Writer,
    mut report: impl FnMut(u64),
) -> Result<u64, ExportError> {
    let head = store.head().await?;
    let (mut cursor, mut count) = (Cursor::default(), 0);
    while cursor < head {
        let page = store.after(cursor, PAGE).await?;
        let Some(last) = page.last() else { break };
        cursor = last.cursor;
        for logged in page.iter().filter(|logged| logged.cursor <= head) {
            writer.event(&logged.event)?;
            count += 1;
        }
        report(count);
    }
    writer.finish()?;
    Ok(count)
}
