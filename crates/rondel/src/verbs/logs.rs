//! `logs`: what processes, containers and services have printed.

use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rondel_process::Cancellation;
use rondel_targets::{LogQuery, RunningTarget};

use crate::cli::option::{OptionValue, option, options};
use crate::cli::verb::{Arguments, Call, Verb};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::{data_colors, is_reader_gone, print_answer, print_data, shown_line};
use crate::verbs::started;

options! {
    /// Options of `logs`.
    struct Options {
        /// go on with what is printed from now on, until everything has ended
        follow: bool = option("follow").short('f'),
        /// print the last N lines of each only
        tail: LineCount = option("tail").value("N"),
    }
}

/// Number of lines, if there is a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineCount(Option<usize>);

impl OptionValue for LineCount {
    fn accept(&mut self, option: &str, value: &str) -> Result<(), Failure> {
        let wrong = || Failure::usage(format!("{option} takes a number of lines, not `{}`", value.escape_debug()));
        self.0 = Some(value.parse().map_err(|_| wrong())?);
        Ok(())
    }
}

/// Interval at which a reader that has gone away is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Colours of the names before lines, one after the other.
const COLORS: [&str; 6] = ["36", "33", "32", "35", "34", "31"];

/// Prints the lines of one target as they are, and those of several with the name of each.
pub(crate) struct Logs;

impl Verb for Logs {
    const NAME: &'static str = "logs";
    const ABOUT: &'static str = "what processes, containers and services have printed";
    const ARGUMENTS: Arguments = started::TARGETS;
    const EXAMPLE: &'static str = "logs -f server";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let session = session?;
        let targets = started::targets(&session, call.words)?;
        let query = LogQuery { tail: call.options.tail.0, follow: call.options.follow };
        let printer = Printer {
            is_single: targets.len() == 1,
            color: data_colors(call.context, call.global.color),
            width: targets.iter().map(|target| target.name.as_str().len()).max().unwrap_or(0),
        };
        let cancellation = Cancellation::new();
        let outcomes: Vec<Result<(), Failure>> = std::thread::scope(|scope| {
            let (_running, is_over) = channel::<()>();
            if query.follow {
                let cancellation = &cancellation;
                scope.spawn(move || {
                    while is_over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                        if is_reader_gone() {
                            return cancellation.cancel();
                        }
                    }
                });
            }
            let threads: Vec<_> = targets
                .iter()
                .enumerate()
                .map(|(place, target)| {
                    let (printer, cancellation) = (&printer, &cancellation);
                    let print = move || printer.print(place, target, query, cancellation);
                    // What has ended is printed in the order of build.ron.
                    if query.follow { Ok(scope.spawn(print)) } else { Err(print()) }
                })
                .collect();
            let lost = || Err(Failure::environment("a log could not be read".to_owned()));
            threads
                .into_iter()
                .map(|thread| thread.map_or_else(|done| done, |thread| thread.join().unwrap_or_else(|_| lost())))
                .collect()
        });
        outcomes.into_iter().collect::<Result<Vec<()>, Failure>>()?;
        Ok(Exit::Done)
    }
}

struct Printer {
    is_single: bool,
    color: bool,
    /// Width of the longest name.
    width: usize,
}

impl Printer {
    fn print(
        &self,
        place: usize,
        target: &RunningTarget,
        query: LogQuery,
        cancellation: &Cancellation,
    ) -> Result<(), Failure> {
        let see = |part: Option<&str>, text: &str| {
            let name = match part {
                Some(part) if self.is_single => part.to_owned(),
                Some(part) => format!("{}/{part}", target.name),
                None => target.name.to_string(),
            };
            if self.is_single && part.is_none() {
                return print_answer(text);
            }
            let name = format!("{name:<width$} |", width = self.width);
            let name = if self.color { format!("\x1b[{}m{name}\x1b[0m", COLORS[place % COLORS.len()]) } else { name };
            self.line(&name, text);
        };
        let running = target.running.as_ref().map_err(|error| Failure::from(error.clone()))?;
        Ok(running.logs(query, &see, cancellation)?)
    }

    /// Prints a line; what the program itself wrote moves no cursor.
    fn line(&self, name: &str, text: &str) {
        match self.color {
            true => print_data(&format!("{name} {}\n", shown_line(text))),
            false if std::io::stdout().is_terminal() => print_data(&format!("{name} {}\n", shown_line(text))),
            false => print_data(&format!("{name} {text}\n")),
        }
    }
}
