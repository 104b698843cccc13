//! `user item item …`: every line a user and their items, in order. A line may be of any length; it is read word by word.

use std::io::BufRead;

use sona_domain::{ContentId, UserId};

use crate::field::Field;
use crate::open::Input;
use crate::row::{EventRow, Problem, Rejected, Row};
use crate::source::{Reader, Step, broken};

/// Bytes of a word that are kept: enough to see that it is too long for an id.
const MAX_WORD: usize = 1024;

/// Reads sequences, one event an item.
pub(crate) struct Sequences {
    input: Input,
    line: u64,
    /// How many words of the line were read.
    words: u64,
    /// Whose items these are; `None` at the start of a line or if the user is no id.
    user: Option<UserId>,
    word: Vec<u8>,
    /// The line is over after the word last read.
    ended: bool,
}

/// What came next in the file.
enum Token {
    Word,
    End,
}

impl Sequences {
    pub(crate) fn new(input: Input) -> Self {
        Self { input, line: 1, words: 0, user: None, word: Vec::new(), ended: false }
    }

    /// Reads the next word over the last one.
    fn next_word(&mut self) -> std::io::Result<Token> {
        self.word.clear();
        if self.ended {
            self.next_line();
        }
        loop {
            let available = self.input.fill_buf()?;
            if available.is_empty() {
                return Ok(if self.word.is_empty() { Token::End } else { self.count_word() });
            }
            let end = available.iter().position(u8::is_ascii_whitespace);
            let part = &available[..end.unwrap_or(available.len())];
            let room = MAX_WORD - self.word.len();
            self.word.extend_from_slice(&part[..part.len().min(room)]);
            let line_ends = end.is_some_and(|end| available[end] == b'\n');
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_none() {
                continue;
            }
            if !self.word.is_empty() {
                self.ended = line_ends;
                return Ok(self.count_word());
            }
            if line_ends {
                self.next_line();
            }
        }
    }

    fn count_word(&mut self) -> Token {
        self.words += 1;
        Token::Word
    }

    fn next_line(&mut self) {
        self.line += 1;
        self.words = 0;
        self.user = None;
        self.ended = false;
    }

    /// The rest of a line whose user is no id is passed over.
    fn skip_line(&mut self) {
        while !self.ended {
            let Ok(available) = self.input.fill_buf() else { return };
            if available.is_empty() {
                return;
            }
            let end = memchr::memchr(b'\n', available);
            let used = end.map_or(available.len(), |end| end + 1);
            self.input.consume(used);
            self.ended = end.is_some();
        }
    }

    fn text(&self) -> Result<&str, String> {
        std::str::from_utf8(&self.word).map_err(|_| "the word is no UTF-8".to_owned())
    }

    fn problem(&self, reason: String) -> Problem {
        Problem { column: Some(self.words.to_string()), reason }
    }

    fn event(&self, user: UserId) -> Result<Row, Problem> {
        let item = self.text().and_then(|text| ContentId::new(text).map_err(|e| e.to_string()));
        Ok(Row::Event(EventRow {
            event_id: None,
            user,
            item: item.map_err(|reason| self.problem(reason))?,
            value: None,
            event_type: None,
            completion_rate: None,
            is_rewatch: false,
            dismissed: false,
            context: None,
            recommendation_id: None,
            timestamp: None,
        }))
    }
}

impl Reader for Sequences {
    fn read(&mut self) -> Step {
        loop {
            match self.next_word() {
                Err(error) => return broken(self.line, &error),
                Ok(Token::End) => return Step::End,
                Ok(Token::Word) => {}
            }
            if let (Some(user), true) = (&self.user, self.words > 1) {
                return match self.event(user.clone()) {
                    Ok(row) => Step::Row(row),
                    Err(problem) => Step::Rejected(self.reject(problem)),
                };
            }
            let user = self.text().and_then(|text| UserId::new(text).map_err(|e| e.to_string()));
            match user {
                Ok(user) => self.user = Some(user),
                Err(reason) => {
                    let problem = Problem { column: Some(Field::User.to_string()), reason };
                    let rejected = self.reject(problem);
                    self.skip_line();
                    return Step::Rejected(rejected);
                }
            }
        }
    }

    fn reject(&self, problem: Problem) -> Rejected {
        let mut raw = Vec::new();
        if let Some(user) = self.user.as_ref().filter(|_| self.words > 1) {
            raw.extend_from_slice(user.as_str().as_bytes());
            raw.push(b' ');
        }
        raw.extend_from_slice(&self.word);
        problem.at(self.line, &raw)
    }
}
