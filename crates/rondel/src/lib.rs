//! The command line of Rondel: its arguments, its output, its exit code.
//!
//! The only crate that prints, reads the process environment, or knows the current directory. Everything below takes
//! these as values and reports events.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "a test reads the files that it has made"))]

mod asked;
mod background_gc;
mod before_build;
mod build_diff;
mod bundle;
mod cli;
mod exit;
mod gate;
mod members;
mod needs;
mod perturbed_build;
mod program;
mod publication;
mod recorder;
mod relative;
mod runner;
mod second_build;
mod session;
mod signals;
mod tree_copy;
mod ui;
mod verbs;
#[cfg(target_os = "linux")]
mod vouch;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use crate::exit::Exit;

/// This Rondel's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs everything, from the arguments to the exit code.
pub fn main() -> ExitCode {
    install_panic_message();
    signals::survive_size_limits();
    if std::env::args_os().nth(1).is_some_and(|word| word == rondel_supervise::SUPERVISE) {
        return ExitCode::from(supervise().code());
    }
    signals::listen();
    rondel_process::become_subreaper();
    let exit = catch_unwind(AssertUnwindSafe(run)).unwrap_or(Exit::StepFailed);
    rondel_process::kill_orphans();
    ExitCode::from(exit.code())
}

/// Keeps a service in the background, as the Rondel that started this process says.
fn supervise() -> Exit {
    let cancellation = signals::stop_on_request();
    let (input, output) = (std::io::stdin().lock(), std::io::stdout());
    if rondel_supervise::supervise(input, output, &cancellation) { Exit::Done } else { Exit::StepFailed }
}

fn run() -> Exit {
    let context = session::ProcessContext::read();
    let mut color = context.wants_color_by_default();
    let outcome = cli::read(&verbs::VERBS, &context.arguments).and_then(|line| {
        let global = line.global()?;
        color = context.wants_color(global.color);
        if context.forbids_color(global.color) {
            ui::drop_colors();
        }
        verbs::dispatch(&context, &global, &line)
    });
    match outcome {
        Ok(Exit::Done) if ui::is_data_lost() => Exit::Environment,
        Ok(exit) => exit,
        Err(failure) => {
            ui::print_failure(&context, &failure, color);
            failure.exit()
        }
    }
}

/// Makes a broken invariant ask for a report instead of printing a backtrace.
fn install_panic_message() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let message =
            payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let place =
            info.location().map(|location| format!(" ({}:{})", location.file(), location.line())).unwrap_or_default();
        ui::print_error_line(&format!(
            "internal error: {}{place}\n\nhint: this is a bug in Rondel {VERSION}; please report it with the line above",
            message.unwrap_or("unknown")
        ));
    }));
}
