//! Services in the background: a supervisor that is a process of its own, and goes on when the Rondel that started it ends.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rondel_process::{
    Cancellation, CommandLine, ProcessError, ProcessIdentity, become_subreaper, kill_orphans, leave_session,
    start_detached,
};

use crate::SUPERVISE;
use crate::events::Event;
use crate::record::Record;
use crate::run::{DRAIN, End, supervised};
use crate::service::Service;

/// Largest description of a service, in bytes.
const SERVICE_MAX: u64 = 64 * 1024 * 1024;
/// Time that a supervisor has beyond that of its program to end a start.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// Interval at which the end of a holder is noticed.
const HOLDER_INTERVAL: Duration = Duration::from_millis(500);

/// A service that is ready.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// Time from its start to its readiness.
    pub after: Duration,
}

/// A service did not start.
#[derive(Debug)]
pub enum StartError {
    /// The build was cancelled; it was stopped.
    Interrupted,
    /// It did not become ready; in words.
    Failed(String),
    /// The supervisor could not be started.
    Process(ProcessError),
    /// The system refused something.
    System(io::Error),
}

/// Starts a service in the background and waits until it is ready, or is not. Tells `see` what happens until then.
pub fn start_in_background(
    service: &Service,
    cancellation: &Cancellation,
    see: &dyn Fn(Event),
) -> Result<Started, StartError> {
    let line = CommandLine::new(own_program().map_err(StartError::System)?, "/").argument(SUPERVISE);
    let mut started = start_detached(&line).map_err(StartError::Process)?;
    let description = serde_json::to_vec(service).expect("numbers and texts");
    started.stdin.write_all(&description).map_err(StartError::System)?;
    drop(started.stdin);
    let lines = BufReader::new(started.stdout);
    let (sender, events) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // It ends with the supervisor, or with the first line that nobody wants.
        for event in lines.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str::<Event>(&line).ok()) {
            if sender.send(event).is_err() {
                return;
            }
        }
    });
    loop {
        if cancellation.is_raised() {
            let _finishing = cancellation.finishing();
            end_start(service, started.pid, &events);
            return Err(StartError::Interrupted);
        }
        match events.recv_timeout(Duration::from_millis(20)) {
            Ok(Event::Ready { after_ms }) => return Ok(Started { after: Duration::from_millis(after_ms) }),
            Ok(Event::Failed { status }) => return Err(StartError::Failed(status)),
            Ok(event) => see(event),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(StartError::Failed("its supervisor was killed".to_owned()));
            }
        }
    }
}

/// Ends a start that is under way. The supervisor is asked itself, since it may not have written a record yet; `events` ends with it.
/// One that hangs is killed, with what its record names.
fn end_start(service: &Service, supervisor: u32, events: &Receiver<Event>) {
    let identity = ProcessIdentity::of(supervisor);
    identity.as_ref().map(|identity| identity.signal(false));
    let until = Instant::now() + service.grace.min(DRAIN) + service.grace + END_PATIENCE;
    while events.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
    identity.filter(ProcessIdentity::is_running).map(|identity| identity.signal(true));
    // The record may be that of another supervisor, which was first.
    if Record::read(&service.place).is_some_and(|record| record.supervisor().pid == supervisor) {
        let _ = crate::stop::stop(&service.place);
    }
}

/// Stops the service once its holder has gone without doing that, since it was killed, or found no record any more.
fn end_with(holder: ProcessIdentity, cancellation: &Cancellation) {
    let cancellation = cancellation.clone();
    std::thread::spawn(move || {
        while holder.is_running() {
            std::thread::sleep(HOLDER_INTERVAL);
        }
        cancellation.cancel();
    });
}

/// Returns the file of the running program, also if another one has taken its name.
fn own_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok(PathBuf::from("/proc/self/exe")) } else { std::env::current_exe() }
}

/// The work of a supervisor in the background: reads the service from `input`, and tells what happens on `output` as long as
/// somebody reads. `cancellation` is raised to stop it. Returns true if the service ended well.
pub fn supervise(input: impl Read, output: impl Write + Send, cancellation: &Cancellation) -> bool {
    leave_session();
    become_subreaper();
    let output = Mutex::new(output);
    let tell = |event: Event| {
        let mut line = serde_json::to_vec(&event).expect("numbers and texts");
        line.push(b'\n');
        let mut output = output.lock().expect("no panic while locked");
        // Whoever started it may have gone.
        let _ = output.write_all(&line).and_then(|()| output.flush());
    };
    let fail = |status: String| {
        tell(Event::Failed { status });
        false
    };
    let Ok(service) = serde_json::from_reader::<_, Service>(input.take(SERVICE_MAX)) else {
        return fail("its description did not arrive".to_owned());
    };
    let lock = match lock(&service) {
        Ok(lock) => lock,
        Err(error) => return fail(error),
    };
    if let Some(holder) = service.holder.clone().filter(|holder| holder.ends_service) {
        end_with(holder.process(), cancellation);
    }
    let end = supervised(&service, true, cancellation, &tell);
    kill_orphans();
    drop(lock);
    match end {
        Ok(End::Done | End::Stopped) => {
            tell(Event::Failed { status: "it ended before it was ready".to_owned() });
            true
        }
        Ok(End::Failed(status)) => fail(status),
        Err(error) => fail(format!("`{}`: {error}", service.place.log().display())),
    }
}

/// Takes the lock of the service, so that it runs once.
fn lock(service: &Service) -> Result<File, String> {
    let path = service.place.lock();
    let file = std::fs::create_dir_all(service.place.directory()).and_then(|()| File::create(&path));
    let file = file.map_err(|error| format!("`{}`: {error}", path.display()))?;
    match file.try_lock() {
        // Without locks the record alone says who runs.
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let who = Record::read(&service.place).map(|record| record.supervisor().pid);
            let who = who.map(|pid| format!(" (process {pid})")).unwrap_or_default();
            Err(format!("another supervisor{who} runs it"))
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::place::Place;

    /// An interrupted start leaves no supervisor behind, not even one that has written no record yet.
    #[test]
    fn a_supervisor_without_a_record_is_ended() {
        let state = std::env::temp_dir().join(format!("rondel-start-{}", std::process::id()));
        let service = Service {
            name: "a".to_owned(),
            place: Place::new(&state, "a"),
            program: PathBuf::from("/bin/true"),
            arguments: Vec::new(),
            directory: PathBuf::from("/"),
            environment: Vec::new(),
            secrets: Vec::new(),
            key: String::new(),
            ready: None,
            ready_timeout: Duration::ZERO,
            grace: Duration::ZERO,
            restarts: false,
            holder: None,
            proxy: None,
            held: None,
        };
        // Of another start, which was first.
        let other = Record::own("a", "", true, 0);
        other.write(&service.place).unwrap();
        for script in ["exec sleep 1000", "trap '' TERM; while :; do read line; done"] {
            let line = CommandLine::new("/bin/sh", "/").arguments(["-c".to_owned(), script.to_owned()]);
            let started = start_detached(&line).unwrap();
            let (_open, events) = std::sync::mpsc::channel();
            end_start(&service, started.pid, &events);
            let begun = Instant::now();
            while ProcessIdentity::of(started.pid).is_some() {
                assert!(begun.elapsed() < Duration::from_secs(5), "`{script}` goes on");
                std::thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(Record::read(&service.place), Some(other.clone()));
        }
        std::fs::remove_dir_all(state).unwrap();
    }
}
