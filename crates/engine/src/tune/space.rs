//! What can be tuned: a source's options as named numbers with ranges.

use std::fmt;
use std::str::FromStr;

use sona_domain::Source;

use crate::evaluate::Model;
use crate::options::Options;

/// What is tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The collaborative source: the factorisation, at the configured width.
    Collaborative,
    /// The sequence source.
    Sequence,
    /// The attributes source.
    Attributes,
    /// The embedding source, at the configured width.
    Embedding,
    /// The content source, with vectors that stay.
    Content,
    /// The trending source.
    Trending,
    /// The weights of the fusion.
    Weighted,
    /// The ranker: how its trees are grown.
    Ranker,
}

impl Subject {
    /// Everything that can be tuned.
    pub const ALL: [Self; 8] = [
        Self::Collaborative,
        Self::Sequence,
        Self::Attributes,
        Self::Embedding,
        Self::Content,
        Self::Trending,
        Self::Weighted,
        Self::Ranker,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collaborative => "collaborative",
            Self::Sequence => "sequence",
            Self::Attributes => "attributes",
            Self::Embedding => "embedding",
            Self::Content => "content",
            Self::Trending => "trending",
            Self::Weighted => "weighted",
            Self::Ranker => "ranker",
        }
    }

    /// The model whose lists say how good it is.
    pub(crate) fn model(self) -> Model {
        match self {
            Self::Collaborative => Model::Alone(Source::Collaborative),
            Self::Sequence => Model::Alone(Source::Sequence),
            Self::Attributes => Model::Alone(Source::Attributes),
            Self::Embedding => Model::Alone(Source::Embedding),
            Self::Content => Model::Alone(Source::Content),
            Self::Trending => Model::Alone(Source::Trending),
            Self::Weighted => Model::Weighted,
            Self::Ranker => Model::Fused,
        }
    }

    /// Its parameters.
    pub(crate) fn space(self) -> &'static [Parameter] {
        match self {
            Self::Collaborative => COLLABORATIVE,
            Self::Sequence => SEQUENCE,
            Self::Attributes => ATTRIBUTES,
            Self::Embedding => EMBEDDING,
            Self::Content => CONTENT,
            Self::Trending => TRENDING,
            Self::Weighted => WEIGHTED,
            Self::Ranker => RANKER,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|subject| subject.as_str() == text);
        let names = || Self::ALL.map(Self::as_str).join(", ");
        found.ok_or_else(|| format!("{text:?} cannot be tuned; there are {}", names()))
    }
}

/// One number of the configuration.
pub(crate) struct Parameter {
    /// Section and key of the configuration file.
    pub(crate) key: &'static str,
    range: Range,
    get: fn(&Options) -> f64,
    set: fn(&mut Options, f64),
}

#[derive(Clone, Copy)]
enum Range {
    Linear(f64, f64),
    /// Equal factors are equal steps.
    Log(f64, f64),
    /// Whole numbers, equal factors being equal steps.
    Count(f64, f64),
}

impl Parameter {
    /// The value at `place` of the way through the range, 0..=1, with three significant digits: what is
    /// written in a file is what was measured.
    pub(crate) fn value(&self, place: f64) -> f64 {
        let place = place.clamp(0.0, 1.0);
        match self.range {
            Range::Linear(from, to) => round(from + place * (to - from)),
            Range::Log(from, to) => round(from * (to / from).powf(place)),
            Range::Count(from, to) => (from * (to / from).powf(place)).round(),
        }
    }

    /// Where in the range a value lies.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let place = match self.range {
            Range::Linear(from, to) => (value - from) / (to - from),
            Range::Log(from, to) | Range::Count(from, to) => {
                (value.max(from) / from).ln() / (to / from).ln()
            }
        };
        place.clamp(0.0, 1.0)
    }

    /// Whether values are whole numbers.
    pub(crate) fn is_count(&self) -> bool {
        matches!(self.range, Range::Count(..))
    }

    /// The configured value.
    pub(crate) fn get(&self, options: &Options) -> f64 {
        (self.get)(options)
    }

    /// Sets the value.
    pub(crate) fn set(&self, options: &mut Options, value: f64) {
        (self.set)(options, value);
    }
}

/// Three significant digits.
fn round(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let digits = 2 - value.abs().log10().floor() as i32;
    let unit = 10_f64.powi(digits);
    (value * unit).round() / unit
}

/// A parameter whose configured type is cast from and to `f64`.
macro_rules! parameter {
    ($key:literal, $range:expr, $($field:ident).+ as $kind:ty) => {
        Parameter {
            key: $key,
            range: $range,
            get: |options| options.$($field).+ as f64,
            set: |options, value| options.$($field).+ = value as $kind,
        }
    };
}

const COLLABORATIVE: &[Parameter] = &[
    parameter!("als.unobserved_ratio", Range::Log(0.5, 100.0), als.unobserved_ratio as f32),
    parameter!("als.regularization", Range::Log(0.001, 0.3), als.regularization as f32),
    parameter!(
        "als.regularization_exponent",
        Range::Linear(0.5, 1.25),
        als.regularization_exponent as f32
    ),
    parameter!("als.iterations", Range::Count(4.0, 20.0), als.iterations as usize),
];

const SEQUENCE: &[Parameter] = &[
    parameter!("sequence.window", Range::Count(2.0, 60.0), sequence.window as usize),
    parameter!(
        "sequence.distance_exponent",
        Range::Linear(0.0, 2.0),
        sequence.distance_exponent as f32
    ),
    parameter!("sequence.backward", Range::Linear(0.0, 1.0), sequence.backward as f32),
    parameter!("sequence.history", Range::Count(1.0, 50.0), sequence.history as usize),
    parameter!("sequence.history_decay", Range::Linear(0.3, 1.0), sequence.history_decay as f32),
    parameter!(
        "sequence.source_popularity_exponent",
        Range::Linear(0.0, 1.0),
        sequence.source_popularity_exponent as f32
    ),
    parameter!(
        "sequence.source_popularity_shift",
        Range::Log(0.1, 100.0),
        sequence.source_popularity_shift as f32
    ),
    parameter!(
        "sequence.target_popularity_exponent",
        Range::Linear(0.0, 1.0),
        sequence.target_popularity_exponent as f32
    ),
];

const ATTRIBUTES: &[Parameter] = &[
    parameter!(
        "attributes.rarity_exponent",
        Range::Linear(0.0, 4.0),
        attributes.rarity_exponent as f32
    ),
    parameter!("attributes.least_cosine", Range::Linear(0.02, 0.8), attributes.least_cosine as f32),
    parameter!(
        "attributes.similarity_exponent",
        Range::Linear(0.0, 4.0),
        attributes.similarity_exponent as f32
    ),
    parameter!("attributes.history", Range::Count(1.0, 50.0), attributes.history as usize),
    parameter!(
        "attributes.history_decay",
        Range::Linear(0.3, 1.0),
        attributes.history_decay as f32
    ),
    parameter!(
        "attributes.popularity_exponent",
        Range::Linear(0.0, 1.0),
        attributes.popularity_exponent as f32
    ),
];

const EMBEDDING: &[Parameter] = &[
    parameter!("embedding.epochs", Range::Count(2.0, 20.0), embedding.epochs as usize),
    parameter!("embedding.learning_rate", Range::Log(0.0005, 0.02), embedding.learning_rate as f32),
    parameter!(
        "embedding.vector_dropout",
        Range::Linear(0.0, 0.7),
        embedding.vector_dropout as f32
    ),
    parameter!(
        "embedding.history_dropout",
        Range::Linear(0.0, 0.5),
        embedding.history_dropout as f32
    ),
    parameter!("embedding.history", Range::Count(1.0, 50.0), embedding.history as usize),
    parameter!("embedding.history_decay", Range::Linear(0.3, 1.0), embedding.history_decay as f32),
];

const CONTENT: &[Parameter] = &[
    parameter!(
        "content.similarity_threshold",
        Range::Linear(0.0, 0.95),
        content.similarity_threshold as f32
    ),
    parameter!("content.monthly_decay", Range::Linear(0.3, 1.0), content.monthly_decay as f32),
    parameter!("content.seeds", Range::Count(1.0, 50.0), content.seeds as usize),
    parameter!("content.neighbours", Range::Count(5.0, 300.0), content.neighbours as usize),
];

const TRENDING: &[Parameter] = &[
    parameter!("trending.window_days", Range::Log(1.0, 90.0), trending.window_days as f64),
    parameter!("trending.half_life_days", Range::Log(0.5, 90.0), trending.half_life_days as f64),
];

const WEIGHTED: &[Parameter] = &[
    parameter!("fusion.newcomer_titles", Range::Linear(0.0, 20.0), fusion.newcomer_titles as f32),
    parameter!("fusion.collaborative", Range::Linear(0.0, 1.0), fusion.collaborative as f32),
    parameter!("fusion.item_item", Range::Linear(0.0, 1.0), fusion.item_item as f32),
    parameter!("fusion.sequence", Range::Linear(0.0, 1.0), fusion.sequence as f32),
    parameter!("fusion.attributes", Range::Linear(0.0, 1.0), fusion.attributes as f32),
    parameter!("fusion.embedding", Range::Linear(0.0, 1.0), fusion.embedding as f32),
    parameter!("fusion.content", Range::Linear(0.0, 1.0), fusion.content as f32),
    parameter!("fusion.graph", Range::Linear(0.0, 1.0), fusion.graph as f32),
    parameter!("fusion.trending", Range::Linear(0.0, 1.0), fusion.trending as f32),
    parameter!("fusion.popular", Range::Linear(0.0, 1.0), fusion.popular as f32),
];

const RANKER: &[Parameter] = &[
    parameter!("ranker.trees", Range::Count(20.0, 1000.0), ranker.trees as usize),
    parameter!("ranker.leaves", Range::Count(2.0, 32.0), ranker.leaves as usize),
    parameter!("ranker.learning_rate", Range::Log(0.005, 0.3), ranker.learning_rate as f64),
    parameter!("ranker.min_leaf_rows", Range::Count(5.0, 1000.0), ranker.min_leaf_rows as usize),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_lie_within_their_ranges_and_come_back() {
        let options = Options::default();
        for parameter in Subject::ALL.iter().flat_map(|subject| subject.space()) {
            let value = parameter.get(&options);
            let back = parameter.value(parameter.place(value));
            assert!(
                (back - value).abs() <= 0.006 * value.abs().max(0.01),
                "{}: {back}",
                parameter.key
            );
            let mut changed = Options::default();
            parameter.set(&mut changed, parameter.value(0.9));
            let read = parameter.get(&changed);
            assert!((read - parameter.value(0.9)).abs() < 1e-6 * read, "{}", parameter.key);
        }
    }

    #[test]
    fn three_significant_digits() {
        assert_eq!(round(0.012_345), 0.012_3);
        assert_eq!(round(98.76), 98.8);
        assert_eq!(round(0.0), 0.0);
    }
}
