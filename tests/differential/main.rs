//! Random edits of generated Go modules: Rondel, with all that it remembers, against a bare `go build` that remembers
//! nothing of the module.
//!
//! After every edit both give the same bytes, or both refuse. `RONDEL_DIFFERENTIAL_EDITS` is the number of edits (300 if
//! it isn't set), `RONDEL_DIFFERENTIAL_SEED` the first seed; a world has a seed of its own. A difference ends its world,
//! prints the seed and the edits, and keeps the directory. `RONDEL_DIFFERENTIAL_WITHOUT` names kinds of edits, separated
//! by commas, that are left out. With `RONDEL_DIFFERENTIAL_GO_ON=1` a world goes on after a difference, with nothing
//! remembered and a cache of its own. Without it one cache is warm for the whole run.

#![allow(clippy::disallowed_macros, reason = "a test tells what it did")]
#![allow(clippy::disallowed_methods, reason = "a test starts programs, and has settings")]
#![cfg(unix)]

#[path = "../model/chance.rs"]
mod chance;
mod compare;
mod edits;
mod module;
mod sources;
mod tree;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use compare::{Bare, Programs};
use world::World;

/// Edits in one world.
const EDITS_PER_WORLD: u64 = 30;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
#[cfg_attr(not(has_go_1_24), ignore = "no Go 1.24 or later on PATH")]
fn the_same_as_a_bare_go_build() {
    let first = setting("RONDEL_DIFFERENTIAL_SEED", 1);
    let edits = setting("RONDEL_DIFFERENTIAL_EDITS", 300);
    let without = std::env::var("RONDEL_DIFFERENTIAL_WITHOUT").unwrap_or_default();
    let goes_on = setting("RONDEL_DIFFERENTIAL_GO_ON", 0) == 1;
    let without: Vec<&str> = without.split(',').collect();
    let directory = std::env::temp_dir().join(format!("rondel-differential-{}", std::process::id()));
    let programs = Programs::find(directory.clone());
    let (next, counts, differences) = (AtomicU64::new(0), Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    let live = |number: usize| {
        let bare = Bare::new(&programs, number);
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let begun = index * EDITS_PER_WORLD;
            if begun >= edits {
                return;
            }
            let mut world = World::new(first + index, &programs, &bare, &without, goes_on);
            let count = EDITS_PER_WORLD.min(edits - begun);
            world.live(count);
            if world.differences.is_empty() {
                world.remove();
            }
            for difference in &world.differences {
                println!("{difference}");
                differences.lock().unwrap().push(difference.lines().next().unwrap_or_default().to_owned());
            }
            for (what, count) in &world.counts {
                *counts.lock().unwrap().entry(what.clone()).or_default() += count;
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        let workers: Vec<_> = (0..threads).map(|number| scope.spawn(move || live(number))).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("a world broke, see above"));
    });
    let (counts, differences) = (counts.into_inner().unwrap(), differences.into_inner().unwrap());
    let counts: BTreeMap<String, u64> = counts;
    println!("{edits} edits, seeds from {first}: {counts:?}");
    assert!(differences.is_empty(), "differences, kept in {}:\n{}", directory.display(), differences.join("\n"));
    let count = |name: &str| counts.get(name).copied().unwrap_or_default();
    assert!(edits < 100 || count("built") > count("refused"), "too few edits leave a module that builds");
    let _ = std::fs::remove_dir_all(directory);
}
