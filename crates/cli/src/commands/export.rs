//! `sona export`

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::json;
use sona_engine::export;
use sona_formats::write::{Compression, TextFormat, Writer};

use crate::config::{Config, DataDir};
use crate::output::{Exit, say, say_json};
use crate::wiring;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Writes the catalogue (content.jsonl) and the event log (events.jsonl) into a folder, as
`sona import` reads them. Importing an export into an empty database and exporting that gives the same bytes.
Each file is written beside its place and moved there when it is whole.

Examples:
  sona export backup
  sona export backup --format csv --compress zst
  sona export backup --events --data-dir /var/lib/sona"
)]
pub(crate) struct Args {
    /// The folder; made if it is not there.
    folder: PathBuf,
    /// Only the event log.
    #[arg(long, conflicts_with = "content")]
    events: bool,
    /// Only the catalogue.
    #[arg(long)]
    content: bool,
    /// How to write.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// How to compress.
    #[arg(long, value_enum)]
    compress: Option<Compress>,
    #[command(flatten)]
    pub(crate) place: DataDir,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The formats there are.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Cells separated by commas.
    Csv,
}

/// The compressions there are.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Compress {
    /// gzip.
    Gz,
    /// Zstandard.
    Zst,
}

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    fs_err::create_dir_all(&args.folder)?;
    let (format, compression) = choice(args);
    let place = |name: &str| {
        args.folder.join(format!("{name}.{}{}", format.ending(), compression.ending()))
    };
    let store = wiring::open_stores(config).await?.store;
    let style = ProgressStyle::with_template("{spinner} {human_pos} rows, {per_sec}")?;
    let bar = ProgressBar::new_spinner().with_style(style);
    let report = |count: u64| bar.set_position(count);
    let mut written = Vec::new();
    if !args.events {
        let path = place("content");
        let writer = Writer::content(&path, format, compression)?;
        let count = export::content(&*store, writer, report).await.with_context(|| shown(&path))?;
        written.push(("catalogue entries", path, count));
    }
    if !args.content {
        let path = place("events");
        let writer = Writer::events(&path, format, compression)?;
        let count = export::events(&*store, writer, report).await.with_context(|| shown(&path))?;
        written.push(("events", path, count));
    }
    bar.finish_and_clear();
    store.close().await;
    if args.json {
        let file = |(what, path, count): &(&str, PathBuf, u64)| json!({"file": path, "rows": count, "of": what});
        say_json(&json!({"files": written.iter().map(file).collect::<Vec<_>>()}))?;
    } else {
        for (what, path, count) in &written {
            say(format!("{}: {} {what}", path.display(), HumanCount(*count)))?;
        }
    }
    Ok(Exit::Done)
}

fn choice(args: &Args) -> (TextFormat, Compression) {
    let format = match args.format {
        Format::Jsonl => TextFormat::Jsonl,
        Format::Csv => TextFormat::Csv,
    };
    let compression = match args.compress {
        None => Compression::None,
        Some(Compress::Gz) => Compression::Gzip,
        Some(Compress::Zst) => Compression::Zstandard,
    };
    (format, compression)
}

fn shown(path: &Path) -> String {
    format!("writing {}", path.display())
}
