//! Many small things on all cores: a slice in as many parts as there are cores. Does not know what is done.

/// Fewer things than this are done by one thread.
const WORTH_THREADS: usize = 512;

/// Calls `work` with parts of `items` that together are all of them, each on a thread of its own where there is much
/// to do: `count` small things in all. The results are in the order of the parts.
pub fn in_parts<T: Sync, R: Send>(items: &[T], count: usize, work: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    if items.is_empty() || count < WORTH_THREADS || threads == 1 {
        return vec![work(items)];
    }
    let work = &work;
    std::thread::scope(|scope| {
        let parts = items.chunks(items.len().div_ceil(threads));
        let workers: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
        workers.into_iter().map(|worker| worker.join().expect("a part's work does not panic")).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_in_order() {
        for count in [0, 1, WORTH_THREADS - 1, WORTH_THREADS, 10_007] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(in_parts(&items, count, <[usize]>::to_vec).concat(), items, "{count}");
            assert_eq!(in_parts(&items, 10 * WORTH_THREADS, <[usize]>::to_vec).concat(), items, "{count}");
        }
    }
}
