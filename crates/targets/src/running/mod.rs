//! What targets have started and nobody has stopped: how it is, what it prints, its end. For the verbs `status`, `logs`, `stop` and
//! `restart`, which ask processes, containers and compose projects alike.

mod containers;
mod held;
mod processes;
mod services;

use std::time::Duration;

use rondel_engine::UserError;
use rondel_process::Cancellation;

pub(crate) use containers::{Containers, short_id};
pub(crate) use held::hold;
pub(crate) use processes::Processes;
pub(crate) use services::{Listed, Services};

/// How often it is looked whether something else was started.
const INTERVAL: Duration = Duration::from_millis(200);

/// How one thing is that a target has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningPart {
    /// Its name within the target: a service of a compose file; `None` for the only one.
    pub part: Option<String>,
    /// How it is, in a word or two: `ready`, `healthy`, `exit status 3`.
    pub state: String,
    /// True if it runs.
    pub is_running: bool,
    /// How long it has been so, in words; empty if that is not known.
    pub since: String,
    /// Where it answers on this machine.
    pub addresses: Vec<String>,
    /// What it is: `process 123`, `container 0123456789ab`.
    pub what: String,
}

/// Calls with each line: the part that it is of, and the text.
pub type SeeLine<'a> = &'a (dyn Fn(Option<&str>, &str) + Sync);

/// How lines of logs are asked for.
#[derive(Clone, Copy, Debug)]
pub struct LogQuery {
    /// How many of the last lines; all if there is no number.
    pub tail: Option<usize>,
    /// True if it goes on with what is printed from now on.
    pub follow: bool,
}

/// What one target has started.
pub trait Running: Send + Sync {
    /// Returns how each part is. Empty if nothing is known of any.
    fn parts(&self) -> Result<Vec<RunningPart>, UserError>;

    /// Returns true if it ends with this Rondel, and no other one that still runs has started it.
    fn is_own(&self) -> bool {
        true
    }

    /// Returns the number of another Rondel that holds it: it would not be the same beside that one.
    fn other_holder(&self) -> Option<u32> {
        None
    }

    /// Returns how it has ended by itself after it was ready, in words, with when: two ends are never equal.
    fn own_end(&self) -> Option<(u64, String)> {
        None
    }

    /// Stops all parts and removes what is left of them. Returns what was stopped, in words.
    fn stop(&self) -> Result<Vec<String>, UserError>;

    /// Calls `see` with the lines of all parts. With `follow` it ends when all parts have ended.
    fn logs(&self, query: LogQuery, see: SeeLine<'_>, cancellation: &Cancellation) -> Result<(), UserError>;

    /// Calls `see` with what is printed from now on, each time that it is started, until `cancellation` is raised. Calls `begun` once
    /// nothing is missed any more.
    fn see_new_lines(&self, begun: &dyn Fn(), see: SeeLine<'_>, cancellation: &Cancellation) -> Result<(), UserError> {
        let present = || self.parts().ok().and_then(|parts| parts.into_iter().next()).map(|part| part.what);
        let first = present();
        let mut seen = None;
        begun();
        while !cancellation.is_raised() {
            let now = present().filter(|what| !what.is_empty());
            if now.is_some() && now != seen {
                // What the first one has printed before is known.
                let tail = if seen.is_none() && now == first { Some(0) } else { None };
                self.logs(LogQuery { tail, follow: true }, see, cancellation)?;
                seen = now;
            }
            std::thread::sleep(INTERVAL);
        }
        Ok(())
    }
}

/// `12s`, `3m05s`, `2h10m`, `3d4h`
pub(crate) fn time_text(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}
