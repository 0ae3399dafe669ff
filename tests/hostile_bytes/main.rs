//! Every reader of bytes from outside, with samples that were changed in many ways: cut, flipped, repeated, spliced.
//!
//! `RONDEL_HOSTILE_CASES` is the number of cases for each reader (400 if it isn't set), `RONDEL_HOSTILE_SEED` the first
//! seed. The same entry points are fuzzed by `tests/fuzz`; `RONDEL_HOSTILE_SAMPLES` names a directory for the samples,
//! as first corpora.

#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test has settings and tells what it did")]

mod samples;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use rondel_tests::{ENTRY_POINTS, call};

/// xorshift64*
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Numbers at the edges of what a reader may expect.
const EDGES: &[u64] = &[0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX / 2, u64::MAX];

fn changed(sample: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for _ in 0..=chance.below(4) {
        let place = chance.below(bytes.len() + 1);
        match chance.below(8) {
            0 => bytes.truncate(place),
            1 | 2 if !bytes.is_empty() => {
                let place = place % bytes.len();
                bytes[place] ^= 1 << chance.below(8);
            }
            3 => {
                let edge = EDGES[chance.below(EDGES.len())].to_le_bytes();
                let width = [1, 2, 4, 8][chance.below(4)];
                let end = bytes.len().min(place + width);
                bytes[place..end].copy_from_slice(&edge[..end - place]);
            }
            4 => {
                let end = place + chance.below(bytes.len() - place + 1);
                let part = bytes[place..end].to_vec();
                (0..chance.below(20)).for_each(|_| drop(bytes.splice(place..place, part.iter().copied())));
            }
            5 => drop(bytes.drain(place..place + chance.below(bytes.len() - place + 1))),
            6 => {
                let end = chance.below(other.len() + 1);
                bytes.splice(place..place, other[chance.below(end + 1)..end].iter().copied());
            }
            _ => bytes.insert(place, b"()[]{}\",:/\\.\0\xff\n "[chance.below(16)]),
        }
        bytes.truncate(1 << 20);
    }
    bytes
}

/// Entry points and their samples have a directory each, shared by all tests.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn no_reader_breaks() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (cases, seed) = (setting("RONDEL_HOSTILE_CASES", 400), setting("RONDEL_HOSTILE_SEED", 1));
    for (name, _) in ENTRY_POINTS {
        let samples = samples::of(name);
        for (number, sample) in samples.iter().enumerate() {
            call(name, sample);
            if let Some(directory) = std::env::var_os("RONDEL_HOSTILE_SAMPLES") {
                let directory = std::path::Path::new(&directory).join(name);
                std::fs::create_dir_all(&directory).unwrap();
                std::fs::write(directory.join(format!("sample-{number}")), sample).unwrap();
            }
        }
        for case in seed..seed + cases {
            let mut chance = Chance(case.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let (one, other) = (chance.below(samples.len()), chance.below(samples.len()));
            let bytes = changed(&samples[one], &samples[other], &mut chance);
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| call(name, &bytes))) {
                let path = std::env::temp_dir().join(format!("rondel-hostile-{name}"));
                let _ = std::fs::File::create(&path).and_then(|mut file| file.write_all(&bytes));
                eprintln!(
                    "{name}: RONDEL_HOSTILE_SEED={case} RONDEL_HOSTILE_CASES=1; the bytes are in {}",
                    path.display()
                );
                std::panic::resume_unwind(payload);
            }
        }
        println!("{name}: {} samples, {cases} changed ones", samples.len());
    }
}

/// Samples are valid for their readers: otherwise changes of them would not reach deep.
#[test]
fn samples_are_sound() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    samples::check();
}

/// Archives with entries that no toolchain has: refused, with nothing outside, and only plain files inside.
#[test]
fn archives_that_try_to_get_out() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (what, archive) in samples::evil_archives() {
        let directory = std::env::temp_dir().join(format!("rondel-evil-{}", std::process::id()));
        let destination = directory.join("box/within");
        std::fs::create_dir_all(&destination).unwrap();
        std::fs::write(directory.join("archive"), &archive).unwrap();
        let outcome =
            rondel_golang::unpack(&directory.join("archive"), rondel_golang::ArchiveKind::TarGz, Some(&destination));
        assert!(outcome.is_err(), "{what} was taken");
        call("toolchain_archive", &archive);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
