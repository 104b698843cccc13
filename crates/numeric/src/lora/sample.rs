//! Which candidates a choice is told from: most of them from the top of the list that was offered, where the order matters,
//! a few from everything else.
//!
//! A candidate that stands for `m` others of its kind gets `ln m` added to its logit, so that the softmax over the sample
//! estimates the one over everything (Bengio & Senécal, *Adaptive importance sampling to accelerate training of a neural
//! probabilistic language model*, 2008).

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

/// How many of which kind are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// From the list.
    pub listed: usize,
    /// From what is not in the list.
    pub others: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { listed: 100, others: 50 }
    }
}

/// From what is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Length of the list: places `0..listed`.
    pub listed: usize,
    /// How many others there are: numbers `0..others`.
    pub others: usize,
    /// What was chosen, which is never drawn.
    pub chosen: Member,
}

/// A candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// At this place of the list.
    Listed(usize),
    /// The other of this number.
    Other(usize),
}

/// What was drawn, without repetition.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Places of the list, ascending.
    pub listed: Vec<usize>,
    /// Numbers of others, ascending.
    pub others: Vec<usize>,
    /// What is added to the logit of each one that was drawn from the list, at least 0.
    pub listed_offset: f32,
    /// The same for the others. What was chosen stands for itself: its offset is 0.
    pub others_offset: f32,
}

/// Draws from `pool`; everything of a kind of which there are no more than are wanted. The same seed gives the same sample.
///
/// # Panics
/// If what was chosen is not in the pool.
pub fn draw(pool: Pool, options: Options, seed: u64) -> Sample {
    let (listed_chosen, other_chosen) = match pool.chosen {
        Member::Listed(place) => (Some(place), None),
        Member::Other(number) => (None, Some(number)),
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (listed, listed_offset) = some_of(pool.listed, listed_chosen, options.listed, &mut rng);
    let (others, others_offset) = some_of(pool.others, other_chosen, options.others, &mut rng);
    Sample { listed, others, listed_offset, others_offset }
}

/// Up to `wanted` of `0..count` without `chosen`, ascending, and the logarithm of how many each of them stands for.
fn some_of(
    count: usize,
    chosen: Option<usize>,
    wanted: usize,
    rng: &mut ChaCha8Rng,
) -> (Vec<usize>, f32) {
    assert!(chosen.is_none_or(|chosen| chosen < count), "{chosen:?} of {count} was chosen");
    let left = count - usize::from(chosen.is_some());
    let drawn = wanted.min(left);
    // The numbers from the chosen one on are those of their next.
    let past = |at: usize| at + usize::from(chosen.is_some_and(|chosen| at >= chosen));
    let mut members: Vec<usize> = index::sample(rng, left, drawn).into_iter().map(past).collect();
    members.sort_unstable();
    let offset = if drawn == 0 { 0.0 } else { (left as f64 / drawn as f64).ln() as f32 };
    (members, offset)
}
