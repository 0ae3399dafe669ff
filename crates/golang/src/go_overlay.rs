//! The overlay of a go command (`-overlay`): files that make Go notice what it does not look at itself.
//!
//! The go command hashes the sources of a package, but not the files that its assembler includes from elsewhere. An
//! object made of an old header would come back from GOCACHE. So a package that reads such files gets one more header,
//! which nobody includes and whose contents are a digest of them. (Packages with cgo are marked otherwise, see `cgo`.)
//!
//! The same overlay holds the index shield, see `index_shield`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, TEXT_MAX, read_at_most, write_atomically};

use crate::index_shield::{SHIELD, SHIELD_IS};

/// Name of the header in the directory of a package.
const HEADER: &str = "rondel_unhashed_inputs.h";

/// Writes the overlay for packages with the digests of what they read, and for the directories that need a shield.
/// Returns its path, or `None` if there are neither. Files are kept in `directory`, by their contents.
pub(crate) fn write_overlay(
    directory: &Path,
    scratch: &Path,
    unhashed: &[(PathBuf, Digest)],
    shielded: &BTreeSet<PathBuf>,
) -> io::Result<Option<PathBuf>> {
    if unhashed.is_empty() && shielded.is_empty() {
        return Ok(None);
    }
    let shields = shielded.iter().map(|directory| (directory.join(SHIELD).display().to_string(), SHIELD_IS.to_owned()));
    let mut replace: BTreeMap<String, String> = shields.collect();
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn headers_and_shields_in_one_overlay() {
        let base = std::env::temp_dir().join(format!("rondel-overlay-{}", std::process::id()));
        fs::create_dir_all(base.join("tmp")).unwrap();
        let write = |unhashed: &[(PathBuf, Digest)], shielded: &[&str]| {
            let shielded = shielded.iter().map(PathBuf::from).collect();
            write_overlay(&base, &base.join("tmp"), unhashed, &shielded).unwrap()
        };
        assert_eq!(write(&[], &[]), None);
        let digest = Digest::of(b"x");
        let header = base.join(format!("{}.h", digest.short()));
        let overlay = write(&[(PathBuf::from("/m/a"), digest)], &["/m", "/m/a"]).unwrap();
        let expected = serde_json::json!({ "Replace": {
            "/m/.rondel-not-indexed": "/dev/null",
            "/m/a/.rondel-not-indexed": "/dev/null",
            "/m/a/rondel_unhashed_inputs.h": header,
        }});
        let found: serde_json::Value = serde_json::from_slice(&read_at_most(&overlay, TEXT_MAX).unwrap()).unwrap();
        assert_eq!(found, expected);
        assert!(header.is_file());
        assert_ne!(write(&[], &["/m"]), Some(overlay));
        fs::remove_dir_all(base).unwrap();
    }
}
