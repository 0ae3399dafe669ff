//! Several requests to a registry at once, which end together.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rondel_engine::{StepContext, StepError};
use rondel_registry::Watcher;

/// Number of requests at once, as Docker has it.
const AT_ONCE: usize = 5;

/// What the requests of a step have in common.
pub(crate) struct Watch<'a> {
    pub context: &'a StepContext<'a>,
    go_on: Box<dyn Fn(u64, u64) -> bool + Sync + 'a>,
    say: Box<dyn Fn(String) + Sync + 'a>,
    /// True once one of them has failed: it ends them all.
    has_failed: Arc<AtomicBool>,
}

impl<'a> Watch<'a> {
    pub fn new(context: &'a StepContext<'a>) -> Watch<'a> {
        let has_failed = Arc::new(AtomicBool::new(false));
        let failed = Arc::clone(&has_failed);
        let go_on = move |_, _| !failed.load(Ordering::Relaxed) && !context.cancellation.is_raised();
        Watch { context, go_on: Box::new(go_on), say: Box::new(|text| context.note(text)), has_failed }
    }

    /// Returns true until the build is stopped or one of the requests has failed.
    pub fn goes_on(&self) -> bool {
        (self.go_on)(0, 0)
    }

    /// Returns what a request without progress is watched by.
    pub fn watcher(&self) -> Watcher<'_> {
        Watcher { progress: &*self.go_on, say: &*self.say }
    }
}

/// Calls `work` with each of `items`, a few at once. The results are in the order of the items; of several failures the
/// first one counts.
pub(crate) fn at_once<T: Sync, R: Send>(
    items: &[T],
    watch: &Watch<'_>,
    work: impl Fn(&T) -> Result<R, StepError> + Sync,
) -> Result<Vec<R>, StepError> {
    if let [only] = items {
        return work(only).map(|result| vec![result]);
    }
    let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
    let done: Mutex<Vec<(usize, R)>> = Mutex::default();
    let take = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index).filter(|_| watch.goes_on()) else { return };
            match work(item) {
                Ok(result) => done.lock().expect("no panic while locked").push((index, result)),
                Err(error) => {
                    let mut failure = failure.lock().expect("no panic while locked");
                    // The others end because of it.
                    failure.get_or_insert(error);
                    watch.has_failed.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(items.len()) {
            scope.spawn(take);
        }
    });
    if let Some(error) = failure.into_inner().expect("no panic while locked") {
        return Err(error);
    }
    let mut done = done.into_inner().expect("no panic while locked");
    if done.len() < items.len() {
        return Err(StepError::Interrupted);
    }
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
