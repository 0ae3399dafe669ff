//! `Packages`, a hash of Berkeley DB: pages of keys and values. A value that is too large for its page, as most headers are,
//! is a chain of other pages.

use super::numbers::{Budget, Order, part};

const MAGIC: u32 = 0x0006_1561;
/// Types of pages: a hash, the same unsorted (older files), a part of a large value.
const HASH: &[u8] = &[13, 2];
const OVERFLOW: u8 = 7;
/// Types of items: in the page, in pages of their own.
const INLINE: u8 = 1;
const OFF_PAGE: u8 = 3;
/// Where the places of a page's items begin.
const ITEMS: usize = 26;

/// Returns the headers.
pub(super) fn blobs(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    // A machine writes its own order of bytes.
    let orders = [Order::Little, Order::Big];
    let order = orders.into_iter().find(|order| order.u32(bytes, 12) == Ok(MAGIC));
    let order = order.ok_or("it is no database of rpm (a hash of Berkeley DB)")?;
    let size = order.size(bytes, 20)?;
    if !(512..=65_536).contains(&size) || !size.is_power_of_two() {
        return Err(format!("the database is damaged: its pages have {size} bytes"));
    }
    if bytes.get(24) != Some(&0) {
        return Err("the database is encrypted".to_owned());
    }
    let mut file = Pages { bytes, size, order, budget: Budget::of(bytes.len()) };
    let mut found = Vec::new();
    for page in bytes.chunks_exact(size).skip(1).filter(|page| HASH.contains(&page[25])) {
        file.items(page, &mut found)?;
    }
    match bytes.len().is_multiple_of(size) {
        true => Ok(found),
        false => Err("the database is damaged: its last page is not whole".to_owned()),
    }
}

struct Pages<'b> {
    bytes: &'b [u8],
    size: usize,
    order: Order,
    budget: Budget,
}

impl Pages<'_> {
    /// Adds the values of a page of the hash.
    fn items(&mut self, page: &[u8], found: &mut Vec<Vec<u8>>) -> Result<(), String> {
        let place = |item: usize| self.order.u16(page, ITEMS + 2 * item);
        let mut values = Vec::new();
        for item in (1..self.order.u16(page, 20)?).step_by(2) {
            values.push((place(item - 1)?, place(item)?));
        }
        for (key, value) in values {
            match page.get(value) {
                Some(&OFF_PAGE) => {
                    let (first, length) = (self.order.u32(page, value + 4)?, self.order.size(page, value + 8)?);
                    found.push(self.chain(first, length)?);
                }
                // Items grow from the page's end: a value ends where its key begins. The key 0 has the number of packages.
                Some(&INLINE) if part(page, key, 5)? != [INLINE, 0, 0, 0, 0] => {
                    let length = key.checked_sub(value + 1).ok_or("the database is damaged: items are out of order")?;
                    self.budget.take(length)?;
                    found.push(part(page, value + 1, length)?.to_vec());
                }
                Some(&INLINE) => {}
                _ => return Err("the database is damaged: a value has an unknown form".to_owned()),
            }
        }
        Ok(())
    }

    /// Returns a value of `length` bytes in pages of its own.
    fn chain(&mut self, first: u32, length: usize) -> Result<Vec<u8>, String> {
        self.budget.take(length)?;
        let mut value = Vec::with_capacity(length);
        let mut next = first;
        while value.len() < length {
            let at = usize::try_from(next).unwrap_or(usize::MAX).saturating_mul(self.size);
            let page = part(self.bytes, at, self.size)?;
            let here = self.order.u16(page, 22)?;
            // An empty part would make a circle of pages endless.
            if page[25] != OVERFLOW || here == 0 || here > length - value.len() {
                return Err("the database is damaged: a package goes on in a page that is none of its own".to_owned());
            }
            value.extend_from_slice(part(page, ITEMS, here)?);
            next = self.order.u32(page, 16)?;
        }
        Ok(value)
    }
}
