//! What is written and said about the tests of a target: reports about all packages, also of those that passed before.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rondel_cas::{Digest, MEMORY_MAX, RelativePath, read_text_at_most};
use rondel_engine::{OutputKind, OutputSpec, StepContext, StepError};
use rondel_process::CommandLine;

use crate::closure::Closure;
use crate::coverage::{Covered, Profile, table};
use crate::junit::junit;
use crate::steps::test_run::{TestReports, TestRun};
use crate::steps::test_setup::{GoTestStep, KnownTests, TestOrder, TestOutputs};
use crate::test_packages::TestPackage;
use crate::test_patterns::matches;
use crate::test_report::{PackageReport, failures};
use crate::test_results::{TestResults, WrittenReports};

/// Names of the reports in the staging directory.
const COVERAGE: &str = "reports/coverage";
const COVERAGE_HTML: &str = "reports/coverage.html";
const JUNIT: &str = "reports/junit";
/// Name of the go command's own profile there.
const PROFILE: &str = "profile";
/// Maximum number of packages that are named for their little coverage.
const UNCOVERED_MAX: usize = 3;

impl GoTestStep {
    /// Returns the reports that are written. With arguments after `--` there are none: they can select tests.
    pub(crate) fn outputs(&self) -> Vec<OutputSpec> {
        if !self.arguments.is_empty() {
            return Vec::new();
        }
        let TestOutputs { coverage, coverage_html, junit, cover_min: _ } = &self.reports;
        [(COVERAGE, coverage), (COVERAGE_HTML, coverage_html), (JUNIT, junit)]
            .into_iter()
            .filter_map(|(name, destination)| {
                let name = RelativePath::new(name).expect("a constant");
                Some(OutputSpec { name, destination: destination.clone()?, kind: OutputKind::File })
            })
            .collect()
    }

    /// Returns true if something is written or said about all packages.
    pub(crate) fn has_reports(&self) -> bool {
        self.is_measured() || self.reports.junit.is_some()
    }

    /// Returns what is asked for, for a comparison.
    fn asked(&self) -> String {
        let outputs = self.outputs();
        let files: Vec<String> = outputs.iter().map(|file| format!("{}={}", file.name, file.destination)).collect();
        let least = self.reports.cover_min.map(|least| least.to_string()).unwrap_or_default();
        format!("{} at least {least} %", files.join(" "))
    }

    /// Returns which of the reports is not as it was written, in words.
    pub(crate) fn stale_report(&self, context: &StepContext<'_>, written: &WrittenReports) -> Option<String> {
        if !self.has_reports() {
            return None;
        }
        if written.asked != self.asked() {
            return Some("the reports that are asked for are others".to_owned());
        }
        let is_stale = |output: &&OutputSpec| {
            let place = output.destination.below(&context.workspace.root);
            let is_file = fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_file());
            let digest = is_file.then(|| Digest::of_file(&place).ok()).flatten();
            digest.is_none() || digest.as_ref() != written.files.get(output.destination.as_str())
        };
        let outputs = self.outputs();
        let stale = outputs.iter().find(is_stale)?;
        Some(format!("`{}` is not there, or was edited", stale.destination))
    }

    /// Leaves out of the closure what is not tested.
    pub(crate) fn leave_out(&self, closure: &mut Closure) -> Result<(), StepError> {
        for pattern in &self.exclude {
            let is_left_out = |test: &TestPackage| matches(pattern, &self.packages.go.module, test);
            if !closure.tests().iter().any(is_left_out) {
                let message = format!("`{}`: `exclude` has `{pattern}`, which leaves out nothing", self.packages.key);
                return Err(StepError::input(message)
                    .hint("patterns are those of `packages`: \"./gen/...\", or import paths; remove what is gone"));
            }
        }
        let is_kept =
            |test: &TestPackage| !self.exclude.iter().any(|pattern| matches(pattern, &self.packages.go.module, test));
        if !self.exclude.is_empty() && !closure.tests().iter().any(is_kept) {
            let message = format!("`{}`: `exclude` leaves out all packages", self.packages.key);
            return Err(StepError::input(message).hint("name fewer, or remove the target"));
        }
        closure.retain_tests(&is_kept);
        Ok(())
    }

    /// Returns the packages as the go command gets them, if all of the closure are tested.
    pub(crate) fn named_packages(&self, closure: &Closure) -> Vec<String> {
        if self.exclude.is_empty() {
            return self.packages.patterns.clone();
        }
        closure.tests().iter().map(|test| test.import_path.clone()).collect()
    }
}

impl TestRun<'_> {
    /// Returns the packages as the go command gets them, where no closure is known.
    pub fn listed_packages(&self) -> Result<Vec<String>, StepError> {
        let packages = &self.step.packages;
        if self.step.exclude.is_empty() {
            return Ok(packages.patterns.clone());
        }
        let mut arguments = ["list", "-f", "{{.ImportPath}}\t{{.Dir}}"].map(str::to_owned).to_vec();
        arguments.extend(packages.selecting_flags());
        arguments.extend(packages.patterns.iter().cloned());
        let line = CommandLine::new(self.toolchain.go(), &packages.go.module)
            .arguments(arguments)
            .environment(packages.for_process(self.environment.clone()));
        let listed = self.job.capture(&line)?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let package = |line: &str| {
            let (import_path, directory) = line.split_once('\t')?;
            let test = TestPackage {
                import_path: import_path.to_owned(),
                directory: PathBuf::from(directory),
                files: Vec::new(),
                uses_cgo: false,
                has_tests: true,
            };
            let is_left_out = self.step.exclude.iter().any(|pattern| matches(pattern, &packages.go.module, &test));
            (!is_left_out).then_some(test.import_path)
        };
        Ok(listed.lines().filter_map(package).collect())
    }

    /// Returns flags that can't change how a test of a package goes that passes.
    pub(crate) fn event_flags(&self) -> Vec<String> {
        let mut flags = vec!["-json".to_owned()];
        if self.step.failfast {
            flags.push("-failfast".to_owned());
        }
        if self.step.order == TestOrder::Random {
            let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.subsec_nanos() | 1);
            self.job.note(format!("the order of the tests is `shuffle: Seed({seed})`"));
            flags.push(format!("-shuffle={seed}"));
        }
        if self.step.is_measured() {
            flags.push(format!("-coverprofile={}", self.job.staging.join(PROFILE).display()));
        }
        flags
    }

    /// Adds to the failure of the go command the failed tests with their output, for the end. The command is that of the
    /// target, without what Rondel needs for itself.
    pub(crate) fn with_failures(&self, error: StepError, reports: &TestReports, loose: Vec<String>) -> StepError {
        match error {
            StepError::Command { status, told, hint, .. } => {
                let output = failures(reports.values());
                let output = if output.is_empty() { loose } else { output };
                let summary = [self.step.flags(), self.step.packages.patterns.clone()].concat().join(" ");
                StepError::Command { summary, status, output, told, hint }
            }
            other @ (StepError::User(_) | StepError::Foreground { .. } | StepError::Interrupted) => other,
        }
    }

    /// Adds to the reports of a run what was covered, if that was measured.
    pub(crate) fn add_profiles(&self, reports: &mut TestReports) -> Result<(), StepError> {
        if !self.step.is_measured() {
            return Ok(());
        }
        let path = self.job.staging.join(PROFILE);
        let mut profiles = match read_text_at_most(&path, MEMORY_MAX) {
            Ok(text) => Profile::split(&text),
            // Nothing of the packages could be built.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Default::default(),
            Err(error) => return Err(StepError::unreadable(&path, &error)),
        };
        for (import_path, report) in reports {
            report.profile = Some(profiles.remove(import_path).unwrap_or_default());
        }
        Ok(())
    }

    /// Returns the reports of all packages: of this run, or of the run in which they passed.
    pub(crate) fn all_reports(
        &self,
        closure: &Closure,
        known: &KnownTests,
        mut ran: TestReports,
    ) -> Result<Vec<PackageReport>, StepError> {
        let results = TestResults::of(self.job, &self.step.packages.key);
        let mut reports = Vec::with_capacity(closure.tests().len());
        for (test, kept) in closure.tests().iter().zip(&known.reports) {
            if let Some(report) = ran.remove(&test.import_path) {
                reports.push(report);
            } else if let Some(blob) = kept {
                let report = results.report(blob).map_err(|error| {
                    let message = format!("how the tests of {} went can't be read: {error}", test.import_path);
                    StepError::failed(message).hint("`--force` runs them again")
                })?;
                reports.push(report);
            }
        }
        // Of files on the command line the go command makes a package of its own name.
        reports.extend(ran.into_values());
        Ok(reports)
    }

    /// Writes the reports into the staging directory; after a failure, only the reports that show failures.
    pub(crate) fn write_reports(
        &self,
        reports: &[PackageReport],
        outcome: Result<(), StepError>,
    ) -> Result<WrittenReports, StepError> {
        let mut written = WrittenReports { asked: self.step.asked(), ..WrittenReports::default() };
        let wanted = &self.step.reports;
        self.write(wanted.junit.as_ref(), JUNIT, &mut written, &|| junit(reports))?;
        outcome?;
        if !self.step.is_measured() {
            return Ok(written);
        }
        let profiles = reports.iter().filter_map(|report| report.profile.as_ref());
        let merged = Profile::merge(profiles);
        self.write(wanted.coverage.as_ref(), COVERAGE, &mut written, &|| merged.clone())?;
        if let Some(destination) = &wanted.coverage_html {
            let page = self.write_page(&merged)?;
            let digest = Digest::of_file(&page).map_err(|error| StepError::unreadable(&page, &error))?;
            written.files.insert(destination.to_string(), digest);
        }
        let count = |report: &PackageReport| report.profile.as_ref().map(Profile::count).unwrap_or_default();
        let rows: Vec<(&str, Covered)> =
            reports.iter().map(|report| (report.import_path.as_str(), count(report))).collect();
        written.lines = table(&rows);
        written.lines.iter().for_each(|line| self.job.output(rondel_process::Stream::Stdout, line));
        match wanted.cover_min.and_then(|least| too_little(&rows, least)) {
            Some(error) => Err(error),
            None => Ok(written),
        }
    }

    fn write(
        &self,
        destination: Option<&RelativePath>,
        name: &str,
        written: &mut WrittenReports,
        text: &dyn Fn() -> String,
    ) -> Result<(), StepError> {
        let Some(destination) = destination else { return Ok(()) };
        let text = text();
        write_file(&self.job.staging.join(name), &text)?;
        written.files.insert(destination.to_string(), Digest::of(text.as_bytes()));
        Ok(())
    }

    /// Makes the page by Go's own tool, which reads the sources.
    fn write_page(&self, merged: &str) -> Result<PathBuf, StepError> {
        let (profile, page) = (self.job.staging.join("merged"), self.job.staging.join(COVERAGE_HTML));
        write_file(&profile, merged)?;
        write_file(&page, "")?;
        let arguments = [
            "tool".to_owned(),
            "cover".to_owned(),
            format!("-html={}", profile.display()),
            format!("-o={}", page.display()),
        ];
        let packages = &self.step.packages;
        let line = CommandLine::new(self.toolchain.go(), &packages.go.module)
            .arguments(arguments)
            .environment(packages.for_process(self.environment.clone()));
        self.job.capture(&line)?;
        Ok(page)
    }
}

fn write_file(path: &Path, text: &str) -> Result<(), StepError> {
    let parent = path.parent().expect("a file of the staging directory");
    let outcome = fs::create_dir_all(parent).and_then(|()| fs::write(path, text));
    outcome.map_err(|error| StepError::unwritable(path, &error))
}

/// Returns the failure of a target that covers less than it should, with what is missing.
fn too_little(rows: &[(&str, Covered)], least: u8) -> Option<StepError> {
    let mut total = Covered::default();
    rows.iter().for_each(|(_, covered)| total.add(*covered));
    let missing = total.missing(least);
    if missing == 0 {
        return None;
    }
    let mut rows: Vec<&(&str, Covered)> = rows.iter().filter(|(_, covered)| covered.covered < covered.all).collect();
    rows.sort_by_key(|(name, covered)| (std::cmp::Reverse(covered.all - covered.covered), *name));
    let named = rows
        .iter()
        .take(UNCOVERED_MAX)
        .map(|(name, covered)| format!("{name} ({} of {} not covered)", covered.all - covered.covered, covered.all));
    let named: Vec<String> = named.collect();
    let statements = if missing == 1 { "statement is" } else { "statements are" };
    let message = format!(
        "the tests cover {} of the statements, and `cover_min` is {least}: {missing} more {statements} needed",
        total.text()
    );
    Some(StepError::failed(message).hint(format!("most is missing in {}", named.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let covered = |covered, all| Covered { covered, all };
        let rows = [("m/a", covered(1, 2)), ("m/b", covered(0, 9)), ("m/c", covered(5, 5)), ("m/d", covered(0, 0))];
        let error = too_little(&rows, 70).unwrap();
        assert_eq!(
            (error.to_string().as_str(), error.hint_text()),
            (
                "the tests cover 37.5% of the statements, and `cover_min` is 70: 6 more statements are needed",
                Some("most is missing in m/b (9 of 9 not covered), m/a (1 of 2 not covered)")
            )
        );
        assert!(too_little(&rows, 37).is_none() && too_little(&rows, 38).is_some());
        assert!(too_little(&[], 100).is_none());
    }
}
