//! The catalogue's public face: read, write, delete.

use std::sync::Arc;

use sona_domain::{Content, ContentId};

use crate::Engine;
use crate::error::{Error, Result};

/// How an entry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteContent {
    /// It must be new.
    Create,
    /// It must exist.
    Update,
    /// Either.
    Upsert,
}

impl Engine {
    /// One entry.
    pub fn content(&self, id: &ContentId) -> Option<Arc<Content>> {
        let row = self.catalogue.row(id)?;
        self.catalogue.latest().get(row).cloned()
    }

    /// Writes one entry; when this returns every list sees it.
    pub async fn write_content(&self, content: &Content, how: WriteContent) -> Result<()> {
        let (id, now) = (&content.content_id, self.clock.now());
        match how {
            WriteContent::Create => {
                if self.store.insert_content(content, now).await?.is_none() {
                    return Err(Error::ContentExists(id.clone()));
                }
            }
            WriteContent::Update => {
                if self.store.content(id).await?.is_none() {
                    return Err(Error::UnknownContent(id.clone()));
                }
                self.store.put_content(std::slice::from_ref(content), now).await?;
            }
            WriteContent::Upsert => {
                self.store.put_content(std::slice::from_ref(content), now).await?;
            }
        }
        self.follow_catalogue().await
    }

    /// Adds or replaces entries, all or none.
    pub async fn put_content(&self, content: &[Content]) -> Result<()> {
        self.store.put_content(content, self.clock.now()).await?;
        self.follow_catalogue().await
    }

    /// Deletes an entry; it is in no list from now on. `false` if there was none.
    pub async fn delete_content(&self, id: &ContentId) -> Result<bool> {
        let deleted = self.store.delete_content(id, self.clock.now()).await?.is_some();
        self.follow_catalogue().await?;
        Ok(deleted)
    }
}
