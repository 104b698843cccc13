//! What an event teaches its user's adapter.

use std::sync::Arc;

use sona_domain::UserId;
use sona_numeric::listwise::{List, Scratch};
use sona_numeric::lora::{Base, Choice as Choices, Opinion};

use super::resident::{CONTEXTS, context};
use super::{BaseLayer, add};
use crate::Engine;
use crate::live::users::User;
use crate::ranker::choice::{Choice, Head};

/// What an event teaches its user's adapter, worked out before the event is applied.
pub(crate) struct Taught {
    id: UserId,
    user: Arc<User>,
    base_version: i64,
    choice: OwnChoice,
}

/// What a user chose, as an adapter learns it.
#[derive(Debug)]
pub(crate) struct OwnChoice {
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
    /// What a choice of this user teaches.
    pub(crate) fn new(
        (id, user): (&UserId, &Arc<User>),
        base: &BaseLayer,
        choice: OwnChoice,
    ) -> Self {
        Self { id: id.clone(), user: user.clone(), base_version: base.version, choice }
    }
}

impl OwnChoice {
    /// A choice between the titles of `head`.
    pub(crate) fn new(base: &Base, choice: &Choice, head: Head) -> Self {
        let Head { features, offsets, chosen } = head;
        let mut projected = Vec::new();
        base.project(&features, &mut projected);
        let weight = choice.weight;
        Self {
            projected,
            offsets,
            chosen,
            weight,
            context: context(&choice.moment),
            opinion: if weight >= 1.0 { Opinion::Positive } else { Opinion::Neutral },
        }
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
                    self.adapter_changes.missed(&one.id, one.base_version, one.choice);
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
