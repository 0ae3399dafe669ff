//! The `tools` of build.ron, analyzed: which are found by name or path, which are built, which are the project's Go.

use std::sync::Arc;

use rondel_buildfile::{CommandFields, ModuleDirectory, Part, Text, TextSource};
use rondel_engine::{NodeId, OutputRole, UserError};
use rondel_golang::{GoSupport, GoVersion, ProgramSource};
use rondel_process::find_tool;

use crate::analyzer::{Analyzed, Analyzer};

/// The `tools` of a target.
pub(crate) struct DeclaredTools {
    /// Names and paths.
    pub(crate) named: Vec<String>,
    /// Upstream steps that build tools of the module.
    pub(crate) built: Vec<usize>,
    /// True if the project's Go is among them.
    pub(crate) has_go: bool,
}

/// Reads the `tools` of a target; adds the steps that build the module's own to `inputs`.
pub(crate) fn declared_tools(
    analyzer: &mut Analyzer<'_>,
    fields: &CommandFields,
    inputs: &mut Vec<NodeId>,
) -> Analyzed<DeclaredTools> {
    let mut declared = DeclaredTools { named: Vec::new(), built: Vec::new(), has_go: false };
    for word in &fields.tools {
        if let TextSource::Tool { name, tags } = &word.source {
            declared.built.push(inputs.len());
            inputs.push(analyzer.tool(fields.module.as_ref(), name, tags).map_err(|error| error.at(word.span))?);
            continue;
        }
        let name = analyzer.variables.text(word).map_err(|error| error.at(word.span))?;
        if name == "go" || name == "gofmt" {
            declared.has_go = true;
            continue;
        }
        if name.contains('/') && !name.starts_with('/') {
            let error = UserError::input(format!("the tool `{name}` is neither a name nor an absolute path"));
            return Err(error.at(word.span).hint("a program of the project is an input: add it to `inputs`"));
        }
        if !name.contains('/') {
            let path = analyzer.request.environment.get("PATH").map_or("", String::as_str);
            find_tool(&name, path, &analyzer.root).map_err(|error| {
                UserError::environment(error.to_string())
                    .at(word.span)
                    .hint(error.hint("install it, or correct `tools`"))
            })?;
        }
        declared.named.push(name);
    }
    Ok(declared)
}

/// Reads a field that is one program, `role` in its key; adds the steps that make it to `upstream`. A `Tool` without a
/// version is one of `module`.
pub(crate) fn program_source(
    analyzer: &mut Analyzer<'_>,
    module: Option<&ModuleDirectory>,
    word: &Text,
    role: &str,
    upstream: &mut Vec<NodeId>,
) -> Analyzed<ProgramSource> {
    match &word.source {
        TextSource::Tool { name, tags } => {
            upstream.push(analyzer.tool(module, name, tags).map_err(|error| error.at(word.span))?);
            Ok(ProgramSource::Built(upstream.len() - 1))
        }
        TextSource::Output(output) => {
            Ok(ProgramSource::Made(analyzer.output_use(output, OutputRole::Variable(role.to_owned()), upstream)?))
        }
        TextSource::Template(_)
        | TextSource::Environment { .. }
        | TextSource::Git { .. }
        | TextSource::File { .. }
        | TextSource::Match { .. }
        | TextSource::Secret { .. } => {
            let name = analyzer.variables.text(word).map_err(|error| error.at(word.span))?;
            let path = analyzer.request.environment.get("PATH").map_or("", String::as_str);
            find_tool(&name, path, &analyzer.root).map_err(|error| {
                UserError::environment(error.to_string())
                    .at(word.span)
                    .hint(error.hint("install it, or correct the field"))
            })?;
            Ok(ProgramSource::Found(name))
        }
    }
}

/// Returns the project's Go for the PATH of a command that declares nothing of it, and whether its text names it.
pub(crate) fn own_go(
    analyzer: &mut Analyzer<'_>,
    fields: &CommandFields,
    words: &[&Text],
) -> Option<(Arc<GoSupport>, bool)> {
    let is_word = |text: &str| {
        text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_' && character != '-')
            .any(|word| word == "go" || word == "gofmt")
    };
    let names_go = |text: &&Text| match &text.source {
        TextSource::Template(template) => template.parts.iter().any(|part| match part {
            Part::Literal(text) => is_word(text),
            Part::Variable(_) | Part::Image(_) => false,
        }),
        TextSource::Environment { .. }
        | TextSource::Git { .. }
        | TextSource::Tool { .. }
        | TextSource::Output(_)
        | TextSource::File { .. }
        | TextSource::Match { .. }
        | TextSource::Secret { .. } => false,
    };
    let go = if fields.module.is_some() { analyzer.go_in(fields.module.as_ref()) } else { analyzer.go() };
    let go = go.ok()?;
    // The installed Go is on the caller's PATH anyway.
    (go.version != GoVersion::System).then(|| (go, words.iter().any(names_go)))
}
