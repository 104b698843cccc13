//! The file formats data enters and leaves by, and those of adapters. No database, no clock, no knowledge of what is in the catalogue.
//!
//! [`recognise()`] looks at a file or a folder and answers a [`Dataset`]: the layout's name for people and one
//! [`Source`] per file, which says what is in it (events, catalogue entries, item attributes) and how it is written.
//! [`Source::rows`] streams it: good rows as [`Row`], bad ones as [`Rejected`] with line, column and reason, one
//! after the other and in bounded memory, however large or broken the file is. [`mod@write`] is the way back.
//!
//! | module | what is in it |
//! |---|---|
//! | [`mod@recognise`] | which layout a path has, and the layouts |
//! | [`options`] | what the caller knows better |
//! | [`field`] | the columns and the names they go by |
//! | [`row`] | what is read |
//! | [`rejects`] | the file of bad rows |
//! | [`mod@write`] | what is written |
//!
//! [`vectors()`] reads files of vectors, which are no data set: JSON lines, Parquet or safetensors.
//!
//! [`adapters`] are the bytes in which what is learned of one user is kept, which is no data set either.
//!
//! Whether a file is compressed (gzip, Zstandard) is seen from its first bytes, never from its name.

mod attributes;
mod cells;
mod entry;
mod error;
mod interaction;
mod jsonl;
mod lines;
mod open;
mod parquet;
mod separated;
mod sequences;
mod source;
mod time;
mod vectors;

pub mod adapters;
pub mod field;
pub mod options;
pub mod recognise;
pub mod rejects;
pub mod row;
pub mod write;

pub use error::Error;
pub use field::Field;
pub use open::{Input, open};
pub use options::{Delimiter, FileFormat, Options, TimeUnit};
pub use recognise::{Dataset, recognise};
pub use rejects::Rejects;
pub use row::{EventRow, ItemAttributes, Rejected, Row};
pub use source::{Contents, Rows, Source, Split};
pub use vectors::{CONTENT_ID, USER_ID, VECTOR, VectorRow, vectors};
