//! Scripts: braces in them are the shell's, and a name of build.ron in braces is a mistake.
//!
//! A value pasted into a script would be code: `{branch}` with the value `x; rm -rf .` runs two commands. So values reach
//! a script in environment variables only.

use crate::filter::{Filter, VariableUse};
use crate::template::ImageFact;

/// A name of build.ron in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub message: String,
    pub hint: String,
}

/// Looks for the first name in `script` that only a template has a value for: `{version}`, `{version|slug}`,
/// `{image:digest}`, and also `${{version}}`, once the way to write the shell's own braces.
pub(crate) fn mistake(
    script: &str,
    is_variable: &dyn Fn(&str) -> bool,
    is_target: &dyn Fn(&str) -> bool,
) -> Option<Mistake> {
    for (brace, _) in script.match_indices('{') {
        let before = script[..brace].chars().next_back();
        let inner = &script[brace + 1..];
        if before == Some('$') {
            let doubled = inner.strip_prefix('{').and_then(|inner| inner.split_once("}}"));
            if let Some((name, _)) = doubled.filter(|(name, _)| is_shell_name(name)) {
                let message = format!("`${{{{{name}}}}}` in a script: its braces are the shell's and are not doubled");
                return Some(Mistake { message, hint: format!("write `${{{name}}}`") });
            }
            continue;
        }
        let Some(end) = inner.find(['}', '{', '\n']).filter(|end| inner[*end..].starts_with('}')) else { continue };
        // `{{name}}` is that of another template.
        if before == Some('{') {
            continue;
        }
        let name = &inner[..end];
        if is_name(name, is_variable, is_target) {
            let variable = variable_for(name);
            let message =
                format!("`{{{name}}}` in a script: its braces are the shell's, and no value is put into code");
            let hint = format!(
                "declare `env: {{\"{variable}\": \"{{{name}}}\"}}` and write `\"${variable}\"`; for the text itself write a \
                 space after the brace"
            );
            return Some(Mistake { message, hint });
        }
    }
    None
}

/// Returns true for the text between braces that a template would replace.
fn is_name(text: &str, is_variable: &dyn Fn(&str) -> bool, is_target: &dyn Fn(&str) -> bool) -> bool {
    if let Some((name, filters)) = text.split_once('|') {
        let first = filters.split(['|', ':']).next().unwrap_or_default();
        return is_variable(name) && (Filter::is_name(first) || VariableUse::parse(text).is_ok());
    }
    match text.split_once(':') {
        Some((target, _)) => is_target(target) && matches!(ImageFact::parse(text), Some(Ok(_))),
        None => is_variable(text),
    }
}

fn is_shell_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Returns the name of an environment variable for `version` or `image:digest`.
fn variable_for(name: &str) -> String {
    let name = name.split('|').next().unwrap_or_default();
    let word = |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' };
    let variable: String = name.chars().map(word).collect();
    if variable.starts_with(|first: char| first.is_ascii_digit()) { format!("_{variable}") } else { variable }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(script: &str) -> Option<String> {
        let is_variable = |name: &str| matches!(name, "version" | "print");
        let is_target = |name: &str| matches!(name, "image" | "a/b");
        mistake(script, &is_variable, &is_target).map(|mistake| format!("{}; {}", mistake.message, mistake.hint))
    }

    #[test]
    fn braces_of_shells_and_other_languages_stay() {
        for script in [
            "",
            "{",
            "}",
            "echo ${version}",
            "echo ${version:-x} ${version##*/} ${#version}",
            "f() { echo; }; { f; }",
            "awk '{print $1}' x; awk '{ print }' x",
            "cp {a,b} {1..3}",
            "docker inspect -f '{{.Id}}' '{{version}}' '{{image:digest}}'",
            "echo '{\"version\": 1}' {unknown} {unknown:digest} {image:other} {version|wc}",
            "${{ version }} ${{a.b}}",
            "{\nversion}",
        ] {
            assert_eq!(found(script), None, "{script}");
        }
    }

    #[test]
    fn names_of_templates_are_mistakes() {
        let line = |name: &str, variable: &str| {
            Some(format!(
                "`{{{name}}}` in a script: its braces are the shell's, and no value is put into code; declare `env: \
                 {{\"{variable}\": \"{{{name}}}\"}}` and write `\"${variable}\"`; for the text itself write a space after \
                 the brace"
            ))
        };
        assert_eq!(found("echo {version}"), line("version", "VERSION"));
        assert_eq!(found("echo ${x} {a,{version}}"), line("version", "VERSION"));
        assert_eq!(found("echo {version|trim_prefix:v|minor}"), line("version|trim_prefix:v|minor", "VERSION"));
        assert_eq!(found("{version|short}"), line("version|short", "VERSION"));
        assert_eq!(found("awk '{print}'"), line("print", "PRINT"));
        assert_eq!(found("deploy {a/b:ref}"), line("a/b:ref", "A_B_REF"));
        let doubled = "`${{HOME}}` in a script: its braces are the shell's and are not doubled; write `${HOME}`";
        assert_eq!(found("echo ${{HOME}}").as_deref(), Some(doubled));
    }
}
