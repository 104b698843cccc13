//! The first version of an adapter: what its user chose before there was a base layer to learn on, or while events were
//! imported, is not lost.

use std::collections::HashMap;

use sona_domain::{AdapterName, AdapterOrigin, NewAdapter, UserId};
use sona_numeric::lora::Adapter;
use sona_store::Parent;

use super::saved;
use crate::Engine;
use crate::error::{Error, Result};
use crate::train::Run;

/// An adapter that rests on fewer choices is left to learn by itself.
const LEAST_CHOICES: u64 = 3;

impl Engine {
    /// Saves what choices of the past taught users' adapters, for users who never had one; they are found when the base layer is
    /// served, since whoever has learned nothing is looked up anew then. What such an adapter gained there is no proof, since
    /// its base layer was found in the same choices; what it lost is held against it.
    pub(super) async fn begin_adapters(
        &self,
        run: &Run,
        base_version: i64,
        (users, adapters): (&HashMap<u64, UserId>, HashMap<u64, Adapter>),
    ) -> Result<()> {
        // Who has learned by themselves meanwhile has one.
        self.write_adapters(self.unsaved_adapters.len()).await?;
        for (who, adapter) in adapters {
            let Some(user) = users.get(&who) else { continue };
            if adapter.events() < LEAST_CHOICES {
                continue;
            }
            let adapter = if adapter.gate().gain() > 0.0 { adapter.unproven() } else { adapter };
            let unwritable = |detail| Error::Artifact { key: format!("adapter of {user}"), detail };
            let new = NewAdapter {
                user_id: user.clone(),
                adapter_name: AdapterName::default(),
                base_version,
                origin: AdapterOrigin::Learned,
                training_iterations: adapter.events(),
                weights: saved::to_bytes(base_version, &adapter).map_err(unwritable)?,
            };
            // Whoever has one, had one and began anew, wants none or is gone is passed over.
            self.store.save_adapter(&new, Parent::Never, self.clock.now()).await?;
            run.goes_on()?;
        }
        Ok(())
    }
}
