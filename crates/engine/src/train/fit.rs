//! Fitting all that has a weight in the fusion, on a blocking thread.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::Value;
use sona_domain::TrainingJob;
use sona_numeric::{Interactions, als, embedding, item_item};
use tokio::sync::mpsc;

use super::{Progress, Report, Run, Stop, flow, is_soon};
use crate::Engine;
use crate::artifact;
use crate::catalogue::Catalogue;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::options;

/// What a fit gives, before anybody has judged it.
pub(crate) struct Fitted {
    pub(crate) model: als::Model,
    pub(crate) options: als::Options,
    /// Only what has a weight in the fusion is trained.
    pub(crate) item_item: Option<item_item::Model>,
    pub(crate) embedding: Option<artifact::Embedding>,
}

impl Engine {
    /// Fits on a blocking thread; metric points are written as they come.
    pub(crate) async fn fit(
        self: &Arc<Self>,
        run: &Run,
        data: Dataset,
    ) -> Result<(Arc<Dataset>, Fitted)> {
        let interactions = data.interactions()?;
        let options = job_options(&run.job, &self.options.als).for_matrix(&interactions);
        let (points, mut measured) = mpsc::unbounded_channel();
        let fit = Fit { points, stop: run.stop.clone(), report: run.report.clone() };
        let (engine, soon) = (self.clone(), is_soon(&run.job.options));
        let work = move || -> Result<(Dataset, Fitted)> {
            let wanted = &engine.options.fusion;
            let model = fit.factors(&interactions, &options)?;
            let mut fitted = Fitted { model, options, item_item: None, embedding: None };
            if wanted.item_item > 0.0 {
                fitted.item_item = items_near(&interactions, &(&engine.options.item_item).into())?;
            }
            if wanted.embedding > 0.0 && !soon {
                let options = (&engine.options.embedding).into();
                fitted.embedding = fit.embedding(&data, &engine.catalogue, &options)?;
            }
            Ok((data, fitted))
        };
        let fitting = tokio::task::spawn_blocking(work);
        while let Some((name, step, loss)) = measured.recv().await {
            self.write_metric(run, step, name, loss).await?;
        }
        let fitted = fitting.await.map_err(|panic| Error::NothingToTrain(panic.to_string()))?;
        match fitted {
            Err(
                Error::Training(als::Error::Cancelled)
                | Error::Embedding(embedding::Error::Cancelled),
            ) => Err(Error::LostJob(run.job.job_id.clone())),
            fitted => fitted.map(|(data, fitted)| (Arc::new(data), fitted)),
        }
    }
}

/// A fit that says how far it is and can be stopped.
struct Fit {
    /// Metric points: name, step and value.
    points: mpsc::UnboundedSender<(&'static str, i64, f64)>,
    stop: Stop,
    report: Report,
}

impl Fit {
    fn factors(&self, of: &Interactions, options: &als::Options) -> Result<als::Model> {
        let sweeps = options.iterations;
        let model = als::fit(of, options, &mut |als::Iteration { index, loss }| {
            (self.report)(Progress::Iteration { index, of: sweeps, loss });
            self.go_on("loss", index, loss)
        });
        Ok(model?)
    }

    /// `None` if nobody engaged with two titles: there is nothing that follows anything.
    fn embedding(
        &self,
        data: &Dataset,
        catalogue: &Catalogue,
        options: &embedding::Options,
    ) -> Result<Option<artifact::Embedding>> {
        let (names, attributes) = data.attributes(catalogue);
        let (sequences, epochs) = (data.sequences(), options.epochs);
        let mut on_epoch = |embedding::Epoch { index, loss }| {
            (self.report)(Progress::Epoch { index, of: epochs, loss });
            self.go_on("embedding_loss", index, loss)
        };
        match embedding::fit(&sequences, &attributes, options, &mut on_epoch) {
            Ok(model) => Ok(Some(artifact::Embedding { model, attributes: names })),
            Err(embedding::Error::NoTargets) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn go_on(&self, name: &'static str, step: usize, loss: f64) -> ControlFlow<()> {
        let _ = self.points.send((name, step as i64, loss));
        flow(&|| self.stop.ask())
    }
}

/// `None` for a catalogue that has outgrown the algorithm: the other sources are trained all the same.
fn items_near(
    interactions: &Interactions,
    options: &item_item::Options,
) -> Result<Option<item_item::Model>> {
    match item_item::fit(interactions, options) {
        Err(error @ item_item::Error::TooManyItems(_)) => {
            tracing::warn!(%error, "trained without the item-item source");
            Ok(None)
        }
        fitted => Ok(Some(fitted?)),
    }
}

/// The options a job was submitted with.
fn job_options(job: &TrainingJob, fallback: &options::Als) -> options::Als {
    let known = serde_json::to_value(fallback).unwrap_or_default();
    let ours = job.options.iter().filter(|(name, _)| known.get(name).is_some());
    let options = ours.map(|(name, value)| (name.clone(), value.clone())).collect();
    serde_json::from_value(Value::Object(options)).unwrap_or_else(|_| fallback.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_that_has_outgrown_ease_is_trained_without_it() {
        let row = vec![(0, 1.0), (1, 1.0)];
        let of = |items| Interactions::from_rows(items, vec![row.clone()]).expect("a matrix");
        let options =
            item_item::Options { algorithm: item_item::Algorithm::Ease, ..Default::default() };
        assert!(items_near(&of(2), &options).expect("fitted").is_some());
        assert!(items_near(&of(20_000), &options).expect("left out").is_none());
        let wrong = item_item::Options { ridge: 0.0, ..options };
        assert!(items_near(&of(2), &wrong).is_err());
    }
}
