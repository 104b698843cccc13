//! Which options are best for this data? A seeded search over a source's options, judged on validation rows.
//!
//! No test row is looked at. The configured options are the first trial, so what is found is never worse than
//! what is configured, on the rows it was chosen by; a final number belongs to `evaluate` on test rows.

mod search;
mod space;

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sona_domain::{Clock, Source};

pub use space::Subject;

use crate::evaluate::{
    self, Data, Error, Fitted, LearnedFrom, METRICS, Model, Result, Rows, Split, SplitOptions,
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
    let space = search.subject.space();
    let place = |values: &BTreeMap<String, f64>| -> Vec<f64> {
        let of = |parameter: &space::Parameter| {
            let configured = || parameter.get(&search.engine);
            parameter.place(values.get(parameter.key).copied().unwrap_or_else(configured))
        };
        space.iter().map(of).collect()
    };
    let start = place(&BTreeMap::new());
    let mut trials = earlier;
    let mut found: Vec<Found> = trials
        .iter()
        .map(|trial| Found { point: place(&trial.values), value: trial.metric })
        .collect();
    let begun = clock.now();
    while trials.len() < search.trials && clock.now().seconds_since(begun) < search.budget_seconds {
        let point = search::next(search.split.seed, &start, &found);
        let trial = bench.run(trials.len(), &point)?;
        on_trial(&trial);
        found.push(Found { point: place(&trial.values), value: trial.metric });
        trials.push(trial);
    }
    Ok(trials)
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
        let model = match search.subject {
            Subject::Collaborative => Model::Alone(Source::Collaborative),
            Subject::Sequence => Model::Alone(Source::Sequence),
            Subject::Attributes => Model::Alone(Source::Attributes),
            Subject::Embedding => Model::Alone(Source::Embedding),
            Subject::Content => Model::Alone(Source::Content),
            Subject::Trending => Model::Alone(Source::Trending),
            Subject::Weighted => Model::Weighted,
            Subject::Ranker => Model::Fused,
        };
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

    fn run(&self, number: usize, point: &[f64]) -> Result<Trial> {
        let begun = self.clock.now();
        let mut engine = self.search.engine.clone();
        let mut values = BTreeMap::new();
        for (parameter, place) in self.search.subject.space().iter().zip(point) {
            // The first trial is what is configured, to the last digit.
            let configured = parameter.get(&self.search.engine);
            let value = if number == 0 { configured } else { parameter.value(*place) };
            parameter.set(&mut engine, value);
            values.insert(parameter.key.to_owned(), rounded(value));
        }
        let each = self.judge(engine)?;
        let mean = each.iter().sum::<f64>() / each.len() as f64;
        let variance =
            each.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / each.len() as f64;
        Ok(Trial {
            number,
            values,
            metric: mean,
            margin: 1.96 * (variance / each.len() as f64).sqrt(),
            seconds: self.clock.now().seconds_since(begun),
        })
    }

    /// The main metric of every user.
    fn judge(&self, engine: Options) -> Result<Vec<f64>> {
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
