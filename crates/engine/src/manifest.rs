//! `Manifest`: the contents of one output, and its text.

use std::collections::BTreeMap;

use rondel_cas::Entry;
use rondel_cas::messages::UnixMode;

use crate::record::{push_escaped, unescaped};

/// Contents of an output by path below it. The path of a file's own entry, and of a directory's own permissions, is
/// empty.
pub(crate) type Manifest = BTreeMap<String, Entry>;

/// Returns a line for each entry: type, value, permissions, path.
pub(crate) fn encode(manifest: &Manifest) -> String {
    let mut text = String::new();
    for (path, entry) in manifest {
        let (kind, value, mode) = match entry {
            Entry::File { digest, executable, mode } => {
                let ordinary = if *executable { UnixMode::EXECUTABLE } else { UnixMode::PLAIN };
                ('f', digest.to_string(), mode.map_or(ordinary, UnixMode::bits))
            }
            Entry::Symlink { target } => ('l', target.clone(), 0o777),
            Entry::Directory { mode } => ('d', String::new(), mode.map_or(UnixMode::EXECUTABLE, UnixMode::bits)),
        };
        text.push_str(&format!("{kind}\t{mode:o}\t"));
        push_escaped(&mut text, &value);
        text.push('\t');
        push_escaped(&mut text, path);
        text.push('\n');
    }
    text
}

pub(crate) fn decode(text: &str) -> Option<Manifest> {
    let mut manifest = Manifest::new();
    for line in text.lines() {
        let mut parts = line.split('\t');
        let (kind, mode) = (parts.next()?, UnixMode::new(u32::from_str_radix(parts.next()?, 8).ok()?)?);
        let (value, path) = (unescaped(parts.next()?), unescaped(parts.next()?));
        let executable = mode.bits() & 0o100 != 0;
        let entry = match kind {
            "f" => Entry::File { digest: value.parse().ok()?, executable, mode: mode.unless_ordinary_file(executable) },
            "l" => Entry::Symlink { target: value },
            "d" => Entry::Directory { mode: mode.unless_ordinary_directory() },
            _ => return None,
        };
        manifest.insert(path, entry);
    }
    Some(manifest)
}
