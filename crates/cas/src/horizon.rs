//! `Horizon`: which changes of files can no longer be mistaken for earlier ones.
//!
//! A file that is hashed and then written again within one tick of its file system's clock looks the same before and
//! after ("racily clean"). So a look at a file is believed later on only if the file's last change lies before a
//! horizon that was taken before it was read: then every later change bears another time. The horizon is read off
//! the file system's own clock, as the time that it gives to a new file: neither a server's other clock, nor a coarse
//! one, nor one that somebody moves can deceive. Where that can't be had, it is this machine's clock less two
//! seconds.

use std::path::Path;

use crate::TemporaryFile;
use crate::fingerprint::{Fingerprint, now_ns};

const UNKNOWN_GRANULARITY_NS: i128 = 2_000_000_000;

/// A moment, by two clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Horizon {
    /// The device that was asked, and its time.
    asked: Option<(u64, i128)>,
    elsewhere_ns: i128,
}

impl Horizon {
    /// Now. `directory` is one that may be written, on the file system that most files are on.
    pub fn now(directory: Option<&Path>) -> Horizon {
        let ask = |directory: &Path| -> Option<(u64, i128)> {
            let mut file = TemporaryFile::new_in(directory).ok()?;
            let looks = Fingerprint::of(&file.file().metadata().ok()?);
            (looks.ctime_ns() != i128::MAX).then(|| (looks.device(), looks.ctime_ns()))
        };
        Horizon { asked: directory.and_then(ask), elsewhere_ns: now_ns().saturating_sub(UNKNOWN_GRANULARITY_NS) }
    }

    /// The time of the file system that was asked.
    pub fn asked_ns(&self) -> Option<i128> {
        self.asked.map(|(_, time_ns)| time_ns)
    }

    /// Changes before this, on `device`, differ from all later ones.
    pub fn on(&self, device: u64) -> i128 {
        match self.asked {
            Some((asked, time_ns)) if asked == device => time_ns,
            _ => self.elsewhere_ns,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// What changes after the horizon was taken never looks older than it.
    #[test]
    fn later_changes_are_not_older() {
        let directory = std::env::temp_dir().join(format!("rondel-horizon-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("file");
        for round in 0..300 {
            let horizon = Horizon::now(Some(&directory));
            std::fs::write(&path, format!("{round}")).unwrap();
            let looks = Fingerprint::of(&std::fs::metadata(&path).unwrap());
            assert!(!looks.is_older_than(horizon.on(looks.device())), "round {round}");
            assert!(!looks.is_older_than(horizon.on(looks.device() + 1)), "round {round}");
        }
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "the clock leaves nothing behind");
        std::fs::remove_dir_all(directory).unwrap();
    }
}
