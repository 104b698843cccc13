//! The text encoder in use: the configured one, or the current one of those learned from the catalogue.
//!
//! A learned encoder is a model version like any other ([`ENCODER_NAME`] in the registry): an immutable file with a checksum,
//! and a pointer every process follows. Vectors of two encoders say nothing about each other, so whoever keeps vectors
//! keeps them under [`EncoderInfo::name`].

mod each;
mod learn;
mod text;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use sha2::{Digest, Sha256};
use sona_domain::{ModelVersion, embedding};
use sona_encoder::Encoder;

use crate::Engine;
use crate::artifact::{checksum, hex};
use crate::error::{Error, Result};
use crate::options;
use crate::vectors::Vectors;

pub(crate) use each::encode_each;
pub(crate) use learn::{chosen, learn_encoder};
pub use text::text_of;

/// The name under which learned encoders are registered.
pub const ENCODER_NAME: &str = "encoder";

/// Bytes of a digest that tell configured models apart.
const TOLD_APART: usize = 6;

/// Where an encoder comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncoderKind {
    /// The configuration names it.
    Configured,
    /// It is learned from the catalogue.
    Learned,
    /// There is none: vectors made elsewhere are imported.
    Imported,
}

/// Which encoder it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderInfo {
    /// Where it comes from.
    pub kind: EncoderKind,
    /// Another encoder has another name: `learned-3`, a configured model's file name and the beginning of its digest, or
    /// `imported:NAME`.
    pub name: String,
    /// Length of its vectors.
    pub width: usize,
}

/// Vectors of one encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// [`EncoderInfo::name`].
    pub encoder: String,
    /// One vector of length 1 a text, in their order.
    pub vectors: Vec<Vec<f32>>,
}

/// One encoder, ready.
pub(crate) struct Ready {
    info: EncoderInfo,
    encoder: Encoder,
    /// The version of a learned one.
    version: Option<i64>,
}

impl Ready {
    /// [`EncoderInfo::name`].
    pub(crate) fn name(&self) -> &str {
        &self.info.name
    }

    /// Length of its vectors.
    pub(crate) fn width(&self) -> usize {
        self.info.width
    }

    /// The encoder itself.
    pub(crate) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// One vector of length 1 a text, in their order; blocks until they are there.
    pub(crate) fn encode(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        Ok(self.encoder.encode(texts)?)
    }
}

/// The encoder in use and what is known of the next.
pub(crate) struct Encoders {
    options: options::TextEncoder,
    current: ArcSwapOption<Ready>,
    /// The set of imported vectors that is used in an encoder's place.
    imported: Option<String>,
    /// Held by whoever loads a learned one.
    loading: tokio::sync::Mutex<()>,
    condition: Mutex<Condition>,
}

#[derive(Default)]
struct Condition {
    refused: HashSet<i64>,
    error: Option<String>,
}

impl Encoders {
    /// Opens the configured encoder, if one is.
    pub(crate) async fn open(options: &options::TextEncoder) -> Result<Self> {
        let ready = open_configured(options).await?;
        let imported = Some(&options.vectors).filter(|name| !name.is_empty());
        let imported = imported.map(|name| embedding::imported(name)).transpose();
        Ok(Self {
            imported: imported.map_err(Error::Set)?,
            options: options.clone(),
            current: ArcSwapOption::from(ready.map(Arc::new)),
            loading: tokio::sync::Mutex::default(),
            condition: Mutex::default(),
        })
    }

    /// The encoder in use.
    pub(crate) fn info(&self) -> Option<EncoderInfo> {
        self.current.load().as_ref().map(|ready| ready.info.clone())
    }

    /// Why the current encoder is not the one in use.
    pub(crate) fn error(&self) -> Option<String> {
        self.condition().error.clone()
    }

    /// The encoder in use, to be used.
    pub(crate) fn ready(&self) -> Option<Arc<Ready>> {
        self.current.load_full()
    }

    /// The name of the imported set that is in use in an encoder's place.
    pub(crate) fn imported(&self) -> Option<&str> {
        self.imported.as_deref()
    }

    /// The imported set as an encoder, once its vectors are in memory.
    pub(crate) fn imported_as(&self, vectors: &Vectors) -> Option<EncoderInfo> {
        let name = self.imported.as_ref().filter(|name| *name == vectors.encoder())?.clone();
        Some(EncoderInfo { kind: EncoderKind::Imported, name, width: vectors.width() })
    }

    fn is_configured(&self) -> bool {
        !self.options.model.is_empty() || self.imported.is_some()
    }

    fn version(&self) -> Option<i64> {
        self.current.load().as_ref().and_then(|ready| ready.version)
    }

    fn has_refused(&self, version: i64) -> bool {
        self.condition().refused.contains(&version)
    }

    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Texts to vectors, with the configured encoder or the current learned one. Texts longer than the encoder takes are cut
    /// off.
    ///
    /// # Errors
    /// [`Error::NoEncoder`] where none is configured and none is learned yet; [`Error::Encoder`] if a text has no vector.
    pub async fn encode(&self, texts: Vec<String>) -> Result<Encoded> {
        let ready = self.ready_encoder().await?;
        let work = move || {
            Ok(Encoded { encoder: ready.name().to_owned(), vectors: ready.encode(&texts)? })
        };
        tokio::task::spawn_blocking(work).await.expect("encoding does not panic")
    }

    /// The encoder in use, loaded if it is not there yet; [`Error::NoEncoder`] if there is none.
    pub(crate) async fn ready_encoder(&self) -> Result<Arc<Ready>> {
        match self.encoders.ready() {
            Some(ready) => Ok(ready),
            None if self.encoders.imported().is_some() => Err(Error::Imported),
            None => self.load_encoder().await?.ok_or(Error::NoEncoder),
        }
    }

    /// The name of the encoder in use, or of the one that is about to be; `None` if there is none yet.
    pub(crate) async fn encoder_name(&self) -> Result<Option<String>> {
        if let Some(info) = self.encoders.info() {
            return Ok(Some(info.name));
        }
        if let Some(name) = self.encoders.imported() {
            return Ok(Some(name.to_owned()));
        }
        let current = self.store.current_model(ENCODER_NAME).await?;
        Ok(current.map(|model| learned_name(model.version)))
    }

    /// Starts loading the learned encoder the pointer names, if it is another one than is in use.
    pub(crate) async fn follow_encoder(self: &Arc<Self>) -> Result<()> {
        if self.encoders.is_configured() {
            return Ok(());
        }
        let Some(model) = self.store.current_model(ENCODER_NAME).await? else { return Ok(()) };
        let known = self.encoders.version() == Some(model.version)
            || self.encoders.has_refused(model.version);
        if known || self.encoders.loading.try_lock().is_err() {
            return Ok(());
        }
        let engine = self.clone();
        tokio::spawn(async move {
            if let Err(error) = engine.load_encoder().await {
                tracing::error!(%error, "the learned text encoder cannot be used");
            }
        });
        Ok(())
    }

    /// The current learned encoder, loaded now if it is not in use yet.
    async fn load_encoder(&self) -> Result<Option<Arc<Ready>>> {
        let _only_one = self.encoders.loading.lock().await;
        let in_use = self.encoders.current.load_full();
        if self.encoders.is_configured() {
            return Ok(in_use);
        }
        let Some(model) = self.store.current_model(ENCODER_NAME).await? else { return Ok(in_use) };
        if self.encoders.version() == Some(model.version)
            || self.encoders.has_refused(model.version)
        {
            return Ok(in_use);
        }
        match self.read_encoder(&model).await {
            Ok(ready) => {
                let ready = Arc::new(ready);
                self.encoders.current.store(Some(ready.clone()));
                self.encoders.condition().error = None;
                tracing::info!(encoder = ready.info.name, "using learned text encoder");
                Ok(Some(ready))
            }
            Err(error) => {
                let mut condition = self.encoders.condition();
                condition.error = Some(error.to_string());
                if let Error::Artifact { .. } = error {
                    condition.refused.insert(model.version);
                }
                Err(error)
            }
        }
    }

    async fn read_encoder(&self, model: &ModelVersion) -> Result<Ready> {
        let unusable = |detail: String| Error::Artifact { key: model.blob_key.clone(), detail };
        let bytes = self.blobs.get(&model.blob_key).await?;
        let bytes = bytes.ok_or_else(|| unusable("the file is missing".to_owned()))?;
        let (sha256, options) = (model.sha256.clone(), encoder_options(&self.options.encoder));
        let open = move || open_learned(&bytes, &sha256, &options);
        let encoder = tokio::task::spawn_blocking(open)
            .await
            .unwrap_or_else(|panic| Err(panic.to_string()))
            .map_err(unusable)?;
        let name = learned_name(model.version);
        let info = EncoderInfo { kind: EncoderKind::Learned, name, width: encoder.width() };
        Ok(Ready { info, encoder, version: Some(model.version) })
    }
}

fn learned_name(version: i64) -> String {
    format!("learned-{version}")
}

/// A learned encoder's file, checked against the checksum it was registered with; in words what is wrong with it.
pub fn check_learned(bytes: &[u8], sha256: &str) -> std::result::Result<usize, String> {
    let options = encoder_options(&options::TextEncoder::default());
    open_learned(bytes, sha256, &options).map(|encoder| encoder.width())
}

/// Opens the encoder the options name, and says which it is; `None` if they name none.
///
/// # Errors
/// [`Error::Encoder`] if a file is missing or unusable.
pub async fn check_configured(options: &options::TextEncoder) -> Result<Option<EncoderInfo>> {
    Ok(open_configured(options).await?.map(|ready| ready.info))
}

fn open_learned(
    bytes: &[u8],
    sha256: &str,
    options: &sona_encoder::Options,
) -> std::result::Result<Encoder, String> {
    let found = checksum(bytes);
    if found != sha256 {
        return Err(format!("its SHA-256 is {found}, registered was {sha256}"));
    }
    Encoder::learned(bytes.to_vec(), options).map_err(|error| error.to_string())
}

async fn open_configured(options: &options::TextEncoder) -> Result<Option<Ready>> {
    if options.model.is_empty() {
        return Ok(None);
    }
    let options = options.clone();
    let open = move || {
        let (model, tokenizer) = (Path::new(&options.model), Path::new(&options.tokenizer));
        let encoder = open_files(&options)?;
        let digest = digest_of(&[model, tokenizer]).map_err(sona_encoder::Error::from)?;
        let stem = model.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}-{}", hex(&digest[..TOLD_APART]));
        let info = EncoderInfo { kind: EncoderKind::Configured, name, width: encoder.width() };
        Ok(Some(Ready { info, encoder, version: None }))
    };
    tokio::task::spawn_blocking(open).await.expect("opening an encoder does not panic")
}

/// The encoder of the files the options name.
pub(crate) fn open_files(options: &options::TextEncoder) -> sona_encoder::Result<Encoder> {
    let (model, tokenizer) = (Path::new(&options.model), Path::new(&options.tokenizer));
    Encoder::open(model, tokenizer, &encoder_options(options))
}

/// SHA-256 over the files' bytes, one after the other.
fn digest_of(files: &[&Path]) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    for file in files {
        let mut file = fs_err::File::open(file)?;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => digest.update(&buffer[..read]),
            }
        }
    }
    Ok(digest.finalize().to_vec())
}

pub(crate) fn encoder_options(options: &options::TextEncoder) -> sona_encoder::Options {
    let library = (!options.onnxruntime.is_empty()).then(|| options.onnxruntime.clone().into());
    sona_encoder::Options {
        batch: options.batch,
        onnxruntime: library,
        ..sona_encoder::Options::default()
    }
}
