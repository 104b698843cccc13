//! The configuration: the sum of every part's options, from a file, then the environment.
//!
//! Every key has a default, and `sona.example.toml` holds exactly the defaults. An unknown key is an error
//! that names the nearest known one. `SONA_SECTION_KEY` overrides a key of the file.

mod environment;
mod keys;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sona_domain::{EventRule, EventRules, EventType};
use sona_engine::options;
use sona_server::ServerOptions;

use crate::telemetry::Log;

/// The file that is read if it exists and no other is named.
const DEFAULT_FILE: &str = "sona.toml";

/// Everything `sona` can be told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where data lives.
    pub(crate) storage: Storage,
    /// The HTTP server.
    pub(crate) server: ServerOptions,
    /// Event types.
    pub(crate) events: Events,
    /// How sources are combined.
    pub(crate) fusion: options::Fusion,
    /// The sequence source.
    pub(crate) sequence: options::Sequence,
    /// The trending source.
    pub(crate) trending: options::Trending,
    /// ALS.
    pub(crate) als: options::Als,
    /// Training jobs.
    pub(crate) training: options::Training,
    /// What is held in memory.
    pub(crate) live: options::Live,
    /// Logging.
    pub(crate) log: Log,
}

/// Where data lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Storage {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    pub(crate) database: String,
    /// Model files: `file:PATH`.
    pub(crate) blobs: String,
}

impl Default for Storage {
    fn default() -> Self {
        Self::in_folder(Path::new("sona-data"))
    }
}

impl Storage {
    /// Both parts embedded in one folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self {
            database: format!("sqlite:{}", folder.join("sona.db").display()),
            blobs: format!("file:{}", folder.join("blobs").display()),
        }
    }
}

/// Event types besides or instead of the built-in ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Events {
    /// By name: `weight` 0..=1 and `effect` (`seen`, `interest` or `reject`).
    pub(crate) types: std::collections::BTreeMap<String, EventRule>,
}

/// The configuration is wrong; the message says where and what would be right.
#[derive(Debug)]
pub(crate) struct ConfigError(String);

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads `file`, or `./sona.toml` if it exists, or nothing; then the environment.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let file = file.map(PathBuf::from).or_else(|| {
            let default = PathBuf::from(DEFAULT_FILE);
            default.exists().then_some(default)
        });
        let (name, text) = match &file {
            None => ("the defaults".to_owned(), String::new()),
            Some(path) => {
                let text = fs_err::read_to_string(path).map_err(|e| ConfigError(e.to_string()))?;
                (path.display().to_string(), text)
            }
        };
        Self::read(&name, &text, std::env::vars())
    }

    /// Reads `text` (from the file called `name`) and the variables of the environment.
    fn read(
        name: &str,
        text: &str,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        keys::check(name, text)?;
        let wrong = |error: toml::de::Error| ConfigError(format!("{name}: {error}"));
        // Read typed first: an error then shows the line.
        toml::from_str::<Self>(text).map_err(wrong)?;
        let mut table: toml::Table = toml::from_str(text).map_err(wrong)?;
        environment::apply(&mut table, variables)?;
        let config: Self = table
            .try_into()
            .map_err(|error: toml::de::Error| ConfigError(error.message().to_owned()))?;
        config.check()?;
        Ok(config)
    }

    /// The engine's part.
    pub(crate) fn engine_options(&self) -> Result<options::Options, ConfigError> {
        let mut events = EventRules::default();
        for (name, rule) in &self.events.types {
            let event_type = EventType::new(name)
                .map_err(|error| ConfigError(format!("events.types.{name}: {error}")))?;
            events.set(&event_type, *rule);
        }
        Ok(options::Options {
            events,
            fusion: self.fusion.clone(),
            sequence: self.sequence.clone(),
            trending: self.trending.clone(),
            als: self.als.clone(),
            training: self.training.clone(),
            live: self.live.clone(),
        })
    }

    /// Checks ranges that types do not.
    fn check(&self) -> Result<(), ConfigError> {
        let f = &self.fusion;
        let checks = [
            (
                "fusion.candidates_per_source",
                (1..=10_000).contains(&f.candidates_per_source),
                "1 to 10000",
            ),
            (
                "fusion weights",
                [f.collaborative, f.sequence, f.trending, f.popular, f.context]
                    .iter()
                    .all(|w| (0.0..=1e6).contains(w)),
                "0 or more",
            ),
            ("sequence.window", (1..=1000).contains(&self.sequence.window), "1 to 1000"),
            ("sequence.history", (1..=50).contains(&self.sequence.history), "1 to 50"),
            (
                "sequence.history_decay",
                (0.0..=1.0).contains(&self.sequence.history_decay),
                "0 to 1",
            ),
            (
                "trending.window_days",
                (0.001..=3650.0).contains(&self.trending.window_days),
                "0.001 to 3650",
            ),
            (
                "trending.half_life_days",
                (0.001..=3650.0).contains(&self.trending.half_life_days),
                "0.001 to 3650",
            ),
            ("als.factors", (1..=1024).contains(&self.als.factors), "1 to 1024"),
            ("als.iterations", (1..=1000).contains(&self.als.iterations), "1 to 1000"),
            (
                "als.unobserved_weight",
                self.als.unobserved_weight > 0.0 && self.als.unobserved_weight.is_finite(),
                "more than 0",
            ),
            (
                "als.regularization",
                self.als.regularization > 0.0 && self.als.regularization.is_finite(),
                "more than 0",
            ),
            (
                "als.confidence_alpha",
                self.als.confidence_alpha > 0.0 && self.als.confidence_alpha.is_finite(),
                "more than 0",
            ),
            (
                "training.interval_hours",
                (0.0..=1e6).contains(&self.training.interval_hours),
                "0 or more",
            ),
            (
                "training.rejection_margin",
                (0.0..=1.0).contains(&self.training.rejection_margin),
                "0 to 1",
            ),
            (
                "training.lease_seconds",
                (3..=86_400).contains(&self.training.lease_seconds),
                "3 to 86400",
            ),
            ("live.max_users", self.live.max_users >= 1, "1 or more"),
            ("live.commit_batch", (1..=100_000).contains(&self.live.commit_batch), "1 to 100000"),
            ("live.queue", (1..=10_000_000).contains(&self.live.queue), "1 to 10000000"),
            (
                "live.follow_interval_ms",
                (10..=60_000).contains(&self.live.follow_interval_ms),
                "10 to 60000",
            ),
        ];
        let types =
            self.events.types.iter().filter(|(_, rule)| !(0.0..=1.0).contains(&rule.weight));
        let mut problems: Vec<_> = checks
            .into_iter()
            .filter(|(_, fits, _)| !fits)
            .map(|(key, _, range)| format!("{key} must be {range}"))
            .chain(types.map(|(name, _)| format!("events.types.{name}.weight must be 0 to 1")))
            .collect();
        if let Err(ConfigError(problem)) = self.engine_options() {
            problems.push(problem);
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError(problems.join("; "))) }
    }
}

#[cfg(test)]
mod tests;
