//! Titles like a title: by the factors of those who engaged with both, by who engaged with one around the other, by what
//! is said of both, by what their texts say, and by the people, genres, themes and viewers that lead from one to the other.

use sona_domain::{Content, ContentId, RecommendationType, SimilarTitle, Source};
use sona_numeric::attribute::Near;

use crate::Engine;
use crate::candidates::content::Alike;
use crate::candidates::{Candidates, Dense};
use crate::catalogue::View;
use crate::error::{Error, Result};
use crate::fuse::{Ensemble, Fused};
use crate::gate;
use crate::live::counts::Counts;
use crate::options::Fusion;
use crate::recommend::MAX_LIMIT;
use crate::snapshot::Snapshot;
use crate::snapshot::graph::Graph;
use crate::vectors::{Vectors, Wanted};

/// Candidates kept beyond the limit, as in a recommendation.
const SPARE: usize = 20;

/// Titles with few viewers are alike by chance; so many viewers are added to both sides.
const SHRINK: f32 = 10.0;

/// What attributes, years and popularity weigh in how alike two titles are described; scaled to sum to 1.
const FEATURES: [f32; 3] = [0.4, 0.2, 0.1];

/// Titles so many years apart are not close at all.
const FAR_YEARS: f32 = 50.0;

/// What a source says that has nothing.
const ABSENT: &str = "it knows nothing of this title and another one";

impl Engine {
    /// The titles most like `id`, most alike first; only titles that may be shown now. Empty if nobody has
    /// engaged with it, nothing is said of it and its text has no vector yet.
    pub async fn similar(&self, id: &ContentId, limit: usize) -> Result<Vec<SimilarTitle>> {
        let now = self.clock.now();
        let unknown = || Error::UnknownContent(id.clone());
        let row = self.catalogue.row(id).ok_or_else(unknown)?;
        let view = self.catalogue.view(now);
        view.get(row).ok_or_else(unknown)?;
        let mut allowed = view.available().clone();
        allowed.remove(row);

        let limit = limit.clamp(1, MAX_LIMIT);
        let per_source = self.options.fusion.candidates_per_source.max(limit + SPARE);
        let dense = |source, scores| Dense::new(source, scores, &allowed, per_source, ABSENT);
        let near = |vectors: &Vectors| {
            let vector = vectors.get(row).map(<[f32]>::to_vec);
            let allowed = allowed.clone();
            vector.map(|vector| Wanted::Near { vector, limit: per_source, allowed })
        };
        let found = self.find(|vectors| near(vectors).into_iter().collect()).await;
        let snapshot = self.snapshot.load_full();
        let (vectors, alike, counts) = (self.vectors(), self.attributes.alike(), self.counts());
        let sources: [Box<dyn Candidates>; 5] = [
            Box::new(dense(Source::Collaborative, cosines(&snapshot, row))),
            Box::new(dense(Source::Sequence, co_engagement(&counts, row))),
            Box::new(dense(Source::Attributes, features(&alike.near, &counts, &view, row))),
            Box::new(Alike::new((&vectors, &found), row, (&allowed, per_source), ABSENT)),
            Box::new(dense(Source::Graph, reached(&snapshot, row))),
        ];
        let fusion =
            Fusion { content: self.options.content.similar_weight, ..self.options.fusion.clone() };
        let ensemble = Ensemble::new(sources, &allowed, &fusion, limit + SPARE);
        let mut list = ensemble.list(limit + SPARE);
        gate::recheck(self, (&*view, None), self.clock.now(), &mut list, |(row, _)| *row);
        let present = |item: Fused| {
            let content = view.get(item.row)?;
            Some(SimilarTitle {
                content_id: content.content_id.clone(),
                title: content.title.clone(),
                year: content.year,
                score: item.score,
                recommendation_type: match item.sources.as_slice() {
                    [one] => one.source.into(),
                    _ => RecommendationType::Hybrid,
                },
                sources: item.sources,
            })
        };
        let items = list.into_iter().take(limit).map(|item| ensemble.explain(item));
        Ok(items.filter_map(present).collect())
    }
}

/// Cosine of every row's factors with those of `row`.
fn cosines(snapshot: &Snapshot, row: u32) -> Vec<f32> {
    let Some(factors) = snapshot.factors(row) else { return Vec::new() };
    let mut scores = Vec::new();
    snapshot.score(factors, &mut scores);
    for (score, norm) in scores.iter_mut().zip(snapshot.norms()) {
        *score = if *norm > 0.0 { *score / norm } else { 0.0 };
    }
    scores
}

/// Where a walk from `row` leads; nowhere if no graph is built.
fn reached(snapshot: &Snapshot, row: u32) -> Vec<f32> {
    let mut scores = Vec::new();
    if let Some(graph) = snapshot.graph().map(Graph::now) {
        graph.walk(&[row]).score(&mut scores);
    }
    scores
}

/// How alike other titles are described: by the attributes they share, by how close their years are and how close their
/// popularity.
fn features(near: &Near, counts: &Counts, view: &View, row: u32) -> Vec<f32> {
    let mut scores = vec![0.0; near.items()];
    let Some(content) = view.get(row) else { return scores };
    let highest = counts.highest_popularity().max(f32::MIN_POSITIVE);
    let popularity = |row: u32| counts.popularity(row) / highest;
    for (other, alike) in near.neighbours(row) {
        let Some(described) = view.get(*other) else { continue };
        let apart = (popularity(row) - popularity(*other)).abs();
        let [attributes, years, popular] = FEATURES;
        let closeness = years * years_close(content, described) + popular * (1.0 - apart);
        scores[*other as usize] = alike * (attributes + closeness) / FEATURES.iter().sum::<f32>();
    }
    scores
}

/// 1 for titles of one year, 0 for those half a century apart; a half where a year is not known.
fn years_close(one: &Content, other: &Content) -> f32 {
    let years = one.year.zip(other.year);
    let apart = years.map_or(FAR_YEARS / 2.0, |(one, other)| f32::from(one.abs_diff(other)));
    (1.0 - apart / FAR_YEARS).max(0.0)
}

/// How often each title was engaged with around `row`, either way, for what its viewers would make one expect.
fn co_engagement(counts: &Counts, row: u32) -> Vec<f32> {
    let mut scores = vec![0.0; counts.viewers.viewers().len()];
    if row as usize >= counts.transitions.items() {
        return scores;
    }
    for (other, count) in counts.transitions.neighbours(row) {
        let both_ways = count + counts.transitions.count(other, row);
        let viewers = counts.viewers.of(other) as f32;
        scores[other as usize] = both_ways / (viewers + SHRINK).sqrt();
    }
    scores
}
