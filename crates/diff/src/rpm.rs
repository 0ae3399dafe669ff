//! Packages of RPM: the file in the payload that differs, or the tag of a header.

use std::collections::BTreeMap;

use crate::archive::{Entry, diff_entries, shown_time, unzipped};
use crate::{Difference, Traces, diff_bytes};

const LEAD: &[u8] = b"\xed\xab\xee\xdb";
const LEAD_LENGTH: usize = 96;
const HEADER: &[u8] = b"\x8e\xad\xe8\x01";
/// Tags that people know by name.
const NAMES: &[(u32, &str)] = &[
    (1000, "name"),
    (1001, "version"),
    (1002, "release"),
    (1004, "summary"),
    (1005, "description"),
    (1006, "build time"),
    (1007, "build host"),
    (1009, "size"),
    (1030, "modes of files"),
    (1034, "times of files"),
    (1035, "digests of files"),
    (1039, "owners of files"),
    (1040, "groups of files"),
    (1044, "source package"),
    (1080, "times of the changelog"),
    (1122, "options of the build"),
];
/// Type of numbers of four bytes, which are shown.
const INT32: u32 = 4;

/// Returns the difference inside two packages; `None` if they are none.
pub(crate) fn compare(first: &[u8], second: &[u8], traces: &Traces, depth: u32) -> Option<Difference> {
    let (first, second) = (Package::read(first)?, Package::read(second)?);
    // A header has digests of the payload, so what differs in there comes first.
    if first.payload != second.payload {
        let entries = |package: &Package| cpio_entries(&unzipped(package.payload)?);
        let inside = match (entries(&first), entries(&second)) {
            (Some(one), Some(other)) => diff_entries("cpio", one, other, traces, depth + 1),
            _ => diff_bytes(first.payload, second.payload, traces, depth + 1),
        };
        return Some(inside?.within("payload"));
    }
    for (place, one, other) in
        [("header", &first.header, &second.header), ("signature header", &first.signature, &second.signature)]
    {
        let tags = one.keys().chain(other.keys()).find(|tag| one.get(tag) != other.get(tag));
        if let Some(tag) = tags {
            let name =
                NAMES.iter().find(|(known, _)| known == tag).map_or(String::new(), |(_, name)| format!(" ({name})"));
            let value = |tags: &Tags| tags.get(tag).map_or("(none)".to_owned(), |value| shown(*tag, value));
            return Some(
                Difference::new(format!("{} and {}", value(one), value(other)))
                    .within(format!("tag {tag}{name}"))
                    .within(place),
            );
        }
    }
    Some(Difference::new("headers and payload are the same, but the lead or the padding differs"))
}

/// Type and bytes of each tag.
type Tags<'b> = BTreeMap<u32, (u32, &'b [u8])>;

struct Package<'b> {
    signature: Tags<'b>,
    header: Tags<'b>,
    payload: &'b [u8],
}

impl<'b> Package<'b> {
    fn read(bytes: &'b [u8]) -> Option<Package<'b>> {
        if !bytes.starts_with(LEAD) {
            return None;
        }
        let (signature, end) = tags(bytes, LEAD_LENGTH)?;
        let (header, end) = tags(bytes, end.checked_next_multiple_of(8)?)?;
        Some(Package { signature, header, payload: bytes.get(end..)? })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Reads a header at a place; returns its tags, and the place after it.
fn tags(bytes: &[u8], at: usize) -> Option<(Tags<'_>, usize)> {
    if bytes.get(at..at + 4)? != HEADER {
        return None;
    }
    let (count, length) = (number(bytes, at + 8)? as usize, number(bytes, at + 12)? as usize);
    let index = bytes.get(at + 16..)?.get(..count.checked_mul(16)?)?;
    let data = bytes.get(at + 16 + index.len()..)?.get(..length)?;
    let mut entries = Vec::new();
    for entry in index.chunks_exact(16) {
        entries.push((number(entry, 0)?, number(entry, 4)?, number(entry, 8)? as usize));
    }
    // A value goes on until the next one begins.
    let mut places: Vec<usize> = entries.iter().map(|(_, _, place)| *place).collect();
    places.sort_unstable();
    let mut found = Tags::new();
    for (tag, kind, place) in entries {
        let next = places.partition_point(|other| *other <= place);
        let end = places.get(next).copied().unwrap_or(length).min(length);
        found.insert(tag, (kind, data.get(place..end)?));
    }
    Some((found, at + 16 + index.len() + length))
}

/// Returns a value for people: a text or number, or how long it is.
fn shown(tag: u32, (kind, bytes): &(u32, &[u8])) -> String {
    const SHOWN: usize = 80;
    match number(bytes, 0) {
        Some(seconds) if *kind == INT32 && tag == 1006 => return shown_time(seconds.into()),
        Some(value) if *kind == INT32 && bytes.len() < 8 => return value.to_string(),
        _ => {}
    }
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    match std::str::from_utf8(text) {
        Ok(text) if *kind != INT32 && text.len() <= SHOWN => format!("`{}`", text.escape_debug()),
        _ => format!("{} bytes", bytes.len()),
    }
}

/// Returns the files of a cpio archive (`newc`).
fn cpio_entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut at = 0usize;
    while let Some(head) = bytes.get(at..at.checked_add(110)?) {
        if !head.starts_with(b"07070") {
            return None;
        }
        let field = |index: usize| {
            let text = std::str::from_utf8(head.get(6 + 8 * index..14 + 8 * index)?).ok()?;
            u32::from_str_radix(text, 16).ok()
        };
        let (size, name) = (field(6)? as usize, field(11)? as usize);
        let path = bytes.get(at + 110..)?.get(..name.checked_sub(1)?)?;
        let path = String::from_utf8_lossy(path).escape_debug().to_string();
        if path == "TRAILER!!!" {
            break;
        }
        let begin = (at + 110 + name).checked_next_multiple_of(4)?;
        let header = BTreeMap::from([
            ("modification time", shown_time(field(5)?.into())),
            ("mode", format!("{:o}", field(1)?)),
            ("owner", format!("{}:{}", field(2)?, field(3)?)),
        ]);
        entries.push(Entry { path, header, contents: bytes.get(begin..)?.get(..size)?.to_vec() });
        at = (begin + size).checked_next_multiple_of(4)?;
    }
    Some(entries)
}
