//! What a provenance asks to build, held against this checkout. It is a text of somebody else: it chooses among the targets
//! and platforms that build.ron declares, and gives values to variables that the environment would give. It decides nothing
//! else.

use std::collections::{BTreeMap, BTreeSet};

use rondel_buildfile::{Platform, Target, TargetName, TextSource, VariableName};
use rondel_cas::{Digest, TEXT_MAX, read_at_most};
use rondel_evidence::StatedBuild;
use rondel_targets::{Checkout, show_variables};

use super::Run;
use crate::asked::Asked;
use crate::exit::Failure;
use crate::session::Session;
use crate::ui::RebuildStart;

/// What stands for a secret in a provenance.
const SECRET: &str = "***";
/// Name of the file of pins.
const LOCK: &str = "build.lock";

/// A build that the provenance and this checkout agree on.
#[derive(Debug)]
pub(super) struct Plan {
    pub target: TargetName,
    pub platforms: Vec<Platform>,
    /// Values of variables, of the command line and of the provenance.
    pub set: BTreeMap<String, String>,
    /// Those of the provenance.
    pub taken: BTreeMap<String, String>,
    /// The commit that the sources are, if the provenance names one and it was not waived.
    pub commit: Option<String>,
}

impl Plan {
    /// Returns the build, or why it is none of this checkout.
    pub fn of(run: &Run<'_>, stated: &StatedBuild, is_wanted: &dyn Fn(&Target) -> bool) -> Result<Plan, Failure> {
        let (session, is_other) = (run.session, run.call.options.other_sources);
        if !is_other {
            check_commit(session, stated)?;
            check_declared(session, stated)?;
        }
        let targets = &session.file.targets;
        let target = targets.iter().find(|target| target.name.value.as_str() == stated.target);
        let Some(target) = target else {
            let message =
                format!("the provenance is of the target `{}`, which this build.ron does not have", stated.target);
            return Err(Failure::usage(message).hint("rebuild in the repository that the release was made of"));
        };
        if !is_wanted(target) {
            let (name, kind) = (&target.name.value, target.kind.word());
            return Err(Failure::usage(format!(
                "the provenance is of `{name}`, a `{kind}`, which makes nothing of that form"
            )));
        }
        let platforms = platforms(session, target, stated)?;
        let (set, taken) = variables(run, target, stated)?;
        let commit = stated.commit.clone().filter(|_| !is_other);
        Ok(Plan { target: target.name.value.clone(), platforms, set, taken, commit })
    }

    /// Returns what is shown of it.
    pub fn start(&self) -> RebuildStart<'_> {
        RebuildStart { target: &self.target, commit: self.commit.as_deref(), taken: &self.taken }
    }
}

/// Returns an error if this checkout is not the commit of the provenance.
fn check_commit(session: &Session<'_>, stated: &StatedBuild) -> Result<(), Failure> {
    let Some(wanted) = &stated.commit else { return Ok(()) };
    let short = |commit: &str| commit.chars().take(12).collect::<String>();
    let anyway = "`--other-sources` builds what is here";
    if stated.is_dirty {
        let message = format!("it was built from files that differ from its commit `{}`", short(wanted));
        return Err(Failure::usage(message).hint(format!("nobody else has those files; {anyway}")));
    }
    let checkout = Checkout::read(&session.context.environment, &session.root);
    let Some(commit) = &checkout.commit else {
        let message =
            format!("it was built from the commit `{}`, and git does not say which one this is", short(wanted));
        return Err(Failure::environment(message).hint(format!("clone the repository; {anyway}")));
    };
    if commit != wanted {
        let message = format!("it was built from the commit `{}`, and this is `{}`", short(wanted), short(commit));
        return Err(Failure::usage(message).hint(format!("run `git checkout {wanted}`; {anyway}")));
    }
    if let Some((first, count)) = &checkout.changed {
        let others = if *count > 1 { format!(", and {} more do", count - 1) } else { String::new() };
        let message = format!("`{}` differs from the commit `{}`{others}", first.escape_debug(), short(commit));
        return Err(Failure::usage(message).hint(format!("undo the changes, or `git stash`; {anyway}")));
    }
    match checkout.is_known {
        true => Ok(()),
        false => Err(Failure::environment(format!("git does not say which files the commit `{}` has", short(commit)))
            .hint(format!("a clone with all objects of its commit says so; {anyway}"))),
    }
}

/// Returns an error if build.ron and build.lock are not those of the provenance.
fn check_declared(session: &Session<'_>, stated: &StatedBuild) -> Result<(), Failure> {
    let name = session.build_file();
    for file in [name, LOCK] {
        let path = session.root.join(file);
        let here = match path.is_file() {
            true => {
                let bytes = read_at_most(&path, TEXT_MAX)
                    .map_err(|error| Failure::environment(format!("failed to read `{file}`: {error}")))?;
                Some(Digest::of(&bytes).hex())
            }
            false => None,
        };
        let message = match (&here, stated.declared.get(file)) {
            (here, wanted) if here.as_ref() == wanted => continue,
            (Some(_), Some(_)) => format!("`{file}` is another one than that of the provenance"),
            (Some(_), None) => format!("there is a `{file}`, which the provenance does not name"),
            (None, _) => format!("there is no `{file}`, and the provenance names one"),
        };
        let hint = "restore it: `git status` says what differs; `--other-sources` builds what is here";
        return Err(Failure::usage(message).hint(hint));
    }
    match stated.declared.keys().find(|other| *other != name && *other != LOCK) {
        Some(other) => {
            Err(Failure::usage(format!("the provenance is of `{}`, and this is `{name}`", other.escape_debug()))
                .hint("`--file PATH` names another build.ron"))
        }
        None => Ok(()),
    }
}

fn platforms(session: &Session<'_>, target: &Target, stated: &StatedBuild) -> Result<Vec<Platform>, Failure> {
    let declared = target.kind().platforms().unwrap_or(&session.file.platforms);
    let one = |text: &String| {
        let platform = Platform::new(text).ok().filter(|platform| {
            // Without a list, a target is made for the machine's own.
            declared.is_empty() || declared.iter().any(|declared| declared.value == *platform)
        });
        platform.ok_or_else(|| {
            let (text, name) = (text.escape_debug(), &target.name.value);
            Failure::usage(format!("the provenance names the platform `{text}`, which `{name}` does not have"))
        })
    };
    let mut platforms = stated.platforms.iter().map(one).collect::<Result<Vec<Platform>, Failure>>()?;
    let mut seen = BTreeSet::new();
    platforms.retain(|platform| seen.insert(platform.to_string()));
    Ok(platforms)
}

type Values = BTreeMap<String, String>;

/// Returns the values of variables for the build, and those among them that come from the provenance.
fn variables(run: &Run<'_>, target: &Target, stated: &StatedBuild) -> Result<(Values, Values), Failure> {
    let (session, mut options) = (run.session, run.call.options.analysis.clone());
    let mut taken = BTreeMap::new();
    let mut names: Vec<(&VariableName, &String)> = Vec::new();
    for (name, value) in &stated.variables {
        let Some((name, variable)) = session.file.vars.iter().find(|(known, _)| known.as_str() == name) else {
            let message =
                format!("the provenance has the variable `{}`, which this build.ron has not", name.escape_debug());
            return Err(Failure::usage(message));
        };
        let is_of_environment = matches!(variable.text.source, TextSource::Environment { .. });
        if is_of_environment && !value.contains(SECRET) && !options.set.contains_key(name.as_str()) {
            options.set.insert(name.to_string(), value.clone());
            taken.insert(name.to_string(), value.clone());
        }
        names.push((name, value));
    }
    let request = session.request(&options, Asked::of(vec![target.name.value.clone()]));
    for (name, value) in names {
        let shown = show_variables(&request, std::slice::from_ref(name)).remove(0);
        let here = match shown.values {
            Ok(values) if values.first() == Some(value) => continue,
            Ok(values) => format!("`{}`", values.first().map_or("", String::as_str).escape_debug()),
            Err(why) => format!("unknown: {}", why.message),
        };
        let value_text = value.escape_debug();
        let message = format!("`{name}` was `{value_text}`, as the provenance says, and here it is {here}");
        let hint = match &session.file.vars[name].text.source {
            TextSource::Environment { name: of, .. } if value.contains(SECRET) => {
                format!("it is secret: put it into the environment variable {of}")
            }
            TextSource::Git { .. } => {
                format!("fetch the tags, `git fetch --tags`; or give the value: {}", set_option(name.as_str(), value))
            }
            _ => format!("give the value: {}", set_option(name.as_str(), value)),
        };
        return Err(Failure::usage(message).hint(hint));
    }
    drop(request);
    Ok((options.set, taken))
}

/// Returns the option that gives a variable its value, as it can be pasted into a shell.
fn set_option(name: &str, value: &str) -> String {
    let is_plain = value.chars().all(|character| character.is_ascii_alphanumeric() || "._-+/:@".contains(character));
    format!("`--set {name}={}`", if is_plain { value } else { "…" })
}
