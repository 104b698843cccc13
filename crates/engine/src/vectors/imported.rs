//! Vectors that were made elsewhere: taken in as a set with a name, and kept up to date in memory where that set is in use.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use sona_domain::{Embedding, Entity, EntityType};

use super::TextDigest;
use super::follow::BATCH;
use crate::Engine;
use crate::error::{Error, Result};

/// An imported vector, ready to be stored. Nothing is known of what it was made from, so its digest is its own.
pub(crate) fn imported(entity: Entity, vector: Vec<f32>) -> Embedding {
    let source_digest = digest(&vector);
    Embedding { entity, vector, source_digest }
}

fn digest(vector: &[f32]) -> TextDigest {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    Sha256::digest(bytes).into()
}

impl Engine {
    /// Adds or replaces vectors of the imported set `name` ([`sona_domain::embedding::imported`]), all or none, of titles
    /// and users that exist; if the set is in use they are when this returns. Of several of one of them the last counts.
    ///
    /// # Errors
    /// [`Error::UnknownContent`] if the catalogue has no such title; [`Error::UnknownUser`] if there is no such user;
    /// [`Error::Width`] if a vector is not as wide as those of the set.
    pub async fn put_vectors<E: Into<Entity>>(
        self: &Arc<Self>,
        name: &str,
        vectors: Vec<(E, Vec<f32>)>,
    ) -> Result<()> {
        let vectors = vectors.into_iter().map(|(entity, vector)| imported(entity.into(), vector));
        let vectors: Vec<_> = vectors.collect();
        let Some(first) = vectors.first() else { return Ok(()) };
        let width = self.set_width(name).await?.unwrap_or(first.vector.len());
        if let Some(other) = vectors.iter().find(|other| other.vector.len() != width) {
            return Err(Error::Width { expected: width, found: other.vector.len() });
        }
        self.check_known(&vectors).await?;
        let now = self.clock.now();
        self.store.put_embeddings(name, &vectors, now).await?;
        let (titles, users): (Vec<_>, Vec<_>) =
            vectors.into_iter().partition(|vector| vector.entity.kind() == EntityType::Content);
        if !users.is_empty() {
            self.see_user_writes().await?;
        }
        if titles.is_empty() {
            return Ok(());
        }
        self.store.complete_embeddings(name, width, now).await?;
        self.take_in(name, titles);
        if self.encoders.imported() == Some(name) && self.vectors().encoder() != name {
            self.load_vectors().await?;
        }
        // Who else wrote to the set meanwhile is found out beside the requests.
        self.follower.wake();
        Ok(())
    }

    /// Sees to it that there is everything that vectors are of.
    async fn check_known(&self, vectors: &[Embedding]) -> Result<()> {
        let mut users = Vec::new();
        for vector in vectors {
            match &vector.entity {
                Entity::Content(id) if self.content(id).is_none() => {
                    return Err(Error::UnknownContent(id.clone()));
                }
                Entity::Content(_) => {}
                Entity::User(id) => users.push(id.clone()),
            }
        }
        if users.is_empty() {
            return Ok(());
        }
        let known = self.store.known_users(&users).await?;
        match users.into_iter().find(|user| !known.contains(user)) {
            Some(unknown) => Err(Error::UnknownUser(unknown)),
            None => Ok(()),
        }
    }

    /// How wide the vectors of a set are; `None` if there is no such set.
    async fn set_width(&self, name: &str) -> Result<Option<usize>> {
        let models = self.store.embedding_models().await?;
        Ok(models.into_iter().find(|model| model.name == name).map(|model| model.width))
    }

    /// Puts vectors of a set into memory, if it is the one there.
    fn take_in(&self, name: &str, embeddings: Vec<Embedding>) {
        let mut vectors = self.vectors_mut();
        if vectors.encoder() != name {
            return;
        }
        for Embedding { entity, vector, source_digest } in embeddings {
            let Entity::Content(id) = entity else { continue };
            if let Some(row) = self.catalogue.row(&id) {
                vectors.put(row, &vector, source_digest);
            }
        }
    }

    /// Sees to the entries that changed: what is gone has no vector any more, what is new may have one in the store.
    pub(super) async fn follow_imported(&self) -> Result<()> {
        let name = self.vectors().encoder().to_owned();
        if self.encoders.imported() != Some(name.as_str()) {
            return Ok(());
        }
        loop {
            let rows = self.follower.take(BATCH);
            if rows.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.renew_imported(&name, &rows).await {
                self.follower.set().extend(rows);
                return Err(error);
            }
        }
    }

    async fn renew_imported(&self, name: &str, rows: &[u32]) -> Result<()> {
        let view = self.catalogue.latest();
        let (mut gone, mut without) = (Vec::new(), Vec::new());
        {
            let vectors = self.vectors();
            for row in rows {
                match view.get(*row) {
                    Some(_) if vectors.get(*row).is_some() => {}
                    Some(content) => without.push(Entity::Content(content.content_id.clone())),
                    None => gone.push(*row),
                }
            }
        }
        let stored = self.store.embeddings_of(name, &without).await?;
        self.take_in(name, stored);
        if !gone.is_empty() {
            let mut vectors = self.vectors_mut();
            for row in gone {
                vectors.remove(row);
            }
        }
        Ok(())
    }
}
