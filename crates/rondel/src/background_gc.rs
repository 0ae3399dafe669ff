//! Keeps the store below its limit while a build runs: in the background, at the lowest priority.
//!
//! A large store may need longer than any single build lasts. Once a day, a finished build waits for the collection
//! (10 s at most).

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use rondel_cas::{STORE_FORMAT, Store};

use crate::cli::option::OptionValue;
use crate::exit::Failure;
use crate::session::ProcessContext;

/// The limit of blobs and results if `RONDEL_CACHE_MAX` is not set.
const LIMIT: u64 = 10 << 30;
/// The least time between two collections.
const EVERY: Duration = Duration::from_secs(600);
/// Age of the last collection above which a build waits for a new one.
const OVERDUE: Duration = Duration::from_secs(24 * 3600);
/// The longest such wait.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Returns the limit of the store, in bytes.
pub(crate) fn limit(context: &ProcessContext) -> Result<u64, Failure> {
    let Some(text) = context.get("RONDEL_CACHE_MAX") else { return Ok(LIMIT) };
    bytes_of(text).ok_or_else(|| {
        Failure::usage(format!("RONDEL_CACHE_MAX takes a size, not `{text}`")).hint("for example RONDEL_CACHE_MAX=5GiB")
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

/// A size in bytes: the value of `--max`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size(pub u64);

impl OptionValue for Size {
    fn accept(&mut self, option: &str, value: &str) -> Result<(), Failure> {
        let wrong = || Failure::usage(format!("{option} takes a size, not `{}`", value.escape_debug()));
        self.0 = bytes_of(value).ok_or_else(|| wrong().hint(format!("for example `{option} 5GiB`")))?;
        Ok(())
    }
}

/// Runs the garbage collection of one store during one build.
pub(crate) struct BackgroundGc {
    store: Store,
    stamp: std::path::PathBuf,
    limit: u64,
    has_begun: AtomicBool,
    stop: Arc<AtomicBool>,
    /// The running collection, if it is overdue.
    overdue: Mutex<Option<JoinHandle<()>>>,
}

impl BackgroundGc {
    /// Returns a collector that has not started.
    pub fn new(cache: &Path, limit: u64) -> BackgroundGc {
        let root = cache.join(STORE_FORMAT);
        let stamp = root.join("collected");
        BackgroundGc {
            store: Store::new(&root),
            stamp,
            limit,
            has_begun: AtomicBool::new(false),
            stop: Arc::default(),
            overdue: Mutex::default(),
        }
    }

    /// Returns the time since the last collection; `None` if the store can't be written.
    fn age(&self) -> Option<Duration> {
        match File::create_new(&self.stamp) {
            Ok(_) => Some(Duration::MAX),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                // For writing, which may not be allowed.
                let stamp = File::options().write(true).open(&self.stamp).ok()?;
                let last = stamp.metadata().and_then(|metadata| metadata.modified()).ok()?;
                Some(last.elapsed().unwrap_or(Duration::ZERO))
            }
            Err(_) => None,
        }
    }

    /// Starts the collection, if it is due, when the first step runs. Called for every step.
    pub fn step_began(&self) {
        if self.has_begun.swap(true, Ordering::SeqCst) {
            return;
        }
        let Some(age) = self.age() else { return };
        if age < EVERY {
            return;
        }
        let (store, stamp, limit, stop) = (self.store.clone(), self.stamp.clone(), self.limit, Arc::clone(&self.stop));
        // The next build finishes an incomplete collection. An error is ignored here; `cache gc` reports it.
        let collection = std::thread::spawn(move || {
            lowest_priority();
            if store.gc(limit, &|| stop.load(Ordering::SeqCst)).is_ok() && !stop.load(Ordering::SeqCst) {
                let file = File::create(stamp);
                let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
            }
        });
        if age > OVERDUE {
            *self.overdue.lock().expect("no panic while locked") = Some(collection);
        }
    }
}

impl Drop for BackgroundGc {
    fn drop(&mut self) {
        let begun = Instant::now();
        let overdue = self.overdue.lock().expect("no panic while locked").take();
        while overdue.as_ref().is_some_and(|overdue| !overdue.is_finished()) && begun.elapsed() < WAIT_MAX {
            std::thread::sleep(Duration::from_millis(5));
        }
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
