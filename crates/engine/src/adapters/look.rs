//! Looking at adapters: what is stored of a user's, and all of them in numbers.

use sona_domain::{
    Adapter, AdapterDetails, AdapterName, AdapterReport, AdapterState, AdapterVersion, GainBucket,
    ListedAdapter, ResidentAdapters, Timestamp, UserId,
};
use sona_formats::adapters::{Learned, UserWeights};
use sona_store::{AdapterPosition, Store};

use super::AdapterCounts;
use super::handle::unknown;
use crate::Engine;
use crate::error::{Error, Result};

/// The largest gains of the ranges that are counted, in nats; one range is above them all. Below the first adapters are held back.
const GAINS: [f64; 6] = [-1.0, -0.1, 0.0, 0.1, 1.0, 10.0];

/// A version of a user's adapter with what its file says, for a process that holds none in memory; without a number the one that
/// is served.
///
/// # Errors
/// [`AdapterError::Unknown`](super::AdapterError::Unknown) if there is none; [`Error::Artifact`] if its file is damaged.
pub async fn stored_adapter(
    store: &dyn Store,
    user: &UserId,
    name: &AdapterName,
    version: Option<i64>,
) -> Result<AdapterDetails> {
    let (about, weights) = find(store, user, name, version).await?;
    let gain = gain(&weights);
    let UserWeights { rank, outputs, scale, .. } = weights;
    Ok(AdapterDetails { about, rank, contexts: outputs, scale, gain })
}

/// A user's versions that come after `after`, newest first; of one name if given. One whose file is damaged is among them.
///
/// # Errors
/// If the database does not answer.
pub async fn stored_adapters(
    store: &dyn Store,
    user: &UserId,
    name: Option<&AdapterName>,
    after: Option<&AdapterPosition>,
    limit: usize,
) -> Result<Vec<ListedAdapter>> {
    let stored = store.adapters(user, name, after, limit).await?;
    Ok(stored.into_iter().map(listed).collect())
}

fn listed(Adapter { about, weights }: Adapter) -> ListedAdapter {
    match UserWeights::decode(&weights) {
        Ok(weights) => {
            ListedAdapter { about, rank: Some(weights.rank), gain: gain(&weights), damage: None }
        }
        Err(damage) => ListedAdapter { about, rank: None, gain: None, damage: Some(damage) },
    }
}

/// What weights have gained in foreseeing choices, if they were judged.
fn gain(weights: &UserWeights) -> Option<f64> {
    match &weights.learned {
        Learned::Lists { gain, .. } => Some(*gain),
        Learned::Gradient { .. } => None,
    }
}

/// A version of a user's adapter and its file; without a number the one that is served.
pub(super) async fn find(
    store: &dyn Store,
    user: &UserId,
    name: &AdapterName,
    version: Option<i64>,
) -> Result<(AdapterVersion, UserWeights)> {
    let found = match version {
        Some(version) => store.adapter(user, name, version).await?,
        None => store.served_adapter(user, name).await?,
    };
    let Adapter { about, weights } = found.ok_or_else(|| unknown(user, name, version))?;
    match UserWeights::decode(&weights) {
        Ok(weights) => Ok((about, weights)),
        Err(detail) => Err(damaged(&about, detail)),
    }
}

/// The file of a stored version cannot be used.
fn damaged(about: &AdapterVersion, detail: String) -> Error {
    let AdapterVersion { user_id, adapter_name, version, .. } = about;
    Error::Artifact {
        key: format!("version {version} of adapter {adapter_name} of {user_id}"),
        detail,
    }
}

impl Engine {
    /// As [`stored_adapters`]. What was learned in the last two seconds may not be among them yet.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn adapters(
        &self,
        user: &UserId,
        name: Option<&AdapterName>,
        after: Option<&AdapterPosition>,
        limit: usize,
    ) -> Result<Vec<ListedAdapter>> {
        stored_adapters(&*self.store, user, name, after, limit).await
    }

    /// Since when a user wants no adapter; `None` if they do want one.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn opted_out_at(&self, user: &UserId) -> Result<Option<Timestamp>> {
        Ok(self.store.opted_out_at(user).await?)
    }

    /// A version of a user's adapter; without a number the one that is served.
    ///
    /// # Errors
    /// As [`stored_adapter`].
    pub async fn adapter(
        &self,
        user: &UserId,
        name: &AdapterName,
        version: Option<i64>,
    ) -> Result<AdapterDetails> {
        stored_adapter(&*self.store, user, name, version).await
    }

    /// Users' adapters in numbers.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn adapter_report(&self) -> Result<AdapterReport> {
        Ok(AdapterReport {
            stored: self.store.adapter_statistics().await?,
            opted_out: self.adapter_changes.opted_out() as u64,
            resident: Some(self.resident_adapters()),
        })
    }

    /// The adapters in this process's memory. Looks at every user there.
    pub fn resident_adapters(&self) -> ResidentAdapters {
        let counts: AdapterCounts = self.adapter_counters.read(self.unsaved_adapters.len());
        let mut found = ResidentAdapters {
            events_learned: counts.learned,
            events_refused: counts.refused,
            versions_saved: counts.saved,
            waiting: counts.waiting,
            ..ResidentAdapters::default()
        };
        let Some(base) = self.base_layer() else { return found };
        let mut gains = Vec::new();
        for user in self.users.all_resident() {
            let Some(own) = self.personal(&user, &base) else { continue };
            let used = own.state();
            match used.state {
                AdapterState::Served => found.served += 1,
                AdapterState::HeldBack => found.held_back += 1,
                // Who has learned nothing has no adapter of their own yet.
                AdapterState::Learning => found.learning += u64::from(used.events > 0),
                AdapterState::OptedOut | AdapterState::Unavailable => {}
            }
            if matches!(used.state, AdapterState::Served | AdapterState::HeldBack) {
                gains.push(f64::from(used.gain));
            }
        }
        found.helped_share = share_helped(&gains);
        found.gains = distribution(&gains);
        found
    }
}

fn share_helped(gains: &[f64]) -> Option<f64> {
    let helped = gains.iter().filter(|gain| **gain > 0.0).count();
    (!gains.is_empty()).then(|| helped as f64 / gains.len() as f64)
}

fn distribution(gains: &[f64]) -> Vec<GainBucket> {
    let edges = GAINS.into_iter().map(Some).chain([None]);
    let mut buckets: Vec<_> = edges.map(|up_to| GainBucket { up_to, adapters: 0 }).collect();
    for gain in gains {
        buckets[GAINS.partition_point(|edge| edge < gain)].adapters += 1;
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_are_counted_in_the_range_they_are_in() {
        let gains = [-5.0, -1.0, -0.5, 0.0, 0.05, 0.1, 0.2, 99.0];
        let counted: Vec<_> = distribution(&gains).iter().map(|bucket| bucket.adapters).collect();
        assert_eq!(counted, [2, 1, 1, 2, 1, 0, 1]);
        assert_eq!(share_helped(&gains), Some(0.5));
        assert_eq!(share_helped(&[]), None);
    }
}
