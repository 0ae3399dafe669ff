//! Checks across a file of valid parts: names without a target, circles, clashing outputs. Checks within
//! one kind are in its own file.

use std::collections::{BTreeMap, HashMap};

use crate::check_names::{check_names, check_uses};
use crate::field::{Visitor, Wanted};
use crate::script::mistake;
use crate::{BuildFile, Diagnostic, Makes, Span, Spanned, Target, TargetName, Text, TextSource, VariableName, suggest};

/// Adds the mistakes of `file` to `diagnostics`.
pub(crate) fn check(file: &BuildFile, diagnostics: &mut Vec<Diagnostic>) {
    let mut targets: BTreeMap<&TargetName, &Target> = BTreeMap::new();
    for target in &file.targets {
        targets.insert(&target.name.value, target);
    }
    // A target that could not be read is reported already; a reference to it would be reported as unknown.
    let complete = diagnostics.is_empty();
    for target in &file.targets {
        if complete {
            for (reference, wanted) in target.spanned_references() {
                check_reference(reference, wanted, (file, &targets), diagnostics);
            }
            for name in target.kind().removes().into_iter().flatten() {
                let reference = Spanned { value: &name.value, span: name.span };
                check_reference(reference, Wanted::Anything, (file, &targets), diagnostics);
            }
        }
        let params: Vec<&str> = target.common.params.iter().map(|(name, _)| name.value.as_str()).collect();
        target.texts().into_iter().for_each(|text| check_variables(text, file, &params, diagnostics));
        scripts(target).into_iter().for_each(|script| check_script(script, &params, (file, &targets), diagnostics));
        target.kind().check(&file.platforms, diagnostics);
        check_pool(target, file, diagnostics);
    }
    for variable in file.vars.values() {
        if let (TextSource::Output(output), true) = (&variable.text.source, complete) {
            let reference = Spanned { value: &output.target, span: output.span };
            check_reference(reference, Wanted::Output, (file, &targets), diagnostics);
        }
        check_variables(&variable.text, file, &[], diagnostics);
    }
    file.env.iter().for_each(|(_, text)| check_variables(text, file, &[], diagnostics));
    check_names(file, diagnostics);
    if diagnostics.is_empty() {
        check_cycles(file, &targets, diagnostics);
        if diagnostics.is_empty() {
            file.targets.iter().for_each(|target| check_uses(target, &targets, diagnostics));
        }
        check_variable_cycles(file, diagnostics);
        check_outputs(file, diagnostics);
    }
}

/// Checks the target's pool. Without `pools`, any name is a pool; with it, an unlisted name is a typing error.
fn check_pool(target: &Target, file: &BuildFile, diagnostics: &mut Vec<Diagnostic>) {
    let Some(pool) = &target.limits.pool else { return };
    let names = || file.pools.iter().map(|(name, _)| name.value.as_str());
    if file.pools.is_empty() || names().any(|name| name == pool.value) {
        return;
    }
    let mut diagnostic = Diagnostic::new(pool.span, format!("there is no pool `{}` in `pools`", pool.value));
    diagnostic.hint = Some(match suggest(&pool.value, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("pools are: {}", names().collect::<Vec<_>>().join(", ")),
    });
    diagnostics.push(diagnostic);
}

fn check_reference(
    reference: Spanned<&TargetName>,
    wanted: Wanted,
    (file, targets): (&BuildFile, &BTreeMap<&TargetName, &Target>),
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(target) = targets.get(reference.value) else {
        let mut diagnostic = Diagnostic::new(reference.span, format!("there is no target `{}`", reference.value));
        let aliased = file.targets.iter().find(|target| target.is_called(reference.value.as_str()));
        diagnostic.hint = match aliased {
            Some(target) => Some(format!("it is an alias, for the command line only: write `{}`", target.name.value)),
            None => suggest(reference.value.as_str(), targets.keys().map(|name| name.as_str()))
                .map(|near| format!("did you mean `{near}`?")),
        };
        diagnostics.push(diagnostic);
        return;
    };
    let makes = target.makes();
    let (fits, needed) = match wanted {
        Wanted::Anything => return,
        Wanted::File if matches!(makes, Makes::Files { count: 2.. }) => {
            diagnostics.push(unnamed(target, file, reference.span));
            return;
        }
        Wanted::File => (makes.is_file(), "a `GoBuild`, or an `Exec` or `Shell` with inputs and outputs"),
        Wanted::Part => (makes.is_part(), "a `GoBuild`, or an `Exec` or `Shell` with inputs and outputs"),
        Wanted::Output => (
            makes.is_files(),
            "a target that makes files (`GoBuild`, `Image`, or `Exec` or `Shell` with inputs and outputs)",
        ),
        Wanted::Image => (makes.is_image(), "an `Image` or `DockerBuild` target"),
        Wanted::Layout => (makes.is_layout(), "an `Image` target"),
        Wanted::Executables => (makes == Makes::Executables, "a `GoBuild` target"),
        Wanted::Digest if makes == Makes::DaemonImage => {
            (false, "an `Image` or `Push` target (an image that only Docker has gets a digest when it is pushed)")
        }
        Wanted::Digest => (target.kind().has_digest(), "an `Image` or `Push` target, which has a digest"),
    };
    if !fits {
        let message = format!("expected {needed}, found `{}` (`{}`)", reference.value, target.kind.word());
        let mut diagnostic = Diagnostic::new(reference.span, message);
        if wanted == Wanted::Layout && makes.is_image() {
            let name = reference.value;
            diagnostic.hint = Some(format!("make an `Image` of it, with `base: From(Output(\"{name}\"))`"));
        }
        diagnostics.push(diagnostic);
    }
}

/// Returns the mistake of an output of a target with several that is not named.
fn unnamed(target: &Target, file: &BuildFile, span: Span) -> Diagnostic {
    let (name, outputs) = (&target.name.value, file.outputs_of(target));
    let paths = outputs.iter().map(|output| output.written.map_or(output.path.as_str(), |written| &written.value));
    let forms: Vec<String> =
        paths.map(|path| format!("`Output(\"{name}\", \"{}\")`", path.trim_end_matches('/'))).collect();
    let message = format!("`{name}` has {} outputs, and none is named", outputs.len());
    Diagnostic::new(span, message).hint(format!("write {}", forms.join(" or ")))
}

/// Returns the scripts of a target.
fn scripts(target: &Target) -> Vec<&Text> {
    struct Scripts<'a>(Vec<&'a Text>);
    impl<'a> Visitor<'a> for Scripts<'a> {
        fn script(&mut self, script: &'a Text) {
            self.0.push(script);
        }
    }
    let mut scripts = Scripts(Vec::new());
    target.visit(&mut scripts);
    scripts.0
}

fn check_script(
    script: &Text,
    params: &[&str],
    (file, targets): (&BuildFile, &BTreeMap<&TargetName, &Target>),
    diagnostics: &mut Vec<Diagnostic>,
) {
    let is_variable = |name: &str| params.contains(&name) || file.vars.keys().any(|variable| variable.as_str() == name);
    let is_target = |name: &str| targets.keys().any(|target| target.as_str() == name);
    if let Some(found) = mistake(script.as_literal().unwrap_or_default(), &is_variable, &is_target) {
        diagnostics.push(Diagnostic::new(script.span, found.message).hint(found.hint));
    }
}

/// Checks that each variable is one of the file, or a parameter of the target at hand.
fn check_variables(text: &Text, file: &BuildFile, params: &[&str], diagnostics: &mut Vec<Diagnostic>) {
    for name in text.variables() {
        if !file.vars.contains_key(name) && !params.contains(&name.as_str()) {
            let mut diagnostic = Diagnostic::new(text.span, format!("there is no variable `{name}`"));
            diagnostic.hint = Some(
                match suggest(name.as_str(), file.vars.keys().map(VariableName::as_str).chain(params.iter().copied())) {
                    Some(near) => format!("did you mean `{{{near}}}`?"),
                    None => format!("declare it under `vars`, or write `{{{{{name}}}}}` for a literal brace"),
                },
            );
            diagnostics.push(diagnostic);
        }
    }
}

fn check_cycles(file: &BuildFile, targets: &BTreeMap<&TargetName, &Target>, diagnostics: &mut Vec<Diagnostic>) {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        Open,
        Done,
    }
    fn visit<'a>(
        name: &'a TargetName,
        file: &'a BuildFile,
        targets: &BTreeMap<&'a TargetName, &'a Target>,
        marks: &mut HashMap<&'a TargetName, Mark>,
        path: &mut Vec<&'a TargetName>,
    ) -> Option<Vec<&'a TargetName>> {
        match marks.get(name) {
            Some(Mark::Done) => return None,
            Some(Mark::Open) => {
                let begin = path.iter().position(|other| *other == name).unwrap_or(0);
                let mut circle = path[begin..].to_vec();
                circle.push(name);
                return Some(circle);
            }
            None => {}
        }
        marks.insert(name, Mark::Open);
        path.push(name);
        if let Some(target) = targets.get(name) {
            for next in file.references_of(target) {
                if let Some(circle) = visit(next, file, targets, marks, path) {
                    return Some(circle);
                }
            }
        }
        path.pop();
        marks.insert(name, Mark::Done);
        None
    }
    let mut marks = HashMap::new();
    for target in &file.targets {
        if let Some(circle) = visit(&target.name.value, file, targets, &mut marks, &mut Vec::new()) {
            let text: Vec<String> = circle.iter().map(|name| format!("`{name}`")).collect();
            let span = targets.get(circle[0]).map_or(target.name.span, |target| target.name.span);
            diagnostics.push(Diagnostic::new(span, format!("targets wait for each other: {}", text.join(" -> "))));
            return;
        }
    }
}

fn check_variable_cycles(file: &BuildFile, diagnostics: &mut Vec<Diagnostic>) {
    for (name, variable) in &file.vars {
        let mut seen = vec![name];
        let mut open = variable.text.variables();
        while let Some(next) = open.pop() {
            if next == name {
                let message = format!("the variable `{name}` depends on itself");
                diagnostics.push(Diagnostic::new(variable.span, message));
                return;
            }
            if !seen.contains(&next) {
                seen.push(next);
                open.extend(file.vars.get(next).map(|variable| variable.text.variables()).unwrap_or_default());
            }
        }
    }
}

/// Reports two targets with one output, both relative to the directory of build.ron.
fn check_outputs(file: &BuildFile, diagnostics: &mut Vec<Diagnostic>) {
    let within = |one: &str, other: &str| {
        one == other || other.is_empty() || one.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
    };
    let mut taken: Vec<(String, &TargetName)> = Vec::new();
    for target in &file.targets {
        for output in file.outputs_of(target) {
            if let Some((what, hint)) = reserved(&output.path, file) {
                let place = if output.path.is_empty() { "." } else { &output.path };
                let message = format!("`{}` can't write `{place}`: {what}", target.name.value);
                diagnostics.push(Diagnostic::new(output.span, message).hint(hint));
                continue;
            }
            let clash = taken.iter().find(|(other, _)| within(&output.path, other) || within(other, &output.path));
            if let Some((other, owner)) = clash {
                let place = if output.path.len() < other.len() { other } else { &output.path };
                let message = match *owner == &target.name.value && output.path != *other {
                    true => format!("`{owner}` writes `{other}` and `{}`: one lies in the other", output.path),
                    false => format!("`{}` and `{owner}` both write `{place}`", target.name.value),
                };
                diagnostics.push(Diagnostic::new(output.span, message).hint("give one of them another output"));
            }
            taken.push((output.path, &target.name.value));
        }
    }
}

/// Returns why no output may be at `path`, and what to do.
fn reserved(path: &str, file: &BuildFile) -> Option<(&'static str, &'static str)> {
    const DIRECTORY: &str = "give it a directory of its own, below `dist` for example";
    // Case is ignored, as some file systems do.
    let is = |part: &str, name: &str| part.eq_ignore_ascii_case(name);
    let root = file.root.as_ref().map_or("", |root| root.value.trim_end_matches('/').trim_start_matches("./"));
    if path.is_empty() || path == root {
        return Some(("it is the directory of the project", DIRECTORY));
    }
    if path.split('/').any(|part| is(part, ".git")) {
        return Some(("that is git's own", DIRECTORY));
    }
    if path.split('/').next().is_some_and(|first| is(first, ".rondel")) {
        return Some(("that is where Rondel keeps its state", DIRECTORY));
    }
    if is(path, "build.ron") || is(path, "build.lock") {
        return Some(("it decides what is built", "give the output another name"));
    }
    None
}
