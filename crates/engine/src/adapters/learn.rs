//! What an event teaches its user's adapter.

use std::sync::Arc;

use sona_domain::UserId;
use sona_numeric::listwise::{List, Scratch};
use sona_numeric::lora::{Choice as Choices, Opinion};

use super::resident::{CONTEXTS, context};
use super::{BaseLayer, add};
use crate::Engine;
use crate::live::users::User;
use crate::ranker::Serving;
use crate::ranker::fit::Based;
use crate::ranker::replay::Head;

/// What an event teaches its user's adapter, worked out before the event is applied.
pub(crate) struct Taught {
    id: UserId,
    user: Arc<User>,
    base_version: i64,
    choice: OwnChoice,
}

/// What a user chose, as an adapter learns it.
#[derive(Debug)]
pub(super) struct OwnChoice {
    /// The titles it was chosen from, brought down by the base layer.
    projected: Vec<f32>,
    /// What is known of them without the adapter.
    offsets: Vec<f32>,
    chosen: usize,
    weight: f32,
    context: [f32; CONTEXTS],
    opinion: Opinion,
}

impl Taught {
    /// What a choice teaches; `None` if nothing.
    pub(crate) fn new(
        (id, user): (&UserId, &Arc<User>),
        base: &BaseLayer,
        serving: &Serving,
        based: &Based<'_>,
    ) -> Option<Self> {
        let choice = OwnChoice::new(base, serving, based)?;
        Some(Self { id: id.clone(), user: user.clone(), base_version: base.version, choice })
    }
}

impl OwnChoice {
    /// `None` if the choice was not between titles that compete for the first places ([`Choice::head`]).
    ///
    /// [`Choice::head`]: crate::ranker::replay::Choice::head
    pub(super) fn new(base: &BaseLayer, serving: &Serving, based: &Based<'_>) -> Option<Self> {
        let weight = based.choice.weight;
        let known = based.offsets_with(&serving.layer_weights(&based.choice.moment));
        let Head { features, offsets, chosen } = based.choice.head(&known)?;
        let mut projected = Vec::new();
        base.base.project(&features, &mut projected);
        Some(Self {
            projected,
            offsets,
            chosen,
            weight,
            context: context(&based.choice.moment),
            opinion: if weight >= 1.0 { Opinion::Positive } else { Opinion::Neutral },
        })
    }

    pub(super) fn choice(&self) -> Choices<'_> {
        let (features, offsets) = (&self.projected, &self.offsets);
        let (chosen, weight) = (self.chosen, self.weight);
        Choices {
            list: List { features, offsets, chosen, weight },
            context: &self.context,
            opinion: self.opinion,
        }
    }
}

impl Engine {
    /// Teaches adapters what durable events say.
    pub(crate) fn teach_adapters(&self, taught: Vec<Taught>) {
        let mut scratch = Scratch::default();
        for one in taught {
            let learned = one
                .user
                .adapter
                .with(one.base_version, |adapter| adapter.learn(one.choice.choice(), &mut scratch));
            match learned {
                Some(Ok(())) => {
                    add(&self.adapter_counters.learned, 1);
                    self.adapter_changes.missed(&one.id, one.choice);
                    self.unsaved_adapters.note(one.id, one.user);
                }
                Some(Err(refusal)) => {
                    add(&self.adapter_counters.refused, 1);
                    tracing::warn!(%refusal, "an adapter learned nothing from an event");
                }
                None => {}
            }
        }
    }
}
