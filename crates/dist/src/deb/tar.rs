//! Tar as `dpkg` reads it: GNU's form, since it refuses pax records, with names of owners, which it looks up where the
//! package is installed.

use std::io;

use rondel_oci::LayerSource;

use crate::package::{PackageEntry, Part, Stream};

/// An entry and the name that the archive has for it.
pub(super) struct TarEntry<'a> {
    /// With `./` before it; a directory's ends with a slash.
    pub path: String,
    pub entry: &'a PackageEntry,
    pub size: u64,
}

/// Returns the archive of the entries.
pub(super) fn tar<'a>(entries: &[TarEntry<'a>], created: u64) -> io::Result<Stream<'a>> {
    let mut parts = Vec::new();
    for entry in entries {
        let (kind, link, size) = match &entry.entry.source {
            LayerSource::File(_) | LayerSource::Bytes(_) => (b'0', "", entry.size),
            LayerSource::Directory => (b'5', "", 0),
            LayerSource::Symlink(target) => (b'2', target.as_str(), 0),
        };
        if size >= 1 << 33 {
            return Err(io::Error::other(format!("`{}` has 8 GiB or more, which `dpkg` can't read", entry.path)));
        }
        let mut head = Vec::new();
        for (kind, name, limit) in [(b'K', link, 100), (b'L', entry.path.as_str(), 100)] {
            if name.len() > limit {
                head.extend(long_name(kind, name));
            }
        }
        head.extend(block(&entry.path, link, kind, size, Some(entry.entry), created));
        parts.push(Part { head, contents: (size > 0).then_some((&entry.entry.source, size)) });
    }
    parts.push(Part { head: vec![0; 1024], contents: None });
    Ok(Stream::new(parts, 512))
}

/// Returns the entry that holds the name of the next one.
fn long_name(kind: u8, name: &str) -> Vec<u8> {
    let mut bytes = block("././@LongLink", "", kind, name.len() as u64 + 1, None, 0).to_vec();
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn block(name: &str, link: &str, kind: u8, size: u64, entry: Option<&PackageEntry>, created: u64) -> [u8; 512] {
    let mut bytes = [0_u8; 512];
    let mut put = |offset: usize, text: &[u8]| bytes[offset..offset + text.len()].copy_from_slice(text);
    let cut = |text: &str| text.as_bytes()[..text.len().min(100)].to_vec();
    let mode = match (entry, kind) {
        (_, b'2') => 0o777,
        (Some(entry), _) => entry.mode,
        (None, _) => 0o644,
    };
    put(0, &cut(name));
    put(100, format!("{mode:07o}\0").as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{created:011o}\0").as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, &cut(link));
    put(257, b"ustar  \0");
    if let Some(entry) = entry {
        put(265, entry.owner.as_bytes());
        put(297, entry.group.as_bytes());
    }
    let sum: u32 = bytes.iter().map(|&byte| u32::from(byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}
