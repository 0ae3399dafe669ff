//! Prefix codes of limited length (Huffman's), as both deflate and zstd use them.

/// Returns the length of each symbol's code, at most `length_max`; 0 for symbols that do not occur. The same counts always
/// give the same lengths.
pub(crate) fn code_lengths(counts: &[u32], length_max: u8) -> Vec<u8> {
    let mut order: Vec<(u32, u16)> =
        (0_u16..).zip(counts).filter(|(_, count)| **count > 0).map(|(symbol, count)| (*count, symbol)).collect();
    order.sort_unstable();
    let mut lengths = vec![0_u8; counts.len()];
    if order.len() < 2 {
        order.iter().for_each(|(_, symbol)| lengths[usize::from(*symbol)] = 1);
        return lengths;
    }
    let mut of_length = lengths_of_tree(&order, length_max);
    shorten(&mut of_length, length_max);
    // Rare symbols first: they get the long codes.
    let mut symbols = order.iter().map(|(_, symbol)| usize::from(*symbol));
    for length in (1..=length_max).rev() {
        for symbol in symbols.by_ref().take(of_length[usize::from(length)] as usize) {
            lengths[symbol] = length;
        }
    }
    lengths
}

/// Builds the tree over symbols in the order of their counts; returns the number of codes of each length. Longer ones count
/// as of the maximum.
fn lengths_of_tree(order: &[(u32, u16)], length_max: u8) -> Vec<u32> {
    let leaves = order.len();
    // The nodes that are made come in the order of their weights, so two queues are enough.
    let mut weights: Vec<u64> = order.iter().map(|(count, _)| u64::from(*count)).collect();
    let mut parents = vec![0_usize; 2 * leaves - 1];
    let (mut leaf, mut node) = (0, leaves);
    for made in leaves..2 * leaves - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let takes_leaf = leaf < leaves && (node >= made || weights[leaf] <= weights[node]);
            let taken = if takes_leaf { &mut leaf } else { &mut node };
            weight += weights[*taken];
            parents[*taken] = made;
            *taken += 1;
        }
        weights.push(weight);
    }
    let mut depths = vec![0_u32; 2 * leaves - 1];
    let mut of_length = vec![0_u32; usize::from(length_max) + 1];
    for place in (0..2 * leaves - 2).rev() {
        depths[place] = depths[parents[place]] + 1;
        if place < leaves {
            of_length[depths[place].min(u32::from(length_max)) as usize] += 1;
        }
    }
    of_length
}

/// Makes room for the codes that were cut to the maximum length: shorter ones grow.
fn shorten(of_length: &mut [u32], length_max: u8) {
    let most = usize::from(length_max);
    let used: u64 = (1..=most).map(|length| u64::from(of_length[length]) << (most - length)).sum();
    let mut excess = used.saturating_sub(1 << most);
    while excess > 0 {
        // A code of the maximum length takes the place beside a shorter one that becomes longer by a bit.
        let shorter = (1..most).rev().find(|length| of_length[*length] > 0).expect("there are shorter codes");
        of_length[shorter] -= 1;
        of_length[shorter + 1] += 2;
        of_length[most] -= 1;
        excess -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::code_lengths;

    /// Every code is complete, within the limit, and rarer symbols are never shorter.
    #[test]
    fn codes_are_complete() {
        let fibonacci: Vec<u32> =
            (0..30).scan((1, 1), |(a, b), _| Some(std::mem::replace(a, std::mem::replace(b, *a + *b)))).collect();
        let powers: Vec<u32> = (0..31).map(|power| 1 << power).collect();
        let flat = vec![7; 256];
        let sparse: Vec<u32> = (0..256).map(|symbol| if symbol % 37 == 0 { symbol + 1 } else { 0 }).collect();
        for counts in [fibonacci, powers, flat, sparse, vec![1, 1], vec![0, 9, 0, 1]] {
            for most in [8, 11, 15] {
                let lengths = code_lengths(&counts, most);
                let used: u64 =
                    lengths.iter().filter(|length| **length > 0).map(|length| 1_u64 << (most - length)).sum();
                assert_eq!(used, 1 << most, "{counts:?}");
                for (one, first) in counts.iter().zip(&lengths) {
                    assert_eq!(*one == 0, *first == 0);
                    for (other, second) in counts.iter().zip(&lengths).filter(|(other, _)| **other > 0) {
                        assert!(*one <= *other || *one == 0 || first <= second || first == second, "{counts:?}");
                    }
                }
            }
        }
        assert_eq!(code_lengths(&[0, 5, 0], 15), [0, 1, 0]);
        assert_eq!(code_lengths(&[0, 0], 15), [0, 0]);
    }
}
