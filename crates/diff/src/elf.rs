//! Sections of an ELF file: enough of the format (System V ABI, chapter 4) to name the place of an offset.

/// A section and the range of its bytes.
pub(crate) struct Section {
    pub name: String,
    pub begin: u64,
    pub end: u64,
}

/// Returns the sections that have bytes in the file; none if it is no sound ELF file.
pub(crate) fn sections(bytes: &[u8]) -> Vec<Section> {
    parse(bytes).unwrap_or_default()
}

fn parse(bytes: &[u8]) -> Option<Vec<Section>> {
    if !bytes.starts_with(b"\x7fELF") {
        return None;
    }
    let (is_wide, is_little) = (*bytes.get(4)? == 2, *bytes.get(5)? == 1);
    let number = |at: usize, length: usize| -> Option<u64> {
        let part = bytes.get(at..at.checked_add(length)?)?;
        let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if is_little { part.iter().rev().fold(0, join) } else { part.iter().fold(0, join) })
    };
    let word = if is_wide { 8 } else { 4 };
    let (table, size, count, names) = if is_wide {
        (number(0x28, 8)?, number(0x3a, 2)?, number(0x3c, 2)?, number(0x3e, 2)?)
    } else {
        (number(0x20, 4)?, number(0x2e, 2)?, number(0x30, 2)?, number(0x32, 2)?)
    };
    let header = |index: u64| -> Option<(u64, u64, u64, u64)> {
        let at = usize::try_from(table.checked_add(index.checked_mul(size)?)?).ok()?;
        // Name, type; then flags and address of a word each; then offset and size.
        let offset = at.checked_add(8 + 2 * word)?;
        Some((number(at, 4)?, number(at + 4, 4)?, number(offset, word)?, number(offset + word, word)?))
    };
    let (_, _, names_at, names_size) = header(names)?;
    let text = |at: u64| -> Option<String> {
        let begin = usize::try_from(names_at.checked_add(at)?).ok()?;
        let end = usize::try_from(names_at.checked_add(names_size)?).ok()?;
        let part = bytes.get(begin..end)?;
        Some(String::from_utf8_lossy(part.split(|&byte| byte == 0).next()?).into_owned())
    };
    let mut found = Vec::new();
    for index in 0..count {
        let (name, kind, begin, length) = header(index)?;
        // A section without bytes (SHT_NULL, SHT_NOBITS) holds nothing that could differ.
        if kind != 0 && kind != 8 && length > 0 {
            found.push(Section { name: text(name)?, begin, end: begin.checked_add(length)? });
        }
    }
    Some(found)
}
