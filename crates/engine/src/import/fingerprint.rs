//! What names an import and its events: a digest of the files' bytes.

use std::fmt::Write;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};
use sona_formats::Dataset;

use super::{ImportError, ImportOptions};

/// Hexadecimal digits of a file's digest in the names of its events: long enough that two files never share them,
/// short because every event carries them.
const FILE_DIGITS: usize = 16;

/// Bytes read at once.
const BUFFER: usize = 1 << 20;

/// The names.
pub(super) struct Fingerprint {
    /// Names the import: files and options.
    pub(super) import_id: String,
    /// Names each file, by its bytes alone.
    pub(super) files: Vec<String>,
}

impl Fingerprint {
    /// Names for files nobody will write anything of.
    pub(super) fn unread(count: usize) -> Self {
        Self { import_id: String::new(), files: vec![String::new(); count] }
    }
}

/// Reads all files once. (Half a second a gigabyte; knowing only size and ends would take a corrected file for the
/// one it corrects.)
pub(super) async fn take(
    dataset: Dataset,
    options: &ImportOptions,
) -> Result<(Dataset, Fingerprint), ImportError> {
    let told = format!(
        "{}\n{}\n{}\n{}",
        options.create_content,
        options.event_type.as_str(),
        options.start,
        options.reading
    );
    let read = tokio::task::spawn_blocking(move || {
        let mut whole = Sha256::new();
        let mut files = Vec::with_capacity(dataset.sources.len());
        for source in &dataset.sources {
            let digest = digest(&source.path)?;
            whole.update(&digest);
            files.push(digest[..FILE_DIGITS].to_owned());
        }
        whole.update(told);
        let fingerprint = Fingerprint { import_id: hexadecimal(&whole.finalize()), files };
        Ok::<_, io::Error>((dataset, fingerprint))
    });
    Ok(read.await??)
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = fs_err::File::open(path)?;
    let mut buffer = vec![0; BUFFER];
    let mut digest = Sha256::new();
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hexadecimal(&digest.finalize()));
        }
        digest.update(&buffer[..count]);
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
