//! Vectors of content and of users, by the model that made them.

use std::collections::HashMap;

use async_trait::async_trait;
use sona_domain::embedding::MAX_EMBEDDING_WIDTH;
use sona_domain::{ContentId, Embedding, EmbeddingModel, Entity, EntityType, Timestamp, UserId};

use crate::error::{Error, Result};
use crate::row::{bytes_of, floats_of};

/// The vectors. They go with what they stand for: with a catalogue entry when it is deleted, with a user when they are
/// removed.
#[async_trait]
pub trait Embeddings: Send + Sync {
    /// Adds or replaces vectors of `model`, all or none; of several of one entity the last counts. One whose content or user
    /// does not exist is skipped. The first vectors of a model say how wide all of its are. Of users it is noted that something
    /// was written of them ([`crate::WrittenUsers`]), also by [`Embeddings::delete_embeddings`].
    ///
    /// # Errors
    /// [`Error::Invalid`] if a vector has another width than its model's others, or a number that is not finite.
    async fn put_embeddings(
        &self,
        model: &str,
        embeddings: &[Embedding],
        now: Timestamp,
    ) -> Result<()>;

    /// The vectors `model` has of `entities`, in no order.
    async fn embeddings_of(&self, model: &str, entities: &[Entity]) -> Result<Vec<Embedding>>;

    /// Up to `limit` vectors `model` has of entities of one type whose ids come after `after` in the order of their bytes, in
    /// that order.
    async fn embeddings_after(
        &self,
        model: &str,
        entity_type: EntityType,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Embedding>>;

    /// Notes that `model`, whose vectors are `width` wide, has one of every catalogue entry that can have one, as of now.
    ///
    /// # Errors
    /// [`Error::Invalid`] if its vectors have another width.
    async fn complete_embeddings(&self, model: &str, width: usize, now: Timestamp) -> Result<()>;

    /// The models of which there are vectors, or were when they were completed; the oldest first.
    async fn embedding_models(&self) -> Result<Vec<EmbeddingModel>>;

    /// Deletes a model's vectors; `false` if there is no such model.
    async fn delete_embeddings(&self, model: &str) -> Result<bool>;
}

/// What is written of one vector.
pub(crate) struct Written<'e> {
    pub(crate) id: &'e str,
    pub(crate) vector: Vec<u8>,
    pub(crate) source_digest: &'e [u8],
}

/// The width `embeddings` have in common; `None` if there are none.
pub(crate) fn common_width(embeddings: &[Embedding]) -> Result<Option<usize>> {
    let Some(width) = embeddings.first().map(|first| first.vector.len()) else { return Ok(None) };
    for Embedding { entity, vector, .. } in embeddings {
        if !vector.iter().all(|number| number.is_finite()) {
            let id = entity.id();
            return Err(Error::Invalid(format!(
                "the vector of {id:?}: every number must be finite"
            )));
        }
        check_width(vector.len(), width)?;
    }
    if !(1..=MAX_EMBEDDING_WIDTH).contains(&width) {
        let refused = format!("a vector has 1 to {MAX_EMBEDDING_WIDTH} numbers, not {width}");
        return Err(Error::Invalid(refused));
    }
    Ok(Some(width))
}

/// Refuses a width that is not the model's.
pub(crate) fn check_width(found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Invalid(format!("a vector of {found} numbers among vectors of {expected}")))
}

/// The vectors of one type, of each entity the last, in the order of their ids.
pub(crate) fn of_type(embeddings: &[Embedding], entity_type: EntityType) -> Vec<Written<'_>> {
    let mut last: HashMap<&str, &Embedding> = HashMap::new();
    for embedding in embeddings.iter().filter(|e| e.entity.kind() == entity_type) {
        last.insert(embedding.entity.id(), embedding);
    }
    let mut written: Vec<_> = last
        .into_iter()
        .map(|(id, embedding)| Written {
            id,
            vector: bytes_of(&embedding.vector),
            source_digest: &embedding.source_digest,
        })
        .collect();
    written.sort_unstable_by_key(|written| written.id);
    written
}

/// A row of `embeddings`.
#[derive(sqlx::FromRow)]
pub(crate) struct EmbeddingRow {
    entity_id: String,
    vector: Vec<u8>,
    source_digest: Vec<u8>,
}

impl EmbeddingRow {
    pub(crate) fn read(self, entity_type: EntityType) -> Result<Embedding> {
        let id = self.entity_id;
        let entity = match entity_type {
            EntityType::Content => ContentId::new(id).map(Entity::Content),
            EntityType::User => UserId::new(id).map(Entity::User),
        };
        Ok(Embedding {
            entity: entity.map_err(Error::corrupt("embeddings.entity_id"))?,
            vector: floats_of(&self.vector, "embeddings.vector")?,
            source_digest: <[u8; 32]>::try_from(self.source_digest.as_slice())
                .map_err(Error::corrupt("embeddings.source_digest"))?,
        })
    }
}

/// A row of `embedding_models`.
#[derive(sqlx::FromRow)]
pub(crate) struct ModelRow {
    model_name: String,
    width: i64,
    completed_at: Option<i64>,
}

impl ModelRow {
    pub(crate) fn read(self) -> Result<EmbeddingModel> {
        Ok(EmbeddingModel {
            name: self.model_name,
            width: usize::try_from(self.width).map_err(Error::corrupt("embedding_models.width"))?,
            completed_at: self.completed_at.map(Timestamp::from_micros),
        })
    }
}
