//! The top level of the file: everything but the targets' own fields.

use crate::fields::Reader;
use crate::kinds;
use crate::value::Value;
use crate::{BuildFile, Diagnostic, FORMAT, GoChoice, Platform, Spanned, Variable, VariableName, suggest};

/// Reads the whole file; `None` if it can't be read at all. Mistakes are added to `diagnostics`.
pub(crate) fn build_file(text: &str, version: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<BuildFile> {
    let mut reader = Reader { diagnostics };
    let whole = Value::whole(text);
    let mut fields = reader.fields("build.ron", whole.span(), Some(whole))?;
    let format = fields.take("format");
    let format = reader.required(format, "format", &fields)?;
    check_format(&mut reader, format)?;
    if let Some(requirement) = fields.take("rondel") {
        check_version(&mut reader, requirement, version)?;
    }
    let project = fields.take("project");
    let project = reader.required(project, "project", &fields);
    let project = project.and_then(|value| project_name(&mut reader, value));
    let root = fields.take("root").and_then(|value| reader.string(value, "a path"));
    let go = match fields.take("go") {
        Some(value) => go_choice(&mut reader, value),
        None => Some(Spanned { value: GoChoice::FromGoMod, span: whole.span() }),
    };
    let go_work = fields.take("go_work").and_then(|value| reader.string(value, "the path of a go.work"));
    let platforms = fields.take("platforms");
    let platforms = kinds::platforms(&mut reader, platforms).unwrap_or_default();
    let vars = fields.take("vars");
    let vars = variables(&mut reader, vars);
    let pools = fields.take("pools");
    let pools = pools_of(&mut reader, pools);
    let targets = fields.take("targets");
    let targets = reader.required(targets, "targets", &fields);
    let targets = targets.map(|value| targets_of(&mut reader, value)).unwrap_or_default();
    reader.finish(fields);
    Some(BuildFile { project: project?, root, go: go?, go_work, platforms, vars, pools, targets })
}

fn check_format(reader: &mut Reader<'_>, value: Value<'_>) -> Option<()> {
    let format: u64 = reader.kept(value.parse("a number"))?;
    if format == FORMAT {
        return Some(());
    }
    let message = format!("format {format} is not known; this Rondel reads format {FORMAT}");
    reader.report(Diagnostic::new(value.span(), message).hint("update Rondel, or write `format: 1`"));
    None
}

/// `rondel: ">=0.3"`
fn check_version(reader: &mut Reader<'_>, value: Value<'_>, version: &str) -> Option<()> {
    let requirement = reader.string(value, "a requirement like \">=0.3\"")?;
    let numbers = |text: &str| -> Option<Vec<u64>> {
        let parts: Result<Vec<u64>, _> = text.trim().split('.').map(str::parse).collect();
        parts.ok().filter(|parts| parts.len() <= 3).map(|mut parts| {
            parts.resize(3, 0);
            parts
        })
    };
    let wanted = requirement.value.trim().strip_prefix(">=").and_then(numbers);
    let Some(wanted) = wanted else {
        reader.report(value.unexpected("a requirement like \">=0.3\""));
        return None;
    };
    if numbers(version).is_some_and(|own| own >= wanted) {
        return Some(());
    }
    let message = format!("this file needs Rondel {}; this is {version}", requirement.value);
    reader.report(Diagnostic::new(requirement.span, message).hint("update Rondel"));
    None
}

fn project_name(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Spanned<String>> {
    let name = reader.string(value, "the project's name")?;
    let sound = name.value.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name.value.len() <= 63
        && name
            .value
            .chars()
            .all(|character| character.is_ascii_lowercase() || character.is_ascii_digit() || "-_".contains(character));
    if !sound {
        reader.report(Diagnostic::new(
            name.span,
            "a project's name is made of a-z, 0-9, `-` and `_`, a letter or digit first",
        ));
        return None;
    }
    Some(name)
}

fn go_choice(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Spanned<GoChoice>> {
    const EXPECTED: &str = "`Version(\"1.22.12\")`, `FromGoMod` or `System`";
    let span = value.span();
    let call = value.call();
    let choice = match call.as_ref().map(|call| (call.name, call.arguments)) {
        Some(("FromGoMod", None)) => GoChoice::FromGoMod,
        Some(("System", None)) => GoChoice::System,
        Some(("Version", Some(arguments))) => {
            let arguments = reader.kept(arguments.positional())?;
            let [version] = arguments.as_slice() else {
                reader.report(Diagnostic::new(span, "`Version` takes one string"));
                return None;
            };
            let version = reader.string(*version, "a Go version")?;
            if !is_go_version(&version.value) {
                let message = format!("`{}` is not a Go version", version.value.escape_debug());
                reader
                    .report(Diagnostic::new(version.span, message).hint("write it as Go does, without `go`: 1.22.12"));
                return None;
            }
            GoChoice::Version(version.value)
        }
        _ => {
            reader.report(value.unexpected(EXPECTED));
            return None;
        }
    };
    Some(Spanned { value: choice, span })
}

/// `1.22.12`, `1.21rc2`; nothing that could be a path or a flag.
fn is_go_version(text: &str) -> bool {
    let (numbers, rest) = match text.find(|character: char| character.is_ascii_alphabetic()) {
        Some(index) => text.split_at(index),
        None => (text, ""),
    };
    let parts: Vec<&str> = numbers.split('.').collect();
    let digits = |part: &str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    let prerelease = rest.strip_prefix("rc").or_else(|| rest.strip_prefix("beta"));
    (2..=3).contains(&parts.len())
        && parts.iter().all(|part| digits(part))
        && (rest.is_empty() || prerelease.is_some_and(digits))
}

fn variables(reader: &mut Reader<'_>, value: Option<Value<'_>>) -> std::collections::BTreeMap<VariableName, Variable> {
    let mut result = std::collections::BTreeMap::new();
    let Some(entries) = value.and_then(|value| reader.kept(value.map("a map of variables"))) else { return result };
    for entry in reader.without_duplicates(entries, "variable") {
        let name = match VariableName::new(&entry.name) {
            Ok(name) => name,
            Err(error) => {
                reader.report(Diagnostic::new(entry.name_span, error.to_string()));
                continue;
            }
        };
        // A broken value still declares its name, so that uses of it are not reported as well.
        let text = reader.text(entry.value).unwrap_or_else(|| kinds::empty_text(entry.value.span()));
        result.insert(name, Variable { text, span: entry.name_span });
    }
    result
}

/// `pools: {"database": 2}`
fn pools_of(reader: &mut Reader<'_>, value: Option<Value<'_>>) -> Vec<(Spanned<String>, usize)> {
    let Some(entries) = value.and_then(|value| reader.kept(value.map("a map of pools"))) else { return Vec::new() };
    let mut pools = Vec::new();
    for entry in reader.without_duplicates(entries, "pool") {
        match reader.kept(entry.value.parse::<usize>("how many steps may run at once")) {
            Some(depth @ 1..=1024) => pools.push((Spanned { value: entry.name, span: entry.name_span }, depth)),
            Some(_) => reader.report(Diagnostic::new(entry.value.span(), "expected between 1 and 1024 steps at once")),
            None => {}
        }
    }
    pools
}

fn targets_of(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<crate::Target> {
    let Some(entries) = reader.kept(value.map("a map of targets")) else { return Vec::new() };
    let entries = reader.without_duplicates(entries, "target");
    entries.into_iter().filter_map(|entry| kinds::target(reader, entry)).collect()
}

pub(crate) fn platform(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Spanned<Platform>> {
    let text = reader.string(value, "a platform like \"linux/amd64\"")?;
    match Platform::new(&text.value) {
        Ok(value) => Some(Spanned { value, span: text.span }),
        Err(error) => {
            let all: Vec<String> = Platform::all().collect();
            let mut diagnostic = Diagnostic::new(text.span, error.to_string());
            diagnostic.hint =
                suggest(&text.value, all.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
            reader.report(diagnostic);
            None
        }
    }
}
