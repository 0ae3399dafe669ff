//! Running a program to its end.

use std::io::{self, Read};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::redaction::RedactedLines;
use crate::{Cancellation, CommandLine, Receiver, Redactor, sandbox};

/// Maximum length of a line. Longer ones are passed on in pieces, so that a program without newlines can't fill the
/// memory.
const LINE_MAX: usize = 64 * 1024;
/// Maximum number of bytes of standard output that `capture` keeps.
const CAPTURE_MAX: usize = 256 * 1024 * 1024;
/// Number of bytes of standard error that `capture` keeps for the error message.
const STDERR_TAIL: usize = 16 * 1024;
/// Time for processes left behind by a finished child to release its output.
const LINGER: Duration = Duration::from_millis(500);

/// The stream of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The end of a program.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
}

impl Finished {
    /// Returns the exit code as a shell has it: 128 and the number of the signal for a program that a signal ended.
    pub fn shell_code(&self) -> u8 {
        let code = self.signal().map_or(self.status.code(), |signal| Some(128 + signal));
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
    }

    /// Returns the signal that ended it.
    pub(crate) fn signal(&self) -> Option<i32> {
        #[cfg(unix)]
        {
            std::os::unix::process::ExitStatusExt::signal(&self.status)
        }
        #[cfg(not(unix))]
        None
    }

    /// Returns the status in words: `exit status 2`, `signal 9`.
    pub fn describe(&self) -> String {
        if let Some(signal) = self.signal() {
            return format!("signal {signal}");
        }
        self.status.code().map_or_else(|| "an unknown status".to_owned(), |code| format!("exit status {code}"))
    }
}

/// The output of a program.
#[derive(Debug)]
pub struct Captured {
    /// The end of the program.
    pub finished: Finished,
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// The end of standard error.
    pub stderr: String,
}

/// A program could not be run, or was stopped.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("failed to start `{program}`")]
    Start {
        /// The program.
        program: String,
        /// The system's error.
        source: io::Error,
    },
    /// The build was cancelled while it ran, or before.
    #[error("interrupted")]
    Interrupted,
    /// It exceeded its time limit.
    #[error("`{program}` was stopped after {seconds} s")]
    TimedOut {
        /// The program.
        program: String,
        /// The time limit.
        seconds: u64,
    },
    /// It wrote more than can be kept.
    #[error("`{program}` wrote more than {} MiB", CAPTURE_MAX / 1024 / 1024)]
    TooMuchOutput {
        /// The program.
        program: String,
    },
}

/// Runs a program and passes on its lines, without their newline and without secrets; bytes that are not UTF-8 are
/// replaced. Calls `on_line` from two threads.
pub fn run(
    line: &CommandLine,
    cancellation: &Cancellation,
    redactor: &Redactor,
    on_line: &(dyn Fn(Stream, &str) + Sync),
) -> Result<Finished, ProcessError> {
    run_and_tell(line, cancellation, &Told { redactor, on_start: &|_| {}, on_line, on_printed: None })
}

/// What is told while a program runs.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    /// Takes secrets out of what `on_line` gets.
    pub redactor: &'a Redactor,
    /// Called with its number, which is that of its group, once it has started.
    pub on_start: &'a dyn Fn(u32),
    /// Called with each line, from two threads.
    pub on_line: &'a (dyn Fn(Stream, &str) + Sync),
    /// Called with each line as it was printed, secrets and all, after `on_line`.
    pub on_printed: Option<&'a (dyn Fn(&str) + Sync)>,
}

/// Runs a program as `run` does, and tells more of it.
pub fn run_and_tell(
    line: &CommandLine,
    cancellation: &Cancellation,
    told: &Told<'_>,
) -> Result<Finished, ProcessError> {
    let Told { redactor, on_start, on_line, on_printed } = *told;
    let nothing = Redactor::default();
    supervise(line, cancellation, on_start, &|stream, mut pipe| {
        let mut lines = RedactedLines::new(redactor, LINE_MAX);
        let mut printed = on_printed.map(|see| (see, RedactedLines::new(&nothing, LINE_MAX)));
        let mut buffer = vec![0_u8; 16 * 1024];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            lines.push(&buffer[..count], &mut |text| on_line(stream, text));
            if let Some((see, printed)) = &mut printed {
                printed.push(&buffer[..count], &mut |text| see(text));
            }
        }
        lines.finish(&mut |text| on_line(stream, text));
        if let Some((see, printed)) = printed {
            printed.finish(&mut |text| see(text));
        }
    })
}

/// Runs a program and returns its output. Secrets in it are the caller's affair.
pub fn capture(line: &CommandLine, cancellation: &Cancellation) -> Result<Captured, ProcessError> {
    capture_redacted(line, cancellation, &Redactor::default())
}

/// Runs a program and returns its output, standard error without secrets.
pub fn capture_redacted(
    line: &CommandLine,
    cancellation: &Cancellation,
    redactor: &Redactor,
) -> Result<Captured, ProcessError> {
    let stdout = Mutex::new(Vec::new());
    let stderr = Mutex::new(Vec::new());
    let finished = supervise(line, cancellation, &|_| {}, &|stream, mut pipe| {
        let mut buffer = vec![0_u8; 64 * 1024];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            match stream {
                Stream::Stdout => {
                    let mut kept = stdout.lock().expect("no panic while locked");
                    if kept.len() <= CAPTURE_MAX {
                        kept.extend_from_slice(&buffer[..count]);
                    }
                }
                Stream::Stderr => {
                    let mut kept = stderr.lock().expect("no panic while locked");
                    kept.extend_from_slice(&buffer[..count]);
                    // A secret that the cut goes through is kept whole, or it would not be recognized.
                    let excess = kept.len().saturating_sub(STDERR_TAIL + redactor.longest());
                    kept.drain(..excess);
                }
            }
        }
    })?;
    let stdout = stdout.into_inner().expect("no panic while locked");
    if stdout.len() > CAPTURE_MAX {
        return Err(ProcessError::TooMuchOutput { program: line.program.display().to_string() });
    }
    let stderr = stderr.into_inner().expect("no panic while locked");
    Ok(Captured { finished, stdout, stderr: tail(&redactor.apply(&String::from_utf8_lossy(&stderr))).to_owned() })
}

/// Returns the last bytes of a text, at most as many as are kept.
fn tail(text: &str) -> &str {
    let mut from = text.len().saturating_sub(STDERR_TAIL);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

/// Gives both streams one pipe, and returns its reading end.
fn merge(command: &mut std::process::Command) -> io::Result<io::PipeReader> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    Ok(reader)
}

/// Returns a pipe that can be given up.
fn abandonable<R>(inner: R, abandoned: &Arc<AtomicBool>) -> Box<dyn Read + Send>
where
    Pipe<R>: Read + Send + 'static,
{
    Box::new(Pipe { inner, abandoned: Arc::clone(abandoned) })
}

/// Starts the program in a group of its own, lets `drain` empty its pipes, and waits.
fn supervise(
    line: &CommandLine,
    cancellation: &Cancellation,
    on_start: &dyn Fn(u32),
    drain: &(dyn Fn(Stream, Box<dyn Read + Send>) + Sync),
) -> Result<Finished, ProcessError> {
    if cancellation.is_raised() {
        return Err(ProcessError::Interrupted);
    }
    let start_error = |source: io::Error| ProcessError::Start { program: line.program.display().to_string(), source };
    let mut command = line.to_command().map_err(|error| start_error(io::Error::other(error)))?;
    let stdin = if line.input.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let merged = if line.is_merged { Some(merge(&mut command).map_err(start_error)?) } else { None };
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }
    let child = match &line.sandbox {
        Some(sandbox) => sandbox::spawn(sandbox, &mut command),
        None => command.spawn(),
    };
    let mut child = child.map_err(start_error)?;
    let group = Receiver::Group(child.id());
    cancellation.register(group);
    on_start(child.id());
    // It holds the writing end of a pipe for both.
    drop(command);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    feed(&mut child, &line.input);
    let timed_out = AtomicBool::new(false);
    let abandoned = Arc::new(AtomicBool::new(false));
    let status = std::thread::scope(|scope| {
        let pipes: [(Stream, Option<Box<dyn Read + Send>>); 3] = [
            (Stream::Stdout, merged.map(|pipe| abandonable(pipe, &abandoned))),
            (Stream::Stdout, stdout.map(|pipe| abandonable(pipe, &abandoned))),
            (Stream::Stderr, stderr.map(|pipe| abandonable(pipe, &abandoned))),
        ];
        let pipes = pipes.into_iter().filter_map(|(stream, pipe)| Some((stream, pipe?)));
        let readers: Vec<_> = pipes.map(|(stream, pipe)| scope.spawn(move || drain(stream, pipe))).collect();
        let (ended, watch) = mpsc::channel::<()>();
        if let Some(timeout) = line.timeout {
            let timed_out = &timed_out;
            scope.spawn(move || watch_clock(group, timeout, &watch, timed_out));
        }
        wait_without_reaping(&mut child);
        drop(ended);
        // The rest of the child's group may still hold the pipes: it gets a moment, then it is killed. The zombie
        // reserves the group's number until `wait` below.
        let deadline = std::time::Instant::now() + LINGER;
        while !readers.iter().all(|reader| reader.is_finished()) && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        group.signal(true);
        // A process that left the group (a session of its own) can still hold them. Nothing waits for it: it ends with
        // Rondel, see `kill_orphans`.
        abandoned.store(true, Ordering::SeqCst);
        cancellation.unregister(group);
        child.wait()
    });
    let status = status.map_err(start_error)?;
    if cancellation.is_raised() && !status.success() {
        return Err(ProcessError::Interrupted);
    }
    if let (true, Some(timeout)) = (timed_out.into_inner(), line.timeout) {
        return Err(ProcessError::TimedOut { program: line.program.display().to_string(), seconds: timeout.as_secs() });
    }
    Ok(Finished { status })
}

/// Gives the child its input, on a thread that ends with the child: a program may read none of it.
fn feed(child: &mut Child, input: &[u8]) {
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_owned();
        std::thread::spawn(move || drop(io::Write::write_all(&mut stdin, &input)));
    }
}

/// Ends the receiver at its time limit: SIGTERM, and SIGKILL five seconds later.
pub(crate) fn watch_clock(receiver: Receiver, timeout: Duration, ended: &mpsc::Receiver<()>, timed_out: &AtomicBool) {
    for (wait, kill) in [(timeout, false), (Duration::from_secs(5), true)] {
        if ended.recv_timeout(wait) != Err(mpsc::RecvTimeoutError::Timeout) {
            return;
        }
        timed_out.store(true, Ordering::SeqCst);
        receiver.signal(kill);
    }
}

/// The reading end of a child's output. It can be given up while another process still holds the writing end.
struct Pipe<R> {
    inner: R,
    abandoned: Arc<AtomicBool>,
}

#[cfg(unix)]
impl<R: Read + std::os::fd::AsFd> Read for Pipe<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let patience = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        loop {
            let mut ready = [PollFd::new(&self.inner, PollFlags::IN)];
            match poll(&mut ready, Some(&patience)) {
                Ok(0) if self.abandoned.load(Ordering::SeqCst) => return Ok(0),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.inner.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(not(unix))]
impl<R: Read> Read for Pipe<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

/// Waits for the child's end but leaves it a zombie, so that no other process gets its number yet.
#[cfg(unix)]
pub(crate) fn wait_without_reaping(child: &mut Child) {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let pid = Pid::from_child(child);
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {}
}

#[cfg(not(unix))]
pub(crate) fn wait_without_reaping(child: &mut Child) {
    let _ = child.wait();
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::time::Instant;

    fn shell(script: &str) -> CommandLine {
        CommandLine::new("/bin/sh", "/").arguments(["-c", script])
    }

    #[test]
    fn input_is_given_to_who_reads_it_and_to_who_does_not() {
        let big = vec![b'x'; 1 << 20];
        for (script, expected) in [("cat | wc -c", "1048576"), ("echo none", "none"), ("head -c 2; exit", "xx")] {
            let line = CommandLine { input: big.clone(), ..shell(script) };
            let captured = capture(&line, &Cancellation::default()).unwrap();
            assert_eq!(String::from_utf8(captured.stdout).unwrap().trim(), expected, "{script}");
        }
        let line = shell("cat; echo end");
        assert_eq!(capture(&line, &Cancellation::default()).unwrap().stdout, b"end\n");
    }

    #[test]
    fn environment_is_closed_and_output_captured() {
        let mut line = shell("echo \"$A-${HOME-none}\"; echo oops >&2; exit 3");
        line.environment = vec![("A".into(), "b".into())];
        let captured = capture(&line, &Cancellation::new()).unwrap();
        assert_eq!(captured.stdout, b"b-none\n");
        assert_eq!(captured.stderr, "oops\n");
        assert_eq!(captured.finished.describe(), "exit status 3");
    }

    /// Two pipes would be read side by side.
    #[test]
    fn lines_of_both_streams_keep_their_order() {
        let mut line = shell("i=0; while [ $i -lt 1000 ]; do echo out $i; echo err $i >&2; i=$((i + 1)); done");
        line.is_merged = true;
        for _ in 0..5 {
            let seen = Mutex::new(Vec::new());
            run(&line, &Cancellation::new(), &Redactor::default(), &|_, text| {
                seen.lock().unwrap().push(text.to_owned())
            })
            .unwrap();
            let expected: Vec<String> =
                (0..1000).flat_map(|number| [format!("out {number}"), format!("err {number}")]).collect();
            assert!(seen.into_inner().unwrap() == expected);
        }
    }

    #[test]
    fn a_child_that_ignores_sigterm_is_killed_on_the_second_cancel() {
        let cancellation = Cancellation::new();
        let other = cancellation.clone();
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            other.cancel();
            std::thread::sleep(Duration::from_millis(100));
            other.cancel();
        });
        let begun = Instant::now();
        let outcome =
            run(&shell("trap '' TERM; while :; do sleep 1; done"), &cancellation, &Redactor::default(), &|_, _| {});
        canceller.join().unwrap();
        assert!(matches!(outcome, Err(ProcessError::Interrupted)));
        assert!(begun.elapsed() < Duration::from_secs(4), "killed at once, not after the grace period");
    }

    #[test]
    fn a_timeout_is_kept() {
        let mut line = shell("sleep 60");
        line.environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
        line.timeout = Some(Duration::from_millis(200));
        let outcome = run(&line, &Cancellation::new(), &Redactor::default(), &|_, _| {});
        assert!(matches!(outcome, Err(ProcessError::TimedOut { .. })), "{outcome:?}");
    }

    #[test]
    fn a_background_process_does_not_hold_up_the_end() {
        let begun = Instant::now();
        let outcome =
            run(&shell("sleep 60 & echo done"), &Cancellation::new(), &Redactor::default(), &|_, _| {}).unwrap();
        assert!(outcome.status.success());
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    /// A process in a session of its own keeps the pipes open: nothing waits for it.
    #[test]
    fn a_process_that_left_its_group_does_not_hold_up_the_end() {
        let begun = Instant::now();
        let mut line = shell("setsid sleep 20 & echo done");
        line.environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
        run(&line, &Cancellation::new(), &Redactor::default(), &|_, _| {}).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn endless_lines_come_in_pieces() {
        let longest = Mutex::new(0);
        let line = shell("head -c 1000000 /dev/zero | tr '\\0' x");
        let mut line = line;
        line.environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
        run(&line, &Cancellation::new(), &Redactor::default(), &|_, text| {
            let mut longest = longest.lock().unwrap();
            *longest = text.len().max(*longest);
        })
        .unwrap();
        assert_eq!(longest.into_inner().unwrap(), LINE_MAX);
    }

    /// The tail of standard error begins within a secret: nothing of it shows.
    #[test]
    fn the_kept_end_of_an_error_begins_with_no_half_of_a_secret() {
        let secret = "CANARY0123456789abcdef";
        for more in [0, 1, 9, 21, 22] {
            let after = STDERR_TAIL - secret.len() + more;
            let mut line = shell(&format!("(printf %s {secret}; head -c {after} /dev/zero | tr '\\0' x) >&2"));
            line.environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
            let redactor = Redactor::new([secret.to_owned()]);
            let captured = capture_redacted(&line, &Cancellation::new(), &redactor).unwrap();
            let rest = captured.stderr.trim_matches(['x', '*']);
            assert!(rest.is_empty(), "`{rest}` with {more} more");
        }
    }
}
