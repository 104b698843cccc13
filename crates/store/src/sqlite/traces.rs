//! What deleted rows leave in the file, and getting rid of it.
//!
//! `secure_delete` overwrites a row where it is deleted. Two traces can be left: earlier states of its page in the
//! write-ahead log until that is emptied, and, when a page was split while the row lived, a copy in the space the
//! page has not allocated. Only the latter needs a look at the file, and only if there is one a `VACUUM`.

use std::io::{self, Read};
use std::path::Path;

use memchr::memmem::Finder;
use sqlx::SqliteConnection;

use crate::error::Result;

/// How often to try again while a reader holds on to the log; each try waits for the busy time-out.
const ATTEMPTS: usize = 2;

/// The file's header, at the start of its first page; <https://www.sqlite.org/fileformat2.html>.
const HEADER: usize = 100;

/// Where the header says how large a page is.
const PAGE_SIZE: usize = 16;

/// Moves the write-ahead log into the file and empties it; false if a reader kept it from that.
pub(super) async fn empty_log(connection: &mut SqliteConnection) -> Result<bool> {
    for _ in 0..ATTEMPTS {
        let (busy, _, _): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await?;
        if busy == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// True if `text` is found where the file holds no row. The write-ahead log must have been emptied since the text
/// was last written.
pub(super) fn in_free_space(path: &Path, text: &str) -> io::Result<bool> {
    let finder = Finder::new(text);
    let mut file = io::BufReader::with_capacity(1 << 20, fs_err::File::open(path)?);
    let mut header = [0; HEADER];
    file.read_exact(&mut header)?;
    let size = match usize::from(u16::from_be_bytes([header[PAGE_SIZE], header[PAGE_SIZE + 1]])) {
        1 => 1 << 16,
        size => size.max(512),
    };
    let mut page = vec![0; size];
    page[..HEADER].copy_from_slice(&header);
    file.read_exact(&mut page[HEADER..])?;
    let mut start = HEADER;
    loop {
        if finder.find(free_space(&page, start)).is_some() {
            return Ok(true);
        }
        start = 0;
        match file.read_exact(&mut page) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// Of a page whose own header begins at `start`: what lies between the pointers to its cells and the cells. Of a
/// page that has no cells (overflow, free list) or makes no sense: everything.
fn free_space(page: &[u8], start: usize) -> &[u8] {
    let number = |at: usize| usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
    let pointers = match page[start] {
        2 | 5 => start + 12,
        10 | 13 => start + 8,
        _ => return page,
    };
    let cells = match number(start + 5) {
        0 => 1 << 16,
        at => at,
    };
    page.get(pointers + 2 * number(start + 3)..cells).unwrap_or(page)
}
