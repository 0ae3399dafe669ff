//! Groups of lines in the logs of GitHub and GitLab, which fold them.
//!
//! Their groups neither nest nor overlap. So a group holds output of one step that nothing else stands between: any other
//! line ends it, and further output of the step begins another.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::session::ProcessContext;

/// A service whose logs have groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    GitHub,
    GitLab,
}

impl Service {
    /// Returns the service that runs this process.
    pub fn of(context: &ProcessContext) -> Option<Service> {
        match (context.get("GITHUB_ACTIONS"), context.get("GITLAB_CI")) {
            (Some("true"), _) => Some(Service::GitHub),
            (_, Some("true")) => Some(Service::GitLab),
            (_, _) => None,
        }
    }

    /// Returns lines, none of which the service takes for a command.
    pub fn inert(self, text: &str) -> Cow<'_, str> {
        let is_command = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
        if self != Service::GitHub || !text.lines().any(is_command) {
            return Cow::Borrowed(text);
        }
        let lines = text.split('\n').map(|line| {
            let words = line.trim_start();
            let indent = &line[..line.len() - words.len()];
            let mark = if words.starts_with("::") { "| " } else { "" };
            // The older form is a command anywhere in a line.
            format!("{indent}{mark}{}", words.replace("##[", "## ["))
        });
        Cow::Owned(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Returns the line that begins the group of this number.
    pub fn begin(self, number: usize, title: &str) -> String {
        match self {
            Service::GitHub => format!("::group::{title}"),
            Service::GitLab => format!("\x1b[0Ksection_start:{}:{}\r\x1b[0K{title}", seconds(), name(number)),
        }
    }

    /// Returns the line that ends it.
    pub fn end(self, number: usize) -> String {
        match self {
            Service::GitHub => "::endgroup::".to_owned(),
            Service::GitLab => format!("\x1b[0Ksection_end:{}:{}\r\x1b[0K", seconds(), name(number)),
        }
    }
}

fn name(number: usize) -> String {
    format!("rondel_{}_{number}", std::process::id())
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_program_is_a_command() {
        let text = "error: x\n  ::stop-commands::x\n\t::add-mask::a\n::y\na ::b\nz ##[add-mask]a\n";
        let shown = "error: x\n  | ::stop-commands::x\n\t| ::add-mask::a\n| ::y\na ::b\nz ## [add-mask]a\n";
        assert_eq!(Service::GitHub.inert(text), shown);
        assert_eq!(Service::GitLab.inert(text), text);
    }
}
