//! The sequences of a block (RFC 8878, section 3.1.1.3.2): how many literals, then how much from how far back.

use super::fse::FseTable;
use crate::bits::BitWriter;

/// Literals, then a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// Number of literals.
    pub literals: u32,
    /// Bytes to copy, at least 3.
    pub length: u32,
    /// Distance back, at least 1.
    pub offset: u32,
}

/// The last three distances, which are cheap to use again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offsets(pub [u32; 3]);

/// A code, the value of its further bits, and their number.
type Coded = (u8, u32, u32);

const LITERALS_LOG_MAX: u32 = 9;
const LENGTHS_LOG_MAX: u32 = 9;
const OFFSETS_LOG_MAX: u32 = 8;

impl Offsets {
    /// Those at the beginning of a frame.
    pub const START: Offsets = Offsets([1, 4, 8]);

    /// Returns the value for a distance, and remembers it.
    fn value_of(&mut self, sequence: &Sequence) -> u32 {
        let [first, second, third] = self.0;
        let offset = sequence.offset;
        let place = if sequence.literals > 0 {
            [first, second, third].iter().position(|known| *known == offset)
        } else {
            [second, third, first.wrapping_sub(1)].iter().position(|known| *known == offset)
        };
        // Without literals the first one makes no sense, and the numbers mean the next ones.
        match place.map(|place| place + usize::from(sequence.literals == 0)) {
            Some(0) => {}
            Some(1) => self.0 = [second, first, third],
            Some(_) | None => self.0 = [offset, first, second],
        }
        place.map_or(offset + 3, |place| place as u32 + 1)
    }
}

/// Writes the section.
pub(crate) fn write_sequences(sequences: &[Sequence], offsets: &mut Offsets, block: &mut Vec<u8>) {
    let count = sequences.len();
    match count {
        0..128 => block.push(count as u8),
        128..0x7f00 => block.extend_from_slice(&[(count >> 8) as u8 + 128, count as u8]),
        _ => {
            block.push(255);
            block.extend_from_slice(&((count - 0x7f00) as u16).to_le_bytes());
        }
    }
    if count == 0 {
        return;
    }
    let coded: Vec<[Coded; 3]> = sequences
        .iter()
        .map(|sequence| {
            let value = offsets.value_of(sequence);
            let log = value.ilog2();
            [coded_literals(sequence.literals), (log as u8, value - (1 << log), log), coded_length(sequence.length)]
        })
        .collect();
    let logs = [LITERALS_LOG_MAX, OFFSETS_LOG_MAX, LENGTHS_LOG_MAX];
    let modes: [Mode; 3] = std::array::from_fn(|kind| Mode::of(&coded, kind, logs[kind]));
    let number = |kind: usize| match modes[kind] {
        Mode::Same(_) => 1,
        Mode::Table(_) => 2,
    };
    block.push(number(0) << 6 | number(1) << 4 | number(2) << 2);
    for mode in &modes {
        match mode {
            Mode::Same(code) => block.push(*code),
            Mode::Table(table) => block.extend_from_slice(&table.header()),
        }
    }
    block.extend_from_slice(&stream(&coded, &modes));
}

/// How the codes of one kind are written.
enum Mode {
    Same(u8),
    Table(FseTable),
}

impl Mode {
    fn of(coded: &[[Coded; 3]], kind: usize, log_max: u32) -> Mode {
        let mut counts = [0_u32; 64];
        coded.iter().for_each(|coded| counts[usize::from(coded[kind].0)] += 1);
        let (first, _, _) = coded[0][kind];
        match counts[usize::from(first)] as usize == coded.len() {
            true => Mode::Same(first),
            false => Mode::Table(FseTable::of_counts(&counts, log_max)),
        }
    }

    fn start(&self, code: u8) -> u32 {
        match self {
            Mode::Same(_) => 0,
            Mode::Table(table) => table.start(code),
        }
    }

    fn encode(&self, code: u8, state: &mut u32, bits: &mut BitWriter) {
        if let Mode::Table(table) = self {
            table.encode(code, state, bits);
        }
    }

    fn end(&self, state: u32, bits: &mut BitWriter) {
        if let Mode::Table(table) = self {
            table.end(state, bits);
        }
    }
}

/// Returns all sequences as bits, to be read from the end.
fn stream(coded: &[[Coded; 3]], modes: &[Mode; 3]) -> Vec<u8> {
    let [of_literals, of_offsets, of_lengths] = modes;
    let mut bits = BitWriter::with_capacity(coded.len() * 4);
    let further = |bits: &mut BitWriter, [literals, offset, length]: &[Coded; 3]| {
        bits.add(u64::from(literals.1), literals.2);
        bits.add(u64::from(length.1), length.2);
        bits.flush();
        bits.add(u64::from(offset.1), offset.2);
        bits.flush();
    };
    let Some((last, others)) = coded.split_last() else { return Vec::new() };
    let mut states = [of_literals.start(last[0].0), of_offsets.start(last[1].0), of_lengths.start(last[2].0)];
    further(&mut bits, last);
    for coded in others.iter().rev() {
        of_offsets.encode(coded[1].0, &mut states[1], &mut bits);
        of_lengths.encode(coded[2].0, &mut states[2], &mut bits);
        of_literals.encode(coded[0].0, &mut states[0], &mut bits);
        further(&mut bits, coded);
    }
    of_lengths.end(states[2], &mut bits);
    of_offsets.end(states[1], &mut bits);
    of_literals.end(states[0], &mut bits);
    bits.finish_marked()
}

/// First values of the codes 16 and up for numbers of literals; each code's further bits reach to the next one.
const LITERALS: [u32; 20] =
    [16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
/// The same for the codes 32 and up of lengths.
const LENGTHS: [u32; 21] =
    [35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16_387, 32_771, 65_539];

fn coded_literals(count: u32) -> Coded {
    if count < 16 {
        return (count as u8, 0, 0);
    }
    if count >= 64 {
        let log = count.ilog2();
        return ((log + 19) as u8, count - (1 << log), log);
    }
    by_table(count, &LITERALS, 16)
}

fn coded_length(length: u32) -> Coded {
    if length < 35 {
        return ((length - 3) as u8, 0, 0);
    }
    if length >= 131 {
        let log = (length - 3).ilog2();
        return ((log + 36) as u8, length - 3 - (1 << log), log);
    }
    by_table(length, &LENGTHS, 32)
}

fn by_table(value: u32, firsts: &[u32], code: usize) -> Coded {
    let place = firsts.partition_point(|first| *first <= value) - 1;
    let bits = firsts.get(place + 1).map_or(16, |next| (next - firsts[place]).ilog2());
    ((code + place) as u8, value - firsts[place], bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The short ways agree with the tables of the specification.
    #[test]
    fn codes() {
        for value in (16..131_072).chain([65_536, 131_071]) {
            assert_eq!(coded_literals(value), by_table(value, &LITERALS, 16), "{value}");
        }
        for value in 35..131_075 {
            assert_eq!(coded_length(value), by_table(value, &LENGTHS, 32), "{value}");
        }
        assert_eq!((coded_literals(15), coded_length(3), coded_length(34)), ((15, 0, 0), (0, 0, 0), (31, 0, 0)));
    }

    #[test]
    fn distances_that_come_again() {
        let mut offsets = Offsets::START;
        let mut value = |literals, offset| offsets.value_of(&Sequence { literals, length: 3, offset });
        assert_eq!([value(1, 1), value(1, 4), value(1, 4), value(0, 1)], [1, 2, 1, 1]);
        // Now they are 1, 4, 8.
        assert_eq!([value(1, 8), value(1, 100), value(0, 99)], [3, 103, 3]);
    }
}
