//! Sources of candidates. Each one scores titles 0..=1 and brings its best; what it cannot answer it says.

pub(crate) mod attributes;
pub(crate) mod collaborative;
pub(crate) mod content;
pub(crate) mod context;
pub(crate) mod embedding;
mod graph;
pub(crate) mod item_item;
pub(crate) mod popular;
pub(crate) mod sequence;
mod sparse;
pub(crate) mod trending;

use sona_domain::{RequestContext, Source, Timestamp, Zone};
use sona_numeric::attribute::Near;
use sona_numeric::rows::RowSet;
use sona_numeric::walk::Walk;

use crate::adapters::Personal;
use crate::catalogue::View;
use crate::explain::Trace;
use crate::live::counts::Counts;
use crate::live::shortlist::{Kept, Shortlist};
use crate::live::users::Taste;
use crate::options::ContentBased;
use crate::ranker::Serving;
use crate::snapshot::Snapshot;
use crate::snapshot::embedding::Placed;
use crate::vectors::{Found, Vectors};

use collaborative::Collaborative;
use context::Context;
use embedding::Embedding;
use popular::Popular;
pub(crate) use sparse::Sparse;
use trending::Trending;

/// Everything a source may look at to answer one request.
pub(crate) struct Question<'q> {
    pub(crate) snapshot: &'q Snapshot,
    pub(crate) counts: &'q Counts,
    /// Which titles are alike by their attributes.
    pub(crate) near: &'q Near,
    /// The model's embedding.
    pub(crate) embedding: Option<&'q Placed>,
    /// The walk over the model's graph from the user's latest titles.
    pub(crate) walk: Option<&'q Walk<'q>>,
    pub(crate) trending: &'q crate::live::trending::Trending,
    pub(crate) taste: &'q Taste,
    /// The user's latest titles as the sequence source weighs them.
    pub(crate) latest: &'q [(u32, f32)],
    pub(crate) view: &'q View,
    pub(crate) context: &'q RequestContext,
    /// Where clocks hang of which nothing else is known.
    pub(crate) timezone: &'q Zone,
    pub(crate) vectors: &'q Vectors,
    /// What was found near the user's titles outside of this process.
    pub(crate) found: &'q Found,
    pub(crate) content: &'q ContentBased,
    pub(crate) now: Timestamp,
    /// The ranker that serves.
    pub(crate) serving: Option<&'q Serving>,
    /// The rows that may be shown.
    pub(crate) allowed: &'q RowSet,
    /// Whether the request itself forbids rows, beyond what is known of the user and the catalogue.
    pub(crate) narrowed: bool,
    /// How many candidates each source may bring.
    pub(crate) limit: usize,
    /// The user's own vector, made elsewhere, of length 1.
    pub(crate) own_vector: Option<&'q [f32]>,
    /// What is private of the user.
    pub(crate) personal: Option<&'q Personal>,
    /// Where it is measured how long they take, if it is.
    pub(crate) trace: Option<&'q Trace>,
}

impl<'q> Question<'q> {
    /// What one source says.
    pub(crate) fn ask(&self, source: Source) -> Box<dyn Candidates + 'q> {
        match self.trace {
            Some(trace) => trace.ask(source, || self.ask_unmeasured(source)),
            None => self.ask_unmeasured(source),
        }
    }

    fn ask_unmeasured(&self, source: Source) -> Box<dyn Candidates + 'q> {
        let Self { snapshot, counts, taste, allowed, limit, .. } = *self;
        match source {
            Source::Collaborative => Box::new(Collaborative::new(self)),
            Source::Recent => Box::new(Collaborative::recent(self)),
            Source::ItemItem => Box::new(item_item::ask(snapshot, taste, allowed, limit)),
            Source::Sequence => Box::new(sequence::ask(counts, self.latest, allowed, limit)),
            Source::Attributes => {
                Box::new(attributes::ask(self.near, counts, taste, allowed, limit))
            }
            Source::Embedding => Box::new(Embedding::new(self)),
            Source::Trending => Box::new(Trending::new(self.trending, self.now)),
            Source::Popular => Box::new(Popular::new(counts)),
            Source::Context => Box::new(Context::new(self)),
            Source::Content => Box::new(content::Content::new(self)),
            Source::Graph => Box::new(graph::ask(self)),
        }
    }

    /// The best allowed rows of a model that scores all rows, only scores above `floor`. `score` is asked for them once for
    /// a user; until the user, the model, the catalogue or the model's vectors (at `vectors`) change, later requests are
    /// answered from what `kept` has of that.
    fn best_of_all(
        &self,
        kept: &Kept,
        vectors: u64,
        floor: f32,
        score: impl FnOnce(&mut Vec<f32>),
    ) -> Vec<(u32, f32)> {
        let revision = (self.view.revision(), vectors);
        let before = kept.get();
        if let Some(best) = before.and_then(|b| b.within(revision, self.allowed, self.limit)) {
            return best;
        }
        let mut scores = Vec::new();
        score(&mut scores);
        let best = sona_numeric::select::top_k(&scores, self.allowed, self.limit, floor);
        if !self.narrowed {
            let is_all = best.len() < self.limit;
            kept.keep(Shortlist::new(revision, best.clone(), is_all));
        }
        best
    }
}

/// One source's view of one request.
pub(crate) trait Candidates {
    /// Which source.
    fn source(&self) -> Source;

    /// Its best allowed rows with their [`Candidates::score`], best first, at most `limit`.
    fn best(&self, allowed: &RowSet, limit: usize) -> Vec<(u32, f32)>;

    /// Its score of any row, 0..=1; 0 means it has nothing to say.
    fn score(&self, row: u32) -> f32;

    /// What it knows of any row, on the source's own scale, the same for every request; a row it has nothing to say of has
    /// the value of a source that is absent.
    fn raw(&self, row: u32) -> f32;

    /// The same by the user's newest title alone, where the source looks at titles one by one; else 0.
    fn by_newest(&self, _row: u32) -> f32 {
        0.0
    }

    /// Why it brings nothing, for when it does not.
    fn absent(&self) -> &'static str;

    /// In which way its answer was made otherwise than it should have been.
    fn degraded(&self) -> Option<&'static str> {
        None
    }
}

impl<C: Candidates + ?Sized> Candidates for &C {
    fn source(&self) -> Source {
        (**self).source()
    }

    fn best(&self, allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        (**self).best(allowed, limit)
    }

    fn score(&self, row: u32) -> f32 {
        (**self).score(row)
    }

    fn raw(&self, row: u32) -> f32 {
        (**self).raw(row)
    }

    fn by_newest(&self, row: u32) -> f32 {
        (**self).by_newest(row)
    }

    fn absent(&self) -> &'static str {
        (**self).absent()
    }

    fn degraded(&self) -> Option<&'static str> {
        (**self).degraded()
    }
}

/// A source that has scored all rows, scaled so that the best allowed one is 1.
pub(crate) struct Dense {
    source: Source,
    scores: Vec<f32>,
    best: Vec<(u32, f32)>,
    scale: f32,
    absent: &'static str,
}

impl Dense {
    /// Scales `scores`; only positive ones count. `absent` is said if there are none.
    pub(crate) fn new(
        source: Source,
        scores: Vec<f32>,
        allowed: &RowSet,
        limit: usize,
        absent: &'static str,
    ) -> Self {
        let best = sona_numeric::select::top_k(&scores, allowed, limit, 0.0);
        let scale = best.first().map_or(0.0, |(_, score)| score.recip());
        Self { source, scores, best, scale, absent }
    }
}

impl Candidates for Dense {
    fn source(&self) -> Source {
        self.source
    }

    fn best(&self, _allowed: &RowSet, limit: usize) -> Vec<(u32, f32)> {
        scaled(&self.best, limit, self.scale)
    }

    fn score(&self, row: u32) -> f32 {
        (self.raw(row) * self.scale).clamp(0.0, 1.0)
    }

    fn raw(&self, row: u32) -> f32 {
        self.scores.get(row as usize).copied().unwrap_or(0.0)
    }

    fn absent(&self) -> &'static str {
        self.absent
    }
}

/// The first of `best`, scaled.
fn scaled(best: &[(u32, f32)], limit: usize, scale: f32) -> Vec<(u32, f32)> {
    best.iter().take(limit).map(|(row, score)| (*row, (score * scale).clamp(0.0, 1.0))).collect()
}
