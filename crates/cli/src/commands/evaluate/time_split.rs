//! `sona evaluate --protocol time-split`

use indicatif::{ProgressBar, ProgressStyle};
use sona_engine::Options;
use sona_engine::evaluate::{
    Decile, Difference, Model, Replayed, Rows, TimeModel, TimeOptions, TimeReport, World,
    time_split,
};

use super::{Args, cells, rows, write_lists, write_named};
use crate::config::Config;
use crate::data_set;
use crate::output::{Exit, grouped, say, say_json};
use crate::wiring;

/// Metrics of the table, and whether their interval is shown.
const SHOWN: &[(&str, bool)] = &[("ndcg@10", true), ("hr@10", false), ("mrr", false)];

pub(super) async fn run(args: &Args, engine: Options) -> anyhow::Result<Exit> {
    let (name, content, events) = data_set::read_events(&args.data, &engine.events)?;
    let folder = tempfile::tempdir()?;
    let mut config = Config::default();
    config.storage = crate::config::Storage::in_folder(folder.path());
    let stores = wiring::open_stores(&config).await?;
    let models =
        if args.models.is_empty() { Model::in_time(&engine.fusion) } else { args.models.clone() };
    let options = TimeOptions {
        rows: if args.validation { Rows::Validation } else { Rows::Test },
        train_every: args.train_every,
        all: args.all,
        models,
        resamples: args.resamples,
        seed: args.data.seed,
        keep_lists: args.scores.is_some() || args.targets.is_some(),
        engine,
    };
    let world = World { store: stores.store, blobs: stores.blobs, name, content, events };
    let style = ProgressStyle::with_template("Replaying  {bar:40} {pos}/{len} events")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    let show = |Replayed { done, of }| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    };
    let report = time_split(world, &options, &show).await?;
    bar.finish_and_clear();
    write_files(args, &report)?;
    if args.json {
        say_json(&report)?;
    } else {
        print(&report)?;
    }
    Ok(Exit::Done)
}

fn write_files(args: &Args, report: &TimeReport) -> anyhow::Result<()> {
    if let Some(path) = &args.scores {
        for (model, lists) in report.models.iter().zip(&report.lists) {
            let only = report.models.len() == 1;
            write_named(path, &model.name, only, |file| write_lists(file, lists))?;
        }
    }
    if let Some(path) = &args.targets {
        use std::io::Write;
        write_named(path, "", true, |file| {
            report.targets.iter().try_for_each(|(user, item)| writeln!(file, "{user} {item}"))
        })?;
    }
    Ok(())
}

fn print(report: &TimeReport) -> anyhow::Result<()> {
    let split = &report.split;
    say(format!(
        "{}: trained on the first {} events, then one by one, trained again every {}; judged from {} to {}",
        report.data,
        grouped(split.trained_before),
        grouped(split.train_every),
        grouped(split.judged_from),
        grouped(split.end),
    ))?;
    say(format!(
        "time-split on {} rows, seed {}: {} choices of {} users\n",
        rows(split.rows),
        report.seed,
        grouped(split.targets),
        grouped(report.users),
    ))?;
    say(format!(
        "{:<22}{}{:>9}{:>9}{:>9}  {}",
        "model",
        super::heads(SHOWN),
        "coverage",
        "novelty",
        "distance",
        "fused gains in NDCG@10"
    ))?;
    report.models.iter().try_for_each(|model| say(line(model)))?;
    for name in report
        .models
        .iter()
        .flat_map(|model| model.slices.keys())
        .collect::<std::collections::BTreeSet<_>>()
    {
        print_slice(name, report)?;
    }
    print_deciles(&report.deciles)
}

fn line(model: &TimeModel) -> String {
    let lists = &model.lists;
    let distance = lists.intra_list_distance.map_or_else(String::new, |far| format!("{far:.3}"));
    let gain = model.fused_gain.as_ref().map_or_else(String::new, difference);
    format!(
        "{:<22}{}{:>9.3}{:>9.2}{distance:>9}  {gain}",
        model.name,
        cells(&model.summary, SHOWN),
        lists.coverage,
        lists.novelty,
    )
}

fn print_slice(name: &str, report: &TimeReport) -> anyhow::Result<()> {
    let Some(slice) = report.models.iter().find_map(|model| model.slices.get(name)) else {
        return Ok(());
    };
    let (users, targets) = (grouped(slice.users), grouped(slice.targets));
    say(format!("\n{}: {targets} choices of {users} users", name.replace('_', " ")))?;
    for model in &report.models {
        if let Some(slice) = model.slices.get(name) {
            say(format!("{:<22}{}", model.name, cells(&slice.summary, SHOWN)))?;
        }
    }
    Ok(())
}

fn print_deciles(deciles: &[Decile]) -> anyhow::Result<()> {
    if deciles.is_empty() {
        return Ok(());
    }
    say(
        "\nusers with an adapter in tenths, from those whom both lists serve worst; what theirs changes in NDCG@10",
    )?;
    say(format!("{:<8}{:>7}{:>9}{:>9}  change", "decile", "users", "choices", "fused"))?;
    deciles.iter().try_for_each(|one| {
        let (users, targets) = (grouped(one.users), grouped(one.targets));
        let fused = format!("{:.4}", one.fused).replace("0.", ".");
        let change = difference(&one.change);
        say(format!("{:<8}{users:>7}{targets:>9}{fused:>9}  {change}", one.decile))
    })?;
    Ok(())
}

fn difference(found: &Difference) -> String {
    let Difference { mean, relative, interval95: [low, high] } = found;
    let percent = relative.map_or_else(String::new, |part| format!(" {:+.1} %", 100.0 * part));
    format!("{mean:+.4} [{low:+.4} {high:+.4}]{percent}")
}
