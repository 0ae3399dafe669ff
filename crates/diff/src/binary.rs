//! Two contents that are not archives: executables, texts, anything. The `FormatReader`s in the `Traces` read formats
//! of one language.

use crate::words::{contains, looks_like_time, text_around};
use crate::{Difference, Traces, elf};

/// Returns the difference of two contents that are not the same.
pub(crate) fn compare(first: &[u8], second: &[u8], traces: &Traces) -> Difference {
    let mut what: Vec<String> = traces.readers.iter().flat_map(|reader| reader(first, second)).collect();
    for (one, other) in traces.first.iter().zip(&traces.second) {
        if contains(first, one) && contains(second, other) {
            what.push(format!("an embedded path: `{one}` and `{other}` (built without -trimpath?)"));
            break;
        }
    }
    let offset =
        first.iter().zip(second).position(|(one, other)| one != other).unwrap_or(first.len().min(second.len()));
    let (one, other) = (text_around(first, offset), text_around(second, offset));
    let mut difference = Difference { place: Vec::new(), what };
    if let (Ok(left), Ok(right)) = (std::str::from_utf8(first), std::str::from_utf8(second)) {
        let line = left.lines().zip(right.lines()).position(|(one, other)| one != other);
        let line = line.unwrap_or(left.lines().count().min(right.lines().count()));
        difference.place.push(format!("line {}", line + 1));
        let at = |text: &str| text.lines().nth(line).map_or_else(|| "(no more lines)".to_owned(), shortened);
        let (one, other) = (at(left), at(right));
        note_time(&mut difference, &one, &other);
        difference.what.push(format!("`{one}` and `{other}`"));
        return difference;
    }
    let sections = (elf::sections(first), elf::sections(second));
    if let Some(section) = differing_section(first, second, &sections) {
        difference.place.push(format!("section {}", section.0));
        let (one, other) = (text_around(first, section.1), text_around(second, section.2));
        note_time(&mut difference, &one, &other);
        difference.what.push(describe(&one, &other, section.1));
    } else {
        difference.place.push(format!("offset {offset}"));
        note_time(&mut difference, &one, &other);
        difference.what.push(describe(&one, &other, offset));
    }
    if first.len() != second.len() {
        difference.what.push(format!("{} and {} bytes", first.len(), second.len()));
    }
    difference
}

fn note_time(difference: &mut Difference, one: &str, other: &str) {
    if looks_like_time(one) && looks_like_time(other) {
        difference.what.push("the difference looks like a time".to_owned());
    }
}

fn describe(one: &str, other: &str, offset: usize) -> String {
    if one.len() >= 4 || other.len() >= 4 {
        format!("at offset {offset}: `{one}` and `{other}`")
    } else {
        format!("at offset {offset}, no text")
    }
}

fn shortened(text: &str) -> String {
    let text = text.escape_debug().to_string();
    if text.chars().count() <= 120 { text } else { text.chars().take(120).chain("…".chars()).collect() }
}

/// Returns the section whose contents differ, and the offsets in both files. Constants come first: the linker lays out
/// other data (code, tables) differently on any shift.
fn differing_section(
    first: &[u8],
    second: &[u8],
    sections: &(Vec<elf::Section>, Vec<elf::Section>),
) -> Option<(String, usize, usize)> {
    const TELLING: &[&str] = &[".go.buildinfo", ".note.go.buildid", ".note.gnu.build-id", ".rodata", ".data"];
    let part = |bytes: &[u8], section: &elf::Section| -> Option<(usize, Vec<u8>)> {
        let (begin, end) = (usize::try_from(section.begin).ok()?, usize::try_from(section.end).ok()?);
        Some((begin, bytes.get(begin..end)?.to_vec()))
    };
    let mut found = Vec::new();
    for section in &sections.0 {
        let Some(twin) = sections.1.iter().find(|other| other.name == section.name) else {
            return Some((format!("{} (in one only)", section.name), usize::try_from(section.begin).ok()?, 0));
        };
        let ((begin, one), (twin_begin, other)) = (part(first, section)?, part(second, twin)?);
        if one != other {
            let at = one.iter().zip(&other).position(|(one, other)| one != other).unwrap_or(one.len().min(other.len()));
            found.push((section.name.clone(), begin + at, twin_begin + at));
        }
    }
    let rank = |name: &str| TELLING.iter().position(|other| *other == name).unwrap_or(TELLING.len());
    found.into_iter().min_by_key(|(name, offset, _)| (rank(name), *offset))
}
