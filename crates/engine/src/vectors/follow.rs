//! Keeping the vectors in memory up to date with the catalogue, the store and the encoder in use.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use sha2::{Digest, Sha256};
use sona_domain::{Content, ContentId, Embedding, EmbeddingModel, Entity, EntityType};
use tokio::sync::Notify;

use super::{TextDigest, Vectors};
use crate::Engine;
use crate::catalogue::View;
use crate::encoder::{Ready, encode_each, text_of};
use crate::error::Result;

/// Vectors read from the store at once.
const PAGE: usize = 1000;

/// Texts encoded and stored at once.
pub(super) const BATCH: usize = 128;

/// What has to be looked at.
#[derive(Default)]
pub(crate) struct Follower {
    /// Rows whose entries changed.
    changed: Mutex<HashSet<u32>>,
    wake: Notify,
    stopped: AtomicBool,
}

impl Follower {
    /// Notes rows whose entries changed.
    pub(crate) fn changed(&self, rows: &[u32]) {
        self.set().extend(rows);
        self.wake.notify_one();
    }

    /// Looks at once for what was stored.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Whether it was ended.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Ends the task.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Up to `limit` rows that wait; they wait no more.
    pub(super) fn take(&self, limit: usize) -> Vec<u32> {
        let mut changed = self.set();
        let rows: Vec<_> = changed.iter().copied().take(limit).collect();
        for row in &rows {
            changed.remove(row);
        }
        rows
    }

    pub(super) fn set(&self) -> std::sync::MutexGuard<'_, HashSet<u32>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An entry's text, with what tells it from its earlier ones.
pub(super) struct Input {
    pub(super) id: ContentId,
    pub(super) text: String,
    pub(super) digest: TextDigest,
}

impl Input {
    pub(super) fn of(content: &Content) -> Self {
        let text = text_of(content);
        let digest = Sha256::digest(&text).into();
        Self { id: content.content_id.clone(), text, digest }
    }
}

/// Follows until the engine is closed or gone. What fails is tried again at the next turn.
pub(crate) async fn follow(engine: Weak<Engine>, follower: Arc<Follower>, period: Duration) {
    // The encoder whose vectors are in memory; it outlives its being replaced until the other's vectors are there.
    let mut encoder = None;
    let mut failure = None;
    loop {
        // Whichever is first; a turn too many does no harm.
        let _ = tokio::time::timeout(period, follower.wake.notified()).await;
        let Some(engine) = engine.upgrade() else { return };
        if follower.is_stopped() {
            return;
        }
        let error = engine.follow_vectors(&mut encoder).await.err().map(|e| e.to_string());
        if failure != error {
            if let Some(error) = &error {
                tracing::warn!(%error, "the vectors of titles cannot be brought up to date");
            }
            failure = error;
        }
    }
}

impl Engine {
    /// Reads the vectors of the encoder in use if they are complete and not in memory yet, then sees to the entries that
    /// changed.
    async fn follow_vectors(&self, encoder: &mut Option<Arc<Ready>>) -> Result<()> {
        self.load_vectors().await?;
        if self.encoders.imported().is_some() {
            return self.follow_imported().await;
        }
        loop {
            let resident = self.vectors().encoder().to_owned();
            if let Some(ready) = self.encoders.ready().filter(|ready| ready.name() == resident) {
                *encoder = Some(ready);
            }
            let Some(ready) = encoder.as_ref().filter(|ready| ready.name() == resident) else {
                return Ok(());
            };
            let rows = self.follower.take(BATCH);
            if rows.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.renew_vectors(ready, &rows).await {
                self.follower.set().extend(rows);
                return Err(error);
            }
        }
    }

    /// Puts the stored vectors of the encoder in use in the place of those in memory, if every entry has had one; those of
    /// an imported set whenever more were imported.
    pub(crate) async fn load_vectors(&self) -> Result<()> {
        let Some(name) = self.encoder_name().await? else { return Ok(()) };
        let is_resident = self.vectors().encoder() == name;
        if is_resident && self.encoders.imported().is_none() {
            return Ok(());
        }
        let models = self.store.embedding_models().await?;
        let complete = |model: &EmbeddingModel| model.name == name && model.completed_at.is_some();
        let Some(model) = models.into_iter().find(complete) else { return Ok(()) };
        if is_resident && self.vectors().completed_at == model.completed_at {
            return Ok(());
        }
        let mut vectors = Vectors::new(name.clone(), model.width);
        vectors.completed_at = model.completed_at;
        let mut after = String::new();
        loop {
            let page =
                self.store.embeddings_after(&name, EntityType::Content, &after, PAGE).await?;
            let Some(last) = page.last() else { break };
            last.entity.id().clone_into(&mut after);
            for Embedding { entity, vector, source_digest } in page {
                let Entity::Content(id) = entity else { continue };
                // One that the catalogue has not met yet is looked at once it does.
                if let Some(row) = self.catalogue.row(&id) {
                    vectors.put(row, &vector, source_digest);
                }
            }
        }
        tracing::info!(encoder = name, titles = vectors.len(), "using the vectors of titles");
        if let Some(elsewhere) = &self.elsewhere {
            vectors = vectors.told_to(elsewhere);
            elsewhere.wake();
        }
        let mut rows: Vec<_> = vectors.rows().collect();
        *self.vectors_mut() = vectors;
        // What was written or deleted while the vectors were made or read.
        let view = self.catalogue.latest();
        rows.extend(view.iter().map(|(row, _)| row));
        self.follower.changed(&rows);
        Ok(())
    }

    /// Gives changed rows their vectors: none to what is gone, those stored, the others by `ready`, which stores them.
    async fn renew_vectors(&self, ready: &Arc<Ready>, rows: &[u32]) -> Result<()> {
        let view = self.catalogue.latest();
        let mut texts = self.outdated(&view, rows);
        if texts.is_empty() {
            return Ok(());
        }
        let stored = self.stored_vectors(ready.name(), texts.iter().map(|(_, text)| text)).await?;
        let mut fresh = Vec::new();
        texts.retain(|(row, text)| {
            let found = stored.iter().find(|e| is_of(e, text));
            fresh.extend(found.map(|e| (*row, text.digest, e.vector.clone())));
            found.is_none()
        });
        let (rows, texts): (Vec<_>, Vec<_>) = texts.into_iter().unzip();
        let digests: Vec<_> = texts.iter().map(|text| text.digest).collect();
        let made = self.embed(ready, texts).await?;
        fresh.extend(
            rows.iter().zip(&digests).zip(made).filter_map(|((r, d), v)| Some((*r, *d, v?))),
        );
        let mut vectors = self.vectors_mut();
        if vectors.encoder() == ready.name() {
            for row in rows {
                vectors.remove(row);
            }
            for (row, digest, vector) in fresh {
                vectors.put(row, &vector, digest);
            }
        }
        Ok(())
    }

    /// The texts of those of `rows` whose vectors are of other texts; vectors of rows without an entry are taken away.
    fn outdated(&self, view: &View, rows: &[u32]) -> Vec<(u32, Input)> {
        let mut texts = Vec::new();
        let mut gone = Vec::new();
        let vectors = self.vectors();
        for row in rows {
            match view.get(*row).map(|content| Input::of(content)) {
                Some(text) if vectors.made_from(*row) == Some(&text.digest) => {}
                Some(text) => texts.push((*row, text)),
                None => gone.push(*row),
            }
        }
        drop(vectors);
        if !gone.is_empty() {
            let mut vectors = self.vectors_mut();
            for row in gone {
                vectors.remove(row);
            }
        }
        texts
    }

    /// The vectors the store has of these entries, whatever their texts were.
    pub(super) async fn stored_vectors(
        &self,
        encoder: &str,
        texts: impl Iterator<Item = &Input>,
    ) -> Result<Vec<Embedding>> {
        let entities: Vec<_> = texts.map(|text| Entity::Content(text.id.clone())).collect();
        Ok(self.store.embeddings_of(encoder, &entities).await?)
    }

    /// Encodes texts and stores the vectors; `None` for a text of which the encoder makes none.
    pub(super) async fn embed(
        &self,
        ready: &Arc<Ready>,
        texts: Vec<Input>,
    ) -> Result<Vec<Option<Vec<f32>>>> {
        let worker = ready.clone();
        let strings: Vec<_> = texts.iter().map(|text| text.text.clone()).collect();
        let work = move || encode_each(worker.encoder(), &strings);
        let vectors = tokio::task::spawn_blocking(work).await.expect("encoding does not panic")?;
        let embeddings: Vec<_> = texts
            .into_iter()
            .zip(&vectors)
            .filter_map(|(text, vector)| {
                Some(Embedding {
                    entity: Entity::Content(text.id),
                    vector: vector.clone()?,
                    source_digest: text.digest,
                })
            })
            .collect();
        self.store.put_embeddings(ready.name(), &embeddings, self.clock.now()).await?;
        Ok(vectors)
    }
}

/// Whether a stored vector is of this entry and of this text.
pub(super) fn is_of(embedding: &Embedding, text: &Input) -> bool {
    embedding.entity.id() == text.id.as_str() && embedding.source_digest == text.digest
}
