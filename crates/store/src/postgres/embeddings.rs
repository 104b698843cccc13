//! Vectors in PostgreSQL.

use async_trait::async_trait;
use sona_domain::{Embedding, EmbeddingModel, Entity, EntityType, Timestamp};
use sqlx::PgConnection;

use super::{PostgresStore, content, locked_head, written_users};
use crate::embeddings::{
    EmbeddingRow, Embeddings, ModelRow, Written, check_width, common_width, of_type,
};
use crate::error::{Error, Result};
use crate::row::sql_limit;
use crate::written_users::LOG;

#[async_trait]
impl Embeddings for PostgresStore {
    async fn put_embeddings(
        &self,
        model: &str,
        embeddings: &[Embedding],
        now: Timestamp,
    ) -> Result<()> {
        let Some(width) = common_width(embeddings)? else { return Ok(()) };
        let mut transaction = self.begin().await?;
        let of_content = of_type(embeddings, EntityType::Content);
        if !of_content.is_empty() {
            // No entry may be deleted between the look at it and the commit; whoever deletes holds this lock too.
            locked_head(&mut transaction, content::LOG).await?;
        }
        let of_users = of_type(embeddings, EntityType::User);
        let users: Vec<_> = of_users.iter().map(|written| written.id).collect();
        // As all heads before the users.
        let last =
            if users.is_empty() { None } else { Some(locked_head(&mut transaction, LOG).await?) };
        check_width(width, add_model(&mut transaction, model, width, now).await?)?;
        for (written, statement) in [(of_content, PUT_CONTENT), (of_users, PUT_USERS)] {
            put(&mut transaction, model, width, &written, statement, now).await?;
        }
        if let Some(last) = last {
            written_users::note_vectors(&mut transaction, &users, last).await?;
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
                 WHERE model_name = $1 AND entity_type = $2 AND entity_id = ANY ($3)",
            )
            .bind(model)
            .bind(entity_type.as_str())
            .bind(ids)
            .fetch_all(&self.pool)
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
             WHERE model_name = $1 AND entity_type = $2 AND entity_id > $3
             ORDER BY entity_id LIMIT $4",
        )
        .bind(model)
        .bind(entity_type.as_str())
        .bind(after)
        .bind(sql_limit(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|row| row.read(entity_type)).collect()
    }

    async fn complete_embeddings(&self, model: &str, width: usize, now: Timestamp) -> Result<()> {
        let mut transaction = self.begin().await?;
        check_width(width, add_model(&mut transaction, model, width, now).await?)?;
        sqlx::query(
            "UPDATE embedding_models SET completed_at = $2
             WHERE model_name = $1",
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
            "SELECT model_name, width::BIGINT AS width, completed_at FROM embedding_models
             ORDER BY created_at, model_name",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(ModelRow::read).collect()
    }

    async fn delete_embeddings(&self, model: &str) -> Result<bool> {
        let mut transaction = self.begin().await?;
        written_users::note_deletion(&mut transaction, model).await?;
        let deleted = sqlx::query("DELETE FROM embedding_models WHERE model_name = $1")
            .bind(model)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected() == 1)
    }
}

/// Adds the model if it is new, and answers how wide its vectors are. It cannot be deleted until the transaction ends.
async fn add_model(
    connection: &mut PgConnection,
    model: &str,
    width: usize,
    now: Timestamp,
) -> Result<usize> {
    let width: i32 = sqlx::query_scalar(
        "INSERT INTO embedding_models (model_name, width, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (model_name) DO UPDATE SET width = embedding_models.width RETURNING width",
    )
    .bind(model)
    .bind(width as i32)
    .bind(now.as_micros())
    .fetch_one(connection)
    .await?;
    usize::try_from(width).map_err(Error::corrupt("embedding_models.width"))
}

async fn put(
    connection: &mut PgConnection,
    model: &str,
    width: usize,
    written: &[Written<'_>],
    statement: &'static str,
    now: Timestamp,
) -> Result<()> {
    if written.is_empty() {
        return Ok(());
    }
    sqlx::query(statement)
        .bind(written.iter().map(|written| written.id).collect::<Vec<_>>())
        .bind(written.iter().map(|written| written.vector.as_slice()).collect::<Vec<_>>())
        .bind(written.iter().map(|written| written.source_digest).collect::<Vec<_>>())
        .bind(model)
        .bind(width as i32)
        .bind(now.as_micros())
        .execute(connection)
        .await?;
    Ok(())
}

/// The statement that writes the vectors of those that `present` finds.
macro_rules! put {
    ($entity_type:literal, $present:literal) => {
        concat!(
            "WITH present AS MATERIALIZED (",
            $present,
            ")
             INSERT INTO embeddings
                 (model_name, entity_type, entity_id, width, vector, source_digest, updated_at)
             SELECT $4, '",
            $entity_type,
            "', given.entity_id, $5, vector, source_digest, $6
             FROM unnest($1, $2, $3) AS given (entity_id, vector, source_digest)
             JOIN present ON present.entity_id = given.entity_id
             ORDER BY given.entity_id
             ON CONFLICT (model_name, entity_type, entity_id) DO UPDATE SET
                 vector = excluded.vector, source_digest = excluded.source_digest,
                 updated_at = excluded.updated_at"
        )
    };
}

const PUT_CONTENT: &str = put!(
    "content",
    "SELECT content_id AS entity_id FROM content WHERE content_id = ANY ($1) AND NOT deleted"
);

/// The users are locked against removal, in the order of their ids; one who is being removed is waited for and then not
/// there.
const PUT_USERS: &str = put!(
    "user",
    "SELECT user_id AS entity_id FROM users WHERE user_id = ANY ($1) ORDER BY user_id FOR KEY SHARE"
);
