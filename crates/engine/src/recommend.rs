//! What should this user see next: gate, candidates, fusion, a second look at the gate, reasons.

use std::sync::Arc;
use std::time::Instant;

use sona_domain::{
    AdapterState, AdapterUse, Adjustment, ContentId, Factor, Recommendation, RecommendationId,
    RecommendationType, Recommendations, Source, Timestamp, UserId,
};
use sona_numeric::rows::RowSet;
use sona_numeric::sequence;

use crate::Engine;
use crate::adapters::Personal;
use crate::candidates::{Question, content};
use crate::catalogue::View;
use crate::diversify::{distance, diversify};
use crate::error::Result;
use crate::explain::{Passed, Stage, Trace, drops};
use crate::fuse::Fused;
use crate::gate;
use crate::live::users::stored::Written;
use crate::live::users::{Taste, User};
use crate::order::Order;
use crate::ranker::Serving;
use crate::reasons::Reasons;
use crate::snapshot::Snapshot;
use crate::snapshot::embedding::Embedding;
use crate::snapshot::graph::Graph;
use crate::vectors::Found;
use crate::written_users::completed;

pub use sona_domain::RequestContext;

/// The longest list.
pub const MAX_LIMIT: usize = 100;

/// Candidates kept beyond the limit, for those that become forbidden while the request is worked on.
pub(crate) const SPARE: usize = 20;

/// How long an item that rests on what is trending may be shown from a cache, in seconds.
const TTL_TRENDING: u32 = 1800;

/// How long any other item may be.
const TTL: u32 = 3600;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct RecommendRequest {
    /// For whom.
    pub user_id: UserId,
    /// How many items, 1..=[`MAX_LIMIT`].
    pub limit: usize,
    /// Titles not to show this time; unknown ones are ignored.
    pub exclude: Vec<ContentId>,
    /// The circumstances; what they leave out of the user is looked up in what was written of them.
    pub context: RequestContext,
}

/// What a request is answered from. It holds no lock, so that something can be waited for.
struct Asked {
    snapshot: Arc<Snapshot>,
    /// The ranker that serves.
    serving: Option<Arc<Serving>>,
    /// What is private of the user.
    personal: Option<Personal>,
    /// How that takes part; `None` where there are no adapters.
    adapter: Option<AdapterUse>,
    view: Arc<View>,
    taste: Arc<Taste>,
    /// What others wrote of the user.
    written: Option<Arc<Written>>,
    context: RequestContext,
    allowed: RowSet,
    /// Whether the request itself forbids rows.
    narrowed: bool,
    /// How many candidates each source may bring.
    per_source: usize,
    now: Timestamp,
}

impl Asked {
    /// The user's own vector.
    fn own_vector(&self) -> Option<&[f32]> {
        self.written.as_ref().and_then(|written| written.vector.as_deref())
    }
}

impl Engine {
    /// The user's list. An unknown user gets a cold one; it is empty only if nothing unseen is available.
    pub async fn recommend(&self, request: &RecommendRequest) -> Result<Recommendations> {
        let user = self.user(&request.user_id).await?;
        let context = completed(&request.context, user.written().as_deref());
        let asked = self.stand_on((request, context), &user, (self.clock.now(), None));
        let found = self.find_near(&asked).await;
        Ok(self.answer(request, &user, (&asked, &found), None))
    }

    /// As [`Engine::recommend`], and says how the list came about.
    pub async fn recommend_explained(&self, request: &RecommendRequest) -> Result<Recommendations> {
        let started = Instant::now();
        let user = self.user(&request.user_id).await?;
        let trace = Trace::new(started);
        let context = completed(&request.context, user.written().as_deref());
        let asked = self.stand_on((request, context), &user, (self.clock.now(), Some(&trace)));
        let searched = Instant::now();
        let found = self.find_near(&asked).await;
        trace.add(Stage::Search, searched.elapsed());
        Ok(self.answer(request, &user, (&asked, &found), Some(&trace)))
    }

    /// What a request stands on, as of now.
    fn stand_on(
        &self,
        (request, context): (&RecommendRequest, RequestContext),
        user: &User,
        (now, trace): (Timestamp, Option<&Trace>),
    ) -> Asked {
        let limit = request.limit.clamp(1, MAX_LIMIT);
        let snapshot = self.snapshot.load_full();
        let view = self.catalogue.view(now);
        let taste = Trace::time(trace, Stage::Prepare, || user.taste(&snapshot));
        let excluded: Vec<_> =
            request.exclude.iter().filter_map(|id| self.catalogue.row(id)).collect();
        let base = self.base_layer();
        let personal = base.as_ref().and_then(|base| self.personal(user, base));
        Asked {
            allowed: Trace::time(trace, Stage::Gate, || gate::allowed(&view, &taste, &excluded)),
            serving: self.ranking.load_full(),
            adapter: base.map(|_| adapter_use(personal.as_ref())),
            personal,
            narrowed: !excluded.is_empty(),
            per_source: self.options.fusion.candidates_per_source.max(limit + SPARE),
            now,
            snapshot,
            view,
            taste,
            written: user.written(),
            context,
        }
    }

    /// What the content source asks an index outside of this process, if there is one. Otherwise nothing is waited for.
    async fn find_near(&self, asked: &Asked) -> Found {
        if self.options.fusion.content <= 0.0 {
            return Found::default();
        }
        let options = (&self.options.content, asked.now);
        let among = (&asked.allowed, asked.per_source);
        let user = (asked.taste.liked.as_slice(), asked.own_vector());
        self.find(|vectors| content::wanted(vectors, user, options, among)).await
    }

    fn answer(
        &self,
        request: &RecommendRequest,
        user: &User,
        asked: (&Asked, &Found),
        trace: Option<&Trace>,
    ) -> Recommendations {
        let limit = request.limit.clamp(1, MAX_LIMIT);
        self.hold_still(asked, trace, |question, reasons| {
            let longest = self.options.diversity.pool_of(limit) + SPARE;
            let order = Trace::time(trace, Stage::Order, || self.order(question, longest, &[]));
            let presented = self.present(question, &order, reasons, (user, limit));
            let sources = Trace::time(trace, Stage::Order, || order.statuses(limit));
            let explain = trace.map(|trace| {
                let passed = Passed {
                    candidates: order.candidates(),
                    became_forbidden: presented.became_forbidden,
                    shown: presented.items.len(),
                };
                trace.finish(&sources, drops(question, user, passed))
            });
            let answer = Recommendations {
                recommendation_id: self.fresh_recommendation_id(),
                user_id: request.user_id.clone(),
                recommendations: presented.items,
                intra_list_distance: presented.intra_list_distance,
                adapter: asked.0.adapter,
                sources,
                interaction_count: user.state().interaction_count,
                model_version: question.snapshot.version(),
                generated_at: question.now,
                explain,
            };
            answer.adapter.iter().for_each(|used| self.adapter_counters.list(used.state));
            self.expose(&answer, question.serving.map(|serving| serving.version));
            answer
        })
    }

    /// A user's state, with what is private of them.
    pub(crate) async fn user(&self, id: &UserId) -> Result<Arc<User>> {
        let user = self.users.get(id, &self.stored_users(), &self.catalogue).await?;
        self.load_adapter(id, &user).await;
        Ok(user)
    }

    fn fresh_recommendation_id(&self) -> RecommendationId {
        RecommendationId::new(self.ids.fresh()).expect("an id source gives valid ids")
    }

    /// What a request with just this context would look at, with nothing but what is in memory.
    pub(crate) fn look<R>(
        &self,
        request: &RecommendRequest,
        user: &User,
        now: Timestamp,
        answer: impl FnOnce(&Question<'_>, &Reasons<'_>) -> R,
    ) -> R {
        let asked = self.stand_on((request, request.context.clone()), user, (now, None));
        self.hold_still((&asked, &Found::default()), None, answer)
    }

    /// Holds everything still that a request looks at, for as long as `answer` takes.
    fn hold_still<R>(
        &self,
        (asked, found): (&Asked, &Found),
        trace: Option<&Trace>,
        answer: impl FnOnce(&Question<'_>, &Reasons<'_>) -> R,
    ) -> R {
        let Asked { snapshot, view, taste, allowed, context, .. } = asked;
        let sequence: sequence::Options = (&self.options.sequence).into();
        let vectors = self.vectors();
        let placed = snapshot.embedding().map(Embedding::placed);
        let graph = snapshot.graph().map(Graph::now);
        let walk = Trace::time(trace, Stage::Prepare, || {
            graph.as_ref().map(|graph| graph.walk(&taste.recent))
        });
        let alike = self.attributes.alike();
        let counts = self.counts();
        let latest = sequence.source_weights(&taste.recent, &counts.viewers);
        let question = Question {
            snapshot,
            counts: &counts,
            near: &alike.near,
            embedding: placed.as_deref(),
            walk: walk.as_ref(),
            trending: &counts.trending,
            taste,
            latest: &latest,
            view,
            context,
            timezone: &self.options.context.timezone,
            vectors: &vectors,
            found,
            content: &self.options.content,
            now: asked.now,
            serving: asked.serving.as_deref(),
            allowed,
            narrowed: asked.narrowed,
            limit: asked.per_source,
            personal: asked.personal.as_ref(),
            own_vector: asked.own_vector(),
            trace,
        };
        let reasons = Reasons {
            view,
            counts: &counts,
            alike: &alike,
            embedding: placed.as_deref(),
            walk: graph.as_ref().zip(walk.as_ref()),
            snapshot,
            taste,
            vectors: &vectors,
            latest: &latest,
            window_days: self.options.trending.window_days,
            context,
        };
        answer(&question, &reasons)
    }
}

impl Engine {
    /// The best that may still be shown and do not repeat each other, with their reasons.
    fn present(
        &self,
        question: &Question<'_>,
        order: &Order<'_>,
        reasons: &Reasons<'_>,
        (user, limit): (&User, usize),
    ) -> Presented {
        let (options, trace) = (&self.options.diversity, question.trace);
        let mut pool =
            Trace::time(trace, Stage::Order, || order.list(options.pool_of(limit) + SPARE));
        let before = pool.len();
        let seen = (reasons.view, Some((user, reasons.taste)));
        Trace::time(trace, Stage::Gate, || {
            gate::recheck(self, seen, self.clock.now(), &mut pool, |(row, _)| *row);
        });
        let became_forbidden = before - pool.len();
        let (chosen, rows, intra_list_distance) = Trace::time(trace, Stage::Diversify, || {
            let chosen = diversify(question, &pool, options, limit);
            let rows: Vec<_> = chosen.iter().map(|item| (item.row, item.relevance)).collect();
            let distance = distance(question, &rows);
            (chosen, rows, distance)
        });
        let items = Trace::time(trace, Stage::Reasons, || {
            let items = order.explain(&rows).into_iter().zip(&chosen);
            let items = items.map(|(item, chosen)| with_penalty(item, chosen.penalty));
            items.filter_map(|item| present(item, reasons.view, reasons)).collect()
        });
        Presented { items, intra_list_distance, became_forbidden }
    }
}

/// How the user's adapter takes part in an answer.
fn adapter_use(personal: Option<&Personal>) -> AdapterUse {
    let unavailable = AdapterUse { state: AdapterState::Unavailable, events: 0, gain: 0.0 };
    personal.map_or(unavailable, Personal::state)
}

/// A list as it is shown.
struct Presented {
    items: Vec<Recommendation>,
    intra_list_distance: Option<f32>,
    /// How many became forbidden while the request was worked on.
    became_forbidden: usize,
}

fn with_penalty(mut item: Fused, penalty: f32) -> Fused {
    if penalty > 0.0 {
        item.score -= penalty;
        item.adjustments.push(Adjustment { factor: Factor::Diversity, contribution: -penalty });
    }
    item
}

pub(crate) fn present(item: Fused, view: &View, reasons: &Reasons<'_>) -> Option<Recommendation> {
    let content = view.get(item.row)?;
    let (explanation, evidence) = reasons.explain(&item);
    let strongest = item.sources.first().map(|part| part.source);
    let having = item.sources.iter().filter(|part| part.score > 0.0);
    Some(Recommendation {
        content_id: content.content_id.clone(),
        title: content.title.clone(),
        year: content.year,
        score: item.score,
        recommendation_type: match (strongest, having.count()) {
            (Some(source), 1) => source.into(),
            (Some(_), _) => RecommendationType::Hybrid,
            (None, _) => RecommendationType::Popular,
        },
        based_on: evidence
            .into_iter()
            .filter_map(|row| Some(view.get(row)?.content_id.clone()))
            .collect(),
        explanation,
        ttl_seconds: if strongest == Some(Source::Trending) { TTL_TRENDING } else { TTL },
        sources: item.sources,
        adjustments: item.adjustments,
    })
}
