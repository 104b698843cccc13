//! The file of bad rows: one line each with file, line, column, reason and the raw row, as CSV.
//!
//! Its length is noted with every batch that is imported. Whoever goes on after a crash opens it at the length last
//! noted and so neither loses a line nor writes one twice.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};

use crate::cells::{Cells, Ending};
use crate::row::Rejected;
use crate::write::quoted;

const HEADER: &str = "file,line,column,reason,raw\n";

/// Most kinds of problems that are counted apart.
const MAX_KINDS: usize = 50;

/// The kind all others are counted under.
const OTHERS: &str = "other problems";

/// An open file of bad rows; it comes into being with the first one.
#[derive(Debug)]
pub struct Rejects {
    path: PathBuf,
    file: Option<File>,
    length: u64,
    kinds: Kinds,
}

/// How many bad rows there are of each kind: the column and the reason, without what differs from row to row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds(BTreeMap<String, u64>);

impl Kinds {
    /// Counts a bad row.
    pub fn add(&mut self, column: Option<&str>, reason: &str) {
        let kind = kind(column.unwrap_or_default(), reason);
        let apart = self.0.contains_key(&kind) || self.0.len() < MAX_KINDS;
        *self.0.entry(if apart { kind } else { OTHERS.to_owned() }).or_default() += 1;
    }

    /// Every kind with its count, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(kind, count)| (kind.as_str(), *count))
    }
}

impl Rejects {
    /// Starts a new file at `path`; one that is there goes.
    pub fn create(path: &Path) -> io::Result<Self> {
        match fs_err::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self { path: path.to_owned(), file: None, length: 0, kinds: Kinds::default() })
    }

    /// Goes on with the file that had `length` bytes when it was last noted; what came later is cut off. `None` if
    /// the file is not there or is shorter.
    pub fn resume(path: &Path, length: u64) -> io::Result<Option<Self>> {
        if length == 0 {
            return Self::create(path).map(Some);
        }
        let file = match OpenOptions::new().read(true).append(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if file.metadata()?.len() < length {
            return Ok(None);
        }
        file.set_len(length)?;
        let kinds = count_kinds(File::open(path)?)?;
        Ok(Some(Self { path: path.to_owned(), file: Some(file), length, kinds }))
    }

    /// Adds the bad rows of `source`; they are on disk when this returns.
    pub fn append(&mut self, source: &Path, rejected: &[Rejected]) -> io::Result<()> {
        if rejected.is_empty() {
            return Ok(());
        }
        let name = source.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let mut text = String::new();
        if self.file.is_none() {
            self.file = Some(File::create(&self.path)?);
            text.push_str(HEADER);
        }
        for row in rejected {
            let column = row.column.as_deref().unwrap_or_default();
            let line = row.line.to_string();
            let raw = row.raw.replace('\r', "\\r").replace('\n', "\\n");
            let reason = row.reason.replace(['\r', '\n'], " ");
            let cells = [&*name, &line, column, &reason, &raw].map(quoted);
            text.push_str(&cells.join(","));
            text.push('\n');
            self.kinds.add(row.column.as_deref(), &row.reason);
        }
        if let Some(file) = &mut self.file {
            file.write_all(text.as_bytes())?;
            file.sync_data()?;
        }
        self.length += text.len() as u64;
        Ok(())
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Its rows by kind.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }
}

fn count_kinds(file: File) -> io::Result<Kinds> {
    let (mut kinds, mut cells) = (Kinds::default(), Cells::default());
    for line in BufReader::new(file).lines().skip(1) {
        if matches!(cells.split_quoted(&line?, ","), Ok(Ending::Whole)) {
            kinds.add(cells.get(2), cells.get(3).unwrap_or_default());
        }
    }
    Ok(kinds)
}

/// A problem without the values that differ from row to row.
fn kind(column: &str, reason: &str) -> String {
    let mut plain = String::new();
    let mut in_quotes = false;
    for c in reason.chars() {
        let was_in_quotes = in_quotes;
        in_quotes ^= c == '"';
        if was_in_quotes || c == '"' || c.is_ascii_digit() {
            if !plain.ends_with('…') {
                plain.push('…');
            }
        } else {
            plain.push(c);
        }
    }
    if column.is_empty() { plain } else { format!("{column}: {plain}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(line: u64, reason: &str) -> Rejected {
        let raw = "u,\"i\nx".to_owned();
        Rejected { line, column: Some("item".into()), reason: reason.into(), raw }
    }

    #[test]
    fn what_was_written_after_the_last_note_is_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rejects.csv");
        let source = Path::new("data/a.csv");
        let mut rejects = Rejects::create(&path).expect("created");
        rejects.append(source, &[rejected(3, "\"x\" is bad")]).expect("written");
        let noted = rejects.length();
        rejects.append(source, &[rejected(4, "\"y\" is bad")]).expect("written");
        drop(rejects);

        let mut again = Rejects::resume(&path, noted).expect("read").expect("there");
        again.append(source, &[rejected(4, "\"yy\" is bad")]).expect("written");
        let text = fs_err::read_to_string(&path).expect("text");
        let row =
            |line, value| format!("a.csv,{line},item,\"\"\"{value}\"\" is bad\",\"u,\"\"i\\nx\"\n");
        assert_eq!(text, format!("{HEADER}{}{}", row(3, "x"), row(4, "yy")));
        assert_eq!(again.length(), text.len() as u64);
        assert_eq!(again.kinds().iter().collect::<Vec<_>>(), [("item: … is bad", 2)]);
        assert!(Rejects::resume(&path, 10_000).expect("read").is_none(), "too short to be it");
    }
}
