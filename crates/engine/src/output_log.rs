//! `OutputLog`: what the commands of a step printed. It is stored with the result, without secrets, and shown again when
//! the result is used: a warning does not vanish because its step is up to date.

use rondel_cas::{ActionResult, BlobError, Cache, Digest};
use rondel_process::Stream;

use crate::context::StepContext;
use crate::event::Event;

/// Maximum number of bytes that are kept of a step.
const KEPT_MAX: usize = 1 << 20;

/// Lines of both streams, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct OutputLog {
    stdout: String,
    stderr: String,
    /// Numbers of lines by turns, standard output first.
    turns: Vec<u64>,
    /// Number of lines that were not kept.
    dropped: u64,
}

/// A log in the store.
#[derive(Debug, Default)]
pub(crate) struct StoredLog {
    pub stdout: Option<Digest>,
    pub stderr: Option<Digest>,
    pub line_order: String,
}

impl OutputLog {
    /// Adds a line. Without a newline, as events have it.
    pub fn push(&mut self, stream: Stream, line: &str) {
        if self.dropped > 0 || self.stdout.len() + self.stderr.len() + line.len() >= KEPT_MAX {
            self.dropped += 1;
            return;
        }
        self.append(stream, line);
    }

    fn append(&mut self, stream: Stream, line: &str) {
        let text = if stream == Stream::Stdout { &mut self.stdout } else { &mut self.stderr };
        text.push_str(line);
        text.push('\n');
        let is_turn_of = (self.turns.len() % 2 == 1) == (stream == Stream::Stdout);
        match self.turns.last_mut() {
            Some(count) if is_turn_of => *count += 1,
            None if stream == Stream::Stderr => self.turns.extend([0, 1]),
            Some(_) | None => self.turns.push(1),
        }
    }

    /// Stores the lines. A store that can't take them costs the lines, not the result.
    pub fn store(mut self, context: &StepContext<'_>) -> StoredLog {
        if self.dropped > 0 {
            let count = self.dropped;
            self.append(Stream::Stderr, &format!("[{count} more lines were printed, and not kept]"));
        }
        match self.put(&context.workspace.results) {
            Ok(stored) => stored,
            Err(error) => {
                context.warn(format!("{error}; what the step printed is not kept"));
                StoredLog::default()
            }
        }
    }

    fn put(&self, store: &Cache) -> Result<StoredLog, BlobError> {
        let put = |text: &str| (!text.is_empty()).then(|| store.put_bytes(text.as_bytes())).transpose();
        let turns: Vec<String> = self.turns.iter().map(u64::to_string).collect();
        Ok(StoredLog { stdout: put(&self.stdout)?, stderr: put(&self.stderr)?, line_order: turns.join(" ") })
    }
}

/// Shows what the run printed that made `result`.
pub(crate) fn replay(context: &StepContext<'_>, result: &ActionResult) {
    let outcome = each_line(&context.workspace.results, result, &mut |stream, line| {
        (context.emit)(Event::Output { node: context.node, stream, line: context.redact(line), is_replayed: true });
    });
    if let Err(error) = outcome {
        context.warn(format!("{error}; what the step printed when it ran is not shown"));
    }
}

/// Calls `show` with each line. Without a sound order, standard output comes first.
fn each_line(store: &Cache, result: &ActionResult, show: &mut dyn FnMut(Stream, &str)) -> Result<(), BlobError> {
    let text = |digest: &Option<Digest>| -> Result<String, BlobError> {
        let bytes = digest.as_ref().map(|digest| store.read_bytes(digest)).transpose()?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (stdout, stderr) = (text(&result.stdout)?, text(&result.stderr)?);
    let (mut stdout, mut stderr) = (stdout.split_terminator('\n'), stderr.split_terminator('\n'));
    for (turn, count) in result.line_order.split(' ').enumerate() {
        let is_stdout = turn % 2 == 0;
        for _ in 0..count.parse::<u64>().unwrap_or(0) {
            let line = if is_stdout { stdout.next() } else { stderr.next() };
            let Some(line) = line else { break };
            show(if is_stdout { Stream::Stdout } else { Stream::Stderr }, line);
        }
    }
    stdout.for_each(|line| show(Stream::Stdout, line));
    stderr.for_each(|line| show(Stream::Stderr, line));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stream::{Stderr, Stdout};

    fn again(name: &str, lines: &[(Stream, String)]) -> Vec<(Stream, String)> {
        let root = std::env::temp_dir().join(format!("rondel-log-{name}-{}", std::process::id()));
        let store = Cache::disk(&root);
        let mut log = OutputLog::default();
        lines.iter().for_each(|(stream, line)| log.push(*stream, line));
        let StoredLog { stdout, stderr, line_order } = log.put(&store).unwrap();
        let result = ActionResult { stdout, stderr, line_order, ..ActionResult::default() };
        let mut found = Vec::new();
        each_line(&store, &result, &mut |stream, line| found.push((stream, line.to_owned()))).unwrap();
        let _ = std::fs::remove_dir_all(root);
        found
    }

    #[test]
    fn lines_come_back_in_their_order() {
        for (name, streams) in [
            ("none", &[][..]),
            ("out", &[Stdout]),
            ("err", &[Stderr, Stderr]),
            ("both", &[Stderr, Stdout, Stdout, Stderr, Stdout]),
        ] {
            let lines: Vec<(Stream, String)> =
                streams.iter().enumerate().map(|(index, stream)| (*stream, "x".repeat(index))).collect();
            assert_eq!(again(name, &lines), lines);
        }
    }

    /// Whatever order a stored result has, each line is shown once.
    #[test]
    fn a_wrong_order_loses_nothing() {
        let root = std::env::temp_dir().join(format!("rondel-log-order-{}", std::process::id()));
        let store = Cache::disk(&root);
        let (stdout, stderr) = (store.put_bytes(b"a\nb\n").ok(), store.put_bytes(b"c\n").ok());
        for order in ["", "1", "x 1", "99999999999999999999 1", "0 1 1", "5 5 5"] {
            let result = ActionResult { stdout, stderr, line_order: order.to_owned(), ..ActionResult::default() };
            let mut found = String::new();
            each_line(&store, &result, &mut |_, line| found.push_str(line)).unwrap();
            assert!(found == "abc" || found == "cab", "{order}: {found}");
        }
        let _ = std::fs::remove_dir_all(root);
    }

    #[test]
    fn a_flood_is_cut_with_a_word() {
        let mut log = OutputLog::default();
        let line = "y".repeat(1000);
        (0..2000).for_each(|_| log.push(Stdout, &line));
        assert!(log.stdout.len() <= KEPT_MAX && log.stdout.len() > KEPT_MAX - 2000);
        assert_eq!(log.dropped + log.stdout.lines().count() as u64, 2000);
    }
}
