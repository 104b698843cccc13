//! One list from many sources: every candidate gets every source's score, weighted; the weights of the
//! sources present sum to 1.

use sona_domain::{Adjustment, Source, SourceScore, SourceStatus};
use sona_numeric::rows::RowSet;
use sona_numeric::select;

use crate::candidates::{Candidates, Question};
use crate::options::Fusion;
use crate::ranker::features::RawValues;

/// One item of the list.
#[derive(Debug, Clone)]
pub(crate) struct Fused {
    pub(crate) row: u32,
    /// Sum of the contributions, 0..=1.
    pub(crate) score: f32,
    /// What the sources say, strongest contribution first.
    pub(crate) sources: Vec<SourceScore>,
    /// What decides besides them.
    pub(crate) adjustments: Vec<Adjustment>,
}

/// The sources of one answer, and what each weighs in it.
pub(crate) struct Ensemble<'s> {
    members: Vec<Member<'s>>,
    /// How many rows there are.
    rows: usize,
}

struct Member<'s> {
    candidates: Box<dyn Candidates + 's>,
    best: Vec<(u32, f32)>,
    /// 0 if it brought nothing.
    weight: f32,
}

impl<'s> Ensemble<'s> {
    /// Asks the sources that have a weight; the others only where these bring fewer than `limit` candidates, so that
    /// a list is short only if nothing else may be shown.
    pub(crate) fn ask(question: &Question<'s>, options: &Fusion, limit: usize) -> Self {
        let (weighty, idle): (Vec<_>, Vec<_>) =
            Source::ALL.into_iter().partition(|source| options.weight(*source) > 0.0);
        let ask = |sources: Vec<Source>| sources.into_iter().map(|source| question.ask(source));
        let ensemble = Self::new(ask(weighty), question.allowed, options, limit);
        if idle.is_empty() || ensemble.brings(limit) {
            return ensemble;
        }
        let asked = ensemble.members.into_iter().map(|member| member.candidates);
        let mut all: Vec<_> = asked.chain(ask(idle)).collect();
        all.sort_by_key(|candidates| candidates.source());
        Self::new(all, question.allowed, options, limit)
    }

    /// Asks the sources a ranker asks.
    pub(crate) fn for_ranker(question: &Question<'s>, options: &Fusion, limit: usize) -> Self {
        let sources = options.asked().into_iter().map(|source| question.ask(source));
        Self::new(sources, question.allowed, options, limit)
    }

    /// Each source brings its best, at least `limit` rows of `allowed`.
    pub(crate) fn new(
        sources: impl IntoIterator<Item = Box<dyn Candidates + 's>>,
        allowed: &RowSet,
        options: &Fusion,
        limit: usize,
    ) -> Self {
        let limit = options.candidates_per_source.max(limit);
        let member = |candidates: Box<dyn Candidates + 's>| {
            let best = candidates.best(allowed, limit);
            let weight = if best.is_empty() { 0.0 } else { options.weight(candidates.source()) };
            Member { candidates, best, weight }
        };
        let mut members: Vec<_> = sources.into_iter().map(member).collect();
        weigh(&mut members);
        Self { members, rows: allowed.len() }
    }

    /// The best candidates with their scores (0..=1), best first, ties in the order of the sources.
    pub(crate) fn list(&self, limit: usize) -> Vec<(u32, f32)> {
        let mut list: Vec<_> = self.candidates().collect();
        if list.is_sorted_by(|a, b| a.1 >= b.1) {
            // One source alone has its best in order.
            list.truncate(limit);
            return list;
        }
        // By place, so that equal scores stay in the order in which the sources brought them.
        let (rows, scores): (Vec<_>, Vec<_>) = list.into_iter().unzip();
        let best = select::top_k_of((0..).zip(scores), limit, f32::NEG_INFINITY);
        best.into_iter().map(|(place, score)| (rows[place as usize], score)).collect()
    }

    /// What any row scores by the weights, on the scale of the list.
    pub(crate) fn total(&self, row: u32) -> f32 {
        self.members.iter().map(|member| member.weight * member.score(row)).sum()
    }

    /// An item of the list with what the sources say of it.
    pub(crate) fn explain(&self, (row, score): (u32, f32)) -> Fused {
        let mut sources = Vec::with_capacity(self.members.len());
        sources.extend(self.members.iter().filter_map(|member| member.explain(row)));
        sources.sort_by(|a, b| {
            b.contribution.total_cmp(&a.contribution).then(a.source.cmp(&b.source))
        });
        Fused { row, score, sources, adjustments: Vec::new() }
    }

    /// What the sources bring, each row once, in listing order.
    pub(crate) fn rows(&self) -> Vec<u32> {
        let mut met = RowSet::new(self.rows);
        let brought = self.members.iter().flat_map(|member| &member.best);
        brought.map(|(row, _)| *row).filter(|row| met.insert(*row)).collect()
    }

    /// The sources that brought something.
    pub(crate) fn present(&self) -> impl Iterator<Item = Source> {
        let present = self.members.iter().filter(|member| !member.best.is_empty());
        present.map(|member| member.candidates.source())
    }

    /// What a source says of a row, 0..=1; 0 if it was not asked.
    pub(crate) fn score(&self, source: Source, row: u32) -> f32 {
        let member = self.members.iter().find(|member| member.candidates.source() == source);
        member.map_or(0.0, |member| member.score(row))
    }

    /// What every source knows of a row.
    pub(crate) fn raw(&self, row: u32) -> RawValues {
        let mut raw = RawValues::default();
        for member in self.members.iter().filter(|member| !member.best.is_empty()) {
            let source = member.candidates.source() as usize;
            raw.all[source] = member.candidates.raw(row);
            raw.by_newest[source] = member.candidates.by_newest(row);
            raw.relative[source] = member.candidates.score(row);
        }
        raw
    }

    /// How every source took part, in listing order; `weight` says with what weight. Those that were not asked are in the
    /// configuration with weight 0.
    pub(crate) fn statuses(&self, weight: impl Fn(Source) -> f32) -> Vec<SourceStatus> {
        let status = |source| {
            let member = self.members.iter().find(|member| member.candidates.source() == source);
            let best = member.map_or(&[][..], |member| &member.best);
            let absent =
                member.map_or("its weight is 0 in the configuration", |m| m.candidates.absent());
            SourceStatus {
                source,
                candidates: best.len() as u32,
                weight: if best.is_empty() { 0.0 } else { weight(source) },
                absent: best.is_empty().then_some(absent.into()),
                degraded: member.and_then(|m| m.candidates.degraded()).map(Into::into),
            }
        };
        Source::ALL.into_iter().map(status).collect()
    }

    /// The weight of a source in a list that is ordered by weights.
    pub(crate) fn weight(&self, source: Source) -> f32 {
        let member = self.members.iter().find(|member| member.candidates.source() == source);
        member.map_or(0.0, |member| member.weight)
    }

    fn brings(&self, rows: usize) -> bool {
        let one_does = self.members.iter().any(|member| member.best.len() >= rows);
        one_does || self.candidates().count() >= rows
    }

    /// What the sources bring with the sum of what they all say of it, each row once, in listing order.
    fn candidates(&self) -> impl Iterator<Item = (u32, f32)> {
        let mut met = RowSet::new(self.rows);
        let brought = self.members.iter().enumerate().flat_map(|(at, member)| {
            member.best.iter().map(move |(row, score)| (*row, at, *score))
        });
        brought.filter(move |(row, ..)| met.insert(*row)).map(|(row, at, score)| {
            let contribution = |(other, member): (usize, &Member<'_>)| {
                member.weight * if other == at { score } else { member.score(row) }
            };
            (row, self.members.iter().enumerate().map(contribution).sum())
        })
    }
}

impl Member<'_> {
    /// What the source says of a row; one that brought nothing says nothing.
    fn score(&self, row: u32) -> f32 {
        if self.best.is_empty() { 0.0 } else { self.candidates.score(row) }
    }

    fn explain(&self, row: u32) -> Option<SourceScore> {
        let (source, weight, score) = (self.candidates.source(), self.weight, self.score(row));
        (score > 0.0).then_some(SourceScore { source, score, contribution: score * weight })
    }
}

/// Scales the weights of the sources that brought something to sum to 1.
fn weigh(members: &mut [Member<'_>]) {
    let sum: f32 = members.iter().map(|member| member.weight).sum();
    let present = members.iter().filter(|member| !member.best.is_empty()).count() as f32;
    for member in members.iter_mut().filter(|member| !member.best.is_empty()) {
        // If only sources of weight 0 are left they share the answer: an empty list helps nobody.
        member.weight = if sum > 0.0 { member.weight / sum } else { present.recip() };
    }
}
