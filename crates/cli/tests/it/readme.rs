//! The README's commands, run as they stand there.
//!
//! Every block marked `console` is run in order in one folder. Lines that start with `$ ` are commands (a `\` at
//! the end continues them); all others are output, which is not compared. Not run, but looked at: cloning and
//! changing folders, copying (the file must be there) and the project's scripts (likewise).

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::{Folder, Ran, SONA, Sona};

/// The port the README speaks of.
const DEFAULT_PORT: &str = "8082";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The commands of all `console` blocks, continuation lines joined, with the line each starts on.
fn commands(text: &str) -> Vec<(usize, String)> {
    let mut commands: Vec<(usize, String)> = Vec::new();
    let (mut inside, mut continues) = (false, false);
    for (n, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.trim_start().starts_with("```") {
            inside = !inside && line.trim() == "```console";
            continues = false;
            continue;
        }
        let (part, goes_on) = match line.strip_suffix('\\') {
            Some(part) => (part.trim(), true),
            None => (line.trim(), false),
        };
        if continues {
            let (_, command) = commands.last_mut().expect("a command is continued");
            command.push(' ');
            command.push_str(part);
            continues = goes_on;
        } else if let Some(command) = part.strip_prefix("$ ").filter(|_| inside) {
            commands.push((n + 1, command.to_owned()));
            continues = goes_on;
        }
    }
    commands
}

/// What is done with a command.
#[derive(Debug, PartialEq)]
enum Step {
    /// Nothing, but these files of the repository must be there.
    Look(Vec<String>),
    /// Started in the background; the port is the one a reader would get.
    Serve { command: String, port: String },
    /// Run to its end.
    Run(String),
}

impl Step {
    fn of(command: &str) -> Self {
        let command = command
            .replace("cargo run --release -- ", "sona ")
            .replace("cargo run --release --", "sona")
            .replace("target/release/sona", "sona");
        let words: Vec<_> = command.split_whitespace().collect();
        match words[..] {
            ["git", "clone", ..] | ["cd", ..] => return Self::Look(Vec::new()),
            ["cp", from, ..] => return Self::Look(vec![from.to_owned()]),
            [script, ..] if script.starts_with("scripts/") || script.starts_with(".ci/") => {
                return Self::Look(vec![script.to_owned()]);
            }
            _ => {}
        }
        let name = words.iter().position(|word| *word == "sona");
        let only_variables = |words: &[&str]| words.iter().all(|word| word.contains('='));
        let serves = name.is_some_and(|at| {
            let starts = only_variables(&words[..at]);
            let has = |word: &str| words[at..].contains(&word);
            starts && (has("serve") || has("demo")) && !has("--once") && !has("--help")
        });
        if serves { Self::server(&words) } else { Self::Run(command) }
    }

    /// A server's command, to be given a port that is free.
    fn server(words: &[&str]) -> Self {
        let at = words.iter().position(|word| *word == "--port");
        let port = at.and_then(|at| words.get(at + 1)).unwrap_or(&DEFAULT_PORT);
        let rest = words.iter().enumerate();
        let rest = rest.filter(|(n, _)| at.is_none_or(|at| *n != at && *n != at + 1));
        let rest: Vec<_> = rest.map(|(_, word)| *word).collect();
        Self::Serve { command: rest.join(" "), port: (*port).to_owned() }
    }
}

/// A reader at work: a folder, and the servers started so far.
struct Reader {
    folder: Folder,
    servers: Vec<(String, Sona)>,
}

impl Reader {
    fn new() -> Self {
        let folder = Folder::new();
        let programs = folder.path().join("bin");
        fs_err::create_dir(&programs).expect("a folder");
        std::os::unix::fs::symlink(SONA, programs.join("sona")).expect("a link");
        let path = std::env::var("PATH").expect("a PATH");
        let folder = folder.with("PATH", &format!("{}:{path}", programs.display()));
        Self { folder, servers: Vec::new() }
    }

    /// Does one step; says what is wrong with it.
    fn take(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Look(files) => {
                let missing = files.iter().find(|file| !repository().join(file).exists());
                missing.map_or(Ok(()), |file| Err(format!("{file} is not in the repository")))
            }
            Step::Serve { command, port } => {
                // One who starts another server on a port has stopped the one before.
                self.servers.retain(|(taken, _)| *taken != port);
                let line = format!("exec env {command} --port 0");
                let sona = Sona::start(self.folder.command("sh", &["-c", &line]));
                self.servers.push((port, sona));
                Ok(())
            }
            Step::Run(command) => check(&command, &self.run(&command)),
        }
    }

    /// Runs a command with the ports it names replaced by those the servers got.
    fn run(&self, command: &str) -> Ran {
        let mut line = command.to_owned();
        let mut variables = String::new();
        for (port, sona) in &self.servers {
            line = line.replace(&format!(":{port}/"), &format!(":{}/", sona.port()));
            if port == DEFAULT_PORT {
                // What is the default for the reader is this port here, also for commands that look at it.
                variables = format!("export SONA_SERVER_PORT={}; ", sona.port());
            }
        }
        self.folder.shell(&format!("{variables}{line}"))
    }
}

/// A command must succeed, and what it answers must not be a problem.
fn check(command: &str, ran: &Ran) -> Result<(), String> {
    if ran.code != Some(0) {
        return Err(format!("exit code {:?}: {}{}", ran.code, ran.stdout, ran.stderr));
    }
    if ran.stdout.contains("urn:sona:problem") {
        return Err(ran.stdout.clone());
    }
    let piped = command.contains(" | ");
    let asks_api = command.starts_with("curl ") && command.contains("/api/v1/");
    if !piped && (asks_api || command.contains("--json")) {
        serde_json::from_str::<Value>(&ran.stdout).map_err(|e| format!("{e}: {}", ran.stdout))?;
    }
    Ok(())
}

#[test]
fn every_command_of_the_readme_works() {
    let text = fs_err::read_to_string(repository().join("README.md")).expect("the README");
    let commands = commands(&text);
    assert!(!commands.is_empty(), "the README has no console block with a command");
    let mut reader = Reader::new();
    let mut wrong = Vec::new();
    for (line, command) in commands {
        if let Err(problem) = reader.take(Step::of(&command)) {
            wrong.push(format!("README.md:{line}: {command}\n{problem}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn commands_are_found_in_console_blocks_only() {
    let sample = "Text\n$ not this\n```console\n$ curl -s http://127.0.0.1:8082/x \\\n    -d '{}' \\\n    -H a\n\
        {\"an\": \"answer\"}\n$ sona doctor\n```\n```text\n$ nor this\n```\n  ```console\n  $ sona train\n  ```\n";
    let found = commands(sample);
    let expected = [
        (4, "curl -s http://127.0.0.1:8082/x -d '{}' -H a"),
        (8, "sona doctor"),
        (14, "sona train"),
    ];
    assert_eq!(found, expected.map(|(line, command)| (line, command.to_owned())));
    assert!(commands("```sh\n$ sona demo\n```\n").is_empty());
}

#[test]
fn commands_become_steps() {
    let serve = |command: &str, port: &str| Step::Serve {
        command: command.to_owned(),
        port: port.to_owned(),
    };
    let run = |command: &str| Step::Run(command.to_owned());
    let look = |files: &[&str]| Step::Look(files.iter().map(|f| (*f).to_owned()).collect());
    for (command, step) in [
        ("git clone https://example.org/sona && cd sona", look(&[])),
        ("cp sona.example.toml sona.toml", look(&["sona.example.toml"])),
        ("scripts/test -p sona", look(&["scripts/test"])),
        ("cargo run --release -- demo", serve("sona demo", "8082")),
        ("sona serve --port 9000 --host ::1", serve("sona serve --host ::1", "9000")),
        ("A=b target/release/sona serve", serve("A=b sona serve", "8082")),
        ("sona demo --once", run("sona demo --once")),
        ("cargo run --release -- recommend 2", run("sona recommend 2")),
        ("curl -s http://x/sona/serve", run("curl -s http://x/sona/serve")),
    ] {
        assert_eq!(Step::of(command), step, "{command}");
    }
}

#[test]
fn problems_and_failures_are_noticed() {
    let ran = |code, stdout: &str| Ran {
        code: Some(code),
        stdout: stdout.to_owned(),
        stderr: String::new(),
    };
    let ask = "curl -s http://127.0.0.1:8082/api/v1/profile/2";
    assert!(check(ask, &ran(0, "{}")).is_ok());
    assert!(check(ask, &ran(7, "")).is_err());
    assert!(check(ask, &ran(0, "")).is_err());
    assert!(check(ask, &ran(0, "{\"type\": \"urn:sona:problem:unknown-user\"}")).is_err());
    assert!(check("sona train", &ran(0, "Trained")).is_ok());
    assert!(check("sona train --json", &ran(0, "Trained")).is_err());
    let mut reader = Reader::new();
    assert!(reader.take(Step::Look(vec!["no/such/file".to_owned()])).is_err());
    assert!(reader.take(Step::Run("sona dance".to_owned())).is_err());
}
