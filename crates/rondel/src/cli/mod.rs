//! The command line: first words and options, then the verb that takes them.
//!
//! Options may come before the verb, so they are read before the verb is known. Each has one arity, the same for all
//! verbs. The declarations in `verbs/` decide afterwards which verb has which options.

pub(crate) mod complete;
pub(crate) mod groups;
pub(crate) mod help;
pub(crate) mod option;
pub(crate) mod slips;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod text_tests;
pub(crate) mod verb;

use std::ffi::OsString;

use lexopt::prelude::*;
use rondel_buildfile::suggest;

use crate::cli::groups::GlobalOptions;
use crate::cli::option::{OptionSet, OptionSpec, listed};
use crate::cli::verb::{Entry, Holds, Verbs};
use crate::exit::Failure;
use crate::program;

/// The arguments, read but not yet given to a verb.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub words: Vec<String>,
    /// Long names with their values, in order.
    pub options: Vec<(&'static str, String)>,
    /// Words after `--`.
    pub rest: Vec<String>,
    pub has_rest: bool,
}

impl Line {
    /// Returns the options of the whole program.
    pub fn global(&self) -> Result<GlobalOptions, Failure> {
        let mut global = GlobalOptions::default();
        for (long, value) in &self.options {
            global.accept(long, value).unwrap_or(Ok(()))?;
        }
        Ok(global)
    }
}

/// Returns every option of the program and of each verb; one of several verbs, once.
pub(crate) fn all_specs(verbs: &'static Verbs) -> Vec<OptionSpec> {
    let mut all: Vec<OptionSpec> = GlobalOptions::specs();
    for (_, entry) in all_entries(verbs) {
        for spec in (entry.specs)() {
            if !all.iter().any(|other| other.long == spec.long) {
                all.push(spec);
            }
        }
    }
    all
}

/// Returns builds, every verb and every sub-verb, each with its display name.
pub(crate) fn all_entries(verbs: &'static Verbs) -> Vec<(String, &'static Entry)> {
    let mut all = vec![(verbs.build.name.to_owned(), &verbs.build)];
    for entry in verbs.list {
        all.push((entry.name.to_owned(), entry));
        all.extend(entry.subverbs.iter().map(|sub| (format!("{} {}", entry.name, sub.name), sub)));
    }
    all
}

/// Reads the arguments.
pub(crate) fn read(verbs: &'static Verbs, arguments: &[OsString]) -> Result<Line, Failure> {
    let mut line = Line::default();
    let split = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let (own, rest) = arguments.split_at(split);
    line.has_rest = !rest.is_empty();
    for argument in rest.iter().skip(1) {
        line.rest.push(text(argument.clone())?);
    }
    let specs = all_specs(verbs);
    let mut parser = lexopt::Parser::from_args(own.iter().cloned());
    while let Some(argument) = parser.next().map_err(usage)? {
        let (spec, written) = match argument {
            Value(word) => {
                line.words.push(text(word)?);
                continue;
            }
            Short(letter) => (specs.iter().find(|spec| spec.short == Some(letter)), format!("-{letter}")),
            Long(name) => (specs.iter().find(|spec| spec.long == name), format!("--{name}")),
        };
        let Some(spec) = spec else { return Err(unknown_option(&written, &specs)) };
        let value = match spec.value {
            Some(_) => text(parser.value().map_err(usage)?)?,
            None => String::new(),
        };
        line.options.push((spec.long, value));
    }
    Ok(line)
}

fn unknown_option(written: &str, specs: &[OptionSpec]) -> Failure {
    let failure = Failure::usage(format!("there is no option `{}`", written.escape_debug()));
    let program = program::name();
    if let Some(hint) = slips::option(written) {
        return failure.hint(hint);
    }
    match suggest(written.trim_start_matches('-'), specs.iter().map(|spec| spec.long)) {
        Some(near) => failure.hint(format!("did you mean `--{near}`? `{program} --help` lists all")),
        None => failure.hint(match slips::like_option(written) {
            Some(hint) => hint,
            None => format!("`{program} --help` lists all options"),
        }),
    }
}

/// Returns the options of the program, and those of one verb. [`check`] has found that there are no others.
pub(crate) fn split_options<O: OptionSet>(line: &Line) -> Result<(GlobalOptions, O), Failure> {
    let mut own = O::default();
    for (long, value) in &line.options {
        own.accept(long, value).unwrap_or(Ok(()))?;
    }
    Ok((line.global()?, own))
}

/// Returns an error if `entry`, with the display name `name`, does not take these options and words.
pub(crate) fn check(
    verbs: &'static Verbs,
    name: &str,
    entry: &Entry,
    line: &Line,
    words: &[String],
) -> Result<(), Failure> {
    let global = GlobalOptions::specs();
    for (long, _) in &line.options {
        if entry.spec(long).is_none() && !global.iter().any(|spec| spec.long == *long) {
            return Err(foreign_option(verbs, name, entry, long));
        }
    }
    let arguments = &entry.arguments;
    let example = || format!("for example `{} {}`", program::name(), entry.example);
    if words.len() < arguments.least {
        return Err(Failure::usage(format!("`{name}` needs {}", arguments.needed)).hint(example()));
    }
    if let Some(word) = words.get(arguments.most) {
        let many = match arguments.most {
            0 => "no arguments".to_owned(),
            1 => "one argument".to_owned(),
            most => format!("at most {most} arguments"),
        };
        return Err(Failure::usage(format!("`{name}` takes {many}, and got `{}`", word.escape_debug()))
            .hint(format!("`{} {name} --help` has its options", program::name())));
    }
    if let Holds::Words(allowed) = arguments.holds
        && let Some(word) = words.iter().find(|word| !allowed.contains(&word.as_str()))
    {
        return Err(option::not_allowed(&format!("`{name}`"), allowed, word));
    }
    if line.has_rest && !entry.takes_rest {
        return Err(Failure::usage(format!("`{name}` takes no arguments after `--`"))
            .hint(format!("targets take them: `{} TARGET -- ARGS`", program::name())));
    }
    Ok(())
}

/// Returns the error for an option of other verbs.
fn foreign_option(verbs: &'static Verbs, name: &str, entry: &Entry, long: &str) -> Failure {
    let owners: Vec<String> = all_entries(verbs)
        .into_iter()
        .filter(|(_, other)| !other.is_hidden && other.spec(long).is_some())
        .map(|(name, _)| if name == verbs.build.name { "builds".to_owned() } else { format!("`{name}`") })
        .collect();
    let has = if owners.len() == 1 && owners[0] != "builds" { "has" } else { "have" };
    let (subject, help) = match name == verbs.build.name {
        true => ("a build".to_owned(), "--help".to_owned()),
        false => (format!("`{name}`"), format!("{name} --help")),
    };
    let failure = Failure::usage(format!("{subject} has no option `--{long}`"));
    // What others have by the same name is another thing.
    if let Some(hint) = slips::option(&format!("--{long}")) {
        return failure.hint(hint);
    }
    let near = suggest(long, (entry.specs)().iter().map(|spec| spec.long)).map(str::to_owned);
    let near = near.map(|near| format!("did you mean `--{near}`? ")).unwrap_or_default();
    failure.hint(format!(
        "{near}{} {has} it; `{} {help}` has the options of {subject}",
        listed(&owners, "and"),
        program::name()
    ))
}

fn text(value: OsString) -> Result<String, Failure> {
    value.into_string().map_err(|value| Failure::usage(format!("`{}` is not valid UTF-8", value.to_string_lossy())))
}

fn usage(error: lexopt::Error) -> Failure {
    Failure::usage(error.to_string()).hint(format!("`{} --help` lists all options", program::name()))
}
