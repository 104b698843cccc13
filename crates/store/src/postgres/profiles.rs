//! Profiles in PostgreSQL.

use async_trait::async_trait;
use sona_domain::{Profile, UserId};

use super::PostgresStore;
use crate::error::Result;
use crate::profiles::{ProfileRow, Profiles, newest_of_each};

#[async_trait]
impl Profiles for PostgresStore {
    async fn put_profiles(&self, profiles: &[Profile]) -> Result<()> {
        if profiles.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> =
            newest_of_each(profiles).into_iter().map(ProfileRow::new).collect::<Result<_>>()?;
        sqlx::query(UPSERT)
            .bind(column(&rows, |row| row.user_id.as_str()))
            .bind(column(&rows, |row| row.preference_vector.as_slice()))
            .bind(column(&rows, |row| row.model_version))
            .bind(column(&rows, |row| row.genre_affinities.as_str()))
            .bind(column(&rows, |row| row.hourly_events.as_str()))
            .bind(column(&rows, |row| row.weekday_events.as_str()))
            .bind(column(&rows, |row| row.interaction_count))
            .bind(column(&rows, |row| row.seen_count))
            .bind(column(&rows, |row| row.last_event_at))
            .bind(column(&rows, |row| row.through))
            .bind(column(&rows, |row| row.updated_at))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn profile(&self, user: &UserId) -> Result<Option<Profile>> {
        let row: Option<ProfileRow> = sqlx::query_as(
            "SELECT user_id, preference_vector, model_version, genre_affinities::TEXT,
                 hourly_events::TEXT, weekday_events::TEXT, interaction_count, seen_count, last_event_at,
                 through, updated_at
             FROM profiles WHERE user_id = $1",
        )
        .bind(user.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.map(ProfileRow::read).transpose()
    }
}

fn column<'r, T>(rows: &'r [ProfileRow], value: impl Fn(&'r ProfileRow) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// The users are locked against removal before their profiles are touched, in the order of their ids; one who
/// is being removed is waited for and then not there.
const UPSERT: &str = "WITH present AS MATERIALIZED (
     SELECT user_id FROM users WHERE user_id = ANY ($1) ORDER BY user_id FOR KEY SHARE
 )
 INSERT INTO profiles (user_id, preference_vector, model_version, genre_affinities, hourly_events,
     weekday_events, interaction_count, seen_count, last_event_at, through, updated_at)
 SELECT given.user_id, preference_vector, model_version, genre_affinities::JSONB, hourly_events::JSONB,
     weekday_events::JSONB, interaction_count, seen_count, last_event_at, through, updated_at
 FROM present JOIN unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS given (
     user_id, preference_vector, model_version, genre_affinities, hourly_events, weekday_events,
     interaction_count, seen_count, last_event_at, through, updated_at) ON given.user_id = present.user_id
 ORDER BY given.user_id
 ON CONFLICT (user_id) DO UPDATE SET
     preference_vector = excluded.preference_vector, model_version = excluded.model_version,
     genre_affinities = excluded.genre_affinities, hourly_events = excluded.hourly_events,
     weekday_events = excluded.weekday_events, interaction_count = excluded.interaction_count,
     seen_count = excluded.seen_count, last_event_at = excluded.last_event_at,
     through = excluded.through, updated_at = excluded.updated_at
 WHERE profiles.through <= excluded.through";
