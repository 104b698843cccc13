//! What should this user see next: gate, candidates, fusion, a second look at the gate, reasons.

use std::sync::Arc;

use sona_domain::{
    ContentId, Recommendation, RecommendationType, Recommendations, Source, Timestamp, UserId,
};
use sona_numeric::rows::RowSet;
use sona_numeric::sequence;

use crate::Engine;
use crate::candidates::{Question, content};
use crate::catalogue::View;
use crate::error::Result;
use crate::fuse::{Ensemble, Fused};
use crate::gate;
use crate::live::users::{Taste, User};
use crate::options::Fusion;
use crate::reasons::Reasons;
use crate::snapshot::Snapshot;
use crate::snapshot::embedding::Embedding;
use crate::snapshot::graph::Graph;
use crate::vectors::Found;

pub use sona_domain::RequestContext;

/// The longest list.
pub const MAX_LIMIT: usize = 100;

/// Candidates kept beyond the limit, for those that become forbidden while the request is worked on.
const SPARE: usize = 20;

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
    /// The circumstances.
    pub context: RequestContext,
}

/// What a request is answered from. It holds no lock, so that something can be waited for.
struct Asked {
    snapshot: Arc<Snapshot>,
    view: Arc<View>,
    taste: Arc<Taste>,
    allowed: RowSet,
    /// Whether the request itself forbids rows.
    narrowed: bool,
    fusion: Fusion,
    limit: usize,
    /// How many candidates each source may bring.
    per_source: usize,
    now: Timestamp,
}

impl Engine {
    /// The user's list. An unknown user gets a cold one; it is empty only if nothing unseen is available.
    pub async fn recommend(&self, request: &RecommendRequest) -> Result<Recommendations> {
        let user = self.users.get(&request.user_id, &*self.store, &self.catalogue).await?;
        let asked = self.look_at(request, &user, self.clock.now());
        let found = self.find_near(&asked).await;
        Ok(self.answer(request, &user, (&asked, &found)))
    }

    /// What a request stands on, as of now.
    fn look_at(&self, request: &RecommendRequest, user: &User, now: Timestamp) -> Asked {
        let limit = request.limit.clamp(1, MAX_LIMIT);
        let snapshot = self.snapshot.load_full();
        let view = self.catalogue.view(now);
        let taste = user.taste(&snapshot);
        let excluded: Vec<_> =
            request.exclude.iter().filter_map(|id| self.catalogue.row(id)).collect();
        Asked {
            allowed: gate::allowed(&view, &taste, &excluded),
            fusion: self.options.fusion.for_user(taste.engaged.len(), &request.context),
            narrowed: !excluded.is_empty(),
            per_source: self.options.fusion.candidates_per_source.max(limit + SPARE),
            now,
            limit,
            snapshot,
            view,
            taste,
        }
    }

    /// What the content source asks an index outside of this process, if there is one. Otherwise nothing is waited for.
    async fn find_near(&self, asked: &Asked) -> Found {
        if asked.fusion.content <= 0.0 {
            return Found::default();
        }
        let options = (&self.options.content, asked.now);
        let among = (&asked.allowed, asked.per_source);
        self.find(|vectors| content::wanted(vectors, &asked.taste.liked, options, among)).await
    }

    fn answer(
        &self,
        request: &RecommendRequest,
        user: &User,
        (asked, found): (&Asked, &Found),
    ) -> Recommendations {
        let Asked { snapshot, view, taste, allowed, fusion, limit, now, .. } = asked;
        let (limit, now) = (*limit, *now);
        let sequence: sequence::Options = (&self.options.sequence).into();

        let vectors = self.vectors();
        let placed = snapshot.embedding().map(Embedding::placed);
        let graph = snapshot.graph().map(Graph::now);
        let walk = graph.as_ref().map(|graph| graph.walk(&taste.recent));
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
            context: &request.context,
            timezone: &self.options.context.timezone,
            vectors: &vectors,
            found,
            content: &self.options.content,
            now,
            allowed,
            narrowed: asked.narrowed,
            limit: asked.per_source,
        };
        let ensemble = Ensemble::ask(&question, fusion, limit + SPARE);
        let reasons = Reasons {
            view,
            counts: &counts,
            alike: &alike,
            embedding: placed.as_deref(),
            walk: graph.as_ref().zip(walk.as_ref()),
            snapshot,
            taste,
            vectors: &vectors,
            shortlist: taste.by_factors.get(),
            latest: &latest,
            window_days: self.options.trending.window_days,
            context: &request.context,
        };
        Recommendations {
            user_id: request.user_id.clone(),
            recommendations: self.present(&ensemble, &reasons, (user, limit)),
            sources: ensemble.statuses(),
            interaction_count: user.state().interaction_count,
            model_version: snapshot.version(),
            generated_at: now,
        }
    }
}

impl Engine {
    /// The best of the ensemble that may still be shown, with their reasons.
    fn present(
        &self,
        ensemble: &Ensemble<'_>,
        reasons: &Reasons<'_>,
        (user, limit): (&User, usize),
    ) -> Vec<Recommendation> {
        let mut list = ensemble.list(limit + SPARE);
        let seen = (reasons.view, Some((user, reasons.taste)));
        gate::recheck(self, seen, self.clock.now(), &mut list, |(row, _)| *row);
        let items = list.into_iter().take(limit).map(|item| ensemble.explain(item));
        let mut recommendations = Vec::with_capacity(limit);
        recommendations.extend(items.filter_map(|item| present(item, reasons.view, reasons)));
        recommendations
    }
}

fn present(item: Fused, view: &View, reasons: &Reasons<'_>) -> Option<Recommendation> {
    let content = view.get(item.row)?;
    let (explanation, evidence) = reasons.explain(&item);
    let strongest = item.sources.first().map(|part| part.source);
    Some(Recommendation {
        content_id: content.content_id.clone(),
        title: content.title.clone(),
        year: content.year,
        score: item.score,
        recommendation_type: match (strongest, item.sources.len()) {
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
    })
}
