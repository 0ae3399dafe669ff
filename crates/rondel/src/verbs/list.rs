//! `list`, also without a verb: every target with its description, under headings, then the verbs.

mod status;
mod table;

use rondel_buildfile::{Group, HostPlatforms, Param, Platform, Target};
use serde_json::{Value, json};

use crate::asked::usage;
use crate::cli::option::{choice, option, options};
use crate::cli::verb::{Call, Verb};
use crate::exit::{Exit, Failure};
use crate::program;
use crate::session::Session;
use crate::ui::{data_colors, data_width, print_data};
use crate::verbs::VERBS;
use status::{Status, statuses};
use table::{Row, Table};

choice! {
    /// `--format`
    enum Format { Text = "text", Json = "json", Names = "names" }
}

options! {
    /// Options of `list`.
    struct Options {
        /// print the list as
        format: Format = option("format").value("FORMAT"),
        /// say which targets are up to date; starts nothing and asks no registry
        status: bool = option("status"),
    }
}

/// Prints the list.
pub(crate) struct List;

impl Verb for List {
    const NAME: &'static str = "list";
    const ABOUT: &'static str = "every target with its description";
    const EXAMPLE: &'static str = "list --status";
    const DETAILS: &'static str = "\
`--status` asks as `plan` does, for every target with the defaults of its parameters. Nothing is started.
  up to date   nothing would run
  stored       its result is in the cache and would be put in its place
  out of date  a step would run; `{this program} plan TARGET` says why
  runs always  a step of it has no key: it declares no inputs, for example
  unknown      it can't be known now; `{this program} plan TARGET` says why";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        let session = session?;
        let targets: Vec<&Target> = session.file.targets.iter().filter(|target| !target.common.private).collect();
        let is_shown = call.options.status && call.options.format != Format::Names;
        let statuses = if is_shown { Some(statuses(&session, &targets)) } else { None };
        let statuses = statuses.as_deref();
        print_data(&match call.options.format {
            Format::Text => {
                let table = Table { width: data_width(), has_color: data_colors(call.context, call.global.color) };
                as_text(&session.file.project.value, &targets, statuses, &table)
            }
            Format::Json => as_json(&session.file.project.value, &targets, statuses),
            Format::Names => targets.iter().map(|target| format!("{}\n", target.name.value)).collect(),
        });
        Ok(Exit::Done)
    }
}

/// Returns the headings in their order: those of kinds, those of build.ron in the order of the file, and "other".
fn headings<'t>(targets: &[&'t Target]) -> Vec<&'t str> {
    let last = Group::Other.title();
    let mut headings: Vec<&str> = Group::ALL.iter().map(|group| group.title()).filter(|title| *title != last).collect();
    for target in targets {
        if target.heading() != last && !headings.contains(&target.heading()) {
            headings.push(target.heading());
        }
    }
    headings.push(last);
    headings
}

fn as_text(project: &str, targets: &[&Target], statuses: Option<&[Status]>, table: &Table) -> String {
    let mut rows = Vec::new();
    for heading in headings(targets) {
        let members = targets.iter().enumerate().filter(|(_, target)| target.heading() == heading);
        let members: Vec<Row> = members
            .map(|(index, target)| Row {
                name: shown_name(target),
                status: statuses.map(|statuses| &statuses[index]),
                doc: described(target),
            })
            .collect();
        if !members.is_empty() {
            rows.push((heading.to_owned(), members));
        }
    }
    if statuses.is_some() {
        return format!("{project}\n{}", table.text(&rows));
    }
    let verbs =
        VERBS.visible().map(|entry| Row { name: entry.name.to_owned(), status: None, doc: entry.about.to_owned() });
    rows.push((format!("verbs (`{} --help` has the options)", program::name()), verbs.collect()));
    format!("{project}\n{}", table.text(&rows))
}

/// Returns the name with aliases and parameters: `test (t) [run=]`.
fn shown_name(target: &Target) -> String {
    let aliases: Vec<&str> = target.common.aliases.iter().map(|alias| alias.value.as_str()).collect();
    let aliases = if aliases.is_empty() { String::new() } else { format!(" ({})", aliases.join(", ")) };
    let name = target.name.value.as_str();
    let params = usage(target);
    format!("{name}{aliases}{}", params.strip_prefix(name).unwrap_or_default())
}

fn as_json(project: &str, targets: &[&Target], statuses: Option<&[Status]>) -> String {
    let param = |name: &str, param: &Param| {
        let allowed: Vec<&str> = param.allowed().collect();
        json!({"name": name, "doc": param.doc, "default": param.default_value(), "one_of": allowed})
    };
    let one = |(index, target): (usize, &&Target)| {
        let params: Vec<Value> = target.common.params.iter().map(|(name, value)| param(&name.value, value)).collect();
        let aliases: Vec<&str> = target.common.aliases.iter().map(|alias| alias.value.as_str()).collect();
        let hosts: Vec<&str> = target.common.platforms_of_host.iter().flat_map(HostPlatforms::words).collect();
        let mut value = json!({
            "target": target.name.value.as_str(), "kind": target.kind.word(), "group": target.heading(),
            "doc": target.common.doc, "aliases": aliases, "params": params, "platforms_of_host": hosts,
        });
        if let Some(status) = statuses.map(|statuses| &statuses[index]) {
            value["status"] = json!(status.key());
            value["why"] = json!(status.why());
        }
        value
    };
    let targets: Vec<Value> = targets.iter().enumerate().map(one).collect();
    format!("{}\n", json!({"project": project, "targets": targets}))
}

/// Returns the `doc` of a target, else its kind's summary, and whether it is for other machines.
pub(super) fn described(target: &Target) -> String {
    let doc = target.common.doc.clone().unwrap_or_else(|| target.kind().summary());
    let host = Platform::host();
    if target.runs_on(&host) { doc } else { format!("{doc} (not on {host})") }
}
