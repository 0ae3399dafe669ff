//! Completion: the words that may stand where the cursor is, from the declarations. The scripts of `completions` ask for
//! them, so all shells complete the same.

use crate::cli::all_specs;
use crate::cli::groups::GlobalOptions;
use crate::cli::help::described;
use crate::cli::option::{OptionSet, OptionSpec};
use crate::cli::verb::{Entry, Holds, Verbs};

/// Names of files may stand here too: a line of its own, which no candidate can be.
pub(crate) const FILES: &str = ":files";

/// A target as far as completion cares: name and doc.
pub(crate) type TargetLine = (String, String);

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
    let mut found: Vec<(String, String)> = Vec::new();
    let mut files = false;
    if current.starts_with('-') {
        let specs = match place.entry {
            Some(entry) => (entry.specs)().into_iter().chain(GlobalOptions::specs()).collect(),
            None => specs,
        };
        found.extend(specs.iter().map(|spec| (format!("--{}", spec.long), described(spec))));
    } else {
        place.words(targets, &mut found, &mut files);
    }
    let mut lines = lines(found, current);
    if files {
        lines.push(FILES.to_owned());
    }
    lines
}

/// The verb that was typed so far, or builds; nothing if neither was.
struct Place {
    verbs: &'static Verbs,
    entry: Option<&'static Entry>,
    /// Words after it.
    given: usize,
}

impl Place {
    fn of(verbs: &'static Verbs, typed: &[&str], targets: &[TargetLine]) -> Place {
        let Some((first, rest)) = typed.split_first() else { return Place { verbs, entry: None, given: 0 } };
        let is_target = targets.iter().any(|(name, _)| name == first);
        let verb = verbs.find(first.strip_prefix(':').unwrap_or(first));
        match verb {
            Some(entry) if !is_target => {
                let sub = rest.first().and_then(|word| entry.subverbs.iter().find(|sub| sub.name == *word));
                match sub {
                    Some(sub) => Place { verbs, entry: Some(sub), given: rest.len() - 1 },
                    None => Place { verbs, entry: Some(entry), given: rest.len() },
                }
            }
            _ => Place { verbs, entry: Some(&verbs.build), given: typed.len() },
        }
    }

    fn words(&self, targets: &[TargetLine], found: &mut Vec<(String, String)>, files: &mut bool) {
        let Some(entry) = self.entry else {
            found.extend(targets.iter().cloned());
            let verbs = self.verbs.visible();
            let hidden_by_target = |name: &str| targets.iter().any(|(target, _)| target == name);
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
            Holds::Targets => found.extend(targets.iter().cloned()),
            Holds::TargetsOrPaths => {
                found.extend(targets.iter().cloned());
                *files = true;
            }
        }
    }
}

/// Bash takes `--color=al` apart at its `=`; this puts it together again.
fn joined(words: &[String]) -> Vec<String> {
    let mut result: Vec<String> = Vec::new();
    for word in words {
        match result.last_mut() {
            Some(last) if last.starts_with("--") && (word == "=" || last.ends_with('=')) => last.push_str(word),
            _ => result.push(word.clone()),
        }
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
fn values(place: &Place, spec: &OptionSpec, prefix: &str, current: &str) -> Vec<String> {
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
