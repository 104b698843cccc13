//! The layouts of folders.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::options::Options;
use crate::recognise::{Dataset, file, table};
use crate::source::Source;

/// A folder's layout: a name, the files that make it, and the files that are read. A `*` stands for the beginning of
/// a name; endings of compression do not count.
#[derive(Debug)]
pub struct Layout {
    /// What people call it.
    pub name: &'static str,
    /// It is this layout if all of these are there.
    pub needs: &'static [&'static str],
    /// What is read, in this order within catalogue and events.
    pub takes: &'static [&'static str],
}

/// The known layouts; the first whose files are all there is taken.
pub const LAYOUTS: &[Layout] = &[
    Layout {
        name: "MovieLens (ratings.dat)",
        needs: &["ratings.dat"],
        takes: &["movies.dat", "ratings.dat"],
    },
    Layout {
        name: "MovieLens (CSV)",
        needs: &["ratings.csv", "movies.csv"],
        takes: &["movies.csv", "items_facts.csv", "ratings.csv"],
    },
    Layout {
        name: "films with facts (the demo's)",
        needs: &["events.csv", "items.jsonl"],
        takes: &["items.jsonl", "cold_items.csv", "events.csv"],
    },
    Layout {
        name: "a Sona export (JSON lines)",
        needs: &["content.jsonl", "events.jsonl"],
        takes: &["content.jsonl", "events.jsonl"],
    },
    Layout {
        name: "a Sona export (CSV)",
        needs: &["content.csv", "events.csv"],
        takes: &["content.csv", "events.csv"],
    },
    Layout { name: "RecBole atomic files", needs: &["*.inter"], takes: &["*.item", "*.inter"] },
    Layout {
        name: "train and test ratings",
        needs: &["*.train.rating", "*.test.rating"],
        takes: &["*.train.rating", "*.test.rating"],
    },
    Layout {
        name: "LightGCN (train.txt, test.txt)",
        needs: &["train.txt", "test.txt"],
        takes: &["train.txt", "test.txt"],
    },
    Layout {
        name: "sequences with item attributes",
        needs: &["*item2attributes.json", "*.txt"],
        takes: &["*item2attributes.json", "*.txt"],
    },
];

/// Beginnings of names of files that are about the data.
const ABOUT: [&str; 6] = ["readme", "license", "licence", "notice", "changelog", "."];

/// What a folder without a known layout is called.
const ANY: &str = "a folder of files";

pub(super) fn recognise(folder: &Path, options: &Options) -> Result<Dataset, Error> {
    let files = files(folder)?;
    let names: Vec<_> = files.iter().map(|path| table::stem(path)).collect();
    let has = |pattern: &&str| names.iter().any(|name| matches(name, pattern));
    match LAYOUTS.iter().find(|layout| layout.needs.iter().all(&has)) {
        Some(layout) => known(layout, &files, options),
        None => any(folder, files, options),
    }
}

/// The files of a folder that are not about the data, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let name = table::stem(&path);
        if path.is_file() && !ABOUT.iter().any(|about| name.starts_with(about)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn matches(name: &str, pattern: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(ending) => name.ends_with(ending),
        None => name == pattern,
    }
}

fn known(layout: &Layout, files: &[PathBuf], options: &Options) -> Result<Dataset, Error> {
    let mut sources: Vec<Source> = Vec::new();
    for pattern in layout.takes {
        for path in files.iter().filter(|path| matches(&table::stem(path), pattern)) {
            sources.push(file(path, options)?);
        }
    }
    let taken = |path: &&PathBuf| sources.iter().any(|source| source.path == **path);
    let ignored = files.iter().filter(|path| !taken(path)).cloned().collect();
    Ok(Dataset { layout: layout.name, sources, ignored })
}

/// Every file that can be read.
fn any(folder: &Path, files: Vec<PathBuf>, options: &Options) -> Result<Dataset, Error> {
    let (mut sources, mut ignored, mut first_error) = (Vec::new(), Vec::new(), None);
    for path in files {
        match file(&path, options) {
            Ok(source) => sources.push(source),
            Err(error @ Error::Io(_)) => return Err(error),
            Err(error) => {
                first_error = first_error.or(Some(error));
                ignored.push(path);
            }
        }
    }
    if sources.is_empty() {
        let none =
            Error::unrecognised(folder, "the folder holds no file of events or catalogue entries");
        return Err(first_error.unwrap_or(none));
    }
    Ok(Dataset { layout: ANY, sources, ignored })
}
