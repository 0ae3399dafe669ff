//! Keeps the store below its limit while builds go on: in the background, at the lowest priority, and never waited for.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rondel_cas::{STORE_FORMAT, Store};

use crate::exit::Failure;
use crate::session::Caller;

/// What blobs and results may take where `RONDEL_CACHE_MAX` does not say.
const LIMIT: u64 = 10 << 30;
/// Looking through the store again is not worth it sooner.
const EVERY: Duration = Duration::from_secs(600);

/// The limit of the store, in bytes.
pub(crate) fn limit(caller: &Caller) -> Result<u64, Failure> {
    let Some(text) = caller.get("RONDEL_CACHE_MAX") else { return Ok(LIMIT) };
    bytes_of(text).ok_or_else(|| {
        Failure::usage(format!("RONDEL_CACHE_MAX is no size: `{text}`")).hint("for example RONDEL_CACHE_MAX=5GiB")
    })
}

/// `500MB`, `5GiB`, `1000000`
pub(crate) fn bytes_of(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "k" | "kib" => 1 << 10,
        "mb" => 1_000_000,
        "m" | "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "g" | "gib" => 1 << 30,
        "tb" => 1_000_000_000_000,
        "t" | "tib" => 1_u64 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// Looks after one store during one build.
pub(crate) struct Housekeeping {
    store: Store,
    stamp: std::path::PathBuf,
    limit: u64,
    has_begun: AtomicBool,
    stop: Arc<AtomicBool>,
}

impl Housekeeping {
    /// Does nothing yet.
    pub fn new(cache: &Path, limit: u64) -> Housekeeping {
        let root = cache.join(STORE_FORMAT);
        let stamp = root.join("collected");
        Housekeeping { store: Store::new(&root), stamp, limit, has_begun: AtomicBool::new(false), stop: Arc::default() }
    }

    /// A step runs: something will be stored, and there is time. Called often.
    pub fn step_began(&self) {
        if self.has_begun.swap(true, Ordering::SeqCst) {
            return;
        }
        let last = std::fs::metadata(&self.stamp).and_then(|metadata| metadata.modified());
        if last.is_ok_and(|last| last.elapsed().unwrap_or(Duration::ZERO) < EVERY) {
            return;
        }
        let (store, stamp, limit, stop) = (self.store.clone(), self.stamp.clone(), self.limit, Arc::clone(&self.stop));
        // Nobody waits for it: what it has not done when the process ends, the next build's does. What goes wrong
        // with it will go wrong with `cache gc`, which says so.
        std::thread::spawn(move || {
            lowest_priority();
            if store.collect(limit, &|| stop.load(Ordering::SeqCst)).is_ok() && !stop.load(Ordering::SeqCst) {
                let file = std::fs::File::create(stamp);
                let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
            }
        });
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// On Linux the number 0 means the calling thread, elsewhere the whole process, whose priority stays as it is.
fn lowest_priority() {
    #[cfg(target_os = "linux")]
    {
        let _ = rustix::process::setpriority_process(None, 19);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("0", 0), ("17", 17), ("1 KB", 1000), ("5GiB", 5 << 30), ("2g", 2 << 30), (" 3 MiB ", 3 << 20)]
        {
            assert_eq!(bytes_of(text), Some(bytes), "{text}");
        }
        for text in ["", "GiB", "5 parsec", "-1", "1.5GiB", "99999999999999TiB"] {
            assert_eq!(bytes_of(text), None, "{text}");
        }
    }
}
