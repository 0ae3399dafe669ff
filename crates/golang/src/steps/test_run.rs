//! `TestRun`: one `go test` of the packages that have to be tested, and what is kept of it.
//!
//! The go command starts each test binary by a small script (`-exec`), which has it write its log: with a program of the
//! user's own before it, the go command asks for none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, MEMORY_MAX, read_text_at_most};
use rondel_engine::{Environment, EnvironmentValue, InputSet, Job, StepError};
use rondel_process::{CommandLine, Stream};
use rondel_tree::MtimeBoundary;

use crate::closure::Closure;
use crate::steps::test_screen::TestScreen;
use crate::steps::test_setup::{GoTestStep, KnownTests, digest_of};
use crate::test_log::TestLog;
use crate::test_packages::TestPackage;
use crate::test_reads::{Sights, TestPlace, TestReads, device_of, for_people};
use crate::test_report::{PackageReport, Verdict, slow_tests};
use crate::test_results::{TestResults, WrittenReports};
use crate::test_sources::unlogged;
use crate::tests_metadata::TestsMetadata;
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
struct Before<'a> {
    /// Where the tests run.
    place: TestPlace<'a>,
    boundary: MtimeBoundary,
    /// By import path: what its tests read the last time.
    sights: BTreeMap<String, Sights>,
    /// All files below the root, if some tests may have read any.
    below_root: Option<Digest>,
    /// By package: how its files look.
    parts: Vec<Digest>,
}

/// By import path: how the tests of a run went.
pub(crate) type TestReports = BTreeMap<String, PackageReport>;

/// What the run itself left.
struct Seen<'a> {
    reports: &'a TestReports,
    logs: Option<&'a TestLogs>,
}

impl Seen<'_> {
    fn verdict(&self, test: &TestPackage) -> Verdict {
        self.reports.get(&test.import_path).map_or(Verdict::None, |report| report.verdict)
    }
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
    /// Runs the go command. With arguments of the user's its output is shown as it is; otherwise it is asked for events,
    /// from which the screen and the reports are made.
    fn start(
        &self,
        closure: Option<&Closure>,
        arguments: Vec<String>,
        log: Option<&TestLogs>,
    ) -> Result<(TestReports, Result<(), StepError>), StepError> {
        let line = self.command(closure, arguments, log)?;
        if !self.step.arguments.is_empty() {
            return Ok((TestReports::new(), self.job.run(&line)));
        }
        let show = |stream: Stream, line: &str| self.job.output(stream, line);
        let redact = |text: &str| self.job.redact(text);
        let screen = TestScreen::new(&show, &redact, self.step.verbose);
        let outcome = self.job.run_unseen(&line, &|stream, line| screen.see(stream, line));
        let (mut reports, loose) = screen.finish();
        self.add_profiles(&mut reports)?;
        self.job.reported(&TestsMetadata::of(reports.values(), &redact));
        if let Some(slow) = slow_tests(reports.values()) {
            self.job.note(slow);
        }
        let outcome = outcome.map_err(|error| self.with_failures(error, &reports, loose));
        Ok((reports, outcome))
    }

    /// Returns the go command.
    fn command(
        &self,
        closure: Option<&Closure>,
        arguments: Vec<String>,
        log: Option<&TestLogs>,
    ) -> Result<CommandLine, StepError> {
        let packages = &self.step.packages;
        let mut environment = self.environment.clone();
        let mut arguments = arguments[1..].to_vec();
        packages.mark(closure, self.c_identity, self.job, &mut environment, &mut arguments)?;
        if let Some(logs) = log {
            logs.write_script(self.step).map_err(|error| StepError::unwritable(&logs.directory, &error))?;
            arguments.insert(1, logs.flag.clone());
        }
        if self.step.arguments.is_empty() && !self.step.is_shown_by_go() {
            arguments.splice(1..1, self.event_flags());
        }
        let variables = match log {
            // The script hides from the tests what is for the go command only.
            Some(_) => packages.for_process(environment.clone()),
            None => environment.for_process(),
        };
        let mut line =
            CommandLine::new(self.toolchain.go(), &packages.go.module).arguments(arguments).environment(variables);
        line.secret_names = environment.secret_names();
        Ok(line)
    }

    /// Runs the tests and keeps no results.
    pub fn keep_nothing(
        &self,
        closure: Option<(&Closure, &InputSet)>,
        arguments: Vec<String>,
    ) -> Result<(), StepError> {
        let (closure, inputs) = closure.unzip();
        if self.step.fuzzing.is_some() {
            let count = closure.map_or(1, |closure| closure.tests().len());
            if count != 1 {
                let message = format!("`{}` fuzzes one package, and `packages` has {count}", self.step.packages.key);
                return Err(StepError::input(message).hint("name one: packages: [\"./parse\"]"));
            }
            return self.job.run(&self.command(closure, arguments, None)?);
        }
        if let Some(benchmarks) = &self.step.benchmarks {
            let sources = inputs.map(digest_of).transpose()?.map(|digest| digest.to_string());
            return self.run_benchmarks(benchmarks, &self.command(closure, arguments, None)?, sources);
        }
        let (reports, outcome) = self.start(closure, arguments, None)?;
        if !self.step.arguments.is_empty() {
            return outcome;
        }
        let reports: Vec<PackageReport> = reports.into_values().collect();
        self.write_reports(&reports, outcome).map(drop)
    }

    /// Runs the tests that have to, and keeps what has passed, also if others have not.
    pub fn keep_results(&self, closure: &Closure, known: &KnownTests) -> Result<(), StepError> {
        let tests = closure.tests();
        let running: Vec<usize> = (0..tests.len()).filter(|&index| known.passed[index].is_none()).collect();
        let mut known = known.clone();
        let (mut reports, mut outcome) = (TestReports::new(), Ok(()));
        if !running.is_empty() || tests.is_empty() {
            self.note_known(tests.len() - running.len());
            let before = self.look_before(closure, &running)?;
            let directories = running.iter().map(|&index| tests[index].directory.as_path());
            let logs = TestLogs::new(self.job.staging, directories);
            (reports, outcome) = self.start(Some(closure), self.arguments_for(closure, &running), logs.as_ref())?;
            // A go command that was ended says nothing of the tests that it did not come to.
            let is_whole = match &outcome {
                Ok(()) => true,
                Err(StepError::Command { status, .. }) => status.starts_with("exit status"),
                Err(StepError::User(_) | StepError::Foreground { .. } | StepError::Interrupted) => false,
            };
            if !is_whole {
                return outcome;
            }
            let seen = Seen { reports: &reports, logs: logs.as_ref() };
            self.keep(closure, &mut known, &running, &before, &seen)?;
        }
        let written = match self.step.has_reports() {
            true => self.write_reports(&self.all_reports(closure, &known, reports)?, outcome)?,
            false => outcome.map(|()| WrittenReports::default())?,
        };
        if known.passed.iter().all(Option::is_some) {
            self.step.remember(self.job, &mut closure.clone(), &known, &written)?;
        }
        Ok(())
    }

    fn note_known(&self, count: usize) {
        let packages = match count {
            0 => return,
            1 => "1 package has".to_owned(),
            count => format!("{count} packages have"),
        };
        self.job.note(format!("{packages} passed before, and nothing that the tests read has changed"));
    }

    /// Returns the command for some packages of the closure.
    fn arguments_for(&self, closure: &Closure, running: &[usize]) -> Vec<String> {
        let tests = closure.tests();
        let mut arguments = self.step.flags();
        let is_plain = |index: &usize| tests[*index].import_path != "command-line-arguments";
        if running.len() < tests.len() && running.iter().all(is_plain) {
            arguments.extend(running.iter().map(|&index| tests[index].import_path.clone()));
        } else {
            arguments.extend(self.step.named_packages(closure));
        }
        arguments
    }

    fn look_before(&self, closure: &Closure, running: &[usize]) -> Result<Before<'_>, StepError> {
        let results = TestResults::of(self.job, &self.step.packages.key);
        let place = self.step.place(self.job, &self.environment);
        let (mut sights, mut is_blind) = (BTreeMap::new(), false);
        for test in running.iter().map(|&index| &closure.tests()[index]) {
            if let Some(reads) = results.last_reads(&test.import_path) {
                is_blind |= reads.blind_spot.is_some();
                sights.insert(test.import_path.clone(), place.look(&reads));
            }
        }
        let below_root = if is_blind { self.step.below_root(self.job)? } else { None };
        let below_root = below_root.map(|inputs| digest_of(&inputs)).transpose()?;
        let boundary = self.job.workspace.snapshot.wait_for_next_tick();
        Ok(Before { place, boundary, sights, below_root, parts: closure.test_stat_digests() })
    }

    /// Keeps the results of tests that have passed, and takes back those of tests that have failed.
    fn keep(
        &self,
        closure: &Closure,
        known: &mut KnownTests,
        running: &[usize],
        before: &Before<'_>,
        seen: &Seen<'_>,
    ) -> Result<(), StepError> {
        let tests = closure.tests();
        let mut after = After::default();
        for &index in running.iter().filter(|&&index| seen.verdict(&tests[index]) == Verdict::Failed) {
            self.take_back(&known.parts[index], before, &mut after)?;
        }
        let unchanged = match self.unchanged(closure, before)? {
            Some(unchanged) if self.has_declared(known, before)? => unchanged,
            _ => {
                self.job.note(
                    "the files of the packages, or declared inputs, changed while the tests ran: no result is kept",
                );
                return Ok(());
            }
        };
        for &index in running.iter().filter(|&&index| seen.verdict(&tests[index]) == Verdict::Passed) {
            let test = &tests[index];
            if unchanged[index] {
                self.keep_one(closure, index, known, before, &mut after, seen)?;
            } else {
                after.not_kept.push(format!("a source of {} changed while its tests ran", test.import_path));
            }
        }
        if let Some(first) = after.not_kept.first() {
            let more = match after.not_kept.len() {
                1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            self.job.note(format!("{first}{more}: they run again the next time"));
        }
        Ok(())
    }

    /// Forgets that a test passed with what is to be seen now.
    fn take_back(&self, parts: &Digest, before: &Before<'_>, after: &mut After) -> Result<(), StepError> {
        let results = TestResults::of(self.job, &self.step.packages.key);
        let below_root = self.below_root_after(after)?;
        results.take_back(parts, &|reads| before.place.look(reads), below_root.as_ref());
        Ok(())
    }

    /// Returns the digest of all files below the root, as they are now; `None` if inputs are declared.
    fn below_root_after(&self, after: &mut After) -> Result<Option<Digest>, StepError> {
        if after.below_root.is_none() {
            after.below_root = self.step.below_root(self.job)?;
        }
        after.below_root.as_ref().map(digest_of).transpose()
    }

    /// Returns true if the declared inputs are what they were before the run.
    fn has_declared(&self, known: &KnownTests, before: &Before<'_>) -> Result<bool, StepError> {
        let Some(inputs) = &self.step.inputs else { return Ok(true) };
        let now = inputs.hash(&self.step.packages.go.root, &self.job.workspace.snapshot)?;
        // Outputs that Rondel put beside them are no inputs. What else came or went shows in the digest.
        let is_own = self.job.puts_outputs_in();
        let is_old = now.newest_ns_without(&is_own) < before.boundary.on(device_of(&self.step.packages.go.root));
        Ok(is_old && digest_of(&now)? == known.inputs)
    }

    /// Returns for each package whether its files are what they were before the run; `None` if that can't be told without
    /// `go list`.
    fn unchanged(&self, closure: &Closure, before: &Before<'_>) -> Result<Option<Vec<bool>>, StepError> {
        let Ok(again) = self.step.packages.again(closure.clone(), self.job)? else { return Ok(None) };
        let now = again.test_stat_digests();
        Ok(Some(before.parts.iter().zip(&now).map(|(before, now)| before == now).collect()))
    }

    /// Keeps the result of one test, if what it read is known and was the same all the time.
    fn keep_one(
        &self,
        closure: &Closure,
        index: usize,
        known: &mut KnownTests,
        before: &Before<'_>,
        after: &mut After,
        seen: &Seen<'_>,
    ) -> Result<(), StepError> {
        let test = &closure.tests()[index];
        let import_path = &test.import_path;
        let results = TestResults::of(self.job, &self.step.packages.key);
        let Some(reads) = self.reads_of(closure, test, before, seen.logs) else {
            after.not_kept.push(format!("the tests of {import_path} left no log of what they read"));
            return Ok(());
        };
        results.remember_reads(import_path, &reads);
        let nothing = Sights::new();
        let seen_before = before.sights.get(import_path).unwrap_or(&nothing);
        let sights = before.place.look(&reads);
        let differs = |(what, seen): (&String, &String)| seen_before.get(what).is_some_and(|before| before != seen);
        let mut changed = before.place.younger(&reads, &before.boundary, seen_before);
        changed = changed.or_else(|| Some(sights.iter().find(|(what, seen)| differs((what, seen)))?.0.clone()));
        let mut below_root = None;
        if reads.blind_spot.is_some() {
            below_root = self.below_root_after(after)?;
            if let (Some(digest), Some(inputs)) = (&below_root, &after.below_root) {
                let is_same = match &before.below_root {
                    Some(before) => before == digest,
                    None => inputs.newest_ns() < before.boundary.on(device_of(&self.step.packages.go.root)),
                };
                changed = changed.or_else(|| (!is_same).then(|| "a file below the root".to_owned()));
            }
        }
        if let Some(what) = changed {
            let what = for_people(what.trim_start_matches("open ").trim_start_matches("stat "));
            after.not_kept.push(format!("`{what}` was written while the tests of {import_path} ran"));
            return Ok(());
        }
        let Some(report) = seen.reports.get(import_path) else { return Ok(()) };
        match results.store(&known.parts[index], &reads, &sights, below_root.as_ref(), report) {
            Ok(report) => known.reports[index] = Some(report),
            Err(error) => {
                self.job.warn(format!("{error}; the result of {import_path} is not kept"));
                return Ok(());
            }
        }
        known.add(&sights, below_root);
        known.passed[index] = Some(reads);
        Ok(())
    }

    /// Returns what a test that has passed was seen to read; `None` if it was not seen at all.
    fn reads_of(
        &self,
        closure: &Closure,
        test: &TestPackage,
        before: &Before<'_>,
        logs: Option<&TestLogs>,
    ) -> Option<TestReads> {
        if !test.has_tests {
            return Some(TestReads::default());
        }
        let log = match logs {
            Some(logs) => logs.read(&test.directory)?,
            // There is no way to ask for a log on this machine.
            None => return Some(TestReads::blind("its tests can't be asked for a log of what they read")),
        };
        let mut reads = before.place.reads(&log, &test.directory, &before.boundary);
        if test.uses_cgo {
            reads.blind_spot = Some("its tests have C code, whose reads are not seen".to_owned());
        }
        if reads.blind_spot.is_none() {
            reads.blind_spot = unlogged(closure.files_of_test(test));
        }
        Some(reads)
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
            // What the shell takes for its directory, if the way there has links.
            if let Ok(real) = place.canonicalize() {
                fs::create_dir_all(logs.place(&real)?).ok()?;
            }
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
                EnvironmentValue::Plain(_) | EnvironmentValue::Secret(_) | EnvironmentValue::Sealed { .. } => None,
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
        let read = |directory: &Path| read_text_at_most(&self.place(directory)?.join("log"), MEMORY_MAX).ok();
        let text = read(directory).or_else(|| read(&directory.canonicalize().ok()?))?;
        TestLog::parse(&text, directory)
    }
}

/// Returns the text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
