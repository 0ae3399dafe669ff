//! A header of rpm as databases hold it: an index of tags, and their data.

use std::collections::BTreeMap;

use super::numbers::{Order, part};

/// Maximum number of tags.
const TAGS_MAX: usize = 65_536;
/// Maximum length of a text in bytes.
const TEXT_MAX: usize = 4096;

const INT32: u32 = 4;
/// Texts, lists of them (the first counts), texts in several languages.
const TEXTS: &[u32] = &[6, 8, 9];

/// Returns the fields that bills of materials have; those without a value are missing.
pub(super) fn fields(header: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let (count, length) = (Order::Big.size(header, 0)?, Order::Big.size(header, 4)?);
    if count > TAGS_MAX {
        return Err(format!("a package has {count} tags"));
    }
    let data = part(header, 8 + 16 * count, length)?;
    let mut fields = BTreeMap::new();
    for index in 0..count {
        let entry = part(header, 8 + 16 * index, 16)?;
        let name = match Order::Big.u32(entry, 0)? {
            1000 => "Name",
            1001 => "Version",
            1002 => "Release",
            1003 => "Epoch",
            1014 => "License",
            1022 => "Architecture",
            1044 => "Source",
            _ => continue,
        };
        let (kind, at) = (Order::Big.u32(entry, 4)?, Order::Big.size(entry, 8)?);
        let value = match kind {
            INT32 => Order::Big.u32(data, at)?.to_string(),
            kind if TEXTS.contains(&kind) => text(data, at)?,
            _ => return Err(format!("a package has a `{name}` that is no text")),
        };
        fields.insert(name.to_owned(), value);
    }
    Ok(fields)
}

fn text(data: &[u8], at: usize) -> Result<String, String> {
    let from = data.get(at..).unwrap_or_default();
    let end = from.iter().take(TEXT_MAX).position(|byte| *byte == 0).ok_or("a package has a text without an end")?;
    Ok(String::from_utf8_lossy(&from[..end]).into_owned())
}
