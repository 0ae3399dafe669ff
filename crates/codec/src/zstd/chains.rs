//! A thorough search: all earlier places of a hash, and a second look one byte on.

use super::matches::{Copy, Found, LEAST};
use crate::words::{common, double_word, hash, word};

const HASH_LOG: u32 = 16;
/// Bytes that places are chained by.
const HASHED: usize = 4;
/// A copy of this length is taken at once.
const ENOUGH: usize = 128;

/// Places of a frame by their bytes, each with the one before it.
pub(crate) struct Chains {
    heads: Vec<u32>,
    former: Vec<u32>,
    /// Number of places to look at.
    depth: u32,
    /// Where places are not chained yet.
    next: usize,
    recent: [usize; 2],
}

impl Chains {
    pub fn new(frame: usize, depth: u32) -> Chains {
        Chains { heads: vec![0; 1 << HASH_LOG], former: vec![0; frame], depth, next: 1, recent: [1, 4] }
    }

    /// Finds the copies in `frame[start..end]`, whose sources may lie before it; adds literals and sequences.
    pub fn block(&mut self, frame: &[u8], start: usize, end: usize, found: &mut Found) {
        let frame = &frame[..end];
        let last = end.saturating_sub(9);
        let (mut anchor, mut place) = (start, start.max(1));
        while place < last {
            let Some((mut copy, mut gain)) = self.best(frame, anchor, place) else {
                place += 1 + ((place - anchor) >> 9);
                continue;
            };
            // A copy that begins a byte or two later may give more.
            let mut later = place + 1;
            while later < last && later <= place + 2 && copy.length < ENOUGH {
                if let Some((other, more)) = self.best(frame, anchor, later)
                    && more > gain + 4 * (later - place) as i64
                {
                    (copy, gain, place) = (other, more, later);
                }
                later += 1;
            }
            if copy.offset != self.recent[0] {
                self.recent = [copy.offset, self.recent[0]];
            }
            found.add(&frame[anchor..copy.place], &copy);
            anchor = copy.place + copy.length;
            place = anchor;
        }
        found.literals.extend_from_slice(&frame[anchor..]);
    }

    /// Returns the best copy at `place` or reaching back before it, and its worth in quarters of a byte.
    fn best(&mut self, frame: &[u8], anchor: usize, place: usize) -> Option<(Copy, i64)> {
        self.chain_up_to(frame, place);
        let bytes = word(frame, place);
        let mut best: Option<(Copy, i64)> = None;
        for offset in self.recent {
            if offset <= place && word(frame, place - offset) == bytes {
                let length = LEAST + common(frame, place + LEAST, place + LEAST - offset);
                let gain = 4 * length as i64 - 3;
                if best.as_ref().is_none_or(|(_, most)| gain > *most) {
                    best = Some((Copy { place, length, offset }, gain));
                }
            }
        }
        let mut source = self.former[place] as usize;
        let mut longest = LEAST - 1;
        for _ in 0..self.depth {
            if source == 0 {
                break;
            }
            if word(frame, source) == bytes
                && (longest < LEAST || frame.get(source + longest) == frame.get(place + longest))
            {
                let length = LEAST + common(frame, place + LEAST, source + LEAST);
                if length > longest {
                    longest = length;
                    let offset = place - source;
                    let gain = 4 * length as i64 - i64::from(offset.ilog2()) - 7;
                    if best.as_ref().is_none_or(|(_, most)| gain > *most) {
                        best = Some((Copy { place, length, offset }, gain));
                    }
                    if length >= ENOUGH {
                        break;
                    }
                }
            }
            source = self.former[source] as usize;
        }
        let (mut copy, gain) = best?;
        while copy.place > anchor
            && copy.offset < copy.place
            && frame[copy.place - 1] == frame[copy.place - 1 - copy.offset]
        {
            copy.place -= 1;
            copy.length += 1;
        }
        Some((copy, gain))
    }

    /// Chains all places up to and with `place`.
    fn chain_up_to(&mut self, frame: &[u8], place: usize) {
        for place in self.next..=place {
            let head = &mut self.heads[hash(double_word(frame, place), HASHED, HASH_LOG)];
            self.former[place] = *head;
            *head = place as u32;
        }
        self.next = self.next.max(place + 1);
    }
}
