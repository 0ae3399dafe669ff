//! `TestRun`: one `go test` of the packages that have to be tested, and what is kept of it.
//!
//! The go command starts each test binary by a small script (`-exec`), which has it write its log: with a program of the
//! user's own before it, the go command asks for none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rondel_cas::{Digest, MEMORY_MAX, read_text_at_most};
use rondel_engine::{Environment, EnvironmentValue, InputSet, Job, StepError};
use rondel_process::{CommandLine, Stream};
use rondel_tree::MtimeBoundary;

use crate::closure::Closure;
use crate::steps::go_test::{GoTestStep, KnownTests, Verdicts, digest_of};
use crate::test_log::TestLog;
use crate::test_packages::TestPackage;
use crate::test_reads::{Sights, TestReads};
use crate::test_results::TestResults;
use crate::toolchain::Toolchain;

/// A run about to start.
pub(crate) struct TestRun<'a> {
    pub step: &'a GoTestStep,
    pub job: &'a Job<'a>,
    pub toolchain: &'a Toolchain,
    pub environment: Environment,
    pub c_identity: &'a str,
}

/// What was to be seen before the run.
struct Before {
    boundary: MtimeBoundary,
    /// By import path: what its tests read the last time.
    sights: BTreeMap<String, Sights>,
    /// All files below the root, if some tests may have read any.
    below_root: Option<Digest>,
    /// By package: how its files look.
    parts: Vec<Digest>,
}

/// What was found after the run.
#[derive(Default)]
struct After {
    /// Asked for once it is needed.
    below_root: Option<InputSet>,
    /// Why results are not kept, in words.
    not_kept: Vec<String>,
}

impl TestRun<'_> {
    /// Runs the go command. `see` gets each line that it prints.
    pub fn start(
        &self,
        closure: Option<&Closure>,
        arguments: Vec<String>,
        log: Option<&TestLogs>,
        see: &(dyn Fn(Stream, &str) + Sync),
    ) -> Result<(), StepError> {
        let packages = &self.step.packages;
        let mut environment = self.environment.clone();
        let mut arguments = arguments[1..].to_vec();
        packages.mark(closure, self.c_identity, self.job, &mut environment, &mut arguments)?;
        if let Some(logs) = log {
            logs.write_script(self.step).map_err(|error| StepError::unwritable(&logs.directory, &error))?;
            arguments.insert(1, logs.flag.clone());
        }
        let variables = match log {
            // The script hides from the tests what is for the go command only.
            Some(_) => packages.for_process(environment.clone()),
            None => environment.for_process(),
        };
        let mut line =
            CommandLine::new(self.toolchain.go(), &packages.go.module).arguments(arguments).environment(variables);
        line.secret_names = environment.secret_names();
        self.job.run_and_see(&line, see)
    }

    /// Runs the tests that have to, and keeps what has passed, also if others have not.
    pub fn keep_results(&self, closure: &Closure, known: &KnownTests) -> Result<(), StepError> {
        let forced = known.running(closure).next().is_none();
        let running: Vec<usize> =
            (0..known.passed.len()).filter(|&index| forced || known.passed[index].is_none()).collect();
        let tests = closure.tests();
        if !forced && running.len() < tests.len() {
            let count = tests.len() - running.len();
            let packages = if count == 1 { "1 package has" } else { &format!("{count} packages have") };
            self.job.note(format!("{packages} passed before, and nothing that the tests read has changed"));
        }
        let mut arguments = self.step.flags();
        let is_plain = |index: &usize| tests[*index].import_path != "command-line-arguments";
        if running.len() < tests.len() && running.iter().all(is_plain) {
            arguments.extend(running.iter().map(|&index| tests[index].import_path.clone()));
        } else {
            arguments.extend(self.step.packages.patterns.iter().cloned());
        }
        let before = self.look_before(closure, &running)?;
        let directories = running.iter().map(|&index| tests[index].directory.as_path());
        let logs = TestLogs::new(self.job.staging, directories);
        let verdicts: Mutex<Verdicts> = Mutex::default();
        let outcome = self.start(Some(closure), arguments, logs.as_ref(), &|stream, line| {
            if stream == Stream::Stdout {
                verdicts.lock().expect("no panic while locked").see(line);
            }
        });
        let verdicts = verdicts.into_inner().expect("no panic while locked");
        let kept = self.keep(closure, known, &running, &before, logs.as_ref(), &verdicts)?;
        outcome?;
        let mut passed = known.passed.clone();
        for (index, reads) in kept {
            passed[index] = reads;
        }
        if passed.iter().all(Option::is_some) {
            let known = KnownTests { parts: known.parts.clone(), passed, unchanged: known.unchanged.clone(), ..*known };
            self.step.remember(self.job, &self.environment, &mut closure.clone(), &known)?;
        }
        Ok(())
    }

    fn look_before(&self, closure: &Closure, running: &[usize]) -> Result<Before, StepError> {
        let results = TestResults::of(self.job, &self.step.packages.key);
        let place = self.step.place(self.job, &self.environment);
        let (mut sights, mut is_blind) = (BTreeMap::new(), false);
        for test in running.iter().map(|&index| &closure.tests()[index]) {
            if let Some(reads) = results.last_reads(&test.import_path) {
                is_blind |= reads.blind_spot.is_some();
                sights.insert(test.import_path.clone(), place.look(&reads, &[]));
            }
        }
        let below_root = if is_blind { self.step.below_root(self.job)? } else { None };
        let below_root = below_root.map(|inputs| digest_of(&inputs)).transpose()?;
        let boundary = self.job.workspace.snapshot.wait_for_next_tick();
        Ok(Before { boundary, sights, below_root, parts: closure.test_stat_digests() })
    }

    /// Keeps the results of tests that have passed. Returns for each what it read, if its result holds.
    fn keep(
        &self,
        closure: &Closure,
        known: &KnownTests,
        running: &[usize],
        before: &Before,
        logs: Option<&TestLogs>,
        verdicts: &Verdicts,
    ) -> Result<Vec<(usize, Option<TestReads>)>, StepError> {
        let tests = closure.tests();
        let Some(unchanged) = self.unchanged(closure, before)? else {
            self.job.note("which files belong to the packages changed while the tests ran: no result is kept");
            return Ok(running.iter().map(|&index| (index, None)).collect());
        };
        let mut after = After::default();
        let mut kept = Vec::with_capacity(running.len());
        for &index in running {
            let test = &tests[index];
            let has_passed = verdicts.has_passed(&test.import_path);
            let reads = if has_passed && unchanged[index] {
                self.keep_one(test, &known.parts[index], before, &mut after, logs)?
            } else {
                if has_passed {
                    after.not_kept.push(format!("a source of {} changed while its tests ran", test.import_path));
                }
                None
            };
            kept.push((index, reads));
        }
        if let Some(first) = after.not_kept.first() {
            let more = match after.not_kept.len() {
                1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            self.job.note(format!("{first}{more}: they run again the next time"));
        }
        Ok(kept)
    }

    /// Returns for each package whether its files are what they were before the run; `None` if that can't be told without
    /// `go list`.
    fn unchanged(&self, closure: &Closure, before: &Before) -> Result<Option<Vec<bool>>, StepError> {
        let Ok(again) = self.step.packages.again(closure.clone(), self.job)? else { return Ok(None) };
        let now = again.test_stat_digests();
        Ok(Some(before.parts.iter().zip(&now).map(|(before, now)| before == now).collect()))
    }

    fn keep_one(
        &self,
        test: &TestPackage,
        parts: &Digest,
        before: &Before,
        after: &mut After,
        logs: Option<&TestLogs>,
    ) -> Result<Option<TestReads>, StepError> {
        let step = self.step;
        let results = TestResults::of(self.job, &step.packages.key);
        let place = step.place(self.job, &self.environment);
        let log = logs.and_then(|logs| logs.read(&test.directory));
        let variables = step.machine_variables();
        let mut reads = match (&log, test.has_tests) {
            (Some(log), _) => place.reads(log, &variables, &before.boundary),
            (None, false) => TestReads::default(),
            (None, true) => TestReads {
                blind_spot: Some("its tests left no log of what they read".to_owned()),
                ..TestReads::default()
            },
        };
        if test.uses_cgo && test.has_tests {
            reads.blind_spot = Some("its tests have C code, whose reads are not seen".to_owned());
        }
        results.remember_reads(&test.import_path, &reads);
        let nothing = Sights::new();
        let known = before.sights.get(&test.import_path).unwrap_or(&nothing);
        let sights = place.look(&reads, &variables);
        let differs = |(what, seen): (&String, &String)| known.get(what).is_some_and(|before| before != seen);
        let mut changed = place.younger(&reads, &before.boundary, known);
        changed = changed.or_else(|| Some(sights.iter().find(|(what, seen)| differs((what, seen)))?.0.clone()));
        let mut below_root = None;
        if reads.blind_spot.is_some() {
            if after.below_root.is_none() {
                after.below_root = step.below_root(self.job)?;
            }
            if let Some(inputs) = &after.below_root {
                let digest = digest_of(inputs)?;
                let is_same = match &before.below_root {
                    Some(before) => *before == digest,
                    None => inputs.newest_ns() < before.boundary.on(self.device()),
                };
                changed = changed.or_else(|| (!is_same).then(|| "a file below the root".to_owned()));
                below_root = Some(digest);
            }
        }
        if let Some(what) = changed {
            let what = what.trim_start_matches("open ").trim_start_matches("stat ");
            let import_path = &test.import_path;
            after.not_kept.push(format!("`{what}` was written while the tests of {import_path} ran"));
            return Ok(None);
        }
        if let Err(error) = results.store(parts, &reads, &sights, below_root.as_ref()) {
            self.job.warn(format!("{error}; the result of {} is not kept", test.import_path));
            return Ok(None);
        }
        Ok(Some(reads))
    }

    /// Returns the number of the file system of the sources.
    fn device(&self) -> u64 {
        let metadata = fs::metadata(&self.step.packages.go.module);
        metadata.map_or(0, |metadata| rondel_tree::Fingerprint::of(&metadata).device())
    }
}

/// Where the tests of a run write their logs.
pub(crate) struct TestLogs {
    directory: PathBuf,
    script: PathBuf,
    /// `-exec=…`
    flag: String,
}

impl TestLogs {
    /// Makes directories for the logs of tests that run in `directories`; returns `None` where there is no POSIX shell, or
    /// where a name can't be said to the go command.
    fn new<'a>(staging: &Path, directories: impl Iterator<Item = &'a Path>) -> Option<TestLogs> {
        if cfg!(not(unix)) {
            return None;
        }
        let directory = staging.join("logs");
        let script = staging.join("test");
        let text = script.to_str()?;
        // The go command splits the words at blanks, and knows quotes without escapes.
        let quote = ['\'', '"'].into_iter().find(|quote| !text.contains(*quote))?;
        let flag = format!("-exec=/bin/sh {quote}{text}{quote}");
        let logs = TestLogs { directory, script, flag };
        for place in directories {
            fs::create_dir_all(logs.place(place)?).ok()?;
        }
        Some(logs)
    }

    fn place(&self, directory: &Path) -> Option<PathBuf> {
        let below = directory.to_str()?.strip_prefix('/')?;
        Some(self.directory.join(below))
    }

    /// Writes the script. Tests see these variables as they were declared, and not what the go command needs of them.
    fn write_script(&self, step: &GoTestStep) -> std::io::Result<()> {
        let as_declared = |variable: &str| {
            let declared = step.env.iter().find_map(|(name, value)| match value {
                EnvironmentValue::Plain(value) if name == variable => Some(value),
                EnvironmentValue::Plain(_) | EnvironmentValue::Secret(_) => None,
            });
            declared.map_or_else(|| format!("unset {variable}"), |value| format!("export {variable}={}", quoted(value)))
        };
        let (debug, collector) = (as_declared("GODEBUG"), as_declared("GOGC"));
        let directory = quoted(&self.directory.to_string_lossy());
        let text = format!(
            "{debug}\n{collector}\nbinary=$1\nshift\nexec \"$binary\" -test.testlogfile={directory}\"$PWD\"/log \"$@\"\n"
        );
        fs::write(&self.script, text)
    }

    /// Returns the log of the tests that ran in a directory.
    fn read(&self, directory: &Path) -> Option<TestLog> {
        let text = read_text_at_most(&self.place(directory)?.join("log"), MEMORY_MAX).ok()?;
        TestLog::parse(&text, directory)
    }
}

/// Returns the text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
