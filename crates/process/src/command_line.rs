//! `CommandLine`: everything about a program that is to run, and its form for people.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use xshell::{Shell, cmd};

use crate::Sandbox;

/// A program, its arguments, its directory and its whole environment.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments, without the program itself.
    pub arguments: Vec<String>,
    /// Working directory.
    pub directory: PathBuf,
    /// Its whole environment; nothing is inherited.
    pub environment: Vec<(String, String)>,
    /// Names in `environment` whose values are never shown.
    pub secret_names: Vec<String>,
    /// Time limit.
    pub timeout: Option<Duration>,
    /// What it reads from standard input; never shown.
    pub input: Vec<u8>,
    /// True if standard error goes where standard output goes: lines keep their order, and all are of standard output.
    pub is_merged: bool,
    /// What it may read and reach; everything that the user can, if there is none.
    pub sandbox: Option<Arc<Sandbox>>,
}

impl CommandLine {
    /// Returns `program` in `directory`, without arguments and with an empty environment.
    pub fn new(program: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> CommandLine {
        CommandLine {
            program: program.into(),
            arguments: Vec::new(),
            directory: directory.into(),
            environment: Vec::new(),
            secret_names: Vec::new(),
            timeout: None,
            input: Vec::new(),
            is_merged: false,
            sandbox: None,
        }
    }

    /// Adds one argument.
    pub fn argument(mut self, argument: impl Into<String>) -> CommandLine {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    pub fn arguments<I: IntoIterator<Item = S>, S: Into<String>>(mut self, arguments: I) -> CommandLine {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds variables.
    pub fn environment<I: IntoIterator<Item = (String, String)>>(mut self, variables: I) -> CommandLine {
        self.environment.extend(variables);
        self
    }

    /// Returns a line that can be pasted into a POSIX shell: directory, environment, program, arguments. A secret shows
    /// as `NAME=***`.
    pub fn to_shell(&self) -> String {
        let mut line = format!("cd {} && env -i", quote(&self.directory.to_string_lossy()));
        for (name, value) in &self.environment {
            let value = if self.secret_names.contains(name) { "***" } else { value };
            line.push_str(&format!(" {name}={}", quote(value)));
        }
        line.push(' ');
        line.push_str(&self.summary());
        line
    }

    /// Returns program and arguments only, quoted.
    pub fn summary(&self) -> String {
        let mut line = quote(&self.program.to_string_lossy());
        for argument in &self.arguments {
            line.push(' ');
            line.push_str(&quote(argument));
        }
        line
    }

    /// Returns the standard library's form. `xshell`'s shell can't cross threads, so it stays on this one.
    pub(crate) fn to_command(&self) -> Result<std::process::Command, xshell::Error> {
        let shell = Shell::new()?;
        let (program, arguments) = (&self.program, &self.arguments);
        let mut command: std::process::Command = cmd!(shell, "{program} {arguments...}").into();
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.directory);
        Ok(command)
    }
}

/// Returns `text` as one word of a POSIX shell.
pub fn quote(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,@%+".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_form_can_be_pasted_and_hides_secrets() {
        let mut line = CommandLine::new("/bin/echo", "/tmp/a b").arguments(["it's", "", "x=1"]);
        line.environment = vec![("TOKEN".into(), "canary".into()), ("A".into(), "b c".into())];
        line.secret_names = vec!["TOKEN".into()];
        assert_eq!(line.to_shell(), r"cd '/tmp/a b' && env -i TOKEN='***' A='b c' /bin/echo 'it'\''s' '' x=1");
    }
}
