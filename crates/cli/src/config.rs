//! The configuration: the sum of every part's options, from a file, then the environment.
//!
//! Every key has a default, and `sona.example.toml` holds exactly the defaults. An unknown key is an error
//! that names the nearest known one. `SONA_SECTION_KEY` overrides a key of the file.

mod environment;
mod keys;
mod ranges;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sona_domain::{EventRule, EventRules, EventType};
use sona_engine::options;
use sona_server::identity::Secret;
use sona_server::{IdentityOptions, ServerOptions};
use sona_store::vectors::EMBEDDED;

use crate::telemetry::Log;

/// The file that is read if it exists and no other is named.
const DEFAULT_FILE: &str = "sona.toml";

/// Everything `sona` can be told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where data lives.
    pub(crate) storage: Storage,
    /// The index of title vectors, where it is not memory.
    pub(crate) vectors: Vectors,
    /// The HTTP server.
    pub(crate) server: ServerOptions,
    /// Who callers are.
    pub(crate) identity: IdentityOptions,
    /// Event types.
    pub(crate) events: Events,
    /// How sources are combined.
    pub(crate) fusion: options::Fusion,
    /// The item-item source.
    pub(crate) item_item: options::ItemItem,
    /// The sequence source.
    pub(crate) sequence: options::Sequence,
    /// The attributes source.
    pub(crate) attributes: options::Attributes,
    /// The embedding source.
    pub(crate) embedding: options::Embedding,
    /// The trending source.
    pub(crate) trending: options::Trending,
    /// The context source.
    pub(crate) context: options::Context,
    /// ALS.
    pub(crate) als: options::Als,
    /// The content source.
    pub(crate) content: options::ContentBased,
    /// The graph source.
    pub(crate) graph: options::Graph,
    /// The ranker.
    pub(crate) ranker: options::Ranker,
    /// How unlike the titles of a list are.
    pub(crate) diversity: options::Diversity,
    pub(crate) adapters: options::Adapters,
    /// Text to vectors.
    pub(crate) encoder: options::TextEncoder,
    /// Training jobs.
    pub(crate) training: options::Training,
    /// What is held in memory.
    pub(crate) live: options::Live,
    /// What was shown.
    pub(crate) exposures: options::Exposures,
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
    /// Where title vectors are searched: `memory:`, or `qdrant://HOST:6334/NAME` or `qdrants://…`.
    pub(crate) vectors: String,
}

impl Default for Storage {
    fn default() -> Self {
        Self::in_folder(Path::new("sona-data"))
    }
}

impl Storage {
    /// All parts embedded, in one folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self {
            database: format!("sqlite:{}", folder.join("sona.db").display()),
            blobs: format!("file:{}", folder.join("blobs").display()),
            vectors: EMBEDDED.to_owned(),
        }
    }
}

/// The index of title vectors, where `storage.vectors` names one outside of this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Vectors {
    /// The key its server demands.
    pub(crate) api_key: Secret,
    /// A file with that key; a line break at its end does not count.
    pub(crate) api_key_file: String,
    /// How long a request waits for it, in milliseconds.
    pub(crate) deadline_ms: u64,
}

impl Default for Vectors {
    fn default() -> Self {
        let options::Vectors { deadline_ms } = options::Vectors::default();
        Self { api_key: Secret::default(), api_key_file: String::new(), deadline_ms }
    }
}

/// The option that says where a command's data is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DataDir {
    /// Where the data is kept, embedded; overrides storage.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl DataDir {
    /// The configuration with that place.
    pub(crate) fn within(&self, mut config: Config) -> Config {
        if let Some(folder) = &self.data_dir {
            config.storage = Storage::in_folder(folder);
        }
        config
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
            // The message alone says what is wrong, not which key.
            .map_err(|error: toml::de::Error| {
                ConfigError(error.to_string().trim_end().replace('\n', " "))
            })?;
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
            item_item: self.item_item.clone(),
            sequence: self.sequence.clone(),
            attributes: self.attributes.clone(),
            embedding: self.embedding.clone(),
            trending: self.trending.clone(),
            context: self.context.clone(),
            als: self.als.clone(),
            content: self.content.clone(),
            graph: self.graph.clone(),
            ranker: self.ranker.clone(),
            diversity: self.diversity.clone(),
            adapters: self.adapters.clone(),
            vectors: options::Vectors { deadline_ms: self.vectors.deadline_ms },
            encoder: self.encoder.clone(),
            training: self.training.clone(),
            live: self.live.clone(),
            exposures: self.exposures.clone(),
        })
    }

    /// Checks what types do not: ranges, and the names of event types.
    fn check(&self) -> Result<(), ConfigError> {
        let mut problems = ranges::problems(self);
        problems.extend(self.identity.problems());
        if !self.vectors.api_key.0.is_empty() && !self.vectors.api_key_file.is_empty() {
            problems
                .push("vectors.api_key and vectors.api_key_file are both set: keep one".to_owned());
        }
        if self.encoder.model.is_empty() && !self.encoder.onnxruntime.is_empty() {
            problems.push(
                "encoder.onnxruntime runs encoder.model: set that too, or leave both out"
                    .to_owned(),
            );
        }
        if self.encoder.model.is_empty() != self.encoder.tokenizer.is_empty() {
            problems.push(
                "encoder.model and encoder.tokenizer belong together: set both or none".to_owned(),
            );
        }
        if !self.encoder.vectors.is_empty() {
            let name = sona_domain::embedding::imported(&self.encoder.vectors);
            problems.extend(name.err().map(|problem| format!("encoder.vectors: {problem}")));
            if !self.encoder.model.is_empty() {
                problems.push("encoder.vectors and encoder.model exclude each other".to_owned());
            }
        }
        if let Err(ConfigError(problem)) = self.engine_options() {
            problems.push(problem);
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError(problems.join("; "))) }
    }
}

#[cfg(test)]
mod tests;
