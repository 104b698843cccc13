//! `sona tune`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use fs_err::{File, OpenOptions};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use sona_domain::{Content, Event};
use sona_engine::evaluate::{Data, Protocol, Rows, SplitOptions, World};
use sona_engine::tune::{Search, Subject, Trial, best, to_toml, tune, tune_in_time};

use crate::config::{Config, Storage};
use crate::data_set;
use crate::output::{Exit, say, say_json};
use crate::wiring::{self, SystemClock};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Tries options of one source on validation rows, which come from the training side: no test
row is looked at. Under time-split every trial replays the events. The configured options are
the first trial. Every trial is written to a file beside the result as soon as it is done, and
a search that was interrupted goes on there. The width of the factorisation is a cost, not a
taste: it stays as configured.

Examples:
  sona tune sequence --data beauty/
  sona tune weighted --data ratings.csv --minutes 5 --out weights.toml
  sona evaluate --data beauty/ --config sona-tune-sequence.toml"
)]
pub(crate) struct Args {
    /// What to tune: collaborative, sequence, attributes, embedding, content, trending, weighted (the weights of the sources)
    /// or ranker (how its trees are grown).
    subject: Subject,

    #[command(flatten)]
    data: data_set::DataSetArgs,

    /// At most so many trials, earlier ones included.
    #[arg(long, default_value_t = 60)]
    trials: usize,

    /// No trial begins after so many minutes.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,

    /// Under time-split, models are trained again after so many events; 0 = never.
    #[arg(long, value_name = "EVENTS", default_value_t = 2500)]
    train_every: usize,

    /// Where the best options go, as a configuration file. [default: sona-tune-SUBJECT.toml]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Print the trials as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    let engine = config.engine_options()?;
    let (rows, protocol) = if args.data.protocol == Some(Protocol::TimeSplit) {
        let (name, content, events) = data_set::read_events(&args.data, &engine.events)?;
        (DataSet::InTime { name, content, events }, Protocol::TimeSplit)
    } else {
        let (data, protocol) = data_set::read(&args.data, &engine.events)?;
        (DataSet::Split(Box::new(data)), protocol)
    };
    let search = Search {
        subject: args.subject,
        split: SplitOptions {
            protocol,
            rows: Rows::Validation,
            cut: args.data.cut,
            known: args.data.known,
            sample: args.data.users,
            seed: args.data.seed,
        },
        trials: args.trials,
        budget_seconds: args.minutes * 60.0,
        engine,
    };
    let out = args.out.clone().unwrap_or_else(|| format!("sona-tune-{}.toml", args.subject).into());
    let heading = heading(config, &rows, (&search, args.train_every));
    let mut diary = Diary::open(&out.with_extension("jsonl"), &heading)?;
    let earlier = std::mem::take(&mut diary.earlier);
    if !earlier.is_empty() && !args.json {
        say(format!("Going on after {} trials of an earlier run.", earlier.len()))?;
    }
    let bar = bar(args.trials);
    bar.set_position(earlier.len() as u64);
    let mut written = Ok(());
    let mut highest = best(&earlier).map_or(f64::NEG_INFINITY, |trial| trial.metric);
    let mut on_trial = |trial: &Trial| {
        highest = highest.max(trial.metric);
        bar.inc(1);
        bar.set_message(format!("best {} {highest:.4}", protocol.main_metric()));
        if let (Ok(()), Err(error)) = (&written, diary.add(trial)) {
            written = Err(error);
        }
    };
    let trials = match &rows {
        DataSet::Split(data) => tune(data, &search, earlier, &SystemClock, &mut on_trial)?,
        DataSet::InTime { name, content, events } => {
            let folder = tempfile::tempdir()?;
            let mut replays = 0;
            let world = || {
                replays += 1;
                world(folder.path().join(replays.to_string()), (name, content, events))
            };
            let every = args.train_every;
            tune_in_time(&search, every, world, earlier, &SystemClock, &mut on_trial).await?
        }
    };
    bar.finish_and_clear();
    written?;
    finish(args, &out, protocol, rows.name(), &trials)
}

/// What configurations are judged on.
enum DataSet {
    /// Rows that are split.
    Split(Box<Data>),
    /// What happened, to be replayed.
    InTime { name: String, content: Vec<Content>, events: Vec<Event> },
}

impl DataSet {
    fn name(&self) -> &str {
        match self {
            Self::Split(data) => &data.name,
            Self::InTime { name, .. } => name,
        }
    }

    fn pairs(&self) -> usize {
        match self {
            Self::Split(data) => data.pairs(),
            Self::InTime { events, .. } => events.len(),
        }
    }
}

/// A world in which nothing has happened yet, kept in a folder.
async fn world(
    folder: PathBuf,
    (name, content, events): (&str, &[Content], &[Event]),
) -> anyhow::Result<World> {
    let config = Config { storage: Storage::in_folder(&folder), ..Config::default() };
    let stores = wiring::open_stores(&config).await?;
    let (name, content, events) = (name.to_owned(), content.to_vec(), events.to_vec());
    Ok(World { store: stores.store, blobs: stores.blobs, name, content, events })
}

fn bar(trials: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("Tuning  {bar:40} {pos}/{len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(trials as u64).with_style(style)
}

fn finish(
    args: &Args,
    out: &Path,
    protocol: Protocol,
    data: &str,
    trials: &[Trial],
) -> anyhow::Result<Exit> {
    let (Some(first), Some(best)) = (trials.first(), best(trials)) else {
        bail!("there was no time for a single trial; give more --minutes");
    };
    let metric = protocol.main_metric();
    let text = format!(
        "# {} on {}: {protocol}, validation rows, seed {}; {metric} {:.4} (±{:.4}) after {} trials, {:.4} as configured before.\n{}",
        args.subject,
        data,
        args.data.seed,
        best.metric,
        best.margin,
        trials.len(),
        first.metric,
        to_toml(args.subject, best)
    );
    fs_err::write(out, &text)?;
    if args.json {
        say_json(&trials)?;
    } else {
        say(text)?;
        say(format!("Written to {}; use it with --config.", out.display()))?;
    }
    Ok(Exit::Done)
}

/// What must be the same for trials to belong together.
fn heading(config: &Config, data: &DataSet, (search, train_every): (&Search, usize)) -> Value {
    let split = &search.split;
    json!({
        "subject": search.subject.as_str(),
        "data": data.name(),
        "pairs": data.pairs(),
        "protocol": split.protocol,
        "cut": split.cut,
        "users": split.sample,
        "seed": split.seed,
        "train_every": train_every,
        "als": config.als,
        "sequence": config.sequence,
        "attributes": config.attributes,
        "embedding": config.embedding,
        "trending": config.trending,
        "content": config.content,
        "encoder": config.encoder,
        "fusion": config.fusion,
        "ranker": config.ranker,
    })
}

/// The file of trials: a line that says what they are trials of, then a line each.
struct Diary {
    path: PathBuf,
    file: File,
    earlier: Vec<Trial>,
}

impl Diary {
    fn open(path: &Path, heading: &Value) -> anyhow::Result<Self> {
        let text = if path.exists() { fs_err::read_to_string(path)? } else { String::new() };
        // A line without its end was cut off by a kill; what it would have said is found out again.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut lines = whole.lines();
        if let Some(first) = lines.next() {
            let found: Value = serde_json::from_str(first).unwrap_or_default();
            if let Some(differs) = difference(&found, heading) {
                bail!(
                    "{} holds trials of another search ({differs}); remove it or choose another --out",
                    path.display()
                );
            }
        }
        let parsed: Result<Vec<Trial>, _> = lines.map(serde_json::from_str).collect();
        let earlier =
            parsed.with_context(|| format!("{} is damaged; remove it", path.display()))?;
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
        file.set_len(whole.len() as u64)?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0))?;
        if whole.is_empty() {
            writeln!(file, "{heading}")?;
        }
        Ok(Self { path: path.to_owned(), file, earlier })
    }

    fn add(&mut self, trial: &Trial) -> anyhow::Result<()> {
        let line = format!("{}\n", serde_json::to_string(trial)?);
        self.file.write_all(line.as_bytes()).with_context(|| self.path.display().to_string())
    }
}

/// The first key whose values differ, in words.
fn difference(found: &Value, expected: &Value) -> Option<String> {
    let expected = expected.as_object()?;
    let (key, expected) = expected.iter().find(|(key, value)| found.get(key) != Some(*value))?;
    let found = found.get(key).unwrap_or(&Value::Null);
    Some(format!("{key} was {found}, now it is {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_off_line_is_found_out_again_and_another_search_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trials.jsonl");
        let heading = json!({ "seed": 1 });
        let trial = Trial {
            number: 0,
            values: [("a.b".to_owned(), 0.1)].into(),
            metric: 0.25,
            margin: 0.01,
            seconds: 1.5,
        };
        Diary::open(&path, &heading).unwrap().add(&trial).unwrap();
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(&path, format!("{text}{{\"number\": 1, \"val")).unwrap();
        let mut again = Diary::open(&path, &heading).unwrap();
        assert_eq!(again.earlier, std::slice::from_ref(&trial));
        again.add(&trial).unwrap();
        assert_eq!(Diary::open(&path, &heading).unwrap().earlier.len(), 2);

        let error = Diary::open(&path, &json!({ "seed": 2 })).err().unwrap().to_string();
        assert!(error.contains("seed was 1, now it is 2"), "{error}");
    }
}
