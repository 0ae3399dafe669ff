//! The last action of each step, kept in the workspace to explain the next miss.
//!
//! `.rondel/actions.3/<key>` has a first line with the action's digest, one of JSON, and a line for each input: its
//! value, a tabulator, its path. A checksum of all that ends it. Losing it costs explanations. The version is in the
//! directory's name: a Rondel of another version has a directory of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, MEMORY_MAX, open_regular, read_text_at_most, write_atomically};
use serde::{Deserialize, Serialize};

use crate::action::{ActionSpec, MemberKind, Members};
use crate::reason::{Reason, differences};
use crate::step_key::StepKey;

/// Directory of the records, below `.rondel`.
const ACTIONS: &str = "actions.3";

/// A step's last action and last run.
#[derive(Clone, Debug, Default)]
pub struct StepRecord {
    /// The step; `None` of an empty record.
    pub step: Option<StepKey>,
    /// Digest of the last action, hit or run.
    pub action: Option<Digest>,
    /// Its members.
    pub(crate) members: Members,
    /// The last run.
    pub last_run: Option<LastRun>,
    /// True if the last result was not cached because an input changed during the run.
    pub is_unkept: bool,
}

/// The last real run of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// Seconds since 1970.
    pub at_s: u64,
    /// Duration in milliseconds.
    pub duration_ms: u64,
    /// Why it ran.
    pub reasons: Vec<Reason>,
    /// The action that ran.
    pub action: Option<Digest>,
}

#[derive(Serialize, Deserialize)]
struct RecordFile {
    members: Vec<(MemberKind, String, String)>,
    last_run: Option<LastRun>,
    step: StepKey,
    #[serde(default)]
    is_unkept: bool,
}

impl StepRecord {
    /// Returns how the action of `self` differs from that of `other`: causes first, then the rest.
    pub fn differences_from(&self, other: &StepRecord) -> Vec<Reason> {
        differences(&other.members, &self.members)
    }

    /// Returns how `spec` differs from the action of `self`; `None` if there was no action.
    pub fn differences_to(&self, spec: &ActionSpec) -> Option<Vec<Reason>> {
        self.step.as_ref()?;
        Some(differences(&self.members, &spec.members()))
    }

    /// Returns the number of members of each kind, in words.
    pub fn counts(&self) -> Vec<(usize, &'static str)> {
        let count = |wanted| self.members.keys().filter(|(kind, _)| *kind == wanted).count();
        let kinds = [
            (MemberKind::Input, "input", "inputs"),
            (MemberKind::Upstream, "result of another step", "results of other steps"),
            (MemberKind::Environment, "variable", "variables"),
            (MemberKind::Tool, "tool", "tools"),
            (MemberKind::Setting, "setting", "settings"),
            (MemberKind::Argument, "argument", "arguments"),
        ];
        let counted = kinds.map(|(kind, one, many)| match count(kind) {
            1 => (1, one),
            count => (count, many),
        });
        counted.into_iter().filter(|(count, _)| *count > 0).collect()
    }

    /// Returns the inputs, tools and settings of the last action, one line each: `input a/b.go <digest>`.
    pub fn describe(&self) -> Vec<String> {
        let word = |kind: &MemberKind| match kind {
            MemberKind::Argument => "argument",
            MemberKind::Environment => "environment",
            MemberKind::Setting => "setting",
            MemberKind::Tool => "tool",
            MemberKind::Input => "input",
            MemberKind::Upstream => "upstream",
            MemberKind::Output => "output",
        };
        let members = self.members.iter().map(|((kind, name), value)| {
            let name = if *kind == MemberKind::Argument { "" } else { name.as_str() };
            [word(kind), name, value.strip_prefix('=').unwrap_or(value)].join(" ").replace("  ", " ")
        });
        members.collect()
    }
}

/// Returns the path of the step's record.
fn record_path(state: &Path, step: &StepKey) -> PathBuf {
    state.join(ACTIONS).join(step.file_name())
}

/// Returns all records of a workspace, sorted by step.
pub fn records(state: &Path) -> Vec<StepRecord> {
    let entries = fs::read_dir(state.join(ACTIONS)).into_iter().flatten().flatten();
    let mut records: Vec<_> = entries.filter_map(|entry| read_record_file(&entry.path()).ok()).collect();
    records.sort_by(|one, other| one.step.cmp(&other.step));
    records
}

/// Returns the digest of the last action only, with one short read.
pub(crate) fn last_action(state: &Path, step: &StepKey) -> Option<Digest> {
    let (file, _) = open_regular(&record_path(state, step)).ok()?;
    let mut line = String::new();
    BufReader::with_capacity(256, file).take(256).read_line(&mut line).ok()?;
    line.trim_end().parse().ok()
}

/// Returns the record of the step, or an empty one if none can be read.
pub fn read_record(state: &Path, step: &StepKey) -> StepRecord {
    let text = read_text_at_most(&record_path(state, step), MEMORY_MAX).unwrap_or_default();
    parse_record(&text).unwrap_or_default()
}

/// Returns the record in a file, which may come from another machine.
pub fn read_record_file(path: &Path) -> std::io::Result<StepRecord> {
    let no_record = || std::io::Error::other("it is not a record of a step, or it is damaged");
    parse_record(&read_text_at_most(path, MEMORY_MAX)?).ok_or_else(no_record)
}

/// Returns `None` for anything torn, flipped or foreign: an explanation made of it would not be true.
pub(crate) fn parse_record(text: &str) -> Option<StepRecord> {
    let (whole, checksum) = text.strip_suffix('\n')?.rsplit_once("\n# ")?;
    let whole = &text[..=whole.len()];
    if Digest::of(whole.as_bytes()).hex() != checksum {
        return None;
    }
    let (digest, rest) = whole.split_once('\n')?;
    let (body, inputs) = rest.split_once('\n')?;
    let stored: RecordFile = serde_json::from_str(body).ok()?;
    let mut members: Members = stored.members.into_iter().map(|(kind, name, value)| ((kind, name), value)).collect();
    for line in inputs.lines() {
        let (value, path) = line.split_once('\t')?;
        members.insert((MemberKind::Input, unescaped(path)), unescaped(value));
    }
    let RecordFile { step, last_run, is_unkept, .. } = stored;
    Some(StepRecord { step: Some(step), action: digest.parse().ok(), members, last_run, is_unkept })
}

/// Stores the record. A failure is only worth a warning.
pub(crate) fn write_record(state: &Path, step: &StepKey, record: &StepRecord) -> std::io::Result<()> {
    write_atomically(&state.join("tmp"), &record_path(state, step), record_text(step, record).as_bytes())
}

/// Returns the contents of a record's file.
pub(crate) fn record_text(step: &StepKey, record: &StepRecord) -> String {
    let is_input = |kind: &MemberKind| *kind == MemberKind::Input;
    let others = record.members.iter().filter(|((kind, _), _)| !is_input(kind));
    let members = others.map(|((kind, name), value)| (*kind, name.clone(), value.clone())).collect();
    let stored =
        RecordFile { members, last_run: record.last_run.clone(), step: step.clone(), is_unkept: record.is_unkept };
    let digest = record.action.map(|digest| digest.to_string()).unwrap_or_default();
    let mut text = format!("{digest}\n{}\n", serde_json::to_string(&stored).expect("records are plain data"));
    for ((_, path), value) in record.members.iter().filter(|((kind, _), _)| is_input(kind)) {
        push_escaped(&mut text, value);
        text.push('\t');
        push_escaped(&mut text, path);
        text.push('\n');
    }
    text.push_str(&format!("# {}\n", Digest::of(text.as_bytes()).hex()));
    text
}

/// Escapes the separators, which names and link texts may hold.
pub(crate) fn push_escaped(text: &mut String, part: &str) {
    // One by one: each is a byte search in the standard library, which is fast in every build profile of this crate.
    if ['\t', '\n', '\\'].into_iter().any(|separator| part.contains(separator)) {
        text.push_str(&part.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n"));
    } else {
        text.push_str(part);
    }
}

pub(crate) fn unescaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut result = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => result.push(match characters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            }),
            (other, false) => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        let state = std::env::temp_dir().join(format!("rondel-records-{}", std::process::id()));
        let mut record = StepRecord { action: Some(Digest::of(b"x")), ..StepRecord::default() };
        for name in ["a/b.go", "with\ttab", "with\nline", "with\\t", "\\", "\t", "é ü"] {
            record.members.insert((MemberKind::Input, name.to_owned()), format!("value of {name}"));
            record.members.insert((MemberKind::Setting, name.to_owned()), name.to_owned());
        }
        let step = StepKey::shared("a/b+c (x)");
        write_record(&state, &step, &record).unwrap();
        let read = read_record(&state, &step);
        assert_eq!((read.action, &read.members), (record.action, &record.members));
        assert_eq!(records(&state).len(), 1);
        assert_eq!(records(&state)[0].step, Some(step));
        fs::remove_dir_all(state).unwrap();
    }
}
