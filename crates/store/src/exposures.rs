//! Exposures: which list was shown to whom.

use async_trait::async_trait;
use sona_domain::{ContentId, ExposedItem, Exposure, RecommendationId, Timestamp, UserId};

use crate::error::{Error, Result};
use crate::row::json_text;

/// The lists that were shown.
#[async_trait]
pub trait Exposures: Send + Sync {
    /// Writes lists in one transaction; one whose id is there already is skipped. So is one shown at or before the
    /// removal of its user, whenever it is written, and whether or not anything was known of the user.
    async fn put_exposures(&self, exposures: &[Exposure]) -> Result<()>;

    /// One list; `None` if it is unknown or has expired.
    async fn exposure(&self, id: &RecommendationId) -> Result<Option<Exposure>>;

    /// Deletes up to `limit` lists shown before `before`, oldest first, and forgets removals before it; answers how many
    /// lists.
    async fn delete_exposures(&self, before: Timestamp, limit: usize) -> Result<u64>;
}

/// Refuses what JSON cannot say.
pub(crate) fn check(exposures: &[Exposure]) -> Result<()> {
    for exposure in exposures {
        let id = &exposure.recommendation_id;
        for (item, rank) in exposure.items.iter().zip(1..) {
            if item.rank != rank || !item.score.is_finite() {
                let detail = "items must be in the order of their ranks, with finite scores";
                return Err(Error::Invalid(format!("exposure {id}: {detail}")));
            }
        }
    }
    Ok(())
}

/// The titles as they are stored: their place is their rank.
pub(crate) fn items_text(exposure: &Exposure) -> String {
    let items: Vec<_> = exposure.items.iter().map(|item| (&item.content_id, item.score)).collect();
    json_text(&items)
}

/// A row of `exposures`.
#[derive(sqlx::FromRow)]
pub(crate) struct ExposureRow {
    recommendation_id: String,
    user_id: String,
    shown_at: i64,
    model_version: Option<i64>,
    ranker_version: Option<i64>,
    items: String,
}

impl ExposureRow {
    pub(crate) fn read(self) -> Result<Exposure> {
        let items: Vec<(ContentId, f32)> =
            serde_json::from_str(&self.items).map_err(Error::corrupt("exposures.items"))?;
        let items = items.into_iter().zip(1..);
        Ok(Exposure {
            recommendation_id: RecommendationId::new(self.recommendation_id)
                .map_err(Error::corrupt("exposures.recommendation_id"))?,
            user_id: UserId::new(self.user_id).map_err(Error::corrupt("exposures.user_id"))?,
            shown_at: Timestamp::from_micros(self.shown_at),
            model_version: self.model_version,
            ranker_version: self.ranker_version,
            items: items
                .map(|((content_id, score), rank)| ExposedItem { content_id, rank, score })
                .collect(),
        })
    }
}
