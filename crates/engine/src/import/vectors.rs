//! Import of vectors made elsewhere, of titles and users, as a set with a name, in batches of one transaction each.
//!
//! The set is in use only when its first import has come to its end. One that was interrupted is given again from the
//! beginning: vectors that are there are written over.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sona_domain::{Embedding, Entity, EntityType};
use sona_formats::rejects::Kinds;
use sona_formats::{CONTENT_ID, Rejected, Rejects, USER_ID, VECTOR, VectorRow, vectors};
use sona_store::Store;
use tokio::sync::mpsc::{self, Sender};

use super::batches::Known;
use super::{ImportError, Importer, WAITING, no_store};
use crate::vectors::imported;

/// A batch ends when its vectors have so many numbers (8 MB).
const BATCH_NUMBERS: usize = 2 << 20;

/// Most rows of a batch, good and bad.
const BATCH_ROWS: usize = 5_000;

/// What an import of vectors needs besides the file.
#[derive(Debug, Clone)]
pub struct VectorOptions {
    /// The name under which the set is kept ([`sona_domain::embedding::imported`]).
    pub name: String,
    /// Whether what there is of the set goes first.
    pub replace: bool,
    /// Where bad rows go.
    pub rejects: PathBuf,
}

/// What an import of vectors did.
#[derive(Debug, Clone, Default)]
pub struct ImportedVectors {
    /// Rows read.
    pub read: u64,
    /// Vectors written.
    pub written: u64,
    /// Bad rows.
    pub rejected: u64,
    /// Numbers of each vector; `None` if there is none.
    pub width: Option<usize>,
    /// Bad rows by kind.
    pub kinds: Kinds,
}

/// Rows that are written together.
#[derive(Default)]
struct Batch {
    good: Vec<VectorRow>,
    /// Of users, each with what is said if there is no such user.
    of_users: Vec<(VectorRow, Rejected)>,
    rejected: Vec<Rejected>,
    numbers: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        let rows = self.good.len() + self.of_users.len() + self.rejected.len();
        rows >= BATCH_ROWS || self.numbers >= BATCH_NUMBERS
    }

    /// Moves rows of users to the good or the bad ones, as the database knows them or not.
    async fn look_users_up(&mut self, store: &dyn Store) -> Result<(), ImportError> {
        let ids = self.of_users.iter().filter_map(|(row, _)| match &row.entity {
            Entity::User(id) => Some(id.clone()),
            Entity::Content(_) => None,
        });
        let ids: Vec<_> = ids.collect();
        if ids.is_empty() {
            return Ok(());
        }
        let known = store.known_users(&ids).await?;
        for ((row, unknown), id) in std::mem::take(&mut self.of_users).into_iter().zip(ids) {
            if known.contains(&id) {
                self.good.push(row);
            } else {
                self.rejected.push(unknown);
            }
        }
        self.rejected.sort_by_key(|rejected| rejected.line);
        Ok(())
    }
}

impl Importer {
    /// Imports a file of vectors; `report` hears of every batch that is written.
    ///
    /// # Errors
    /// If the file is none of vectors, or the database fails. Bad rows are no error.
    pub async fn run_vectors(
        &self,
        path: &Path,
        options: &VectorOptions,
        mut report: impl FnMut(&ImportedVectors),
    ) -> Result<ImportedVectors, ImportError> {
        let Some(store) = self.store.clone() else { return Err(no_store()) };
        let rows = vectors(path)?;
        if options.replace {
            store.delete_embeddings(&options.name).await?;
        }
        let mut rejects = Rejects::create(&options.rejects)?;
        let width = width_of(&store, &options.name).await?;
        let checks = Checks { known: self.known_content(false).await?, width };
        let (sender, mut batches) = mpsc::channel::<Batch>(WAITING);
        let reader = tokio::task::spawn_blocking(move || checks.run(rows, &sender));
        let mut done = ImportedVectors { width, ..ImportedVectors::default() };
        let mut titles = false;
        while let Some(mut batch) = batches.recv().await {
            batch.look_users_up(&*store).await?;
            let Batch { good, rejected, .. } = batch;
            rejects.append(path, &rejected)?;
            done.read += (good.len() + rejected.len()) as u64;
            done.written += good.len() as u64;
            done.rejected += rejected.len() as u64;
            done.width = done.width.or(good.first().map(|row| row.vector.len()));
            titles |= good.iter().any(|row| row.entity.kind() == EntityType::Content);
            let good: Vec<Embedding> =
                good.into_iter().map(|row| imported(row.entity, row.vector)).collect();
            store.put_embeddings(&options.name, &good, self.clock.now()).await?;
            report(&done);
        }
        reader.await?;
        if let Some(width) = done.width.filter(|_| titles) {
            store.complete_embeddings(&options.name, width, self.clock.now()).await?;
        }
        done.kinds = rejects.kinds().clone();
        Ok(done)
    }
}

/// How wide the vectors of a set are; `None` if there is no such set.
async fn width_of(store: &Arc<dyn Store>, name: &str) -> Result<Option<usize>, ImportError> {
    let models = store.embedding_models().await?;
    Ok(models.into_iter().find(|model| model.name == name).map(|model| model.width))
}

/// What a row must fit.
struct Checks {
    known: Known,
    /// That of the set, else of the first good row.
    width: Option<usize>,
}

impl Checks {
    /// Reads everything, batch by batch, until the end or until nobody listens.
    fn run(mut self, mut rows: sona_formats::Rows<VectorRow>, batches: &Sender<Batch>) {
        let mut batch = Batch::default();
        while let Some(row) = rows.next() {
            match row {
                Ok(row) => match self.check(&row.entity, row.vector.len()) {
                    Ok(()) => {
                        batch.numbers += row.vector.len();
                        match &row.entity {
                            Entity::Content(_) => batch.good.push(row),
                            Entity::User(id) => {
                                let unknown = format!("there is no user {id:?}; write them first");
                                batch.of_users.push((row, rows.refuse(USER_ID, unknown)));
                            }
                        }
                    }
                    Err((column, reason)) => batch.rejected.push(rows.refuse(column, reason)),
                },
                Err(rejected) => batch.rejected.push(rejected),
            }
            if batch.is_full() && batches.blocking_send(std::mem::take(&mut batch)).is_err() {
                return;
            }
        }
        // Nobody who listens no more misses it.
        let _ = batches.blocking_send(batch);
    }

    fn check(&mut self, entity: &Entity, width: usize) -> Result<(), (&'static str, String)> {
        if let Entity::Content(id) = entity
            && !self.known.has(id)
        {
            let reason = format!("{id:?} is not in the catalogue; import the catalogue first");
            return Err((CONTENT_ID, reason));
        }
        let expected = *self.width.get_or_insert(width);
        if width == expected {
            return Ok(());
        }
        Err((VECTOR, format!("expected {expected} numbers as the others have, found {width}")))
    }
}
