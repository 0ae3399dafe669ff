//! What a command line asks for: targets, by name or alias, and values of their parameters. Knows no verb.

use rondel_buildfile::{BuildFile, Param, Target, TargetName, VariableName, suggest};
use rondel_targets::ParameterValues;

use crate::cli::option::not_allowed;
use crate::exit::Failure;
use crate::program;

/// Targets and the values of their parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Each once, in the order of the words.
    pub targets: Vec<TargetName>,
    /// The values that were given.
    pub parameters: ParameterValues,
}

impl Asked {
    /// Returns targets without values.
    pub fn of(targets: Vec<TargetName>) -> Asked {
        Asked { targets, parameters: ParameterValues::new() }
    }

    /// Reads names and `name=value`, in any order; `unknown` makes the error for another word. A value goes to each of
    /// the targets that has the parameter.
    pub fn read(file: &BuildFile, words: &[String], unknown: &dyn Fn(&str) -> Failure) -> Result<Asked, Failure> {
        let (values, names): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| is_value(word));
        let mut targets: Vec<&Target> = Vec::with_capacity(names.len());
        for word in names {
            let target = file.targets.iter().find(|target| target.is_called(word)).ok_or_else(|| unknown(word))?;
            if targets.iter().all(|other| other.name.value != target.name.value) {
                targets.push(target);
            }
        }
        let mut asked = Asked::of(targets.iter().map(|target| target.name.value.clone()).collect());
        for word in values {
            asked.give(file, &targets, word)?;
        }
        for target in targets {
            let given = asked.parameters.get(&target.name.value);
            let is_given = |name: &str| given.is_some_and(|values| values.keys().any(|given| given.as_str() == name));
            let missing: Vec<&str> = target.required_params().filter(|name| !is_given(name)).collect();
            if !missing.is_empty() {
                return Err(without_values(target, &missing));
            }
        }
        Ok(asked)
    }

    /// Takes one `name=value`.
    fn give(&mut self, file: &BuildFile, targets: &[&Target], word: &str) -> Result<(), Failure> {
        let Some((name, value)) = word.split_once('=') else { return Ok(()) };
        if targets.is_empty() {
            let failure = Failure::usage(format!("`{}` is a value for no target", word.escape_debug()));
            return Err(failure.hint(format!("name the target first: `{} TARGET NAME=VALUE`", program::name())));
        }
        let mut is_known = false;
        for target in targets {
            let Some(param) = param_of(target, name) else { continue };
            is_known = true;
            if !param.allows(value) {
                let allowed: Vec<&str> = param.allowed().collect();
                return Err(not_allowed(&format!("`{name}` of `{}`", target.name.value), &allowed, value));
            }
            let Ok(key) = VariableName::new(name) else { continue };
            let values = self.parameters.entry(target.name.value.clone()).or_default();
            if values.insert(key, value.to_owned()).is_some() {
                let failure = Failure::usage(format!("`{name}` is given twice"));
                return Err(failure.hint("give it once; targets that have it all get the value"));
            }
        }
        if is_known { Ok(()) } else { Err(unknown_parameter(file, targets, name)) }
    }
}

/// Returns true for `name=value`: no name of a target has a `=`.
pub(crate) fn is_value(word: &str) -> bool {
    word.contains('=')
}

/// `migrate-new name= [env=dev]`
pub(crate) fn usage(target: &Target) -> String {
    let params = target.common.params.iter().map(|(name, param)| format!(" {}", param.usage(&name.value)));
    format!("{}{}", target.name.value, params.collect::<String>())
}

/// Returns a line for each parameter: its name, its doc, its values. Without a doc or values there is none.
pub(crate) fn parameter_lines(target: &Target) -> Vec<String> {
    let params = &target.common.params;
    let width = params.iter().map(|(name, _)| name.value.len()).max().unwrap_or(0);
    let line = |name: &str, param: &Param| format!("{name:<width$}  {}", described(param)).trim_end().to_owned();
    params.iter().map(|(name, param)| line(&name.value, param)).collect()
}

/// Returns the doc of a parameter, its allowed values and its default.
pub(crate) fn described(param: &Param) -> String {
    let mut parts: Vec<String> = param.doc.iter().cloned().collect();
    let allowed: Vec<&str> = param.allowed().collect();
    if !allowed.is_empty() {
        parts.push(allowed.join(" or "));
    }
    parts.extend(param.default_value().map(|default| format!("default: {default}").trim_end().to_owned()));
    parts.join("; ")
}

fn param_of<'t>(target: &'t Target, name: &str) -> Option<&'t Param> {
    target.common.params.iter().find(|(param, _)| param.value == name).map(|(_, param)| param)
}

/// Returns the error for a target whose parameters have no value, with its usage.
fn without_values(target: &Target, missing: &[&str]) -> Failure {
    let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    let names = crate::cli::option::listed(&names, "and");
    let lines: String = parameter_lines(target).iter().map(|line| format!("\n  {line}")).collect();
    Failure::usage(format!("`{}` needs a value for {names}", target.name.value)).hint(format!(
        "usage: {} {}{lines}",
        program::name(),
        usage(target)
    ))
}

/// Returns the error for a value whose name is no parameter of the targets at hand.
fn unknown_parameter(file: &BuildFile, targets: &[&Target], name: &str) -> Failure {
    let names: Vec<&str> =
        targets.iter().flat_map(|target| target.common.params.iter()).map(|(name, _)| name.value.as_str()).collect();
    let owner = match targets {
        [only] => format!("`{}` has no parameter", only.name.value),
        _ => "none of the targets has a parameter".to_owned(),
    };
    let failure = Failure::usage(format!("{owner} `{}`", name.escape_debug()));
    if let Some(near) = suggest(name, names.iter().copied()) {
        return failure.hint(format!("did you mean `{near}=`?"));
    }
    let elsewhere = file.targets.iter().find(|target| param_of(target, name).is_some());
    match (elsewhere, names.as_slice()) {
        (Some(other), _) => failure.hint(format!("`{}` has it: ask for that target by its name", other.name.value)),
        (None, []) if file.vars.keys().any(|variable| variable.as_str() == name) => {
            failure.hint(format!("it is a variable: `--set {name}=…`"))
        }
        (None, []) => failure.hint("give a target in build.ron `params`"),
        (None, names) => failure.hint(format!("parameters are: {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use rondel_engine::UserError;

    use super::*;

    const FILE: &str = r#"(format: 1, project: "p", vars: {"version": "1"}, targets: {
        "new": Exec(command: ["x", "{name}", "{env}"], aliases: ["n"],
            params: {"name": Param(doc: "Its name"), "env": Param(default: "dev", one_of: ["dev", "prod"])}),
        "old": Exec(command: ["x", "{env}"], params: {"env": Param()}),
        "plain": Exec(command: ["x"]),
    })"#;

    /// Returns the targets and values, or the error, of a command line.
    fn outcome(line: &str) -> String {
        let file = BuildFile::parse(FILE, "0.1.0").unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match Asked::read(&file, &words, &|word| Failure::usage(format!("unknown: {word}"))) {
            Ok(asked) => {
                let mut text = asked.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                for (target, values) in &asked.parameters {
                    let values = values.iter().map(|(name, value)| format!(" {name}={value}"));
                    text.push_str(&format!("; {target}:{}", values.collect::<String>()));
                }
                text
            }
            Err(Failure::User(UserError { message, hint, .. })) => {
                format!("error: {message}; {}", hint.as_deref().unwrap_or("-"))
            }
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn words_and_values() {
        let lines = [
            "plain n name=a=b",
            "new old new env=prod name=",
            "env=x old",
            "old env=x env=y",
            "new name=x env=prd",
            "new name=x env=",
            "new nam=x",
            "plain env=x",
            "plain version=2",
            "plain thing=x",
            "new name=x thing=x",
            "new old",
            "old new env=dev",
            "name=x",
            "plian",
            "plain =x",
        ];
        let all: String = lines.iter().map(|line| format!("$ {line}\n{}\n", outcome(line))).collect();
        expect![[r#"
            $ plain n name=a=b
            plain new; new: name=a=b
            $ new old new env=prod name=
            new old; new: env=prod name=; old: env=prod
            $ env=x old
            old; old: env=x
            $ old env=x env=y
            error: `env` is given twice; give it once; targets that have it all get the value
            $ new name=x env=prd
            error: `env` of `new` takes dev or prod, not `prd`; did you mean `prod`?
            $ new name=x env=
            error: `env` of `new` takes dev or prod, not ``; -
            $ new nam=x
            error: `new` has no parameter `nam`; did you mean `name=`?
            $ plain env=x
            error: `plain` has no parameter `env`; `new` has it: ask for that target by its name
            $ plain version=2
            error: `plain` has no parameter `version`; it is a variable: `--set version=…`
            $ plain thing=x
            error: `plain` has no parameter `thing`; give a target in build.ron `params`
            $ new name=x thing=x
            error: `new` has no parameter `thing`; parameters are: name, env
            $ new old
            error: `new` needs a value for `name`; usage: rondel new name= [env=dev]
              name  Its name
              env   dev or prod; default: dev
            $ old new env=dev
            error: `new` needs a value for `name`; usage: rondel new name= [env=dev]
              name  Its name
              env   dev or prod; default: dev
            $ name=x
            error: `name=x` is a value for no target; name the target first: `rondel TARGET NAME=VALUE`
            $ plian
            error: unknown: plian; -
            $ plain =x
            error: `plain` has no parameter ``; give a target in build.ron `params`
        "#]]
        .assert_eq(&all);
    }
}
