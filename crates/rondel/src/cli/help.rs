//! Help of the whole program and of one verb, both made from the declarations.

use rondel_buildfile::Target;

use crate::asked::{parameter_lines, usage};
use crate::cli::groups::{AnalysisOptions, BuildOptions, GlobalOptions};
use crate::cli::option::{OptionSet, OptionSpec, listed};
use crate::cli::verb::{Entry, Verbs};
use crate::program;

const EXIT_CODES: &str = "\
exit codes: 0 done; 1 a step failed; 2 the command line or build.ron is wrong;
            3 this machine lacks something (Docker, network); 4 `verify` found a
            difference; 130 interrupted
";

/// `--help`
pub(crate) fn program_help(verbs: &Verbs) -> String {
    let program = program::name();
    let mut text = format!("usage: {program} [OPTIONS] TARGET… [-- ARGS]\n       {program} [OPTIONS] VERB …\n");
    text.push_str(&options("options", &GlobalOptions::specs()));
    let building: Vec<OptionSpec> = AnalysisOptions::specs().into_iter().chain(BuildOptions::specs()).collect();
    text.push_str(&options("building options", &building));
    text.push_str(&format!(
        "\nverbs (a target of the same name wins; `:verb` always means the verb;\n       `{program} VERB --help` has the \
         options of each):\n"
    ));
    for entry in verbs.visible() {
        text.push_str(&format!("  {:<12} {}\n", entry.name, entry.about));
    }
    text.push_str(&format!("\n{EXIT_CODES}"));
    text
}

/// `TARGET --help`: its usage, before the help of the program.
pub(crate) fn target_help(target: &Target) -> String {
    let doc = target.common.doc.clone().unwrap_or_else(|| target.kind().summary());
    let mut text = format!("usage: {} {}\n\n{doc}\n", program::name(), usage(target));
    let aliases: Vec<&str> = target.common.aliases.iter().map(|alias| alias.value.as_str()).collect();
    if !aliases.is_empty() {
        text.push_str(&format!("\nalso called: {}\n", aliases.join(", ")));
    }
    let lines = parameter_lines(target);
    if !lines.is_empty() {
        text.push_str("\nparameters:\n");
        lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    text + "\n"
}

/// `VERB --help`; `name` is the typed form: `cache gc`.
pub(crate) fn verb_help(name: &str, entry: &Entry) -> String {
    let program = program::name();
    let mut text = String::new();
    let forms: Vec<String> = if entry.subverbs.is_empty() {
        entry.arguments.forms.iter().map(|form| (*form).to_owned()).collect()
    } else {
        entry.subverbs.iter().map(|sub| format!("{} {}", sub.name, sub.arguments.forms[0])).collect()
    };
    let rest = if entry.takes_rest { " [-- ARGS]" } else { "" };
    for (index, form) in forms.iter().enumerate() {
        let word = if index == 0 { "usage:" } else { "" };
        let line = if entry.subverbs.is_empty() {
            format!("{word:<6} {program} {name} [OPTIONS] {form}")
        } else {
            format!("{word:<6} {program} {name} {form}")
        };
        text.push_str(&format!("{}{rest}\n", line.trim_end()));
    }
    text.push_str(&format!("\n{}\n", entry.about));
    if !entry.arguments.docs.is_empty() {
        text.push_str("\narguments:\n");
        for (argument, doc) in entry.arguments.docs {
            text.push_str(&format!("  {argument:<20} {doc}\n"));
        }
    }
    if !entry.subverbs.is_empty() {
        text.push_str("\nverbs:\n");
        for sub in entry.subverbs {
            text.push_str(&format!("  {:<20} {}\n", sub.name, sub.about));
        }
    }
    for sub in entry.subverbs {
        text.push_str(&options(&format!("options of `{name} {}`", sub.name), &(sub.specs)()));
    }
    text.push_str(&options("options", &(entry.specs)()));
    text.push_str(&options("global options", &GlobalOptions::specs()));
    if !entry.details.is_empty() {
        text.push_str(&format!("\n{}\n", program::with_program(entry.details)));
    }
    text.push_str(&format!("\nexample:\n  {program} {}\n", entry.example));
    text
}

/// Returns a title and one line an option; nothing if there are none.
fn options(title: &str, specs: &[OptionSpec]) -> String {
    let mut text = if specs.is_empty() { String::new() } else { format!("\n{title}:\n") };
    for spec in specs {
        let short = spec.short.map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
        let value = spec.value.map(|value| format!(" {value}")).unwrap_or_default();
        let long = format!("--{}{value}", spec.long);
        text.push_str(&format!("  {short}{long:<20} {}\n", described(spec)));
    }
    text
}

/// Returns the doc text, with the allowed values of a choice.
pub(crate) fn described(spec: &OptionSpec) -> String {
    match spec.allowed {
        [] | [_] => spec.doc.trim().to_owned(),
        several => format!("{}: {}", spec.doc.trim(), listed(several, "or")),
    }
}
