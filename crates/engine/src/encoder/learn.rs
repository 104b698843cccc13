//! Learning an encoder: a training job of its own, on the catalogue and on the factors of the current model.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use sona_domain::{ContentId, JobId, JobOutcome, JobState, ModelVersion};
use sona_encoder::learn::{Learned, Options, Report, Targets, learn};
use sona_numeric::Matrix;

use super::{ENCODER_NAME, text_of};
use crate::Engine;
use crate::error::{Error, Result};
use crate::registry;
use crate::start::MODEL_NAME;
use crate::train::{MIN_PAUSE, Progress, Run};

/// A catalogue of fewer entries is not learned from again only because it has doubled.
const MIN_GROWN: usize = 100;

/// What an encoder is learned from.
struct Examples {
    ids: Vec<ContentId>,
    texts: Vec<String>,
    /// Entries of the catalogue, of which these are all or a part.
    entries: usize,
}

/// Factors of the same titles, and who was there to learn them.
struct Factors {
    version: i64,
    vectors: Matrix,
    evidence: Vec<f32>,
}

impl Engine {
    /// Queues the learning of an encoder from the catalogue.
    ///
    /// # Errors
    /// [`Error::Imported`] where imported vectors are in use.
    pub async fn submit_encoder_training(&self) -> Result<JobId> {
        if self.encoders.imported().is_some() {
            return Err(Error::Imported);
        }
        let options = json!({"learn_texts": self.options.encoder.learn_texts});
        self.submit(ENCODER_NAME, options.as_object().cloned().unwrap_or_default()).await
    }

    /// Due is an encoder where none is configured and there is none yet, or its file cannot be used, or the catalogue is
    /// twice of what it was, or it has never heard what users engage with while there is a model that says so.
    pub(crate) async fn submit_encoder_if_due(&self) -> Result<()> {
        let interval = self.options.training.interval_hours;
        let entries = self.catalogue.latest().entries();
        if interval <= 0.0 || entries == 0 || self.encoders.is_configured() {
            return Ok(());
        }
        let last = self.store.jobs(Some(ENCODER_NAME), None, 1).await?.into_iter().next();
        let waited = last.is_none_or(|job| {
            let pause = if job.state == JobState::Failed { interval * 3600.0 } else { MIN_PAUSE };
            job.finished_at.is_some_and(|at| self.clock.now().seconds_since(at) >= pause)
        });
        if waited && self.is_encoder_due(entries).await? {
            self.submit_encoder_training().await?;
        }
        Ok(())
    }

    async fn is_encoder_due(&self, entries: usize) -> Result<bool> {
        let Some(current) = self.store.current_model(ENCODER_NAME).await? else { return Ok(true) };
        let number = |key: &str| current.metadata.get(key).and_then(Value::as_u64);
        let grown = entries >= MIN_GROWN.max(2 * number("entries").unwrap_or(0) as usize);
        let deaf = number("collaborative_version").is_none();
        // Only a model that can be read has anything to say.
        let served = self.snapshot.load().version();
        let speaks = served.is_some()
            && self.store.current_model(MODEL_NAME).await?.map(|model| model.version) == served;
        Ok(grown || (deaf && speaks) || self.encoders.has_refused(current.version))
    }

    /// Learns an encoder and makes it the current one.
    pub(crate) async fn train_encoder(self: &Arc<Self>, run: &Run) -> Result<()> {
        (run.report)(Progress::Reading);
        let examples = self.examples();
        if examples.ids.is_empty() {
            return Err(Error::NothingToTrain("the catalogue is empty".to_owned()));
        }
        let factors = self.factors_of(&examples.ids).await?;
        run.owned(self.store.start_job(&run.job.job_id, &run.worker).await?)?;
        let version = factors.as_ref().map(|factors| factors.version);
        let entries = examples.entries;
        let work = move || {
            let targets = factors.as_ref().map(|Factors { vectors, evidence, .. }| Targets {
                vectors,
                evidence: evidence.as_slice(),
            });
            learn_encoder(&examples.texts, targets)
        };
        let learned = tokio::task::spawn_blocking(work)
            .await
            .map_err(|panic| Error::NothingToTrain(panic.to_string()))??;
        self.write_report(run, &learned.report).await?;
        run.goes_on()?;
        (run.report)(Progress::Saving);
        let model = self.register_encoder(run, learned, entries, version).await?;
        self.point_to(run, &model).await?;
        let outcome = JobOutcome::Registered { version: model.version };
        let now = self.clock.now();
        run.owned(self.store.complete_job(&run.job.job_id, &run.worker, &outcome, now).await?)?;
        self.load_encoder().await?;
        self.drop_old_versions(ENCODER_NAME).await
    }

    /// The catalogue's texts in order of their ids; of a large one a part, chosen by the ids alone.
    fn examples(&self) -> Examples {
        let view = self.catalogue.latest();
        let all: Vec<_> = view.iter().map(|(_, content)| content).collect();
        let entries = all.len();
        let limit = self.options.encoder.learn_texts;
        let chosen = chosen(all, limit, |content| content.content_id.as_str());
        let (ids, texts) = chosen
            .into_iter()
            .map(|content| (content.content_id.clone(), text_of(content)))
            .unzip();
        Examples { ids, texts, entries }
    }

    /// The factors the current collaborative model has for these titles; `None` if there is no such model that can be read.
    async fn factors_of(&self, ids: &[ContentId]) -> Result<Option<Factors>> {
        let Some(model) = self.store.current_model(MODEL_NAME).await? else { return Ok(None) };
        let artifact = match self.read_artifact(&model).await {
            Ok(artifact) => artifact,
            Err(Error::Artifact { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let viewers = |id: &ContentId| {
            artifact.items.binary_search(id).map_or(0, |row| artifact.viewers[row])
        };
        let evidence = ids.iter().map(|id| viewers(id) as f32).collect();
        let vectors = artifact.factors_for(ids);
        Ok(Some(Factors { version: model.version, vectors, evidence }))
    }

    async fn write_report(&self, run: &Run, report: &Report) -> Result<()> {
        self.write_metric(run, 0, "explained", report.explained).await?;
        if let Some(explained) = report.engagement_explained {
            self.write_metric(run, 0, "engagement_explained", explained).await?;
        }
        Ok(())
    }

    async fn register_encoder(
        &self,
        run: &Run,
        learned: Learned,
        entries: usize,
        collaborative_version: Option<i64>,
    ) -> Result<ModelVersion> {
        let key = registry::key(run, ENCODER_NAME, "onnx");
        let metadata = metadata(&learned.report, entries, collaborative_version);
        self.register_file(run, (ENCODER_NAME, key), learned.model.into(), metadata).await
    }
}

/// Learns an encoder from one text a title, the options being those of every encoder that is learned here.
pub(crate) fn learn_encoder<T: AsRef<str> + Sync>(
    texts: &[T],
    targets: Option<Targets<'_>>,
) -> Result<Learned, sona_encoder::learn::Error> {
    learn(texts, targets, &Options::default())
}

/// The entries an encoder is learned from, in the order of their ids: at most `limit`, chosen by the ids alone.
pub(crate) fn chosen<T: Copy>(
    mut entries: Vec<T>,
    limit: usize,
    id: impl Fn(&T) -> &str,
) -> Vec<T> {
    if entries.len() > limit {
        entries.sort_by_cached_key(|entry| Sha256::digest(id(entry)).to_vec());
        entries.truncate(limit);
    }
    entries.sort_unstable_by(|a, b| id(a).cmp(id(b)));
    entries
}

fn metadata(
    report: &Report,
    entries: usize,
    collaborative_version: Option<i64>,
) -> Map<String, Value> {
    let value = json!({
        "entries": entries,
        "collaborative_version": collaborative_version,
        "texts": report.texts,
        "words": report.words,
        "tokens": report.tokens,
        "components": report.components,
        "explained": report.explained,
        "engagement_explained": report.engagement_explained,
    });
    value.as_object().cloned().unwrap_or_default()
}
