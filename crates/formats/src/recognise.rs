//! Which layout a file or a folder has.
//!
//! A folder is compared with the layouts of [`LAYOUTS`], by the names of its files; in any other folder every file
//! that can be read is taken. A single file is known by its beginning: Parquet, JSON lines, cells between delimiters or
//! sequences.

mod folder;
mod table;

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::field::Field;
use crate::open::beginning;
use crate::options::{FileFormat, Options};
use crate::parquet;
use crate::row::EventRow;
use crate::source::{Column, Contents, Shape, Source, Split};

pub use folder::LAYOUTS;
pub use folder::Layout;

/// How much of a file is looked at.
const BEGINNING: usize = 64 * 1024;

/// How many rows are looked at to find the scale of ratings.
const SCALE_ROWS: usize = 10_000;

/// The scales ratings are taken for, by the highest one met.
const SCALES: [f64; 3] = [5.0, 10.0, 100.0];

/// A file or a folder Sona can read.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// What people call the layout.
    pub layout: &'static str,
    /// Its files in the order to read them: the catalogue first, then events, training before test.
    pub sources: Vec<Source>,
    /// Files of the folder that are not read.
    pub ignored: Vec<PathBuf>,
}

impl Dataset {
    /// The files of events of one part; without a part those that belong to none.
    pub fn events(&self, split: Option<Split>) -> impl Iterator<Item = &Source> {
        let events = self.sources.iter().filter(|source| source.contents == Contents::Events);
        events.filter(move |source| source.split == split)
    }

    /// The files of catalogue entries and of attributes.
    pub fn catalogue(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.contents != Contents::Events)
    }
}

/// Looks at `path`.
pub fn recognise(path: &Path, options: &Options) -> Result<Dataset, Error> {
    let mut dataset = if path.is_dir() {
        folder::recognise(path, options)?
    } else {
        let source = file(path, options)?;
        let layout = match (&source.shape, source.contents) {
            (Shape::Sequences, _) => "sequences (user item item …)",
            (Shape::AttributeMap, _) => "item attributes",
            (Shape::JsonLines, _) => "JSON lines",
            (Shape::Parquet, _) => "Parquet",
            (Shape::Separated { .. }, Contents::Events) => "a table of events",
            (Shape::Separated { .. }, _) => "a table of catalogue entries",
        };
        Dataset { layout, sources: vec![source], ignored: Vec::new() }
    };
    table::check_mapping(path, &dataset.sources, options)?;
    for source in &mut dataset.sources {
        source.scale = scale(source, options)?;
    }
    dataset.sources.sort_by_key(|source| (source.contents, source.split));
    Ok(dataset)
}

/// Looks at one file.
pub(crate) fn file(path: &Path, options: &Options) -> Result<Source, Error> {
    let start = beginning(path, BEGINNING)?;
    if start.trim_ascii().is_empty() {
        return Err(Error::unrecognised(path, "the file is empty"));
    }
    let shape = match options.format {
        Some(FileFormat::Parquet) => Found::Parquet,
        Some(FileFormat::Jsonl) => Found::JsonLines,
        Some(FileFormat::Sequences) => Found::Sequences,
        Some(FileFormat::Csv) => Found::Table,
        None => look(path, &start)?,
    };
    let (shape, columns) = match shape {
        Found::Parquet => (Shape::Parquet, table::named(parquet::column_names(path)?, options)),
        Found::JsonLines => (Shape::JsonLines, table::keys(path, &start, options)?),
        Found::Sequences => (Shape::Sequences, table::sequence()),
        Found::Attributes => (Shape::AttributeMap, Vec::new()),
        Found::Table => table::look(path, &start, options)?,
    };
    let contents = match shape {
        Shape::Sequences => Contents::Events,
        Shape::AttributeMap => Contents::Attributes,
        Shape::Separated { .. } | Shape::JsonLines | Shape::Parquet => contents(path, &columns)?,
    };
    Ok(Source {
        path: path.to_owned(),
        contents,
        split: split(path),
        columns,
        scale: None,
        shape,
        time_unit: options.time_unit,
    })
}

/// What the first bytes of a file are.
enum Found {
    Parquet,
    JsonLines,
    Attributes,
    Sequences,
    Table,
}

fn look(path: &Path, start: &[u8]) -> Result<Found, Error> {
    if start.starts_with(parquet::MAGIC) {
        return Ok(Found::Parquet);
    }
    match start.trim_ascii_start().first() {
        Some(b'{') if is_attribute_map(start) => Ok(Found::Attributes),
        Some(b'{') => Ok(Found::JsonLines),
        Some(b'[') => Err(Error::unrecognised(
            path,
            "a JSON array cannot be read row by row; write one object a line (jq -c '.[]')",
        )),
        _ if table::delimiter_of(path, start).is_none() => Ok(Found::Sequences),
        _ => Ok(Found::Table),
    }
}

/// True for `{"key": [` followed by a digit.
fn is_attribute_map(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&start[..start.len().min(1024)]);
    let after = text.trim_start().strip_prefix('{').and_then(|t| t.trim_start().strip_prefix('"'));
    let after = after.and_then(|t| t.split_once('"')).map(|(_, t)| t.trim_start());
    let list =
        after.and_then(|t| t.strip_prefix(':')).and_then(|t| t.trim_start().strip_prefix('['));
    list.is_some_and(|t| t.trim_start().starts_with(|c: char| c.is_ascii_digit()))
}

/// What a table with these columns holds.
fn contents(path: &Path, columns: &[Column]) -> Result<Contents, Error> {
    let has = |field| columns.iter().any(|column| column.field == Some(field));
    let about_titles = |field| {
        matches!(
            field,
            Field::Title
                | Field::OriginalTitle
                | Field::Overview
                | Field::Year
                | Field::Genres
                | Field::Themes
                | Field::MoreThemes
                | Field::Moods
                | Field::Directors
                | Field::Cast
                | Field::Credits
        )
    };
    if has(Field::User) && has(Field::Item) {
        Ok(Contents::Events)
    } else if has(Field::Item) && columns.iter().filter_map(|c| c.field).any(about_titles) {
        Ok(Contents::Content)
    } else {
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        Err(Error::unrecognised(
            path,
            format!(
                "no columns for user and item (events) or item and title (catalogue) among {}; say which they \
                 are with --column user=NAME,item=NAME",
                names.join(", ")
            ),
        ))
    }
}

/// Which part of a divided data set the file's name says it is.
fn split(path: &Path) -> Option<Split> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    name.split(['.', '_', '-']).find_map(|word| match word {
        "train" => Some(Split::Train),
        "valid" | "validation" | "val" | "dev" => Some(Split::Validation),
        "test" => Some(Split::Test),
        _ => None,
    })
}

/// The highest rating there can be: as told, or the smallest usual scale the first rows fit. Files with Sona's own
/// event types hold Sona's own stars.
fn scale(source: &Source, options: &Options) -> Result<Option<f64>, Error> {
    let has = |field| source.columns.iter().any(|column| column.field == Some(field));
    if source.contents != Contents::Events || !has(Field::Rating) {
        return Ok(None);
    }
    if options.scale.is_some() {
        return Ok(options.scale);
    }
    if has(Field::EventType) {
        return Ok(None);
    }
    let rows = source.events()?.take(SCALE_ROWS).filter_map(Result::ok);
    let highest = rows.filter_map(|EventRow { value, .. }| value).fold(0.0, f64::max);
    Ok(Some(SCALES.into_iter().find(|scale| highest <= *scale).unwrap_or(highest)))
}
