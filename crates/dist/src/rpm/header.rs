//! RPM's header structure: an index of tags, and a store of their values.

use std::collections::BTreeMap;

/// The tag around all of a header, whose bytes a digest is made of.
#[derive(Clone, Copy)]
pub(super) enum Region {
    Signatures = 62,
    Immutable = 63,
}

const INT16: u32 = 3;
const INT32: u32 = 4;
const STRING: u32 = 6;
const BINARY: u32 = 7;
const STRINGS: u32 = 8;
const TRANSLATED: u32 = 9;

struct Value {
    kind: u32,
    count: usize,
    bytes: Vec<u8>,
}

/// Values by tag; tags are in order in the file.
#[derive(Default)]
pub(super) struct Header {
    values: BTreeMap<u32, Value>,
}

impl Header {
    pub fn text(&mut self, tag: u32, text: &str) {
        self.insert(tag, STRING, 1, terminated(text));
    }

    /// Adds a text of the one locale, `C`.
    pub fn translated(&mut self, tag: u32, text: &str) {
        self.insert(tag, TRANSLATED, 1, terminated(text));
    }

    /// Adds a list; one without members has no place in a header.
    pub fn texts<'a>(&mut self, tag: u32, texts: impl IntoIterator<Item = &'a str>) {
        let texts: Vec<Vec<u8>> = texts.into_iter().map(terminated).collect();
        self.insert(tag, STRINGS, texts.len(), texts.concat());
    }

    pub fn numbers(&mut self, tag: u32, numbers: &[u32]) {
        let bytes = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        self.insert(tag, INT32, numbers.len(), bytes);
    }

    pub fn small_numbers(&mut self, tag: u32, numbers: &[u16]) {
        let bytes = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        self.insert(tag, INT16, numbers.len(), bytes);
    }

    fn insert(&mut self, tag: u32, kind: u32, count: usize, bytes: Vec<u8>) {
        if count > 0 {
            self.values.insert(tag, Value { kind, count, bytes });
        }
    }

    /// Returns the bytes: magic, numbers of entries and bytes, index, store.
    pub fn encode(&self, region: Region) -> Vec<u8> {
        let mut index = Vec::new();
        let mut store: Vec<u8> = Vec::new();
        for (tag, value) in &self.values {
            let alignment = match value.kind {
                INT16 => 2,
                INT32 => 4,
                _ => 1,
            };
            store.resize(store.len().next_multiple_of(alignment), 0);
            index.extend(entry(*tag, value.kind, store.len() as u32, value.count as u32));
            store.extend_from_slice(&value.bytes);
        }
        let entries = self.values.len() as u32 + 1;
        // The region's own entry comes first. It points at a copy of itself at the end, which says how many entries
        // are in the region.
        let trailer = entry(region as u32, BINARY, (entries * 16).wrapping_neg(), 16);
        let first = entry(region as u32, BINARY, store.len() as u32, 16);
        store.extend_from_slice(&trailer);
        let mut bytes = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
        bytes.extend_from_slice(&entries.to_be_bytes());
        bytes.extend_from_slice(&(store.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&first);
        bytes.extend_from_slice(&index);
        bytes.extend_from_slice(&store);
        bytes
    }
}

fn terminated(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

fn entry(tag: u32, kind: u32, offset: u32, count: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (place, number) in bytes.chunks_exact_mut(4).zip([tag, kind, offset, count]) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    bytes
}
