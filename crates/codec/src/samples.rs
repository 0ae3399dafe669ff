//! Inputs for tests, the same in every run.

/// Returns numbers that look random.
fn numbers(seed: u32) -> impl Iterator<Item = u32> {
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(Some(seed), next).map(|state| state >> 8)
}

pub fn random(length: usize) -> Vec<u8> {
    numbers(1).map(|number| number as u8).take(length).collect()
}

pub fn text(length: usize) -> Vec<u8> {
    numbers(2).flat_map(|number| format!("{} ", number % 5_000).into_bytes()).take(length).collect()
}

/// Returns literals of some alphabet, and copies of any length from any distance.
pub fn mixture(seed: u32) -> Vec<u8> {
    let mut numbers = numbers(seed);
    let mut next = |most: u32| numbers.next().unwrap() % most;
    let alphabet = [1, 2, 3, 16, 100, 256][next(6) as usize];
    let mut bytes: Vec<u8> = Vec::new();
    while bytes.len() < 200_000 {
        let most = [4, 40, 4_000, 140_000][next(4) as usize];
        let count = 1 + next(most) as usize;
        if next(3) == 0 && !bytes.is_empty() {
            let back = 1 + next(bytes.len() as u32) as usize;
            for _ in 0..count {
                bytes.push(bytes[bytes.len() - back]);
            }
        } else {
            bytes.extend((0..count).map(|_| next(alphabet) as u8));
        }
    }
    bytes
}

/// Returns a size and a sum that no change leaves the same.
pub fn size_and_sum(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(*byte));
    format!("{} {sum:x}", bytes.len())
}
