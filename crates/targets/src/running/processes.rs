//! A process of this machine, by its record.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use rondel_engine::UserError;
use rondel_process::Cancellation;
use rondel_supervise::{Holder, LogReader, Phase, Place, Record, Stopped, last_lines, stop};

use super::{LogQuery, Running, RunningPart, SeeLine, time_text};

/// What is said of a process whose target is gone.
const UNDECLARED: &str = ", of a target that build.ron no longer has";

/// The process of one target.
pub(crate) struct Processes {
    /// Where its record and its log are.
    pub place: Place,
    /// Name of the target.
    pub name: String,
    /// False if build.ron has no such target any more.
    pub is_declared: bool,
}

impl Processes {
    fn unreadable(&self, error: &io::Error) -> UserError {
        UserError::environment(format!("the log of `{}` can't be read: {error}", self.name))
    }
}

impl Running for Processes {
    fn parts(&self) -> Result<Vec<RunningPart>, UserError> {
        let Some(record) = Record::read(&self.place) else { return Ok(Vec::new()) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let is_running = record.is_running();
        let state = match record.phase {
            Phase::Starting | Phase::Ready | Phase::Restarting if !is_running => "killed".to_owned(),
            Phase::Ready if record.is_orphaned() => "ready, without its supervisor".to_owned(),
            Phase::Starting => "starting".to_owned(),
            Phase::Ready => "ready".to_owned(),
            Phase::Restarting => format!("restarting after {}", record.status),
            Phase::Ended => format!("ended: {}", record.status),
        };
        let program = record.program().filter(|program| program.is_running());
        let mut what = program.map(|program| format!("process {}", program.pid)).unwrap_or_default();
        if record.restarts > 0 {
            let comma = if what.is_empty() { "" } else { ", " };
            what.push_str(&format!(
                "{comma}{} restart{}",
                record.restarts,
                if record.restarts == 1 { "" } else { "s" }
            ));
        }
        if !self.is_declared {
            what.push_str(UNDECLARED);
        }
        Ok(vec![RunningPart {
            part: None,
            state,
            is_running,
            since: time_text(now.saturating_sub(record.since)),
            addresses: record.place().filter(|_| is_running).cloned().into_iter().collect(),
            what,
        }])
    }

    fn is_own(&self) -> bool {
        let holder = Record::read(&self.place).and_then(|record| record.holder);
        // What a killed Rondel has left is whose finds it.
        holder.is_some_and(|holder| holder.ends_service && !holder.is_another())
    }

    fn other_holder(&self) -> Option<u32> {
        let record = Record::read(&self.place).filter(Record::is_running)?;
        record.holder.filter(Holder::is_another).map(|holder| holder.process().pid)
    }

    fn own_end(&self) -> Option<(u64, String)> {
        let record = Record::read(&self.place).filter(|record| record.phase == Phase::Ended && record.ended_itself)?;
        let when = record.since << 32 | u64::from(record.supervisor().pid);
        Some((when, format!("{}; its log is {}", record.status, self.place.log().display())))
    }

    fn stop(&self) -> Result<Vec<String>, UserError> {
        let pid = Record::read(&self.place).and_then(|record| record.program()).map(|program| program.pid);
        let mut what = pid.map_or_else(|| "process".to_owned(), |pid| format!("process {pid}"));
        if !self.is_declared {
            what.push_str(UNDECLARED);
        }
        let stopped = stop(&self.place)
            .map_err(|error| UserError::environment(format!("`{}` could not be stopped: {error}", self.name)))?;
        Ok(match stopped {
            Stopped::WasNotRunning => Vec::new(),
            Stopped::Ended => vec![what],
            Stopped::Killed => vec![format!("{what}, killed: it did not end within its time")],
        })
    }

    fn logs(&self, query: LogQuery, see: SeeLine<'_>, cancellation: &Cancellation) -> Result<(), UserError> {
        let (lines, mut reader) = last_lines(&self.place, query.tail).map_err(|error| self.unreadable(&error))?;
        lines.iter().for_each(|line| see(None, line));
        if !query.follow {
            return Ok(());
        }
        let goes_on =
            || !cancellation.is_raised() && Record::read(&self.place).is_some_and(|record| record.is_running());
        reader.follow(&goes_on, &mut |line| see(None, line)).map_err(|error| self.unreadable(&error))
    }

    fn see_new_lines(&self, begun: &dyn Fn(), see: SeeLine<'_>, cancellation: &Cancellation) -> Result<(), UserError> {
        let mut reader = LogReader::new(&self.place);
        // What was printed before is known.
        let read = reader.read(&mut |_| {});
        begun();
        read.and_then(|()| reader.follow(&|| !cancellation.is_raised(), &mut |line| see(None, line)))
            .map_err(|error| self.unreadable(&error))
    }
}
