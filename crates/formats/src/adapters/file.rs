//! What both kinds of files have in common.

use std::collections::HashMap;
use std::fmt::Write;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The layout this version writes and reads.
pub const FORMAT: u32 = 1;

/// The metadata's one key.
const KEY: &str = "sona";

/// The value under it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<T> {
    format: u32,
    kind: String,
    sha256: String,
    about: T,
}

/// What of a header is read before the rest.
#[derive(Deserialize)]
struct Beginning {
    format: u32,
    kind: String,
    #[serde(rename = "about")]
    _about: IgnoredAny,
}

/// A tensor to be written.
pub(super) struct Written {
    name: &'static str,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Written {
    /// Of 64-bit floats.
    pub(super) fn f64(name: &'static str, shape: Vec<usize>, values: &[f64]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name, dtype: Dtype::F64, shape, bytes }
    }

    /// Of 32-bit floats.
    pub(super) fn f32(name: &'static str, shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name, dtype: Dtype::F32, shape, bytes }
    }

    /// As a tensor with its name.
    pub(super) fn named(&self) -> Result<(&str, TensorView<'_>), String> {
        Ok((self.name, self.view()?))
    }

    fn view(&self) -> Result<TensorView<'_>, String> {
        TensorView::new(self.dtype, self.shape.clone(), &self.bytes)
            .map_err(|error| format!("{}: {error}", self.name))
    }
}

/// The bytes of a file.
pub(super) fn write<T: Serialize>(
    kind: &str,
    about: T,
    tensors: &[Written],
) -> Result<Vec<u8>, String> {
    let views: Vec<(&str, TensorView<'_>)> =
        tensors.iter().map(Written::named).collect::<Result<_, String>>()?;
    let sha256 = digest(kind, &about, views.clone())?;
    let header = Header { format: FORMAT, kind: kind.to_owned(), sha256, about };
    let header = serde_json::to_string(&header).map_err(|error| error.to_string())?;
    let metadata = HashMap::from([(KEY.to_owned(), header)]);
    safetensors::serialize(views, Some(metadata)).map_err(|error| error.to_string())
}

/// A file that was read and whose checksum is right.
pub(super) struct Read<'b, T> {
    pub(super) about: T,
    tensors: SafeTensors<'b>,
}

/// Reads a file of `kind`.
pub(super) fn read<'b, T: Serialize + DeserializeOwned>(
    bytes: &'b [u8],
    kind: &str,
) -> Result<Read<'b, T>, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let text = metadata.metadata().as_ref().and_then(|keys| keys.get(KEY));
    let text = text.ok_or_else(|| format!("its metadata has no key {KEY}"))?;
    let unreadable = |error: serde_json::Error| format!("its header cannot be read: {error}");
    let beginning: Beginning = serde_json::from_str(text).map_err(unreadable)?;
    if beginning.format != FORMAT {
        return Err(format!("it is of format {}, read is {FORMAT}", beginning.format));
    }
    if beginning.kind != kind {
        return Err(format!("it holds {:?}, expected was {kind:?}", beginning.kind));
    }
    let header: Header<T> = serde_json::from_str(text).map_err(unreadable)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let found = digest(kind, &header.about, tensors.iter().collect())?;
    if found != header.sha256 {
        return Err(format!("its checksum is {found}, written was {}", header.sha256));
    }
    Ok(Read { about: header.about, tensors })
}

impl<T> Read<'_, T> {
    /// Refuses a file with more or fewer tensors than `count`.
    pub(super) fn has(&self, count: usize) -> Result<(), String> {
        if self.tensors.len() == count {
            return Ok(());
        }
        Err(format!("it has {} tensors, expected were {count}", self.tensors.len()))
    }

    /// The 64-bit floats of a tensor of this shape.
    pub(super) fn f64(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>, String> {
        let data = self.data(name, Dtype::F64, shape)?;
        let values: Vec<f64> =
            data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        finite(name, values, |value| value.is_finite())
    }

    /// The 32-bit floats of a tensor of this shape.
    pub(super) fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        let data = self.data(name, Dtype::F32, shape)?;
        let values: Vec<f32> =
            data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        finite(name, values, |value| value.is_finite())
    }

    fn data(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&[u8], String> {
        let tensor = self.tensors.tensor(name).map_err(|error| format!("{name}: {error}"))?;
        if tensor.dtype() != dtype || tensor.shape() != shape {
            return Err(format!(
                "{name} is {:?} {:?}, expected was {dtype:?} {shape:?}",
                tensor.dtype(),
                tensor.shape()
            ));
        }
        Ok(tensor.data())
    }
}

/// `values`, or which one is not finite.
pub(super) fn finite<T>(
    name: &str,
    values: Vec<T>,
    is_finite: impl Fn(&T) -> bool,
) -> Result<Vec<T>, String> {
    match values.iter().position(|value| !is_finite(value)) {
        None => Ok(values),
        Some(place) => Err(format!("value {} of {name} is not finite", place + 1)),
    }
}

/// SHA-256 over the kind, `about` as JSON, and the tensors in the order of their names; in lower-case hexadecimal.
fn digest<T: Serialize>(
    kind: &str,
    about: &T,
    mut tensors: Vec<(&str, TensorView<'_>)>,
) -> Result<String, String> {
    tensors.sort_unstable_by_key(|(name, _)| *name);
    let mut hasher = Sha256::new();
    let about = serde_json::to_vec(about).map_err(|error| error.to_string())?;
    let mut put = |part: &[u8]| {
        // Lengths first, so that no two contents run together to the same bytes.
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    put(kind.as_bytes());
    put(&about);
    for (name, tensor) in &tensors {
        put(name.as_bytes());
        put(format!("{:?} {:?}", tensor.dtype(), tensor.shape()).as_bytes());
        put(tensor.data());
    }
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        // Writing into a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
