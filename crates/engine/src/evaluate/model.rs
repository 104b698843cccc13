//! What can be evaluated: each source alone, all of them fused, and fused without one.

use std::fmt;
use std::str::FromStr;

use sona_domain::Source;
use sona_numeric::rows::RowSet;

use super::data::Data;
use super::measure::LIST;
use crate::candidates::Candidates;
use crate::fuse::Ensemble;
use crate::options::Fusion;

/// Sources that a data set can say something about; the circumstances of a request are in none.
const SOURCES: [Source; 10] = [
    Source::Popular,
    Source::Trending,
    Source::Sequence,
    Source::Attributes,
    Source::Content,
    Source::Embedding,
    Source::Collaborative,
    Source::Recent,
    Source::ItemItem,
    Source::Graph,
];

/// All sources together, in every order there is.
const FUSED: [Model; 6] = [
    Model::Weighted,
    Model::Fused,
    Model::WithoutLayer,
    Model::Adapted,
    Model::OthersAdapter,
    Model::Diversified,
];

/// One model of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// One source alone.
    Alone(Source),
    /// All sources, with the configured weights.
    Fused,
    /// All sources but one.
    FusedWithout(Source),
    /// All sources, ordered by the ranker without the shared layer that learns from every event.
    WithoutLayer,
    /// The fused lists, with the user's own adapter.
    Adapted,
    /// The fused lists, with somebody else's adapter: what an adapter learns is private if these are worse.
    OthersAdapter,
    /// The fused lists, chosen so that they do not repeat themselves.
    Diversified,
    /// All sources, with the configured weights, where [`Model::Fused`] is ordered by a trained ranker.
    Weighted,
}

impl Model {
    /// The models `data` allows: every source it can feed, and all of them fused. Content is among them only where it has a
    /// weight: encoding a catalogue may take longer than everything else.
    pub fn of(data: &Data, fusion: &Fusion) -> Vec<Self> {
        let wanted = |s: &Source| *s != Source::Content || fusion.weight(Source::Content) > 0.0;
        let fused = [Self::Weighted, Self::Fused];
        let all = SOURCES.into_iter().filter(wanted).map(Self::Alone).chain(fused);
        all.filter(|model| model.is_possible(data)).collect()
    }

    /// The models `time-split` judges by default: every source that takes part, alone and left out, all of them fused, with
    /// and without the shared layer and adapters, and by the configured weights.
    pub fn in_time(fusion: &Fusion) -> Vec<Self> {
        let taking_part = fusion.asked();
        let alone = taking_part.iter().copied().map(Self::Alone);
        let without = taking_part.iter().copied().map(Self::FusedWithout);
        alone.chain(FUSED).chain(without).collect()
    }

    /// Whether its lists are ordered by a ranker.
    pub(crate) const fn is_ranked(self) -> bool {
        !matches!(self, Self::Alone(_) | Self::Weighted)
    }

    /// Whether only a replay in time can say how good it is.
    pub(crate) const fn is_in_time_only(self) -> bool {
        matches!(self, Self::WithoutLayer | Self::Adapted | Self::OthersAdapter | Self::Diversified)
    }

    /// Whether a source takes part in its lists.
    pub(crate) fn takes(self, source: Source) -> bool {
        self.alone().is_none_or(|one| one == source) && self != Self::FusedWithout(source)
    }

    /// The source, if it is one alone.
    pub(crate) const fn alone(self) -> Option<Source> {
        if let Self::Alone(source) = self { Some(source) } else { None }
    }

    /// Whether `data` has what it needs.
    pub(crate) fn is_possible(self, data: &Data) -> bool {
        self.lack(data).is_none()
    }

    /// What `data` would need for it and has not, in words.
    pub(crate) fn lack(self, data: &Data) -> Option<String> {
        let source = self.alone()?;
        if source == Source::Trending && !data.is_timed() {
            return Some(format!("{self} needs times, and the data has none"));
        }
        let described = [Source::Attributes, Source::Content].contains(&source);
        (described && !data.is_described())
            .then(|| format!("{self} needs a catalogue, and the data has none"))
    }

    /// The sources it is made of: of the fused ones those that have a weight.
    pub(crate) fn sources(self, fusion: &Fusion) -> Vec<Source> {
        let wanted = |source: &Source| self.takes(*source) && fusion.weight(*source) > 0.0;
        let fused = || SOURCES.into_iter().filter(wanted).collect();
        self.alone().map_or_else(fused, |source| vec![source])
    }

    /// The sources it may be made of, whatever their weights.
    pub(crate) fn possible_sources(self) -> Vec<Source> {
        self.alone().map_or_else(|| SOURCES.to_vec(), |source| vec![source])
    }

    /// Its list: rows with scores above 0, best first, at most [`LIST`].
    pub(crate) fn list(
        self,
        sources: &[Box<dyn Candidates + '_>],
        allowed: &RowSet,
        fusion: &Fusion,
    ) -> Vec<(u32, f32)> {
        let taking_part = self.sources(fusion);
        let sources: Vec<_> =
            sources.iter().filter(|source| taking_part.contains(&source.source())).collect();
        let list: Vec<_> = if let (Self::Alone(_), [source]) = (self, sources.as_slice()) {
            source.best(allowed, LIST)
        } else {
            let sources = sources.into_iter().map(|source| Box::new(source.as_ref()) as Box<_>);
            Ensemble::new(sources, allowed, fusion, LIST).list(LIST)
        };
        list.into_iter().filter(|(_, score)| *score > 0.0).collect()
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone(source) => f.write_str(&name(*source)),
            Self::Fused => f.write_str("fused"),
            Self::FusedWithout(source) => write!(f, "fused-{}", name(*source)),
            Self::WithoutLayer => f.write_str("fused-layer"),
            Self::Adapted => f.write_str("fused+adapter"),
            Self::OthersAdapter => f.write_str("fused+others-adapter"),
            Self::Diversified => f.write_str("fused+diversity"),
            Self::Weighted => f.write_str("weighted"),
        }
    }
}

/// A source's name on the command line.
fn name(source: Source) -> String {
    source.as_str().replace('_', "-")
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let alone = Source::ALL.map(Self::Alone);
        let without = Source::ALL.map(Self::FusedWithout);
        let mut all = alone.into_iter().chain(FUSED).chain(without);
        all.clone().find(|model| model.to_string() == text).ok_or_else(|| {
            let names: Vec<_> = all.by_ref().map(|model| model.to_string()).collect();
            format!("there is no model {text:?}; there are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in ["popular", "collaborative", "item-item", "fused", "fused-item-item"] {
            assert_eq!(name.parse::<Model>().unwrap().to_string(), name);
        }
        assert!(
            "als".parse::<Model>().unwrap_err().contains("graph, weighted, fused, fused-layer,")
        );
    }
}
