//! A layout as one tar stream, the form that a daemon loads.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use rondel_cas::{TEXT_MAX, open_regular, read_at_most};

use crate::tar_header::{Header, Kind};

/// Writes the files of the layout at `directory` as an uncompressed tar: sorted, without times and owners. Only the
/// blobs that `manifest.json` names are included, since a daemon that reads it reads no others.
pub fn write_archive(directory: &Path, destination: &mut dyn Write) -> io::Result<()> {
    for path in files_of(directory)? {
        let (mut file, metadata) = open_regular(&directory.join(&path))?;
        let size = metadata.len();
        let header = Header { path: &path, kind: Kind::File { size }, mode: 0o644, uid: 0, gid: 0, capabilities: 0 };
        destination.write_all(&header.encode()?)?;
        if io::copy(&mut file, destination)? != size {
            return Err(io::Error::other(format!("`{path}` changed while it was read")));
        }
        destination.write_all(&vec![0; (size.next_multiple_of(512) - size) as usize])?;
    }
    destination.write_all(&[0; 1024])
}

/// Returns the number of bytes that `write_archive` writes.
pub fn archive_size(directory: &Path) -> io::Result<u64> {
    let mut total = 1024;
    for path in files_of(directory)? {
        total += 512 + fs::metadata(directory.join(&path))?.len().next_multiple_of(512);
    }
    Ok(total)
}

fn files_of(directory: &Path) -> io::Result<Vec<String>> {
    let manifest = read_at_most(&directory.join("manifest.json"), TEXT_MAX)?;
    let parsed: serde_json::Value = serde_json::from_slice(&manifest).map_err(io::Error::other)?;
    let mut files = vec!["manifest.json".to_owned()];
    for image in parsed.as_array().into_iter().flatten() {
        let layers = image["Layers"].as_array().into_iter().flatten();
        for path in layers.chain(std::iter::once(&image["Config"])).filter_map(|value| value.as_str()) {
            let sound =
                path.strip_prefix("blobs/sha256/").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
            if !sound {
                return Err(io::Error::other(format!("`manifest.json` names `{path}`")));
            }
            files.push(path.to_owned());
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}
