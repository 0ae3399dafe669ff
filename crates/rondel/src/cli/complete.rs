//! Completion: the words that may stand where the cursor is, from the declarations. The scripts of `completions` ask for
//! them, so all shells complete the same.

use crate::cli::all_specs;
use crate::cli::groups::GlobalOptions;
use crate::cli::help::described;
use crate::cli::option::{OptionSet, OptionSpec};
use crate::cli::verb::{Entry, Holds, Verbs};

/// Names of files may stand here too: a line of its own, which no candidate can be.
pub(crate) const FILES: &str = ":files";

/// A target as far as completion cares.
#[derive(Clone, Debug, Default)]
pub(crate) struct TargetLine {
    pub name: String,
    pub doc: String,
    pub aliases: Vec<String>,
    pub params: Vec<ParamLine>,
}

/// A parameter of a target.
#[derive(Clone, Debug, Default)]
pub(crate) struct ParamLine {
    pub name: String,
    pub doc: String,
    /// The allowed values, else the default; none if neither is known.
    pub values: Vec<String>,
}

impl TargetLine {
    fn is_called(&self, word: &str) -> bool {
        self.name == word || self.aliases.iter().any(|alias| alias == word)
    }
}

/// The lines `candidate<TAB>description` for the last of `words`, which may be empty. `words` do not hold the program.
pub(crate) fn candidates(verbs: &'static Verbs, words: &[String], targets: &[TargetLine]) -> Vec<String> {
    let words = joined(words);
    let Some((current, before)) = words.split_last() else { return Vec::new() };
    if before.iter().any(|word| word == "--") {
        return vec![FILES.to_owned()];
    }
    let specs = all_specs(verbs);
    let (typed, open) = plain_words(before, &specs);
    let place = Place::of(verbs, &typed, targets);
    if let Some(spec) = open {
        return values(&place, &spec, "", current);
    }
    if let Some((option, value)) = current.split_once('=')
        && let Some(spec) = option.strip_prefix("--").and_then(|long| specs.iter().find(|spec| spec.long == long))
    {
        return values(&place, spec, &format!("{option}="), value);
    }
    if let Some((name, value)) = current.split_once('=').filter(|_| !current.starts_with('-')) {
        return place.parameter_values(name, value);
    }
    let mut found: Vec<(String, String)> = Vec::new();
    let mut files = false;
    if current.starts_with('-') {
        let specs = match place.entry {
            Some(entry) => (entry.specs)().into_iter().chain(GlobalOptions::specs()).collect(),
            None => specs,
        };
        found.extend(specs.iter().map(|spec| (format!("--{}", spec.long), described(spec))));
    } else {
        place.words(targets, current, &mut found, &mut files);
    }
    let mut lines = lines(found, current);
    if files {
        lines.push(FILES.to_owned());
    }
    lines
}

/// The verb that was typed so far, or builds; nothing if neither was.
struct Place<'t> {
    verbs: &'static Verbs,
    entry: Option<&'static Entry>,
    /// Words after it.
    given: usize,
    /// The targets among the words.
    named: Vec<&'t TargetLine>,
    /// Names of the parameters that have a value.
    valued: Vec<&'t str>,
}

impl<'t> Place<'t> {
    fn of(verbs: &'static Verbs, typed: &[&'t str], targets: &'t [TargetLine]) -> Place<'t> {
        let (entry, given) = Place::entry_of(verbs, typed, targets);
        let named = typed.iter().filter_map(|word| targets.iter().find(|target| target.is_called(word))).collect();
        let valued = typed.iter().filter_map(|word| word.split_once('=')).map(|(name, _)| name).collect();
        Place { verbs, entry, given, named, valued }
    }

    fn entry_of(verbs: &'static Verbs, typed: &[&str], targets: &[TargetLine]) -> (Option<&'static Entry>, usize) {
        let Some((first, rest)) = typed.split_first() else { return (None, 0) };
        let is_target = targets.iter().any(|target| target.is_called(first));
        let verb = verbs.find(first.strip_prefix(':').unwrap_or(first));
        match verb {
            Some(entry) if !is_target => {
                let sub = rest.first().and_then(|word| entry.subverbs.iter().find(|sub| sub.name == *word));
                match sub {
                    Some(sub) => (Some(sub), rest.len() - 1),
                    None => (Some(entry), rest.len()),
                }
            }
            _ => (Some(&verbs.build), typed.len()),
        }
    }

    /// Adds the words that may stand here. Aliases are for typed beginnings only, where they save typing.
    fn words(&self, targets: &[TargetLine], current: &str, found: &mut Vec<(String, String)>, files: &mut bool) {
        let targets_and_aliases = || {
            let aliases = |target: &TargetLine| {
                let line = |alias: &String| (alias.clone(), format!("{}: {}", target.name, target.doc));
                target.aliases.iter().filter(|_| !current.is_empty()).map(line).collect::<Vec<_>>()
            };
            let of = |target: &TargetLine| [vec![(target.name.clone(), target.doc.clone())], aliases(target)].concat();
            targets.iter().flat_map(of).collect::<Vec<_>>()
        };
        let Some(entry) = self.entry else {
            found.extend(targets_and_aliases());
            let verbs = self.verbs.visible();
            let hidden_by_target = |name: &str| targets.iter().any(|target| target.is_called(name));
            let verbs = verbs.filter(|entry| !hidden_by_target(entry.name));
            found.extend(verbs.map(|entry| (entry.name.to_owned(), entry.about.to_owned())));
            return;
        };
        if self.given == 0 {
            found.extend(entry.subverbs.iter().map(|sub| (sub.name.to_owned(), sub.about.to_owned())));
        }
        if self.given >= entry.arguments.most {
            return;
        }
        match entry.arguments.holds {
            Holds::Nothing => {}
            Holds::Words(words) => found.extend(words.iter().map(|word| ((*word).to_owned(), String::new()))),
            Holds::Targets => {
                found.extend(self.parameters());
                found.extend(targets_and_aliases());
            }
            Holds::TargetsOrPaths => {
                found.extend(self.parameters());
                found.extend(targets_and_aliases());
                *files = true;
            }
        }
    }
}

impl Place<'_> {
    /// Returns the parameters of the named targets that have no value yet, with their sign.
    fn parameters(&self) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for param in self.named.iter().flat_map(|target| &target.params) {
            let word = format!("{}=", param.name);
            if !self.valued.contains(&param.name.as_str()) && found.iter().all(|(other, _)| *other != word) {
                found.push((word, param.doc.clone()));
            }
        }
        found
    }

    /// Returns the values of a parameter of the named targets, each after `name=`.
    fn parameter_values(&self, name: &str, current: &str) -> Vec<String> {
        let params = self.named.iter().flat_map(|target| &target.params).filter(|param| param.name == name);
        let values: std::collections::BTreeSet<&String> = params.flat_map(|param| &param.values).collect();
        let fitting = values.into_iter().filter(|value| value.starts_with(current));
        fitting.map(|value| format!("{name}={value}\t")).collect()
    }
}

/// Bash takes `--color=al` and `env=dev` apart at their `=`; this puts them together again.
fn joined(words: &[String]) -> Vec<String> {
    let mut result: Vec<String> = Vec::new();
    let mut after_sign = false;
    for word in words {
        match result.last_mut() {
            Some(last) if word == "=" || after_sign => last.push_str(word),
            _ => result.push(word.clone()),
        }
        after_sign = word == "=";
    }
    result
}

/// The words that are no options, and the option whose value comes next.
fn plain_words<'w>(before: &'w [String], specs: &[OptionSpec]) -> (Vec<&'w str>, Option<OptionSpec>) {
    let mut words = Vec::new();
    let mut open: Option<OptionSpec> = None;
    for word in before {
        if open.take().is_some() {
            continue;
        }
        let is_named = |spec: &&OptionSpec| {
            word.strip_prefix("--") == Some(spec.long)
                || spec
                    .short
                    .is_some_and(|letter| word.strip_prefix('-').is_some_and(|rest| rest == letter.to_string()))
        };
        match specs.iter().find(is_named) {
            Some(spec) => open = spec.value.map(|_| *spec),
            None if word.starts_with('-') => {}
            None => words.push(word.as_str()),
        }
    }
    (words, open)
}

/// The values of an option, as the verb at hand has it.
fn values(place: &Place<'_>, spec: &OptionSpec, prefix: &str, current: &str) -> Vec<String> {
    let own = place.entry.and_then(|entry| entry.spec(spec.long)).unwrap_or(*spec);
    let found: Vec<(String, String)> = match own.value {
        Some("OS/ARCH") => rondel_buildfile::Platform::all().map(|platform| (platform, String::new())).collect(),
        Some("PATH" | "RECORD") => return vec![FILES.to_owned()],
        _ => own.allowed.iter().map(|word| ((*word).to_owned(), String::new())).collect(),
    };
    let found = found.into_iter().filter(|(word, _)| word.starts_with(current));
    found.map(|(word, _)| format!("{prefix}{word}\t")).collect()
}

fn lines(found: Vec<(String, String)>, current: &str) -> Vec<String> {
    let fitting = found.into_iter().filter(|(word, _)| word.starts_with(current));
    let line = |(word, doc): (String, String)| format!("{word}\t{}", doc.replace(|c: char| c.is_control(), " "));
    fitting.map(line).collect()
}
