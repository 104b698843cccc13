//! What may be done to a user's adapters from outside: serving another version, keeping one, deleting, starting anew.
//!
//! On the store alone ([`handle_stored`]) for a process that holds nothing in memory; [`Engine::handle_adapters`] does the same
//! in the log task's turn, between two commits, and takes in what it changed.

use std::sync::Arc;

use sona_domain::{AdapterHandled, AdapterName, NewAdapter, Timestamp, UserId};
use sona_store::{Parent, Saved, Store};

use super::AdapterError;
use crate::Engine;
use crate::error::Result;

/// Something to be done to a user's adapters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdapterCommand {
    /// Serve the newest version before the one that is served.
    RollBack {
        /// Of which adapter.
        name: AdapterName,
        /// The version the caller takes for the one served; whichever it is if not given.
        served: Option<i64>,
    },
    /// Serve a version.
    Serve {
        /// Of which adapter.
        name: AdapterName,
        /// Which.
        version: i64,
        /// The version the caller takes for the one served; whichever it is if not given.
        served: Option<i64>,
    },
    /// Keep a version when old ones are dropped.
    Pin {
        /// Of which adapter.
        name: AdapterName,
        /// Which.
        version: i64,
    },
    /// Keep a version no longer than others.
    Unpin {
        /// Of which adapter.
        name: AdapterName,
        /// Which.
        version: i64,
    },
    /// Delete a version that is neither pinned nor served.
    DeleteVersion {
        /// Of which adapter.
        name: AdapterName,
        /// Which.
        version: i64,
    },
    /// Delete all versions of an adapter.
    Delete {
        /// Of which adapter.
        name: AdapterName,
    },
    /// Delete all versions of all the user's adapters: they begin anew.
    Reset,
    /// Delete all, and learn nothing of the user alone from now on.
    OptOut,
    /// Let the user have an adapter again, which begins anew.
    OptIn,
    /// Save a version and serve it.
    Save {
        /// The version; its user is the one something is done to.
        new: NewAdapter,
        /// When it may be saved.
        parent: Parent,
        /// So many versions are kept besides pinned ones.
        keep: usize,
    },
}

/// Does something to a user's adapters, for a process that holds none in memory; those that do follow.
///
/// # Errors
/// [`Error::Adapter`](crate::Error::Adapter) if it cannot be done; nothing has changed then.
pub async fn handle_stored(
    store: &dyn Store,
    user: &UserId,
    command: AdapterCommand,
    now: Timestamp,
) -> Result<AdapterHandled> {
    let handled = |name: Option<AdapterName>, served: Option<i64>, deleted: u64| AdapterHandled {
        user_id: user.clone(),
        adapter_name: name,
        served_version: served,
        deleted,
    };
    let asked = Asked { store, user, now };
    match command {
        AdapterCommand::RollBack { name, served } => {
            let version = asked.roll_back(&name, served).await?;
            Ok(handled(Some(name), Some(version), 0))
        }
        AdapterCommand::Serve { name, version, served } => {
            asked.serve(&name, version, served).await?;
            Ok(handled(Some(name), Some(version), 0))
        }
        AdapterCommand::Pin { name, version } => {
            asked.pin(&name, (version, true)).await?;
            Ok(handled(Some(name.clone()), asked.served(&name).await?, 0))
        }
        AdapterCommand::Unpin { name, version } => {
            asked.pin(&name, (version, false)).await?;
            Ok(handled(Some(name.clone()), asked.served(&name).await?, 0))
        }
        AdapterCommand::DeleteVersion { name, version } => {
            asked.delete(&name, version).await?;
            Ok(handled(Some(name.clone()), asked.served(&name).await?, 1))
        }
        AdapterCommand::Delete { name } => {
            let deleted = store.delete_adapters_named(user, &name, now).await?;
            Ok(handled(Some(name), None, deleted))
        }
        AdapterCommand::Reset => Ok(handled(None, None, store.delete_adapters(user, now).await?)),
        AdapterCommand::OptOut => {
            Ok(handled(None, None, store.opt_out_of_adapters(user, now).await?))
        }
        AdapterCommand::OptIn => {
            store.opt_in_to_adapters(user, now).await?;
            Ok(handled(None, None, 0))
        }
        AdapterCommand::Save { new, parent, keep } => {
            let version = asked.save(&new, parent).await?;
            let deleted = store.retain_adapters(user, &new.adapter_name, keep).await?;
            Ok(handled(Some(new.adapter_name), Some(version), deleted))
        }
    }
}

/// What a command is carried out with.
struct Asked<'a> {
    store: &'a dyn Store,
    user: &'a UserId,
    now: Timestamp,
}

impl Asked<'_> {
    async fn served(&self, name: &AdapterName) -> Result<Option<i64>> {
        let served = self.store.served_adapter(self.user, name).await?;
        Ok(served.map(|served| served.about.version))
    }

    fn unknown(&self, name: &AdapterName, version: i64) -> AdapterError {
        unknown(self.user, name, Some(version))
    }

    /// The version served, if it is the one expected or none is.
    async fn served_as(&self, name: &AdapterName, expected: Option<i64>) -> Result<Option<i64>> {
        let served = self.served(name).await?;
        match expected {
            Some(_) if expected != served => Err(AdapterError::Conflict { served }.into()),
            Some(_) | None => Ok(served),
        }
    }

    async fn roll_back(&self, name: &AdapterName, expected: Option<i64>) -> Result<i64> {
        let served = self.served_as(name, expected).await?;
        let from = served.ok_or_else(|| unknown(self.user, name, None))?;
        let before = self.store.roll_back_adapter(self.user, name, from, self.now).await?;
        if let Some(version) = before {
            return Ok(version);
        }
        let now_served = self.served(name).await?;
        Err(if now_served == Some(from) {
            AdapterError::NoneBefore { served: from }.into()
        } else {
            AdapterError::Conflict { served: now_served }.into()
        })
    }

    async fn serve(&self, name: &AdapterName, version: i64, expected: Option<i64>) -> Result<()> {
        let served = self.served_as(name, expected).await?;
        if self.store.serve_adapter(self.user, name, served, version, self.now).await? {
            return Ok(());
        }
        let there = self.store.adapter(self.user, name, version).await?.is_some();
        Err(if there {
            AdapterError::Conflict { served: self.served(name).await? }.into()
        } else {
            self.unknown(name, version).into()
        })
    }

    async fn pin(&self, name: &AdapterName, (version, pinned): (i64, bool)) -> Result<()> {
        let there = self.store.pin_adapter(self.user, name, version, pinned, self.now).await?;
        if there { Ok(()) } else { Err(self.unknown(name, version).into()) }
    }

    async fn delete(&self, name: &AdapterName, version: i64) -> Result<()> {
        if self.store.delete_adapter(self.user, name, version).await? {
            return Ok(());
        }
        let Some(kept) = self.store.adapter(self.user, name, version).await? else {
            return Err(self.unknown(name, version).into());
        };
        let why = if kept.about.is_served {
            "served; serve another one first, or delete the whole adapter"
        } else {
            "pinned; unpin it first"
        };
        Err(AdapterError::Kept { version, why }.into())
    }

    async fn save(&self, new: &NewAdapter, parent: Parent) -> Result<i64> {
        match self.store.save_adapter(new, parent, self.now).await? {
            Saved::Version(version) => Ok(version),
            Saved::Conflict(served) => Err(AdapterError::Conflict { served }.into()),
            Saved::UnknownUser => Err(AdapterError::UnknownUser(self.user.clone()).into()),
            Saved::OptedOut => Err(AdapterError::OptedOut(self.user.clone()).into()),
        }
    }
}

/// There is no such version; without a number: none is served.
pub(super) fn unknown(user: &UserId, name: &AdapterName, version: Option<i64>) -> AdapterError {
    let what = version.map_or_else(
        || format!("adapter {name:?} that is served", name = name.as_str()),
        |version| format!("version {version} of adapter {name:?}", name = name.as_str()),
    );
    AdapterError::Unknown { user: user.clone(), what }
}

impl Engine {
    /// Does something to a user's adapters. When this is answered, this process serves accordingly; others do within
    /// `live.follow_interval_ms`. Goes on to its end if the caller does not wait for it.
    ///
    /// # Errors
    /// [`Error::Adapter`](crate::Error::Adapter) if it cannot be done; nothing has changed then.
    pub async fn handle_adapters(
        self: &Arc<Self>,
        user: &UserId,
        command: AdapterCommand,
    ) -> Result<AdapterHandled> {
        let (engine, user) = (self.clone(), user.clone());
        self.between(async move { engine.handle_in_turn(&user, command).await }).await?
    }

    /// The log task's part.
    pub(super) async fn handle_in_turn(
        &self,
        user: &UserId,
        command: AdapterCommand,
    ) -> Result<AdapterHandled> {
        // Nobody writes what was learned before it until it is forgotten.
        let _turn = self.unsaved_adapters.turn().await;
        let handled = handle_stored(&*self.store, user, command, self.clock.now()).await?;
        self.take_in_adapter_changes().await?;
        Ok(handled)
    }
}
