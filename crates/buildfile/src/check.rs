//! What can be wrong with a file whose every part reads well: names that lead nowhere, circles, outputs that
//! collide, paths that leave the root.

use std::collections::{BTreeMap, HashMap};

use crate::{
    BuildFile, Diagnostic, FileSource, Span, Spanned, Target, TargetKind, TargetName, Template, Text, TextSource,
    VariableName, suggest,
};

/// Adds what is wrong with `file` to `diagnostics`.
pub(crate) fn check(file: &BuildFile, diagnostics: &mut Vec<Diagnostic>) {
    let mut targets: BTreeMap<&TargetName, &Target> = BTreeMap::new();
    for target in &file.targets {
        targets.insert(&target.name.value, target);
    }
    // A target that could not be read is reported already; a reference to it would be reported as unknown.
    let complete = diagnostics.is_empty();
    for target in &file.targets {
        if complete {
            for (reference, wanted) in references(target) {
                check_reference(reference, wanted, &targets, diagnostics);
            }
        }
        each_text(target, &mut |text| check_variables(text, file, diagnostics));
        check_paths(target, diagnostics);
        check_image(target, file, diagnostics);
        check_pool(target, file, diagnostics);
    }
    for variable in file.vars.values() {
        check_variables(&variable.text, file, diagnostics);
    }
    for path in file.root.iter().chain(&file.go_work) {
        check_path(path, diagnostics);
    }
    if diagnostics.is_empty() {
        check_cycles(file, &targets, diagnostics);
        check_variable_cycles(file, diagnostics);
        check_outputs(file, diagnostics);
    }
}

/// Without `pools`, any name is a pool; with it, a name that it does not have is a slip of the pen.
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

/// What a reference may point to.
#[derive(Clone, Copy)]
enum Wanted {
    Anything,
    File,
    Image,
}

/// Every target that `target` mentions, where, and what it has to be.
fn references(target: &Target) -> Vec<(Spanned<&TargetName>, Wanted)> {
    fn of(name: &Spanned<TargetName>) -> Spanned<&TargetName> {
        Spanned { value: &name.value, span: name.span }
    }
    let mut result: Vec<_> = target.after.iter().map(|name| (of(name), Wanted::Anything)).collect();
    match &target.kind {
        TargetKind::Image(image) => {
            for (_, source) in &image.files {
                if let FileSource::Output(value) = &source.value {
                    result.push((Spanned { value, span: source.span }, Wanted::File));
                }
            }
        }
        TargetKind::DockerRun(run) => result.push((of(&run.image), Wanted::Image)),
        TargetKind::ComposeUp(up) => result.extend(up.images.iter().map(|(_, name)| (of(name), Wanted::Image))),
        TargetKind::Group(group) => result.extend(group.targets.iter().map(|name| (of(name), Wanted::Anything))),
        _ => {}
    }
    result
}

fn check_reference(
    reference: Spanned<&TargetName>,
    wanted: Wanted,
    targets: &BTreeMap<&TargetName, &Target>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(target) = targets.get(reference.value) else {
        let mut diagnostic = Diagnostic::new(reference.span, format!("there is no target `{}`", reference.value));
        diagnostic.hint = suggest(reference.value.as_str(), targets.keys().map(|name| name.as_str()))
            .map(|near| format!("did you mean `{near}`?"));
        diagnostics.push(diagnostic);
        return;
    };
    let (fits, needed) = match (wanted, &target.kind) {
        (Wanted::Anything, _) => (true, ""),
        (Wanted::File, TargetKind::GoBuild(_)) => (true, ""),
        (Wanted::File, TargetKind::Exec(exec) | TargetKind::Shell(crate::Shell { exec })) => (
            exec.outputs.len() == 1 && exec.inputs.is_some(),
            "`GoBuild`, or an `Exec` with inputs and exactly one output",
        ),
        (Wanted::File, _) => (false, "`GoBuild`, or an `Exec` with inputs and exactly one output"),
        (Wanted::Image, kind) => {
            (matches!(kind, TargetKind::Image(_) | TargetKind::DockerBuild(_)), "`Image` or `DockerBuild`")
        }
    };
    if !fits {
        let message = format!("`{}` is a `{}`; needed is a {needed}", reference.value, target.kind.word());
        diagnostics.push(Diagnostic::new(reference.span, message));
    }
}

impl Target {
    /// The targets that this one mentions: what it waits for, and what it is made from.
    pub fn references(&self) -> Vec<&TargetName> {
        references(self).into_iter().map(|(name, _)| name.value).collect()
    }
}

/// Calls `visit` with every text of a target.
fn each_text<'a>(target: &'a Target, visit: &mut dyn FnMut(&'a Text)) {
    let pairs = |list: &'a [(Spanned<String>, Text)]| list.iter().map(|(_, text)| text);
    let texts: Vec<&'a Text> = match &target.kind {
        TargetKind::GoModDownload(_) | TargetKind::Group(_) => Vec::new(),
        TargetKind::GoBuild(build) => [&build.packages, &build.tags, &build.ldflags, &build.gcflags]
            .into_iter()
            .flatten()
            .chain(pairs(&build.stamp))
            .chain(pairs(&build.env))
            .collect(),
        TargetKind::GoTest(test) => [&test.packages, &test.tags]
            .into_iter()
            .flatten()
            .chain(pairs(&test.env))
            .chain(&test.run)
            .chain(&test.timeout)
            .collect(),
        TargetKind::Image(image) => [&image.entrypoint, &image.command, &image.tags]
            .into_iter()
            .flatten()
            .chain(pairs(&image.env))
            .chain(pairs(&image.labels))
            .chain(&image.user)
            .chain(&image.directory)
            .collect(),
        TargetKind::DockerBuild(build) => {
            build.tags.iter().chain(pairs(&build.build_args)).chain(&build.stage).collect()
        }
        TargetKind::DockerRun(run) => [&run.args, &run.publish, &run.volumes, &run.cap_add]
            .into_iter()
            .flatten()
            .chain(pairs(&run.env))
            .chain(&run.user)
            .chain(&run.network)
            .collect(),
        TargetKind::ComposeUp(up) => pairs(&up.env).chain(&up.project_name).collect(),
        TargetKind::ComposeDown(down) => pairs(&down.env).chain(&down.project_name).collect(),
        TargetKind::Exec(exec) | TargetKind::Shell(crate::Shell { exec }) => {
            exec.command.iter().chain(pairs(&exec.env)).collect()
        }
    };
    texts.into_iter().for_each(visit);
}

fn variables_of(text: &Text) -> Vec<&VariableName> {
    let template: Option<&Template> = match &text.source {
        TextSource::Template(template) => Some(template),
        TextSource::Environment { default, .. } | TextSource::Git { default, .. } => default.as_ref(),
        TextSource::Secret { .. } | TextSource::Tool { .. } => None,
    };
    template.map(|template| template.variables().collect()).unwrap_or_default()
}

fn check_variables(text: &Text, file: &BuildFile, diagnostics: &mut Vec<Diagnostic>) {
    for name in variables_of(text) {
        if !file.vars.contains_key(name) {
            let mut diagnostic = Diagnostic::new(text.span, format!("there is no variable `{name}`"));
            diagnostic.hint = Some(match suggest(name.as_str(), file.vars.keys().map(VariableName::as_str)) {
                Some(near) => format!("did you mean `{{{near}}}`?"),
                None => format!("declare it under `vars`, or write `{{{{{name}}}}}` for a literal brace"),
            });
            diagnostics.push(diagnostic);
        }
    }
}

fn check_paths(target: &Target, diagnostics: &mut Vec<Diagnostic>) {
    let mut paths: Vec<&Spanned<String>> = Vec::new();
    match &target.kind {
        TargetKind::GoBuild(build) => paths.extend(&build.out),
        TargetKind::Image(image) => {
            paths.extend(&image.out);
            for (destination, source) in &image.files {
                let sound = destination.value.strip_prefix('/').is_some_and(|rest| {
                    !rest.is_empty() && rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
                });
                if !sound {
                    let message = format!("`{}` is not an absolute path of a file", destination.value.escape_debug());
                    diagnostics.push(Diagnostic::new(destination.span, message).hint("write \"/app/name\""));
                }
                if let FileSource::File(path) = &source.value {
                    check_path(&Spanned { value: path.clone(), span: source.span }, diagnostics);
                }
            }
        }
        TargetKind::DockerBuild(build) => {
            paths.push(&build.dockerfile);
            paths.extend(&build.context);
        }
        TargetKind::ComposeUp(up) => paths.push(&up.file),
        TargetKind::ComposeDown(down) => paths.push(&down.file),
        TargetKind::Exec(exec) | TargetKind::Shell(crate::Shell { exec }) => {
            paths.extend(&exec.outputs);
            paths.extend(&exec.directory);
        }
        TargetKind::GoModDownload(_) | TargetKind::GoTest(_) | TargetKind::DockerRun(_) | TargetKind::Group(_) => {}
    }
    for path in paths {
        check_path(path, diagnostics);
    }
}

fn check_path(path: &Spanned<String>, diagnostics: &mut Vec<Diagnostic>) {
    let mut depth = 0_i64;
    let mut escapes = path.value.starts_with('/');
    for part in path.value.split('/') {
        depth += match part {
            "" | "." => 0,
            ".." => -1,
            _ => 1,
        };
        escapes |= depth < 0;
    }
    if escapes {
        let message = format!("`{}` leaves the root", path.value.escape_debug());
        diagnostics.push(Diagnostic::new(path.span, message).hint("paths are relative to `root`"));
    }
    if path.value.is_empty() {
        diagnostics.push(Diagnostic::new(path.span, "the path is empty"));
    }
}

/// Images are for Linux.
fn check_image(target: &Target, file: &BuildFile, diagnostics: &mut Vec<Diagnostic>) {
    let TargetKind::Image(image) = &target.kind else { return };
    for platform in image.platforms.as_ref().unwrap_or(&file.platforms) {
        if platform.value.os() != "linux" {
            let message = format!("an image can't be made for `{}`: images are for Linux", platform.value);
            diagnostics.push(Diagnostic::new(platform.span, message).hint("give the `Image` its own `platforms`"));
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
            for (next, _) in references(target) {
                if let Some(circle) = visit(next.value, targets, marks, path) {
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
        if let Some(circle) = visit(&target.name.value, targets, &mut marks, &mut Vec::new()) {
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
        let mut open = variables_of(&variable.text);
        while let Some(next) = open.pop() {
            if next == name {
                let message = format!("the variable `{name}` is made from itself");
                diagnostics.push(Diagnostic::new(variable.span, message));
                return;
            }
            if !seen.contains(&next) {
                seen.push(next);
                open.extend(file.vars.get(next).map(|variable| variables_of(&variable.text)).unwrap_or_default());
            }
        }
    }
}

fn check_outputs(file: &BuildFile, diagnostics: &mut Vec<Diagnostic>) {
    let mut taken: Vec<(String, Span, &TargetName)> = Vec::new();
    for target in &file.targets {
        let normal =
            |path: &str| path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/");
        let default = format!("dist/{}", target.name.value);
        let outputs: Vec<(String, Span)> = match &target.kind {
            TargetKind::GoBuild(build) => vec![out_of(&build.out, default, target)],
            TargetKind::Image(image) => vec![out_of(&image.out, default, target)],
            TargetKind::Exec(exec) | TargetKind::Shell(crate::Shell { exec }) => {
                exec.outputs.iter().map(|output| (normal(&output.value), output.span)).collect()
            }
            _ => Vec::new(),
        };
        for (path, span) in outputs {
            let within = |one: &str, other: &str| {
                one == other || one.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
            };
            if let Some((other, _, owner)) =
                taken.iter().find(|(other, ..)| within(&path, other) || within(other, &path))
            {
                let message = format!(
                    "`{}` and `{owner}` both write `{}`",
                    target.name.value,
                    if path.len() < other.len() { other } else { &path }
                );
                diagnostics.push(Diagnostic::new(span, message).hint("give one of them another output"));
            }
            taken.push((path, span, &target.name.value));
        }
    }
}

fn out_of(out: &Option<Spanned<String>>, default: String, target: &Target) -> (String, Span) {
    match out {
        Some(out) => {
            (out.value.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/"), out.span)
        }
        None => (default, target.name.span),
    }
}
