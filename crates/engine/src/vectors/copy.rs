//! Keeping the index outside of this process in step with the vectors in memory.
//!
//! Every process that serves does so by itself. They write the same, so that it does not matter who is first, and what one
//! of them writes that is out of date the same one replaces when it has heard of the change.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sona_domain::ContentId;
use sona_numeric::rows::RowSet;
use sona_store::vectors::{Point, VectorSet};

use super::elsewhere::{Copied, Elsewhere};
use crate::Engine;
use crate::error::Result;

/// Titles of the index looked at together.
const PAGE: u32 = 1000;

/// Vectors written together.
const BATCH: usize = 256;

/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Copies until the engine is closed or gone. What fails is tried again.
pub(crate) async fn copy(engine: Weak<Engine>, elsewhere: Arc<Elsewhere>, period: Duration) {
    loop {
        let _ = tokio::time::timeout(period, elsewhere.journal.noted()).await;
        let Some(engine) = engine.upgrade() else { return };
        if engine.follower.is_stopped() {
            return;
        }
        let error = engine.bring_in_step(&elsewhere).await.err().map(|error| error.to_string());
        let failed = error.is_some();
        elsewhere.note_copy(error);
        drop(engine);
        if failed {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Engine {
    /// Copies all vectors if the index has none or others of them, else those that changed.
    async fn bring_in_step(&self, elsewhere: &Elsewhere) -> Result<()> {
        let (set, generation) = self.set_in_memory();
        if generation == 0 {
            return Ok(());
        }
        if elsewhere.copied().generation != generation {
            // Those of an encoder that is on its way out: others may have dropped its set already.
            if self.encoder_name().await?.as_ref() != Some(&set.encoder) {
                return Ok(());
            }
            let copied = self.copy_all(elsewhere, (&set, generation)).await?;
            *elsewhere.copied_mut() = copied;
            tracing::info!(encoder = set.encoder, "the vector index has all vectors");
        }
        if elsewhere.tidied.load(Ordering::Relaxed) != generation {
            // This set serves now; that of the encoder before is of no more use.
            elsewhere.index.keep_only(&set).await?;
            elsewhere.tidied.store(generation, Ordering::Relaxed);
        }
        let sent = self.copy_changes(elsewhere, (&set, generation)).await;
        if matches!(sent, Err(crate::Error::Store(sona_store::Error::NoSet(_)))) {
            *elsewhere.copied_mut() = Copied::default();
        }
        sent
    }

    fn set_in_memory(&self) -> (VectorSet, u64) {
        let vectors = self.vectors();
        let set = VectorSet { encoder: vectors.encoder().to_owned(), width: vectors.width() };
        (set, vectors.generation())
    }

    /// Makes the set what the vectors in memory are: titles it should not have are taken out, those it lacks or that are of
    /// other texts are written.
    async fn copy_all(
        &self,
        elsewhere: &Elsewhere,
        (set, generation): (&VectorSet, u64),
    ) -> Result<Copied> {
        elsewhere.index.create(set).await?;
        let mut copied = Copied::of(generation);
        let mut from = None;
        loop {
            let page = elsewhere.index.page(set, from.as_deref(), PAGE).await?;
            let gone = self.compare(&mut copied, page.titles);
            elsewhere.index.remove(set, &gone).await?;
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        let mut missing: RowSet = self.vectors().all().clone();
        missing.subtract(copied.rows());
        let missing: Vec<_> = missing.iter().collect();
        for rows in missing.chunks(BATCH) {
            let points = self.points(rows, generation);
            self.write(elsewhere, set, &mut copied, points).await?;
        }
        Ok(copied)
    }

    /// Notes those of the index's titles that are as they should be; answers those it should not have.
    fn compare(&self, copied: &mut Copied, titles: Vec<(ContentId, [u8; 32])>) -> Vec<ContentId> {
        let vectors = self.vectors();
        let mut gone = Vec::new();
        for (title, digest) in titles {
            let row = self.catalogue.row(&title);
            match row.and_then(|row| Some((row, vectors.made_from(row)?))) {
                Some((row, made_from)) if *made_from == digest => copied.insert(row, title),
                Some(_) => {}
                None => gone.push(title),
            }
        }
        gone
    }

    /// Sends what waits in the journal, as long as these vectors are the ones in memory.
    async fn copy_changes(
        &self,
        elsewhere: &Elsewhere,
        (set, generation): (&VectorSet, u64),
    ) -> Result<()> {
        loop {
            let changes = elsewhere.journal.some(BATCH);
            if changes.is_empty() || self.vectors().generation() != generation {
                return Ok(());
            }
            let rows: Vec<_> = changes.iter().map(|(row, _)| *row).collect();
            let points = self.points(&rows, generation);
            let is_gone = |row: &&u32| !points.iter().any(|(there, _)| there == *row);
            let gone: Vec<_> = rows.iter().filter(is_gone).copied().collect();
            let titles: Vec<_> = {
                let copied = elsewhere.copied();
                gone.iter().filter_map(|row| copied.title(*row).cloned()).collect()
            };
            elsewhere.index.remove(set, &titles).await?;
            let mut written = Copied::default();
            let rows: Vec<_> = points.iter().map(|(row, _)| *row).collect();
            self.write(elsewhere, set, &mut written, points).await?;
            let mut copied = elsewhere.copied_mut();
            for row in gone {
                copied.remove(row);
            }
            for row in rows {
                if let Some(title) = written.title(row) {
                    copied.insert(row, title.clone());
                }
            }
            drop(copied);
            elsewhere.journal.done(&changes);
        }
    }

    /// Those of `rows` that have a vector, and an entry, with it.
    fn points(&self, rows: &[u32], generation: u64) -> Vec<(u32, Point)> {
        let view = self.catalogue.latest();
        let vectors = self.vectors();
        if vectors.generation() != generation {
            return Vec::new();
        }
        let point = |row: u32| {
            let point = Point {
                content_id: view.get(row)?.content_id.clone(),
                vector: vectors.get(row)?.to_vec(),
                source_digest: *vectors.made_from(row)?,
            };
            Some((row, point))
        };
        rows.iter().filter_map(|row| point(*row)).collect()
    }

    async fn write(
        &self,
        elsewhere: &Elsewhere,
        set: &VectorSet,
        copied: &mut Copied,
        points: Vec<(u32, Point)>,
    ) -> Result<()> {
        let (rows, points): (Vec<_>, Vec<_>) = points.into_iter().unzip();
        elsewhere.index.upsert(set, &points).await?;
        for (row, point) in rows.into_iter().zip(points) {
            copied.insert(row, point.content_id);
        }
        Ok(())
    }
}
