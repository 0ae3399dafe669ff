//! All output.
//!
//! People read standard error; standard output is for data (lists, graphs, events), so that it can be piped. A failed
//! write to standard error is not an error: nothing is left to report it to.

mod attributes;
mod columns;
mod data;
mod groups;
mod human;
mod json;
mod lines;
mod paths;
mod progress;
#[cfg(test)]
mod progress_tests;
mod rebuilds;
mod results;
mod safe_text;
mod screen;
mod sink;
mod state;
#[cfg(test)]
mod tests;
mod ticker;
mod times;
mod verbosity;
mod working;

pub(crate) use data::{is_data_lost, is_reader_gone, print_bytes};
pub(crate) use human::Human;
pub(crate) use json::Json;
pub(crate) use paths::Paths;
pub(crate) use safe_text::{drop_colors, shown_line, without_control_sequences};
pub(crate) use sink::{
    AuditOutcome, AuditStart, AuditSummary, Audited, BuildEnd, BuildStart, Bundled, MemberState, RebuildStart,
    RebuildSummary, Shown, Sink, Verified, VerifySummary,
};
pub(crate) use times::duration_text;
pub(crate) use verbosity::Verbosity;
pub(crate) use working::Working;

use std::io::IsTerminal;

use rondel_engine::{Reason, UserError};

use crate::cli::groups::{BuildOptions, Color, GlobalOptions};
use crate::exit::Failure;
use crate::program::with_program;
use crate::session::ProcessContext;

/// Where a sink writes.
pub(crate) type Printer = Box<dyn Fn(&str) + Send + Sync>;

/// Message for a step that fails in the second build only.
pub(crate) const SECOND_BUILD_FAILED: &str = "the second build failed but the first did not: the step depends on \
                                              something outside the tree";

/// Returns the sink that the options ask for.
pub(crate) fn sink(
    context: &ProcessContext,
    global: &GlobalOptions,
    build: &BuildOptions,
    shown: Shown,
) -> Box<dyn Sink> {
    if build.events.is_some() {
        return Box::new(Json::new(shown, Box::new(print_data)));
    }
    Box::new(Human::new(Verbosity::of(context, global, shown), Box::new(print_line)))
}

/// Writes a line of a step to standard output: as it is, unless a terminal would act on it.
pub(crate) fn print_answer(line: &str) {
    if std::io::stdout().is_terminal() {
        print_data(&format!("{}\n", shown_line(line)));
    } else {
        print_data(&format!("{line}\n"));
    }
}

/// Writes to standard output.
pub(crate) fn print_data(text: &str) {
    print_bytes(text.as_bytes());
}

/// Returns the number of columns of standard output; `None` if it is no terminal.
pub(crate) fn data_width() -> Option<usize> {
    #[cfg(unix)]
    {
        let stdout = std::io::stdout();
        let size = rustix::termios::tcgetwinsize(&stdout).ok().filter(|_| stdout.is_terminal());
        size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
    }
    #[cfg(not(unix))]
    None
}

/// Returns true if data is printed in colours.
pub(crate) fn data_colors(context: &ProcessContext, color: Color) -> bool {
    match color {
        Color::Auto => std::io::stdout().is_terminal() && context.wants_color_by_default(),
        Color::Always | Color::Never => context.wants_color(color),
    }
}

/// Writes a line to standard error.
pub(crate) fn print_line(text: &str) {
    screen::print(text);
}

/// Removes the lines that show progress, before the process leaves at once.
pub(crate) fn leave_screen() {
    screen::leave();
}

/// Writes `error: …`.
pub(crate) fn print_error_line(text: &str) {
    print_line(&format!("error: {text}"));
}

/// Prints why nothing was built.
pub(crate) fn print_failure(context: &ProcessContext, failure: &Failure, color: bool) {
    let service = groups::Service::of(context);
    let print = |text: &str| print_line(&service.map_or(text.into(), |service| service.inert(text)));
    match failure {
        Failure::BuildFile { name, text, diagnostics } => {
            for diagnostic in diagnostics.iter().take(50) {
                let mut diagnostic = diagnostic.clone();
                diagnostic.hint = diagnostic.hint.map(|hint| with_program(&hint).into_owned());
                let shown = rondel_buildfile::render(name, text, &diagnostic);
                print(&highlight(&shown, color));
            }
            let count = diagnostics.len();
            if count > 1 {
                print(&format!("{count} mistakes in {name}; nothing was run"));
            }
        }
        Failure::User(UserError { message, hint, .. }) => {
            print(&highlight(&with_hint(&format!("error: {message}"), hint.as_deref()), color));
        }
        Failure::Other(error) => {
            let causes: Vec<String> = error.chain().skip(1).map(|cause| format!("  caused by: {cause}")).collect();
            print(&highlight(&[vec![format!("error: {error}")], causes].concat().join("\n"), color));
        }
    }
}

/// Returns a message and, after an empty line, its hint.
pub(crate) fn with_hint(message: &str, hint: Option<&str>) -> String {
    hint.map_or_else(|| message.to_owned(), |hint| format!("{message}\n\nhint: {}", with_program(hint)))
}

/// Returns a reason in words.
pub(crate) fn reason_text(reason: &Reason) -> String {
    with_program(&reason.to_string()).into_owned()
}

/// Colours `error:` red and `hint:` cyan, at the beginnings of lines.
pub(crate) fn highlight(text: &str, color: bool) -> String {
    if !color {
        return text.to_owned();
    }
    let lines = text.lines().map(|line| {
        for (word, code) in [("error:", "1;31"), ("warning:", "1;33"), ("hint:", "1;36")] {
            if let Some(rest) = line.strip_prefix(word) {
                return format!("\x1b[{code}m{word}\x1b[0m{rest}");
            }
        }
        line.to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `1.2 MiB`
pub(crate) fn bytes_text(bytes: u64) -> String {
    const UNITS: &[&str] = &["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}
