//! Names with rules: of targets and of variables.

use std::fmt;

/// Name of a target: letters, digits, `-`, `_`, `.` and `/`, starting with a letter or digit; at most 100.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetName(String);

/// Name of a variable: letters, digits and `_`, starting with a letter; at most 100.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableName(String);

/// A name that breaks its rule; the text states the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

impl TargetName {
    /// Checks the rule.
    pub fn new(text: &str) -> Result<TargetName, NameError> {
        let body = |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
        let begins = text.chars().next().is_some_and(|first| first.is_ascii_alphanumeric());
        let sane = !text.ends_with('/') && !text.contains("//") && !text.split('/').any(|part| part.starts_with('.'));
        if begins && sane && text.len() <= 100 && text.chars().all(body) {
            Ok(TargetName(text.to_owned()))
        } else {
            Err(NameError(format!(
                "`{}` can't be a target's name: letters, digits, `-`, `_`, `.` and `/`, a letter or digit first",
                text.escape_debug()
            )))
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl VariableName {
    /// Checks the rule.
    pub fn new(text: &str) -> Result<VariableName, NameError> {
        let begins = text.chars().next().is_some_and(|first| first.is_ascii_alphabetic());
        let body = |character: char| character.is_ascii_alphanumeric() || character == '_';
        if begins && text.len() <= 100 && text.chars().all(body) {
            Ok(VariableName(text.to_owned()))
        } else {
            Err(NameError(format!(
                "`{}` can't be a variable's name: letters, digits and `_`, a letter first",
                text.escape_debug()
            )))
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
