//! Carrying adapters over to the base layer in use.
//!
//! A base layer is found anew with every ranker: the more users there are, the better it tells them apart. Users' adapters
//! follow, each when its user comes: what is kept of it is moved to the new directions ([`Migration`]), inputs matched by
//! name. Where its own base layer is gone it is retired, and the user's adapter begins anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use sona_numeric::lora::{Adapter, Base, Migration};
use sona_numeric::matrix::Matrix;

use super::base::prior;
use super::resident::Held;
use super::{BASE_LAYER_NAME, BaseLayer, add};
use crate::Engine;
use crate::error::Result;
use crate::ranker::features::Layout;

/// So many base layers are kept: a user who was away meanwhile finds their adapter again. Each has a few kilobytes.
pub(super) const KEPT: usize = 1_000;

/// The base layer in use, and those that were.
#[derive(Debug, Default)]
pub(crate) struct BaseLayers {
    current: ArcSwapOption<BaseLayer>,
    /// By version, as they are asked for.
    former: Mutex<HashMap<i64, Arc<BaseLayer>>>,
}

impl BaseLayers {
    pub(super) fn current(&self) -> Option<Arc<BaseLayer>> {
        self.current.load_full()
    }

    pub(super) fn serve(&self, base: Arc<BaseLayer>) {
        if let Some(former) = self.current.swap(Some(base)) {
            self.keep(former);
        }
    }

    fn former(&self, version: i64) -> Option<Arc<BaseLayer>> {
        self.former.lock().unwrap_or_else(PoisonError::into_inner).get(&version).cloned()
    }

    fn keep(&self, base: Arc<BaseLayer>) {
        self.former.lock().unwrap_or_else(PoisonError::into_inner).insert(base.version, base);
    }
}

impl BaseLayer {
    /// The way of adapters from here to another base layer.
    ///
    /// # Errors
    /// In words, if the other one has features this program does not have.
    fn migration_to(&self, to: &Self) -> std::result::Result<Migration, String> {
        let layout = Layout::of_names(&to.inputs);
        let layout = layout.ok_or("the base layer has features of another program version")?;
        let ridge: Vec<f64> = layout.about().map(prior).collect();
        let from = self.on_inputs_of(to).map_err(|error| error.to_string())?;
        Migration::between(&from, &to.base, &ridge).map_err(|error| error.to_string())
    }

    /// The same directions over the inputs of another base layer: those it does not have are left out.
    fn on_inputs_of(
        &self,
        to: &Self,
    ) -> std::result::Result<Base, sona_numeric::lora::base::Error> {
        if self.inputs == to.inputs {
            return Ok(self.base.clone());
        }
        let places: HashMap<&str, usize> =
            self.inputs.iter().map(String::as_str).zip(0..).collect();
        let rows = self.base.as_matrix();
        let row = |row: usize| {
            let places = to.inputs.iter().map(|input| places.get(input.as_str()));
            places.map(move |place| place.map_or(0.0, |place| rows.row(row)[*place]))
        };
        let numbers = (0..rows.rows()).flat_map(row).collect();
        Base::from_matrix(Matrix::from_vec(numbers, to.inputs.len()))
    }
}

impl Engine {
    /// What is held of a user, on the base layer in use; `None` if it has to begin anew.
    ///
    /// # Errors
    /// In words, if that is not known for now.
    pub(super) async fn on_base(
        &self,
        held: Held,
        base: &BaseLayer,
    ) -> std::result::Result<Option<Held>, String> {
        if held.base_version == base.version {
            let fits = held.adapter.shape().0 == base.base.rank();
            return if fits { Ok(Some(held)) } else { Err("it is of another rank".to_owned()) };
        }
        let former = self.former_layer(held.base_version).await;
        let former = former.map_err(|error| error.to_string())?;
        let moved = former.and_then(|former| moved(&held.adapter, &former, base));
        let outcome = match &moved {
            Some(_) => &self.adapter_counters.migrated,
            None => &self.adapter_counters.retired,
        };
        add(outcome, 1);
        let on_it =
            |adapter| Held { base_version: base.version, adapter: Arc::new(adapter), ..held };
        Ok(moved.map(on_it))
    }

    /// A base layer that is no longer in use; `None` if it is gone or damaged.
    async fn former_layer(&self, version: i64) -> Result<Option<Arc<BaseLayer>>> {
        if let Some(known) = self.base_layers.former(version) {
            return Ok(Some(known));
        }
        let Some(model) = self.store.model(BASE_LAYER_NAME, version).await? else {
            return Ok(None);
        };
        match self.read_base_layer(&model).await {
            Ok(base) => {
                let base = Arc::new(base);
                self.base_layers.keep(base.clone());
                Ok(Some(base))
            }
            Err(error) if error.is_temporary() => Err(error),
            Err(error) => {
                tracing::warn!(%error, version, "a former base layer cannot be read");
                Ok(None)
            }
        }
    }
}

fn moved(adapter: &Adapter, from: &BaseLayer, to: &BaseLayer) -> Option<Adapter> {
    let migration = from.migration_to(to);
    let moved = migration.and_then(|way| adapter.migrated(&way).map_err(|error| error.to_string()));
    moved.inspect_err(|reason| tracing::warn!(reason, "an adapter cannot be carried over")).ok()
}
