//! Vectors in SQLite.

use async_trait::async_trait;
use sona_domain::{Embedding, EmbeddingModel, Entity, EntityType, Timestamp};
use sqlx::SqliteConnection;

use super::{SqliteStore, written_users};
use crate::embeddings::{
    EmbeddingRow, Embeddings, ModelRow, Written, check_width, common_width, of_type,
};
use crate::error::{Error, Result};
use crate::row::{json_text, sql_limit};

#[async_trait]
impl Embeddings for SqliteStore {
    async fn put_embeddings(
        &self,
        model: &str,
        embeddings: &[Embedding],
        now: Timestamp,
    ) -> Result<()> {
        let Some(width) = common_width(embeddings)? else { return Ok(()) };
        let mut transaction = self.write().await?;
        check_width(width, add_model(&mut transaction, model, width, now).await?)?;
        for (entity_type, statement) in
            [(EntityType::Content, PUT_CONTENT), (EntityType::User, PUT_USER)]
        {
            for Written { id, vector, source_digest } in of_type(embeddings, entity_type) {
                sqlx::query(statement)
                    .bind(model)
                    .bind(entity_type.as_str())
                    .bind(id)
                    .bind(width as i64)
                    .bind(vector)
                    .bind(source_digest)
                    .bind(now.as_micros())
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        let users = of_type(embeddings, EntityType::User);
        if !users.is_empty() {
            let users: Vec<_> = users.iter().map(|written| written.id).collect();
            written_users::note_vectors(&mut transaction, &users).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn embeddings_of(&self, model: &str, entities: &[Entity]) -> Result<Vec<Embedding>> {
        let mut found = Vec::with_capacity(entities.len());
        for entity_type in [EntityType::Content, EntityType::User] {
            let of_type = entities.iter().filter(|entity| entity.kind() == entity_type);
            let ids: Vec<_> = of_type.map(Entity::id).collect();
            if ids.is_empty() {
                continue;
            }
            let rows: Vec<EmbeddingRow> = sqlx::query_as(
                "SELECT entity_id, vector, source_digest FROM embeddings
                 WHERE model_name = ?1 AND entity_type = ?2
                     AND entity_id IN (SELECT value FROM json_each(?3))",
            )
            .bind(model)
            .bind(entity_type.as_str())
            .bind(json_text(&ids))
            .fetch_all(&self.readers)
            .await?;
            for row in rows {
                found.push(row.read(entity_type)?);
            }
        }
        Ok(found)
    }

    async fn embeddings_after(
        &self,
        model: &str,
        entity_type: EntityType,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Embedding>> {
        let rows: Vec<EmbeddingRow> = sqlx::query_as(
            "SELECT entity_id, vector, source_digest FROM embeddings
             WHERE model_name = ?1 AND entity_type = ?2 AND entity_id > ?3
             ORDER BY entity_id LIMIT ?4",
        )
        .bind(model)
        .bind(entity_type.as_str())
        .bind(after)
        .bind(sql_limit(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(|row| row.read(entity_type)).collect()
    }

    async fn complete_embeddings(&self, model: &str, width: usize, now: Timestamp) -> Result<()> {
        let mut transaction = self.write().await?;
        check_width(width, add_model(&mut transaction, model, width, now).await?)?;
        sqlx::query(
            "UPDATE embedding_models SET completed_at = ?2
             WHERE model_name = ?1",
        )
        .bind(model)
        .bind(now.as_micros())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn embedding_models(&self) -> Result<Vec<EmbeddingModel>> {
        let rows: Vec<ModelRow> = sqlx::query_as(
            "SELECT model_name, width, completed_at FROM embedding_models
             ORDER BY created_at, model_name",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(ModelRow::read).collect()
    }

    async fn delete_embeddings(&self, model: &str) -> Result<bool> {
        let mut transaction = self.write().await?;
        written_users::note_deletion(&mut transaction, model).await?;
        let deleted = sqlx::query("DELETE FROM embedding_models WHERE model_name = ?1")
            .bind(model)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected() == 1)
    }
}

/// Adds the model if it is new, and answers how wide its vectors are.
async fn add_model(
    connection: &mut SqliteConnection,
    model: &str,
    width: usize,
    now: Timestamp,
) -> Result<usize> {
    let width: i64 = sqlx::query_scalar(
        "INSERT INTO embedding_models (model_name, width, created_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (model_name) DO UPDATE SET width = width RETURNING width",
    )
    .bind(model)
    .bind(width as i64)
    .bind(now.as_micros())
    .fetch_one(connection)
    .await?;
    usize::try_from(width).map_err(Error::corrupt("embedding_models.width"))
}

/// The statement that writes a vector if `exists` finds what it stands for.
macro_rules! put {
    ($exists:literal) => {
        concat!(
            "INSERT INTO embeddings
                 (model_name, entity_type, entity_id, width, vector, source_digest, updated_at)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS (",
            $exists,
            ") ON CONFLICT (model_name, entity_type, entity_id) DO UPDATE SET
                 vector = excluded.vector, source_digest = excluded.source_digest,
                 updated_at = excluded.updated_at"
        )
    };
}

const PUT_CONTENT: &str = put!("SELECT 1 FROM content WHERE content_id = ?3 AND NOT deleted");

const PUT_USER: &str = put!("SELECT 1 FROM users WHERE user_id = ?3");
