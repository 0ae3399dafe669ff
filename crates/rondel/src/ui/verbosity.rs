//! How much people see, by the options and the terminal.

use crate::cli::groups::{GlobalOptions, Progress};
use crate::session::ProcessContext;
use crate::ui::groups::Service;
use crate::ui::{Shown, screen};

/// Amount of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verbosity {
    pub quiet: bool,
    pub verbose: bool,
    /// True if answers of steps go to standard output.
    pub answers: bool,
    /// True for lines at the end of the terminal that change.
    pub bars: bool,
    /// True for a line from time to time of a step that runs long.
    pub heartbeats: bool,
    pub steps: bool,
    pub color: bool,
    /// True if only what has changed is shown, of many builds one after the other.
    pub changes_only: bool,
    /// True if the screen is emptied once a step begins.
    pub clears: bool,
    /// The service whose logs fold output of steps.
    pub service: Option<Service>,
}

impl Verbosity {
    /// Returns the amount for the options and the terminal.
    pub fn of(context: &ProcessContext, global: &GlobalOptions, shown: Shown) -> Verbosity {
        let is_silent = shown == Shown::FailuresOnly;
        let terminal = screen::is_terminal() && context.get("TERM") != Some("dumb");
        let bars = match global.progress {
            Progress::Auto => terminal && !global.quiet,
            Progress::Bar => terminal,
            Progress::Plain | Progress::None => false,
        };
        Verbosity {
            quiet: global.quiet || is_silent,
            answers: !is_silent,
            verbose: global.verbose && !is_silent,
            bars,
            heartbeats: !bars && !global.quiet && global.progress != Progress::None,
            steps: global.progress != Progress::None && !is_silent,
            color: context.wants_color(global.color),
            changes_only: matches!(shown, Shown::Watching { .. }),
            clears: shown == (Shown::Watching { is_first: false }) && bars,
            service: Service::of(context).filter(|_| !bars),
        }
    }
}
