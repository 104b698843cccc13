//! Lines of bounded length out of a byte stream, numbered from 1.

use std::io::{self, BufRead};

use crate::open::Input;

/// The longest line that is read, in bytes; of a longer one only the beginning is kept.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// Reads lines.
pub(crate) struct Lines {
    input: Input,
    number: u64,
}

/// How a line was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It is in the buffer, without its line feed.
    Whole,
    /// Its beginning is in the buffer; it is longer than [`MAX_LINE`].
    TooLong,
}

impl Lines {
    pub(crate) fn new(input: Input) -> Self {
        Self { input, number: 0 }
    }

    /// The number of the line last read.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line over what is in `line`; `None` at the end of the file.
    pub(crate) fn read(&mut self, line: &mut Vec<u8>) -> io::Result<Option<Line>> {
        line.clear();
        let mut kept = Line::Whole;
        let mut begun = false;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.number += 1;
                    return Err(error);
                }
            };
            if available.is_empty() {
                self.number += u64::from(begun);
                return Ok(begun.then_some(kept));
            }
            begun = true;
            let end = memchr::memchr(b'\n', available);
            let part = &available[..end.unwrap_or(available.len())];
            if line.len() + part.len() > MAX_LINE {
                kept = Line::TooLong;
            }
            let room = (MAX_LINE - line.len()).min(part.len());
            line.extend_from_slice(&part[..room]);
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                self.number += 1;
                return Ok(Some(kept));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8], chunk: usize) -> Vec<(u64, Vec<u8>)> {
        let input = io::BufReader::with_capacity(chunk, io::Cursor::new(bytes.to_vec()));
        let mut lines = Lines::new(Box::new(input));
        let (mut read, mut line) = (Vec::new(), Vec::new());
        while lines.read(&mut line).expect("readable").is_some() {
            read.push((lines.number(), line.clone()));
        }
        read
    }

    #[test]
    fn the_last_line_needs_no_end() {
        for chunk in 1..9 {
            let expect = [(1, b"a".to_vec()), (2, Vec::new()), (3, b"bc".to_vec())];
            assert_eq!(lines(b"a\n\nbc", chunk), expect);
            assert_eq!(lines(b"a\n\nbc\n", chunk), expect);
            assert_eq!(lines(b"", chunk), []);
        }
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_is_whole() {
        let mut bytes = vec![b'x'; MAX_LINE + 1];
        bytes.extend(b"\nnext\n");
        let read = lines(&bytes, 4096);
        assert_eq!(read.iter().map(|(_, line)| line.len()).collect::<Vec<_>>(), [MAX_LINE, 4]);
    }
}
