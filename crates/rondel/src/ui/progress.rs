//! What runs now: the lines at the end of a terminal, and the signs of life where there is none.
//!
//! The state knows no terminal: `frame` returns lines for a width, `heartbeats` those that are due. A thread shows them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use rondel_engine::{Forecast, Graph, NodeId, Part, Shown as StepShown};

use crate::ui::columns::{cut, plain, width_of};
use crate::ui::screen::Size;
use crate::ui::times::{clock_text, last_text};

/// Time after which a step that says nothing is said to run still.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(30);
/// Number of output lines below a step.
const LINES: usize = 4;
/// Number of steps with a line of their own.
const STEPS: usize = 5;
/// Number of parts below a step.
const PARTS: usize = 12;
/// The shortest rest that is worth a line.
const REST_LEAST: Duration = Duration::from_secs(2);

/// A step that runs.
#[derive(Debug)]
struct Running {
    title: String,
    begun: Instant,
    /// When people last read of it.
    seen: Instant,
    /// What it does at the moment, if it says so.
    message: String,
    /// Its last lines, unless they are printed as they come.
    lines: VecDeque<String>,
    /// A line for each of its parts, if it has some.
    parts: Vec<String>,
}

/// The steps of a build that run, and those that have ended.
#[derive(Debug, Default)]
pub(crate) struct Live {
    running: BTreeMap<NodeId, Running>,
    ended: BTreeSet<NodeId>,
    /// Steps that count: those that people read of.
    counted: BTreeSet<NodeId>,
    forecast: Forecast,
    /// The step that has the terminal.
    foreground: Option<NodeId>,
    is_over: bool,
}

impl Live {
    /// Begins a build.
    pub fn expect(&mut self, graph: &Graph, forecast: Forecast) {
        let is_shown = |id: &NodeId| graph.node(*id).shown != StepShown::Never;
        *self = Live { counted: forecast.steps().filter(is_shown).collect(), forecast, ..Live::default() };
    }

    /// Adds a step that begins, or says something before it does.
    pub fn begin(&mut self, graph: &Graph, id: NodeId, now: Instant) {
        let node = graph.node(id);
        if node.shown == StepShown::Foreground {
            self.foreground = Some(id);
            return;
        }
        if node.shown != StepShown::Never {
            self.counted.insert(id);
        }
        self.running.entry(id).or_insert_with(|| Running {
            title: node.title.replace(['(', ')'], ""),
            begun: now,
            seen: now,
            message: String::new(),
            lines: VecDeque::new(),
            parts: Vec::new(),
        });
    }

    /// Notes what a step does.
    pub fn say(&mut self, graph: &Graph, id: NodeId, message: String, now: Instant) {
        self.begin(graph, id, now);
        if let Some(running) = self.running.get_mut(&id) {
            running.message = message;
        }
    }

    /// Notes how the parts of a step are.
    pub fn set_parts(&mut self, graph: &Graph, id: NodeId, parts: &[Part], now: Instant) {
        self.begin(graph, id, now);
        if let Some(running) = self.running.get_mut(&id) {
            running.parts = table(parts);
        }
    }

    /// Notes a line of output. A line that is printed is a sign of life, and stands above already.
    pub fn line(&mut self, id: NodeId, line: &str, is_printed: bool, now: Instant) {
        let Some(running) = self.running.get_mut(&id) else { return };
        let line = plain(line);
        if is_printed {
            running.seen = now;
            running.message = line.trim().to_owned();
            return;
        }
        if running.lines.len() == LINES {
            running.lines.pop_front();
        }
        running.lines.push_back(line);
    }

    /// Removes a step that has ended.
    pub fn end(&mut self, id: NodeId) {
        self.running.remove(&id);
        self.ended.insert(id);
        self.foreground = self.foreground.filter(|other| *other != id);
    }

    /// Ends the build: nothing runs any more.
    pub fn finish(&mut self) {
        self.running.clear();
        self.is_over = true;
    }

    /// Returns the lines for a terminal of this size, none of which is wider. The step that has run longest comes first.
    pub fn frame(&self, size: Size, now: Instant) -> Vec<String> {
        if self.is_over || self.foreground.is_some() || self.running.is_empty() {
            return Vec::new();
        }
        let mut steps: Vec<(&NodeId, &Running)> = self.running.iter().collect();
        steps.sort_by_key(|(id, running)| (running.begun, **id));
        let done = self.counted.intersection(&self.ended).count();
        let head = format!("[{done}/{}] ", self.counted.len());
        let indent = " ".repeat(width_of(&head));
        let mut lines = Vec::new();
        for (index, (id, running)) in steps.iter().take(STEPS).enumerate() {
            let detail = match running.message.as_str() {
                "" => String::new(),
                message => format!(" │ {message}"),
            };
            let took = clock_text(now.saturating_duration_since(running.begun));
            let last = last_text(self.forecast.last(**id));
            let begin = if index == 0 { &head } else { &indent };
            lines.push(format!("{begin}{} {took}{last}{detail}", running.title));
            lines.extend(running.parts.iter().chain(&running.lines).map(|line| format!("{indent}  {line}")));
        }
        if let Some(more) = steps.len().checked_sub(STEPS).filter(|more| *more > 0) {
            lines.push(format!("{indent}and {more} more"));
        }
        // A row is left for the cursor, and one for what is printed above.
        lines.truncate(size.rows.saturating_sub(3).max(1));
        if let Some(rest) = self.rest(now).filter(|rest| *rest >= REST_LEAST) {
            lines.push(format!("{indent}about {} left", clock_text(rest)));
        }
        lines.into_iter().map(|line| cut(&line, size.columns.saturating_sub(1))).collect()
    }

    fn rest(&self, now: Instant) -> Option<Duration> {
        let running = self.running.iter().map(|(id, it)| (*id, now.saturating_duration_since(it.begun)));
        self.forecast.rest(&self.ended, &running.collect())
    }

    /// Returns a line for each step that runs and that nobody has read of for a while.
    pub fn heartbeats(&mut self, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, running) in &mut self.running {
            if now.saturating_duration_since(running.seen) >= HEARTBEAT {
                running.seen = now;
                let took = clock_text(now.saturating_duration_since(running.begun));
                lines.push(format!("{}: {took}{}", running.title, last_text(self.forecast.last(*id))));
            }
        }
        lines
    }
}

/// Returns a line for each part. Of many, those come first that are not well, and the others are counted.
fn table(parts: &[Part]) -> Vec<String> {
    let mut parts: Vec<&Part> = parts.iter().collect();
    let mut left_out = Vec::new();
    if parts.len() > PARTS {
        parts.sort_by_key(|part| part.is_well);
        left_out = parts.split_off(PARTS - 1);
    }
    let cells = |part: &&Part| [&part.name, &part.state, &part.place].map(|text| plain(text));
    let rows: Vec<[String; 3]> = parts.iter().map(cells).collect();
    let widest = |column: usize| rows.iter().map(|row| width_of(&row[column])).max().unwrap_or(0);
    let (names, states) = (widest(0), widest(1));
    let padded = |text: &str, width: usize| format!("{text}{}", " ".repeat(width.saturating_sub(width_of(text))));
    let line = |[name, state, place]: &[String; 3]| {
        format!("{}  {}  {place}", padded(name, names), padded(state, states)).trim_end().to_owned()
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    if !left_out.is_empty() {
        let well = left_out.iter().filter(|part| part.is_well).count();
        lines.push(format!("and {} more, {well} of them well", left_out.len()));
    }
    lines
}
