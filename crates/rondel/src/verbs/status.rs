//! `status`: what targets have started and nobody has stopped. Starts and stops nothing.

use rondel_targets::{RunningPart, RunningTarget};
use serde_json::{Value, json};

use crate::cli::groups::TextOrJson;
use crate::cli::option::{option, options};
use crate::cli::verb::{Arguments, Call, Verb};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::{data_colors, print_data, without_control_sequences};
use crate::verbs::started;

options! {
    /// Options of `status`.
    struct Options {
        /// print it as
        format: TextOrJson = option("format").value("FORMAT"),
    }
}

/// Prints a line for each process, container and service.
pub(crate) struct Status;

impl Verb for Status {
    const NAME: &'static str = "status";
    const ABOUT: &'static str = "processes, containers and services that targets have started";
    const ARGUMENTS: Arguments = started::TARGETS;
    const EXAMPLE: &'static str = "status";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let session = session?;
        let targets = started::targets(&session, call.words)?;
        let known: Vec<(RunningTarget, Result<Vec<RunningPart>, String>)> = targets.into_iter().map(ask).collect();
        print_data(&match call.options.format {
            TextOrJson::Json => as_json(&known),
            TextOrJson::Text => as_text(&known, data_colors(call.context, call.global.color)),
        });
        Ok(Exit::Done)
    }
}

fn ask(target: RunningTarget) -> (RunningTarget, Result<Vec<RunningPart>, String>) {
    let parts = target.running.as_ref().map_err(ToString::to_string);
    let parts = parts.and_then(|running| running.parts().map_err(|error| error.to_string()));
    (target, parts)
}

type Known = [(RunningTarget, Result<Vec<RunningPart>, String>)];

/// Returns a line a part: name, state, time, addresses, what it is.
fn as_text(known: &Known, color: bool) -> String {
    let mut rows: Vec<[String; 5]> = Vec::new();
    let mut states = Vec::new();
    for (target, parts) in known {
        let name = target.name.to_string();
        let nothing =
            |state: &str| [name.clone(), state.to_owned(), String::new(), String::new(), target.kind.to_owned()];
        match parts {
            Err(why) => {
                states.push(None);
                rows.push(nothing(&format!("not known: {}", without_control_sequences(why))));
            }
            Ok(parts) if parts.is_empty() => {
                states.push(None);
                rows.push(nothing("not running"));
            }
            Ok(parts) => {
                for part in parts {
                    states.push(Some(part.is_running));
                    let name = part.part.as_ref().map_or_else(|| name.clone(), |part| format!("{name}/{part}"));
                    let cells =
                        [name, part.state.clone(), part.since.clone(), part.addresses.join(" "), part.what.clone()];
                    rows.push(cells.map(|cell| without_control_sequences(&cell)));
                }
            }
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for (row, state) in rows.iter().zip(states) {
        let cells = row.iter().zip(&widths).enumerate().filter(|(_, (_, width))| **width > 0);
        let cell = |(column, (cell, width)): (usize, (&String, &usize))| {
            let padded = format!("{cell:<width$}");
            match (color && column == 1, state) {
                (true, Some(true)) => format!("\x1b[32m{padded}\x1b[0m"),
                (true, Some(false)) => format!("\x1b[31m{padded}\x1b[0m"),
                (true, None) | (false, _) => padded,
            }
        };
        let line: Vec<String> = cells.map(cell).collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn as_json(known: &Known) -> String {
    let part = |part: &RunningPart| {
        json!({
            "part": part.part, "state": part.state, "running": part.is_running, "since": part.since,
            "addresses": part.addresses, "what": part.what,
        })
    };
    let one = |(target, parts): &(RunningTarget, Result<Vec<RunningPart>, String>)| {
        let name = target.name.as_str();
        match parts {
            Ok(parts) => json!({
                "target": name, "kind": target.kind, "parts": parts.iter().map(part).collect::<Vec<Value>>(),
            }),
            Err(why) => json!({"target": name, "kind": target.kind, "error": why}),
        }
    };
    format!("{}\n", json!({"targets": known.iter().map(one).collect::<Vec<Value>>()}))
}
