//! Permissions of inputs and outputs: which bits count. Knows nothing of steps.
//!
//! The permissions that a checkout or an ordinary tool gives are those of the umask, so they differ from one machine to
//! the next and say nothing. Any others were set on purpose: a reader may see them, so they count.

use std::sync::atomic::{AtomicU32, Ordering};

use rondel_cas::messages::UnixMode;

/// Bits that a umask takes away on a machine where new files are private.
const PRIVATE_UMASK: u32 = 0o055;

/// The umask of the process; larger than any while it is not known.
static UMASK: AtomicU32 = AtomicU32::new(u32::MAX);

/// Returns the umask that the process began with, or was given by `set_process_umask`.
pub fn process_umask() -> u32 {
    match UMASK.load(Ordering::SeqCst) {
        u32::MAX => {
            // It can't be read without being set.
            let umask = change_umask(0o077);
            change_umask(umask);
            UMASK.store(umask, Ordering::SeqCst);
            umask
        }
        umask => umask,
    }
}

/// Gives the process another umask, and returns the former one. For a time when nothing else makes files.
pub fn set_process_umask(umask: u32) -> u32 {
    let former = process_umask();
    change_umask(umask);
    UMASK.store(umask, Ordering::SeqCst);
    former
}

#[cfg(unix)]
fn change_umask(umask: u32) -> u32 {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask as _)).bits() as u32
}

#[cfg(not(unix))]
fn change_umask(_umask: u32) -> u32 {
    0o022
}

/// Returns the permission bits of an input file, if they count for its reader.
pub fn counted_mode(bits: u32) -> Option<UnixMode> {
    if is_by_umask(bits, process_umask()) {
        return None;
    }
    UnixMode::new(bits & 0o777)?.unless_ordinary_file(bits & 0o100 != 0)
}

/// Returns the permission bits that an output of a command keeps. Bits that only the umask has chosen become ordinary
/// ones, unless they keep others out: then nobody knows what was meant, and what is private stays private.
pub fn kept_mode(bits: u32, is_directory: bool) -> u32 {
    let umask = process_umask();
    let is_by_umask = if is_directory { bits & 0o777 == 0o777 & !umask } else { is_by_umask(bits, umask) };
    if is_by_umask && umask & PRIVATE_UMASK == 0 {
        return if is_directory || bits & 0o100 != 0 { UnixMode::EXECUTABLE } else { UnixMode::PLAIN };
    }
    bits & 0o777
}

fn is_by_umask(bits: u32, umask: u32) -> bool {
    let bits = bits & 0o777;
    bits == 0o666 & !umask || bits == 0o777 & !umask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_that_the_umask_chose() {
        for (bits, umask, is_by) in [
            (0o644, 0o022, true),
            (0o755, 0o022, true),
            (0o664, 0o022, false),
            (0o664, 0o002, true),
            (0o644, 0o002, false),
            (0o600, 0o022, false),
            (0o600, 0o077, true),
            (0o100_700, 0o077, true),
            (0o400, 0o077, false),
        ] {
            assert_eq!(is_by_umask(bits, umask), is_by, "{bits:o} {umask:o}");
        }
    }

    #[test]
    fn bits_set_on_purpose_count() {
        for bits in [0o600, 0o700, 0o400, 0o444, 0o500] {
            let counted = counted_mode(bits).map(UnixMode::bits);
            assert!(counted == Some(bits) || is_by_umask(bits, process_umask()), "{bits:o}: {counted:?}");
            assert_eq!(kept_mode(bits, false), bits);
        }
        assert_eq!((counted_mode(0o644), counted_mode(0o755)), (None, None));
        assert_eq!((kept_mode(0o4755, false), kept_mode(0o700, true)), (0o755, 0o700));
    }
}
