//! What one step looks at, drawn beforehand: after this nothing is left to chance.

use super::{Options, history_weights};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use std::ops::Range;

/// No slot yet.
const NONE: u32 = u32::MAX;

/// All targets, in the order of the present pass.
#[derive(Debug)]
pub(super) struct Examples<'s> {
    sequences: &'s [Vec<u32>],
    /// Sequence and place of each target; places begin with 1.
    targets: Vec<(u32, u32)>,
    /// How often each item occurs.
    counts: Vec<u32>,
    /// The items that occur, in the order of the last draw.
    known: Vec<u32>,
    /// The slot of each item while a batch is put together.
    slots: Vec<u32>,
}

/// Targets with their histories, and the items they are told from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Batch {
    /// The items of the histories, each once: what a slot of a mention names.
    pub(super) sources: Vec<u32>,
    /// Where each example's mentions begin, and at last where they end.
    pub(super) starts: Vec<usize>,
    /// Slot and weight of what speaks for each example.
    pub(super) mentions: Vec<(u32, f32)>,
    /// The items logits are worked out of, each once: first the sampled ones.
    pub(super) candidates: Vec<u32>,
    /// How many are sampled.
    pub(super) sampled: usize,
    /// What is added to the logits of the sampled ones.
    pub(super) correction: f32,
    /// Slot of each example's target among the candidates.
    pub(super) targets: Vec<u32>,
    /// What each number of each `u` is multiplied with, examples×width.
    pub(super) keep: Vec<f32>,
}

impl<'s> Examples<'s> {
    pub(super) fn new(items: usize, sequences: &'s [Vec<u32>]) -> Self {
        let mut counts = vec![0; items];
        for item in sequences.iter().flatten() {
            counts[*item as usize] += 1;
        }
        let known = (0..items as u32).filter(|item| counts[*item as usize] > 0).collect();
        let places = |(sequence, items): (usize, &Vec<u32>)| {
            (1..items.len() as u32).map(move |place| (sequence as u32, place))
        };
        let targets = sequences.iter().enumerate().flat_map(places).collect();
        Self { sequences, targets, counts, known, slots: vec![NONE; items] }
    }

    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// How often each item occurs.
    pub(super) fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// The items that occur.
    pub(super) fn known(&self) -> &[u32] {
        &self.known
    }

    pub(super) fn shuffle(&mut self, random: &mut impl Rng) {
        self.targets.shuffle(random);
    }

    /// The ranges of a pass, each of at most `size` targets.
    pub(super) fn batches(&self, size: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let len = self.len();
        (0..len).step_by(size).map(move |from| from..len.min(from + size))
    }

    /// Draws the batch of these targets.
    pub(super) fn batch(
        &mut self,
        range: Range<usize>,
        options: &Options,
        random: &mut impl Rng,
    ) -> Batch {
        let mut batch = Batch { starts: vec![0], ..Batch::default() };
        self.mention(range.clone(), options, random, &mut batch);
        self.clear(&batch.sources);
        self.sample(options.negatives, random, &mut batch);
        for (sequence, place) in &self.targets[range.clone()] {
            let target = self.sequences[*sequence as usize][*place as usize];
            batch.targets.push(slot(&mut self.slots, &mut batch.candidates, target));
        }
        self.clear(&batch.candidates);
        let kept = (1.0 - options.vector_dropout).recip();
        let keep = |_| if random.random::<f32>() < options.vector_dropout { 0.0 } else { kept };
        batch.keep = (0..range.len() * options.width).map(keep).collect();
        batch
    }

    /// Who speaks for each target, some left out at random.
    fn mention(
        &mut self,
        range: Range<usize>,
        options: &Options,
        random: &mut impl Rng,
        batch: &mut Batch,
    ) {
        let kept = (1.0 - options.history_dropout).recip();
        for (sequence, place) in &self.targets[range] {
            let before = &self.sequences[*sequence as usize][..*place as usize];
            let known = before.len().min(options.history);
            let weights = history_weights(known, options.history_decay);
            for (item, weight) in before.iter().rev().zip(weights) {
                if random.random::<f32>() >= options.history_dropout {
                    let slot = slot(&mut self.slots, &mut batch.sources, *item);
                    batch.mentions.push((slot, kept * weight));
                }
            }
            batch.starts.push(batch.mentions.len());
        }
    }

    /// Draws from the known items without putting back.
    fn sample(&mut self, negatives: usize, random: &mut impl Rng, batch: &mut Batch) {
        let all = self.known.len();
        batch.sampled = negatives.min(all);
        batch.correction = (all as f32 / batch.sampled as f32).ln();
        for at in 0..batch.sampled {
            let other = random.random_range(at..all);
            self.known.swap(at, other);
            slot(&mut self.slots, &mut batch.candidates, self.known[at]);
        }
    }

    fn clear(&mut self, items: &[u32]) {
        for item in items {
            self.slots[*item as usize] = NONE;
        }
    }
}

impl Batch {
    /// Number of examples.
    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// Slot and weight of what speaks for an example.
    pub(super) fn mentions(&self, example: usize) -> &[(u32, f32)] {
        &self.mentions[self.starts[example]..self.starts[example + 1]]
    }
}

/// The slot of an item, given out now if it is new.
fn slot(slots: &mut [u32], items: &mut Vec<u32>, item: u32) -> u32 {
    let slot = &mut slots[item as usize];
    if *slot == NONE {
        *slot = items.len() as u32;
        items.push(item);
    }
    *slot
}
