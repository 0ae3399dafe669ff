//! `TestsMetadata`: how the packages of a run of tests went, in numbers. A step reports it before it ends, well or not.

use rondel_engine::MetadataType;
use serde::{Deserialize, Serialize};

use crate::test_report::{Outcome, PackageReport, TestCase, Verdict};

/// Maximum number of failed tests that are named of a package.
const NAMED_MAX: usize = 50;

/// The packages that were tested. Those whose tests are known to pass are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestsMetadata {
    /// In the order of their import paths.
    pub packages: Vec<TestedPackage>,
}

impl MetadataType for TestsMetadata {
    const NAME: &'static str = "tests-1";
}

/// How the tests of one package went. Parts of tests (`t.Run`) do not count by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestedPackage {
    /// Its import path.
    pub import_path: String,
    /// True if the go command says that it passed.
    pub has_passed: bool,
    /// Duration by the go command, in milliseconds.
    pub elapsed_ms: u64,
    /// Number of tests that passed.
    pub passed: usize,
    /// Number of tests that were skipped.
    pub skipped: usize,
    /// Number of tests that failed, or did not come to their end.
    pub failed: usize,
    /// Names of the first of these.
    pub failed_tests: Vec<String>,
}

impl TestsMetadata {
    /// Returns the numbers of `reports`. `redact` hides secrets in names of tests.
    pub(crate) fn of<'a>(
        reports: impl Iterator<Item = &'a PackageReport>,
        redact: &dyn Fn(&str) -> String,
    ) -> TestsMetadata {
        TestsMetadata { packages: reports.map(|report| package(report, redact)).collect() }
    }
}

fn package(report: &PackageReport, redact: &dyn Fn(&str) -> String) -> TestedPackage {
    let tests = || report.tests.iter().filter(|test| test.is_whole());
    let failed = || tests().filter(|test| is_failure(report, test));
    TestedPackage {
        import_path: report.import_path.clone(),
        has_passed: report.verdict == Verdict::Passed,
        elapsed_ms: report.elapsed_ms,
        passed: tests().filter(|test| test.outcome == Outcome::Passed).count(),
        skipped: tests().filter(|test| test.outcome == Outcome::Skipped).count(),
        failed: failed().count(),
        failed_tests: failed().take(NAMED_MAX).map(|test| redact(&test.name)).collect(),
    }
}

/// Returns true if the test failed. In a package that passed, one without an end is an example or the like.
fn is_failure(report: &PackageReport, test: &TestCase) -> bool {
    report.verdict != Verdict::Passed && test.is_failure()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_tests_count_and_names_hold_no_secrets() {
        let test = |name: &str, outcome| TestCase { name: name.to_owned(), outcome, elapsed_ms: 3, output: Vec::new() };
        let report = PackageReport {
            import_path: "m/a".to_owned(),
            verdict: Verdict::Failed,
            elapsed_ms: 12,
            tests: vec![
                test("TestA", Outcome::Passed),
                test("TestA/part", Outcome::Failed),
                test("TestB_hunter2", Outcome::Failed),
                test("TestC", Outcome::Skipped),
                test("TestD", Outcome::Unfinished),
            ],
            ..PackageReport::default()
        };
        let found = TestsMetadata::of([&report].into_iter(), &|text| text.replace("hunter2", "***"));
        let wanted = TestedPackage {
            import_path: "m/a".to_owned(),
            has_passed: false,
            elapsed_ms: 12,
            passed: 1,
            skipped: 1,
            failed: 2,
            failed_tests: vec!["TestB_***".to_owned(), "TestD".to_owned()],
        };
        assert_eq!(found.packages, [wanted]);
    }
}
