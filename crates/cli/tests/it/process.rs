//! The real binary as a child process: in a folder of its own, with nothing of this process's environment but
//! `PATH`, on a port the system chooses.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// The binary under test.
pub(crate) const SONA: &str = env!("CARGO_BIN_EXE_sona");

/// How long anything may take before a test gives up on it. Generous: reached only when something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A folder to work in and the environment that goes with it.
pub(crate) struct Folder {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A serving process; killed when dropped.
pub(crate) struct Sona {
    child: Child,
    lines: Receiver<String>,
    /// Such as `http://127.0.0.1:4711`.
    pub(crate) base: String,
}

impl Folder {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, environment: Vec::new() }
    }

    /// The folder with one more variable for every command.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `program` in this folder, with its environment.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("COLUMNS", "100");
        // An embedding takes long to train in a build that is not optimised.
        command.env("SONA_FUSION_EMBEDDING", "0");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `sona` to its end.
    pub(crate) fn sona(&self, arguments: &[&str]) -> Ran {
        self.sona_with(&[], arguments)
    }

    /// Runs `sona` to its end with more variables.
    pub(crate) fn sona_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let mut command = self.command(SONA, arguments);
        Ran::of(&command.envs(variables.iter().copied()).output().expect("sona starts"))
    }

    /// Runs a line in the shell.
    pub(crate) fn shell(&self, line: &str) -> Ran {
        Ran::of(&self.command("sh", &["-c", line]).output().expect("there is a shell"))
    }

    /// Starts `sona` without waiting for anything; what it prints is dropped.
    pub(crate) fn spawn(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Child {
        let mut command = self.command(SONA, arguments);
        command.envs(variables.iter().copied()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("sona starts")
    }

    /// Starts a serving `sona` and waits until it serves.
    pub(crate) fn start(&self, arguments: &[&str]) -> Sona {
        Sona::start(self.command(SONA, arguments))
    }
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout.clone()).expect("output is UTF-8"),
            stderr: String::from_utf8(output.stderr.clone()).expect("errors are UTF-8"),
        }
    }

    /// Itself, if the command ended with `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// What it printed, read as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }
}

impl Sona {
    /// Starts `command` and waits until it says where it serves.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("sona starts");
        let lines = read_lines(child.stdout.take().expect("piped"));
        let mut sona = Self { child, lines, base: String::new() };
        let line = sona.line_with("Serving http://").pop().expect("the line asked for");
        let (_, rest) = line.split_once("Serving ").expect("as asked for");
        rest.split_whitespace().next().expect("a URL follows").clone_into(&mut sona.base);
        sona
    }

    /// Everything it prints up to and with the next line that has `text`.
    pub(crate) fn line_with(&mut self, text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => seen.push(line),
                Err(error) => panic!("{error}; waited for {text:?}; it said {seen:#?}"),
            }
            if seen.last().is_some_and(|line| line.contains(text)) {
                return seen;
            }
        }
    }

    /// The port it serves.
    pub(crate) fn port(&self) -> &str {
        self.base.rsplit(':').next().expect("a URL with a port")
    }

    /// Ends it at once, without a chance to tidy up (SIGKILL).
    pub(crate) fn kill(mut self) {
        kill(&mut self.child);
    }

    /// Asks it to end (SIGTERM) and waits; returns its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let line = format!("kill -TERM {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &line]).status().expect("there is a shell");
        assert!(sent.success(), "the process is gone already");
        self.child.wait().expect("a child of ours").code()
    }
}

impl Drop for Sona {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

/// Ends a process at once; it may have ended by itself.
pub(crate) fn kill(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Lines as they come; the channel closes with the output.
fn read_lines(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody may be listening any more; the pipe is read to its end all the same.
            let _ = sender.send(line);
        }
    });
    lines
}
