//! Marks of steps whose stored result differed from a second run: `.rondel/audits.1/<key>`, with the key of that result,
//! one line of JSON, and a checksum of both. A mark is for people. Losing it costs a word of warning, and no result.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, SMALL_MAX, read_text_at_most, write_atomically};
use serde::{Deserialize, Serialize};

use crate::step_key::StepKey;

/// Directory of the marks, below `.rondel`.
const MARKS: &str = "audits.1";

/// What an audit found out about a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditMark {
    /// The step.
    pub step: StepKey,
    /// Digest of the action that had two results.
    pub action: Digest,
    /// The first difference: its place, from the outside to the inside.
    pub place: Vec<String>,
    /// The difference in words, a line each.
    pub what: Vec<String>,
}

impl AuditMark {
    /// Returns the difference in one line.
    pub fn summary(&self) -> String {
        let place = if self.place.is_empty() { String::new() } else { format!("{}: ", self.place.join(", ")) };
        format!("{place}{}", self.what.first().map_or("", String::as_str))
    }
}

fn path(state: &Path, step: &StepKey) -> PathBuf {
    state.join(MARKS).join(step.file_name())
}

/// Marks a step as not reproducible.
pub fn mark_step(state: &Path, mark: &AuditMark) -> io::Result<()> {
    let line = format!("{}\n", serde_json::to_string(mark).expect("marks are plain data"));
    let text = format!("{line}# {}\n", Digest::of(line.as_bytes()).hex());
    write_atomically(&state.join("tmp"), &path(state, &mark.step), text.as_bytes())
}

/// Returns the mark of a step, if it has one.
pub fn audit_mark(state: &Path, step: &StepKey) -> Option<AuditMark> {
    let text = read_text_at_most(&path(state, step), SMALL_MAX).ok()?;
    let (line, checksum) = text.strip_suffix('\n')?.rsplit_once("# ")?;
    if Digest::of(line.as_bytes()).hex() != checksum {
        return None;
    }
    serde_json::from_str(line).ok().filter(|mark: &AuditMark| mark.step == *step)
}

/// Removes the mark of a step whose result was the same again under `action`, unless that is the key which had two
/// results. Returns true if there was one to remove.
pub fn clear_mark(state: &Path, step: &StepKey, action: &Digest) -> io::Result<bool> {
    if audit_mark(state, step).is_none_or(|mark| mark.action == *action) {
        return Ok(false);
    }
    fs::remove_file(path(state, step)).map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stays_until_another_key_is_the_same() {
        let state = std::env::temp_dir().join(format!("rondel-marks-{}", std::process::id()));
        let step = StepKey::shared("a/b (x)");
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        assert_eq!(audit_mark(&state, &step), None);
        let (place, what) = (vec!["dist/x".to_owned(), "line 1".to_owned()], vec!["\"a\n\" # and b".to_owned()]);
        let mark = AuditMark { step: step.clone(), action: one, place, what };
        mark_step(&state, &mark).unwrap();
        assert_eq!(audit_mark(&state, &step), Some(mark.clone()));
        assert_eq!(mark.summary(), "dist/x, line 1: \"a\n\" # and b");
        assert!(!clear_mark(&state, &step, &one).unwrap());
        assert_eq!(audit_mark(&state, &step), Some(mark));
        let file = path(&state, &step);
        let good = read_text_at_most(&file, SMALL_MAX).unwrap();
        for damaged in [&good[1..], &good[..good.len() - 2], &good.replace("line 1", "line 2"), ""] {
            fs::write(&file, damaged).unwrap();
            assert_eq!(audit_mark(&state, &step), None, "{damaged}");
        }
        fs::write(&file, good).unwrap();
        assert!(clear_mark(&state, &step, &other).unwrap());
        assert_eq!(audit_mark(&state, &step), None);
        assert!(!clear_mark(&state, &step, &other).unwrap());
        fs::remove_dir_all(state).unwrap();
    }
}
