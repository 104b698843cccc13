//! The order of one answer: by the trained ranker, or before there is one by the configured weights.

use sona_domain::SourceStatus;

use crate::Engine;
use crate::candidates::Question;
use crate::fuse::{Ensemble, Fused};
use crate::ranker::Serving;
use crate::ranker::moment::moment;
use crate::ranker::rank::{Known, Ranking, asked_for};

/// What the sources bring, in order.
pub(crate) struct Order<'s> {
    ensemble: Ensemble<'s>,
    ranking: Option<Ranking<'s>>,
}

impl Engine {
    /// Asks the sources and orders what they bring; at least `limit` titles, if there are so many. Rows that are `given` are
    /// scored too, whoever brought them.
    pub(crate) fn order<'s>(
        &self,
        question: &Question<'s>,
        limit: usize,
        given: &[u32],
    ) -> Order<'s> {
        match question.serving {
            Some(serving) => self.by_ranker(question, serving, limit, given),
            None => self.by_weights(question, limit),
        }
    }

    fn by_weights<'s>(&self, question: &Question<'s>, limit: usize) -> Order<'s> {
        let titles = question.taste.engaged.len();
        let has_vector = question.own_vector.is_some();
        let fusion = self.options.fusion.for_user(titles, question.context, has_vector);
        let ensemble = Ensemble::ask(question, &fusion, limit);
        Order { ensemble, ranking: None }
    }

    fn by_ranker<'s>(
        &self,
        question: &Question<'s>,
        serving: &'s Serving,
        limit: usize,
        given: &[u32],
    ) -> Order<'s> {
        let (taste, fusion) = (question.taste, &self.options.fusion);
        let ensemble = Ensemble::for_ranker(question, fusion, limit);
        let zone = question.context.timezone.as_ref().unwrap_or(question.timezone);
        let moment = moment(&taste.liked, question.now, zone);
        let titles = taste.engaged.len();
        let viewer = taste.viewer(&serving.ranker.layout, question.view, question.now);
        let known = Known {
            viewer: &viewer,
            personal: question.personal,
            moment,
            weights: &serving.weights(&moment),
            asked: asked_for(question.context, titles),
        };
        let ranking = Ranking::new(&serving.ranker, &ensemble, question.view, &known, given);
        Order { ensemble, ranking: Some(ranking) }
    }
}

impl Order<'_> {
    /// The best with their scores, best first.
    pub(crate) fn list(&self, limit: usize) -> Vec<(u32, f32)> {
        match &self.ranking {
            Some(ranking) => ranking.list(limit),
            None => self.ensemble.list(limit),
        }
    }

    /// What a row scores that is in the list or was given.
    pub(crate) fn score(&self, row: u32) -> Option<f32> {
        match &self.ranking {
            Some(ranking) => ranking.score(row),
            None => Some(self.ensemble.total(row)),
        }
    }

    /// How many titles the sources brought.
    pub(crate) fn candidates(&self) -> usize {
        self.ensemble.rows().len()
    }

    /// Items of the list, or given rows, with all that puts them there, in their order.
    pub(crate) fn explain(&self, items: &[(u32, f32)]) -> Vec<Fused> {
        match &self.ranking {
            Some(ranking) => ranking.explain(items, &self.ensemble),
            None => items.iter().map(|item| self.ensemble.explain(*item)).collect(),
        }
    }

    /// How every source took part in the first `limit` items.
    pub(crate) fn statuses(&self, limit: usize) -> Vec<SourceStatus> {
        match &self.ranking {
            Some(ranking) => {
                let shares = ranking.shares(limit);
                self.ensemble.statuses(|source| shares[source as usize])
            }
            None => self.ensemble.statuses(|source| self.ensemble.weight(source)),
        }
    }
}
