//! The supervision itself: start, wait until ready, write down, start again, stop. The same in the foreground and in the
//! background.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rondel_process::{Cancellation, Finished, ProcessError, Redactor, Told, listener_at, run_and_tell};

use crate::events::Event;
use crate::log::Log;
use crate::place::Home;
use crate::probe::{Probed, require_free_port, wait_until_ready};
use crate::proxy::Proxy;
use crate::record::{Phase, Record};
use crate::service::{Ready, Service};

/// The first pause before a restart. It doubles with each, up to the other.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Life after which a service is taken for a sound one: its next restart has the first pause.
const SOUND_LIFE: Duration = Duration::from_secs(60);
/// The longest wait for requests that are under way when a service is stopped.
pub const DRAIN: Duration = Duration::from_secs(5);
/// Interval at which the end of a program that was asked to stop is noticed.
const STOP_INTERVAL: Duration = Duration::from_millis(2);

/// How a service ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was stopped.
    Stopped,
    /// It ended by itself with 0 after it was ready, or had no sign of readiness.
    Done,
    /// It ended otherwise, or did not become ready; in words.
    Failed(String),
}

/// Runs a service until it ends or `cancellation` is raised, and tells `see` what happens. Its record is there meanwhile.
pub fn run_here(service: &Service, cancellation: &Cancellation, see: &(dyn Fn(Event) + Sync)) -> io::Result<End> {
    let end = supervised(service, false, cancellation, see)?;
    // What ended here has told so. Who has asked it to stop from elsewhere reads that it was killed.
    if Record::read(&service.place).is_some_and(|record| !record.was_killed) {
        let _ = std::fs::remove_file(service.place.record());
    }
    Ok(end)
}

/// Says why an address can't be held.
fn unheld(service: &Service, error: &io::Error) -> String {
    let Some(address) = service.proxy else { return error.to_string() };
    let holder = listener_at(address.port()).filter(|_| error.kind() == io::ErrorKind::AddrInUse);
    match holder {
        Some(holder) => format!("port {} is taken: {holder} listens there", address.port()),
        None => format!("`{address}` can't be held: {error}"),
    }
}

/// A service under supervision.
struct Supervised<'a> {
    service: &'a Service,
    log: Log,
    /// Where the record is.
    home: Home,
    record: Mutex<Record>,
    /// True once it was ready.
    was_ready: AtomicBool,
    /// True once the program had to be killed to stop it.
    was_killed: AtomicBool,
    cancellation: &'a Cancellation,
    redactor: Redactor,
    /// What holds its address.
    proxy: Option<Proxy>,
    see: &'a (dyn Fn(Event) + Sync),
}

/// How one run of the program ended.
struct Run {
    finished: Result<Finished, ProcessError>,
    probed: Probed,
    life: Duration,
}

/// Runs a service until it ends for good.
pub(crate) fn supervised(
    service: &Service,
    is_detached: bool,
    cancellation: &Cancellation,
    see: &(dyn Fn(Event) + Sync),
) -> io::Result<End> {
    let log = Log::begin(&service.place)?;
    let proxy = match service.proxy.map(Proxy::start).transpose() {
        Ok(proxy) => proxy,
        Err(error) => return Ok(End::Failed(unheld(service, &error))),
    };
    let mut record = Record::own(&service.name, &service.key, is_detached, service.grace.as_secs());
    (record.address, record.held) = (service.address(), service.held_address());
    record.holder.clone_from(&service.holder);
    record.write(&service.place)?;
    let redactor = Redactor::new(service.secrets.iter().cloned());
    let this = Supervised {
        home: Home::of(&service.place)?,
        was_ready: AtomicBool::new(false),
        was_killed: AtomicBool::new(false),
        record: Mutex::new(record),
        service,
        log,
        cancellation,
        redactor,
        proxy,
        see,
    };
    let end = this.until_it_ends();
    let was_killed = this.was_killed.load(Ordering::SeqCst);
    let status = match &end {
        End::Stopped if was_killed => "killed, since it did not end within its time",
        End::Stopped => "stopped",
        End::Done => "exit status 0",
        End::Failed(status) => status,
    };
    this.note(|record| {
        record.was_killed = was_killed;
        record.ended_itself = end != End::Stopped && this.was_ready.load(Ordering::SeqCst);
        record.enter(Phase::Ended, status);
    });
    Ok(end)
}

impl Supervised<'_> {
    fn until_it_ends(&self) -> End {
        let (mut restarts, mut was_ready, mut pause) = (0, false, FIRST_PAUSE);
        loop {
            if let Err(taken) = require_free_port(self.service, self.cancellation) {
                return if self.cancellation.is_raised() { End::Stopped } else { End::Failed(taken) };
            }
            let run = self.run_once();
            was_ready |= run.probed == Probed::Ready;
            let status = match &run.finished {
                _ if self.cancellation.is_raised() => return End::Stopped,
                Err(ProcessError::Start { .. }) => return End::Failed(self.start_failure(&run)),
                _ if run.probed == Probed::TimedOut && !was_ready => return End::Failed(self.too_late()),
                Ok(finished) if finished.status.success() && run.probed != Probed::TimedOut => return self.done(&run),
                Ok(finished) => finished.describe(),
                Err(error) => error.to_string(),
            };
            if !self.service.restarts || !was_ready {
                return End::Failed(status);
            }
            pause = if run.life > SOUND_LIFE { FIRST_PAUSE } else { pause };
            restarts += 1;
            self.note(|record| {
                record.restarts = restarts;
                record.enter(Phase::Restarting, &status);
            });
            (self.see)(Event::Restarts { status, count: restarts });
            if !self.wait(pause) {
                return End::Stopped;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A program that ended with 0. Before its sign of readiness that is a failure.
    fn done(&self, run: &Run) -> End {
        match (&self.service.ready, run.probed) {
            (Some(_), Probed::Ended) => End::Failed("it ended with 0 before it was ready".to_owned()),
            _ => End::Done,
        }
    }

    fn start_failure(&self, run: &Run) -> String {
        let Err(error) = &run.finished else { return String::new() };
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    }

    fn too_late(&self) -> String {
        format!("it was not ready within {} s", self.service.ready_timeout.as_secs())
    }

    /// Starts the program and waits for its end.
    fn run_once(&self) -> Run {
        let own = Cancellation::with_grace(self.service.grace);
        let begun = Instant::now();
        let (saw_line, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
        let wanted = match &self.service.ready {
            Some(Ready::Line(text)) => Some(text.as_str()),
            _ => None,
        };
        std::thread::scope(|scope| {
            let (alive, ended) = channel::<()>();
            let prober = scope.spawn(|| {
                let ended = ended;
                let probed = wait_until_ready(self.service, &saw_line, &ended);
                match probed {
                    Probed::Ready => self.became_ready(begun),
                    Probed::TimedOut => own.cancel(),
                    Probed::Ended => {}
                }
                probed
            });
            scope.spawn(|| self.pass_stop_on(&own, &is_over));
            let on_line = |_, text: &str| {
                self.log.line(text);
                (self.see)(Event::Line(text.to_owned()));
            };
            // What is hidden in the log may be a part of what is waited for.
            let on_printed = |text: &str| {
                if wanted.is_some_and(|wanted| text.contains(wanted)) {
                    saw_line.store(true, Ordering::SeqCst);
                }
            };
            let on_start = |pid| {
                self.note(|record| {
                    record.enter(Phase::Starting, "");
                    record.started(pid);
                });
            };
            let told = Told {
                redactor: &self.redactor,
                on_start: &on_start,
                on_line: &on_line,
                on_printed: wanted.map(|_| &on_printed as &(dyn Fn(&str) + Sync)),
            };
            let finished = run_and_tell(&self.service.line(), &own, &told);
            // What comes now waits for the next start.
            self.proxy.as_ref().map(|proxy| proxy.hold(Duration::ZERO));
            is_over.store(true, Ordering::SeqCst);
            self.cancellation.wake();
            drop(alive);
            let probed = prober.join().unwrap_or(Probed::Ended);
            Run { finished, probed, life: begun.elapsed() }
        })
    }

    fn became_ready(&self, begun: Instant) {
        if let (Some(proxy), Some(own)) = (&self.proxy, self.service.own_address()) {
            proxy.open(own);
        }
        self.was_ready.store(true, Ordering::SeqCst);
        self.note(|record| record.enter(Phase::Ready, ""));
        let after_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        (self.see)(Event::Ready { after_ms });
    }

    /// Stops the program when the supervision is to end.
    fn pass_stop_on(&self, own: &Cancellation, is_over: &AtomicBool) {
        self.cancellation.wait_unless(is_over);
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        let _finishing = self.cancellation.finishing();
        self.proxy.as_ref().map(|proxy| proxy.hold(self.service.grace.min(DRAIN)));
        own.cancel();
        let asked = Instant::now();
        while !is_over.load(Ordering::SeqCst) {
            std::thread::sleep(STOP_INTERVAL);
        }
        self.was_killed.store(asked.elapsed() >= self.service.grace, Ordering::SeqCst);
    }

    /// Waits; returns false if the supervision is to end.
    fn wait(&self, time: Duration) -> bool {
        !self.cancellation.wait(time)
    }

    /// Changes the record. A disk that is full does not end a service.
    fn note(&self, change: impl FnOnce(&mut Record)) {
        let mut record = self.record.lock().expect("no panic while locked");
        change(&mut record);
        // Nor does it bring back the directory of a workspace that was moved or removed.
        if self.home.is_there(&self.service.place) {
            let _ = record.write(&self.service.place);
        }
    }
}
