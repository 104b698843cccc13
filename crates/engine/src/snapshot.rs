//! One model version, aligned to the catalogue's rows. All of it is immutable but the places of the titles that came after
//! it in its embedding.

use std::sync::Arc;

use sona_numeric::als::{self, Projection};
use sona_numeric::item_item;
use sona_numeric::matrix::{self, Matrix};

use crate::artifact::Artifact;
use crate::catalogue::{Catalogue, View};

pub(crate) mod embedding;
pub(crate) mod graph;

use embedding::Embedding;
use graph::Graph;

/// What one model version brings to a request. Without a model every answer about taste is empty.
pub(crate) struct Snapshot {
    model: Option<Served>,
}

struct Served {
    version: i64,
    items: Matrix,
    norms: Vec<f32>,
    projection: Projection,
    item_item: Option<item_item::Model>,
    embedding: Option<Embedding>,
    graph: Option<Graph>,
}

impl Snapshot {
    /// No model is trained yet.
    pub(crate) const fn untrained() -> Self {
        Self { model: None }
    }

    /// A model that knows `rows` rows and nothing of them.
    pub(crate) fn without_factors(rows: usize) -> Self {
        let options = als::Options { factors: 1, ..als::Options::default() };
        Self::of_factors(0, Matrix::zeros(rows, 1), &options)
    }

    /// `artifact` as version `version`, its items moved to the catalogue's rows.
    pub(crate) fn new(version: i64, artifact: &Artifact, catalogue: &Catalogue) -> Self {
        let placed = catalogue.rows_of(&artifact.items);
        let mut items = Matrix::zeros(catalogue.len(), artifact.factors.width());
        for (from, to) in placed.iter().enumerate() {
            items.row_mut(*to as usize).copy_from_slice(artifact.factors.row(from));
        }
        // Rows given out meanwhile are followed once this serves.
        let view = catalogue.latest();
        let embedding = artifact.embedding.as_ref();
        let embedding = embedding.map(|model| Embedding::new(model, &placed, view));
        let near = artifact.item_item.as_ref().map(|model| model.moved(&placed, catalogue.len()));
        // Titles the model was not trained on are no evidence of anything: not of the Gramian, nor by their number.
        let projection = Projection::new(&artifact.factors, &artifact.options);
        Self::of_projection(version, items, projection)
            .with_item_item(near)
            .with_embedding(embedding)
    }

    /// Factors that lie on the catalogue's rows already.
    pub(crate) fn of_factors(version: i64, items: Matrix, options: &als::Options) -> Self {
        let projection = Projection::new(&items, options);
        Self::of_projection(version, items, projection)
    }

    fn of_projection(version: i64, items: Matrix, projection: Projection) -> Self {
        let norms = (0..items.rows()).map(|r| matrix::dot(items.row(r), items.row(r)).sqrt());
        let norms = norms.collect();
        let served = Served {
            version,
            items,
            norms,
            projection,
            item_item: None,
            embedding: None,
            graph: None,
        };
        Self { model: Some(served) }
    }

    /// The same with what is near each title.
    pub(crate) fn with_item_item(mut self, near: Option<item_item::Model>) -> Self {
        if let Some(model) = &mut self.model {
            model.item_item = near;
        }
        self
    }

    /// The same with an embedding.
    pub(crate) fn with_embedding(mut self, embedding: Option<Embedding>) -> Self {
        if let Some(model) = &mut self.model {
            model.embedding = embedding;
        }
        self
    }

    /// The same with a graph.
    pub(crate) fn with_graph(mut self, graph: Option<Graph>) -> Self {
        if let Some(model) = &mut self.model {
            model.graph = graph;
        }
        self
    }

    /// The graph of what titles are and who watched them.
    pub(crate) fn graph(&self) -> Option<&Graph> {
        self.model.as_ref()?.graph.as_ref()
    }

    /// The model's embedding.
    pub(crate) fn embedding(&self) -> Option<&Embedding> {
        self.model.as_ref()?.embedding.as_ref()
    }

    /// Takes in what is new in the catalogue.
    pub(crate) fn follow(&self, view: &Arc<View>) {
        if let Some(embedding) = self.embedding() {
            embedding.follow(view.clone());
        }
    }

    /// Whether [`Snapshot::follow`] would find something new.
    pub(crate) fn has_followed(&self, view: &View) -> bool {
        self.embedding().is_none_or(|embedding| embedding.has_followed(view))
    }

    /// The model's version.
    pub(crate) fn version(&self) -> Option<i64> {
        self.model.as_ref().map(|model| model.version)
    }

    /// The factors of a user with this history; empty without a model or if the model knows none of the titles.
    pub(crate) fn fold_in(&self, engaged: &[(u32, f32)]) -> Vec<f32> {
        let Some(model) = &self.model else { return Vec::new() };
        let known: Vec<_> =
            engaged.iter().copied().filter(|(row, _)| self.factors(*row).is_some()).collect();
        if known.is_empty() {
            return Vec::new();
        }
        model.projection.project(&model.items, &known)
    }

    /// The product of every row's factors with `vector`, into `scores`.
    pub(crate) fn score(&self, vector: &[f32], scores: &mut Vec<f32>) {
        match &self.model {
            Some(model) => model.items.times(vector, scores),
            None => scores.clear(),
        }
    }

    /// Whether the model says what is near each title.
    pub(crate) fn has_item_item(&self) -> bool {
        self.model.as_ref().is_some_and(|model| model.item_item.is_some())
    }

    /// How near every row is to the titles of `engaged`, into `scores`.
    pub(crate) fn score_near(&self, engaged: &[u32], scores: &mut Vec<f32>) {
        match self.model.as_ref().and_then(|model| model.item_item.as_ref()) {
            Some(near) => near.score(engaged, scores),
            None => scores.clear(),
        }
    }

    /// Which of the titles in `engaged` are near `target`, the nearest first.
    pub(crate) fn near(&self, engaged: &[u32], target: u32) -> Vec<(u32, f32)> {
        let near = self.model.as_ref().and_then(|model| model.item_item.as_ref());
        near.map_or_else(Vec::new, |near| near.evidence(engaged, target))
    }

    /// Cosine of two rows' factors; 0 if the model was not trained on both.
    pub(crate) fn cosine(&self, a: u32, b: u32) -> f32 {
        let norm = |row: u32| self.norms().get(row as usize).copied().unwrap_or(0.0);
        let norms = norm(a) * norm(b);
        match (self.factors(a), self.factors(b)) {
            (Some(a), Some(b)) if norms > 0.0 => (matrix::dot(a, b) / norms).clamp(-1.0, 1.0),
            _ => 0.0,
        }
    }

    /// A row's factors, if the model was trained on it.
    pub(crate) fn factors(&self, row: u32) -> Option<&[f32]> {
        let items = &self.model.as_ref()?.items;
        let factors = ((row as usize) < items.rows()).then(|| items.row(row as usize))?;
        factors.iter().any(|f| *f != 0.0).then_some(factors)
    }

    /// The length of every row's factors.
    pub(crate) fn norms(&self) -> &[f32] {
        self.model.as_ref().map_or(&[], |model| &model.norms)
    }
}
