//! What the sources weigh, and for whom.

use serde::{Deserialize, Serialize};
use sona_domain::{RequestContext, Source};

use crate::candidates::content::OWN_VECTOR;
use crate::ranker::replay::CHEAP;

/// Of so many titles what a user said they like is half as loud.
const NEW: f32 = 5.0;

/// How much louder than other circumstances it is before the first.
const LIKED: f32 = 9.0;

/// The same of who they are: people of an age or a country watch alike, but less than those who like the same.
const AKIN: f32 = 3.0;

/// How much louder a circumstance is that somebody chose than one that is just so, as a device or the time.
const ASKED: f32 = 4.0;

/// How sources are combined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fusion {
    /// Candidates each source may bring.
    pub candidates_per_source: usize,
    /// Of how many of a user's titles the sources that follow from them have half their weight.
    pub newcomer_titles: f32,
    /// Weight of the collaborative source; weights are scaled to sum to 1 over the sources present.
    pub collaborative: f32,
    /// Weight of the recent source.
    pub recent: f32,
    /// Weight of the item-item source; at 0 it is not trained.
    pub item_item: f32,
    /// Weight of the sequence source.
    pub sequence: f32,
    /// Weight of the attributes source; at 0 what is alike is not kept up to date.
    pub attributes: f32,
    /// Weight of the embedding source; at 0 it is not trained.
    pub embedding: f32,
    /// Weight of the trending source.
    pub trending: f32,
    /// Weight of the popular source.
    pub popular: f32,
    /// Weight of the context source.
    pub context: f32,
    /// Weight of the content source.
    pub content: f32,
    /// Weight of the graph source; at 0 no graph is built.
    pub graph: f32,
}

impl Default for Fusion {
    fn default() -> Self {
        Self {
            candidates_per_source: 100,
            newcomer_titles: 4.0,
            collaborative: 0.20,
            recent: 0.0,
            item_item: 0.0,
            sequence: 0.50,
            attributes: 0.20,
            embedding: 0.20,
            trending: 0.20,
            popular: 0.02,
            context: 0.10,
            content: 0.0,
            graph: 0.0,
        }
    }
}

impl Fusion {
    /// The weights for a user of whom `titles` are known: what follows from their titles weighs less the fewer there are.
    /// A mood or a company that is asked for is heard; genres they said they like speak loudest before the first title and
    /// fade. Whoever has a vector of their own is known by it as by [`OWN_VECTOR`] titles.
    pub(crate) fn for_user(&self, titles: usize, asked: &RequestContext, has_vector: bool) -> Self {
        let titles = titles as f32;
        // Of nothing nothing follows, whatever it weighs.
        let known_by = |titles: f32| {
            if titles > 0.0 { titles / (titles + self.newcomer_titles) } else { 1.0 }
        };
        let known = known_by(titles);
        let known_by_vector = known_by(if has_vector { titles + OWN_VECTOR } else { titles });
        let mut louder = 0.0;
        if asked.mood.is_some() || asked.company.is_some() {
            louder += ASKED;
        }
        if !asked.genres.is_empty() {
            louder += LIKED * NEW / (NEW + titles);
        } else if asked.age_range.is_some() || asked.region.is_some() {
            louder += AKIN * NEW / (NEW + titles);
        }
        Self {
            collaborative: self.collaborative * known,
            recent: self.recent * known,
            item_item: self.item_item * known,
            sequence: self.sequence * known,
            attributes: self.attributes * known,
            embedding: self.embedding * known,
            content: self.content * known_by_vector,
            graph: self.graph * known,
            context: self.context * (1.0 + louder),
            ..self.clone()
        }
    }

    /// The sources a ranker may ask: those that have a weight, and those that cost little. In listing order.
    pub(crate) fn asked(&self) -> Vec<Source> {
        let asked = |source: &Source| CHEAP.contains(source) || self.weight(*source) > 0.0;
        Source::ALL.into_iter().filter(asked).collect()
    }

    /// The configured weight of one source.
    pub fn weight(&self, source: Source) -> f32 {
        match source {
            Source::Collaborative => self.collaborative,
            Source::Recent => self.recent,
            Source::ItemItem => self.item_item,
            Source::Sequence => self.sequence,
            Source::Attributes => self.attributes,
            Source::Embedding => self.embedding,
            Source::Trending => self.trending,
            Source::Popular => self.popular,
            Source::Context => self.context,
            Source::Content => self.content,
            Source::Graph => self.graph,
        }
    }
}
