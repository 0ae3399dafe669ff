//! `Packages.db`, the format of rpm's own: pages of slots, each with the place of a header.

use super::numbers::{Budget, Order::Little, part};

const PAGE: usize = 4096;
const SLOT: usize = 16;
const BLOCK: usize = 16;

/// Returns the headers.
pub(super) fn blobs(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    if !bytes.starts_with(b"RpmP") || Little.u32(bytes, 4)? != 0 {
        return Err("it is no database of rpm (ndb)".to_owned());
    }
    let pages = Little.size(bytes, 12)?;
    let slots = part(bytes, 0, pages.saturating_mul(PAGE))?;
    let mut budget = Budget::of(bytes.len());
    let mut found = Vec::new();
    // The first two are the file's own header.
    for slot in slots.chunks_exact(SLOT).skip(2) {
        if !slot.starts_with(b"Slot") {
            return Err("the database is damaged: a slot is none".to_owned());
        }
        let number = Little.u32(slot, 4)?;
        if number == 0 {
            continue;
        }
        let at = Little.size(slot, 8)?.saturating_mul(BLOCK);
        let head = part(bytes, at, 16)?;
        if !head.starts_with(b"BlbS") || Little.u32(head, 4)? != number {
            return Err(format!("the database is damaged: package {number} is not in its place"));
        }
        let length = Little.size(head, 12)?;
        budget.take(length)?;
        found.push(part(bytes, at + 16, length)?.to_vec());
    }
    Ok(found)
}
