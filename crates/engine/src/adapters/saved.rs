//! Adapters in the database: written behind as versions, read when their user comes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sona_domain::{Adapter, AdapterName, AdapterOrigin, NewAdapter, UserId};
use sona_formats::adapters::{Learned, UserWeights};
use sona_numeric::lora::{self, Stored};
use sona_store::{Parent, Saved};

use super::add;
use super::resident::{CONTEXTS, Held};
use crate::Engine;
use crate::error::Result;
use crate::live::counts::viewer_key;
use crate::live::trending::ViewerKey;
use crate::live::users::User;
use crate::options;

/// Adapters that have learned are written this often.
const PERIOD: Duration = Duration::from_secs(2);

/// Most users of one go.
const BATCH: usize = 1_000;

/// Users whose adapters have learned what is not written yet. They are kept here: who is evicted from memory meanwhile is not
/// forgotten.
#[derive(Default)]
pub(crate) struct Unsaved {
    users: Mutex<HashMap<UserId, Arc<User>>>,
    /// Held by whoever writes a user's adapter.
    writing: tokio::sync::Mutex<()>,
    stopped: AtomicBool,
}

impl Unsaved {
    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Arc<User>>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody writes, and lets nobody while it is held.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.writing.lock().await
    }

    pub(super) fn note(&self, id: UserId, user: Arc<User>) {
        self.users().insert(id, user);
    }

    /// Notes a user who could not be written, unless they have learned more meanwhile.
    fn put_back(&self, id: UserId, user: Arc<User>) {
        self.users().entry(id).or_insert(user);
    }

    pub(crate) fn len(&self) -> usize {
        self.users().len()
    }

    /// The user, if they wait here.
    pub(crate) fn get(&self, id: &UserId) -> Option<Arc<User>> {
        self.users().get(id).cloned()
    }

    /// Forgets a user.
    pub(crate) fn forget(&self, id: &UserId) {
        self.users().remove(id);
    }

    /// Forgets the users of whom `is_gone` says so.
    pub(crate) fn forget_where(&self, is_gone: impl Fn(ViewerKey) -> bool) {
        self.users().retain(|id, _| !is_gone(viewer_key(id)));
    }

    fn take(&self) -> Option<(UserId, Arc<User>)> {
        let mut users = self.users();
        let id = users.keys().next()?.clone();
        users.remove_entry(&id)
    }
}

/// The adapter of a stored version, on the base layer it was learned on.
///
/// # Errors
/// In words, if the file is damaged, or of another trainer or shape.
pub(super) fn read(stored: &Adapter, options: &options::Adapters) -> Result<Held, String> {
    let weights = UserWeights::decode(&stored.weights)?;
    let (base_version, shape) = (weights.base_version, (weights.rank, CONTEXTS));
    let adapter = Arc::new(of_weights(weights, shape, options)?);
    Ok(Held { base_version, saved_version: Some(stored.about.version), adapter })
}

/// The adapter of stored weights.
///
/// # Errors
/// In words, if they are of another trainer or shape.
pub(super) fn of_weights(
    weights: UserWeights,
    shape: (usize, usize),
    options: &options::Adapters,
) -> Result<lora::Adapter, String> {
    let Learned::Lists { solution, precision, right, gain, unsolved } = weights.learned else {
        return Err("it was made by another trainer".to_owned());
    };
    let events = weights.iterations;
    let parts = Stored { solution, precision, right, events, gain, unsolved };
    lora::Adapter::from_stored(shape, options.into(), parts).map_err(|error| error.to_string())
}

/// The file of an adapter that was learned on a base layer.
///
/// # Errors
/// In words, if it could not be read back.
pub(super) fn to_bytes(base_version: i64, adapter: &lora::Adapter) -> Result<Vec<u8>, String> {
    let (rank, outputs) = adapter.shape();
    let Stored { solution, precision, right, events, gain, unsolved } = adapter.to_stored();
    let weights = UserWeights {
        base_version,
        rank,
        outputs,
        scale: lora::Options::default().kappa,
        iterations: events,
        learned: Learned::Lists { solution, precision, right, gain, unsolved },
    };
    weights.encode()
}

/// Writes adapters behind until the engine is closed or gone: events never wait for it.
pub(crate) async fn write_behind(engine: Weak<Engine>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let Some(engine) = engine.upgrade() else { return };
        if engine.unsaved_adapters.stopped.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = engine.write_adapters(BATCH).await {
            tracing::warn!(%error, "adapters could not be written; trying again");
        }
    }
}

impl Engine {
    /// Ends the task and writes what waits; what cannot be written now is lost.
    pub(crate) async fn close_adapters(&self) {
        self.unsaved_adapters.stopped.store(true, Ordering::Release);
        if let Err(error) = self.write_adapters(usize::MAX).await {
            tracing::warn!(%error, "the last adapters could not be written");
        }
    }

    /// Writes the adapters of up to `limit` users that have learned since they were written.
    ///
    /// # Errors
    /// If the database does not take them; they wait on.
    pub(crate) async fn write_adapters(&self, limit: usize) -> Result<()> {
        for _ in 0..limit {
            let _turn = self.unsaved_adapters.turn().await;
            let Some((id, user)) = self.unsaved_adapters.take() else { break };
            if let Err(error) = self.write_adapter(&id, &user).await {
                self.unsaved_adapters.put_back(id, user);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn write_adapter(&self, id: &UserId, user: &User) -> Result<()> {
        let Some(held) = user.adapter.held() else { return Ok(()) };
        let weights = match to_bytes(held.base_version, &held.adapter) {
            Ok(weights) => weights,
            Err(reason) => {
                tracing::error!(%id, reason, "an adapter cannot be written");
                return Ok(());
            }
        };
        let new = NewAdapter {
            user_id: id.clone(),
            adapter_name: AdapterName::default(),
            base_version: held.base_version,
            origin: AdapterOrigin::Learned,
            training_iterations: held.adapter.events(),
            weights,
        };
        // Whatever was done from outside up to there is taken in, whatever comes later is not overwritten.
        let since = self.adapter_changes.seen();
        let parent = Parent::Unchanged { served: held.saved_version, since };
        match self.store.save_adapter(&new, parent, self.clock.now()).await? {
            Saved::Version(version) => {
                user.adapter.note_saved(held.base_version, version);
                add(&self.adapter_counters.saved, 1);
                let keep = self.options.adapters.keep_versions;
                self.store.retain_adapters(id, &new.adapter_name, keep).await?;
            }
            // Another process, or somebody who rolled it back, was first: theirs counts.
            Saved::Conflict(_) | Saved::OptedOut => user.adapter.drop_it(),
            Saved::UnknownUser => {}
        }
        Ok(())
    }
}
