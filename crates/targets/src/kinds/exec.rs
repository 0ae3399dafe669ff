//! `Exec` and `Shell`: any command, in the source tree, with declared inputs and outputs. Their analysis; `step` runs them.

use std::collections::BTreeMap;
use std::path::Path;

use rondel_buildfile::{CommandFields, Exec, InputSource, Sandbox, Target, Text, TextSource};
use rondel_cas::RelativePath;
use rondel_engine::{EnvironmentValue, NodeId, OutputKind, OutputRole, OutputUse, Shown, StepKey, UserError};
use rondel_process::find_tool;

use crate::analyzer::{Analyze, Analyzed, Analyzer, output_path, path};
use crate::closed::{Closed, searched_directories};
use crate::late_texts::{LateSources, LateTexts};
use crate::nodes::{Deps, TargetNodes};
use crate::tool_fields::{DeclaredTools, declared_tools, own_go};

mod service;
mod step;

pub(crate) use service::ServicePlan;
use step::{ExecStep, missing_hint};

impl Analyze for Exec {
    fn analyze(&self, analyzer: &mut Analyzer<'_>, target: &Target, deps: Deps, wanted: bool) -> Analyzed<TargetNodes> {
        let arguments = analyzer.arguments(wanted);
        let words: Vec<&Text> = self.command.iter().map(|word| &**word).collect();
        command(analyzer, target, Words::Command(&words), &self.fields, deps, (arguments, wanted), None)
    }
}

/// Words of a command that are tools, and the upstream step of each.
type ToolPlaces = Vec<(usize, usize)>;

/// The words before a script.
const SHELL: [&str; 3] = ["sh", "-eu", "-c"];

/// Variables of the caller that tell an interactive command about the terminal.
const OF_TERMINAL: [&str; 4] = ["COLORTERM", "TERM", "TERMINFO", "TERMINFO_DIRS"];

/// The command or script.
#[derive(Clone, Copy)]
pub(crate) enum Words<'a> {
    /// A program and its arguments.
    Command(&'a [&'a Text]),
    /// A script, which the shell reads.
    Script(&'a Text),
}

impl Words<'_> {
    /// Returns the texts of build.ron.
    fn texts(&self) -> &[&Text] {
        match self {
            Words::Command(words) => words,
            Words::Script(script) => std::slice::from_ref(script),
        }
    }

    fn is_script(&self) -> bool {
        matches!(self, Words::Script(_))
    }
}

/// Returns the step of a command or script; `arguments` are those after `--`. With a `service` it is a program that goes on.
pub(crate) fn command(
    analyzer: &mut Analyzer<'_>,
    target: &Target,
    words: Words<'_>,
    fields: &CommandFields,
    deps: Deps,
    (arguments, wanted): (Vec<String>, bool),
    service: Option<ServicePlan>,
) -> Analyzed<TargetNodes> {
    let sources = fields.inputs.as_deref();
    let (tools, mut inputs) = tools_among(analyzer, words, fields)?;
    let is_service = service.is_some();
    let starts_go = !words.is_script() && words.texts()[0].as_literal() == Some("go");
    let programs = declared_tools(analyzer, fields, &mut inputs)?;
    let go = if starts_go || !tools.is_empty() || !programs.built.is_empty() || programs.has_go {
        let go = analyzer.go_in(fields.module.as_ref())?;
        let platform = go.own_platform()?;
        Some((go, platform))
    } else {
        None
    };
    let own_go = if go.is_none() { own_go(analyzer, fields, words.texts()) } else { None };
    let request = analyzer.request;
    let search_path = request.environment.get("PATH").cloned().unwrap_or_default();
    let directory =
        fields.dir.as_ref().map_or_else(|| analyzer.root.clone(), |directory| analyzer.root.join(&directory.value));
    let outputs_used = analyzer.output_uses(sources, words.texts(), &fields.env, &mut inputs)?;
    let variables = fields.env.iter().map(|(_, text)| &**text);
    let late_sources = analyzer.late_sources(words.texts().iter().copied().chain(variables), &mut inputs)?;
    let declared = match sources {
        Some(sources) => Some(analyzer.declared_inputs(target, Some(sources))?),
        None => None,
    };
    let outputs = outputs_of(analyzer, target)?;
    let downloads = if go.is_some() { analyzer.downloads(fields.module.as_ref(), &deps)? } else { deps.on_miss };
    let step = analyzer.step(&|| {
        let (mut command, late) = command_words(analyzer, words, fields, &late_sources)?;
        command.extend(arguments.iter().cloned());
        // A program by name must exist before anything runs; a path may be the output of another step.
        let is_tool = tools.iter().any(|(position, _)| *position == 0)
            || outputs_used.iter().any(|output| output.role == OutputRole::Argument(0));
        if !starts_go && !is_tool && !command[0].contains('/') {
            find_tool(&command[0], &search_path, &directory).map_err(|error| {
                let hint = missing_hint(&error, &command[0]);
                UserError::environment(error.to_string()).at(target.name.span).hint(hint)
            })?;
        }
        let is_closed = fields.inputs.is_some() && arguments.is_empty() && service.is_none();
        let closed = is_closed.then(|| closed(analyzer, target, fields, &programs, &directory));
        Ok(Box::new(ExecStep {
            root: analyzer.root.clone(),
            directory: directory.clone(),
            directory_key: fields.dir.as_ref().map_or_else(|| ".".to_owned(), |path| path.value.clone()),
            command,
            inputs: declared.clone(),
            outputs_used: outputs_used.clone(),
            late,
            outputs: outputs.clone(),
            env: environment_of(analyzer, fields)?,
            passed: passed_variables(fields, request.environment),
            path: search_path.clone(),
            home: request.environment.get("HOME").cloned(),
            tools: tools.clone(),
            go: go.clone(),
            own_go: own_go.clone(),
            closed,
            has_arguments: !arguments.is_empty(),
            secret_is_not_keyed: fields.secret_is_not_keyed,
            is_captured: fields.capture,
            is_interactive: fields.interactive.value,
            service: service.clone(),
        }))
    })?;
    let deps = Deps { order_only: deps.order_only, on_miss: downloads };
    let key = StepKey::main(&target.name.value);
    let is_kept = is_service && analyzer.request.kept.is_some();
    Ok(TargetNodes::end(analyzer.add(target, key, deps, inputs, shown(fields, wanted, is_kept), step)))
}

/// Returns the variables of a command whose values are known now.
fn environment_of(analyzer: &Analyzer<'_>, fields: &CommandFields) -> Analyzed<Vec<(String, EnvironmentValue)>> {
    let own = analyzer.variables.known_environment(&fields.env)?;
    analyzer.variables.of_process(&fields.env_file, own)
}

/// Returns the words that are tools, with the place of each among the steps that build them, and these steps.
fn tools_among(
    analyzer: &mut Analyzer<'_>,
    words: Words<'_>,
    fields: &CommandFields,
) -> Analyzed<(ToolPlaces, Vec<NodeId>)> {
    let (mut tools, mut inputs) = (ToolPlaces::new(), Vec::new());
    for (position, word) in words.texts().iter().enumerate() {
        if let TextSource::Tool { name, tags } = &word.source {
            tools.push((position, inputs.len()));
            inputs.push(analyzer.tool(fields.module.as_ref(), name, tags).map_err(|error| error.at(word.span))?);
        }
    }
    Ok((tools, inputs))
}

/// Returns how much of the step is shown. Who keeps a service shows its lines, also those after the step.
fn shown(fields: &CommandFields, wanted: bool, is_kept: bool) -> Shown {
    match (fields.interactive.value, fields.capture && wanted) {
        (false, _) if is_kept => Shown::OnFailure,
        (true, _) => Shown::Foreground,
        (false, true) => Shown::Answer,
        (false, false) => Shown::Streamed,
    }
}

/// Returns the variables that are passed from the caller.
fn passed_variables(fields: &CommandFields, caller: &BTreeMap<String, String>) -> Vec<(String, Option<String>)> {
    let mut names: Vec<&str> = fields.pass_env.iter().map(|name| name.value.as_str()).collect();
    if fields.interactive.value {
        names.extend(OF_TERMINAL);
    }
    names.into_iter().map(|name| (name.to_owned(), caller.get(name).cloned())).collect()
}

/// Returns path below the project, path below the workspace, and kind of each output.
fn outputs_of(analyzer: &Analyzer<'_>, target: &Target) -> Analyzed<Vec<(RelativePath, RelativePath, OutputKind)>> {
    let mut outputs = Vec::new();
    for output in analyzer.request.file.outputs_of(target) {
        let Some(written) = output.written else { continue };
        let kind = if output.is_directory { OutputKind::Directory } else { OutputKind::File };
        outputs.push((output_path(written)?, path(&output.path)?, kind));
    }
    Ok(outputs)
}

/// Returns the surroundings of a step with a key.
fn closed(
    analyzer: &Analyzer<'_>,
    target: &Target,
    fields: &CommandFields,
    declared: &DeclaredTools,
    directory: &Path,
) -> Closed {
    let globs = fields.inputs.iter().flatten().filter_map(|source| match source {
        InputSource::Glob(glob) => Some(glob.value.as_str()),
        InputSource::Output(_) => None,
    });
    Closed {
        key: StepKey::main(&target.name.value),
        tools: declared.named.clone(),
        built: declared.built.clone(),
        is_checked: fields.sandbox == Sandbox::On,
        network: fields.network,
        listable: searched_directories(globs).iter().map(|place| analyzer.root.join(place)).collect(),
        search_path: analyzer.request.environment.get("PATH").cloned().unwrap_or_default(),
        root: analyzer.root.clone(),
        directory: directory.to_owned(),
        generates: false,
    }
}

/// Returns the words of a command, and what is missing in it yet. A tool is a placeholder, `{tool:NAME}`, and so are an
/// output and a text that is known later.
fn command_words(
    analyzer: &Analyzer<'_>,
    words: Words<'_>,
    fields: &CommandFields,
    sources: &LateSources,
) -> Analyzed<(Vec<String>, LateTexts)> {
    let word = |text: &&Text| match &text.source {
        TextSource::Tool { name, .. } => Ok(format!("{{tool:{name}}}")),
        TextSource::Output(_) => Ok(OutputUse::PLACEHOLDER.to_owned()),
        TextSource::Template(_) if analyzer.variables.is_late_text(text) => Ok(LateTexts::PLACEHOLDER.to_owned()),
        TextSource::Template(_)
        | TextSource::Environment { .. }
        | TextSource::Git { .. }
        | TextSource::File { .. }
        | TextSource::Match { .. }
        | TextSource::Secret { .. } => analyzer.variables.text(text).map_err(|error| error.at(text.span)),
    };
    let command: Vec<String> = words.texts().iter().map(word).collect::<Analyzed<_>>()?;
    let late = LateTexts::new(words.texts(), &fields.env, &analyzer.variables, sources)?;
    if words.is_script() {
        // A script has no late words.
        return Ok(([SHELL.map(str::to_owned).to_vec(), command].concat(), late));
    }
    Ok((command, late.without_program()?))
}
