//! Stopping a service that another Rondel has started. Nothing is signalled but the processes of its record.

use std::io;
use std::time::{Duration, Instant};

use crate::place::Place;
use crate::record::Record;
use crate::run::DRAIN;

/// What a stop found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing ran.
    WasNotRunning,
    /// It ended by itself within its time.
    Ended,
    /// It had to be killed.
    Killed,
}

/// Time that a supervisor has beyond that of its program.
const SUPERVISOR_PATIENCE: Duration = Duration::from_secs(3);
/// Interval at which the end is noticed.
const INTERVAL: Duration = Duration::from_millis(2);

/// Stops the service at a place, if it runs, and removes its record. Its log stays.
pub fn stop(place: &Place) -> io::Result<Stopped> {
    let Some(record) = Record::read(place) else { return Ok(Stopped::WasNotRunning) };
    let was_running = record.is_running();
    let stopped = if was_running { end(place, &record) } else { Stopped::WasNotRunning };
    match std::fs::remove_file(place.record()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(stopped),
    }
}

fn end(place: &Place, record: &Record) -> Stopped {
    let (supervisor, program) = (record.supervisor(), record.program());
    let grace = Duration::from_secs(record.grace_s);
    let runs = || supervisor.is_running() || program.as_ref().is_some_and(|program| program.is_running());
    if supervisor.signal(false) {
        // It waits for requests that are under way first.
        wait_while(&|| supervisor.is_running(), grace.min(DRAIN) + grace + SUPERVISOR_PATIENCE);
    }
    // It is gone, or hangs. A program without a supervisor is asked by whoever stops it.
    if let Some(program) = &program
        && !supervisor.is_running()
        && program.signal_group(false)
    {
        wait_while(&|| program.is_running(), grace);
    }
    if !runs() {
        // The supervisor has written down how.
        let last = Record::read(place).filter(|last| last.supervisor() == supervisor);
        return if last.is_some_and(|last| last.was_killed) { Stopped::Killed } else { Stopped::Ended };
    }
    supervisor.signal(true);
    if let Some(program) = &program {
        program.signal_group(true);
    }
    wait_while(&runs, SUPERVISOR_PATIENCE);
    Stopped::Killed
}

fn wait_while(condition: &dyn Fn() -> bool, patience: Duration) {
    let begun = Instant::now();
    while condition() && begun.elapsed() < patience {
        std::thread::sleep(INTERVAL);
    }
}
