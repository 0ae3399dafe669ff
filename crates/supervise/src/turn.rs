//! `Turn`: of those that start the same service at once, one after the other does.

use std::fs::{File, TryLockError};
use std::io;
use std::time::Duration;

use rondel_process::Cancellation;

use crate::place::Place;

/// Interval at which the end of another start is noticed.
const INTERVAL: Duration = Duration::from_millis(20);

/// The right to start a service, until this is dropped.
#[derive(Debug)]
pub struct Turn {
    _lock: File,
    /// True if another start was waited for.
    pub has_waited: bool,
}

impl Turn {
    /// Waits until no other process starts the service, and calls `waits` first if one does. Returns `None` if `cancellation` was
    /// raised meanwhile.
    pub fn take(place: &Place, cancellation: &Cancellation, waits: &dyn Fn()) -> io::Result<Option<Turn>> {
        std::fs::create_dir_all(place.directory())?;
        let lock = File::create(place.start_lock())?;
        let mut has_waited = false;
        loop {
            match lock.try_lock() {
                // Without locks the record alone says who runs.
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(Some(Turn { _lock: lock, has_waited })),
                Err(TryLockError::WouldBlock) => {}
            }
            if !std::mem::replace(&mut has_waited, true) {
                waits();
            }
            if cancellation.wait(INTERVAL) {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_after_the_other() {
        let state = std::env::temp_dir().join(format!("rondel-turn-{}", std::process::id()));
        let (place, nobody) = (Place::new(&state, "a"), Cancellation::new());
        let first = Turn::take(&place, &nobody, &|| panic!("nobody else starts it")).unwrap().unwrap();
        assert!(!first.has_waited);
        std::thread::scope(|scope| {
            let (waits, waiting) = std::sync::mpsc::channel();
            let (place, nobody) = (&place, &nobody);
            let second = scope.spawn(move || Turn::take(place, nobody, &|| waits.send(()).unwrap()).unwrap().unwrap());
            waiting.recv().unwrap();
            drop(first);
            assert!(second.join().unwrap().has_waited);
        });
        let _first = Turn::take(&place, &nobody, &|| ()).unwrap().unwrap();
        nobody.cancel();
        assert!(Turn::take(&place, &nobody, &|| ()).unwrap().is_none());
        std::fs::remove_dir_all(state).unwrap();
    }
}
