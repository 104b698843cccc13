//! Bulk import of files: straight into the store, in batches, without any live state.
//!
//! A thread of its own reads and checks the files (`batches`), this side writes. Each batch is one transaction that
//! also notes how far the reading has come, so an import that is killed goes on where its last batch ended. Bad rows
//! reach their file before the batch is committed and the file's length is noted with the batch: going on cuts off
//! what came later. Events without a name of their own are named after the file's bytes and their row, so a file that
//! is imported twice changes nothing.

mod batches;
mod fingerprint;
mod rows;
mod vectors;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use sona_domain::{Clock, EventRules, EventType, Timestamp};
use sona_formats::rejects::Kinds;
use sona_formats::{Dataset, Rejected, Rejects};
use sona_store::{ImportBatch, ImportProgress, Revision, Store};
use tokio::sync::mpsc;

use batches::{Batch, Known, Reading};
use fingerprint::Fingerprint;

pub use rows::{Named, attributed, event};
pub use vectors::{ImportedVectors, VectorOptions};

/// Batches that may wait for the database.
const WAITING: usize = 1;

/// Catalogue entries read at once to learn which ids there are.
const PAGE: usize = 5_000;

/// Bad rows a preview shows.
const SHOWN: usize = 5;

/// What an import needs besides the files.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Make entries for unknown content instead of refusing its events.
    pub create_content: bool,
    /// The type of events that have neither a type nor a rating.
    pub event_type: EventType,
    /// When the first row happened, in files without times; every row is a second later than the one before.
    pub start: Timestamp,
    /// Where bad rows go.
    pub rejects: PathBuf,
    /// Whatever else decides how the files are read, as text; an interrupted import goes on only if it is the same.
    pub reading: String,
}

/// What an import did.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The counts, over all runs of this import.
    pub progress: ImportProgress,
    /// Rows read by an earlier run that was interrupted.
    pub resumed: u64,
    /// Bad rows by kind.
    pub kinds: Kinds,
}

/// What an import would do.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// The counts; events that are in the log already are counted as new.
    pub progress: ImportProgress,
    /// Bad rows by kind.
    pub kinds: Kinds,
    /// The first few bad rows, with their files.
    pub rejected: Vec<(PathBuf, Rejected)>,
}

/// A failed import. What was written stays, and the same import goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read at all.
    #[error(transparent)]
    Format(#[from] sona_formats::Error),
    /// A file cannot be read, or the file of bad rows cannot be written; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] sona_store::Error),
    /// The thread that reads ended early.
    #[error("reading the files failed: {0}")]
    Reader(#[from] tokio::task::JoinError),
}

/// Imports into a store.
pub struct Importer {
    /// The database; `None` stands for an empty one that is only looked at.
    pub store: Option<Arc<dyn Store>>,
    /// The time: events may not lie in the future.
    pub clock: Arc<dyn Clock>,
    /// The event types there are.
    pub rules: EventRules,
}

impl Importer {
    /// Imports `dataset`; `report` hears of every batch that is written.
    pub async fn run(
        &self,
        dataset: Dataset,
        options: ImportOptions,
        mut report: impl FnMut(&ImportProgress),
    ) -> Result<Imported, ImportError> {
        let Some(store) = self.store.clone() else { return Err(no_store()) };
        let (dataset, fingerprint) = fingerprint::take(dataset, &options).await?;
        let (mut progress, mut rejects) = begin(&*store, &fingerprint, &options).await?;
        let resumed = progress.read;
        let sources: Vec<_> = dataset.sources.iter().map(|source| source.path.clone()).collect();
        let reading = self.reading(dataset, &options, &fingerprint).await?;
        let (sender, mut batches) = mpsc::channel::<Batch>(WAITING);
        let reader = tokio::task::spawn_blocking(move || reading.run(progress, &sender));
        while let Some(batch) = batches.recv().await {
            if let Some(source) = sources.get(batch.position.file as usize) {
                rejects.append(source, &batch.rejected)?;
            }
            let next = ImportProgress {
                rejected: progress.rejected + batch.rejected.len() as u64,
                rejects_bytes: rejects.length(),
                events: progress.events,
                duplicates: progress.duplicates,
                content: progress.content,
                created: progress.created,
                ..batch.position
            };
            let written = ImportBatch {
                import_id: &fingerprint.import_id,
                content: &batch.content,
                stand_ins: &batch.stand_ins,
                events: &batch.events,
                progress: next,
            };
            progress = store.write_import(&written, self.clock.now()).await?;
            report(&progress);
            // Beside the next batch: giving the memory of a batch's texts back takes a while.
            tokio::task::spawn_blocking(|| drop(batch));
        }
        reader.await??;
        Ok(Imported { progress, resumed, kinds: rejects.kinds().clone() })
    }

    /// Reads and checks everything and writes nothing.
    pub async fn preview(
        &self,
        dataset: Dataset,
        options: ImportOptions,
        mut report: impl FnMut(&ImportProgress),
    ) -> Result<Preview, ImportError> {
        let sources: Vec<_> = dataset.sources.iter().map(|source| source.path.clone()).collect();
        let nameless = Fingerprint::unread(sources.len());
        let reading = self.reading(dataset, &options, &nameless).await?;
        let (sender, mut batches) = mpsc::channel::<Batch>(WAITING);
        let start = ImportProgress::default();
        let reader = tokio::task::spawn_blocking(move || reading.run(start, &sender));
        let mut preview = Preview::default();
        while let Some(batch) = batches.recv().await {
            preview.count(&batch, &sources);
            report(&preview.progress);
        }
        reader.await??;
        Ok(preview)
    }

    async fn reading(
        &self,
        dataset: Dataset,
        options: &ImportOptions,
        fingerprint: &Fingerprint,
    ) -> Result<Reading, ImportError> {
        Ok(Reading {
            dataset,
            files: fingerprint.files.clone(),
            known: self.known_content(options.create_content).await?,
            rules: self.rules.clone(),
            clock: self.clock.clone(),
            event_type: options.event_type.clone(),
            start: options.start,
        })
    }

    /// The ids the catalogue has.
    async fn known_content(&self, create: bool) -> Result<Known, ImportError> {
        let mut known = Known::new(create);
        let Some(store) = &self.store else { return Ok(known) };
        let mut revision = Revision::default();
        loop {
            let page = store.content_after(revision, PAGE).await?;
            let Some(last) = page.last() else { return Ok(known) };
            revision = last.revision;
            for change in page {
                known.set(change.content_id, change.content.is_some());
            }
        }
    }
}

impl Preview {
    fn count(&mut self, batch: &Batch, sources: &[PathBuf]) {
        let before = self.progress;
        self.progress = ImportProgress {
            events: before.events + batch.events.len() as u64,
            content: before.content + batch.content.len() as u64,
            created: before.created + batch.stand_ins.len() as u64,
            rejected: before.rejected + batch.rejected.len() as u64,
            ..batch.position
        };
        for rejected in &batch.rejected {
            self.kinds.add(rejected.column.as_deref(), &rejected.reason);
            if self.rejected.len() < SHOWN
                && let Some(source) = sources.get(batch.position.file as usize)
            {
                self.rejected.push((source.clone(), rejected.clone()));
            }
        }
    }
}

fn no_store() -> ImportError {
    io::Error::other("there is no database to import into").into()
}

/// Where the import starts: where an interrupted one stopped, if its file of bad rows is still there; else at the
/// beginning. (A finished import that is repeated reads everything again: rows that were refused may be good now.)
async fn begin(
    store: &dyn Store,
    fingerprint: &Fingerprint,
    options: &ImportOptions,
) -> Result<(ImportProgress, Rejects), ImportError> {
    let noted = store.import_progress(&fingerprint.import_id).await?;
    if let Some(progress) = noted.filter(|progress| !progress.finished)
        && let Some(rejects) = Rejects::resume(&options.rejects, progress.rejects_bytes)?
    {
        return Ok((progress, rejects));
    }
    Ok((ImportProgress::default(), Rejects::create(&options.rejects)?))
}
