//! Permissions of inputs and outputs: which bits count. Knows nothing of steps.
//!
//! The permissions that a checkout or an ordinary tool gives are those of the umask, so they differ from one machine to
//! the next and say nothing. Any others were set on purpose: a reader may see them, so they count.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use rondel_cas::messages::UnixMode;
use rondel_cas::read_at_most;

/// Bits that a umask takes away on a machine where new files are private.
const PRIVATE_UMASK: u32 = 0o055;

/// The most that is read of what the kernel tells of a process, in bytes.
const STATUS_LIMIT: u64 = 64 << 10;

/// The umask of the process; larger than any while it is not known.
static UMASK: AtomicU32 = AtomicU32::new(u32::MAX);
/// Held by whoever asks for it or changes it: two that ask at once would each take the other's passing value for it.
static CHANGING: Mutex<()> = Mutex::new(());

/// Returns the umask that the process began with, or was given by `set_process_umask`. Where it can be read only by
/// setting it (not on Linux), the first call is for a time when nothing else makes files.
pub fn process_umask() -> u32 {
    match UMASK.load(Ordering::SeqCst) {
        u32::MAX => {
            let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
            known_umask()
        }
        umask => umask,
    }
}

/// Gives the process another umask, and returns the former one. For a time when nothing else makes files.
pub fn set_process_umask(umask: u32) -> u32 {
    let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
    let former = known_umask();
    change_umask(umask);
    UMASK.store(umask, Ordering::SeqCst);
    former
}

/// Returns the umask, for one that holds `CHANGING`.
fn known_umask() -> u32 {
    let known = UMASK.load(Ordering::SeqCst);
    if known != u32::MAX {
        return known;
    }
    let umask = told_umask().unwrap_or_else(|| {
        let umask = change_umask(0o077);
        change_umask(umask);
        umask
    });
    UMASK.store(umask, Ordering::SeqCst);
    umask
}

/// Returns what Linux tells without a change (since 4.7).
fn told_umask() -> Option<u32> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let status = read_at_most(Path::new("/proc/self/status"), STATUS_LIMIT).ok()?;
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Umask:"))?;
    u32::from_str_radix(std::str::from_utf8(line).ok()?.trim(), 8).ok()
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

/// Returns the permission bits of an input file where the umask is `other`. Bits that say nothing are those that the other umask
/// leaves; any others were set on purpose, and stay.
pub fn mode_under(bits: u32, other: u32) -> u32 {
    mode_moved(bits, process_umask(), other)
}

fn mode_moved(bits: u32, umask: u32, other: u32) -> u32 {
    let bits = bits & 0o777;
    let is_executable = bits & 0o100 != 0;
    let ordinary = if is_executable { UnixMode::EXECUTABLE } else { UnixMode::PLAIN };
    match is_by_umask(bits, umask) || bits == ordinary {
        true => (if is_executable { 0o777 } else { 0o666 }) & !other,
        false => bits,
    }
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
    fn bits_under_another_umask() {
        for (bits, umask, moved) in [
            (0o644, 0o022, 0o664),
            (0o755, 0o022, 0o775),
            (0o600, 0o077, 0o664),
            (0o100_700, 0o077, 0o775),
            (0o640, 0o027, 0o664),
            (0o644, 0o077, 0o664),
            (0o600, 0o022, 0o600),
            (0o400, 0o077, 0o400),
            (0o775, 0o022, 0o775),
        ] {
            assert_eq!(mode_moved(bits, umask, 0o002), moved, "{bits:o} {umask:o}");
        }
    }

    #[test]
    fn many_that_ask_at_once_get_one_answer() {
        let asked: Vec<u32> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(process_umask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        // Under its lock, so that no other test asks by setting it.
        let _changing = CHANGING.lock().unwrap();
        let umask = change_umask(0o022);
        change_umask(umask);
        assert!(asked.iter().all(|asked| *asked == umask), "{asked:?}, and it is {umask:o}");
        assert!(told_umask().is_none_or(|told| told == umask));
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
