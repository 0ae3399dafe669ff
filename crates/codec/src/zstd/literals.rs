//! The literals of a block (RFC 8878, section 3.1.1.3.1): plain, one byte many times, or with a prefix code of their own.

use super::fse::FseTable;
use crate::bits::BitWriter;
use crate::prefix_code::code_lengths;

/// Maximum length of a code in bits.
const LENGTH_MAX: u8 = 11;
/// Maximum of the logarithm of the table for the lengths.
const WEIGHTS_LOG_MAX: u32 = 6;
/// Fewer literals are not worth a code.
const FEW: usize = 64;

/// Writes the section.
pub(crate) fn write_literals(literals: &[u8], block: &mut Vec<u8>) {
    if let Some(first) = literals.first()
        && literals.iter().all(|byte| byte == first)
    {
        write_size(1, literals.len(), block);
        block.push(*first);
        return;
    }
    match compressed(literals) {
        Some(section) if section.len() < literals.len() => block.extend_from_slice(&section),
        _ => {
            write_size(0, literals.len(), block);
            block.extend_from_slice(literals);
        }
    }
}

/// Writes the header of a section that is not compressed.
fn write_size(kind: u32, size: usize, block: &mut Vec<u8>) {
    let size = size as u32;
    match size {
        0..32 => block.push((kind | size << 3) as u8),
        32..4096 => block.extend_from_slice(&(kind | 1 << 2 | size << 4).to_le_bytes()[..2]),
        _ => block.extend_from_slice(&(kind | 3 << 2 | size << 4).to_le_bytes()[..3]),
    }
}

/// Returns the section with a prefix code; `None` if there is none that helps.
fn compressed(literals: &[u8]) -> Option<Vec<u8>> {
    if literals.len() < FEW {
        return None;
    }
    let lengths = code_lengths(&counts_of(literals), LENGTH_MAX);
    let tree = tree_of(&lengths)?;
    let codes = codes_of(&lengths);
    let part = literals.len().div_ceil(4);
    let streams: Vec<Vec<u8>> = literals.chunks(part).map(|literals| stream(literals, &codes)).collect();
    let [first, second, third, _] = streams.as_slice() else { return None };
    let size = tree.len() + 6 + streams.iter().map(Vec::len).sum::<usize>();
    let (format, bits, bytes) = match literals.len().max(size) {
        ..1024 => (1, 10, 3),
        1024..16_384 => (2, 14, 4),
        _ => (3, 18, 5),
    };
    let header = 2 | format << 2 | (literals.len() as u64) << 4 | (size as u64) << (4 + bits);
    let mut section = header.to_le_bytes()[..bytes].to_vec();
    section.extend_from_slice(&tree);
    for stream in [first, second, third] {
        section.extend_from_slice(&u16::try_from(stream.len()).ok()?.to_le_bytes());
    }
    streams.iter().for_each(|stream| section.extend_from_slice(stream));
    Some(section)
}

fn counts_of(literals: &[u8]) -> [u32; 256] {
    // Four tables, since adding to the same place again and again waits each time.
    let mut tables = [[0_u32; 256]; 4];
    let mut chunks = literals.chunks_exact(4);
    for chunk in &mut chunks {
        for (table, byte) in tables.iter_mut().zip(chunk) {
            table[usize::from(*byte)] += 1;
        }
    }
    chunks.remainder().iter().for_each(|byte| tables[0][usize::from(*byte)] += 1);
    std::array::from_fn(|byte| tables.iter().map(|table| table[byte]).sum())
}

/// Returns the description of the code (section 4.2.1); `None` if it can't be described.
fn tree_of(lengths: &[u8]) -> Option<Vec<u8>> {
    let longest = lengths.iter().max()?;
    let last = lengths.iter().rposition(|length| *length > 0)?;
    let weight = |length: &u8| if *length == 0 { 0 } else { longest + 1 - length };
    // That of the last symbol follows from the others.
    let weights: Vec<u8> = lengths[..last].iter().map(weight).collect();
    if let Some(packed) = packed_weights(&weights) {
        let mut tree = vec![packed.len() as u8];
        tree.extend_from_slice(&packed);
        return Some(tree);
    }
    if weights.len() > 128 {
        return None;
    }
    let mut tree = vec![127 + weights.len() as u8];
    tree.extend(weights.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)));
    Some(tree)
}

/// Returns the weights in finite state entropy, by two states in turns.
fn packed_weights(weights: &[u8]) -> Option<Vec<u8>> {
    let mut counts = [0_u32; LENGTH_MAX as usize + 1];
    weights.iter().for_each(|weight| counts[usize::from(*weight)] += 1);
    if weights.len() < 3 || counts.iter().filter(|count| **count > 0).count() < 2 {
        return None;
    }
    let table = FseTable::of_counts(&counts, WEIGHTS_LOG_MAX);
    let mut bits = BitWriter::default();
    let count = weights.len();
    let mut states = [0_u32; 2];
    for index in [count - 1, count - 2] {
        states[index % 2] = table.start(weights[index]);
    }
    for index in (0..count - 2).rev() {
        table.encode(weights[index], &mut states[index % 2], &mut bits);
        bits.flush();
    }
    table.end(states[1], &mut bits);
    table.end(states[0], &mut bits);
    let mut packed = table.header();
    packed.extend_from_slice(&bits.finish_marked());
    // A longer one can't be told from weights that are not packed.
    (packed.len() < 128 && (count > 128 || packed.len() < count.div_ceil(2))).then_some(packed)
}

/// Returns the code of each byte and its length: long codes have the low numbers.
fn codes_of(lengths: &[u8]) -> [(u16, u8); 256] {
    let mut codes = [(0, 0); 256];
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let mut next = 0_u16;
    for length in (1..=longest).rev() {
        for (code, _) in codes.iter_mut().zip(lengths).filter(|(_, other)| **other == length) {
            *code = (next, length);
            next += 1;
        }
        next >>= 1;
    }
    codes
}

/// Returns the codes of literals, to be read from the end.
fn stream(literals: &[u8], codes: &[(u16, u8); 256]) -> Vec<u8> {
    let mut bits = BitWriter::with_capacity(literals.len());
    let add = |bits: &mut BitWriter, byte: &u8| {
        let (code, length) = codes[usize::from(*byte)];
        bits.add(u64::from(code), u32::from(length));
    };
    let mut groups = literals.rchunks_exact(4);
    for group in &mut groups {
        group.iter().rev().for_each(|byte| add(&mut bits, byte));
        bits.flush();
    }
    groups.remainder().iter().rev().for_each(|byte| add(&mut bits, byte));
    bits.finish_marked()
}
