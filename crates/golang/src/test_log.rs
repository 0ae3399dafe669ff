//! `TestLog`: what a test was seen to ask of the system, by the log that Go's own test cache is built on
//! (`-test.testlogfile`; internal/testlog).
//!
//! It has what goes through package os of the test's own process while `m.Run` runs: variables, files that were opened or
//! asked for, programs that were started. It has not what C code, system calls and child processes read, or what is read
//! before and after; `test_sources` looks for such tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// First line of a log.
const MAGIC: &str = "# test log\n";

/// What a test asked for. Paths are absolute, as the test wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestLog {
    pub variables: BTreeSet<String>,
    /// Files and directories whose contents may have been read, and programs.
    pub opened: BTreeSet<PathBuf>,
    /// Files and directories of which something was asked.
    pub asked: BTreeSet<PathBuf>,
    /// Directories that it changed to, without the links that led there.
    pub entered: BTreeSet<PathBuf>,
}

impl TestLog {
    /// Reads a log of a test that ran in `directory`; returns `None` if it is torn, or has lines of an unknown kind.
    pub fn parse(text: &str, directory: &Path) -> Option<TestLog> {
        let lines = text.strip_prefix(MAGIC)?;
        if !lines.is_empty() && !lines.ends_with('\n') {
            return None;
        }
        let mut log = TestLog::default();
        let mut directory = directory.to_owned();
        for line in lines.lines() {
            let (what, name) = line.split_once(' ')?;
            match what {
                "getenv" => drop(log.variables.insert(name.to_owned())),
                "open" => drop(log.opened.insert(directory.join(name))),
                "stat" => drop(log.asked.insert(directory.join(name))),
                "chdir" => {
                    directory = directory.join(name);
                    log.asked.insert(directory.clone());
                    log.entered.insert(directory.clone());
                }
                _ => return None,
            }
        }
        Some(log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_from_where_the_test_was() {
        let text = "# test log\ngetenv A\nopen ../x/1.sql\nstat y\nchdir /z\nopen y\nopen a b\n";
        let log = TestLog::parse(text, Path::new("/m/p")).unwrap();
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<BTreeSet<_>>();
        assert_eq!(log.variables, BTreeSet::from(["A".to_owned()]));
        assert_eq!(log.opened, paths(&["/m/p/../x/1.sql", "/z/a b", "/z/y"]));
        assert_eq!(log.asked, paths(&["/m/p/y", "/z"]));
        assert_eq!(log.entered, paths(&["/z"]));
        assert_eq!(TestLog::parse("# test log\n", Path::new("/")), Some(TestLog::default()));
    }

    #[test]
    fn what_is_torn_or_unknown_is_no_log() {
        for text in ["", "# test log", "open x\n", "# test log\nopen x", "# test log\nopen\n", "# test log\nread x\n"] {
            assert_eq!(TestLog::parse(text, Path::new("/")), None, "{text:?}");
        }
    }
}
