//! Blocks with codes of their own (RFC 1951, section 3.2.7).

use crate::bits::BitWriter;
use crate::prefix_code::code_lengths;

/// Literals, then a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Number of literals.
    pub literals: u32,
    /// Bytes to copy, from 3 to 258; 0 for none, at the end of a block.
    pub length: u16,
    /// Distance back less one, below 32768.
    pub distance: u16,
}

impl Step {
    /// Returns literals and a copy of `length` bytes from `distance` before.
    pub fn copy(literals: usize, length: usize, distance: usize) -> Step {
        Step { literals: literals as u32, length: length as u16, distance: (distance - 1) as u16 }
    }

    /// Returns literals without a copy.
    pub fn literals(count: usize) -> Step {
        Step { literals: count as u32, length: 0, distance: 0 }
    }
}

const END: usize = 256;
/// Codes for literals and lengths.
const FIRST_CODES: usize = 286;
const DISTANCE_CODES: usize = 30;
/// Order of the lengths of the code for lengths.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// First lengths of the codes from 257 on, less 3, and the number of further bits of each.
const LENGTHS: [(u16, u8); 29] = [
    (0, 0),
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 1),
    (10, 1),
    (12, 1),
    (14, 1),
    (16, 2),
    (20, 2),
    (24, 2),
    (28, 2),
    (32, 3),
    (40, 3),
    (48, 3),
    (56, 3),
    (64, 4),
    (80, 4),
    (96, 4),
    (112, 4),
    (128, 5),
    (160, 5),
    (192, 5),
    (224, 5),
    (255, 0),
];

/// A code and its length in bits.
type Code = (u32, u8);

/// Code of each length less 3, counted from 257.
const fn length_codes() -> [u8; 256] {
    let mut codes = [0; 256];
    let mut code = 0;
    while code < 29 {
        let mut length = LENGTHS[code].0 as usize;
        while length < 256 {
            codes[length] = code as u8;
            length += 1;
        }
        code += 1;
    }
    codes
}

const LENGTH_CODES: [u8; 256] = length_codes();

/// Returns the code of a distance less one, and the number of its further bits.
fn distance_code(distance: u16) -> (usize, u32) {
    if distance < 4 {
        return (usize::from(distance), 0);
    }
    let log = distance.ilog2();
    ((2 * log + u32::from(distance >> (log - 1) & 1)) as usize, log - 1)
}

/// Writes a block that is not the last one: the steps make `bytes`.
pub(super) fn write_block(bytes: &[u8], steps: &[Step], bits: &mut BitWriter) {
    let (firsts, distances) = counts(bytes, steps);
    let (first_lengths, distance_lengths) = (code_lengths(&firsts, 15), code_lengths(&distances, 15));
    bits.add(2 << 1, 3);
    write_lengths(&first_lengths, &distance_lengths, bits);
    write_symbols(bytes, steps, &codes(&first_lengths), &codes(&distance_lengths), bits);
}

/// Returns how often each code occurs.
fn counts(bytes: &[u8], steps: &[Step]) -> ([u32; FIRST_CODES], [u32; DISTANCE_CODES]) {
    let (mut firsts, mut distances) = ([0_u32; FIRST_CODES], [0_u32; DISTANCE_CODES]);
    firsts[END] = 1;
    let mut place = 0;
    for step in steps {
        let after = place + step.literals as usize;
        bytes[place..after].iter().for_each(|byte| firsts[usize::from(*byte)] += 1);
        place = after + usize::from(step.length);
        if step.length > 0 {
            firsts[257 + usize::from(LENGTH_CODES[usize::from(step.length - 3)])] += 1;
            distances[distance_code(step.distance).0] += 1;
        }
    }
    (firsts, distances)
}

fn write_symbols(bytes: &[u8], steps: &[Step], firsts: &[Code], distances: &[Code], bits: &mut BitWriter) {
    // Each length with its further bits.
    let of_length = |length: usize| {
        let code = usize::from(LENGTH_CODES[length]);
        let ((bits, count), (first, further)) = (firsts[257 + code], LENGTHS[code]);
        (bits | (length as u32 - u32::from(first)) << count, count + further)
    };
    let lengths: [Code; 256] = std::array::from_fn(of_length);
    let literals: &[Code; 256] = firsts[..256].try_into().expect("there are 256 bytes");
    let add = |(code, count): Code, bits: &mut BitWriter| bits.add(u64::from(code), u32::from(count));
    let mut place = 0;
    for step in steps {
        let after = place + step.literals as usize;
        // Three codes fit between two flushes, and so do all parts of a copy.
        for group in bytes[place..after].chunks(3) {
            group.iter().for_each(|byte| add(literals[usize::from(*byte)], bits));
            bits.flush();
        }
        place = after + usize::from(step.length);
        if step.length > 0 {
            let (code, further) = distance_code(step.distance);
            add(lengths[usize::from(step.length - 3)], bits);
            add(distances[code], bits);
            bits.add(u64::from(step.distance) & ((1 << further) - 1), further);
            bits.flush();
        }
    }
    add(firsts[END], bits);
    bits.flush();
}

/// Writes the lengths of both codes, in a code of their own.
fn write_lengths(firsts: &[u8], distances: &[u8], bits: &mut BitWriter) {
    let used = |lengths: &[u8], least: usize| {
        lengths.iter().rposition(|length| *length > 0).map_or(0, |last| last + 1).max(least)
    };
    let (first_count, distance_count) = (used(firsts, 257), used(distances, 1));
    let all: Vec<u8> = [&firsts[..first_count], &distances[..distance_count]].concat();
    // Symbols with their further bits.
    let mut symbols: Vec<(u8, u64, u32)> = Vec::new();
    let mut rest = &all[..];
    while let Some(first) = rest.first() {
        let run = rest.iter().take_while(|length| *length == first).count();
        rest = &rest[run..];
        let mut left = run;
        if *first > 0 {
            symbols.push((*first, 0, 0));
            left -= 1;
        }
        while left >= 3 {
            let (symbol, most, width) = match (*first, left) {
                (0, 11..) => (18, 138, 7),
                (0, _) => (17, 10, 3),
                _ => (16, 6, 2),
            };
            let count = left.min(most);
            let least = if symbol == 18 { 11 } else { 3 };
            symbols.push((symbol, (count - least) as u64, width));
            left -= count;
        }
        symbols.extend(std::iter::repeat_n((*first, 0, 0), left));
    }
    let mut counts = [0_u32; 19];
    symbols.iter().for_each(|(symbol, _, _)| counts[usize::from(*symbol)] += 1);
    let lengths = code_lengths(&counts, 7);
    let listed = ORDER.iter().rposition(|symbol| lengths[*symbol] > 0).map_or(4, |last| (last + 1).max(4));
    bits.add((first_count - 257) as u64, 5);
    bits.add((distance_count - 1) as u64, 5);
    bits.add((listed - 4) as u64, 4);
    bits.flush();
    for symbol in &ORDER[..listed] {
        bits.add(u64::from(lengths[*symbol]), 3);
        bits.flush();
    }
    let codes = codes(&lengths);
    for (symbol, further, width) in symbols {
        let (code, count) = codes[usize::from(symbol)];
        bits.add(u64::from(code), u32::from(count));
        bits.add(further, width);
        bits.flush();
    }
}

/// Returns the codes with these lengths (section 3.2.2), their first bit lowest.
fn codes(lengths: &[u8]) -> Vec<Code> {
    let mut next = [0_u32; 16];
    let mut of_length = [0_u32; 16];
    lengths.iter().filter(|length| **length > 0).for_each(|length| of_length[usize::from(*length)] += 1);
    for length in 1..16 {
        next[length] = (next[length - 1] + of_length[length - 1]) << 1;
    }
    let code = |length: &u8| {
        if *length == 0 {
            return (0, 0);
        }
        let next = &mut next[usize::from(*length)];
        *next += 1;
        ((*next - 1).reverse_bits() >> (32 - u32::from(*length)), *length)
    };
    lengths.iter().map(code).collect()
}
