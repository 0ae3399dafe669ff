//! Benchmarks of a target: run each time, kept by commit in this workspace, and compared with the last run of other sources.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use rondel_cas::{TEXT_MAX, read_at_most, write_atomically};
use rondel_engine::StepError;
use rondel_process::{CommandLine, Stream};
use serde::{Deserialize, Serialize};

use crate::benchmarks::{BenchmarkReader, Measured};
use crate::steps::test_run::TestRun;
use crate::steps::test_setup::Benchmarks;

/// Directory below `.rondel`.
const DIRECTORY: &str = "benchmarks.1";
/// Number of runs that are kept of a target.
const KEPT_MAX: usize = 50;

/// A run, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct StoredRun {
    commit: String,
    /// Digest of the sources. They may differ from those of the commit.
    sources: String,
    at_ns: u64,
    measured: Measured,
}

impl TestRun<'_> {
    /// Runs the benchmarks, shows what Go prints, and compares. `sources` is a digest of all that they are made of.
    pub(crate) fn run_benchmarks(
        &self,
        benchmarks: &Benchmarks,
        line: &CommandLine,
        sources: Option<String>,
    ) -> Result<(), StepError> {
        let reader: Mutex<BenchmarkReader> = Mutex::default();
        self.job.run_and_see(line, &|stream, line| {
            if stream == Stream::Stdout {
                reader.lock().expect("no panic while locked").see(line);
            }
        })?;
        let measured = reader.into_inner().expect("no panic while locked").measured;
        let is_whole = self.step.arguments.is_empty();
        if measured.is_empty() {
            self.job.note(format!("no benchmark matches `{}`", benchmarks.pattern));
            return Ok(());
        }
        let (Some(commit), Some(sources), true) = (&benchmarks.commit, sources, is_whole) else {
            if is_whole {
                self.job.note("this run is not kept, and compared with none: the commit of the sources is not known");
            }
            return Ok(());
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let run = StoredRun { commit: commit.clone(), sources, at_ns: now, measured };
        let stored = self.stored_runs();
        if let Some(former) = self.former(&run, &stored) {
            self.show_comparison(&run, former);
        }
        self.store(&run, stored)
    }

    /// Returns the run to compare with: for edits on top of a commit that commit's own; else the last one of another commit.
    fn former<'r>(&self, run: &StoredRun, stored: &'r [(PathBuf, StoredRun)]) -> Option<&'r StoredRun> {
        let own = self.file_of(&run.commit);
        let others = || stored.iter().filter(|(_, other)| other.sources != run.sources);
        let of_commit = others().find(|(path, _)| *path == own);
        let of_others =
            || others().filter(|(_, other)| other.commit != run.commit).max_by_key(|(_, other)| other.at_ns);
        of_commit.or_else(of_others).map(|(_, former)| former)
    }

    /// Returns the file for the first sources that were seen of a commit.
    fn file_of(&self, commit: &str) -> PathBuf {
        self.directory_of_runs().join(format!("{commit}.json"))
    }

    fn show_comparison(&self, run: &StoredRun, former: &StoredRun) {
        let name = |run: &StoredRun| run.commit.chars().take(12).collect::<String>();
        let (old, new) = (name(former), name(run));
        let others = if old == new { " with other sources" } else { "" };
        let lines = run.measured.compare(&former.measured);
        if lines.is_empty() {
            self.job.note(format!("the last run, of {old}{others}, has none of these benchmarks"));
            return;
        }
        self.job.output(Stream::Stdout, &format!("compared with {old}{others} (medians; `~`: no difference at 0.05):"));
        lines.iter().for_each(|line| self.job.output(Stream::Stdout, line));
    }

    fn directory_of_runs(&self) -> PathBuf {
        self.job.workspace.state.join(DIRECTORY).join(self.step.packages.key.file_name())
    }

    /// Returns the runs that are kept, with their files. One that can't be read is none.
    fn stored_runs(&self) -> Vec<(PathBuf, StoredRun)> {
        let entries = fs::read_dir(self.directory_of_runs()).into_iter().flatten().flatten();
        let read = |path: PathBuf| {
            let run = serde_json::from_slice(&read_at_most(&path, TEXT_MAX).ok()?).ok()?;
            Some((path, run))
        };
        entries.filter_map(|entry| read(entry.path())).collect()
    }

    /// Keeps the run: in the place of an earlier one of the same sources, or of the same commit with other edits. The run
    /// of a commit that was seen first stays, so that edits on top of it are compared with it.
    fn store(&self, run: &StoredRun, mut stored: Vec<(PathBuf, StoredRun)>) -> Result<(), StepError> {
        let of_commit = self.file_of(&run.commit);
        let is_edited = stored.iter().any(|(path, other)| *path == of_commit && other.sources != run.sources);
        let file = if is_edited { of_commit.with_extension("edited.json") } else { of_commit };
        let text = serde_json::to_vec(run).expect("plain data");
        write_atomically(&self.job.workspace.scratch(), &file, &text)
            .map_err(|error| StepError::unwritable(&file, &error))?;
        stored.sort_by_key(|(_, run)| std::cmp::Reverse(run.at_ns));
        for (path, _) in stored.iter().filter(|(path, _)| *path != file).skip(KEPT_MAX - 1) {
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}
