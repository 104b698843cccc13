//! A user's adapter with its base layer, for other programs: the files PEFT reads, and one more from which learning goes on.
//!
//! `y = B A e`: `A` is the base layer, `B` the user's own, so that together they are a LoRA of a linear layer called `ranker`, from
//! the features of a candidate to the contexts of a moment, which has no weights of its own. A tar or a folder holds
//!
//! | file | |
//! |---|---|
//! | `adapter_config.json` | PEFT's configuration; `lora_alpha` / `r` is 1 |
//! | `adapter_model.safetensors` | `base_model.model.ranker.lora_A.weight` f32 `[r, d_in]`, `….lora_B.weight` f32 `[d_out, r]`; the metadata's key `sona` says what they were learned on |
//! | `sona.safetensors` | the user's weights as they are stored ([`UserWeights`]), with their statistics; may be left out |
//!
//! Nothing of it is a user's id.

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read as _};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::file::{Written, finite};
use super::{INPUTS, OUTPUTS, RANKS, UserWeights, check_width};

/// PEFT's configuration.
pub const CONFIG: &str = "adapter_config.json";

/// The two matrices.
pub const MODEL: &str = "adapter_model.safetensors";

/// The state that is learned on from.
pub const STATE: &str = "sona.safetensors";

/// The module the matrices belong to.
const MODULE: &str = "ranker";

const A: &str = "base_model.model.ranker.lora_A.weight";
const B: &str = "base_model.model.ranker.lora_B.weight";

/// The largest file that is read: what the database takes, and a base layer of the largest shape.
const MOST_BYTES: u64 = 8 << 20;

/// Bytes of the two empty blocks a tar ends with.
const END: usize = 1024;

/// The layout this version writes and reads.
const FORMAT: u32 = 1;

/// An adapter with its base layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Portable {
    /// What it was learned on.
    pub ground: Ground,
    /// `A`, rank×d_in.
    pub base: Vec<f32>,
    /// `B`, d_out×rank.
    pub weights: Vec<f32>,
    /// The user's weights as they are stored; without them the matrices are all there is.
    pub state: Option<UserWeights>,
}

/// What an adapter was learned on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ground {
    format: u32,
    /// The version of the base layer, at least 1.
    pub base_version: i64,
    /// SHA-256 of the base layer's file, lower-case hexadecimal.
    pub base_sha256: String,
    /// The names of the features, in order: d_in.
    pub features: Vec<String>,
    /// Numbers a candidate is brought down to.
    pub rank: usize,
    /// d_out.
    pub contexts: usize,
    /// Events the weights rest on.
    pub iterations: u64,
}

impl Ground {
    /// What an adapter of these shapes was learned on.
    pub fn new(
        (base_version, base_sha256): (i64, String),
        features: Vec<String>,
        (rank, contexts): (usize, usize),
        iterations: u64,
    ) -> Self {
        let format = FORMAT;
        Self { format, base_version, base_sha256, features, rank, contexts, iterations }
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("{MODEL} is of format {}, read is {FORMAT}", self.format));
        }
        check_width("the rank", self.rank, &RANKS)?;
        check_width("d_out", self.contexts, &OUTPUTS)?;
        check_width("d_in", self.features.len(), &INPUTS)
    }
}

impl Portable {
    /// The files, by name.
    ///
    /// # Errors
    /// In words, if they could not be read back.
    pub fn to_files(&self) -> Result<BTreeMap<String, Vec<u8>>, String> {
        self.ground.check()?;
        let config = serde_json::to_vec_pretty(&self.config()).map_err(|e| e.to_string())?;
        let mut files =
            BTreeMap::from([(CONFIG.to_owned(), config), (MODEL.to_owned(), self.matrices()?)]);
        if let Some(state) = &self.state {
            files.insert(STATE.to_owned(), state.encode()?);
        }
        Ok(files)
    }

    /// The same as a tar.
    ///
    /// # Errors
    /// As [`Portable::to_files`].
    pub fn to_tar(&self) -> Result<Vec<u8>, String> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in self.to_files()? {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            let put = tar.append_data(&mut header, &name, bytes.as_slice());
            put.map_err(|error| error.to_string())?;
        }
        tar.into_inner().map_err(|error| error.to_string())
    }

    /// Reads a tar.
    ///
    /// # Errors
    /// In words, if it is none, a file is missing, cut off or of another kind, or something in it does not fit together.
    pub fn from_tar(bytes: &[u8]) -> Result<Self, String> {
        let unreadable = |error: std::io::Error| format!("the tar cannot be read: {error}");
        // Without its end it may be without a file, which would go unnoticed where that may be left out.
        let ends = bytes.len().checked_sub(END).and_then(|from| bytes.get(from..));
        if !ends.is_some_and(|end| end.iter().all(|byte| *byte == 0)) {
            return Err("it is no tar, or cut off: its end is missing".to_owned());
        }
        let mut files = BTreeMap::new();
        let mut archive = tar::Archive::new(Cursor::new(bytes));
        for entry in archive.entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path().map_err(unreadable)?.into_owned();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let size = entry.size();
            let Some(name) = name.filter(|name| [CONFIG, MODEL, STATE].contains(&name.as_str()))
            else {
                continue;
            };
            if size > MOST_BYTES {
                return Err(format!("{name} has {size} bytes, at most {MOST_BYTES} are read"));
            }
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(unreadable)?;
            if content.len() as u64 != size {
                return Err(format!("{name} is cut off"));
            }
            files.insert(name, content);
        }
        Self::from_files(&files)
    }

    /// Reads the files of a folder, by name; others than the three are passed over.
    ///
    /// # Errors
    /// As [`Portable::from_tar`].
    pub fn from_files(files: &BTreeMap<String, Vec<u8>>) -> Result<Self, String> {
        let file = |name: &str| files.get(name).ok_or_else(|| format!("{name} is missing"));
        let config: Config = serde_json::from_slice(file(CONFIG)?)
            .map_err(|error| format!("{CONFIG} cannot be read: {error}"))?;
        let (ground, base, weights) = read_matrices(file(MODEL)?)?;
        config.check(&ground)?;
        let state = files.get(STATE).map(|bytes| UserWeights::decode(bytes));
        let state = state.transpose().map_err(|error| format!("{STATE}: {error}"))?;
        let portable = Self { ground, base, weights, state };
        portable.check_state()?;
        Ok(portable)
    }

    /// The state must be of the same adapter: what is learned on from is what the matrices say.
    fn check_state(&self) -> Result<(), String> {
        let Some(state) = &self.state else { return Ok(()) };
        let Ground { base_version, rank, contexts, iterations, .. } = &self.ground;
        let found = (state.base_version, state.rank, state.outputs, state.iterations);
        if found != (*base_version, *rank, *contexts, *iterations) {
            return Err(format!(
                "{STATE} and {MODEL} are not of one adapter: base layer, rank, contexts and iterations are {found:?} and {:?}",
                (base_version, rank, contexts, iterations)
            ));
        }
        if state.weights() != self.weights {
            return Err(format!("{STATE} and {MODEL} are not of one adapter: B differs"));
        }
        Ok(())
    }

    fn config(&self) -> Value {
        json!({
            "peft_type": "LORA",
            "task_type": null,
            "base_model_name_or_path": format!("sona-base-layer-{}", self.ground.base_version),
            "r": self.ground.rank,
            "lora_alpha": self.ground.rank,
            "lora_dropout": 0.0,
            "target_modules": [MODULE],
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "modules_to_save": null,
        })
    }

    fn matrices(&self) -> Result<Vec<u8>, String> {
        let Ground { rank, contexts, features, .. } = &self.ground;
        let tensors = [
            Written::f32(A, vec![*rank, features.len()], &self.base),
            Written::f32(B, vec![*contexts, *rank], &self.weights),
        ];
        let views: Vec<(&str, TensorView<'_>)> =
            tensors.iter().map(Written::named).collect::<Result<_, String>>()?;
        let ground = serde_json::to_string(&self.ground).map_err(|error| error.to_string())?;
        // One key alone: of several the order, and with it the file, would differ from time to time.
        let metadata = HashMap::from([("sona".to_owned(), ground)]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| error.to_string())
    }
}

/// What is read of PEFT's configuration.
#[derive(Deserialize)]
struct Config {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    target_modules: Vec<String>,
}

impl Config {
    fn check(&self, ground: &Ground) -> Result<(), String> {
        if self.peft_type != "LORA" {
            return Err(format!("{CONFIG}: peft_type is {:?}, expected \"LORA\"", self.peft_type));
        }
        if self.target_modules != [MODULE] {
            let found = &self.target_modules;
            return Err(format!(
                "{CONFIG}: target_modules are {found:?}, expected {MODULE:?} alone"
            ));
        }
        if self.r != ground.rank {
            return Err(format!("{CONFIG}: r is {}, in {MODEL} it is {}", self.r, ground.rank));
        }
        // Another scaling would be another adapter.
        if (self.lora_alpha - self.r as f64).abs() > 1e-9 {
            return Err(format!(
                "{CONFIG}: lora_alpha is {}, expected is r, {}: multiply B instead",
                self.lora_alpha, self.r
            ));
        }
        Ok(())
    }
}

fn read_matrices(bytes: &[u8]) -> Result<(Ground, Vec<f32>, Vec<f32>), String> {
    let unreadable = |error: safetensors::SafeTensorError| format!("{MODEL}: {error}");
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
    let text = metadata.metadata().as_ref().and_then(|keys| keys.get("sona"));
    let text = text.ok_or_else(|| {
        format!("{MODEL} does not say what it was learned on: its metadata has no key sona")
    })?;
    let ground: Ground =
        serde_json::from_str(text).map_err(|error| format!("{MODEL}, metadata: {error}"))?;
    ground.check()?;
    let tensors = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    if let Some(name) = tensors.names().into_iter().find(|name| ![A, B].contains(name)) {
        return Err(format!("{MODEL}: {name} is of a module there is none of; there are {A}, {B}"));
    }
    let base = matrix(&tensors, A, [ground.rank, ground.features.len()])?;
    let weights = matrix(&tensors, B, [ground.contexts, ground.rank])?;
    Ok((ground, base, weights))
}

fn matrix(tensors: &SafeTensors<'_>, name: &str, shape: [usize; 2]) -> Result<Vec<f32>, String> {
    let tensor = tensors.tensor(name).map_err(|_| format!("{MODEL}: {name} is missing"))?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
        let (dtype, found) = (tensor.dtype(), tensor.shape());
        return Err(format!("{MODEL}: {name} is {dtype:?} {found:?}, expected was F32 {shape:?}"));
    }
    let values = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    finite(name, values.collect(), |value| value.is_finite())
        .map_err(|error| format!("{MODEL}: {error}"))
}
