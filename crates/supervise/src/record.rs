//! `Record`: which processes a service is, and how it is, for whoever asks later. It holds no environment and no arguments.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rondel_cas::{SMALL_MAX, read_at_most, write_atomically};
use rondel_process::ProcessIdentity;
use serde::{Deserialize, Serialize};

use crate::place::Place;

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It has started, and is not ready.
    Starting,
    /// It is ready.
    Ready,
    /// It ended, and starts again after a pause.
    Restarting,
    /// It ended by itself.
    Ended,
}

/// What is written down about a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Digest of everything that it was started from; empty if that is not known.
    pub key: String,
    /// How it is.
    pub phase: Phase,
    /// How it ended, in words; empty while it runs.
    pub status: String,
    /// How often it has started again.
    pub restarts: u32,
    /// Seconds from 1970 to the beginning of the phase.
    pub since: u64,
    /// Where it answers.
    pub address: Option<String>,
    /// Where its holder answers for it, as long as there is one.
    #[serde(default)]
    pub held: Option<String>,
    /// True if its supervisor stays when the Rondel that started it ends.
    pub is_detached: bool,
    /// Seconds between SIGTERM and SIGKILL.
    pub grace_s: u64,
    /// The Rondel that holds it, if one does.
    #[serde(default)]
    pub holder: Option<Holder>,
    /// True if it was ready and has ended by itself.
    #[serde(default)]
    pub ended_itself: bool,
    /// True if it was stopped, and had to be killed.
    #[serde(default)]
    pub was_killed: bool,
    supervisor: Process,
    program: Option<Process>,
}

/// A process, in its written form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Process {
    pid: u32,
    start: String,
    boot: String,
}

impl Process {
    fn of(identity: ProcessIdentity) -> Process {
        Process { pid: identity.pid, start: identity.start, boot: identity.boot }
    }

    fn identity(&self) -> ProcessIdentity {
        ProcessIdentity { pid: self.pid, start: self.start.clone(), boot: self.boot.clone() }
    }
}

/// A Rondel that starts a service again and again, and holds it meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    process: Process,
    /// True if the service ends when the holder does.
    pub ends_service: bool,
}

impl Holder {
    /// Returns this process as a holder; `None` if the system does not tell who it is.
    pub fn this(ends_service: bool) -> Option<Holder> {
        let process = Process::of(ProcessIdentity::of(std::process::id())?);
        Some(Holder { process, ends_service })
    }

    /// Returns its process.
    pub fn process(&self) -> ProcessIdentity {
        self.process.identity()
    }

    /// Returns true if it is this process.
    pub fn is_this(&self) -> bool {
        self.process.pid == std::process::id() && self.process().is_running()
    }

    /// Returns true if it is another process, which still runs.
    pub fn is_another(&self) -> bool {
        self.process.pid != std::process::id() && self.process().is_running()
    }
}

impl Record {
    /// Returns the record of a service that this process supervises, and that has not started.
    pub(crate) fn own(name: &str, key: &str, is_detached: bool, grace_s: u64) -> Record {
        let pid = std::process::id();
        let nobody = ProcessIdentity { pid, start: String::new(), boot: String::new() };
        Record {
            name: name.to_owned(),
            key: key.to_owned(),
            phase: Phase::Starting,
            status: String::new(),
            restarts: 0,
            since: now(),
            address: None,
            held: None,
            is_detached,
            grace_s,
            holder: None,
            ended_itself: false,
            was_killed: false,
            supervisor: Process::of(ProcessIdentity::of(pid).unwrap_or(nobody)),
            program: None,
        }
    }

    /// Reads the record at a place. `None` if there is none, or one that nobody can read.
    pub fn read(place: &Place) -> Option<Record> {
        Record::at(&place.record())
    }

    /// Reads the records of all services in `.rondel`, the directory `state`, in the order of their names.
    pub fn all(state: &Path) -> Vec<Record> {
        let entries = std::fs::read_dir(Place::new(state, "").directory()).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let is_record = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
        let records = paths.filter(is_record).filter_map(|path| {
            // One under the name of another is no record of Rondel's.
            Record::at(&path).filter(|record| Place::new(state, &record.name).record() == path)
        });
        let mut records: Vec<Record> = records.collect();
        records.sort_by(|one, other| one.name.cmp(&other.name));
        records
    }

    fn at(path: &Path) -> Option<Record> {
        serde_json::from_slice(&read_at_most(path, SMALL_MAX).ok()?).ok()
    }

    /// Writes the record.
    pub(crate) fn write(&self, place: &Place) -> io::Result<()> {
        let bytes = serde_json::to_vec(self).expect("numbers and texts");
        write_atomically(&place.scratch(), &place.record(), &bytes)
    }

    /// Begins a phase.
    pub(crate) fn enter(&mut self, phase: Phase, status: &str) {
        (self.phase, self.since) = (phase, now());
        status.clone_into(&mut self.status);
    }

    /// Takes the program that has started.
    pub(crate) fn started(&mut self, pid: u32) {
        self.program = ProcessIdentity::of(pid).map(Process::of);
    }

    /// Returns where it is to be asked now.
    pub fn place(&self) -> Option<&String> {
        let is_held = self.holder.as_ref().is_some_and(|holder| holder.process().is_running());
        self.held.as_ref().filter(|_| is_held).or(self.address.as_ref())
    }

    /// Returns the address that its holder holds for it.
    pub fn held_at(&self) -> Option<SocketAddr> {
        address_in(self.held.as_deref()?)
    }

    /// Returns true if its holder is gone, and its supervisor ends it for that.
    pub fn ends_soon(&self) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.ends_service && !holder.process().is_running())
    }

    /// Returns true if the address is held for it, by its supervisor or by the Rondel that exchanges it.
    pub fn is_held_at(&self, address: SocketAddr) -> bool {
        let is_there = |holder: &Holder| holder.process().is_running();
        match self.held_at() {
            Some(held) => held == address && self.holder.as_ref().is_some_and(is_there),
            None => self.address.as_deref().and_then(address_in) == Some(address) && self.supervisor().is_running(),
        }
    }

    /// Returns the supervisor.
    pub fn supervisor(&self) -> ProcessIdentity {
        self.supervisor.identity()
    }

    /// Returns the program that was started last.
    pub fn program(&self) -> Option<ProcessIdentity> {
        self.program.as_ref().map(Process::identity)
    }

    /// Returns true while the supervisor or the program runs.
    pub fn is_running(&self) -> bool {
        self.supervisor().is_running() && self.phase != Phase::Ended
            || self.program().is_some_and(|program| program.is_running())
    }

    /// Returns true if it runs and is ready.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
            && self.supervisor().is_running()
            && self.program().is_some_and(|program| program.is_running())
    }

    /// Returns true if the supervisor was killed and the program goes on without one.
    pub fn is_orphaned(&self) -> bool {
        !self.supervisor().is_running() && self.program().is_some_and(|program| program.is_running())
    }
}

/// Returns the address in `http://127.0.0.1:8080/health`, or in `127.0.0.1:8080`.
fn address_in(text: &str) -> Option<SocketAddr> {
    text.strip_prefix("http://").unwrap_or(text).split('/').next()?.parse().ok()
}

/// Returns the seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
