//! `--events json`: one object a line on standard output, for programs.
//!
//! The first is `started` and names the schema's version; the last is `finished`. Within one version fields may be
//! added, but never renamed or removed.

use std::sync::Mutex;
use std::time::Duration;

use rondel_buildfile::TargetName;
use rondel_diff::Difference;
use rondel_engine::{Event, Graph, NodeId, Outcome, Part, Reason, StepError};
use rondel_process::Stream;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::program::with_program;
use crate::ui::{
    AuditOutcome, AuditStart, AuditSummary, Audited, BuildEnd, BuildStart, Bundled, MemberState, Printer, RebuildStart,
    RebuildSummary, Shown, Sink, Verified, VerifySummary, reason_text,
};

/// Version of the events.
const SCHEMA: u64 = 1;

/// Writes events.
pub(crate) struct Json {
    shown: Shown,
    print: Mutex<Printer>,
}

impl Json {
    /// Writes lines with `print`, each with its newline.
    pub fn new(shown: Shown, print: Printer) -> Json {
        Json { shown, print: Mutex::new(print) }
    }

    fn write(&self, value: &Value) {
        let print = self.print.lock().expect("no panic while locked");
        print(&format!("{value}\n"));
    }
}

impl Sink for Json {
    fn started(&self, project: &str, targets: &[String]) {
        if self.shown == Shown::AsUsual {
            self.write(&json!({"event": "started", "schema": SCHEMA, "project": project, "targets": targets}));
        }
    }

    fn building(&self, _: BuildStart<'_>) {}

    fn event(&self, graph: &Graph, event: &Event) {
        if self.shown == Shown::FailuresOnly && !matches!(event, Event::Warning { .. }) {
            return;
        }
        let step = |node: &NodeId| graph.node(*node);
        let value = match event {
            Event::Started { node, reasons } => json!({
                "event": "step_started", "target": step(node).key.target_text(), "step": step(node).key.to_string(), "reasons": reasons_json(reasons),
            }),
            Event::Command { node, line, .. } => {
                json!({"event": "command", "target": step(node).key.target_text(), "step": step(node).key.to_string(), "line": line})
            }
            Event::Output { node, stream, line, is_replayed } => {
                let stream = if *stream == Stream::Stdout { "stdout" } else { "stderr" };
                let mut value = json!({"event": "output", "target": step(node).key.target_text(), "step": step(node).key.to_string(), "stream": stream, "line": line});
                if *is_replayed {
                    value["replayed"] = json!(true);
                }
                value
            }
            Event::Progress { node, message, done, total } => json!({
                "event": "progress", "target": step(node).key.target_text(), "step": step(node).key.to_string(), "message": message,
                "done_bytes": done, "total_bytes": total,
            }),
            Event::Parts { node, parts } => {
                let part = |part: &Part| json!({"name": part.name, "state": part.state, "place": part.place});
                json!({"event": "parts", "target": step(node).key.target_text(), "step": step(node).key.to_string(), "parts": parts.iter().map(part).collect::<Vec<Value>>()})
            }
            Event::Note { node, text } => {
                json!({"event": "note", "target": step(node).key.target_text(), "step": step(node).key.to_string(), "text": with_program(text)})
            }
            // Of tests, the lines for people say the same; a program reads JUnit's form.
            Event::Reported { .. } => return,
            Event::Warning { text } => json!({"event": "warning", "text": with_program(text)}),
            Event::Finished { node, outcome, reasons, duration, saved, outputs, metadata } => {
                let outputs: Vec<Value> = outputs
                    .iter()
                    .map(|output| json!({"path": output.path, "digest": output.digest.oci(), "size": output.digest.size()}))
                    .collect();
                json!({
                    "event": "step_finished",
                    "target": step(node).key.target_text(),
                    "step": step(node).key.to_string(),
                    "outcome": outcome_text(*outcome),
                    "restored": *outcome == Outcome::Restored,
                    "reason": reasons.first().map(reason_text),
                    "reasons": reasons_json(reasons),
                    "duration_ms": duration.as_millis() as u64,
                    "saved_ms": saved.as_millis() as u64,
                    "outputs": outputs,
                    "facts": metadata.facts(),
                })
            }
        };
        self.write(&value);
    }

    fn failure(&self, graph: &Graph, node: NodeId, error: &StepError, _place: &str) {
        let step = graph.node(node);
        let output = match error {
            StepError::Command { output, .. } => output.clone(),
            StepError::Foreground { .. } | StepError::User(_) | StepError::Interrupted => Vec::new(),
        };
        self.write(&json!({
            "event": "error", "target": step.key.target_text(), "step": step.key.to_string(), "message": with_program(&error.to_string()),
            "hint": error.hint_text().map(with_program), "output": output,
        }));
    }

    fn members(&self, group: &TargetName, members: &[(TargetName, MemberState)]) {
        let word = |state| match state {
            MemberState::Ran => "ran",
            MemberState::UpToDate => "cached",
            MemberState::Failed => "failed",
            MemberState::Unfinished => "unfinished",
            MemberState::DidNotRun => "not_run",
        };
        let members: Vec<Value> =
            members.iter().map(|(name, state)| json!({"target": name.as_str(), "outcome": word(*state)})).collect();
        self.write(&json!({"event": "group", "target": group.as_str(), "members": members}));
    }

    /// Does nothing: programs add up `step_finished` themselves.
    fn built(&self, _: &Graph, _: &BuildEnd<'_>) {}

    fn unpublished(&self, _: &[TargetName]) {}

    fn verifying(&self) {}

    fn proven(&self, _: &[TargetName]) {}

    fn second_build_failed(&self) {
        self.write(&json!({"event": "warning", "text": crate::ui::SECOND_BUILD_FAILED}));
    }

    fn verified(&self, step: &Verified) {
        let outcome = if step.difference.is_some() { "different" } else { "identical" };
        let empty = Difference { place: Vec::new(), what: Vec::new() };
        let difference = step.difference.as_ref().unwrap_or(&empty);
        self.write(&json!({
            "event": "verified", "step": step.label, "outcome": outcome, "summary": step.summary,
            "place": difference.place, "what": difference.what,
        }));
    }

    fn verify_summary(&self, _: &VerifySummary<'_>) {}

    fn rebuilding(&self, start: &RebuildStart<'_>) {
        self.write(&json!({
            "event": "rebuild_started", "target": start.target.as_str(), "commit": start.commit, "taken": start.taken,
        }));
    }

    fn rebuilt(&self, summary: &RebuildSummary<'_>) {
        let unproven = summary.unproven.iter().map(|(what, why)| json!({"what": what, "why": why}));
        self.write(&json!({
            "event": "rebuilt", "target": summary.start.target.as_str(), "commit": summary.start.commit,
            "same": summary.same, "different": summary.different, "unproven": unproven.collect::<Vec<Value>>(),
        }));
    }

    fn bundled(&self, bundle: &Bundled<'_>) {
        self.write(&json!({
            "event": "bundled", "path": bundle.path.display().to_string(), "digest": bundle.digest.oci(),
            "size": bundle.digest.size(), "files": bundle.files,
        }));
    }

    fn attested(&self, place: &str, bytes: u64) {
        self.write(&json!({"event": "attested", "place": place, "bytes": bytes}));
    }

    fn auditing(&self, start: &AuditStart) {
        self.write(
            &json!({"event": "audit_started", "stored": start.stored, "chosen": start.chosen, "rate": start.rate, "seed": start.seed}),
        );
    }

    fn audited(&self, audited: &Audited) {
        let nothing = Difference { place: Vec::new(), what: Vec::new() };
        let (outcome, difference, text) = match &audited.outcome {
            AuditOutcome::Same(summary) => ("same", &nothing, summary.as_str()),
            AuditOutcome::Different(difference) => ("different", difference, ""),
            AuditOutcome::NotChecked(why) => ("not_checked", &nothing, why.as_str()),
        };
        self.write(&json!({
            "event": "audited", "step": audited.label, "key": audited.key.oci(), "outcome": outcome,
            "text": with_program(text),
            "place": difference.place, "what": difference.what,
        }));
    }

    fn audit_summary(&self, summary: &AuditSummary) {
        self.write(&json!({
            "event": "audit_finished", "checked": summary.checked, "differed": summary.differed,
            "not_checked": summary.not_checked, "not_reached": summary.not_reached,
        }));
    }

    fn finished(&self, exit: Exit, took: Duration) {
        let outcome = match exit {
            Exit::Done => "ok",
            Exit::Interrupted => "interrupted",
            Exit::Different => "different",
            Exit::StepFailed | Exit::Configuration | Exit::Environment | Exit::Program(_) => "failed",
        };
        self.write(&json!({
            "event": "finished", "outcome": outcome, "exit_code": exit.code(), "duration_ms": took.as_millis() as u64,
        }));
    }
}

fn outcome_text(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ran => "ran",
        Outcome::Cached | Outcome::Restored => "cached",
        Outcome::Failed | Outcome::Interrupted => "failed",
        Outcome::Skipped | Outcome::NotRun => "skipped",
    }
}

/// Returns each reason with its fields and its words for people.
fn reasons_json(reasons: &[Reason]) -> Vec<Value> {
    let one = |reason: &Reason| {
        let mut value = serde_json::to_value(reason).unwrap_or(Value::Null);
        value["text"] = json!(reason_text(reason));
        value
    };
    reasons.iter().map(one).collect()
}
