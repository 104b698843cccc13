//! `sona doctor`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sona_engine::artifact::Artifact;
use sona_engine::{ENCODER_NAME, MODEL_NAME, encoder};
use sona_server::{BindError, Server};
use sona_store::{Blobs, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::{Config, DataDir};
use crate::output::{Exit, say, say_json};
use crate::wiring;

/// Written, read and deleted to see whether blobs work.
const PROBE: &str = "doctor/probe";

/// How long a server on our port may take to say who it is, and one with vectors which version it is.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
#[command(after_help = "Exits with 0 if everything is well, 1 if something is not.

Examples:
  sona doctor
  sona --config /etc/sona.toml doctor --json")]
pub(crate) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) place: DataDir,
}

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
}

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    let findings = examine(config).await;
    let well = findings.iter().all(|finding| finding.ok);
    if args.json {
        say_json(&serde_json::json!({"ok": well, "checks": findings}))?;
    } else {
        for Finding { check, ok, detail } in &findings {
            say(format!("{} {check:<10} {detail}", if *ok { "ok  " } else { "FAIL" }))?;
        }
    }
    Ok(if well { Exit::Done } else { Exit::Failed })
}

async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![
        finding("config", Ok("valid".to_owned())),
        finding("identity", check_identity(config).await),
    ];
    let blobs = sona_store::blobs::open_blobs(&config.storage.blobs).await;
    findings.push(finding("blobs", check_blobs(blobs.as_ref().ok(), blobs.as_ref().err()).await));
    match sona_store::open(&config.storage.database).await {
        Err(error) => {
            findings.push(finding("database", Err(format!("{error}; check storage.database"))));
        }
        Ok(store) => {
            findings.push(finding("database", check_database(&*store).await));
            if let Ok(blobs) = &blobs {
                findings.push(finding("model", check_model(&*store, &**blobs).await));
                findings.push(finding("encoder", check_encoder(config, &*store, &**blobs).await));
            }
            store.close().await;
        }
    }
    findings.push(finding("vectors", check_vectors(config).await));
    findings.push(finding("port", check_port(config).await));
    findings
}

fn finding(check: &'static str, result: Result<String, String>) -> Finding {
    let ok = result.is_ok();
    Finding { check, ok, detail: result.unwrap_or_else(|problem| problem) }
}

async fn check_identity(config: &Config) -> Result<String, String> {
    let identity = wiring::open_identity(config).await.map_err(|error| format!("{error:#}"))?;
    let found = identity.describe()?;
    let options = &config.identity;
    let open = [("issuer", &options.issuer), ("audience", &options.audience)];
    let open: Vec<_> = open.iter().filter(|(_, value)| value.is_empty()).map(|(n, _)| *n).collect();
    if options.jwks.is_empty() || open.is_empty() {
        return Ok(found);
    }
    Ok(format!(
        "{found}; any {} is taken: set identity.{} where the issuer also makes tokens for other services",
        open.join(" and "),
        open.join(" and identity.")
    ))
}

async fn check_blobs(
    blobs: Option<&Arc<dyn Blobs>>,
    error: Option<&sona_store::Error>,
) -> Result<String, String> {
    let Some(blobs) = blobs else {
        return Err(error.map(ToString::to_string).unwrap_or_default());
    };
    let probe = async {
        blobs.put(PROBE, "probe".into()).await?;
        let read = blobs.get(PROBE).await?;
        blobs.delete(PROBE).await?;
        Ok::<_, sona_store::Error>(read)
    };
    match probe.await {
        Ok(Some(read)) if &*read == b"probe" => Ok("written, read and deleted".to_owned()),
        Ok(_) => Err("what was written is not what was read; check storage.blobs".to_owned()),
        Err(error) => Err(format!("{error}; check storage.blobs and the folder's permissions")),
    }
}

async fn check_vectors(config: &Config) -> Result<String, String> {
    let index = wiring::open_vectors(config).map_err(|error| format!("{error:#}"))?;
    let Some(index) = index else { return Ok("searched in memory".to_owned()) };
    let version = tokio::time::timeout(PATIENCE, index.ping()).await;
    let version = version.unwrap_or_else(|_| {
        let place = index.describe();
        Err(sona_store::Error::IndexUnavailable {
            place,
            detail: format!("silent for {PATIENCE:?}"),
        })
    });
    match version {
        Ok(version) => Ok(format!("{}, version {version}", index.describe())),
        Err(error) => Err(format!("{error}; check storage.vectors and vectors.api_key")),
    }
}

async fn check_database(store: &dyn Store) -> Result<String, String> {
    let facts = async {
        store.ping().await?;
        let migrations = store.migrations().await?.len();
        Ok::<_, sona_store::Error>((migrations, store.head().await?, store.count_users().await?))
    };
    let (migrations, head, users) = facts.await.map_err(|error| error.to_string())?;
    let name = store.describe();
    Ok(format!("{name}, {migrations} migrations, {} events logged, {users} users", head.0))
}

async fn check_model(store: &dyn Store, blobs: &dyn Blobs) -> Result<String, String> {
    let current = store.current_model(MODEL_NAME).await.map_err(|e| e.to_string())?;
    let Some(model) = current else {
        return Ok("none yet; `sona train` makes one".to_owned());
    };
    let bytes = blobs.get(&model.blob_key).await.map_err(|e| e.to_string())?;
    let bytes = bytes.ok_or_else(|| {
        format!("the file of version {} ({}) is missing; train anew", model.version, model.blob_key)
    })?;
    match Artifact::decode(&bytes, &model.sha256) {
        Ok(artifact) => Ok(format!(
            "version {}, {} titles, {} bytes, checksum right",
            model.version,
            artifact.items.len(),
            bytes.len()
        )),
        Err(problem) => {
            Err(format!("version {} is unusable: {problem}; train anew", model.version))
        }
    }
}

async fn check_imported(name: &str, store: &dyn Store) -> Result<String, String> {
    let name = sona_domain::embedding::imported(name)?;
    let models = store.embedding_models().await.map_err(|error| error.to_string())?;
    let set = models.iter().find(|model| model.name == name && model.completed_at.is_some());
    let absent = || format!("there are no vectors {name}; import them with `sona import-vectors`");
    Ok(format!("{name}, {} numbers each", set.ok_or_else(absent)?.width))
}

async fn check_encoder(
    config: &Config,
    store: &dyn Store,
    blobs: &dyn Blobs,
) -> Result<String, String> {
    if !config.encoder.vectors.is_empty() {
        return check_imported(&config.encoder.vectors, store).await;
    }
    let configured = encoder::check_configured(&config.encoder).await.map_err(|e| e.to_string())?;
    if let Some(found) = configured {
        return Ok(format!("{}, configured, vectors of {}", found.name, found.width));
    }
    let current = store.current_model(ENCODER_NAME).await.map_err(|e| e.to_string())?;
    let Some(model) = current else {
        return Ok("none yet; `sona train encoder` learns one from the catalogue".to_owned());
    };
    let anew = "learn anew with `sona train encoder`";
    let bytes = blobs.get(&model.blob_key).await.map_err(|e| e.to_string())?;
    let bytes = bytes.ok_or_else(|| {
        format!("the file of version {} ({}) is missing; {anew}", model.version, model.blob_key)
    })?;
    match encoder::check_learned(&bytes, &model.sha256) {
        Ok(width) => Ok(format!(
            "version {}, learned from {} texts, vectors of {width}, {} bytes, checksum right",
            model.version,
            model.metadata.get("texts").and_then(serde_json::Value::as_u64).unwrap_or_default(),
            bytes.len()
        )),
        Err(problem) => Err(format!("version {} is unusable: {problem}; {anew}", model.version)),
    }
}

async fn check_port(config: &Config) -> Result<String, String> {
    match Server::bind(&config.server, &config.identity).await {
        Ok(server) => Ok(format!("{} is free", server.local_addr())),
        Err(BindError::InUse { address }) if is_sona(address).await => {
            Ok(format!("{address} is served by sona already"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// True if whoever listens at `address` answers like `sona serve`.
async fn is_sona(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.take(64 * 1024).read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer.contains("\"service\":\"sona\""))
    };
    matches!(tokio::time::timeout(PATIENCE, ask).await, Ok(Ok(true)))
}
