//! By ONNX Runtime, whose library is loaded when it is asked for.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::DynValue;

use super::{Feed, Ran, Tensor};
use crate::error::{Error, Result};
use crate::tokenize::Batch;

/// A loaded graph. It runs one batch at a time, on threads of its own.
pub(crate) struct Graph {
    session: Mutex<Session>,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Graph {
    pub(super) fn open(path: &Path, library: &Path) -> Result<Self> {
        let environment = load(library)?;
        let file = path.display().to_string();
        let unusable = |error: ort::Error| Error::Model { file, detail: error.to_string() };
        let session =
            Session::builder(&environment).and_then(|mut builder| builder.commit_from_file(path));
        let session = session.map_err(unusable)?;
        let inputs = session.inputs().iter().map(|input| input.name().to_owned()).collect();
        let outputs = session.outputs().iter().map(|output| output.name().to_owned()).collect();
        Ok(Self { session: Mutex::new(session), inputs, outputs })
    }

    pub(super) fn inputs(&self) -> Vec<String> {
        self.inputs.clone()
    }

    pub(super) fn outputs(&self) -> Vec<String> {
        self.outputs.clone()
    }

    pub(super) fn probe(&self, feeds: &[Feed], batch: &Batch) -> Ran<Vec<Option<Vec<usize>>>> {
        let mut session = self.session();
        let outputs = session.run(self.feed(feeds, batch)?).map_err(|error| error.to_string())?;
        let shapes = self.outputs.iter().map(|name| {
            let tensor = tensor(outputs.get(name.as_str())?).ok()?;
            Some(tensor.shape)
        });
        Ok(shapes.collect())
    }

    pub(super) fn run(&self, feeds: &[Feed], batch: &Batch, at: usize) -> Ran<Tensor> {
        let mut session = self.session();
        let outputs = session.run(self.feed(feeds, batch)?).map_err(|error| error.to_string())?;
        let name = &self.outputs[at];
        tensor(outputs.get(name.as_str()).ok_or_else(|| format!("it gave no {name}"))?)
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn feed(
        &self,
        feeds: &[Feed],
        batch: &Batch,
    ) -> Ran<Vec<(String, SessionInputValue<'static>)>> {
        let shape = [batch.rows as i64, batch.length as i64];
        let each = self.inputs.iter().zip(feeds).map(|(name, feed)| {
            let values: Vec<i64> = feed.of(batch).iter().map(|value| i64::from(*value)).collect();
            let tensor =
                ort::value::Tensor::from_array((shape, values)).map_err(|e| e.to_string())?;
            Ok((name.clone(), SessionInputValue::from(tensor)))
        });
        each.collect()
    }
}

/// What sessions run in: one for the process, as the library has it.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// Loads the library, once for the process: another one than the first is not loaded any more.
fn load(library: &Path) -> Result<Environment> {
    drop(fs_err::File::open(library)?);
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = &*environment {
        return Ok(loaded.clone());
    }
    let unusable =
        |detail: String| Error::Library { library: library.display().to_string(), detail };
    let builder = ort::init_from(library).map_err(|error| unusable(error.to_string()))?;
    let built = builder.with_telemetry(false).build();
    let built = built.map_err(|error| unusable(error.to_string()))?;
    Ok(environment.insert(built).clone())
}

fn tensor(value: &DynValue) -> Ran<Tensor> {
    let (shape, values) = value.try_extract_tensor::<f32>().map_err(|error| error.to_string())?;
    let shape = shape.iter().map(|length| *length as usize).collect();
    Ok(Tensor { shape, values: values.to_vec() })
}
