//! Adapters for other programs: read back as they were written, refused where something is off, and opened by Python.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;
use sona_formats::adapters::peft::{CONFIG, Ground, MODEL, Portable, STATE};
use sona_formats::adapters::{Learned, UserWeights};

const RANK: usize = 3;
const CONTEXTS: usize = 2;
const FEATURES: usize = 5;

fn adapter(weights: &[f64]) -> Portable {
    let n = RANK * CONTEXTS;
    let state = UserWeights {
        base_version: 4,
        rank: RANK,
        outputs: CONTEXTS,
        scale: 4.0,
        iterations: 11,
        learned: Learned::Lists {
            solution: weights.to_vec(),
            precision: (0..n * (n + 1) / 2).map(|at| at as f64 / 7.0).collect(),
            right: vec![0.1; n],
            gain: 0.3,
            unsolved: 0,
        },
    };
    let features = (0..FEATURES).map(|at| format!("feature {at}")).collect();
    Portable {
        ground: Ground::new((4, "ab".repeat(32)), features, (RANK, CONTEXTS), 11),
        base: (0..RANK * FEATURES).map(|at| (at as f32 - 7.0) / 3.0).collect(),
        weights: state.weights(),
        state: Some(state),
    }
}

fn usual() -> Portable {
    adapter(&[0.5, -1.25, 0.1, 2.0, 1e-9, -3.3])
}

/// Why files are refused.
fn refused(files: &BTreeMap<String, Vec<u8>>) -> String {
    Portable::from_files(files).expect_err("it must be refused")
}

/// The files with a text in one of them replaced by one as long.
fn with(file: &str, from: &str, to: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = usual().to_files().expect("well formed");
    let bytes = files.get_mut(file).expect("there");
    let at = memchr::memmem::find(bytes, from.as_bytes()).unwrap_or_else(|| panic!("{from}"));
    bytes.splice(at..at + from.len(), to.bytes());
    files
}

#[test]
fn nothing_that_does_not_fit_is_read() {
    let mut files = usual().to_files().expect("well formed");
    for (name, refusal) in
        [(CONFIG, "adapter_config.json is missing"), (MODEL, "safetensors is missing")]
    {
        let mut some = files.clone();
        some.remove(name);
        assert!(refused(&some).contains(refusal));
    }
    for (file, from, to, refusal) in [
        (CONFIG, "LORA", "LOHA", "peft_type"),
        (CONFIG, "\"ranker\"", "\"q_proj\"", "target_modules"),
        (CONFIG, "\"r\": 3", "\"r\": 4", "r is 4"),
        (CONFIG, "\"lora_alpha\": 3", "\"lora_alpha\": 6", "lora_alpha is 6"),
        (MODEL, "ranker.lora_B", "ranked.lora_B", "there is none of"),
        (MODEL, "\\\"rank\\\":3", "\\\"rank\\\":2", "expected was"),
        (MODEL, "\\\"format\\\":1", "\\\"format\\\":2", "format 2"),
        (MODEL, "iterations\\\":11", "iterations\\\":12", "not of one adapter"),
        (STATE, "iterations\\\":11", "iterations\\\":12", "checksum"),
    ] {
        let why = refused(&with(file, from, to));
        assert!(why.contains(refusal), "{file} {from}: {why}");
    }
    let model = files.get_mut(MODEL).expect("there");
    let end = model.len();
    model[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(refused(&files).contains("not finite"));
    let other = Portable { state: adapter(&[0.0; 6]).state, ..usual() };
    assert!(refused(&other.to_files().expect("well formed")).contains("B differs"));
}

#[test]
fn a_tar_that_is_cut_off_is_refused() {
    let tar = usual().to_tar().expect("well formed");
    assert_eq!(Portable::from_tar(&tar), Ok(usual()));
    let whole = usual().to_files().expect("well formed").values().map(Vec::len).sum::<usize>();
    for end in (0..whole).step_by(97) {
        assert!(Portable::from_tar(&tar[..end]).is_err(), "{end} of {} bytes", tar.len());
    }
    assert!(Portable::from_tar(b"no tar at all").is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        weights in prop::collection::vec(-1e3..1e3_f64, RANK * CONTEXTS),
        with_state in any::<bool>(),
    ) {
        let mut adapter = adapter(&weights);
        adapter.state = adapter.state.filter(|_| with_state);
        let tar = adapter.to_tar().expect("well formed");
        let read = Portable::from_tar(&tar).expect("read back");
        prop_assert_eq!(&read, &adapter);
        prop_assert!(read.to_tar().expect("well formed") == tar, "bit by bit");
    }
}

/// Python with PEFT; `None` outside of `scripts/test`.
fn python() -> Option<PathBuf> {
    let found = std::env::var_os("TEST_ENCODER_PEERS").map(PathBuf::from);
    let needed = std::env::var_os("CI").is_some();
    assert!(found.is_some() || !needed, "TEST_ENCODER_PEERS is not set; use scripts/test");
    found.map(|peers| peers.join("venv/bin/python"))
}

/// Prints `B A e` for a candidate whose features are 1, 2, 3, …, as numpy works it out, after PEFT agreed.
const SCRIPT: &str = r#"
import json, sys
import numpy as np
import torch
from peft import PeftModel
from safetensors.numpy import load_file
folder = sys.argv[1]
config = json.load(open(folder + "/adapter_config.json"))
tensors = load_file(folder + "/adapter_model.safetensors")
prefix = "base_model.model." + config["target_modules"][0]
a, b = tensors[prefix + ".lora_A.weight"], tensors[prefix + ".lora_B.weight"]
assert a.shape[0] == config["r"] == b.shape[1]
e = np.arange(1, a.shape[1] + 1, dtype=np.float64)
y = config["lora_alpha"] / config["r"] * (b @ (a @ e))

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.ranker = torch.nn.Linear(a.shape[1], b.shape[0], bias=False)
        torch.nn.init.zeros_(self.ranker.weight)
    def forward(self, e):
        return self.ranker(e)

found = PeftModel.from_pretrained(Model(), folder)(torch.tensor(e, dtype=torch.float32))
assert np.allclose(found.detach().numpy(), y, atol=1e-5, rtol=1e-5), (found, y)
print(json.dumps(y.tolist()))
"#;

#[test]
fn python_works_out_the_same() {
    let Some(python) = python() else { return };
    let (adapter, folder) = (usual(), tempfile::tempdir().expect("a folder"));
    for (name, bytes) in adapter.to_files().expect("well formed") {
        fs_err::write(folder.path().join(name), bytes).expect("written");
    }
    let ran = Command::new(python).args(["-c", SCRIPT]).arg(folder.path()).output();
    let ran = ran.expect("Python runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let found: Vec<f64> = serde_json::from_slice(&ran.stdout).expect("numbers");
    let projected = adapter.base.chunks_exact(FEATURES);
    let projected: Vec<f64> = projected
        .map(|row| row.iter().zip(1..).map(|(a, e)| f64::from(*a) * f64::from(e)).sum())
        .collect();
    let expected: Vec<f64> = adapter
        .weights
        .chunks_exact(RANK)
        .map(|row| row.iter().zip(&projected).map(|(b, z)| f64::from(*b) * z).sum())
        .collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} {expected}");
    }
}
