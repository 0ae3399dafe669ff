//! `report`: one HTML file about the last run: its time, its steps with their reasons and output, tests, layers, and the
//! runs before it.

use std::path::{Path, PathBuf};

use rondel_cas::{is_written_through, write_named};
use rondel_diff::read_layout;
use rondel_report::{Image, Layer, Records, Step, page, read_runs};
use serde_json::{Value, json};

use crate::cli::option::{option, options};
use crate::cli::verb::{Call, Verb};
use crate::exit::{Exit, Failure};
use crate::program;
use crate::session::Session;
use crate::ui::{print_data, print_line, without_control_sequences};

/// Where the page is written, below `.rondel`.
const PAGE: &str = "report.html";

options! {
    /// Options of `report`.
    struct Options {
        /// write the page to this file, `-` for standard output (default: .rondel/report.html)
        output: Option<String> = option("output").short('o').value("PATH"),
    }
}

/// Writes the page, and prints its path.
pub(crate) struct Report;

impl Verb for Report {
    const NAME: &'static str = "report";
    const ABOUT: &'static str = "an HTML page of the last run: time, causes, output, tests, layers, earlier runs";
    const EXAMPLE: &'static str = "report";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let session = session?;
        let state = session.root.join(".rondel");
        let Records { runs, broken } = read_runs(&state);
        for (path, error) in broken {
            let path = path.strip_prefix(&session.root).unwrap_or(&path).display();
            let text = format!("warning: the record `{path}` is left out: {error}");
            print_line(&without_control_sequences(&text));
        }
        if runs.is_empty() {
            let hint = format!("build a target first: `{} TARGET` records what it does", program::name());
            return Err(Failure::usage("no run is recorded in this workspace").hint(hint));
        }
        let layers = |step: &Step| layers_of(&session.root, step);
        let page = page(&runs, &layers, program::name(), crate::VERSION)
            .map_err(|error| Failure::Other(anyhow::anyhow!("the page could not be made: {error}")))?;
        if call.options.output.as_deref() == Some("-") {
            print_data(&page);
            return Ok(Exit::Done);
        }
        let path = match &call.options.output {
            Some(path) => call.context.directory.join(path),
            None => state.join(PAGE),
        };
        write(&state, &path, &page)?;
        if is_written_through(&path) {
            // It may lead to standard output, where the page ends.
            return Ok(Exit::Done);
        }
        let shown = path.strip_prefix(&call.context.directory).unwrap_or(&path);
        print_data(&format!("{}\n", shown.display()));
        Ok(Exit::Done)
    }
}

fn write(state: &Path, path: &Path, page: &str) -> Result<(), Failure> {
    let failed = |error| Failure::environment(format!("failed to write `{}`: {error}", path.display()));
    if is_written_through(path) {
        return write_named(state, path, page.as_bytes()).map_err(failed);
    }
    // A rename needs the same file system, which only the page's own directory is for sure.
    let beside = if path.starts_with(state) { state.join("tmp") } else { path.parent().unwrap_or(state).to_owned() };
    let known = beside.parent().is_some_and(Path::is_dir);
    let written = if known { write_named(&beside, path, page.as_bytes()) } else { Err(not_there(&beside)) };
    written.map_err(failed)
}

fn not_there(directory: &Path) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::NotFound, format!("`{}` is no directory", directory.display()))
}

/// Returns the images of the layout that a step made, if it is still the same.
fn layers_of(root: &Path, step: &Step) -> Result<Vec<Image>, String> {
    let Some(layout) = &step.layout else { return Ok(Vec::new()) };
    let place: PathBuf = root.join(layout);
    let (digest, images) = read_layout(&place).map_err(|error| format!("`{layout}` can't be read now: {error}"))?;
    if step.facts.get("digest").is_some_and(|then| *then != digest) {
        return Err(format!("`{layout}` holds another image by now"));
    }
    let image = |image: &rondel_diff::LayoutImage| {
        // A base has steps in its history that made no layer.
        let history = image.config["history"].as_array().into_iter().flatten();
        let history: Vec<&Value> = history.filter(|entry| entry["empty_layer"] != json!(true)).collect();
        let layers = image.layers.iter().enumerate().map(|(index, (digest, size, _))| {
            let entry = history.get(index).copied().unwrap_or(&Value::Null);
            let what = entry["comment"].as_str().or(entry["created_by"].as_str()).unwrap_or_default();
            Layer { what: what.to_owned(), digest: digest.clone(), size: *size }
        });
        Image { platform: image.platform.clone(), layers: layers.collect() }
    };
    Ok(images.iter().map(image).collect())
}
