//! Checks of the names that a target brings to the command line, its parameters and aliases, and of the order of groups.

use std::collections::{BTreeMap, BTreeSet};

use crate::{BuildFile, Diagnostic, Target, TargetName, VariableName};

/// Checks parameters and aliases.
pub(crate) fn check_names(file: &BuildFile, diagnostics: &mut Vec<Diagnostic>) {
    for target in &file.targets {
        check_params(target, file, diagnostics);
    }
    check_aliases(file, diagnostics);
}

/// Checks what one target runs of others: values that they would need, and the order of members.
pub(crate) fn check_uses(target: &Target, targets: &BTreeMap<&TargetName, &Target>, diagnostics: &mut Vec<Diagnostic>) {
    for (reference, _) in target.spanned_references() {
        let Some(used) = targets.get(reference.value) else { continue };
        if let Some(name) = used.required_params().next() {
            let used = &used.name.value;
            let message = format!("`{used}` has no value for its parameter `{name}` here");
            let hint = format!("where another target runs `{used}`, defaults count: give `{name}` a `default`");
            diagnostics.push(Diagnostic::new(reference.span, message).hint(hint));
        }
    }
    if target.kind().is_ordered() {
        check_order(target, targets, diagnostics);
    }
}

fn check_params(target: &Target, file: &BuildFile, diagnostics: &mut Vec<Diagnostic>) {
    let uses = |name: &str, used: Vec<&VariableName>| used.into_iter().any(|used| used.as_str() == name);
    for (name, _) in &target.common.params {
        let parameter = &name.value;
        if file.vars.keys().any(|variable| variable.as_str() == parameter) {
            let message = format!("the parameter `{parameter}` has the name of a variable");
            diagnostics.push(Diagnostic::new(name.span, message).hint("give one of them another name"));
            continue;
        }
        for script in target.kind().scripts() {
            if uses(parameter, script.variables()) {
                let message = format!("the parameter `{parameter}` can't stand in a script: a value could be code");
                let variable = parameter.to_uppercase();
                let hint = format!(
                    "give it to the script with `env: {{\"{variable}\": \"{{{parameter}}}\"}}`, as `\"${variable}\"`"
                );
                diagnostics.push(Diagnostic::new(script.span, message).hint(hint));
            }
        }
        let is_used = target.texts().into_iter().any(|text| uses(parameter, text.variables()));
        if !is_used && !target.kind().names_in_files() {
            let message = format!("`{}` does not use its parameter `{parameter}`", target.name.value);
            let hint = format!("write `{{{parameter}}}` in one of its texts, or remove the parameter");
            diagnostics.push(Diagnostic::new(name.span, message).hint(hint));
        }
    }
}

fn check_aliases(file: &BuildFile, diagnostics: &mut Vec<Diagnostic>) {
    let mut taken: BTreeMap<&TargetName, &TargetName> =
        file.targets.iter().map(|target| (&target.name.value, &target.name.value)).collect();
    for target in &file.targets {
        let own = &target.name.value;
        for alias in &target.common.aliases {
            let Some(owner) = taken.insert(&alias.value, own) else { continue };
            let message = match (*owner == alias.value, owner == own) {
                (true, true) => format!("`{own}` is the name of the target already"),
                (true, false) => format!("the alias `{}` is the name of another target", alias.value),
                (false, true) => format!("`{own}` has the alias `{}` twice", alias.value),
                (false, false) => format!("`{owner}` has the alias `{}` too", alias.value),
            };
            diagnostics.push(Diagnostic::new(alias.span, message).hint("remove one of the two"));
            taken.insert(&alias.value, owner);
        }
    }
}

/// Checks that no member waits for one that comes after it.
fn check_order(group: &Target, targets: &BTreeMap<&TargetName, &Target>, diagnostics: &mut Vec<Diagnostic>) {
    let members = group.kind().members();
    for (index, member) in members.iter().enumerate() {
        let before = &members[..index];
        if before.iter().any(|other| other.value == member.value) {
            let message = format!("`{}` is a member twice", member.value);
            diagnostics.push(Diagnostic::new(member.span, message).hint("remove one of the two"));
            continue;
        }
        let waiting = before.iter().find(|other| reach(&other.value, targets).contains(&member.value));
        if let Some(other) = waiting {
            let message = format!("`{}` waits for `{}`, which this group puts after it", other.value, member.value);
            let hint = format!("put `{}` first, or leave out `parallel: false`", member.value);
            diagnostics.push(Diagnostic::new(member.span, message).hint(hint));
        }
    }
}

/// Returns the targets that `name` needs, with itself.
fn reach<'a>(name: &'a TargetName, targets: &BTreeMap<&TargetName, &'a Target>) -> BTreeSet<&'a TargetName> {
    let (mut found, mut open) = (BTreeSet::new(), vec![name]);
    while let Some(name) = open.pop() {
        if found.insert(name) {
            open.extend(targets.get(name).map(|target| target.references()).unwrap_or_default());
        }
    }
    found
}
