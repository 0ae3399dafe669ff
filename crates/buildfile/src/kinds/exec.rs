//! `Exec`: fields, outputs and needs of one kind.

use crate::kinds::CommandFields;
use crate::places::Places;
use crate::record::kind;
use crate::types::{Command, EnvFile, ModuleDirectory};
use crate::{CommandWord, Diagnostic, Kind, Makes, Need, Output, Platforms, Text, TextSource};

kind! {
    /// A command in the tree. Without `inputs` it always runs. The environment is closed.
    Exec in Group::Other {
        /// Program and arguments. `go` is the project's own toolchain. A program is keyed by its contents.
        /// `Tool("name")` is allowed: a command that the module depends on.
        command: Command,
        ..fields: CommandFields,
    }
}

impl Kind for Exec {
    fn makes(&self) -> Makes {
        self.fields.makes()
    }

    fn env_files(&self) -> &[EnvFile] {
        &self.fields.env_file
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        if self.command.iter().any(|word| matches!(word.source, TextSource::Tool { .. })) {
            needs.push(Need::Go);
        }
        match self.command[0].as_literal() {
            Some("go") => needs.push(Need::Go),
            // A program by path may be the output of another target.
            Some(program) if !program.contains('/') => needs.push(Need::Program(program.to_owned())),
            Some(_) | None => {}
        }
        needs.extend(self.fields.tool_needs());
        needs.dedup();
        needs
    }

    fn scripts(&self) -> Vec<&Text> {
        scripts_among(&self.command)
    }

    fn module(&self) -> Option<&ModuleDirectory> {
        self.fields.module.as_ref()
    }

    fn check(&self, _platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        self.fields.check(diagnostics);
    }

    fn unchecked(&self) -> Option<&'static str> {
        self.fields.unchecked()
    }

    fn outputs<'a>(&'a self, places: &Places<'a>) -> Vec<Output<'a>> {
        self.fields.places(places)
    }
}

/// Returns the scripts of a shell's command line: the word after `-c`.
fn scripts_among(command: &[CommandWord]) -> Vec<&Text> {
    const SHELLS: [&str; 6] = ["sh", "ash", "bash", "dash", "ksh", "zsh"];
    let is_shell = |word: &CommandWord| {
        let name = word.as_literal().map(|name| name.rsplit('/').next().unwrap_or_default());
        name.is_some_and(|name| SHELLS.contains(&name))
    };
    let is_flag = |word: &CommandWord| {
        word.as_literal().is_some_and(|word| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c'))
    };
    // The shell may stand behind `env` or another program that starts it.
    let Some(shell) = command.iter().position(is_shell) else { return Vec::new() };
    let flag = command[shell..].iter().position(is_flag);
    flag.and_then(|flag| command.get(shell + flag + 1)).map(|word| &**word).into_iter().collect()
}
