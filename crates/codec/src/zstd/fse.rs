//! Finite state entropy (RFC 8878, section 4.1): tables of probabilities, as a header and for encoding.

use crate::bits::BitWriter;

/// A table for encoding symbols.
pub(crate) struct FseTable {
    log: u32,
    /// Cells of each symbol; they add up to the size of the table.
    cells: Vec<u32>,
    next_states: Vec<u16>,
    /// For each symbol: bits to write, in a form that needs no branch, and its place in `next_states`.
    symbols: Vec<(u32, i32)>,
}

impl FseTable {
    /// Makes a table for symbols that occur so often, at least two of them. Its size is a power of two, up to `log_max`.
    pub fn of_counts(counts: &[u32], log_max: u32) -> FseTable {
        let used = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        let counts = &counts[..used];
        let total: u32 = counts.iter().sum();
        let distinct = counts.iter().filter(|count| **count > 0).count() as u32;
        // Room for each symbol, and no more cells than there is to encode.
        let least = (distinct.next_power_of_two().ilog2() + 1).max(5);
        let log = total.ilog2().saturating_sub(1).clamp(5, log_max).max(least.min(log_max));
        FseTable::of_cells(normalised(counts, total, log), log)
    }

    /// Makes a table from the cells of its symbols.
    pub fn of_cells(cells: Vec<u32>, log: u32) -> FseTable {
        let size = 1_usize << log;
        let step = (size >> 1) + (size >> 3) + 3;
        let mut spread = vec![0_u8; size];
        let mut position = 0;
        for (symbol, count) in cells.iter().enumerate() {
            for _ in 0..*count {
                spread[position] = symbol as u8;
                position = (position + step) & (size - 1);
            }
        }
        let mut starts = Vec::with_capacity(cells.len());
        let mut total = 0_u32;
        for count in &cells {
            starts.push(total);
            total += count;
        }
        let mut free = starts.clone();
        let mut next_states = vec![0_u16; size];
        for (place, symbol) in spread.iter().enumerate() {
            let slot = &mut free[usize::from(*symbol)];
            next_states[*slot as usize] = (size + place) as u16;
            *slot += 1;
        }
        let of_symbol = |(count, start): (&u32, &u32)| match count {
            0 => (0, 0),
            1 => ((log << 16) - (1 << log), *start as i32 - 1),
            count => {
                let most = log - (count - 1).ilog2();
                ((most << 16) - (count << most), *start as i32 - *count as i32)
            }
        };
        let symbols = cells.iter().zip(&starts).map(of_symbol).collect();
        FseTable { log, cells, next_states, symbols }
    }

    /// Writes the description of the table (section 4.1.1).
    pub fn header(&self) -> Vec<u8> {
        let mut bits = BitWriter::default();
        bits.add(u64::from(self.log - 5), 4);
        let mut remaining = (1_u32 << self.log) + 1;
        let (mut threshold, mut width) = (1_u32 << self.log, self.log + 1);
        let mut symbol = 0;
        while symbol < self.cells.len() && remaining > 1 {
            let count = self.cells[symbol];
            symbol += 1;
            let most = 2 * threshold - 1 - remaining;
            remaining -= count;
            let mut value = count + 1;
            if value >= threshold {
                value += most;
            }
            bits.add(u64::from(value), width - u32::from(value < most));
            bits.flush();
            while remaining < threshold && threshold > 1 {
                width -= 1;
                threshold >>= 1;
            }
            if count == 0 {
                let mut zeros = self.cells[symbol..].iter().take_while(|count| **count == 0).count();
                symbol += zeros;
                while zeros >= 3 {
                    bits.add(3, 2);
                    bits.flush();
                    zeros -= 3;
                }
                bits.add(zeros as u64, 2);
                bits.flush();
            }
        }
        bits.finish()
    }

    /// Returns the state after the last symbol, which is the first to be encoded and costs no bits.
    pub fn start(&self, symbol: u8) -> u32 {
        let (bits, place) = self.symbols[usize::from(symbol)];
        let count = (bits + (1 << 15)) >> 16;
        let value = (count << 16) - bits;
        u32::from(self.next_states[((value >> count) as i32 + place) as usize])
    }

    /// Encodes a symbol; the caller flushes.
    pub fn encode(&self, symbol: u8, state: &mut u32, bits: &mut BitWriter) {
        let (delta, place) = self.symbols[usize::from(symbol)];
        let count = (*state + delta) >> 16;
        bits.add(u64::from(*state) & ((1 << count) - 1), count);
        *state = u32::from(self.next_states[((*state >> count) as i32 + place) as usize]);
    }

    /// Writes the last state, where decoding begins.
    pub fn end(&self, state: u32, bits: &mut BitWriter) {
        bits.add(u64::from(state) & ((1 << self.log) - 1), self.log);
    }
}

/// Scales counts so that they add up to the size of the table, and none that occurs vanishes.
fn normalised(counts: &[u32], total: u32, log: u32) -> Vec<u32> {
    let size = 1_u64 << log;
    let scaled = |count: &u32| match count {
        0 => 0,
        count => ((u64::from(*count) * size + u64::from(total) / 2) / u64::from(total)).max(1) as u32,
    };
    let mut cells: Vec<u32> = counts.iter().map(scaled).collect();
    let mut sum: u64 = cells.iter().map(|cells| u64::from(*cells)).sum();
    while sum != size {
        let (largest, most) = cells
            .iter()
            .copied()
            .enumerate()
            .max_by_key(|(index, cells)| (*cells, usize::MAX - index))
            .expect("there are symbols");
        let step = if sum > size { (sum - size).min(u64::from(most / 4).max(1)) } else { size - sum };
        if sum > size {
            cells[largest] -= step as u32;
            sum -= step;
        } else {
            cells[largest] += step as u32;
            sum += step;
        }
    }
    cells
}
