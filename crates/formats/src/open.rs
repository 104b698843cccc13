//! Opening a file whatever it is compressed with, and looking at its beginning.

use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use fs_err::File;

/// Bytes read from the disk, and from the decompressor, at once.
const BUFFER: usize = 256 * 1024;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTANDARD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// The uncompressed bytes of a file.
pub(crate) type Input = Box<dyn BufRead + Send>;

/// Opens `path`; a UTF-8 byte order mark is skipped.
pub(crate) fn open(path: &Path) -> io::Result<Input> {
    let mut file = File::open(path)?;
    let mut magic = [0; 4];
    let count = read_up_to(&mut file, &mut magic)?;
    file.rewind()?;
    let file = BufReader::with_capacity(BUFFER, file);
    let mut input: Input = match &magic[..count] {
        // Several gzip members in one file are one stream, as `cat a.gz b.gz` makes them.
        found if found.starts_with(GZIP) => buffered(flate2::bufread::MultiGzDecoder::new(file)),
        found if found == ZSTANDARD => buffered(zstd::Decoder::with_buffer(file)?),
        _ => Box::new(file),
    };
    // A broken file is met again, and told, by whoever reads it.
    if input.fill_buf().is_ok_and(|start| start.starts_with(BYTE_ORDER_MARK)) {
        input.consume(BYTE_ORDER_MARK.len());
    }
    Ok(input)
}

/// The first `limit` uncompressed bytes, or as many as can be read.
pub(crate) fn beginning(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut input = open(path)?;
    while bytes.len() < limit {
        match input.fill_buf() {
            Ok(more) if !more.is_empty() => {
                let count = more.len().min(limit - bytes.len());
                bytes.extend_from_slice(&more[..count]);
                input.consume(count);
            }
            Err(error) if bytes.is_empty() => {
                return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
            }
            _ => break,
        }
    }
    Ok(bytes)
}

fn buffered(reader: impl Read + Send + 'static) -> Input {
    Box::new(BufReader::with_capacity(BUFFER, reader))
}

fn read_up_to(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < bytes.len() {
        match file.read(&mut bytes[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}
