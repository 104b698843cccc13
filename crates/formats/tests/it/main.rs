//! The formats through their public face.

mod adapters;
mod broken;
mod layouts;
mod peft;
mod tables;
mod upgrades;
mod vectors;

use std::io::Write;
use std::path::{Path, PathBuf};

use sona_formats::{Dataset, EventRow, Options, Rejected, Row, recognise};

/// Writes files into a folder.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        fs_err::write(folder.path().join(name), bytes).expect("written");
    }
    folder
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

/// What is recognised without being told anything.
fn look(path: &Path) -> Dataset {
    recognise(path, &Options::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// The only file of a folder that holds one.
fn single(folder: &tempfile::TempDir) -> PathBuf {
    let mut files = fs_err::read_dir(folder.path()).expect("a folder");
    files.next().expect("a file").expect("readable").path()
}

/// Reads `bytes` as a file called `name`.
fn read(name: &str, bytes: &[u8], options: &Options) -> Vec<Result<Row, Rejected>> {
    let folder = folder(&[(name, bytes)]);
    let dataset = recognise(&single(&folder), options).unwrap_or_else(|error| panic!("{error}"));
    dataset.sources[0].rows().expect("readable").collect()
}

/// The events among `rows` as `user item value`, and what was rejected as `line column`.
fn sketch(rows: &[Result<Row, Rejected>]) -> Vec<String> {
    rows.iter()
        .map(|row| match row {
            Ok(Row::Event(event)) => event_sketch(event),
            Ok(Row::Content(content)) => format!("{} {}", content.content_id, content.title),
            Ok(Row::Attributes(item)) => format!("{} {:?}", item.item, item.attributes),
            Err(bad) => format!("!{} {}", bad.line, bad.column.as_deref().unwrap_or("-")),
        })
        .collect()
}

fn event_sketch(event: &EventRow) -> String {
    let value = event.value.map(|value| format!(" {value}")).unwrap_or_default();
    let at = event.timestamp.map(|at| format!(" {at}")).unwrap_or_default();
    format!("{} {}{value}{at}", event.user, event.item)
}
