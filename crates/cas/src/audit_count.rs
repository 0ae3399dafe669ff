//! The counts of all audits of a store: `<root>/audited.1`, one line of numbers and a line with its checksum. There is
//! no time in it: a rate is a number of results, not of days.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::regular::{SMALL_MAX, read_text_at_most};
use crate::{Digest, Store, write_atomically};

/// Name of the file.
const COUNTS: &str = "audited.1";
/// Name of the file that is locked while the counts change.
const LOCK: &str = "audited.lock";

/// What the audits of a store have found so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditCount {
    /// Number of audits.
    pub audits: u64,
    /// Number of results that steps were run again for, and compared with.
    pub checked: u64,
    /// Number of those that differed.
    pub differed: u64,
}

impl Store {
    /// Returns the counts of all audits so far; zeros if none can be read.
    pub fn audit_count(&self) -> AuditCount {
        read(self.root()).unwrap_or_default()
    }

    /// Adds an audit to the counts. Several processes may do so at once.
    pub fn add_audit(&self, checked: u64, differed: u64) -> io::Result<AuditCount> {
        std::fs::create_dir_all(self.root())?;
        let lock = File::create(self.root().join(LOCK))?;
        lock.lock()?;
        let former = self.audit_count();
        let count = AuditCount {
            audits: former.audits.saturating_add(1),
            checked: former.checked.saturating_add(checked),
            differed: former.differed.saturating_add(differed),
        };
        write_atomically(&self.root().join("tmp"), &self.root().join(COUNTS), text(&count).as_bytes())?;
        Ok(count)
    }
}

fn text(count: &AuditCount) -> String {
    let line = format!("{} audits, {} checked, {} differed\n", count.audits, count.checked, count.differed);
    format!("{line}# {}\n", Digest::of(line.as_bytes()).hex())
}

fn read(root: &Path) -> Option<AuditCount> {
    let found = read_text_at_most(&root.join(COUNTS), SMALL_MAX).ok()?;
    let mut numbers = found.lines().next()?.split(", ").map(|part| part.split(' ').next()?.parse().ok());
    let mut next = || numbers.next().flatten();
    let count = AuditCount { audits: next()?, checked: next()?, differed: next()? };
    (text(&count) == found).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_damage_is_none() {
        let root = std::env::temp_dir().join(format!("rondel-audits-{}", std::process::id()));
        let store = Store::new(&root);
        assert_eq!(store.audit_count(), AuditCount::default());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| store.add_audit(3, 1).unwrap());
            }
        });
        assert_eq!(store.audit_count(), AuditCount { audits: 8, checked: 24, differed: 8 });
        let path = root.join(COUNTS);
        let good = std::fs::read_to_string(&path).unwrap();
        for damaged in ["", "8 audits", &good.replace("24", "25"), &good[1..], &format!("{good}x")] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(store.audit_count(), AuditCount::default(), "{damaged:?}");
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}
