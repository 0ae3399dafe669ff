//! Results of tests, one a package, in two steps as Go's own test cache has them: what a test is made of leads to what it
//! read the last time, and both together with what is to be seen there now lead to its result.
//!
//! Results of passed tests, and of those that failed after all. They are in the store that all workspaces share, under a
//! key that has the workspace's directory in it; a result that may depend on more than is known holds for this workspace
//! only. In `.rondel/tests.3` is what makes the answer quick if nothing changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rondel_cas::{
    ActionResult, Digest, Hasher, MEMORY_MAX, TEXT_MAX, read_at_most, read_text_at_most, temporary_name,
    write_atomically,
};
use rondel_engine::{Reason, Role, StepContext, StepKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::test_reads::{Sights, TestReads, for_people};
use crate::test_report::PackageReport;

/// Version of the keys below.
const FORMAT: &str = "rondel-test-3";
/// Directory below `.rondel`.
const DIRECTORY: &str = "tests.3";
/// Kind of the results, for statistics.
const KIND: &str = "GoTest";

/// Everything about a target's tests when all of them had passed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AllPassed {
    /// Digest of all that they depend on.
    pub whole: String,
    /// What of that is this machine's, by name: where the tree is, and `PATH`.
    #[serde(default)]
    pub machine: BTreeMap<String, String>,
    /// What all of them read.
    pub reads: TestReads,
    pub sights: Sights,
    /// Digest of all files below the root, if some of them may have read any.
    pub below_root: Option<String>,
    /// By import path: what a package's test is made of.
    pub parts: BTreeMap<String, String>,
    /// By import path: how they went, as a blob of the store.
    pub reports: BTreeMap<String, Digest>,
    pub written: WrittenReports,
}

/// What was written about tests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WrittenReports {
    /// What was asked for.
    pub asked: String,
    /// Digests of the files by their places below the workspace.
    pub files: BTreeMap<String, Digest>,
    /// Lines for people.
    pub lines: Vec<String>,
}

/// The results of one target.
pub(crate) struct TestResults<'a> {
    context: &'a StepContext<'a>,
    key: &'a StepKey,
}

impl<'a> TestResults<'a> {
    pub fn of(context: &'a StepContext<'a>, key: &'a StepKey) -> TestResults<'a> {
        TestResults { context, key }
    }

    /// Returns what the test that is made of `parts` read the last time.
    pub fn reads(&self, parts: &Digest) -> Option<TestReads> {
        let found = self.context.workspace.results.get_action_result(&reads_key(parts)).ok()??;
        let bytes = self.context.workspace.results.read_bytes(&found.stdout?).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Returns how a test went (a blob of the store) that passed with these parts and these sights. `below_root` is the
    /// digest of all other files that it may have read.
    pub fn passed(
        &self,
        parts: &Digest,
        reads: &TestReads,
        sights: &Sights,
        below_root: Option<&Digest>,
    ) -> Option<Digest> {
        let key = self.result_key(parts, reads, sights, below_root)?;
        let found = self.context.workspace.results.get_action_result(&key).ok()??;
        found.stdout.filter(|_| found.exit_code == 0)
    }

    /// Returns how the tests of a package went that passed.
    pub fn report(&self, blob: &Digest) -> Result<PackageReport, String> {
        let bytes = self.context.workspace.results.read_bytes(blob).map_err(|error| error.to_string())?;
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())
    }

    /// Returns true if it is in the store.
    pub fn has_report(&self, blob: &Digest) -> bool {
        self.context.workspace.results.find_missing_blobs([blob]).is_empty()
    }

    /// Takes back that the test made of these parts passed with what is to be seen now. It has failed since.
    pub fn take_back(&self, parts: &Digest, sights: &dyn Fn(&TestReads) -> Sights, below_root: Option<&Digest>) {
        self.forget_all_passed();
        let Some(reads) = self.reads(parts) else { return };
        let failed = ActionResult { exit_code: 1, ..self.of_target() };
        if let Some(key) = self.result_key(parts, &reads, &sights(&reads), below_root)
            && let Err(error) = self.context.workspace.results.update_action_result(&key, &failed)
        {
            self.context.warn(format!("{error}; a result that does not hold any more could not be removed"));
        }
    }

    fn of_target(&self) -> ActionResult {
        ActionResult { target: self.key.target_text().to_owned(), kind: KIND.to_owned(), ..ActionResult::default() }
    }

    /// Stores that it passed, and returns the blob of how it went.
    pub fn store(
        &self,
        parts: &Digest,
        reads: &TestReads,
        sights: &Sights,
        below_root: Option<&Digest>,
        report: &PackageReport,
    ) -> Result<Digest, String> {
        let store = &self.context.workspace.results;
        let text = serde_json::to_vec(reads).expect("plain data");
        let blob = store.put_bytes(&text).map_err(|error| error.to_string())?;
        let key = self.result_key(parts, reads, sights, below_root).ok_or("the workspace has no name of its own")?;
        let report = serde_json::to_vec(report).expect("plain data");
        let report = store.put_bytes(&report).map_err(|error| error.to_string())?;
        let passed = ActionResult { stdout: Some(report), ..self.of_target() };
        store.update_action_result(&key, &passed).map_err(|error| error.to_string())?;
        let log = ActionResult { stdout: Some(blob), ..self.of_target() };
        store.update_action_result(&reads_key(parts), &log).map_err(|error| error.to_string())?;
        Ok(report)
    }

    fn result_key(
        &self,
        parts: &Digest,
        reads: &TestReads,
        sights: &Sights,
        below_root: Option<&Digest>,
    ) -> Option<Digest> {
        let mut hasher = Hasher::new();
        hasher.update(format!("{FORMAT} result\n{parts}\n").as_bytes());
        hasher.update(sights_digest(sights).to_string().as_bytes());
        if reads.blind_spot.is_some() {
            let below_root = below_root.map(Digest::to_string).unwrap_or_default();
            hasher.update(format!("\nall of {below_root} in {}\n", self.workspace_name()?).as_bytes());
        }
        Some(hasher.finish())
    }

    /// Returns a text that no other workspace has. In a question there is none if it was not made before.
    fn workspace_name(&self) -> Option<String> {
        let file = self.directory().join("workspace");
        if let Ok(name) = read_text_at_most(&file, TEXT_MAX)
            && !name.is_empty()
        {
            return Some(name);
        }
        if self.context.is_question() {
            return None;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let text = format!("{} {now} {}", temporary_name(), self.context.workspace.root.display());
        let name = Digest::of(text.as_bytes()).to_string();
        write_atomically(&self.context.workspace.scratch(), &file, name.as_bytes()).ok()?;
        Some(name)
    }

    fn directory(&self) -> PathBuf {
        self.context.workspace.state.join(DIRECTORY)
    }

    fn all_passed_file(&self) -> PathBuf {
        self.directory().join(self.key.file_name())
    }

    /// Returns what is known from when all tests had passed.
    pub fn all_passed(&self) -> Option<AllPassed> {
        read_json(&self.all_passed_file())
    }

    /// Forgets that all of them had passed. What is known of each stays.
    pub fn forget_all_passed(&self) {
        let _ = std::fs::remove_file(self.all_passed_file());
    }

    /// Remembers it.
    pub fn remember_all_passed(&self, all: &AllPassed) {
        if !self.context.is_question() {
            self.write(&self.all_passed_file(), all);
        }
    }

    fn last_reads_file(&self, import_path: &str) -> PathBuf {
        let role = Role::new(format!("test {import_path}"));
        self.directory().join("packages").join(StepKey { role, ..self.key.clone() }.file_name())
    }

    /// Returns what the tests of a package read the last time that they ran here, whatever they were made of.
    pub fn last_reads(&self, import_path: &str) -> Option<TestReads> {
        read_json(&self.last_reads_file(import_path))
    }

    /// Remembers it.
    pub fn remember_reads(&self, import_path: &str, reads: &TestReads) {
        self.write(&self.last_reads_file(import_path), reads);
    }

    fn write(&self, file: &Path, data: &impl Serialize) {
        let text = serde_json::to_vec(data).expect("plain data");
        if let Err(error) = write_atomically(&self.context.workspace.scratch(), file, &text) {
            self.context.warn(format!("`{}` was not written: {error}", file.display()));
        }
    }
}

fn read_json<T: DeserializeOwned>(file: &Path) -> Option<T> {
    serde_json::from_slice(&read_at_most(file, MEMORY_MAX).ok()?).ok()
}

fn reads_key(parts: &Digest) -> Digest {
    Digest::of(format!("{FORMAT} reads\n{parts}\n").as_bytes())
}

/// Returns the digest of what is to be seen.
pub(crate) fn sights_digest(sights: &Sights) -> Digest {
    let mut hasher = Hasher::new();
    for (what, seen) in sights {
        hasher.update(format!("{} {what}\0{} {seen}\n", what.len(), seen.len()).as_bytes());
    }
    hasher.finish()
}

/// Returns what is to be seen now and was not before, as causes of a run.
pub(crate) fn sight_differences(before: &Sights, now: &Sights) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for (what, new) in now {
        let Some(old) = before.get(what).filter(|old| *old != new) else { continue };
        let (_, name) = what.split_once(' ').unwrap_or(("", what));
        let (path, old, new) = (for_people(name), old.clone(), new.clone());
        reasons.push(match (old.as_str(), new.as_str()) {
            ("nothing", _) => Reason::InputAdded { path, new },
            (_, "nothing") => Reason::InputRemoved { path, old },
            _ => Reason::InputChanged { path, old, new },
        });
    }
    reasons
}
