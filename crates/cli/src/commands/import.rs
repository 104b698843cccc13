//! `sona import`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::json;
use sona_domain::{EventType, Timestamp};
use sona_engine::import::{ImportOptions, Imported, Importer, Preview};
use sona_formats::rejects::Kinds;
use sona_formats::{Dataset, Delimiter, Field, FileFormat, Options, TimeUnit, recognise};
use sona_store::{ImportProgress, Store};

use crate::config::{Config, DataDir};
use crate::output::{Exit, say, say_json};
use crate::wiring;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "PATH is a file or a folder: CSV (or another delimiter), JSON lines, Parquet, `user item item …` lines,
MovieLens, RecBole atomic files, train/test folders, or what `sona export` wrote; plain, gzip or Zstandard.
Its layout, columns, unit of time and scale of ratings are found by looking; the options say it where they are not.

Ratings become 1 to 5 stars (`rate` events). Rows without a time are one second apart, in their order.
An import that is killed goes on where it stopped when the same command is given again, and one that is repeated
adds nothing. It may run while servers use the database: they see the events as they come.

Bad rows go to the rejects file with file, line, column and reason; the exit code is then 2.

Examples:
  sona import ml-latest-small
  sona import ml-latest-small --dry-run
  sona import purchases.csv.gz --column user=customer,item=sku,time=bought_at --create-content
  sona import export.jsonl --data-dir /var/lib/sona"
)]
pub(crate) struct Args {
    /// A file or a folder.
    path: PathBuf,
    /// How the files are written: csv, jsonl, parquet or sequences.
    #[arg(long)]
    format: Option<FileFormat>,
    /// Which column (by name, or by number from 1) holds what: user, item, rating, type, time, id, title, …
    #[arg(long, value_name = "FIELD=NAME", value_delimiter = ',', value_parser = column)]
    column: Vec<(Field, String)>,
    /// What separates the cells of a line, such as , ; | :: or tab.
    #[arg(long)]
    delimiter: Option<Delimiter>,
    /// What numbers in the time column count since 1970: s, ms, us or ns.
    #[arg(long, value_name = "UNIT")]
    time_unit: Option<TimeUnit>,
    /// The highest rating there can be, such as 5, 10 or 100.
    #[arg(long, value_name = "RATING", value_parser = scale)]
    scale: Option<f64>,
    /// The type of events that have neither a type nor a rating.
    #[arg(long, value_name = "TYPE", default_value = "complete", value_parser = EventType::new)]
    event_type: EventType,
    /// When the first row happened, where rows have no time.
    #[arg(long, value_name = "TIME", default_value = "2000-01-01T00:00:00Z", value_parser = Timestamp::parse)]
    start: Timestamp,
    /// Make entries for content that is not in the catalogue, instead of rejecting its events.
    #[arg(long)]
    create_content: bool,
    /// Where bad rows go [default: NAME.rejects.csv in the current folder].
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Read and check everything, write nothing, and say what would be imported.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(crate) place: DataDir,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn column(text: &str) -> Result<(Field, String), String> {
    let (field, name) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not FIELD=NAME, such as user=uid"))?;
    if name.is_empty() {
        return Err(format!("{text:?} names no column"));
    }
    Ok((field.parse()?, name.to_owned()))
}

fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    let fits = scale.is_finite() && scale > 0.0;
    fits.then_some(scale).ok_or_else(|| "the highest rating must be above 0".to_owned())
}

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    let options = reading_options(args);
    let dataset = recognise(&args.path, &options)?;
    if !args.json {
        describe(&dataset)?;
    }
    let rejects = args.rejects.clone().unwrap_or_else(|| default_rejects(&args.path));
    let options = ImportOptions {
        create_content: args.create_content,
        event_type: args.event_type.clone(),
        start: args.start,
        rejects,
        reading: format!("{options:?}"),
    };
    let bar = progress_bar()?;
    let report = |progress: &ImportProgress| bar.set_position(progress.read);
    let importer = importer(config, args.dry_run).await?;
    let started = Instant::now();
    let rejected = if args.dry_run {
        let preview = importer.preview(dataset, options, report).await?;
        bar.finish_and_clear();
        show_preview(&preview, args.json)?;
        preview.progress.rejected
    } else {
        let file = options.rejects.clone();
        let imported = importer.run(dataset, options, report).await?;
        bar.finish_and_clear();
        show(&imported, &file, started.elapsed().as_secs_f64(), args.json)?;
        imported.progress.rejected
    };
    if let Some(store) = importer.store {
        store.close().await;
    }
    Ok(if rejected == 0 { Exit::Done } else { Exit::RowsRejected })
}

fn reading_options(args: &Args) -> Options {
    Options {
        format: args.format,
        columns: args.column.clone(),
        delimiter: args.delimiter.clone(),
        time_unit: args.time_unit,
        scale: args.scale,
    }
}

/// `NAME.rejects.csv` in the current folder.
pub(super) fn default_rejects(path: &Path) -> PathBuf {
    let name = path.canonicalize().ok();
    let name = name.as_deref().unwrap_or(path).file_name().unwrap_or_default();
    let mut name = name.to_owned();
    name.push(".rejects.csv");
    PathBuf::from(name)
}

/// An importer into the configured database. Only looking makes no database where there is none.
async fn importer(config: &Config, dry_run: bool) -> anyhow::Result<Importer> {
    let file = config.storage.database.strip_prefix("sqlite:");
    let absent = file.is_some_and(|path| !Path::new(path).exists());
    let store = if dry_run && absent { None } else { Some(open(config).await?) };
    let clock = Arc::new(wiring::SystemClock);
    Ok(Importer { store, clock, rules: config.engine_options()?.events })
}

async fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    sona_store::open_for_import(&config.storage.database).await.context("storage.database")
}

/// A line that counts rows, on terminals.
fn progress_bar() -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{spinner} {human_pos} rows, {per_sec}")?;
    Ok(ProgressBar::new_spinner().with_style(style))
}

/// What was recognised.
fn describe(dataset: &Dataset) -> anyhow::Result<()> {
    say(format!("{}:", dataset.layout))?;
    for source in &dataset.sources {
        let name = source.path.file_name().unwrap_or_default().to_string_lossy();
        let read: Vec<_> = source
            .columns
            .iter()
            .filter_map(|column| column.field.map(|field| format!("{field} = {}", column.name)))
            .collect();
        let scale =
            source.scale.map(|scale| format!("; ratings up to {scale}")).unwrap_or_default();
        let columns =
            if read.is_empty() { String::new() } else { format!(" ({})", read.join(", ")) };
        say(format!("  {name}: {}{columns}{scale}", source.contents))?;
    }
    for path in &dataset.ignored {
        say(format!("  {}: not read", path.file_name().unwrap_or_default().to_string_lossy()))?;
    }
    Ok(())
}

/// What an import did.
fn show(imported: &Imported, file: &Path, seconds: f64, json: bool) -> anyhow::Result<()> {
    let progress = &imported.progress;
    let rate = (progress.read - imported.resumed) as f64 / seconds.max(1e-3);
    if json {
        return say_json(&json!({
            "read": progress.read,
            "resumed_after": imported.resumed,
            "events": progress.events,
            "duplicates": progress.duplicates,
            "content": progress.content,
            "created_content": progress.created,
            "rejected": progress.rejected,
            "rejected_by_reason": imported.kinds.iter().collect::<std::collections::BTreeMap<_, _>>(),
            "rejects_file": (progress.rejected > 0).then(|| file.display().to_string()),
            "seconds": (seconds * 1000.0).round() / 1000.0,
            "rows_per_second": rate.round(),
        }));
    }
    if imported.resumed > 0 {
        say(format!(
            "Went on after {} rows of an interrupted import.",
            HumanCount(imported.resumed)
        ))?;
    }
    table(progress, &imported.kinds)?;
    say(format!(
        "{:>14}  seconds, {} rows a second",
        format!("{seconds:.1}"),
        HumanCount(rate as u64)
    ))?;
    if progress.rejected > 0 {
        say(format!("The rejected rows are in {}.", file.display()))?;
    }
    Ok(())
}

/// What an import would do.
fn show_preview(preview: &Preview, json: bool) -> anyhow::Result<()> {
    let progress = &preview.progress;
    if json {
        return say_json(&json!({
            "dry_run": true,
            "read": progress.read,
            "events": progress.events,
            "content": progress.content,
            "created_content": progress.created,
            "rejected": progress.rejected,
            "rejected_by_reason": preview.kinds.iter().collect::<std::collections::BTreeMap<_, _>>(),
        }));
    }
    say(
        "Nothing is written. An import would count (events already in the log among the new ones):",
    )?;
    table(progress, &preview.kinds)?;
    for (path, row) in &preview.rejected {
        let column = row.column.as_ref().map(|column| format!(", {column}")).unwrap_or_default();
        say(format!("  {} line {}{column}: {}", path.display(), row.line, row.reason))?;
    }
    Ok(())
}

fn table(progress: &ImportProgress, kinds: &Kinds) -> anyhow::Result<()> {
    let rows = [
        (progress.read, "rows read"),
        (progress.events, "events"),
        (progress.duplicates, "events that were there already"),
        (progress.content, "catalogue entries"),
        (progress.created, "catalogue entries made for unknown content"),
        (progress.rejected, "rows rejected"),
    ];
    for (n, (count, what)) in rows.into_iter().enumerate() {
        if count > 0 || n == 0 {
            say(format!("{:>14}  {what}", HumanCount(count).to_string()))?;
        }
    }
    for (kind, count) in kinds.iter() {
        say(format!("{:>14}    {kind}", HumanCount(count).to_string()))?;
    }
    Ok(())
}
