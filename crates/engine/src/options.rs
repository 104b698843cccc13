//! Every number the engine can be told, with its default. The binary's configuration file is the sum of
//! these, so a default is written once.

mod adapters;
mod diversity;
mod exposures;
mod fusion;
mod ranker;
mod vectors;

use serde::{Deserialize, Serialize};
use sona_domain::{EventRules, Zone};
use sona_numeric::{Interactions, als, attribute, embedding, item_item, sequence, walk};

pub use adapters::Adapters;
pub use diversity::{Capped, Diversity};
pub use exposures::Exposures;
pub use fusion::Fusion;
pub use ranker::Ranker;
pub use vectors::Vectors;

/// The engine's options.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// Event types and their weights.
    pub events: EventRules,
    /// How sources are combined.
    pub fusion: Fusion,
    /// The item-item source.
    pub item_item: ItemItem,
    /// The sequence source.
    pub sequence: Sequence,
    /// The attributes source.
    pub attributes: Attributes,
    /// The embedding source.
    pub embedding: Embedding,
    /// The trending source.
    pub trending: Trending,
    /// The context source.
    pub context: Context,
    /// ALS.
    pub als: Als,
    /// The content source.
    pub content: ContentBased,
    /// The graph source.
    pub graph: Graph,
    /// The ranker.
    pub ranker: Ranker,
    /// Users' adapters.
    pub adapters: Adapters,
    /// How unlike the titles of a list are.
    pub diversity: Diversity,
    /// An index of title vectors outside of this process.
    pub vectors: Vectors,
    /// Text to vectors.
    pub encoder: TextEncoder,
    /// Training jobs.
    pub training: Training,
    /// What is held in memory.
    pub live: Live,
    /// What was shown.
    pub exposures: Exposures,
}

/// A section of the configuration that is a numeric crate's options, field by field, with their defaults.
macro_rules! mirrors {
    ($ours:ident of $theirs:path: $($field:ident),+) => {
        impl Default for $ours {
            fn default() -> Self {
                let theirs = <$theirs>::default();
                Self { $($field: theirs.$field),+ }
            }
        }

        impl From<&$ours> for $theirs {
            fn from(ours: &$ours) -> Self {
                Self { $($field: ours.$field),+ }
            }
        }
    };
}

/// The item-item source; see [`item_item::Options`] for the formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ItemItem {
    /// How titles' weights for each other are found.
    pub algorithm: ItemItemAlgorithm,
    /// Neighbours kept of each title; 0 = all.
    pub neighbours: usize,
    /// Singular vectors of GF-CF's low-pass term; 0 leaves it out.
    pub components: usize,
    /// Weight of GF-CF's low-pass term.
    pub low_pass_weight: f32,
    /// Regularisation of EASE.
    pub ridge: f32,
}

/// See [`item_item::Algorithm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemItemAlgorithm {
    /// Graph filtering.
    GfCf,
    /// A linear autoencoder, for up to 16,000 titles.
    Ease,
}

impl From<ItemItemAlgorithm> for item_item::Algorithm {
    fn from(algorithm: ItemItemAlgorithm) -> Self {
        match algorithm {
            ItemItemAlgorithm::GfCf => Self::GfCf,
            ItemItemAlgorithm::Ease => Self::Ease,
        }
    }
}

impl Default for ItemItem {
    fn default() -> Self {
        Self {
            algorithm: ItemItemAlgorithm::GfCf,
            neighbours: 300,
            components: 64,
            low_pass_weight: 0.3,
            ridge: 300.0,
        }
    }
}

impl From<&ItemItem> for item_item::Options {
    fn from(o: &ItemItem) -> Self {
        let seed = Self::default().seed;
        Self {
            algorithm: o.algorithm.into(),
            ridge: o.ridge,
            neighbours: o.neighbours,
            components: o.components,
            low_pass_weight: o.low_pass_weight,
            seed,
        }
    }
}

/// The sequence source; see [`sequence::Options`] for the formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sequence {
    /// Pairs of titles at most this many places apart are counted.
    pub window: usize,
    /// A later title `d` places on counts `d^-distance_exponent`.
    pub distance_exponent: f32,
    /// An earlier title `d` places back counts `backward / d`.
    pub backward: f32,
    /// A title near twice so many others keeps those it was near most.
    pub neighbours: usize,
    /// How many of the user's latest titles speak.
    pub history: usize,
    /// The k-th latest title weighs `history_decay^k`.
    pub history_decay: f32,
    /// Counts are divided by (viewers of the earlier title + `source_popularity_shift`) to this power,
    pub source_popularity_exponent: f32,
    /// see `source_popularity_exponent`,
    pub source_popularity_shift: f32,
    /// and by the viewers of the later title to this power.
    pub target_popularity_exponent: f32,
}

mirrors! { Sequence of sequence::Options:
    window, distance_exponent, backward, neighbours, history, history_decay,
    source_popularity_exponent, source_popularity_shift, target_popularity_exponent
}

/// The attributes source; see [`attribute::Near`] for the formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Attributes {
    /// How much more a rare attribute counts than a common one.
    pub rarity_exponent: f32,
    /// Titles whose cosine is lower are not alike.
    pub least_cosine: f32,
    /// How much more a close neighbour counts than a distant one.
    pub similarity_exponent: f32,
    /// Neighbours kept of each title, the strongest.
    pub neighbours: usize,
    /// How many of the user's latest titles speak.
    pub history: usize,
    /// The k-th latest title weighs `history_decay^k`.
    pub history_decay: f32,
    /// How strongly popular titles are preferred among those alike.
    pub popularity_exponent: f32,
}

mirrors! { Attributes of attribute::Options:
    rarity_exponent, least_cosine, similarity_exponent, neighbours, history, history_decay,
    popularity_exponent
}

/// The embedding source; see [`embedding::Options`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Embedding {
    /// Length of a vector.
    pub width: usize,
    /// How many of the user's latest titles speak.
    pub history: usize,
    /// The k-th latest title weighs `history_decay^k`.
    pub history_decay: f32,
    /// Titles a target is told from.
    pub negatives: usize,
    /// Passes over the log.
    pub epochs: usize,
    /// Targets of one step.
    pub batch: usize,
    /// Length of a step.
    pub learning_rate: f32,
    /// Share of a user's vector left out at random while fitting.
    pub vector_dropout: f32,
    /// Share of a user's titles left out at random while fitting.
    pub history_dropout: f32,
    /// Pull of every step towards 0.
    pub weight_decay: f32,
    /// Seed of the first vectors and of all that is drawn.
    pub seed: u64,
}

mirrors! { Embedding of embedding::Options:
    width, history, history_decay, negatives, epochs, batch, learning_rate, vector_dropout,
    history_dropout, weight_decay, seed
}

/// The trending source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trending {
    /// Only viewers of the last so many days count.
    pub window_days: f64,
    /// A viewer counts half after so many days.
    pub half_life_days: f64,
    /// Most pairs of a title and a viewer that are remembered; the oldest leave early.
    pub max_pairs: usize,
}

impl Default for Trending {
    fn default() -> Self {
        Self { window_days: 14.0, half_life_days: 7.0, max_pairs: 1_000_000 }
    }
}

/// The context source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Context {
    /// Where the clocks hang of requests and events that do not name a time zone.
    pub timezone: Zone,
}

/// The content source: titles near the user's titles by the vectors of their texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContentBased {
    /// A title whose cosine with the user's preference vector is below this is near it only if no title reaches it.
    pub similarity_threshold: f32,
    /// In the preference vector, which is the mean of the latest titles' vectors, a title counts so much less with every
    /// 30 days.
    pub monthly_decay: f32,
    /// Of how many of the latest titles the neighbours are looked at.
    pub seeds: usize,
    /// How many neighbours of each.
    pub neighbours: usize,
    /// Weight in lists of similar titles, beside those of the collaborative and the sequence source.
    pub similar_weight: f32,
}

impl Default for ContentBased {
    fn default() -> Self {
        Self {
            similarity_threshold: 0.7,
            monthly_decay: 0.95,
            seeds: 10,
            neighbours: 20,
            similar_weight: 0.2,
        }
    }
}

/// The graph source; see [`walk::Options`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Graph {
    /// How strongly what many titles have in common is held back.
    pub hub_exponent: f32,
    /// Of each kind of thing at most so many of a title's are walked through.
    pub fan_in: usize,
    /// From each at most so many titles are reached.
    pub fan_out: usize,
    /// Edges a request walks from things to titles.
    pub budget: usize,
}

mirrors! { Graph of walk::Options: hub_exponent, fan_in, fan_out, budget }

/// ALS; see [`als::Options`] for the objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Als {
    /// Width of the factors.
    pub factors: usize,
    /// What all pairs weigh as unobserved, relative to what the observed ones add. The weight of one unobserved
    /// pair follows from it and from how dense the data is.
    pub unobserved_ratio: f32,
    /// Regularisation strength.
    pub regularization: f32,
    /// Regularisation grows with a row's count to this power.
    pub regularization_exponent: f32,
    /// Confidence an observed pair gets beyond an unobserved one: this times its engagement weight.
    pub confidence_alpha: f32,
    /// Sweeps over users and items.
    pub iterations: usize,
    /// Seed of the first factors.
    pub seed: u64,
}

impl Default for Als {
    fn default() -> Self {
        let o = als::Options::default();
        Self {
            factors: o.factors,
            unobserved_ratio: 5.0,
            regularization: o.regularization,
            regularization_exponent: o.regularization_exponent,
            confidence_alpha: o.confidence_alpha,
            iterations: o.iterations,
            seed: o.seed,
        }
    }
}

impl Als {
    /// The options for one matrix.
    pub fn for_matrix(&self, interactions: &Interactions) -> als::Options {
        let (ratio, alpha) = (self.unobserved_ratio, self.confidence_alpha);
        als::Options {
            factors: self.factors,
            unobserved_weight: als::Options::unobserved_weight_for(ratio, alpha, interactions),
            regularization: self.regularization,
            regularization_exponent: self.regularization_exponent,
            confidence_alpha: alpha,
            iterations: self.iterations,
            seed: self.seed,
        }
    }
}

/// Text to vectors: a configured model, or without one the encoder learned from the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextEncoder {
    /// An ONNX file of a sentence encoder; empty: one is learned from the catalogue.
    pub model: String,
    /// The `tokenizer.json` that belongs to it.
    pub tokenizer: String,
    /// The library of ONNX Runtime that runs `model`; empty: this process does. Needs the cargo feature `ort`.
    pub onnxruntime: String,
    /// The name of an imported set of vectors, which is then in use: nothing encodes texts. Excludes `model`.
    pub vectors: String,
    /// Texts encoded together.
    pub batch: usize,
    /// At most so many titles' texts are learned from.
    pub learn_texts: usize,
}

impl Default for TextEncoder {
    fn default() -> Self {
        let (model, tokenizer, onnxruntime, vectors) = Default::default();
        Self { model, tokenizer, onnxruntime, vectors, batch: 32, learn_texts: 50_000 }
    }
}

/// Training jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Training {
    /// A serving process trains when there is no model, when the log has doubled, and when the last training is
    /// older than this; 0 = never by itself.
    pub interval_hours: f64,
    /// A new model is rejected if its held-out NDCG@10 is below the serving model's by more than this share.
    pub rejection_margin: f64,
    /// At most so many users' latest titles are held out to judge a model.
    pub held_out_users: usize,
    /// A worker that shows no sign of life for so long loses its job.
    pub lease_seconds: i64,
    /// Model versions kept besides the current one.
    pub keep_versions: usize,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            interval_hours: 6.0,
            rejection_margin: 0.05,
            held_out_users: 2000,
            lease_seconds: 30,
            keep_versions: 3,
        }
    }
}

/// What is held in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Live {
    /// Memory for the states of users, in MB: about 1 KB a user and 20 bytes a title. Users for whom there is no more
    /// room are read from the log when they come back.
    pub max_megabytes: u64,
    /// After a start, users who were here last are read before they come back: at most so many, and as far as there is room.
    pub read_ahead_users: usize,
    /// Most events written in one commit.
    pub commit_batch: usize,
    /// Events that may wait for a commit before callers are told to slow down.
    pub queue: usize,
    /// How often the log, the catalogue and the model pointer are looked at for what other processes wrote.
    pub follow_interval_ms: u64,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            max_megabytes: 256,
            read_ahead_users: 20_000,
            commit_batch: 5_000,
            queue: 50_000,
            follow_interval_ms: 250,
        }
    }
}
