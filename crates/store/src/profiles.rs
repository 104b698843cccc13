//! Profiles: durable views of users for SQL readers, written behind the live state.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sona_domain::{Cursor, Profile, Timestamp, UserId};

use crate::error::{Error, Result};
use crate::row::{bytes_of, floats_of, json_text};

/// The profiles.
#[async_trait]
pub trait Profiles: Send + Sync {
    /// Adds or replaces profiles. A profile whose [`Profile::through`] is older than the stored one's is
    /// skipped, and so is one of a user who does not exist.
    async fn put_profiles(&self, profiles: &[Profile]) -> Result<()>;

    /// One user's profile.
    async fn profile(&self, user: &UserId) -> Result<Option<Profile>>;
}

/// Of profiles of the same user the one that includes most (the last of those), by user id: the order all
/// writers take their locks in.
pub(crate) fn newest_of_each(profiles: &[Profile]) -> Vec<&Profile> {
    let mut newest: BTreeMap<&UserId, &Profile> = BTreeMap::new();
    for profile in profiles {
        let kept = newest.entry(&profile.user_id).or_insert(profile);
        if profile.through >= kept.through {
            *kept = profile;
        }
    }
    newest.into_values().collect()
}

/// A row of `profiles`. `preference_vector` is little-endian 32-bit floats; maps and lists are JSON text.
#[derive(sqlx::FromRow)]
pub(crate) struct ProfileRow {
    pub(crate) user_id: String,
    pub(crate) preference_vector: Vec<u8>,
    pub(crate) model_version: Option<i64>,
    pub(crate) genre_affinities: String,
    pub(crate) hourly_events: String,
    pub(crate) weekday_events: String,
    pub(crate) interaction_count: i64,
    pub(crate) seen_count: i64,
    pub(crate) last_event_at: Option<i64>,
    pub(crate) through: i64,
    pub(crate) updated_at: i64,
}

impl ProfileRow {
    /// The row of `profile`; numbers that are not finite are refused.
    pub(crate) fn new(profile: &Profile) -> Result<Self> {
        let mut numbers = profile.preference_vector.iter().chain(profile.genre_affinities.values());
        if !numbers.all(|number| number.is_finite()) {
            return Err(Error::Invalid(format!(
                "profile of {:?}: every number must be finite",
                profile.user_id
            )));
        }
        // As f64, so that parsing the decimals gives back exactly the f32.
        let affinities: BTreeMap<&str, f64> = profile
            .genre_affinities
            .iter()
            .map(|(genre, affinity)| (genre.as_str(), f64::from(*affinity)))
            .collect();
        Ok(Self {
            user_id: profile.user_id.as_str().to_owned(),
            preference_vector: bytes_of(&profile.preference_vector),
            model_version: profile.model_version,
            genre_affinities: json_text(&affinities),
            hourly_events: json_text(&profile.hourly_events),
            weekday_events: json_text(&profile.weekday_events),
            interaction_count: count(profile.interaction_count),
            seen_count: count(profile.seen_count),
            last_event_at: profile.last_event_at.map(Timestamp::as_micros),
            through: profile.through.0,
            updated_at: profile.updated_at.as_micros(),
        })
    }

    pub(crate) fn read(self) -> Result<Profile> {
        let affinities: BTreeMap<String, f64> = serde_json::from_str(&self.genre_affinities)
            .map_err(Error::corrupt("profiles.genre_affinities"))?;
        Ok(Profile {
            user_id: UserId::new(self.user_id).map_err(Error::corrupt("profiles.user_id"))?,
            preference_vector: floats_of(&self.preference_vector, "profiles.preference_vector")?,
            model_version: self.model_version,
            genre_affinities: affinities.into_iter().map(|(g, a)| (g, a as f32)).collect(),
            hourly_events: serde_json::from_str(&self.hourly_events)
                .map_err(Error::corrupt("profiles.hourly_events"))?,
            weekday_events: serde_json::from_str(&self.weekday_events)
                .map_err(Error::corrupt("profiles.weekday_events"))?,
            interaction_count: u64::try_from(self.interaction_count)
                .map_err(Error::corrupt("profiles.interaction_count"))?,
            seen_count: u64::try_from(self.seen_count)
                .map_err(Error::corrupt("profiles.seen_count"))?,
            last_event_at: self.last_event_at.map(Timestamp::from_micros),
            through: Cursor(self.through),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
