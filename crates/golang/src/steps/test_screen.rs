//! `TestScreen`: what people see of a run, made of the events of `go test -json`, and the report of each package.
//!
//! A package that passed is one line, as with `go test`; of one that failed the failed tests are shown as soon as they
//! end. With `verbose` everything is shown as it comes, as with `go test -v`.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rondel_process::Stream;

use crate::test_events::TestEvent;
use crate::test_report::{Outcome, PackageReport, TestCase, Verdict};

/// Maximum number of lines that are kept of one test, and of what belongs to none.
const LINES_MAX: usize = 2000;
/// Beginnings of the lines with which the testing package tells where a line belongs.
const FRAMES: [&str; 4] = ["=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME "];

/// The output of one run.
pub(crate) struct TestScreen<'a> {
    show: &'a (dyn Fn(Stream, &str) + Sync),
    redact: &'a (dyn Fn(&str) -> String + Sync),
    is_verbose: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    packages: BTreeMap<String, Package>,
    /// What builds printed, by the build's name.
    builds: BTreeMap<String, Vec<String>>,
    /// Lines that are no events: old go commands print so of builds.
    loose: Vec<String>,
}

#[derive(Default)]
struct Package {
    report: PackageReport,
    /// Place of the test among those of the report, by name. A test that runs again gets another place.
    places: BTreeMap<String, usize>,
    /// The beginning of a line, by test.
    pieces: BTreeMap<String, String>,
}

impl<'a> TestScreen<'a> {
    /// `show` prints a line, and `redact` hides secrets in what is kept.
    pub fn new(
        show: &'a (dyn Fn(Stream, &str) + Sync),
        redact: &'a (dyn Fn(&str) -> String + Sync),
        is_verbose: bool,
    ) -> TestScreen<'a> {
        TestScreen { show, redact, is_verbose, state: Mutex::default() }
    }

    /// Takes a line of the go command.
    pub fn see(&self, stream: Stream, line: &str) {
        let event = if stream == Stream::Stdout { TestEvent::parse(line) } else { None };
        let mut state = self.state.lock().expect("no panic while locked");
        let Some(event) = event else {
            (self.show)(stream, line);
            keep(&mut state.loose, (self.redact)(line));
            if stream == Stream::Stdout
                && let Some(import_path) = line.strip_prefix("FAIL\t").and_then(|rest| rest.split([' ', '\t']).next())
            {
                let package = state.package(import_path);
                package.report.verdict = Verdict::Failed;
                keep(&mut package.report.output, (self.redact)(line));
            }
            return;
        };
        match event.action.as_str() {
            "build-output" => {
                for line in event.output.lines() {
                    (self.show)(Stream::Stderr, line);
                    keep(state.builds.entry(event.import_path.clone()).or_default(), (self.redact)(line));
                }
            }
            "run" => state.package(&event.package).begin(&event.test),
            "output" => {
                let package = state.package(&event.package);
                let piece = package.pieces.entry(event.test.clone()).or_default();
                piece.push_str(&event.output);
                while let Some((line, rest)) = piece.split_once('\n') {
                    let (line, rest) = (line.trim_end_matches('\r').to_owned(), rest.to_owned());
                    *piece = rest;
                    self.line(&mut package.report, &mut package.places, &event.test, &line);
                }
            }
            "pass" | "fail" | "skip" | "bench" if !event.test.is_empty() => self.end_test(&mut state, &event),
            "pass" | "fail" | "skip" => self.end_package(&mut state, &event),
            _ => {}
        }
    }

    /// Takes a whole line of a test, or of the package itself.
    fn line(&self, report: &mut PackageReport, places: &mut BTreeMap<String, usize>, test: &str, line: &str) {
        let is_frame = FRAMES.iter().any(|frame| line.starts_with(frame));
        if self.is_verbose && !is_last_word(report, line) {
            (self.show)(Stream::Stdout, line);
        }
        if is_frame {
            return;
        }
        let line = (self.redact)(line);
        match test {
            "" => keep(&mut report.output, line),
            test => {
                let place = place_of(report, places, test);
                keep(&mut report.tests[place].output, line);
            }
        }
    }

    fn end_test(&self, state: &mut State, event: &TestEvent) {
        let package = state.package(&event.package);
        self.flush(package, &event.test);
        let place = place_of(&mut package.report, &mut package.places, &event.test);
        let test = &mut package.report.tests[place];
        test.elapsed_ms = event.elapsed_ms();
        test.outcome = match event.action.as_str() {
            "fail" => Outcome::Failed,
            "skip" => Outcome::Skipped,
            _ => Outcome::Passed,
        };
        match test.outcome {
            Outcome::Passed => test.output.clear(),
            Outcome::Skipped => test.output.retain(|line| !line.trim_start().starts_with("--- SKIP: ")),
            Outcome::Failed | Outcome::Unfinished => {}
        }
        let test = &package.report.tests[place];
        if test.outcome == Outcome::Failed && test.is_whole() && !self.is_verbose {
            package.report.failed_test(test).iter().for_each(|line| (self.show)(Stream::Stdout, line));
        }
    }

    fn end_package(&self, state: &mut State, event: &TestEvent) {
        let built = state.builds.get(&event.failed_build).cloned().unwrap_or_default();
        let package = state.package(&event.package);
        let open: Vec<String> = package.pieces.keys().cloned().collect();
        open.iter().for_each(|test| self.flush(package, test));
        let report = &mut package.report;
        report.elapsed_ms = event.elapsed_ms();
        if event.action == "fail" {
            report.verdict = Verdict::Failed;
            for test in report.tests.iter().filter(|test| test.outcome == Outcome::Unfinished && test.is_whole()) {
                if !self.is_verbose {
                    report.failed_test(test).iter().for_each(|line| (self.show)(Stream::Stdout, line));
                }
            }
            for line in &report.output {
                if !self.is_verbose || is_last_word(report, line) {
                    (self.show)(Stream::Stdout, line);
                }
            }
            report.output.splice(0..0, built);
            return;
        }
        report.verdict = Verdict::Passed;
        for test in &mut report.tests {
            // Go says nothing of a test that others run as a part of themselves and that ends the goroutine.
            if test.outcome == Outcome::Unfinished {
                (test.outcome, test.output) = (Outcome::Passed, Vec::new());
            }
        }
        if let Some(line) = report.output.iter().rev().find(|line| is_last_word(report, line)) {
            (self.show)(Stream::Stdout, line);
        }
        report.output.clear();
    }

    /// Takes the beginning of a line as a line.
    fn flush(&self, package: &mut Package, test: &str) {
        if let Some(piece) = package.pieces.remove(test).filter(|piece| !piece.is_empty()) {
            self.line(&mut package.report, &mut package.places, test, &piece);
        }
    }

    /// Returns the reports, by import path, and the lines that were no events.
    pub fn finish(self) -> (BTreeMap<String, PackageReport>, Vec<String>) {
        let state = self.state.into_inner().expect("no panic while locked");
        (state.packages.into_iter().map(|(name, package)| (name, package.report)).collect(), state.loose)
    }
}

impl State {
    fn package(&mut self, import_path: &str) -> &mut Package {
        let package = self.packages.entry(import_path.to_owned()).or_default();
        import_path.clone_into(&mut package.report.import_path);
        package
    }
}

impl Package {
    fn begin(&mut self, test: &str) {
        self.places.remove(test);
        place_of(&mut self.report, &mut self.places, test);
    }
}

/// Returns the place of a test among those of the report, which may be the next one.
fn place_of(report: &mut PackageReport, places: &mut BTreeMap<String, usize>, test: &str) -> usize {
    *places.entry(test.to_owned()).or_insert_with(|| {
        report.tests.push(TestCase { name: test.to_owned(), ..TestCase::default() });
        report.tests.len() - 1
    })
}

/// Returns true for the go command's line about the whole package, which comes last: `ok`, `FAIL`, `?`, or the coverage of
/// a package without tests.
fn is_last_word(report: &PackageReport, line: &str) -> bool {
    let mut words = line.split('\t');
    let first = words.next().unwrap_or_default();
    let second = words.next().and_then(|word| word.split(' ').next());
    ["ok  ", "?   ", "FAIL", ""].contains(&first) && second == Some(report.import_path.as_str())
}

/// Adds a line, or says once that there are more.
fn keep(lines: &mut Vec<String>, line: String) {
    match lines.len() {
        LINES_MAX => lines.push("[more lines were printed, and not kept]".to_owned()),
        count if count < LINES_MAX => lines.push(line),
        // The result of a test and the word about a package come last and are needed.
        _ if line.trim_start().starts_with("--- ") || line.starts_with("FAIL\t") || line.starts_with("ok  \t") => {
            lines.push(line);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::test_report::failures;

    /// What is shown of the events, and what is repeated at the end.
    #[track_caller]
    fn check(is_verbose: bool, events: &str, expected: &Expect) {
        let shown = Mutex::new(String::new());
        let show = |_: Stream, line: &str| {
            let mut shown = shown.lock().unwrap();
            shown.push_str(line);
            shown.push('\n');
        };
        let redact = |text: &str| text.replace("hunter2", "***");
        let screen = TestScreen::new(&show, &redact, is_verbose);
        events.lines().for_each(|line| screen.see(Stream::Stdout, line));
        let (reports, _) = screen.finish();
        let repeated = failures(reports.values());
        let mut text = shown.into_inner().unwrap();
        text.push_str(&format!("repeated:\n{}\n", repeated.join("\n")));
        for report in reports.values() {
            let tests: Vec<String> =
                report.tests.iter().map(|test| format!(" {}={:?}", test.name, test.outcome)).collect();
            text.push_str(&format!("{} {:?}{}\n", report.import_path, report.verdict, tests.concat()));
        }
        expected.assert_eq(&text);
    }

    const EVENTS: &str = r#"{"ImportPath":"m/b [m/b.test]","Action":"build-output","Output":"b.go:1: undefined: x\n"}
{"ImportPath":"m/b [m/b.test]","Action":"build-fail"}
{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestA"}
{"Action":"output","Package":"m/a","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"m/a","Test":"TestA","Output":"hunt"}
{"Action":"output","Package":"m/a","Test":"TestA","Output":"er2\n"}
{"Action":"run","Package":"m/a","Test":"TestA/sub"}
{"Action":"output","Package":"m/a","Test":"TestA/sub","Output":"    a_test.go:5: no\n"}
{"Action":"output","Package":"m/a","Test":"TestA/sub","Output":"--- FAIL: TestA/sub (0.00s)\n"}
{"Action":"fail","Package":"m/a","Test":"TestA/sub","Elapsed":0}
{"Action":"output","Package":"m/a","Test":"TestA","Output":"--- FAIL: TestA (0.00s)\n"}
{"Action":"fail","Package":"m/a","Test":"TestA","Elapsed":0}
{"Action":"run","Package":"m/a","Test":"TestS"}
{"Action":"output","Package":"m/a","Test":"TestS","Output":"    a_test.go:6: why\n"}
{"Action":"output","Package":"m/a","Test":"TestS","Output":"--- SKIP: TestS (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestS","Elapsed":0}
{"Action":"run","Package":"m/a","Test":"TestB"}
{"Action":"output","Package":"m/a","Test":"TestB","Output":"ok  \tm/c\t0.1s\n"}
{"Action":"output","Package":"m/a","Test":"TestB","Output":"--- PASS: TestB (0.00s)\n"}
{"Action":"pass","Package":"m/a","Test":"TestB","Elapsed":0}
{"Action":"run","Package":"m/a","Test":"TestH"}
{"Action":"output","Package":"m/a","Test":"TestH","Output":"it hangs"}
{"Action":"output","Package":"m/a","Output":"FAIL\n"}
{"Action":"output","Package":"m/a","Output":"FAIL\tm/a\t0.015s\n"}
{"Action":"fail","Package":"m/a","Elapsed":0.015}
{"Action":"output","Package":"m/b","Output":"FAIL\tm/b [build failed]\n"}
{"Action":"fail","Package":"m/b","Elapsed":0,"FailedBuild":"m/b [m/b.test]"}
{"Action":"run","Package":"m/d","Test":"TestD"}
{"Action":"output","Package":"m/d","Test":"TestD","Output":"=== RUN   TestD\n"}
{"Action":"pass","Package":"m/d","Test":"TestD","Elapsed":0}
{"Action":"output","Package":"m/d","Output":"PASS\n"}
{"Action":"output","Package":"m/d","Output":"ok  \tm/d\t0.006s\n"}
{"Action":"pass","Package":"m/d","Elapsed":0.006}
{"Action":"output","Package":"m/use","Output":"?   \tm/use\t[no test files]\n"}
{"Action":"skip","Package":"m/use","Elapsed":0}
FAIL	m/old [build failed]
"#;

    #[test]
    fn failed_tests_are_shown_and_repeated() {
        check(
            false,
            EVENTS,
            &expect![[r#"
                b.go:1: undefined: x
                --- FAIL: TestA (0.00s)
                ***
                    --- FAIL: TestA/sub (0.00s)
                        a_test.go:5: no
                --- UNFINISHED: TestH
                it hangs
                FAIL
                FAIL	m/a	0.015s
                FAIL	m/b [build failed]
                ok  	m/d	0.006s
                ?   	m/use	[no test files]
                FAIL	m/old [build failed]
                repeated:
                === m/a
                --- FAIL: TestA (0.00s)
                ***
                    --- FAIL: TestA/sub (0.00s)
                        a_test.go:5: no
                --- UNFINISHED: TestH
                it hangs
                === m/b
                b.go:1: undefined: x
                FAIL	m/b [build failed]
                === m/old
                FAIL	m/old [build failed]
                m/a Failed TestA=Failed TestA/sub=Failed TestS=Skipped TestB=Passed TestH=Unfinished
                m/b Failed
                m/d Passed TestD=Passed
                m/old Failed
                m/use Passed
            "#]],
        );
    }

    #[test]
    fn everything_is_shown_with_verbose() {
        let events: String =
            EVENTS.lines().filter(|line| line.contains("m/d")).map(|line| format!("{line}\n")).collect();
        check(
            true,
            &events,
            &expect![[r#"
                === RUN   TestD
                PASS
                ok  	m/d	0.006s
                repeated:

                m/d Passed TestD=Passed
            "#]],
        );
    }
}
