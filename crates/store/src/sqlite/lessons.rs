//! Lessons in SQLite.

use async_trait::async_trait;

use super::SqliteStore;
use crate::error::Result;
use crate::lessons::{Learned, Lessons};
use crate::row::sql_limit;

#[async_trait]
impl Lessons for SqliteStore {
    async fn append_lessons(&self, model_version: i64, lessons: &[Vec<u8>]) -> Result<()> {
        if lessons.is_empty() {
            return Ok(());
        }
        let mut transaction = self.write().await?;
        let head: i64 = sqlx::query_scalar(
            "INSERT INTO learned (model_version, head, through) VALUES (?1, ?2, 0)
             ON CONFLICT (model_version) DO UPDATE SET head = head + ?2 RETURNING head",
        )
        .bind(model_version)
        .bind(lessons.len() as i64)
        .fetch_one(&mut *transaction)
        .await?;
        let first = head - lessons.len() as i64 + 1;
        for (lesson, sequence) in lessons.iter().zip(first..) {
            sqlx::query(
                "INSERT INTO lessons (model_version, sequence, lesson) VALUES (?1, ?2, ?3)",
            )
            .bind(model_version)
            .bind(sequence)
            .bind(lesson.as_slice())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn lessons_after(
        &self,
        model_version: i64,
        sequence: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Vec<u8>)>> {
        let rows = sqlx::query_as(
            "SELECT sequence, lesson FROM lessons WHERE model_version = ?1 AND sequence > ?2
             ORDER BY sequence LIMIT ?3",
        )
        .bind(model_version)
        .bind(sequence)
        .bind(sql_limit(limit));
        Ok(rows.fetch_all(&self.readers).await?)
    }

    async fn learned(&self, model_version: i64) -> Result<Option<Learned>> {
        let row: Option<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT through, state FROM learned WHERE model_version = ?1 AND state IS NOT NULL",
        )
        .bind(model_version)
        .fetch_optional(&self.readers)
        .await?;
        Ok(row.map(|(through, state)| Learned { through, state }))
    }

    async fn put_learned(&self, model_version: i64, learned: &Learned) -> Result<bool> {
        let mut transaction = self.write().await?;
        let written = sqlx::query(
            "UPDATE learned SET through = ?2, state = ?3
             WHERE model_version = ?1 AND through < ?2 AND head >= ?2",
        )
        .bind(model_version)
        .bind(learned.through)
        .bind(learned.state.as_slice())
        .execute(&mut *transaction)
        .await?;
        if written.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("DELETE FROM lessons WHERE model_version = ?1 AND sequence <= ?2")
            .bind(model_version)
            .bind(learned.through)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn delete_lessons_before(&self, model_version: i64) -> Result<()> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM learned WHERE model_version < ?1")
            .bind(model_version)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
