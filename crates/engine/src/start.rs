//! Opening the engine: the catalogue, the best usable model, the counts, and what happened since.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sona_domain::{Cursor, ModelVersion};
use sona_numeric::sequence::Transitions;

use crate::Engine;
use crate::artifact::Artifact;
use crate::catalogue::Catalogue;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::live::counts::Counts;
use crate::log::PAGE;
use crate::snapshot::Snapshot;

/// The name of the model this engine trains and serves.
pub const MODEL_NAME: &str = "collaborative";

/// A model ready to be served, with its counts as of one place in the log.
pub(crate) struct Prepared {
    pub(crate) snapshot: Snapshot,
    pub(crate) counts: Counts,
    pub(crate) through: Cursor,
    /// Removals up to here were made before the log was read for it.
    pub(crate) removals_seen: i64,
}

impl Engine {
    /// Brings the empty engine to the present. Called once, before anything is served.
    pub(crate) async fn load(self: &Arc<Self>) -> Result<()> {
        self.follow_catalogue().await?;
        self.skip_old_removals().await?;
        self.load_adapter_changes().await?;
        self.skip_old_user_writes().await?;
        let head = self.store.head().await?;
        let prepared = match self.best_model().await? {
            Some(prepared) => prepared,
            None => self.count_from_log().await?,
        };
        let Prepared { snapshot, mut counts, through, .. } = prepared;
        self.replay(&mut counts, through, head).await?;
        self.load_trending(&mut counts, head).await?;
        self.list_all(&mut counts);
        *self.counts_mut() = counts;
        self.snapshot.store(Arc::new(snapshot));
        self.set_applied(head.max(through));
        Ok(())
    }

    /// The current model if its file is sound, else the newest older one that is.
    async fn best_model(self: &Arc<Self>) -> Result<Option<Prepared>> {
        let Some(current) = self.store.current_model(MODEL_NAME).await? else { return Ok(None) };
        let older = self.store.models(MODEL_NAME).await?;
        let older = older.into_iter().filter(|model| model.version < current.version);
        for model in std::iter::once(current.clone()).chain(older) {
            match self.prepare(&model).await {
                Ok(prepared) => return Ok(Some(prepared)),
                Err(error @ Error::Artifact { .. }) => {
                    tracing::error!(version = model.version, %error, "model cannot be served");
                    self.refuse_model(model.version, &error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Reads and checks a model's file and aligns it to the catalogue.
    pub(crate) async fn prepare(self: &Arc<Self>, model: &ModelVersion) -> Result<Prepared> {
        let artifact = self.read_artifact(model).await?;
        let graphed = self.options.fusion.graph > 0.0;
        let removals_seen = self.removals_seen.load(Ordering::Acquire);
        let log = if graphed {
            Some(Dataset::read(&*self.store, &self.options.events).await?)
        } else {
            None
        };
        let engine = self.clone();
        let version = model.version;
        let work = move || {
            engine.condition().trained_through = artifact.through;
            let graph = log.map(|log| log.graph(&engine.catalogue, (&engine.options.graph).into()));
            let snapshot = Snapshot::new(version, &artifact, &engine.catalogue).with_graph(graph);
            let counts = engine.align(&artifact);
            Prepared { snapshot, counts, through: artifact.through, removals_seen }
        };
        Ok(tokio::task::spawn_blocking(work).await.expect("aligning a checked file cannot fail"))
    }

    /// A model's content, checked against its registration.
    pub(crate) async fn read_artifact(&self, model: &ModelVersion) -> Result<Artifact> {
        let unusable = |detail: String| Error::Artifact { key: model.blob_key.clone(), detail };
        let bytes = self
            .blobs
            .get(&model.blob_key)
            .await?
            .ok_or_else(|| unusable("the file is missing".to_owned()))?;
        let sha256 = model.sha256.clone();
        tokio::task::spawn_blocking(move || Artifact::decode(&bytes, &sha256))
            .await
            .unwrap_or_else(|panic| Err(panic.to_string()))
            .map_err(unusable)
    }

    /// The file's counts, moved from its rows to the catalogue's.
    pub(crate) fn align(&self, artifact: &Artifact) -> Counts {
        let rows = self.catalogue.rows_of(&artifact.items);
        let mut viewers = vec![0; self.catalogue.len()];
        for (from, to) in rows.iter().enumerate() {
            viewers[*to as usize] = artifact.viewers[from];
        }
        let transitions = move_rows(&artifact.transitions, &rows, &self.catalogue);
        Counts::new(transitions, viewers, artifact.through, &self.options, self.clock.now())
    }

    /// Without a model: the counts of the whole log, made at once.
    async fn count_from_log(self: &Arc<Self>) -> Result<Prepared> {
        let data = Dataset::read(&*self.store, &self.options.events).await?;
        let options = (&self.options.sequence).into();
        let through = data.through;
        let engine = self.clone();
        let work = move || {
            let rows = engine.catalogue.rows_of(&data.items);
            let counted = data.count(&options);
            let mut viewers = vec![0; engine.catalogue.len()];
            for (from, to) in rows.iter().enumerate() {
                viewers[*to as usize] = counted.viewers[from];
            }
            let transitions = move_rows(&counted.transitions, &rows, &engine.catalogue);
            Counts::new(transitions, viewers, through, &engine.options, engine.clock.now())
        };
        let counts = tokio::task::spawn_blocking(work).await.expect("counting cannot fail");
        let removals_seen = self.removals_seen.load(Ordering::Acquire);
        Ok(Prepared { snapshot: Snapshot::untrained(), counts, through, removals_seen })
    }

    /// Takes the events after `from` up to `to` into `counts`.
    pub(crate) async fn replay(&self, counts: &mut Counts, from: Cursor, to: Cursor) -> Result<()> {
        let mut at = from;
        while at < to {
            let mut events = self.store.after(at, PAGE).await?;
            events.retain(|logged| logged.cursor <= to);
            let Some(last) = events.last() else { return Ok(()) };
            at = last.cursor;
            let users: Vec<_> = events.iter().map(|l| l.event.user_id.clone()).collect();
            let users = self.users.load_all(&users, &self.stored_users(), &self.catalogue).await?;
            let rows = self.catalogue.rows_of(events.iter().map(|l| &l.event.content_id));
            for ((logged, row), user) in events.iter().zip(rows).zip(users) {
                counts.apply(row, logged.cursor, &user.state().history);
            }
        }
        Ok(())
    }

    /// Fills the trending titles from the events of the window.
    async fn load_trending(&self, counts: &mut Counts, head: Cursor) -> Result<()> {
        let now = self.clock.now();
        let since = now.plus_seconds((-self.options.trending.window_days * 86_400.0) as i64);
        let mut at = Cursor::default();
        loop {
            let events = self.store.since(since, at, PAGE).await?;
            let Some(last) = events.last() else { return Ok(()) };
            at = last.cursor;
            let rows = self.catalogue.rows_of(events.iter().map(|l| &l.event.content_id));
            let attributes = self.attributes_of(&events).await?;
            for (logged, row) in events.iter().zip(rows).filter(|(l, _)| l.cursor <= head) {
                if self.options.events.weight(&logged.event) > 0.0 {
                    counts.trend(row, (&logged.event, attributes.get(&logged.event.user_id)), now);
                }
            }
        }
    }

    async fn skip_old_removals(&self) -> Result<()> {
        loop {
            let seen = self.removals_seen.load(Ordering::Acquire);
            match self.store.removals_after(seen, PAGE).await?.last() {
                Some(last) => {
                    let sequence = last.sequence;
                    self.removals_seen.store(sequence, Ordering::Release);
                }
                None => return Ok(()),
            }
        }
    }

    /// Lists every catalogue entry among the popular titles.
    pub(crate) fn list_all(&self, counts: &mut Counts) {
        for (row, content) in self.catalogue.latest().iter() {
            counts.list(row, Some(content));
        }
    }
}

/// `transitions` with row `r` renamed to `rows[r]`.
fn move_rows(transitions: &Transitions, rows: &[u32], catalogue: &Catalogue) -> Transitions {
    let total = catalogue.len();
    let mut moved: Vec<Vec<(u32, f32)>> = vec![Vec::new(); total];
    for (from, to) in rows.iter().enumerate() {
        let row = &mut moved[*to as usize];
        row.extend(
            transitions.neighbours(from as u32).map(|(next, count)| (rows[next as usize], count)),
        );
        row.sort_unstable_by_key(|(next, _)| *next);
    }
    let mut offsets = vec![0_u64];
    let (mut items, mut counts) = (Vec::new(), Vec::new());
    for row in moved {
        items.extend(row.iter().map(|(next, _)| *next));
        counts.extend(row.iter().map(|(_, count)| *count));
        offsets.push(items.len() as u64);
    }
    Transitions::from_csr(&offsets, &items, &counts).expect("rows are renamed one to one")
}
