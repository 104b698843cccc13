//! API keys in memory: followed like everything else that other processes write, read without SQL.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sona_domain::{ApiKey, Timestamp};

use crate::Engine;
use crate::error::Result;

/// The last use of a key is written when it is this much later than the one written before.
const USE_GRAIN: i64 = 60_000_000;

/// All keys as of one revision.
#[derive(Default)]
pub(crate) struct KeyRing {
    revision: Option<i64>,
    keys: HashMap<String, Held>,
}

/// A key, and when it was used, in microseconds.
struct Held {
    key: Arc<ApiKey>,
    used: AtomicI64,
    written: AtomicI64,
}

impl Engine {
    /// The API key of this id, whatever its state, as this process last saw it: a key revoked elsewhere is
    /// seen revoked with the next look at the database (`live.follow_interval_ms`).
    pub fn api_key(&self, key_id: &str) -> Option<Arc<ApiKey>> {
        self.keys.load().keys.get(key_id).map(|held| held.key.clone())
    }

    /// Notes that a key was used now; written behind, give or take a minute.
    pub fn note_key_use(&self, key_id: &str) {
        if let Some(held) = self.keys.load().keys.get(key_id) {
            held.used.fetch_max(self.clock.now().as_micros(), Ordering::Relaxed);
        }
    }

    /// Reads the keys again if any was created or revoked.
    pub(crate) async fn follow_keys(&self) -> Result<()> {
        let revision = self.store.keys_revision().await?;
        if self.keys.load().revision == Some(revision) {
            return Ok(());
        }
        let old = self.keys.load_full();
        // Read after the revision: what is newer than it is read once more with the next look.
        let keys = self.store.keys().await?.into_iter().map(|key| Held::of(key, &old));
        let keys = keys.map(|held| (held.key.key_id.clone(), held)).collect();
        self.keys.store(Arc::new(KeyRing { revision: Some(revision), keys }));
        Ok(())
    }

    /// Writes the last uses that have moved on.
    pub(crate) async fn write_key_uses(&self) -> Result<()> {
        let ring = self.keys.load_full();
        let moved = ring.keys.values().filter_map(|held| {
            let (used, written) =
                (held.used.load(Ordering::Relaxed), held.written.load(Ordering::Relaxed));
            (used.saturating_sub(written) >= USE_GRAIN).then_some((held, used))
        });
        let moved: Vec<_> = moved.collect();
        if moved.is_empty() {
            return Ok(());
        }
        let uses = moved
            .iter()
            .map(|(held, used)| (held.key.key_id.clone(), Timestamp::from_micros(*used)));
        self.store.touch_keys(&uses.collect::<Vec<_>>()).await?;
        for (held, used) in moved {
            held.written.store(used, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Held {
    /// `key`, with what is known of its use from `old`.
    fn of(key: ApiKey, old: &KeyRing) -> Self {
        let written = key.last_used_at.map_or(i64::MIN, Timestamp::as_micros);
        let used = old.keys.get(&key.key_id).map(|held| held.used.load(Ordering::Relaxed));
        Self {
            key: Arc::new(key),
            used: AtomicI64::new(used.unwrap_or(written)),
            written: AtomicI64::new(written),
        }
    }
}
