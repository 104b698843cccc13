//! The reading side of an import: rows in, checked batches out, on a thread of its own.

use std::collections::HashMap;
use std::sync::Arc;

use sona_domain::event::MAX_FUTURE_SECONDS;
use sona_domain::{Clock, Content, ContentId, Event, EventRules, EventType, Timestamp};
use sona_formats::{Dataset, Field, Rejected, Row, Rows, Source};
use sona_store::ImportProgress;
use tokio::sync::mpsc::Sender;

use super::ImportError;
use super::rows::{self, Named};

/// Most rows of a batch. Rows in the order of time are all over the index by user; the more of them are written
/// together, the fewer times each of its pages is.
const BATCH_ROWS: usize = 50_000;

/// A batch also ends when its texts have about this many bytes.
const BATCH_BYTES: usize = 16 << 20;

/// Rows that are written together, all of one file.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) content: Vec<Content>,
    pub(super) stand_ins: Vec<Content>,
    pub(super) events: Vec<Event>,
    pub(super) rejected: Vec<Rejected>,
    /// Where the reading stands after the batch; counts of what was done are the writer's.
    pub(super) position: ImportProgress,
    bytes: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        let rows = self.content.len() + self.events.len() + self.rejected.len();
        rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }
}

/// Which content there is.
pub(super) struct Known {
    ids: HashMap<ContentId, bool>,
    create: bool,
}

impl Known {
    /// Nothing yet; with `create` what is missing is made.
    pub(super) fn new(create: bool) -> Self {
        Self { ids: HashMap::new(), create }
    }

    /// Notes that an id is in the catalogue, or no longer.
    pub(super) fn set(&mut self, id: ContentId, present: bool) {
        self.ids.insert(id, present);
    }

    pub(super) fn has(&self, id: &ContentId) -> bool {
        self.ids.get(id).copied().unwrap_or(false)
    }
}

/// Everything the thread needs.
pub(super) struct Reading {
    pub(super) dataset: Dataset,
    /// Each file's name for its events.
    pub(super) files: Vec<String>,
    pub(super) known: Known,
    pub(super) rules: EventRules,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) event_type: EventType,
    pub(super) start: Timestamp,
}

impl Reading {
    /// Reads everything after `from`, batch by batch, until the end or until nobody listens.
    pub(super) fn run(
        mut self,
        from: ImportProgress,
        batches: &Sender<Batch>,
    ) -> Result<(), ImportError> {
        let sources = std::mem::take(&mut self.dataset.sources);
        let mut position = from;
        for (index, source) in sources.iter().enumerate().skip(from.file as usize) {
            if index as u64 != position.file {
                position = ImportProgress { file: index as u64, row: 0, ..position };
            }
            let Some(reached) = self.read(source, position, batches)? else { return Ok(()) };
            position = reached;
        }
        position.finished = true;
        let _ = batches.blocking_send(Batch { position, ..Batch::default() });
        Ok(())
    }

    /// Reads one file from `from` on; answers where it ended, `None` if nobody listens any more.
    fn read(
        &mut self,
        source: &Source,
        from: ImportProgress,
        batches: &Sender<Batch>,
    ) -> Result<Option<ImportProgress>, ImportError> {
        let mut rows = source.rows()?;
        for _ in 0..from.row {
            rows.next();
        }
        let mut batch = Batch { position: from, ..Batch::default() };
        let mut latest = self.latest();
        while let Some(row) = rows.next() {
            batch.position.row += 1;
            batch.position.read += 1;
            match row.and_then(|row| self.take(row, source, &rows, latest, &mut batch)) {
                Ok(()) => {}
                Err(rejected) => {
                    batch.bytes += rejected.raw.len() + rejected.reason.len();
                    batch.rejected.push(rejected);
                }
            }
            if batch.is_full() {
                let next = Batch { position: batch.position, ..Batch::default() };
                if batches.blocking_send(std::mem::replace(&mut batch, next)).is_err() {
                    return Ok(None);
                }
                latest = self.latest();
            }
        }
        let end = batch.position;
        Ok(batches.blocking_send(batch).is_ok().then_some(end))
    }

    /// The latest time an event may have.
    fn latest(&self) -> Timestamp {
        self.clock.now().plus_seconds(MAX_FUTURE_SECONDS)
    }

    /// Puts a good row into the batch.
    fn take(
        &mut self,
        row: Row,
        source: &Source,
        rows: &Rows,
        latest: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), Rejected> {
        let row = match row {
            Row::Content(content) => {
                batch.bytes += rows::size(&content);
                self.known.set(content.content_id.clone(), true);
                batch.content.push(*content);
                return Ok(());
            }
            Row::Attributes(item) => {
                let content = rows::attributed(item);
                self.known.set(content.content_id.clone(), true);
                batch.content.push(content);
                return Ok(());
            }
            Row::Event(row) => row,
        };
        let number = batch.position.row;
        let file = self.files.get(batch.position.file as usize).map_or("", String::as_str);
        let untimed = self.start.plus_seconds(batch.position.read as i64 - 1);
        let named = Named { file, number, untimed, event_type: &self.event_type };
        let event = rows::event(row, source, &named, &self.rules)
            .map_err(|(field, reason)| rows.reject(field, reason))?;
        if event.timestamp > latest {
            let reason = format!("lies more than {MAX_FUTURE_SECONDS} s in the future");
            return Err(rows.reject(Field::Time, reason));
        }
        if !self.known.has(&event.content_id) {
            if !self.known.create {
                return Err(rows.reject(Field::Item, unknown(&event.content_id)));
            }
            self.known.set(event.content_id.clone(), true);
            let title = event.content_id.as_str();
            batch.stand_ins.push(Content::new(event.content_id.clone(), title));
        }
        batch.bytes += event.context.as_ref().map_or(0, rows::context_size);
        batch.events.push(event);
        Ok(())
    }
}

fn unknown(id: &ContentId) -> String {
    let id = id.as_str();
    format!("\"{id}\" is not in the catalogue; import the catalogue too, or use --create-content")
}
