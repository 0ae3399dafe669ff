//! gzip, tar, zip and ar (packages of Debian, libraries): the entry that differs, and how.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use flate2::bufread::GzDecoder;
use rawzip::{CompressionMethod, ZipArchive};

use crate::{Difference, SIZE_MAX, Traces, diff_bytes};

const AR: &[u8] = b"!<arch>\n";

/// Returns the difference inside two archives of one form. Returns `None` if they are none, or if they differ only in
/// their packing in an unknown way.
pub(crate) fn compare(first: &[u8], second: &[u8], traces: &Traces, depth: u32) -> Option<Difference> {
    let both = |test: &dyn Fn(&[u8]) -> bool| test(first) && test(second);
    if both(&|bytes| bytes.starts_with(b"\x1f\x8b")) {
        return diff_gzip(first, second, traces, depth);
    }
    if both(&|bytes| bytes.get(257..262) == Some(b"ustar")) {
        return diff_entries("tar", tar_entries(first)?, tar_entries(second)?, traces, depth);
    }
    if both(&|bytes| bytes.starts_with(b"PK\x03\x04")) {
        return diff_entries("zip", zip_entries(first)?, zip_entries(second)?, traces, depth);
    }
    if both(&|bytes| bytes.starts_with(AR)) {
        return diff_entries("ar", ar_entries(first)?, ar_entries(second)?, traces, depth);
    }
    None
}

fn diff_gzip(first: &[u8], second: &[u8], traces: &Traces, depth: u32) -> Option<Difference> {
    let (one, other) = (unzipped(first)?, unzipped(second)?);
    if let Some(difference) = diff_bytes(&one, &other, traces, depth + 1) {
        return Some(difference);
    }
    let time = |bytes: &[u8]| bytes.get(4..8).and_then(|part| part.try_into().ok()).map(u32::from_le_bytes);
    if time(first) != time(second) {
        let text = format!("a timestamp: {} and {}", shown_time(time(first)?.into()), shown_time(time(second)?.into()));
        return Some(Difference::new(text).within("gzip header"));
    }
    Some(Difference::new("the contents are the same, but compressed differently (another compressor or level?)"))
}

/// Returns the contents of a gzip file.
pub(crate) fn unzipped(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut result = Vec::new();
    GzDecoder::new(bytes).take(SIZE_MAX).read_to_end(&mut result).ok()?;
    Some(result)
}

/// One entry of an archive: its header fields, by name, and its contents.
pub(crate) struct Entry {
    pub path: String,
    pub header: BTreeMap<&'static str, String>,
    pub contents: Vec<u8>,
}

fn tar_entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut archive = tar::Archive::new(Cursor::new(bytes));
    let mut entries = Vec::new();
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).escape_debug().to_string();
        let link = entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).escape_debug().to_string());
        let name = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"")).escape_debug().to_string();
        let header = entry.header();
        let header = BTreeMap::from([
            ("modification time", shown_time(header.mtime().unwrap_or(0))),
            ("mode", format!("{:o}", header.mode().unwrap_or(0))),
            ("owner", format!("{}:{}", header.uid().unwrap_or(0), header.gid().unwrap_or(0))),
            ("name of the owner", format!("{}:{}", name(header.username_bytes()), name(header.groupname_bytes()))),
            ("type", format!("{:?}", header.entry_type())),
            ("link", link.unwrap_or_default()),
        ]);
        let mut contents = Vec::new();
        (&mut entry).take(SIZE_MAX).read_to_end(&mut contents).ok()?;
        entries.push(Entry { path, header, contents });
    }
    Some(entries)
}

fn zip_entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let zip = ZipArchive::from_slice(bytes).ok()?;
    let mut entries = Vec::new();
    // Entries can share their bytes, so that few of them are many.
    let mut left = SIZE_MAX;
    for entry in zip.entries() {
        let entry = entry.ok()?;
        let path = String::from_utf8_lossy(entry.file_path().as_ref()).escape_debug().to_string();
        let header = BTreeMap::from([
            ("modification time", format!("{:?}", entry.last_modified())),
            ("mode", format!("{:o}", entry.mode().value())),
        ]);
        let method = entry.compression_method();
        let data = zip.get_entry(entry.wayfinder()).ok()?;
        let mut contents = Vec::new();
        match method {
            CompressionMethod::STORE => contents.extend_from_slice(data.data()),
            CompressionMethod::DEFLATE => {
                let reader = flate2::bufread::DeflateDecoder::new(data.data());
                reader.take(left).read_to_end(&mut contents).ok()?;
            }
            _ => return None,
        }
        left = left.checked_sub(contents.len() as u64).filter(|left| *left > 0)?;
        entries.push(Entry { path, header, contents });
    }
    Some(entries)
}

fn ar_entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut at = AR.len();
    while at < bytes.len() {
        let head = bytes.get(at..at + 60)?;
        let field = |from: usize, to: usize| String::from_utf8_lossy(&head[from..to]).trim().escape_debug().to_string();
        let size: usize = field(48, 58).parse().ok()?;
        let contents = bytes.get(at + 60..(at + 60).checked_add(size)?)?.to_vec();
        let time = field(16, 28).parse().map_or_else(|_| field(16, 28), shown_time);
        let owner = format!("{}:{}", field(28, 34), field(34, 40));
        let header = BTreeMap::from([("modification time", time), ("owner", owner), ("mode", field(40, 48))]);
        entries.push(Entry { path: field(0, 16), header, contents });
        // An odd one is padded.
        at += 60 + size + size % 2;
    }
    // A package of Debian has digests of its files in `control`, so what differs in `data` comes first.
    if entries.first().is_some_and(|entry| entry.path == "debian-binary") {
        entries.sort_by_key(|entry| !entry.path.starts_with("data."));
    }
    Some(entries)
}

/// Returns the first difference of two lists of entries. If all are the same, the `form` around them differs.
pub(crate) fn diff_entries(
    form: &str,
    first: Vec<Entry>,
    second: Vec<Entry>,
    traces: &Traces,
    depth: u32,
) -> Option<Difference> {
    let names = |entries: &[Entry]| entries.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>();
    for (one, other) in first.iter().zip(&second) {
        if one.path != other.path {
            return Some(Difference::new(order_of(&names(&first), &names(&second), &one.path, &other.path)));
        }
        let mut what = Vec::new();
        for (name, value) in &one.header {
            if other.header.get(name) != Some(value) {
                what.push(format!("{name}: {value} and {}", other.header.get(name).map_or("(none)", String::as_str)));
            }
        }
        let place = format!("entry {}", one.path);
        let inside = diff_bytes(&one.contents, &other.contents, traces, depth + 1);
        match (inside, what.is_empty()) {
            (Some(mut inside), _) => {
                inside.what.extend(what);
                return Some(inside.within(place));
            }
            (None, false) => return Some(Difference { place: vec![place], what }),
            (None, true) => {}
        }
    }
    if first.len() != second.len() {
        let longer = if first.len() > second.len() { &first } else { &second };
        let extra = &longer[first.len().min(second.len())].path;
        return Some(Difference::new(format!(
            "{} and {} entries; `{extra}` is in one only",
            first.len(),
            second.len()
        )));
    }
    Some(Difference::new(format!(
        "the entries are the same, but the {form} around them differs (padding, extra fields?)"
    )))
}

fn order_of(first: &[String], second: &[String], one: &str, other: &str) -> String {
    if !second.iter().any(|name| name == one) {
        format!("entry `{one}` is in the first only")
    } else if !first.iter().any(|name| name == other) {
        format!("entry `{other}` is in the second only")
    } else {
        format!("the entries are in another order: `{one}` and `{other}` at the same place")
    }
}

/// Returns a time in seconds since 1970, and its day for people.
pub(crate) fn shown_time(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let (year, month, day) = date_of(seconds / 86_400);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{rest:02}Z")
}

/// Returns year, month and day of a number of days since 1970, by counting: archives hold few of them.
fn date_of(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while year < 9999 && days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_for_people() {
        assert_eq!(shown_time(0), "1970-01-01T00:00:00Z");
        assert_eq!(shown_time(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(shown_time(1_795_489_445), "2026-11-24T03:04:05Z");
    }
}
