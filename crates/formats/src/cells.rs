//! One line of separated text, split into cells.
//!
//! The `csv` crate would do, but for one thing: after a quote that is never closed it takes the rest of the file
//! for one cell. Here a line is split by itself and says that its quote is still open, so that the reader can give
//! that one line up and go on with the next.

use crate::row::Problem;

/// The cells of a row; their memory is used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    text: String,
    ranges: Vec<(u32, u32)>,
}

/// How the splitting ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All cells are there.
    Whole,
    /// A quoted cell goes on after the end of the text.
    OpenQuote,
}

impl Cells {
    /// How many cells there are.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// A cell, from 0.
    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        let (from, to) = *self.ranges.get(index)?;
        self.text.get(from as usize..to as usize)
    }

    /// Every cell.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Splits `text` at every `delimiter`; quotes mean nothing.
    pub(crate) fn split_plain(&mut self, text: &str, delimiter: &str) {
        self.text.clear();
        self.ranges.clear();
        self.text.push_str(text);
        let bytes = text.as_bytes();
        let mut from = 0;
        if let [one] = delimiter.as_bytes() {
            for at in memchr::memchr_iter(*one, bytes) {
                self.ranges.push((from, at as u32));
                from = at as u32 + 1;
            }
        } else {
            for at in memchr::memmem::find_iter(bytes, delimiter) {
                self.ranges.push((from, at as u32));
                from = (at + delimiter.len()) as u32;
            }
        }
        self.ranges.push((from, text.len() as u32));
    }

    /// Splits `text` at every `delimiter` outside quotes (RFC 4180).
    pub(crate) fn split_quoted(&mut self, text: &str, delimiter: &str) -> Result<Ending, Problem> {
        if memchr::memchr(b'"', text.as_bytes()).is_none() {
            self.split_plain(text, delimiter);
            return Ok(Ending::Whole);
        }
        self.text.clear();
        self.ranges.clear();
        let mut rest = text;
        loop {
            let from = self.text.len() as u32;
            let after = if let Some(quoted) = rest.strip_prefix('"') {
                let Some(after) = self.unquote(quoted) else { return Ok(Ending::OpenQuote) };
                after
            } else {
                let end = rest.find(delimiter).unwrap_or(rest.len());
                self.text.push_str(&rest[..end]);
                &rest[end..]
            };
            self.ranges.push((from, self.text.len() as u32));
            match after.strip_prefix(delimiter) {
                Some(next) => rest = next,
                None if after.is_empty() => return Ok(Ending::Whole),
                None => return Err(misplaced_quote(self.len())),
            }
        }
    }

    /// Takes in a cell up to its closing quote; answers what follows, `None` if it is not closed.
    fn unquote<'t>(&mut self, mut rest: &'t str) -> Option<&'t str> {
        loop {
            let end = rest.find('"')?;
            self.text.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('"') {
                Some(after) => {
                    self.text.push('"');
                    rest = after;
                }
                None => return Some(rest),
            }
        }
    }
}

fn misplaced_quote(column: usize) -> Problem {
    Problem {
        column: Some(column.to_string()),
        reason: "text follows a closing quote; a quote inside a quoted cell is written twice"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str, delimiter: &str) -> Option<Vec<String>> {
        let mut cells = Cells::default();
        match cells.split_quoted(text, delimiter) {
            Ok(Ending::Whole) => Some(cells.iter().map(ToOwned::to_owned).collect()),
            Ok(Ending::OpenQuote) => None,
            Err(problem) => Some(vec![format!("!{}", problem.column.unwrap_or_default())]),
        }
    }

    #[test]
    fn quotes() {
        let check = |text, expect: Option<&[&str]>| {
            let expect = expect.map(|cells| cells.iter().map(ToString::to_string).collect());
            assert_eq!(split(text, ","), expect, "{text}");
        };
        check("a,b,", Some(&["a", "b", ""]));
        check("", Some(&[""]));
        check(r#""a,""b""",c"#, Some(&[r#"a,"b""#, "c"]));
        check(r#"5" disk,x"#, Some(&[r#"5" disk"#, "x"]));
        check(r#"x,"open,1"#, None);
        check(r#"x,"shut"up,1"#, Some(&["!2"]));
        assert_eq!(split("1::Up: A::2", "::"), Some(vec!["1".into(), "Up: A".into(), "2".into()]));
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(cells in prop::collection::vec("[a,\"; é\n]{0,6}", 1..6)) {
            let quoted: Vec<_> = cells.iter().map(|c| format!("\"{}\"", c.replace('"', "\"\""))).collect();
            prop_assert_eq!(split(&quoted.join(","), ","), Some(cells));
        }
    }
}
