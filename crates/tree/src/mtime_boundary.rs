//! `MtimeBoundary`: a moment; changes before it can't be mistaken for later ones.
//!
//! A file that is hashed and then written again within one tick of its file system's clock looks the same before and
//! after ("racily clean"). So a fingerprint is believed later on only if the file's last change was before a boundary
//! taken before the file was read. Every later change then has another time. The boundary is the time that the file
//! system itself gives to a new file. So neither a server's other clock nor a coarse one can deceive. Where that fails,
//! it is this machine's clock less two seconds.
//!
//! A clock that was put back gives times a second time. A file that stores fingerprints stores the boundary too, and
//! none of them is believed if the clock shows less than it did (`went_back_since`).

use std::path::Path;

use crate::fingerprint::{Fingerprint, now_ns};
use rondel_cas::TemporaryFile;

/// Time between two changes that an unknown file system may not tell apart (2 s: FAT's).
const UNKNOWN_GRANULARITY_NS: i128 = 2_000_000_000;
/// Length of a boundary in bytes.
pub const MTIME_BOUNDARY_LENGTH: usize = 24;

/// A moment, by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MtimeBoundary {
    /// The device whose clock was read, and its time.
    asked: Option<(u64, i128)>,
    elsewhere_ns: i128,
}

impl MtimeBoundary {
    /// Returns the boundary now. `directory` is a writable one, on the file system of most files.
    pub fn now(directory: Option<&Path>) -> MtimeBoundary {
        let ask = |directory: &Path| -> Option<(u64, i128)> {
            let mut file = TemporaryFile::new_in(directory).ok()?;
            let fingerprint = Fingerprint::of(&file.file().metadata().ok()?);
            (fingerprint.ctime_ns() != i128::MAX).then(|| (fingerprint.device(), fingerprint.ctime_ns()))
        };
        MtimeBoundary { asked: directory.and_then(ask), elsewhere_ns: now_ns().saturating_sub(UNKNOWN_GRANULARITY_NS) }
    }

    /// Returns true if a clock shows less than at `earlier`. Only the clock of the device that was read is compared.
    pub fn went_back_since(&self, earlier: &MtimeBoundary) -> bool {
        let asked_less = match (self.asked, earlier.asked) {
            (Some((device, now)), Some((other, then))) => device == other && now < then,
            _ => false,
        };
        asked_less || self.elsewhere_ns < earlier.elsewhere_ns
    }

    /// Returns the later of two by each clock.
    pub fn later_of(self, other: MtimeBoundary) -> MtimeBoundary {
        let asked = match (self.asked, other.asked) {
            (Some((device, one)), Some((same, two))) if device == same => Some((device, one.max(two))),
            (own, others) => own.or(others),
        };
        MtimeBoundary { asked, elsewhere_ns: self.elsewhere_ns.max(other.elsewhere_ns) }
    }

    /// Returns the bytes for files of callers that store fingerprints.
    pub fn to_bytes(&self) -> [u8; MTIME_BOUNDARY_LENGTH] {
        let (device, time_ns) = self.asked.unwrap_or_default();
        let mut bytes = [0; MTIME_BOUNDARY_LENGTH];
        let numbers = [device, time_ns as u64, self.elsewhere_ns as u64];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reverses `to_bytes`.
    pub fn from_bytes(bytes: &[u8; MTIME_BOUNDARY_LENGTH]) -> MtimeBoundary {
        let number = |index: usize| u64::from_le_bytes(bytes[index * 8..][..8].try_into().expect("eight bytes"));
        let asked = Some((number(0), i128::from(number(1) as i64))).filter(|(device, _)| *device != 0);
        MtimeBoundary { asked, elsewhere_ns: i128::from(number(2) as i64) }
    }

    /// Returns the time of the file system that was read.
    pub(crate) fn asked_ns(&self) -> Option<i128> {
        self.asked.map(|(_, time_ns)| time_ns)
    }

    /// Returns the moment on `device` before which changes differ from all later ones.
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

    #[test]
    fn clocks_that_go_back() {
        let at = |asked, elsewhere_ns| MtimeBoundary { asked, elsewhere_ns };
        let then = at(Some((1, 100)), 90);
        for (went_back, now) in [
            (false, at(Some((1, 100)), 90)),
            (false, at(Some((1, 300)), 290)),
            (true, at(Some((1, 99)), 290)),
            (true, at(Some((1, 300)), 89)),
            (false, at(Some((2, 5)), 95)),
            (true, at(None, 89)),
            (false, at(None, 90)),
        ] {
            assert_eq!(now.went_back_since(&then), went_back, "{now:?}");
            assert_eq!(MtimeBoundary::from_bytes(&now.to_bytes()), now);
            let later = then.later_of(now);
            assert!(!later.went_back_since(&then) && !later.went_back_since(&now), "{now:?}");
        }
    }

    /// A change after the boundary was taken never looks older than it.
    #[test]
    fn later_changes_are_not_older() {
        let directory = std::env::temp_dir().join(format!("rondel-boundary-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("file");
        for round in 0..300 {
            let boundary = MtimeBoundary::now(Some(&directory));
            std::fs::write(&path, format!("{round}")).unwrap();
            let fingerprint = Fingerprint::of(&std::fs::metadata(&path).unwrap());
            assert!(!fingerprint.is_older_than(boundary.on(fingerprint.device())), "round {round}");
            assert!(!fingerprint.is_older_than(boundary.on(fingerprint.device() + 1)), "round {round}");
        }
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "the clock leaves nothing behind");
        std::fs::remove_dir_all(directory).unwrap();
    }
}
