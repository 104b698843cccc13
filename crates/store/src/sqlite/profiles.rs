//! Profiles in SQLite.

use async_trait::async_trait;
use sona_domain::{Profile, UserId};

use super::SqliteStore;
use crate::error::Result;
use crate::profiles::{ProfileRow, Profiles, newest_of_each};

#[async_trait]
impl Profiles for SqliteStore {
    async fn put_profiles(&self, profiles: &[Profile]) -> Result<()> {
        if profiles.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> =
            newest_of_each(profiles).into_iter().map(ProfileRow::new).collect::<Result<_>>()?;
        let mut transaction = self.write().await?;
        for row in rows {
            sqlx::query(
                "INSERT INTO profiles (user_id, preference_vector, model_version, genre_affinities,
                     hourly_events, weekday_events, interaction_count, seen_count, last_event_at, through,
                     updated_at)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
                 WHERE EXISTS (SELECT 1 FROM users WHERE user_id = ?1)
                 ON CONFLICT (user_id) DO UPDATE SET
                     preference_vector = excluded.preference_vector,
                     model_version = excluded.model_version,
                     genre_affinities = excluded.genre_affinities,
                     hourly_events = excluded.hourly_events, weekday_events = excluded.weekday_events,
                     interaction_count = excluded.interaction_count, seen_count = excluded.seen_count,
                     last_event_at = excluded.last_event_at, through = excluded.through,
                     updated_at = excluded.updated_at
                 WHERE through <= excluded.through",
            )
            .bind(row.user_id)
            .bind(row.preference_vector)
            .bind(row.model_version)
            .bind(row.genre_affinities)
            .bind(row.hourly_events)
            .bind(row.weekday_events)
            .bind(row.interaction_count)
            .bind(row.seen_count)
            .bind(row.last_event_at)
            .bind(row.through)
            .bind(row.updated_at)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>> {
        let row: Option<ProfileRow> = sqlx::query_as(
            "SELECT user_id, preference_vector, model_version, genre_affinities, hourly_events,
                 weekday_events, interaction_count, seen_count, last_event_at, through, updated_at
             FROM profiles WHERE user_id = ?1",
        )
        .bind(user.as_str())
        .fetch_optional(&self.readers)
        .await?;
        row.map(ProfileRow::read).transpose()
    }
}
