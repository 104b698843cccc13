//! What is read: a row, or why it is none.

use serde_json::{Map, Value};
use sona_domain::{Content, ContentId, EventId, EventType, RecommendationId, Timestamp, UserId};

/// Characters of a bad row that are kept.
pub const MAX_RAW: usize = 1000;

/// One good row of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// Something a user did.
    Event(EventRow),
    /// A catalogue entry.
    Content(Box<Content>),
    /// The attributes of an item.
    Attributes(ItemAttributes),
}

/// An event as the file has it. Whether its type is configured and its time is in the past is not checked here.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// Its name, if the file names its events.
    pub event_id: Option<EventId>,
    /// Who.
    pub user: UserId,
    /// With what.
    pub item: ContentId,
    /// A rating on the file's own scale (see [`crate::Source::scale`]); finite.
    pub value: Option<f64>,
    /// Did what, if the file says so.
    pub event_type: Option<EventType>,
    /// How much of it was watched, 0..=1.
    pub completion_rate: Option<f32>,
    /// True if it was not the first time.
    pub is_rewatch: bool,
    /// True if the user said "not for me".
    pub dismissed: bool,
    /// Circumstances.
    pub context: Option<Map<String, Value>>,
    /// The list it was done with.
    pub recommendation_id: Option<RecommendationId>,
    /// When. Rows without a time follow each other in the order of the file.
    pub timestamp: Option<Timestamp>,
}

/// The attributes of an item: numbers without a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemAttributes {
    /// Which item.
    pub item: ContentId,
    /// Its attributes, in the order of the file.
    pub attributes: Vec<u32>,
}

/// A row that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The line it begins on, from 1; in Parquet the row, from 1.
    pub line: u64,
    /// The column at fault, by the name the file gives it; `None` if it is the row as a whole.
    pub column: Option<String>,
    /// What is wrong, in one sentence that says what would be right.
    pub reason: String,
    /// The row as it stands in the file, at most [`MAX_RAW`] characters; bytes that are no UTF-8 are replaced.
    pub raw: String,
}

/// What is wrong with a row, before its place is known.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) column: Option<String>,
    pub(crate) reason: String,
}

impl Problem {
    pub(crate) fn row(reason: impl Into<String>) -> Self {
        Self { column: None, reason: reason.into() }
    }

    pub(crate) fn at(self, line: u64, raw: &[u8]) -> Rejected {
        Rejected { line, column: self.column, reason: self.reason, raw: shortened(raw) }
    }
}

/// The beginning of a raw row, as text.
pub(crate) fn shortened(raw: &[u8]) -> String {
    let head = &raw[..raw.len().min(4 * MAX_RAW)];
    let text = String::from_utf8_lossy(head);
    text.trim_end_matches(['\r', '\n']).chars().take(MAX_RAW).collect()
}
