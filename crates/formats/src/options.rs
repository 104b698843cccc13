//! What the caller knows better than the file's name and first rows tell.

use std::fmt;
use std::str::FromStr;

use sona_domain::violation::nearest;

use crate::field::Field;

/// Overrides of what [`crate::recognise()`] finds by itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// How the files are written.
    pub format: Option<FileFormat>,
    /// Which of the file's columns (by its name, or by its number from 1) holds which field.
    pub columns: Vec<(Field, String)>,
    /// What separates the cells of a line.
    pub delimiter: Option<Delimiter>,
    /// What numbers in the time column count.
    pub time_unit: Option<TimeUnit>,
    /// The highest rating there can be.
    pub scale: Option<f64>,
}

macro_rules! named {
    ($name:ident, $what:literal, $($variant:ident = $text:literal),+) => {
        impl $name {
            const NAMES: &'static [(&'static str, Self)] = &[$(($text, Self::$variant)),+];
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::NAMES.iter().find(|(name, _)| *name == text);
                found.map(|(_, value)| *value).ok_or_else(|| {
                    let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
                    let hint = nearest(text, names.iter().copied())
                        .map(|near| format!(" (did you mean {near:?}?)"))
                        .unwrap_or_default();
                    format!("{text:?} is no {}: {}{hint}", $what, names.join(", "))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let found = Self::NAMES.iter().find(|(_, value)| value == self);
                f.write_str(found.map_or("", |(name, _)| name))
            }
        }
    };
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Cells separated by commas, or by what [`Options::delimiter`] says.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
    /// A user and their items, in order, on each line.
    Sequences,
}

named!(
    FileFormat,
    "format",
    Csv = "csv",
    Jsonl = "jsonl",
    Parquet = "parquet",
    Sequences = "sequences"
);

/// What the numbers in a time column count since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds; digits below a microsecond are cut.
    Nanoseconds,
}

named!(
    TimeUnit,
    "unit of time",
    Seconds = "s",
    Milliseconds = "ms",
    Microseconds = "us",
    Nanoseconds = "ns"
);

/// What separates the cells of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delimiter(String);

impl Delimiter {
    pub(crate) const COMMA: &'static str = ",";
    pub(crate) const TAB: &'static str = "\t";
    pub(crate) const COLONS: &'static str = "::";

    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The separator.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Delimiter {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let text = match text {
            "tab" | "\\t" => "\t",
            "comma" => ",",
            "semicolon" => ";",
            "pipe" => "|",
            "space" => " ",
            other => other,
        };
        let fits = (1..=4).contains(&text.len()) && !text.contains(['"', '\n', '\r']);
        fits.then(|| Self::of(text)).ok_or_else(|| {
            format!(
                "{text:?} cannot separate cells; take 1 to 4 characters such as , ; | :: or tab"
            )
        })
    }
}
