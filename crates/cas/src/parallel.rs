//! Small jobs on all cores: splits a slice into as many parts as there are cores. Knows nothing of the jobs.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Below this number of jobs, one thread does them all.
const WORTH_THREADS: usize = 512;

/// Returns the number of cores for this process, at most eight: more of them would wait for the same disk.
fn cores() -> usize {
    // Finding out reads system files; the answer does not change.
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).min(8))
}

/// Calls `work` with consecutive parts of `items`, each on a thread of its own if there is enough work. `count` is the
/// number of small jobs in all. The results are in the order of the parts.
pub fn par_chunks<T: Sync, R: Send>(items: &[T], count: usize, work: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    let threads = cores();
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

/// Calls `work` with each of `items` on all cores; each core takes the next few when it has finished its own. The
/// results are in the order of the items. `weight` is the number of small jobs in all, to decide whether threads are
/// worth it.
pub fn par_map<T: Sync, R: Send>(items: &[T], weight: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    const AT_ONCE: usize = 8;
    let threads = cores();
    if items.len() < 2 || weight < WORTH_THREADS || threads == 1 {
        return items.iter().map(work).collect();
    }
    // The last ones are taken one by one, so that all cores finish at about the same time.
    let bulk = items.len().saturating_sub(threads * 2 * AT_ONCE) / AT_ONCE;
    let range = |index: usize| match index.checked_sub(bulk) {
        None => index * AT_ONCE..(index + 1) * AT_ONCE,
        Some(single) => bulk * AT_ONCE + single..bulk * AT_ONCE + single + 1,
    };
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done: Vec<(usize, Vec<R>)> = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = items.get(range(index)) else { return done };
            done.push((index, part.iter().map(&work).collect()));
        }
    };
    let mut parts: Vec<(usize, Vec<R>)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(take)).collect();
        let mut parts = take();
        for other in others {
            parts.extend(other.join().expect("work on a part does not panic"));
        }
        parts
    });
    parts.sort_unstable_by_key(|(index, _)| *index);
    parts.into_iter().flat_map(|(_, part)| part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_in_order() {
        for count in [0, 1, 7, 31, 32, 33, 41, WORTH_THREADS - 1, WORTH_THREADS, 10_007] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(par_chunks(&items, count, <[usize]>::to_vec).concat(), items, "{count}");
            assert_eq!(par_map(&items, count, |item| *item), items, "{count}");
            assert_eq!(par_map(&items, 10 * WORTH_THREADS, |item| *item), items, "{count}");
            assert_eq!(par_chunks(&items, 10 * WORTH_THREADS, <[usize]>::to_vec).concat(), items, "{count}");
        }
    }
}
