//! What people and scripts read: lines on standard output, errors on standard error, exit codes.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

use crate::config::ConfigError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Something was found wrong and printed.
    Failed,
    /// Rows of an import were rejected.
    RowsRejected,
    /// No such user, content, adapter or API key.
    NotFound,
    /// The trained model was rejected.
    Rejected,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::RowsRejected => 2,
            Exit::NotFound => 3,
            Exit::Rejected => 4,
        })
    }
}

/// Prints one line.
pub(crate) fn say(line: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Prints one line for people on standard error, beside what a script reads.
pub(crate) fn note(line: impl Display) -> io::Result<()> {
    writeln!(io::stderr().lock(), "{line}")
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// Prints a value as indented JSON.
pub(crate) fn say_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(say(serde_json::to_string_pretty(value)?)?)
}

/// Prints an error with its causes and picks the exit code. A reader that went away (`| head`) is no error.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    let closed = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref::<io::Error>().is_some_and(closed) {
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(io::stderr().lock(), "error: {error:#}");
    let code = if error.downcast_ref::<ConfigError>().is_some() { 2 } else { 1 };
    ExitCode::from(code)
}
