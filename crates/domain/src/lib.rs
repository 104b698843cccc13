//! The words Sona uses: ids, content, events, profiles, recommendations, jobs, models and adapters.
//!
//! Plain values and total functions on them. No IO, no async, no clock of its own, no randomness:
//! whoever needs the time passes a [`Timestamp`] or a [`Clock`].
//!
//! | module | what it names |
//! |---|---|
//! | [`id`] | opaque identifiers of users, content and events |
//! | [`time`] | instants and the clock that hands them out |
//! | [`content`] | a catalogue entry: titles, genres, credits, availability |
//! | [`context`] | the circumstances of a request or an event |
//! | [`event`] | what a user did, and the log's cursor |
//! | [`embedding`] | a vector, and what it stands for |
//! | [`engagement`] | how much an event says about taste |
//! | [`erasure`] | what was removed with a user |
//! | [`user`] | a user as they were written, before they did anything |
//! | [`profile`] | what is known of a user from what they did |
//! | [`recommendation`] | a list, its scores, its sources and its reasons |
//! | [`exposure`] | what was shown |
//! | [`explain`] | how a list came about |
//! | [`score`] | what given titles score for a user |
//! | [`job`] | training jobs and their state machine |
//! | [`model`] | registered model versions |
//! | [`adapter`] | users' adapters, in versions |
//! | [`identity`] | who is asking, and what they may do |
//! | [`api_key`] | API keys, without their secrets |
//! | [`violation`] | what is wrong with an input, and where |

pub mod adapter;
pub mod api_key;
pub mod content;
pub mod context;
pub mod embedding;
pub mod engagement;
pub mod erasure;
pub mod event;
pub mod explain;
pub mod exposure;
pub mod id;
pub mod identity;
pub mod job;
pub mod model;
pub mod profile;
pub mod recommendation;
pub mod score;
pub mod time;
pub mod user;
pub mod violation;

pub use adapter::{
    Adapter, AdapterDetails, AdapterHandled, AdapterName, AdapterOrigin, AdapterReport,
    AdapterState, AdapterStatistics, AdapterTraining, AdapterUse, AdapterVersion, GainBucket,
    ListedAdapter, NewAdapter, ResidentAdapters,
};
pub use api_key::{ApiKey, ApiKeyState};
pub use content::{Content, ContentType, Credit, RoleType};
pub use context::{
    AgeRange, Circumstance, Company, DeviceType, Mood, Region, RequestContext, TimeOfDay, Weekday,
    Zone,
};
pub use embedding::{Embedding, EmbeddingModel, Entity, EntityType};
pub use engagement::{Effect, EventRule, EventRules};
pub use erasure::{Erased, Erasure, FileTraces};
pub use event::{Cursor, Event, EventDraft, EventType, LoggedEvent};
pub use explain::{Drops, Explain, SourceTrace, Stages};
pub use exposure::{ExposedItem, Exposure};
pub use id::{ContentId, EventId, IdError, IdSource, RecommendationId, UserId};
pub use identity::{Access, Principal, Scope, Scopes};
pub use job::{JobId, JobOutcome, JobState, MetricPoint, TrainingJob};
pub use model::ModelVersion;
pub use profile::Profile;
pub use recommendation::{
    Adjustment, Factor, Recommendation, RecommendationType, Recommendations, SimilarTitle, Source,
    SourceScore, SourceStatus,
};
pub use score::{KeptOut, NotScored, ScoredTitle, Scores, Unscored};
pub use time::{Clock, Timestamp};
pub use user::{User, UserAttributes};
pub use violation::{Violation, Violations};
