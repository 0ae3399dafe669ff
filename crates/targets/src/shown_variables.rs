//! Variables as people see them: the value, and where it came from. The values of secrets are not among them.

use std::collections::BTreeMap;

use rondel_buildfile::{Text, TextSource, VariableName, Visitor};
use rondel_engine::UserError;

use crate::request::Request;
use crate::variables::{Value, Variables};

/// A variable, and its value in this run.
#[derive(Debug)]
pub struct ShownVariable {
    /// Its name.
    pub name: VariableName,
    /// Its value; the one for clean sources and the one for dirty sources, if they differ. Or why there is none.
    pub values: Result<Vec<String>, UserError>,
    /// Where it came from, in words; empty if there is no value.
    pub origin: String,
}

/// Evaluates variables of build.ron: those with a name in `names`, or all.
pub fn show_variables(request: &Request<'_>, names: &[VariableName]) -> Vec<ShownVariable> {
    let wanted = request.file.vars.keys().filter(|name| names.is_empty() || names.contains(name));
    let secrets = declared_secrets(request);
    let one = |name: &VariableName| {
        // Each by itself, so that one without a value hides no other.
        let variables = Variables::new(request);
        let evaluated = variables.both(&|| variables.value(name));
        let seen = variables.seen().remove(name).unwrap_or_default();
        match evaluated {
            Ok(_) => shown(name.clone(), seen, &secrets),
            Err(why) => ShownVariable { name: name.clone(), values: Err(why), origin: String::new() },
        }
    };
    wanted.map(one).collect()
}

/// Returns the variables that an analysis has used.
pub(crate) fn used_variables(variables: &Variables<'_>, request: &Request<'_>) -> Vec<ShownVariable> {
    let secrets = declared_secrets(request);
    let seen: BTreeMap<VariableName, Vec<Value>> = variables.seen();
    seen.into_iter().map(|(name, values)| shown(name, values, &secrets)).collect()
}

fn shown(name: VariableName, values: Vec<Value>, secrets: &[String]) -> ShownVariable {
    let origin = values.first().map(|value| value.origin.clone()).unwrap_or_default();
    let hidden = |value: Value| secrets.iter().fold(value.text, |text, secret| text.replace(secret, "***"));
    ShownVariable { name, values: Ok(values.into_iter().map(hidden).collect()), origin }
}

/// Returns a text without the values of secrets.
pub(crate) fn without_secrets(request: &Request<'_>, text: String) -> String {
    declared_secrets(request).iter().fold(text, |text, secret| text.replace(secret, "***"))
}

/// Returns the values of all `Secret` in build.ron: a variable could be the same one of the environment.
fn declared_secrets(request: &Request<'_>) -> Vec<String> {
    struct Secrets<'a>(Vec<&'a str>);
    impl<'a> Visitor<'a> for Secrets<'a> {
        fn text(&mut self, text: &'a Text) {
            if let TextSource::Secret { name } = &text.source {
                self.0.push(name);
            }
        }
    }
    let mut names = Secrets(Vec::new());
    request.file.targets.iter().for_each(|target| target.visit(&mut names));
    let values = names.0.into_iter().filter_map(|name| request.environment.get(name));
    values.filter(|value| !value.is_empty()).cloned().collect()
}
