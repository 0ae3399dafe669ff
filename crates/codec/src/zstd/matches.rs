//! What came before: finds places of a frame whose bytes come again.

use super::sequences::Sequence;
use crate::words::{common, double_word, hash, word};

/// Bytes that an entry of the table of long places agrees in.
const LONG: usize = 8;
/// Bytes that an entry of the table of short places is looked up by; four of them have to agree.
const SHORT: usize = 5;
const LONG_LOG: u32 = 17;
const SHORT_LOG: u32 = 16;
/// Shortest copy.
pub(super) const LEAST: usize = 4;
/// After as many bytes without a copy, every second place is looked at, then every third, …
const PATIENCE_LOG: u32 = 8;

/// Two tables of places by their bytes, as zstd's own middle levels have them.
pub(crate) struct Matcher {
    long: Vec<u32>,
    short: Vec<u32>,
    /// The last two distances of the frame.
    recent: [usize; 2],
}

impl Matcher {
    pub fn new() -> Matcher {
        Matcher { long: vec![0; 1 << LONG_LOG], short: vec![0; 1 << SHORT_LOG], recent: [1, 4] }
    }

    /// Finds the copies in `frame[start..end]`, whose sources may lie before it; adds literals and sequences.
    pub fn block(&mut self, frame: &[u8], start: usize, end: usize, found: &mut Found) {
        let frame = &frame[..end];
        let last = end.saturating_sub(LONG + 1);
        let (mut anchor, mut place) = (start, start.max(1));
        while place < last {
            let Some(copy) = self.copy_at(frame, anchor, place) else {
                place += 1 + ((place - anchor) >> PATIENCE_LOG);
                continue;
            };
            found.add(&frame[anchor..copy.place], &copy);
            let first = copy.place;
            anchor = copy.place + copy.length;
            place = anchor;
            if place < last {
                self.insert(frame, first + 2);
                self.insert(frame, place - 2);
                place = self.again(frame, place, last, found);
                anchor = place;
            }
        }
        found.literals.extend_from_slice(&frame[anchor..]);
    }

    /// Adds copies from the last but one distance that follow at once; returns where they end.
    fn again(&mut self, frame: &[u8], mut place: usize, last: usize, found: &mut Found) -> usize {
        while place < last && self.recent[1] <= place && word(frame, place) == word(frame, place - self.recent[1]) {
            let offset = self.recent[1];
            let length = LEAST + common(frame, place + LEAST, place + LEAST - offset);
            self.recent.swap(0, 1);
            self.insert(frame, place);
            found.add(&[], &Copy { place, length, offset });
            place += length;
        }
        place
    }

    fn insert(&mut self, frame: &[u8], place: usize) {
        let bytes = double_word(frame, place);
        self.long[hash(bytes, LONG, LONG_LOG)] = place as u32;
        self.short[hash(bytes, SHORT, SHORT_LOG)] = place as u32;
    }

    /// Returns the copy that begins at `place`, or a little before or behind it.
    fn copy_at(&mut self, frame: &[u8], anchor: usize, place: usize) -> Option<Copy> {
        let bytes = double_word(frame, place);
        let long = &mut self.long[hash(bytes, LONG, LONG_LOG)];
        let short = &mut self.short[hash(bytes, SHORT, SHORT_LOG)];
        let (of_long, of_short) = (*long as usize, *short as usize);
        (*long, *short) = (place as u32, place as u32);
        // One byte on, the last distance may hold again.
        let next = place + 1;
        if self.recent[0] <= next && word(frame, next) == word(frame, next - self.recent[0]) {
            let offset = self.recent[0];
            let length = LEAST + common(frame, next + LEAST, next + LEAST - offset);
            return Some(Copy { place: next, length, offset });
        }
        if of_long > 0 && double_word(frame, of_long) == bytes {
            return Some(self.extended(frame, anchor, (place, of_long), LONG));
        }
        if of_short == 0 || word(frame, of_short) != bytes as u32 {
            return None;
        }
        let bytes = double_word(frame, next);
        let long = &mut self.long[hash(bytes, LONG, LONG_LOG)];
        let of_next = *long as usize;
        *long = next as u32;
        if of_next > 0 && double_word(frame, of_next) == bytes {
            return Some(self.extended(frame, anchor, (next, of_next), LONG));
        }
        Some(self.extended(frame, anchor, (place, of_short), LEAST))
    }

    /// Returns the copy from `source` to `place`, of which the first `known` bytes agree, as far as it goes both ways.
    fn extended(&mut self, frame: &[u8], anchor: usize, (place, source): (usize, usize), known: usize) -> Copy {
        let ahead = known + common(frame, place + known, source + known);
        let before = frame[anchor..place].iter().rev().zip(frame[..source].iter().rev());
        let behind = before.take_while(|(one, other)| one == other).count();
        let offset = place - source;
        self.recent = [offset, self.recent[0]];
        Copy { place: place - behind, length: ahead + behind, offset }
    }
}

/// Literals of a block, and the copies between them.
#[derive(Default)]
pub(crate) struct Found {
    pub literals: Vec<u8>,
    pub sequences: Vec<Sequence>,
}

impl Found {
    pub fn add(&mut self, literals: &[u8], copy: &Copy) {
        self.literals.extend_from_slice(literals);
        let (literals, length, offset) = (literals.len() as u32, copy.length as u32, copy.offset as u32);
        self.sequences.push(Sequence { literals, length, offset });
    }
}

/// A copy of bytes from `offset` before `place`.
pub(super) struct Copy {
    pub place: usize,
    pub length: usize,
    pub offset: usize,
}
