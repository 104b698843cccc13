//! Adapters for people.

use sona_domain::{AdapterDetails, AdapterHandled, AdapterReport, AdapterTraining, ListedAdapter};
use sona_engine::AdapterCommand;

use crate::output::{grouped, say};

/// What a command has done, once it has.
pub(super) fn done(command: &AdapterCommand) -> String {
    match command {
        AdapterCommand::RollBack { name, .. } => format!("adapter {name} is rolled back"),
        AdapterCommand::Serve { name, .. } => {
            format!("another version of adapter {name} is served")
        }
        AdapterCommand::Pin { name, version } => format!("version {version} of {name} is pinned"),
        AdapterCommand::Unpin { name, version } => {
            format!("version {version} of {name} is not pinned")
        }
        AdapterCommand::DeleteVersion { name, version } => {
            format!("version {version} of {name} is deleted")
        }
        AdapterCommand::Delete { name } => format!("adapter {name} is deleted"),
        AdapterCommand::Reset => "all adapters are deleted, and begin anew".to_owned(),
        AdapterCommand::OptOut => "nothing is learned of them alone any more".to_owned(),
        AdapterCommand::OptIn => "an adapter is learned again, from the next event on".to_owned(),
        AdapterCommand::Save { new, .. } => format!("adapter {} is saved", new.adapter_name),
    }
}

/// What there is to say besides.
pub(super) fn rest(handled: &AdapterHandled) -> String {
    let served = handled.served_version.map(|version| format!(" Version {version} is served."));
    let deleted = match handled.deleted {
        0 => String::new(),
        1 => " 1 version was deleted.".to_owned(),
        more => format!(" {more} versions were deleted."),
    };
    served.unwrap_or_default() + &deleted
}

/// Versions, one a line.
pub(super) fn table(adapters: &[ListedAdapter]) -> anyhow::Result<()> {
    let width =
        adapters.iter().map(|listed| listed.about.adapter_name.as_str().len()).max().unwrap_or(0);
    let width = width.max("NAME".len());
    say(format!(
        "{:<width$}  VERSION  PARENT  BASE  {:<8}  RANK  EVENTS     GAIN   BYTES  {:<27}  STATE",
        "NAME", "ORIGIN", "SAVED"
    ))?;
    for listed in adapters {
        let about = &listed.about;
        let rank = listed.rank.map_or("-".to_owned(), |rank| rank.to_string());
        let gain = listed.gain.map_or("-".to_owned(), |gain| format!("{gain:.3}"));
        let state = state(listed);
        let parent = about.parent_version.map_or("-".to_owned(), |parent| parent.to_string());
        let line = format!(
            "{:<width$}  {:>7}  {parent:>6}  {:>4}  {:<8}  {rank:>4}  {:>6}  {gain:>7}  {:>6}  {:<27}  {state}",
            about.adapter_name.as_str(),
            about.version,
            about.base_version,
            about.origin.as_str(),
            about.training_iterations,
            about.size_bytes,
            about.created_at.to_string(),
        );
        say(line.trim_end())?;
    }
    Ok(())
}

fn state(listed: &ListedAdapter) -> String {
    let (served, pinned) = (listed.about.is_served, listed.about.is_pinned);
    let mut said = Vec::new();
    said.extend(served.then_some("served".to_owned()));
    said.extend(pinned.then_some("pinned".to_owned()));
    said.extend(listed.damage.as_ref().map(|why| format!("damaged: {why}")));
    said.join(", ")
}

/// One version.
pub(super) fn details(shown: &AdapterDetails) -> anyhow::Result<()> {
    let about = &shown.about;
    let served = if about.is_served { "served" } else { "not served" };
    let pinned = if about.is_pinned { ", pinned" } else { "" };
    say(format!(
        "Adapter {} of user {}, version {}: {served}{pinned}",
        about.adapter_name, about.user_id, about.version
    ))?;
    let parent = about.parent_version.map_or("none".to_owned(), |parent| parent.to_string());
    say(format!("  origin     {}, from version {parent}", about.origin.as_str()))?;
    say(format!("  base layer {}", about.base_version))?;
    say(format!("  shape      rank {}, {} contexts", shown.rank, shown.contexts))?;
    say(format!("  rests on   {} events", about.training_iterations))?;
    say(match shown.gain {
        Some(gain) if gain < -1.0 => format!("  gain       {gain:.3} nats: it is held back"),
        Some(gain) => format!("  gain       {gain:.3} nats"),
        None => "  gain       not judged".to_owned(),
    })?;
    say(format!("  size       {} bytes", grouped(about.size_bytes as usize)))?;
    Ok(say(format!("  saved      {}, changed {}", about.created_at, about.updated_at))?)
}

/// What became of a training.
pub(super) fn training(trained: &AdapterTraining) -> anyhow::Result<()> {
    say(format!(
        "Trained the adapter of user {} on {} choices in {:.1} s; version {} is served.",
        trained.user_id,
        trained.events_used,
        trained.duration_ms as f64 / 1e3,
        trained.version
    ))?;
    Ok(say(format!(
        "Mean loss of what they chose: {:.4} without it, {:.4} as it foresaw each, {:.4} with it.",
        trained.loss_before, trained.loss_foreseen, trained.loss_after
    ))?)
}

/// All that are stored.
pub(super) fn report(report: &AdapterReport) -> anyhow::Result<()> {
    let stored = &report.stored;
    say(format!(
        "{} versions of {} users, {} bytes ({:.0} a version).",
        grouped(stored.total_adapters as usize),
        grouped(stored.unique_users as usize),
        grouped(stored.total_bytes as usize),
        stored.mean_bytes()
    ))?;
    say(format!("{} users have opted out.", grouped(report.opted_out as usize)))?;
    Ok(say("How they do is told by the server that holds them: GET /api/v1/adapters/report.")?)
}
