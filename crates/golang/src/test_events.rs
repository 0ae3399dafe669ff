//! `TestEvent`: a line of `go test -json`. It knows nothing of what is made of the lines.

use serde::Deserialize;

/// What happened to a test, to a package, or in the build of one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TestEvent {
    pub action: String,
    /// Import path; empty for the build.
    pub package: String,
    /// Name of the test, with the names of the tests around it; empty for the package itself.
    pub test: String,
    /// Seconds.
    pub elapsed: f64,
    /// A line with its newline, or a piece of one.
    pub output: String,
    /// What was built, as the build's own events name it.
    pub import_path: String,
    /// The build that a package failed for.
    pub failed_build: String,
}

impl TestEvent {
    /// Reads a line; returns `None` if it is none of the events, such as the word of an old go command about a build.
    pub fn parse(line: &str) -> Option<TestEvent> {
        let event: TestEvent = serde_json::from_str(line.strip_prefix('{').map(|_| line)?).ok()?;
        (!event.action.is_empty()).then_some(event)
    }

    /// Returns the time that it took, in milliseconds.
    pub fn elapsed_ms(&self) -> u64 {
        (self.elapsed.max(0.0) * 1000.0).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_other_lines() {
        let line = r#"{"Time":"2026-01-02T03:04:05Z","Action":"fail","Package":"m/p","Test":"TestA/b","Elapsed":0.25}"#;
        let event = TestEvent::parse(line).unwrap();
        assert_eq!((event.action.as_str(), event.package.as_str(), event.test.as_str()), ("fail", "m/p", "TestA/b"));
        assert_eq!((event.elapsed_ms(), event.output.as_str()), (250, ""));
        let built = r#"{"ImportPath":"m/p [m/p.test]","Action":"build-output","Output":"p.go:1: no\n"}"#;
        assert_eq!(TestEvent::parse(built).unwrap().import_path, "m/p [m/p.test]");
        for other in ["FAIL\tm/p [build failed]", "{", "{}", "", r#"{"Action":1}"#, "[1]"] {
            assert_eq!(TestEvent::parse(other), None, "{other}");
        }
    }
}
