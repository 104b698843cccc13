//! `sona evaluate`

mod time_split;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context;
use fs_err::File;
use indicatif::{ProgressBar, ProgressStyle};
use sona_engine::evaluate::{
    COLD_HISTORY, COLD_VIEWERS, Data, Evaluation, Model, Options, Progress, Protocol, RankerReport,
    Report, Rows, Slice, Slices, SplitOptions, Summary, UserList, evaluate,
};

use crate::config::Config;
use crate::data_set;
use crate::output::{Exit, grouped, say, say_json};
use crate::wiring::SystemClock;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Fits the product's own sources on one part of the data and judges their lists on the other:
each source alone and all of them fused with the configured weights, over all users, over those
with short histories, and over targets that few have met. The configuration's options are used as
they are; `sona tune` finds better ones on validation rows.

The content source reads the texts of the data's catalogue with the configured encoder, or learns
one from them; it takes part where it is named in --models or has a weight in the fusion.

Protocols:
  last-item          each user's last item, among all they have not had; the one before it is
                     known, but not fitted on
  full-ranking       a given test side, or a random share of each user's items, among all items
                     that are not in the user's training rows
  sampled-negatives  each given test pair, among the items given with it
  cold-start         users nobody was fitted on: after their first --known items the next one, among
                     all they have not had
  time-split         a cut in time: after it events arrive one by one, as in a server, and what was
                     liked next is looked for in the list that would have been shown before it; with
                     `fused` and `fused+adapter` the change is also told by tenths of the users who
                     have an adapter, in the order of the mean NDCG@10 of both lists

Examples:
  sona evaluate --data ratings.csv
  sona evaluate --data beauty/ --protocol last-item --models sequence,fused --json
  sona evaluate --data train.csv --test test.csv --scores top.txt --targets held-out.txt"
)]
pub(crate) struct Args {
    #[command(flatten)]
    data: data_set::DataSetArgs,

    /// Only these models, separated by commas: a source, `fused`, or `fused-SOURCE` for all sources but one.
    #[arg(long, value_delimiter = ',', value_name = "MODELS")]
    models: Vec<Model>,

    /// Judge on validation rows, which come from the training side.
    #[arg(long)]
    validation: bool,

    /// Under time-split, models are trained again after so many events; 0 = never.
    #[arg(long, value_name = "EVENTS", default_value_t = 2500)]
    train_every: usize,

    /// Under time-split, look for everything that was engaged with first, liked or not.
    #[arg(long)]
    all: bool,

    /// Samples the 95 % intervals rest on; 0 = no intervals.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    resamples: usize,

    /// Print the report as JSON.
    #[arg(long)]
    json: bool,

    /// Write every user's list, at most 100 lines `user item score`, best first. With several models the model's name is
    /// put before the file's extension.
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,

    /// Write what was to be found, lines `user item`.
    #[arg(long, value_name = "FILE")]
    targets: Option<PathBuf>,
}

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    let engine = config.engine_options()?;
    if args.data.protocol == Some(Protocol::TimeSplit) {
        return time_split::run(args, engine).await;
    }
    let (data, protocol) = data_set::read(&args.data, &engine.events)?;
    let models =
        if args.models.is_empty() { Model::of(&data, &engine.fusion) } else { args.models.clone() };
    let options = Options {
        split: SplitOptions {
            protocol,
            rows: if args.validation { Rows::Validation } else { Rows::Test },
            cut: args.data.cut,
            known: args.data.known,
            sample: args.data.users,
            seed: args.data.seed,
        },
        models,
        resamples: args.resamples,
        keep_lists: args.scores.is_some() || args.targets.is_some(),
        engine,
    };
    let bar = OnceLock::new();
    let evaluation = evaluate(&data, &options, &SystemClock, &|progress| show(&bar, progress))?;
    if let Some(bar) = bar.get() {
        bar.finish_and_clear();
    }
    write_files(args, &evaluation)?;
    if args.json {
        say_json(&evaluation.report)?;
    } else {
        print(&data, &evaluation.report)?;
    }
    Ok(Exit::Done)
}

fn show(bar: &OnceLock<ProgressBar>, progress: Progress) {
    let bar = bar.get_or_init(|| {
        let style = ProgressStyle::with_template("Evaluating  {bar:40} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(0).with_style(style)
    });
    match progress {
        Progress::Fitting => bar.set_message("fitting"),
        Progress::Ranking { done, of } => {
            bar.set_length(of as u64);
            // Threads report in any order.
            bar.set_position((done as u64).max(bar.position()));
            bar.set_message("users");
        }
        Progress::Resampling => bar.set_message("intervals"),
    }
}

fn print(data: &Data, report: &Report) -> anyhow::Result<()> {
    let split = &report.split;
    say(format!(
        "{}: {} users, {} items, {} pairs",
        report.data,
        grouped(data.users()),
        grouped(data.items()),
        grouped(data.pairs()),
    ))?;
    say(format!(
        "{} on {} rows, seed {}: {}",
        report.protocol,
        rows(split.rows),
        report.seed,
        split.rule
    ))?;
    say(format!(
        "{} users asked for {} items; fitted on {} pairs",
        grouped(report.users),
        grouped(split.targets),
        grouped(split.fitted_pairs),
    ))?;
    if let Some(ranker) = &report.ranker {
        say(ordered_by(ranker))?;
    }
    say("")?;
    let shown = shown(report.protocol);
    say(format!("{:<16}{:>7}{}", "model", "fit s", heads(shown)))?;
    for model in &report.models {
        let cells = cells(&model.summary, shown);
        say(format!("{:<16}{:>7.1}{cells}", model.name, model.fit_seconds))?;
    }
    let cold = format!("cold users, with at most {COLD_HISTORY} items in their history");
    print_slice(&cold, report, |slices| &slices.cold_users)?;
    let cold = format!("cold items, met by fewer than {COLD_VIEWERS} users in what is fitted on");
    print_slice(&cold, report, |slices| &slices.cold_items)
}

/// What orders the fused lists, in words.
fn ordered_by(ranker: &RankerReport) -> String {
    let choices = grouped(ranker.choices);
    match (ranker.is_fitted, ranker.with_trees) {
        (false, _) => format!(
            "no ranker: {choices} choices to learn from, and it needs {}; fused lists go by the configured weights",
            grouped(ranker.least_choices)
        ),
        (true, true) => format!("the ranker learned from {choices} choices, its trees too"),
        (true, false) => {
            format!("the ranker learned from {choices} choices; trees would not have helped it")
        }
    }
}

/// Every model's numbers on one slice; nothing if there is nobody in it.
fn print_slice(
    name: &str,
    report: &Report,
    slice: impl Fn(&Slices) -> &Slice,
) -> anyhow::Result<()> {
    let Some(Slice { users, targets, .. }) = report.models.first().map(|m| slice(&m.slices)) else {
        return Ok(());
    };
    if *users == 0 {
        return Ok(());
    }
    let (users, targets) = (grouped(*users), grouped(*targets));
    say(format!("\n{name}: {users} users asked for {targets} items"))?;
    let shown = shown(report.protocol);
    say(format!("{:<23}{}", "model", heads(shown)))?;
    report.models.iter().try_for_each(|model| {
        let cells = cells(&slice(&model.slices).summary, shown);
        say(format!("{:<23}{cells}", model.name))
    })?;
    Ok(())
}

fn heads(shown: &[(&str, bool)]) -> String {
    let heads = shown.iter().map(|(name, with)| {
        format!("{:>width$}", name.to_uppercase(), width = if *with { 22 } else { 9 })
    });
    heads.collect()
}

fn rows(rows: Rows) -> &'static str {
    match rows {
        Rows::Test => "test",
        Rows::Validation => "validation",
    }
}

/// Metrics of the table, and whether their interval is shown.
fn shown(protocol: Protocol) -> &'static [(&'static str, bool)] {
    match protocol {
        Protocol::FullRanking => {
            &[("recall@20", true), ("ndcg@20", true), ("recall@50", false), ("hr@10", false)]
        }
        Protocol::LastItem | Protocol::ColdStart | Protocol::TimeSplit => &[
            ("hr@10", true),
            ("ndcg@10", true),
            ("hr@20", false),
            ("ndcg@20", false),
            ("mrr", false),
        ],
        Protocol::SampledNegatives => &[("hr@10", true), ("ndcg@10", true)],
    }
}

fn cells(summary: &Summary, shown: &[(&str, bool)]) -> String {
    let cells = shown.iter().map(|(name, with)| {
        let value = summary.metrics.get(*name).copied().unwrap_or(0.0);
        match summary.interval95.get(*name) {
            Some([low, high]) if *with => {
                format!("  {value:.4} [{low:.4} {high:.4}]").replace("0.", ".")
            }
            _ => format!("{:>9}", format!("{value:.4}").replace("0.", ".")),
        }
    });
    cells.collect()
}

fn write_files(args: &Args, evaluation: &Evaluation) -> anyhow::Result<()> {
    let models = &evaluation.report.models;
    if let Some(path) = &args.scores {
        for (model, lists) in models.iter().zip(&evaluation.lists) {
            let only = models.len() == 1;
            write_named(path, &model.name, only, |file| write_lists(file, lists))?;
        }
    }
    if let Some(path) = &args.targets {
        write(path, |file| {
            evaluation.targets.iter().try_for_each(|(user, item)| writeln!(file, "{user} {item}"))
        })?;
    }
    Ok(())
}

/// Writes a model's file; the model's name is part of the file's unless it is the only one.
fn write_named(
    path: &Path,
    model: &str,
    only: bool,
    lines: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let path = if only { path.to_owned() } else { named(path, model) };
    write(&path, lines)
}

/// `top.txt` of the model `fused` is `top.fused.txt`.
fn named(path: &Path, model: &str) -> PathBuf {
    match path.extension() {
        Some(extension) => path.with_extension(format!("{model}.{}", extension.to_string_lossy())),
        None => path.with_extension(model),
    }
}

fn write(
    path: &Path,
    lines: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    lines(&mut file).and_then(|()| file.flush()).with_context(|| path.display().to_string())
}

fn write_lists(file: &mut impl Write, lists: &[UserList]) -> std::io::Result<()> {
    lists.iter().try_for_each(|list| {
        let user = &list.user;
        list.items.iter().try_for_each(|(item, score)| writeln!(file, "{user} {item} {score}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_says_the_model() {
        assert_eq!(named(Path::new("a/top.txt"), "fused"), Path::new("a/top.fused.txt"));
        assert_eq!(named(Path::new("top"), "fused"), Path::new("top.fused"));
    }
}
