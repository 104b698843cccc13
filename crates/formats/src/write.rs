//! The way back: events and catalogue entries as JSON lines or CSV, compressed or not, that this crate reads again.
//!
//! Equal values give equal bytes. A file is written beside its place and moved there when it is whole.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use fs_err::File;
use serde::Serialize;
use sona_domain::{Content, Event, RecommendationId};

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// One JSON object a line.
    Jsonl,
    /// Cells separated by commas under a header.
    Csv,
}

impl TextFormat {
    /// The usual end of a file's name.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstandard,
}

impl Compression {
    /// The usual end of a file's name, with its dot.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstandard => ".zst",
        }
    }
}

const EVENT_HEADER: &str = "event_id,user_id,content_id,event_type,completion_rate,rating,is_rewatch,\
                            dismissed,context,recommendation_id,timestamp\n";

const CONTENT_HEADER: &str = "content_id,content_type,title,original_title,overview,year,runtime_minutes,\
                              popularity,genres,themes,moods,credits,available_from,available_until,hidden\n";

/// A file being written; dropped before [`Writer::finish`] it leaves what was at its place.
pub struct Writer {
    out: Output,
    format: TextFormat,
    header: &'static str,
    place: PathBuf,
    beside: PathBuf,
}

enum Output {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
    Zstandard(zstd::Encoder<'static, BufWriter<File>>),
}

impl Writer {
    /// Begins a file of events.
    pub fn events(path: &Path, format: TextFormat, compression: Compression) -> io::Result<Self> {
        Self::begin(path, format, compression, EVENT_HEADER)
    }

    /// Begins a file of catalogue entries.
    pub fn content(path: &Path, format: TextFormat, compression: Compression) -> io::Result<Self> {
        Self::begin(path, format, compression, CONTENT_HEADER)
    }

    fn begin(
        path: &Path,
        format: TextFormat,
        compression: Compression,
        header: &'static str,
    ) -> io::Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let beside = path.with_file_name(name);
        let file = BufWriter::with_capacity(256 * 1024, File::create(&beside)?);
        let out = match compression {
            Compression::None => Output::Plain(file),
            Compression::Gzip => Output::Gzip(GzEncoder::new(file, flate2::Compression::default())),
            Compression::Zstandard => {
                Output::Zstandard(zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?)
            }
        };
        let mut writer = Self { out, format, header, place: path.to_owned(), beside };
        if format == TextFormat::Csv {
            writer.text(writer.header)?;
        }
        Ok(writer)
    }

    /// Writes an event.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        let line = match self.format {
            TextFormat::Jsonl => json_line(&EventLine::new(event))?,
            TextFormat::Csv => event_cells(event)?,
        };
        self.text(&line)
    }

    /// Writes a catalogue entry.
    pub fn entry(&mut self, content: &Content) -> io::Result<()> {
        let line = match self.format {
            TextFormat::Jsonl => json_line(content)?,
            TextFormat::Csv => content_cells(content)?,
        };
        self.text(&line)
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        match &mut self.out {
            Output::Plain(out) => out.write_all(text.as_bytes()),
            Output::Gzip(out) => out.write_all(text.as_bytes()),
            Output::Zstandard(out) => out.write_all(text.as_bytes()),
        }
    }

    /// Ends the file and moves it to its place, on disk.
    pub fn finish(self) -> io::Result<()> {
        let buffered = match self.out {
            Output::Plain(out) => out,
            Output::Gzip(out) => out.finish()?,
            Output::Zstandard(out) => out.finish()?,
        };
        let file = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs_err::rename(&self.beside, &self.place)
    }
}

/// An event as a line of JSON: what is absent is left out.
#[derive(Serialize)]
struct EventLine<'e> {
    event_id: &'e str,
    user_id: &'e str,
    content_id: &'e str,
    event_type: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_rate: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<f32>,
    #[serde(skip_serializing_if = "is_false")]
    is_rewatch: bool,
    #[serde(skip_serializing_if = "is_false")]
    dismissed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'e serde_json::Map<String, serde_json::Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recommendation_id: Option<&'e str>,
    timestamp: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl<'e> EventLine<'e> {
    fn new(event: &'e Event) -> Self {
        Self {
            event_id: event.event_id.as_str(),
            user_id: event.user_id.as_str(),
            content_id: event.content_id.as_str(),
            event_type: event.event_type.as_str(),
            completion_rate: event.completion_rate,
            rating: event.rating,
            is_rewatch: event.is_rewatch,
            dismissed: event.dismissed,
            context: event.context.as_ref(),
            recommendation_id: event.recommendation_id.as_ref().map(RecommendationId::as_str),
            timestamp: event.timestamp.to_string(),
        }
    }
}

fn json_line(value: &impl Serialize) -> io::Result<String> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    Ok(line)
}

fn event_cells(event: &Event) -> io::Result<String> {
    let context = event.context.as_ref().map(serde_json::to_string).transpose()?;
    Ok(csv_line(&[
        event.event_id.to_string(),
        event.user_id.to_string(),
        event.content_id.to_string(),
        event.event_type.as_str().to_owned(),
        text(event.completion_rate.as_ref()),
        text(event.rating.as_ref()),
        event.is_rewatch.to_string(),
        event.dismissed.to_string(),
        context.unwrap_or_default(),
        text(event.recommendation_id.as_ref()),
        event.timestamp.to_string(),
    ]))
}

fn content_cells(content: &Content) -> io::Result<String> {
    let list = |list: &[String]| {
        if list.is_empty() { Ok(String::new()) } else { serde_json::to_string(list) }
    };
    let credits = match content.credits.as_slice() {
        [] => String::new(),
        credits => serde_json::to_string(credits)?,
    };
    Ok(csv_line(&[
        content.content_id.to_string(),
        content.content_type.as_str().to_owned(),
        content.title.clone(),
        content.original_title.clone().unwrap_or_default(),
        content.overview.clone().unwrap_or_default(),
        text(content.year.as_ref()),
        text(content.runtime_minutes.as_ref()),
        text(content.popularity.as_ref()),
        list(&content.genres)?,
        list(&content.themes)?,
        list(&content.moods)?,
        credits,
        text(content.available_from.as_ref()),
        text(content.available_until.as_ref()),
        content.hidden.to_string(),
    ]))
}

fn text(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn csv_line(cells: &[String]) -> String {
    let mut line = cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}

/// A cell of CSV, in quotes if it needs them (RFC 4180).
pub(crate) fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}
