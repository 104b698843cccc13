//! Adapters as files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args as ClapArgs;
use sona_domain::Clock;
use sona_engine::AdapterCommand;
use sona_formats::adapters::peft::{CONFIG, MODEL, Portable, STATE};

use super::{Named, answer, print};
use crate::config::Config;
use crate::output::{Exit, say, say_json};
use crate::wiring::{Stores, SystemClock};

#[derive(Debug, ClapArgs)]
pub(super) struct Export {
    #[command(flatten)]
    named: Named,
    /// Which version; the one that is served if not given.
    #[arg(id = "which", value_name = "VERSION", value_parser = clap::value_parser!(i64).range(1..))]
    version: Option<i64>,
    /// Where to: a file that ends in .tar, or else a folder.
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Import {
    #[command(flatten)]
    named: Named,
    /// A tar, or a folder with the files of one.
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// Only if this version is served now.
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(i64).range(1..))]
    served: Option<i64>,
}

pub(super) async fn export(stores: &Stores, args: &Export) -> anyhow::Result<Exit> {
    let Export { named, version, to } = args;
    let (user, parts) = (&named.user.user_id, (&*stores.store, &*stores.blobs));
    let file = sona_engine::export_adapter(parts, user, &named.name, *version).await?;
    if is_tar(to) {
        fs_err::write(to, file.to_tar().map_err(anyhow::Error::msg)?)?;
    } else {
        fs_err::create_dir_all(to)?;
        for (name, bytes) in file.to_files().map_err(anyhow::Error::msg)? {
            fs_err::write(to.join(name), bytes)?;
        }
    }
    if named.user.json {
        say_json(&file.ground)?;
    } else {
        let (name, iterations) = (&named.name, file.ground.iterations);
        let to = to.display();
        say(format!(
            "Adapter {name} of user {user}, which rests on {iterations} events, is in {to}."
        ))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn import(
    config: &Config,
    stores: &Stores,
    args: &Import,
) -> anyhow::Result<Exit> {
    let Import { named, from, served } = args;
    let file = read(from).with_context(|| from.display().to_string())?;
    let options = config.engine_options()?.adapters;
    let (user, parts) = (&named.user.user_id, (&*stores.store, &*stores.blobs));
    let new = sona_engine::import_adapter(parts, (user, &named.name), &file, &options).await?;
    let command = AdapterCommand::save(new, *served, &options);
    let (told, now) = (print::done(&command), SystemClock.now());
    let handled = sona_engine::handle_stored(&*stores.store, user, command, now).await?;
    answer(&handled, &told, named.user.json)
}

fn read(from: &Path) -> anyhow::Result<Portable> {
    if !from.is_dir() {
        return Portable::from_tar(&fs_err::read(from)?).map_err(anyhow::Error::msg);
    }
    let mut files = BTreeMap::new();
    for name in [CONFIG, MODEL, STATE] {
        let path = from.join(name);
        if path.exists() {
            files.insert(name.to_owned(), fs_err::read(path)?);
        }
    }
    Portable::from_files(&files).map_err(anyhow::Error::msg)
}

fn is_tar(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tar"))
}
