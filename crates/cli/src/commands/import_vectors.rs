//! `sona import-vectors`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::json;
use sona_domain::embedding;
use sona_engine::import::{ImportedVectors, Importer, VectorOptions};

use super::import::default_rejects;
use crate::config::{Config, DataDir};
use crate::output::{Exit, say, say_json};
use crate::wiring;

#[derive(Debug, clap::Args)]
#[command(after_help = "FILE is one of
  JSON lines    {\"content_id\": \"tt0079944\", \"vector\": [0.12, -0.4, 0.3]}
  Parquet       columns content_id (text) and vector (list of floats)
  safetensors   a tensor `vectors`, float32 [n, width], and in the metadata `content_ids`,
                a JSON list of n ids
With user_id (user_ids) in the place of content_id (content_ids) a vector is of a user: it says
what they like before they have done anything, and less with every title they watch.

Vectors are kept as a set with a name. `encoder.vectors = \"NAME\"` in the configuration puts it
in use: servers read it once it is whole, and again after every import. All vectors of a set have
one width, and only their direction counts. A vector that is there is replaced. Titles must be in
the catalogue, users must have acted or been written (PUT /api/v1/users/{user_id}).

Bad rows go to the rejects file with file, line (or row), column and reason; the exit code is
then 2.

Examples:
  sona import-vectors minilm.safetensors --encoder minilm
  SONA_ENCODER_VECTORS=minilm sona serve")]
pub(crate) struct Args {
    /// A file of vectors: JSON lines, Parquet or safetensors.
    file: PathBuf,
    /// The name of the set.
    #[arg(long, value_name = "NAME", value_parser = embedding::imported)]
    encoder: String,
    /// Delete what there is of the set first, such as vectors of another width.
    #[arg(long)]
    replace: bool,
    /// Where bad rows go [default: NAME.rejects.csv in the current folder].
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: DataDir,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    let stores = wiring::open_stores(config).await?;
    let importer = Importer {
        store: Some(stores.store.clone()),
        clock: Arc::new(wiring::SystemClock),
        rules: config.engine_options()?.events,
    };
    let rejects = args.rejects.clone().unwrap_or_else(|| default_rejects(&args.file));
    let options = VectorOptions { name: args.encoder.clone(), replace: args.replace, rejects };
    let style = ProgressStyle::with_template("{spinner} {human_pos} vectors, {per_sec}")?;
    let bar = ProgressBar::new_spinner().with_style(style);
    let started = Instant::now();
    let imported =
        importer.run_vectors(&args.file, &options, |done| bar.set_position(done.read)).await;
    bar.finish_and_clear();
    stores.store.close().await;
    let imported = imported?;
    show(&imported, &options, started.elapsed().as_secs_f64(), args.json)?;
    Ok(if imported.rejected == 0 { Exit::Done } else { Exit::RowsRejected })
}

fn show(
    imported: &ImportedVectors,
    options: &VectorOptions,
    seconds: f64,
    json: bool,
) -> anyhow::Result<()> {
    let rejects = options.rejects.display();
    if json {
        return say_json(&json!({
            "encoder": options.name,
            "width": imported.width,
            "read": imported.read,
            "written": imported.written,
            "rejected": imported.rejected,
            "rejected_by_reason": imported.kinds.iter().collect::<std::collections::BTreeMap<_, _>>(),
            "rejects_file": (imported.rejected > 0).then(|| rejects.to_string()),
            "seconds": (seconds * 1000.0).round() / 1000.0,
        }));
    }
    let width = imported.width.map(|width| format!(" of {width} numbers")).unwrap_or_default();
    let written = HumanCount(imported.written);
    say(format!("{written} vectors{width} are kept as {} ({seconds:.1} s).", options.name))?;
    for (kind, count) in imported.kinds.iter() {
        say(format!("{:>14}  {kind}", HumanCount(count).to_string()))?;
    }
    if imported.rejected > 0 {
        say(format!("{} rejected rows are in {rejects}.", HumanCount(imported.rejected)))?;
    }
    Ok(())
}
