//! Data sets to evaluate and tune on, read from files.

mod negatives;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sona_domain::{Content, Event, EventRules, EventType, Timestamp};
use sona_engine::evaluate::{Builder, Data, Part, Protocol, Row};
use sona_engine::import::{self, Named};
use sona_formats::{
    Contents, Dataset, EventRow, Field, Rejected, Row as FileRow, Source, Split, recognise,
};

use crate::output::note;

/// Which data, and how it is to be split.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DataSetArgs {
    /// A file or folder of events; the layout is recognised and named in the output.
    #[arg(long, value_name = "PATH")]
    pub(crate) data: PathBuf,

    /// A file of events that must be found, if they are not in the folder; `full-ranking` only.
    #[arg(long, value_name = "FILE")]
    pub(crate) test: Option<PathBuf>,

    /// Test pairs with the items to rank them among, a line each: `(user,item)` and the items, separated by tabs.
    #[arg(long, value_name = "FILE")]
    pub(crate) negatives: Option<PathBuf>,

    /// How lists are judged: full-ranking, last-item, sampled-negatives, cold-start or time-split. By default what the data is made
    /// for.
    #[arg(long)]
    pub(crate) protocol: Option<Protocol>,

    /// Share of each user's items that is cut off for `full-ranking` where no test side is given, and of the users who
    /// are asked under `cold-start`.
    #[arg(long, value_name = "SHARE", default_value_t = 0.15, value_parser = share)]
    pub(crate) cut: f64,

    /// How many of their items are known of a user under `cold-start`.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) known: usize,

    /// At most so many users, drawn by the seed; 0 = all.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) users: usize,

    /// Decides every random choice.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("a share lies between 0 and 1".to_owned()),
    }
}

/// The data set and the protocol it is judged by.
pub(crate) fn read(args: &DataSetArgs, rules: &EventRules) -> anyhow::Result<(Data, Protocol)> {
    let options = sona_formats::Options::default();
    let dataset = recognise(&args.data, &options)?;
    let negatives = args.negatives.clone().or_else(|| negatives::among(&dataset.ignored));
    let is_split = args.test.is_some() || dataset.events(Some(Split::Test)).next().is_some();
    let protocol = args.protocol.unwrap_or(match &negatives {
        Some(_) => Protocol::SampledNegatives,
        None if !is_split && is_ordered(&dataset) => Protocol::LastItem,
        None => Protocol::FullRanking,
    });
    let event_type = EventType::new(EventType::COMPLETE).map_err(anyhow::Error::msg)?;
    let mut reading = Reading { event_type, builder: Builder::default(), rules, skipped: 0 };
    for source in dataset.catalogue() {
        reading.read(source, Some(Part::Train))?;
    }
    for source in dataset.sources.iter().filter(|source| source.contents == Contents::Events) {
        reading.read(source, part(source.split, protocol, negatives.is_some()))?;
    }
    if let Some(path) = &args.test {
        if protocol != Protocol::FullRanking {
            bail!("--test belongs to the protocol full-ranking, not {protocol}");
        }
        for source in recognise(path, &options)?.sources {
            reading.read(&source, Some(Part::Test))?;
        }
    }
    if let (Some(path), Protocol::SampledNegatives) = (&negatives, protocol) {
        negatives::read(path, &mut reading.builder)?;
    }
    if reading.skipped > 0 {
        note(format!("{} rows could not be read and are left out", reading.skipped))?;
    }
    if reading.builder.is_empty() {
        bail!("{}: there is not one event in it", args.data.display());
    }
    let name = format!("{} ({})", short(&args.data), dataset.layout);
    Ok((reading.builder.finish(name), protocol))
}

/// The side a file is on; `None` if it is not read.
fn part(split: Option<Split>, protocol: Protocol, negatives: bool) -> Option<Part> {
    match (split, protocol) {
        (Some(Split::Test), Protocol::FullRanking) => Some(Part::Test),
        // The test pairs come with their negatives; as events they would be known before.
        (Some(Split::Test), Protocol::SampledNegatives) if negatives => None,
        _ => Some(Part::Train),
    }
}

/// Whether what comes later in the data came later in time.
fn is_ordered(dataset: &Dataset) -> bool {
    let mut events = dataset.sources.iter().filter(|source| source.contents == Contents::Events);
    events.all(Source::is_ordered)
}

/// The catalogue and the events of a data set, as they would be imported.
pub(crate) fn read_events(
    args: &DataSetArgs,
    rules: &EventRules,
) -> anyhow::Result<(String, Vec<Content>, Vec<Event>)> {
    let dataset = recognise(&args.data, &sona_formats::Options::default())?;
    let event_type = EventType::new(EventType::COMPLETE).map_err(anyhow::Error::msg)?;
    let (mut content, mut events) = (Vec::new(), Vec::new());
    let (mut untimed, mut skipped) = (0_u64, 0_u64);
    for source in &dataset.sources {
        for row in source.rows().with_context(|| source.path.display().to_string())? {
            match row {
                Ok(FileRow::Event(row)) => {
                    untimed += u64::from(row.timestamp.is_none());
                    let (number, at) = (events.len() as u64, Timestamp::from_micros(0));
                    let event_type = &event_type;
                    let named = Named { file: "event", number, untimed: at, event_type };
                    match import::event(row, source, &named, rules) {
                        Ok(event) => events.push(event),
                        Err(_) => skipped += 1,
                    }
                }
                Ok(FileRow::Content(entry)) => content.push(*entry),
                Ok(FileRow::Attributes(item)) => content.push(import::attributed(item)),
                Err(_) => skipped += 1,
            }
        }
    }
    if skipped > 0 {
        note(format!("{skipped} rows could not be read and are left out"))?;
    }
    if untimed > 0 {
        bail!("{}: time-split needs times, and {untimed} events have none", args.data.display());
    }
    Ok((format!("{} ({})", short(&args.data), dataset.layout), content, events))
}

struct Reading<'r> {
    /// What rows without a rating and a type are.
    event_type: EventType,
    builder: Builder,
    rules: &'r EventRules,
    skipped: u64,
}

impl Reading<'_> {
    fn read(&mut self, source: &Source, part: Option<Part>) -> anyhow::Result<()> {
        let Some(part) = part else { return Ok(()) };
        let mut rows = source.rows().with_context(|| source.path.display().to_string())?;
        while let Some(row) = rows.next() {
            let row = match row {
                Ok(FileRow::Event(row)) => row,
                Ok(FileRow::Content(content)) => {
                    self.builder.describe(&content);
                    continue;
                }
                Ok(FileRow::Attributes(item)) => {
                    self.builder.describe(&import::attributed(item));
                    continue;
                }
                Err(rejected) => {
                    self.skip(source, &rejected)?;
                    continue;
                }
            };
            if let Err((field, reason)) = self.take(source, part, row) {
                self.skip(source, &rows.reject(field, reason))?;
            }
        }
        Ok(())
    }

    /// Weighs a row as the event it would be imported as.
    fn take(&mut self, source: &Source, part: Part, row: EventRow) -> Result<(), (Field, String)> {
        let at = row.timestamp;
        let untimed = Timestamp::from_micros(0);
        // No event is kept, so one name does for all.
        let named = Named { file: "row", number: 1, untimed, event_type: &self.event_type };
        let event = import::event(row, source, &named, self.rules)?;
        let (user, item) = (event.user_id.as_str(), event.content_id.as_str());
        self.builder.add(part, Row { user, item, weight: self.rules.weight(&event), at });
        Ok(())
    }

    fn skip(&mut self, source: &Source, rejected: &Rejected) -> std::io::Result<()> {
        if self.skipped == 0 {
            let (file, line) = (source.path.display(), rejected.line);
            note(format!("{file}, line {line}: {}", rejected.reason))?;
        }
        self.skipped += 1;
        Ok(())
    }
}

/// The name a path is known by.
fn short(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into())
}
