//! Random changes of a source tree against a model that always rebuilds.
//!
//! A case is some changes and a build after them. The outputs must be those of a rebuild from nothing. "Up to date"
//! must be reported exactly when it is true; each reason must be true and none left out. Changes happen between builds,
//! while a step runs, and while files are hashed. `RONDEL_MODEL_CASES` is the number of cases (3,000 if it isn't set),
//! `RONDEL_MODEL_SEED` the first seed; a failure prints its seed. Some cases run while the clock is put back.
#![allow(clippy::disallowed_methods, reason = "a test reads the files that it has made")]
#![allow(clippy::disallowed_macros, reason = "a test tells what it did")]

mod chance;
mod changes;
mod clock;
mod steps;
mod tree;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};

use clock::SettableClock;
use rondel_tree::set_process_umask;
use world::World;

/// Builds in one world. In every third world, changes happen during the last builds.
const CASES_PER_WORLD: u64 = 25;

fn setting(name: &str, default: u64) -> u64 {
    #[allow(clippy::disallowed_methods, reason = "a test's own settings")]
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn live(world: &mut World) {
    for case in 0..CASES_PER_WORLD {
        for _ in 0..world.chance.below(4) {
            world.change();
        }
        if world.is_stormy && case > CASES_PER_WORLD / 2 {
            if world.chance.once_in(2) { world.run_with_changes() } else { world.run_in_a_storm() }
        }
        if world.is_deadly && case > CASES_PER_WORLD / 2 && world.chance.once_in(2) {
            world.run_and_be_killed();
        }
        world.note(format!("case {case}"));
        world.check();
    }
}

/// Runs a world. On a failure, prints its history and the settings that repeat it.
fn live_and_tell(world: &mut World, settings: &str) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| live(world))) {
        eprintln!("steps: {:#?}", world.steps);
        world.history.iter().for_each(|line| eprintln!("  {line}"));
        eprintln!("{settings} brings this back");
        std::panic::resume_unwind(payload);
    }
}

/// Gives files of users the permissions that the model expects. The umask of the machine decides about those that are
/// made without any, and inputs with them count as ordinary ones only under that umask.
fn with_the_umask_of_the_model() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_process_umask(0o022);
    });
}

fn add(counts: &mut BTreeMap<&'static str, u64>, world: &World) {
    world.counts.iter().for_each(|(what, count)| *counts.entry(what).or_default() += count);
}

#[test]
fn never_a_wrong_hit_never_an_unneeded_run() {
    with_the_umask_of_the_model();
    let first = setting("RONDEL_MODEL_SEED", 1);
    let worlds = setting("RONDEL_MODEL_CASES", 3_000).div_ceil(CASES_PER_WORLD);
    let next = AtomicU64::new(first);
    let counts: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    let live_all = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + worlds {
                return;
            }
            let mut world = World::new(seed, None);
            live_and_tell(&mut world, &format!("RONDEL_MODEL_SEED={seed} RONDEL_MODEL_CASES=1"));
            add(&mut counts.lock().unwrap(), &world);
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(live_all)).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("a world failed, see above"));
    });
    println!(
        "{} cases, seeds {first} to {}: {:?}",
        worlds * CASES_PER_WORLD,
        first + worlds - 1,
        counts.lock().unwrap()
    );
}

/// Runs worlds whose file system's clock stands still, and is put forward and back. `RONDEL_MODEL_CLOCK_CASES` is the
/// number of cases (400 if it isn't set).
#[test]
#[cfg_attr(not(has_settable_clock), ignore = "no file system whose clock can be set (fuse2fs, libfaketime)")]
fn whatever_the_clock_says() {
    with_the_umask_of_the_model();
    let clock = SettableClock::mount().expect("the parts of such a file system are there");
    let first = setting("RONDEL_MODEL_SEED", 1);
    let worlds = setting("RONDEL_MODEL_CLOCK_CASES", 400).div_ceil(CASES_PER_WORLD);
    let (mut clock, mut counts) = (Some(clock), BTreeMap::new());
    for seed in first..first + worlds {
        let mut world = World::new(seed, clock.take());
        live_and_tell(&mut world, &format!("RONDEL_MODEL_SEED={seed} RONDEL_MODEL_CLOCK_CASES=1"));
        add(&mut counts, &world);
        clock = world.take_clock();
    }
    println!("{} cases on a settable clock: {counts:?}", worlds * CASES_PER_WORLD);
    assert!(counts.contains_key("clocks put back"), "{counts:?}");
}
