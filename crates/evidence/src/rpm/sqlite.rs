//! `rpmdb.sqlite`: the rows of the one table of packages, from the tree of its pages
//! ([format](https://www.sqlite.org/fileformat2.html)). What SQLite wrote into its log and has not moved yet counts, as SQLite counts it.

use std::collections::{BTreeMap, BTreeSet};

use super::numbers::{Budget, Order, Order::Big, part};

const MAGIC: &[u8] = b"SQLite format 3\0";
const TABLE: &[u8] = b"Packages";
/// Types of pages of tables.
const BRANCH: u8 = 5;
const LEAF: u8 = 13;
/// Number of columns of the list of tables, which has most of those that are read.
const COLUMNS: usize = 5;
/// Length of the header of a log, and of each of its frames.
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Returns the headers.
pub(super) fn blobs(bytes: &[u8], log: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    if !bytes.starts_with(MAGIC) {
        return Err("it is no database of SQLite".to_owned());
    }
    let size = match Big.u16(bytes, 16)? {
        1 => 65_536,
        size => size,
    };
    let reserved = usize::from(*bytes.get(20).unwrap_or(&0));
    if !(512..=65_536).contains(&size) || !size.is_power_of_two() || size - reserved < 480 {
        return Err(format!("the database is damaged: its pages have {size} bytes"));
    }
    let newer = pages_of_log(log, size).unwrap_or_default();
    let budget = Budget::of(bytes.len() + log.len());
    let mut database = Database { bytes, size, usable: size - reserved, newer, seen: BTreeSet::new(), budget };
    let mut root = None;
    for row in database.rows(1)? {
        let columns = columns(&row)?;
        if let [(_, kind), (_, name), _, (_, page), ..] = columns[..]
            && (kind, name) == (b"table", TABLE)
        {
            root = Some(page.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte)));
        }
    }
    let root = root.and_then(|root| u32::try_from(root).ok()).ok_or("it has no table of packages")?;
    let mut found = Vec::new();
    for row in database.rows(root)? {
        match columns(&row)?[..] {
            // Blobs have even types from 12 on.
            [_, (kind, blob), ..] if kind >= 12 && kind % 2 == 0 => found.push(blob.to_vec()),
            _ => return Err("the database is damaged: a package is no blob".to_owned()),
        }
    }
    Ok(found)
}

/// Returns the pages of a log up to its last commit. Frames count as long as their salts and checksums are right: what follows is
/// of an earlier round, or was cut off.
fn pages_of_log(log: &[u8], size: usize) -> Result<BTreeMap<u32, &[u8]>, String> {
    let order = match Big.u32(log, 0)? {
        0x377f_0682 => Order::Little,
        0x377f_0683 => Order::Big,
        _ => return Ok(BTreeMap::new()),
    };
    let mut sum = checksum(order, (0, 0), part(log, 0, 24)?)?;
    if Big.size(log, 8)? != size || sum != (Big.u32(log, 24)?, Big.u32(log, 28)?) {
        return Ok(BTreeMap::new());
    }
    let (mut whole, mut pending) = (BTreeMap::new(), Vec::new());
    for frame in log[LOG_HEADER..].chunks_exact(FRAME_HEADER + size) {
        let (header, page) = frame.split_at(FRAME_HEADER);
        sum = checksum(order, checksum(order, sum, &header[..8])?, page)?;
        if header[8..16] != log[16..24] || sum != (Big.u32(header, 16)?, Big.u32(header, 20)?) {
            break;
        }
        pending.push((Big.u32(header, 0)?, page));
        if Big.u32(header, 4)? != 0 {
            whole.extend(pending.drain(..));
        }
    }
    Ok(whole)
}

/// Goes on with a checksum of pairs of numbers.
fn checksum(order: Order, (mut one, mut other): (u32, u32), bytes: &[u8]) -> Result<(u32, u32), String> {
    for at in (0..bytes.len()).step_by(8) {
        one = one.wrapping_add(order.u32(bytes, at)?).wrapping_add(other);
        other = other.wrapping_add(order.u32(bytes, at + 4)?).wrapping_add(one);
    }
    Ok((one, other))
}

struct Database<'b> {
    bytes: &'b [u8],
    size: usize,
    /// Bytes of a page that are SQLite's.
    usable: usize,
    /// Pages of the log, which are newer than those of the file.
    newer: BTreeMap<u32, &'b [u8]>,
    seen: BTreeSet<u32>,
    budget: Budget,
}

impl<'b> Database<'b> {
    /// Returns a page, by its number from 1. No page belongs to two places.
    fn page(&mut self, number: u32) -> Result<&'b [u8], String> {
        if number == 0 || !self.seen.insert(number) {
            return Err(format!("the database is damaged: page {number} is used twice"));
        }
        if let Some(page) = self.newer.get(&number) {
            return Ok(page);
        }
        let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
        part(self.bytes, index.saturating_mul(self.size), self.size)
    }

    /// Returns the records of a table.
    fn rows(&mut self, root: u32) -> Result<Vec<Vec<u8>>, String> {
        let (mut pages, mut rows) = (vec![root], Vec::new());
        while let Some(number) = pages.pop() {
            let page = self.page(number)?;
            // The first page begins with the header of the file.
            let at = if number == 1 { 100 } else { 0 };
            let kind = page[at];
            let places = at + if kind == BRANCH { 12 } else { 8 };
            for cell in 0..Big.u16(page, at + 3)? {
                let place = Big.u16(page, places + 2 * cell)?;
                match kind {
                    BRANCH => pages.push(Big.u32(page, place)?),
                    LEAF => rows.push(self.record(page, place)?),
                    _ => return Err(format!("the database is damaged: page {number} is none of a table")),
                }
            }
            match kind {
                BRANCH => pages.push(Big.u32(page, at + 8)?),
                LEAF => {}
                _ => return Err(format!("the database is damaged: page {number} is none of a table")),
            }
            // A branch that names pages twice ends here, and not when memory does.
            if pages.len() > self.bytes.len() / self.size + self.newer.len() {
                return Err("the database is damaged: it names more pages than it has".to_owned());
            }
        }
        Ok(rows)
    }

    /// Returns the record of a cell, with what is in other pages.
    fn record(&mut self, page: &[u8], place: usize) -> Result<Vec<u8>, String> {
        let (length, at) = varint(page, place)?;
        let (_, at) = varint(page, at)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.budget.take(length)?;
        let most = self.usable - 35;
        let here = if length <= most {
            length
        } else {
            let least = (self.usable - 12) * 32 / 255 - 23;
            let fitting = least + (length - least) % (self.usable - 4);
            if fitting <= most { fitting } else { least }
        };
        let mut record = part(page, at, here)?.to_vec();
        let mut next = if here < length { Big.u32(page, at + here)? } else { 0 };
        while record.len() < length {
            let page = self.page(next)?;
            let here = (length - record.len()).min(self.usable - 4);
            record.extend_from_slice(part(page, 4, here)?);
            next = Big.u32(page, 0)?;
        }
        Ok(record)
    }
}

/// Returns the first columns of a record, with their types.
fn columns(record: &[u8]) -> Result<Vec<(u64, &[u8])>, String> {
    let (header, mut at) = varint(record, 0)?;
    let header = usize::try_from(header).unwrap_or(usize::MAX);
    let (mut data, mut found) = (header, Vec::new());
    while at < header && found.len() < COLUMNS {
        let (kind, next) = varint(record, at)?;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return Err("the database is damaged: a column has an unknown type".to_owned()),
            kind => (kind - 12) / 2,
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        found.push((kind, part(record, data, length)?));
        (at, data) = (next, data + length);
    }
    Ok(found)
}

/// Returns a number of one to nine bytes, and the place after it.
fn varint(bytes: &[u8], at: usize) -> Result<(u64, usize), String> {
    let mut number = 0u64;
    for (index, byte) in bytes.get(at..).unwrap_or_default().iter().take(9).enumerate() {
        if index == 8 {
            return Ok((number << 8 | u64::from(*byte), at + 9));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok((number, at + index + 1));
        }
    }
    Err("the database is damaged: a number has no end".to_owned())
}
