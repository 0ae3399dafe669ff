//! The report of tests in JUnit's form, as CI services read it. The same reports give the same bytes: it has no time of day
//! and no name of a machine, and the durations are those of the runs.

use std::fmt::Write as _;

use crate::test_report::{Outcome, PackageReport, TestCase, Verdict};

/// Returns the document of all packages.
pub(crate) fn junit(reports: &[PackageReport]) -> String {
    let mut suites = String::new();
    let mut total = Counts::default();
    for report in reports {
        let counts = Counts::of(report);
        let (name, attributes) = (escaped(&report.import_path), counts.attributes());
        let _ = writeln!(suites, "  <testsuite name=\"{name}\" {attributes}>");
        report.tests.iter().for_each(|test| case(&mut suites, report, test));
        if counts.is_package_error {
            let message = escaped(&report.output.join("\n"));
            let _ = writeln!(
                suites,
                "    <testcase classname=\"{name}\" name=\"[package]\" time=\"0.000\">\n      <error message=\"the tests of the package did not run to their end\">{message}</error>\n    </testcase>"
            );
        }
        suites.push_str("  </testsuite>\n");
        total.add(&counts);
    }
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {}>\n{suites}</testsuites>\n", total.attributes())
}

fn case(to: &mut String, report: &PackageReport, test: &TestCase) {
    let (class, name) = (escaped(&report.import_path), escaped(&test.name));
    let head = format!("    <testcase classname=\"{class}\" name=\"{name}\" time=\"{}\"", seconds(test.elapsed_ms));
    let output = || escaped(&test.output.join("\n"));
    let _ = match test.outcome {
        Outcome::Passed => writeln!(to, "{head}/>"),
        Outcome::Skipped => writeln!(to, "{head}>\n      <skipped message=\"{}\"/>\n    </testcase>", output()),
        Outcome::Failed => {
            writeln!(to, "{head}>\n      <failure message=\"failed\">{}</failure>\n    </testcase>", output())
        }
        Outcome::Unfinished => {
            writeln!(
                to,
                "{head}>\n      <error message=\"did not come to its end\">{}</error>\n    </testcase>",
                output()
            )
        }
    };
}

#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    elapsed_ms: u64,
    /// True if no test says why the package failed.
    is_package_error: bool,
}

impl Counts {
    fn of(report: &PackageReport) -> Counts {
        let count = |wanted: Outcome| report.tests.iter().filter(|test| test.outcome == wanted).count();
        let (failures, unfinished) = (count(Outcome::Failed), count(Outcome::Unfinished));
        let is_package_error = report.verdict == Verdict::Failed && failures + unfinished == 0;
        Counts {
            tests: report.tests.len() + usize::from(is_package_error),
            failures,
            errors: unfinished + usize::from(is_package_error),
            skipped: count(Outcome::Skipped),
            elapsed_ms: report.elapsed_ms,
            is_package_error,
        }
    }

    fn add(&mut self, other: &Counts) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.errors += other.errors;
        self.skipped += other.skipped;
        self.elapsed_ms += other.elapsed_ms;
    }

    fn attributes(&self) -> String {
        let Counts { tests, failures, errors, skipped, elapsed_ms, .. } = self;
        let time = seconds(*elapsed_ms);
        format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{time}\"")
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// Returns the text for an element or an attribute. Characters that XML 1.0 can't hold, also as a reference, are replaced.
fn escaped(text: &str) -> String {
    let mut found = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => found.push_str("&amp;"),
            '<' => found.push_str("&lt;"),
            '>' => found.push_str("&gt;"),
            '"' => found.push_str("&quot;"),
            // A reader would make blanks of them, or of one the other.
            '\n' | '\r' | '\t' => {
                let _ = write!(found, "&#{};", u32::from(character));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => found.push(char::REPLACEMENT_CHARACTER),
            other => found.push(other),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn test(name: &str, outcome: Outcome, output: &[&str]) -> TestCase {
        let output = output.iter().map(|line| (*line).to_owned()).collect();
        TestCase { name: name.to_owned(), outcome, elapsed_ms: 1250, output }
    }

    #[test]
    fn a_document() {
        let passed = PackageReport {
            import_path: "m/a".to_owned(),
            verdict: Verdict::Passed,
            elapsed_ms: 2500,
            tests: vec![test("TestA", Outcome::Passed, &[]), test("TestB", Outcome::Skipped, &["why"])],
            ..PackageReport::default()
        };
        let failed = PackageReport {
            import_path: "m/b".to_owned(),
            verdict: Verdict::Failed,
            tests: vec![
                test("TestA/<\"x\">", Outcome::Failed, &["a & b\t\u{1b}[31m\u{0}\r", "]]>\u{ffff}é"]),
                test("TestB", Outcome::Unfinished, &[]),
            ],
            ..PackageReport::default()
        };
        let broken = PackageReport {
            import_path: "m/c".to_owned(),
            verdict: Verdict::Failed,
            output: vec!["c.go:1: no".to_owned()],
            ..PackageReport::default()
        };
        expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites tests="5" failures="1" errors="2" skipped="1" time="2.500">
              <testsuite name="m/a" tests="2" failures="0" errors="0" skipped="1" time="2.500">
                <testcase classname="m/a" name="TestA" time="1.250"/>
                <testcase classname="m/a" name="TestB" time="1.250">
                  <skipped message="why"/>
                </testcase>
              </testsuite>
              <testsuite name="m/b" tests="2" failures="1" errors="1" skipped="0" time="0.000">
                <testcase classname="m/b" name="TestA/&lt;&quot;x&quot;&gt;" time="1.250">
                  <failure message="failed">a &amp; b&#9;�[31m�&#13;&#10;]]&gt;�é</failure>
                </testcase>
                <testcase classname="m/b" name="TestB" time="1.250">
                  <error message="did not come to its end"></error>
                </testcase>
              </testsuite>
              <testsuite name="m/c" tests="1" failures="0" errors="1" skipped="0" time="0.000">
                <testcase classname="m/c" name="[package]" time="0.000">
                  <error message="the tests of the package did not run to their end">c.go:1: no</error>
                </testcase>
              </testsuite>
            </testsuites>
        "#]]
        .assert_eq(&junit(&[passed, failed, broken]));
    }
}
