//! Reads small text files of a repository, which may be anything: `go.mod` as a link to `/dev/zero`, a FIFO, a sparse
//! file of terabytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Size that no go.mod, go.sum or go.work has, in bytes.
const TEXT_BYTES_MAX: u64 = 64 << 20;

/// Returns the text of a regular file. Anything else, and a file that is too large, is an error.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    // A FIFO must not be opened: that waits for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut text = String::new();
    let file = File::open(path)?;
    if file.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text)? as u64 > TEXT_BYTES_MAX {
        return Err(io::Error::other(format!("larger than {} MiB", TEXT_BYTES_MAX >> 20)));
    }
    Ok(text)
}
