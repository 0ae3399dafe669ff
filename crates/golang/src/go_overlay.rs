//! The overlay of a go command (`-overlay`): a file that makes Go's build cache notice what it does not look at itself.
//!
//! The go command hashes the sources of a package, but not the files that its assembler includes from elsewhere. An
//! object made of an old header would come back from GOCACHE. So a package that reads such files gets one more header,
//! which nobody includes and whose contents are a digest of them. (Packages with cgo are marked otherwise, see `cgo`.)

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, TEXT_MAX, read_at_most, write_atomically};

/// Name of the header in the directory of a package.
const HEADER: &str = "rondel_unhashed_inputs.h";

/// Writes the overlay for packages with the digests of what they read, and returns its path; `None` if there are none.
/// Files are kept in `directory`, by their contents.
pub(crate) fn write_overlay(
    directory: &Path,
    scratch: &Path,
    unhashed: &[(PathBuf, Digest)],
) -> io::Result<Option<PathBuf>> {
    if unhashed.is_empty() {
        return Ok(None);
    }
    let mut replace = BTreeMap::new();
    for (package, digest) in unhashed {
        let header = directory.join(format!("{}.h", digest.short()));
        write_once(scratch, &header, format!("/* {digest} */\n").as_bytes())?;
        replace.insert(package.join(HEADER).display().to_string(), header.display().to_string());
    }
    let text = serde_json::to_vec(&serde_json::json!({ "Replace": replace })).expect("plain data");
    let overlay = directory.join(format!("{}.json", Digest::of(&text).short()));
    write_once(scratch, &overlay, &text)?;
    Ok(Some(overlay))
}

fn write_once(scratch: &Path, path: &Path, contents: &[u8]) -> io::Result<()> {
    if read_at_most(path, TEXT_MAX).is_ok_and(|found| found == contents) {
        return Ok(());
    }
    write_atomically(scratch, path, contents)
}
