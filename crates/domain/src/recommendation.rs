//! A list, its scores, its sources and its reasons.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::adapter::AdapterUse;
use crate::explain::Explain;
use crate::id::{ContentId, RecommendationId, UserId};
use crate::time::Timestamp;

/// Where a candidate comes from. The order is the order in which sources are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// ALS factors of the title times the user's factors, folded in live from the whole history.
    Collaborative,
    /// The same factors times the user's factors folded in from their latest titles alone, the newest counting most.
    Recent,
    /// Titles near the user's titles by who engaged with both.
    ItemItem,
    /// What others engaged with around the titles the user engaged with last.
    Sequence,
    /// Titles that share attributes with the titles the user engaged with last.
    Attributes,
    /// What comes next by a small embedding, trained on what follows what and on what titles are.
    Embedding,
    /// Distinct viewers in the last days, recent ones counting more.
    Trending,
    /// Distinct viewers of all time.
    Popular,
    /// Titles that fit the device and mood of the request.
    Context,
    /// Titles whose texts are like those of the user's titles.
    Content,
    /// Titles that share people, genres, themes or viewers with the user's titles.
    Graph,
}

impl Source {
    /// All sources, in listing order.
    pub const ALL: [Self; 11] = [
        Self::Collaborative,
        Self::Recent,
        Self::ItemItem,
        Self::Sequence,
        Self::Attributes,
        Self::Embedding,
        Self::Trending,
        Self::Popular,
        Self::Context,
        Self::Content,
        Self::Graph,
    ];

    /// The wire name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collaborative => "collaborative",
            Self::Recent => "recent",
            Self::ItemItem => "item_item",
            Self::Sequence => "sequence",
            Self::Attributes => "attributes",
            Self::Embedding => "embedding",
            Self::Trending => "trending",
            Self::Popular => "popular",
            Self::Context => "context",
            Self::Content => "content",
            Self::Graph => "graph",
        }
    }
}

/// What kind of recommendation an item is: its one source, or `hybrid` if several agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RecommendationType {
    /// Only the collaborative source has it.
    Collaborative,
    /// Only the recent source has it.
    Recent,
    /// Only the item-item source has it.
    ItemItem,
    /// Only the sequence source has it.
    Sequence,
    /// Only the attributes source has it.
    Attributes,
    /// Only the embedding source has it.
    Embedding,
    /// Only the trending source has it.
    Trending,
    /// Only the popular source has it.
    Popular,
    /// Only the context source has it.
    Context,
    /// Only the content source has it.
    Content,
    /// Only the graph source has it.
    Graph,
    /// Several sources have it.
    Hybrid,
}

impl RecommendationType {
    /// The wire name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collaborative => Source::Collaborative.as_str(),
            Self::Recent => Source::Recent.as_str(),
            Self::ItemItem => Source::ItemItem.as_str(),
            Self::Sequence => Source::Sequence.as_str(),
            Self::Attributes => Source::Attributes.as_str(),
            Self::Embedding => Source::Embedding.as_str(),
            Self::Trending => Source::Trending.as_str(),
            Self::Popular => Source::Popular.as_str(),
            Self::Context => Source::Context.as_str(),
            Self::Content => Source::Content.as_str(),
            Self::Graph => Source::Graph.as_str(),
            Self::Hybrid => "hybrid",
        }
    }
}

impl From<Source> for RecommendationType {
    fn from(source: Source) -> Self {
        match source {
            Source::Collaborative => Self::Collaborative,
            Source::Recent => Self::Recent,
            Source::ItemItem => Self::ItemItem,
            Source::Sequence => Self::Sequence,
            Source::Attributes => Self::Attributes,
            Source::Embedding => Self::Embedding,
            Source::Trending => Self::Trending,
            Source::Popular => Self::Popular,
            Source::Context => Self::Context,
            Source::Content => Self::Content,
            Source::Graph => Self::Graph,
        }
    }
}

/// What one source says of one item.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SourceScore {
    /// Which source.
    pub source: Source,
    /// Its score, 0..=1, relative to the best it has for this user.
    pub score: f32,
    /// Its part of the item's score; below 0 where it speaks against the item.
    pub contribution: f32,
}

/// What decides the order besides the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    /// What every candidate has in common: the score of an average one.
    Base,
    /// When the title was made.
    Year,
    /// Its genres.
    Genre,
    /// What the user's own adapter adds.
    Adapter,
    /// How much it is like the titles before it in the list.
    Diversity,
}

impl Factor {
    /// The wire name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Year => "year",
            Self::Genre => "genre",
            Self::Adapter => "adapter",
            Self::Diversity => "diversity",
        }
    }
}

/// A part of an item's score that is no source's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Adjustment {
    /// What it is.
    pub factor: Factor,
    /// Its part of the item's score.
    pub contribution: f32,
}

/// One item of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Recommendation {
    /// What to show.
    pub content_id: ContentId,
    /// Its title.
    pub title: String,
    /// Its year, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<u16>,
    /// The sum of all contributions. Without diversification 1 is the best candidate and 0 the worst.
    pub score: f32,
    /// Its one source, or `hybrid`.
    pub recommendation_type: RecommendationType,
    /// What every source says, strongest contribution first.
    pub sources: Vec<SourceScore>,
    /// What decides besides the sources.
    pub adjustments: Vec<Adjustment>,
    /// Titles from the user's history that speak for it, strongest first.
    pub based_on: Vec<ContentId>,
    /// Why, in one sentence.
    pub explanation: String,
    /// For how many seconds the item may be shown from a cache.
    pub ttl_seconds: u32,
}

/// A title like another title.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SimilarTitle {
    /// The title.
    pub content_id: ContentId,
    /// What it is called.
    pub title: String,
    /// Its year, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<u16>,
    /// How alike, 0..=1, relative to the most alike one.
    pub score: f32,
    /// Its one source, or `hybrid`.
    pub recommendation_type: RecommendationType,
    /// What the sources say, strongest first.
    pub sources: Vec<SourceScore>,
}

/// Whether a source took part in an answer, and if not, why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SourceStatus {
    /// Which source.
    pub source: Source,
    /// How many candidates it gave.
    pub candidates: u32,
    /// Its share in the order of this list, 0..=1; 0 if it did not take part.
    pub weight: f32,
    /// Why it did not take part.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub absent: Option<Cow<'static, str>>,
    /// In which way it was answered otherwise than it should have been: something it relies on failed, and something else
    /// stood in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub degraded: Option<Cow<'static, str>>,
}

/// An answer: what this user should see next, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Recommendations {
    /// The list's name: events may quote it, and for a while it leads to what was shown.
    pub recommendation_id: RecommendationId,
    /// For whom.
    pub user_id: UserId,
    /// Best first.
    pub recommendations: Vec<Recommendation>,
    /// How unlike the titles of the list are: the mean of 1 − cosine over all pairs, by their texts' vectors or the model's
    /// factors; absent if no two titles have any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intra_list_distance: Option<f32>,
    /// How the user's own adapter took part; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<AdapterUse>,
    /// Which sources took part.
    pub sources: Vec<SourceStatus>,
    /// How many events of this user the answer rests on; 0 for an unknown user.
    pub interaction_count: u64,
    /// The model the collaborative source used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version: Option<i64>,
    /// When the answer was made.
    pub generated_at: Timestamp,
    /// How it came about; only where that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explain>,
}
