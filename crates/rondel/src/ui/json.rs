//! `--events json`: one object a line on standard output, for programs.
//!
//! The first is `started` and names the schema's version; the last is `finished`. Fields are added over time
//! and never renamed or taken away within one version.

use std::sync::Mutex;
use std::time::Instant;

use rondel_engine::{Event, Graph, Outcome, Reason, StepError};
use rondel_process::Stream;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::ui::print_data;

/// Version of the events.
const SCHEMA: u64 = 1;

/// Writes events.
pub(crate) struct Json<'g> {
    graph: &'g Graph,
    lock: Mutex<()>,
}

impl<'g> Json<'g> {
    pub fn new(graph: &'g Graph, project: &str, targets: &[String]) -> Json<'g> {
        let this = Json { graph, lock: Mutex::new(()) };
        this.write(&json!({"event": "started", "schema": SCHEMA, "project": project, "targets": targets}));
        this
    }

    fn write(&self, value: &Value) {
        let _guard = self.lock.lock().expect("no panic while locked");
        print_data(&format!("{value}\n"));
    }

    /// Called from several threads.
    pub fn show(&self, event: &Event) {
        let step = |node: &usize| self.graph.node(*node);
        let value = match event {
            Event::Started { node, reasons } => json!({
                "event": "step_started", "target": step(node).target, "step": step(node).label, "reasons": reasons_json(reasons),
            }),
            Event::Command { node, line } => {
                json!({"event": "command", "target": step(node).target, "step": step(node).label, "line": line})
            }
            Event::Output { node, stream, line } => {
                let stream = if *stream == Stream::Stdout { "stdout" } else { "stderr" };
                json!({"event": "output", "target": step(node).target, "step": step(node).label, "stream": stream, "line": line})
            }
            Event::Progress { node, message, done, total } => json!({
                "event": "progress", "target": step(node).target, "step": step(node).label, "message": message,
                "done_bytes": done, "total_bytes": total,
            }),
            Event::Note { node, text } => {
                json!({"event": "note", "target": step(node).target, "step": step(node).label, "text": text})
            }
            Event::Warning { text } => json!({"event": "warning", "text": text}),
            Event::Finished { node, outcome, reasons, duration, outputs, facts } => {
                let outputs: Vec<Value> = outputs
                    .iter()
                    .map(|output| json!({"path": output.path, "digest": output.digest.oci(), "size": output.digest.size()}))
                    .collect();
                json!({
                    "event": "step_finished",
                    "target": step(node).target,
                    "step": step(node).label,
                    "outcome": outcome_text(*outcome),
                    "restored": *outcome == Outcome::Restored,
                    "reason": reasons.first().map(ToString::to_string),
                    "reasons": reasons_json(reasons),
                    "duration_ms": duration.as_millis() as u64,
                    "outputs": outputs,
                    "facts": facts,
                })
            }
        };
        self.write(&value);
    }

    /// A step's error, after all other events of the step.
    pub fn failure(&self, node: usize, error: &StepError) {
        let step = self.graph.node(node);
        let output = match error {
            StepError::Command { output, .. } => output.clone(),
            _ => Vec::new(),
        };
        self.write(&json!({
            "event": "error", "target": step.target, "step": step.label, "message": error.to_string(),
            "hint": error.hint_text(), "output": output,
        }));
    }

    /// The last event.
    pub fn summary(&self, exit: Exit, begun: Instant) {
        let outcome = match exit {
            Exit::Done => "ok",
            Exit::Interrupted => "interrupted",
            _ => "failed",
        };
        self.write(&json!({
            "event": "finished", "outcome": outcome, "exit_code": exit.code(), "duration_ms": begun.elapsed().as_millis() as u64,
        }));
    }
}

fn outcome_text(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ran => "ran",
        Outcome::Cached | Outcome::Restored => "cached",
        Outcome::Failed | Outcome::Interrupted => "failed",
        Outcome::Skipped => "skipped",
    }
}

/// Each reason as it is typed, with its words for people.
pub(crate) fn reasons_json(reasons: &[Reason]) -> Vec<Value> {
    let one = |reason: &Reason| {
        let mut value = serde_json::to_value(reason).unwrap_or(Value::Null);
        value["text"] = json!(reason.to_string());
        value
    };
    reasons.iter().map(one).collect()
}
