//! `PackageReport`: how the tests of one package went. That of a package that passed is kept with its result, so that
//! reports about all packages can be made though only some of them ran.

use serde::{Deserialize, Serialize};

use crate::coverage::Profile;

/// How a package's tests went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PackageReport {
    pub import_path: String,
    pub verdict: Verdict,
    pub elapsed_ms: u64,
    /// In the order in which they began.
    pub tests: Vec<TestCase>,
    /// What was printed by none of the tests; kept of packages that failed.
    pub output: Vec<String>,
    /// What the tests covered, if that was measured.
    pub profile: Option<Profile>,
}

/// The go command's word about a package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// It has not spoken.
    #[default]
    None,
    Passed,
    Failed,
}

/// How one test went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TestCase {
    pub name: String,
    pub outcome: Outcome,
    pub elapsed_ms: u64,
    /// What it printed; kept of tests that did not pass.
    pub output: Vec<String>,
}

/// The end of a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It has not come to its end.
    #[default]
    Unfinished,
    Passed,
    Failed,
    Skipped,
}

/// Maximum number of lines of failed tests that are repeated.
const REPEATED_MAX: usize = 1000;
/// Time from which a test is slow, in milliseconds.
const SLOW_MS: u64 = 1000;
/// Maximum number of slow tests that are named.
const SLOW_MAX: usize = 5;

impl TestCase {
    /// Returns true if it is no part of another test.
    pub fn is_whole(&self) -> bool {
        !self.name.contains('/')
    }

    /// Returns true if it failed, or did not come to its end in a package that failed.
    pub fn is_failure(&self) -> bool {
        matches!(self.outcome, Outcome::Failed | Outcome::Unfinished)
    }

    /// Returns its lines as `go test` prints them of a test that failed: its result, and then what it printed.
    fn block(&self, to: &mut Vec<String>) {
        let indent = "    ".repeat(self.name.matches('/').count());
        let is_result = |line: &&String| line.trim_start().starts_with("--- FAIL: ");
        let result = match self.output.iter().find(is_result) {
            Some(line) => line.trim_start().to_owned(),
            None => format!("--- UNFINISHED: {}", self.name),
        };
        to.push(format!("{indent}{result}"));
        let others = self.output.iter().filter(|line| !is_result(line));
        to.extend(others.map(|line| format!("{indent}{line}")));
    }
}

impl PackageReport {
    /// Returns the lines of a failed test and of its parts that failed.
    pub fn failed_test(&self, whole: &TestCase) -> Vec<String> {
        let mut lines = Vec::new();
        whole.block(&mut lines);
        let prefix = format!("{}/", whole.name);
        let parts = self.tests.iter().filter(|test| test.name.starts_with(&prefix) && test.is_failure());
        parts.for_each(|part| part.block(&mut lines));
        lines
    }

    /// Returns the lines of all tests that failed; of the package itself if no test says why.
    pub fn failure(&self) -> Vec<String> {
        let failed: Vec<&TestCase> = self.tests.iter().filter(|test| test.is_whole() && test.is_failure()).collect();
        let mut lines: Vec<String> = failed.iter().flat_map(|test| self.failed_test(test)).collect();
        if lines.is_empty() {
            lines.extend(self.output.iter().filter(|line| *line != "FAIL").cloned());
        }
        lines
    }
}

/// Returns the failed tests of all packages with their output, for the end of a run.
pub(crate) fn failures<'a>(reports: impl Iterator<Item = &'a PackageReport>) -> Vec<String> {
    let mut lines = Vec::new();
    for report in reports.filter(|report| report.verdict == Verdict::Failed) {
        lines.push(format!("=== {}", report.import_path));
        lines.extend(report.failure());
    }
    if lines.len() > REPEATED_MAX {
        let more = lines.len() - REPEATED_MAX;
        lines.truncate(REPEATED_MAX);
        lines.push(format!("[{more} more lines]"));
    }
    lines
}

/// Returns the slow tests, slowest first, in words; `None` if there are none.
pub(crate) fn slow_tests<'a>(reports: impl Iterator<Item = &'a PackageReport>) -> Option<String> {
    let tests = reports.flat_map(|report| report.tests.iter().map(move |test| (report, test)));
    let mut slow: Vec<_> = tests.filter(|(_, test)| test.is_whole() && test.elapsed_ms >= SLOW_MS).collect();
    slow.sort_by_key(|(report, test)| (std::cmp::Reverse(test.elapsed_ms), &report.import_path, &test.name));
    let named = slow.iter().take(SLOW_MAX).map(|(report, test)| {
        format!("{} of {} {:.1} s", test.name, report.import_path, test.elapsed_ms as f64 / 1000.0)
    });
    let named: Vec<String> = named.collect();
    (!named.is_empty()).then(|| format!("slow tests: {}", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str, outcome: Outcome, elapsed_ms: u64, output: &[&str]) -> TestCase {
        let output = output.iter().map(|line| (*line).to_owned()).collect();
        TestCase { name: name.to_owned(), outcome, elapsed_ms, output }
    }

    #[test]
    fn failed_tests_are_repeated_as_go_prints_them() {
        let report = PackageReport {
            import_path: "m/a".to_owned(),
            verdict: Verdict::Failed,
            tests: vec![
                test("TestA", Outcome::Failed, 0, &["    a_test.go:1: log", "--- FAIL: TestA (0.00s)"]),
                test("TestA/b", Outcome::Failed, 0, &["    a_test.go:2: no", "    --- FAIL: TestA/b (0.00s)"]),
                test("TestA/c", Outcome::Passed, 0, &[]),
                test("TestB", Outcome::Passed, 0, &[]),
                test("TestC", Outcome::Unfinished, 0, &["fatal error"]),
            ],
            output: vec!["FAIL".to_owned()],
            ..PackageReport::default()
        };
        let built = PackageReport {
            import_path: "m/b".to_owned(),
            verdict: Verdict::Failed,
            output: vec!["b.go:1: no".to_owned(), "FAIL\tm/b [build failed]".to_owned()],
            ..PackageReport::default()
        };
        let passed = PackageReport { verdict: Verdict::Passed, ..PackageReport::default() };
        let wanted = "=== m/a\n--- FAIL: TestA (0.00s)\n    a_test.go:1: log\n    --- FAIL: TestA/b (0.00s)\n        a_test.go:2: no\n--- UNFINISHED: TestC\nfatal error\n=== m/b\nb.go:1: no\nFAIL\tm/b [build failed]";
        assert_eq!(failures([&report, &built, &passed].into_iter()).join("\n"), wanted);
    }

    #[test]
    fn slow_tests_are_named() {
        let of = |import_path: &str, tests: &[(&str, u64)]| PackageReport {
            import_path: import_path.to_owned(),
            tests: tests.iter().map(|(name, ms)| test(name, Outcome::Passed, *ms, &[])).collect(),
            ..PackageReport::default()
        };
        let reports =
            [of("m/a", &[("TestA", 1000), ("TestA/b", 5000), ("TestB", 999)]), of("m/b", &[("TestC", 61_250)])];
        let wanted = "slow tests: TestC of m/b 61.2 s, TestA of m/a 1.0 s";
        assert_eq!(slow_tests(reports.iter()).as_deref(), Some(wanted));
        assert_eq!(slow_tests(reports[..0].iter()), None);
    }
}
