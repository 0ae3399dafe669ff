//! Earlier places with the same bytes, up to 32 KiB back: the last one of a few bytes, and the last one of several.

use super::symbols::Step;
use crate::words::{common, double_word, hash, word};

/// Maximum distance back.
const WINDOW: usize = 1 << 15;
/// Shortest copy that is looked for.
const LEAST: usize = 4;
/// Longest copy.
const MOST: usize = 258;
/// Bytes that the places of either table are looked up by. Four of them have to agree.
const SHORT: usize = 4;
const LONG: usize = 7;
const TABLE_LOG: u32 = 15;
/// For copies of this length, it is not tried whether one a byte later is longer.
const ENOUGH: usize = 32;
/// After 2 to this power bytes without a copy, every second place is looked at, then every third, …
const PATIENCE_LOG: u32 = 7;
/// Bytes before the end of the input that stay literals: they can't be looked up.
const TAIL: usize = 9;

/// Two tables of places by their bytes; 0 is none.
pub(super) struct Search {
    long: Vec<u32>,
    short: Vec<u32>,
}

/// Length and distance of a copy.
type Copy = (usize, usize);

impl Search {
    pub fn new() -> Search {
        Search { long: vec![0; 1 << TABLE_LOG], short: vec![0; 1 << TABLE_LOG] }
    }

    /// Adds steps that make the bytes from `start` to `end`, or a little more; returns where they end.
    pub fn steps(&mut self, bytes: &[u8], start: usize, end: usize, steps: &mut Vec<Step>) -> usize {
        let last = bytes.len().saturating_sub(TAIL).min(end);
        let (mut anchor, mut place) = (start, start.max(1));
        while place < last {
            let Some((mut length, mut distance)) = self.copy_at(bytes, place) else {
                place += 1 + ((place - anchor) >> PATIENCE_LOG);
                continue;
            };
            while length < ENOUGH && place + 1 < last {
                match self.copy_at(bytes, place + 1) {
                    Some((longer, other)) if longer > length => (length, distance, place) = (longer, other, place + 1),
                    _ => break,
                }
            }
            let covered = place + 2..place + length;
            while place > anchor && place > distance && length < MOST && bytes[place - 1] == bytes[place - 1 - distance]
            {
                place -= 1;
                length += 1;
            }
            steps.push(Step::copy(place - anchor, length, distance));
            place += length;
            anchor = place;
            if place < last {
                covered.for_each(|place| self.insert(bytes, place));
            }
        }
        if end > anchor {
            steps.push(Step::literals(end - anchor));
        }
        end.max(anchor)
    }

    fn insert(&mut self, bytes: &[u8], place: usize) {
        let found = double_word(bytes, place);
        self.long[hash(found, LONG, TABLE_LOG)] = place as u32;
        self.short[hash(found, SHORT, TABLE_LOG)] = place as u32;
    }

    /// Returns the copy from the last place of several bytes, else of a few, and remembers this place.
    fn copy_at(&mut self, bytes: &[u8], place: usize) -> Option<Copy> {
        let wanted = double_word(bytes, place);
        let long = &mut self.long[hash(wanted, LONG, TABLE_LOG)];
        let short = &mut self.short[hash(wanted, SHORT, TABLE_LOG)];
        let sources = [*long as usize, *short as usize];
        (*long, *short) = (place as u32, place as u32);
        let is_near = |source: usize| source > place.saturating_sub(WINDOW) && source < place;
        let agrees = |source: &usize| is_near(*source) && word(bytes, *source) == wanted as u32;
        let source = sources.into_iter().find(agrees)?;
        let end = bytes.len().min(place + MOST);
        Some((LEAST + common(&bytes[..end], place + LEAST, source + LEAST), place - source))
    }
}
