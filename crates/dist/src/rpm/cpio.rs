//! The payload: cpio with ASCII headers (`newc`).

use std::io;

use rondel_oci::LayerSource;

use super::files::PackageFiles;
use crate::package::{Package, Part, Stream};

/// Returns the archive of all files.
pub(super) fn cpio<'a>(package: &Package, files: &PackageFiles<'a>) -> io::Result<Stream<'a>> {
    let mut parts = Vec::new();
    for (index, file) in files.0.iter().enumerate() {
        let head = head(&format!("./{}", file.path), index as u32 + 1, file.mode, package.created as u32, file.size);
        let has_contents = !matches!(file.entry.source, LayerSource::Directory) && file.size > 0;
        parts.push(Part { head, contents: has_contents.then_some((&file.entry.source, u64::from(file.size))) });
    }
    parts.push(Part { head: head("TRAILER!!!", 0, 0, 0, 0), contents: None });
    Ok(Stream::new(parts, 4))
}

fn head(name: &str, inode: u32, mode: u32, time: u32, size: u32) -> Vec<u8> {
    let mut text = "070701".to_owned();
    // Owners are names in the header; devices and the checksum have no meaning.
    let numbers = [inode, mode, 0, 0, 1, time, size, 0, 0, 0, 0, name.len() as u32 + 1, 0];
    for number in numbers {
        text.push_str(&format!("{number:08x}"));
    }
    text.push_str(name);
    text.push('\0');
    text.into_bytes()
}
