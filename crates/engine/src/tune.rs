//! Which options are best for this data? A seeded search over a source's options, judged on validation rows.
//!
//! No test row is looked at. The configured options are the first trial, so what is found is never worse than
//! what is configured, on the rows it was chosen by; a final number belongs to `evaluate` on test rows.

mod search;
mod space;

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sona_domain::{Clock, Timestamp};

pub use space::Subject;

use crate::error;
use crate::evaluate::{
    self, Data, Error, Fitted, LearnedFrom, METRICS, Model, Result, Rows, Split, SplitOptions,
    TimeOptions, World, time_split,
};
use crate::options::Options;
use search::Found;

/// What is searched for, and for how long.
#[derive(Debug, Clone)]
pub struct Search {
    /// What is tuned.
    pub subject: Subject,
    /// The protocol, cut, sample and seed; validation rows are taken whatever it says.
    pub split: SplitOptions,
    /// At most so many trials, earlier ones included.
    pub trials: usize,
    /// No trial begins after so many seconds.
    pub budget_seconds: f64,
    /// The options to start from.
    pub engine: Options,
}

/// One configuration and how good it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Counted from 0, which is the configuration the search started from.
    pub number: usize,
    /// The tuned keys and their values.
    pub values: BTreeMap<String, f64>,
    /// The protocol's main metric on validation rows.
    pub metric: f64,
    /// Half the width of its 95 % interval if users were independent: what a difference must exceed to mean anything.
    pub margin: f64,
    /// Seconds it took.
    pub seconds: f64,
}

/// Goes on from `earlier` trials until the budget is used up; `on_trial` sees each new one. The result holds the earlier
/// ones too.
///
/// # Errors
/// When the data set has not what the protocol or the source needs.
pub fn tune(
    data: &Data,
    search: &Search,
    earlier: Vec<Trial>,
    clock: &dyn Clock,
    on_trial: &mut dyn FnMut(&Trial),
) -> Result<Vec<Trial>> {
    let bench = Bench::new(data, search, clock)?;
    let mut course = Course::new(search, earlier, clock);
    while let Some(proposal) = course.next() {
        let judged = bench.judge(proposal.engine.clone())?;
        on_trial(course.note(proposal, judged));
    }
    Ok(course.trials)
}

/// As [`tune`], under `time-split`: every trial replays a world of its own.
///
/// # Errors
/// When a world cannot be had or replayed.
pub async fn tune_in_time<E: From<error::Error>, W: Future<Output = Result<World, E>>>(
    search: &Search,
    train_every: usize,
    mut world: impl FnMut() -> W,
    earlier: Vec<Trial>,
    clock: &dyn Clock,
    on_trial: &mut (dyn FnMut(&Trial) + Send),
) -> Result<Vec<Trial>, E> {
    let mut course = Course::new(search, earlier, clock);
    while let Some(proposal) = course.next() {
        let options = TimeOptions {
            rows: Rows::Validation,
            train_every,
            all: false,
            models: vec![search.subject.model()],
            resamples: RESAMPLES,
            seed: search.split.seed,
            keep_lists: false,
            engine: proposal.engine.clone(),
        };
        let report = time_split(world().await?, &options, &|_| {}).await?;
        let of = report.models.first().map(|model| &model.summary);
        let metric = of.and_then(|of| of.metrics.get(MAIN_IN_TIME)).copied().unwrap_or(0.0);
        let interval = of.and_then(|of| of.interval95.get(MAIN_IN_TIME));
        let margin = interval.map_or(0.0, |[low, high]| (high - low) / 2.0);
        on_trial(course.note(proposal, Judged { metric, margin }));
    }
    Ok(course.trials)
}

/// The metric of `time-split` that decides.
const MAIN_IN_TIME: &str = "ndcg@10";

/// Samples the margin of a trial in time rests on.
const RESAMPLES: usize = 200;

/// What the search tries next.
struct Proposal {
    engine: Options,
    values: BTreeMap<String, f64>,
    begun: Timestamp,
}

/// How good it was.
#[derive(Clone, Copy)]
struct Judged {
    metric: f64,
    margin: f64,
}

/// A search on its way.
struct Course<'s> {
    search: &'s Search,
    clock: &'s dyn Clock,
    begun: Timestamp,
    start: Vec<f64>,
    found: Vec<Found>,
    trials: Vec<Trial>,
}

impl<'s> Course<'s> {
    fn new(search: &'s Search, earlier: Vec<Trial>, clock: &'s dyn Clock) -> Self {
        let start = place(search, &BTreeMap::new());
        let found = earlier.iter().map(|trial| found(search, trial)).collect();
        Self { search, clock, begun: clock.now(), start, found, trials: earlier }
    }

    /// The next configuration; `None` if the budget is used up.
    fn next(&self) -> Option<Proposal> {
        let (number, begun) = (self.trials.len(), self.clock.now());
        if number >= self.search.trials
            || begun.seconds_since(self.begun) >= self.search.budget_seconds
        {
            return None;
        }
        let point = search::next(self.search.split.seed, &self.start, &self.found);
        let mut engine = self.search.engine.clone();
        let mut values = BTreeMap::new();
        for (parameter, place) in self.search.subject.space().iter().zip(point) {
            // The first trial is what is configured, to the last digit.
            let configured = parameter.get(&self.search.engine);
            let value = if number == 0 { configured } else { parameter.value(place) };
            parameter.set(&mut engine, value);
            values.insert(parameter.key.to_owned(), rounded(value));
        }
        Some(Proposal { engine, values, begun })
    }

    /// Takes in how good it was.
    fn note(&mut self, proposal: Proposal, judged: Judged) -> &Trial {
        let Proposal { values, begun, .. } = proposal;
        let Judged { metric, margin } = judged;
        let (number, seconds) = (self.trials.len(), self.clock.now().seconds_since(begun));
        let trial = Trial { number, values, metric, margin, seconds };
        self.found.push(found(self.search, &trial));
        self.trials.push(trial);
        &self.trials[number]
    }
}

/// Where values lie in the space that is searched; those there are not are as configured.
fn place(search: &Search, values: &BTreeMap<String, f64>) -> Vec<f64> {
    let of = |parameter: &space::Parameter| {
        let configured = || parameter.get(&search.engine);
        parameter.place(values.get(parameter.key).copied().unwrap_or_else(configured))
    };
    search.subject.space().iter().map(of).collect()
}

fn found(search: &Search, trial: &Trial) -> Found {
    Found { point: place(search, &trial.values), value: trial.metric }
}

/// The best trial; the earlier one of equals.
pub fn best(trials: &[Trial]) -> Option<&Trial> {
    trials.iter().reduce(|best, trial| if trial.metric > best.metric { trial } else { best })
}

/// A trial as a fragment of the configuration file.
pub fn to_toml(subject: Subject, trial: &Trial) -> String {
    let mut text = String::new();
    let mut section = "";
    for parameter in subject.space() {
        let Some((in_section, key)) = parameter.key.split_once('.') else { continue };
        if in_section != section {
            let _ = writeln!(text, "[{in_section}]");
            section = in_section;
        }
        let Some(value) = trial.values.get(parameter.key) else { continue };
        let _ = if parameter.is_count() {
            writeln!(text, "{key} = {value:.0}")
        } else {
            writeln!(text, "{key} = {value:?}")
        };
    }
    text
}

/// A split to try configurations on.
struct Bench<'b> {
    data: &'b Data,
    search: &'b Search,
    clock: &'b dyn Clock,
    split: Split,
    model: Model,
    /// Fitted once if nothing that is fitted depends on what is tuned.
    fitted: Option<Fitted>,
    /// What every trial's ranker is fitted on; `None` if no ranker is tuned.
    learned_from: Option<LearnedFrom>,
}

impl<'b> Bench<'b> {
    fn new(data: &'b Data, search: &'b Search, clock: &'b dyn Clock) -> Result<Self> {
        let options = SplitOptions { rows: Rows::Validation, ..search.split };
        let split = Split::new(data, &options).map_err(Error::Unsuitable)?;
        let model = search.subject.model();
        if let Some(lack) = model.lack(data) {
            return Err(Error::Unsuitable(lack));
        }
        let ranked = search.subject == Subject::Ranker;
        let sources = if ranked { search.engine.fusion.asked() } else { model.possible_sources() };
        let fit = || Fitted::new(data, &split, &sources, &search.engine, clock);
        let once = matches!(search.subject, Subject::Weighted | Subject::Content | Subject::Ranker);
        let fitted = once.then(fit).transpose()?;
        let bench = Self { data, search, clock, split, model, fitted, learned_from: None };
        if !ranked {
            return Ok(bench);
        }
        let options = bench.options(search.engine.clone());
        let learned_from = LearnedFrom::new(data, &bench.split, &options, clock)?;
        let (found, least) = (learned_from.choices(), search.engine.ranker.least_choices);
        if found < least {
            let few =
                format!("the data holds {found} choices to learn from; a ranker needs {least}");
            return Err(Error::Unsuitable(few));
        }
        Ok(Self { learned_from: Some(learned_from), ..bench })
    }

    fn options(&self, engine: Options) -> evaluate::Options {
        evaluate::Options {
            split: SplitOptions { rows: Rows::Validation, ..self.search.split },
            models: vec![self.model],
            resamples: 0,
            keep_lists: false,
            engine,
        }
    }

    fn judge(&self, engine: Options) -> Result<Judged> {
        let each = self.each(engine)?;
        let count = each.len() as f64;
        let metric = each.iter().sum::<f64>() / count;
        let variance = each.iter().map(|v| (v - metric) * (v - metric)).sum::<f64>() / count;
        Ok(Judged { metric, margin: 1.96 * (variance / count).sqrt() })
    }

    /// The main metric of every user.
    fn each(&self, engine: Options) -> Result<Vec<f64>> {
        let fresh;
        let fitted = if let Some(fitted) = &self.fitted {
            fitted
        } else {
            let sources = self.model.possible_sources();
            fresh = Fitted::new(self.data, &self.split, &sources, &engine, self.clock)?;
            &fresh
        };
        let options = self.options(engine);
        let ranker = self.learned_from.as_ref();
        let ranker = ranker.and_then(|choices| choices.fit(&options.engine.ranker));
        let main = self.search.split.protocol.main_metric();
        let at = METRICS.iter().position(|name| *name == main).unwrap_or(0);
        let ranked =
            evaluate::rank(&self.split.cases, (fitted, ranker.as_ref()), &options, &|_| {});
        Ok(ranked.iter().map(|user| user.values[0][at]).collect())
    }
}

/// Configured values are f32: what they mean in decimal, not what they are in f64.
fn rounded(value: f64) -> f64 {
    (value as f32).to_string().parse().unwrap_or(value)
}
