//! `Exec`: fields, outputs and needs of one kind.

use crate::kinds::Process;
use crate::places::Places;
use crate::record::kind;
use crate::types::Command;
use crate::{Kind, Makes, Need, Output, TextSource};

kind! {
    /// A command in the tree. Without `inputs` it always runs. The environment is closed.
    Exec in Group::Other {
        /// Program and arguments. `go` is the project's own toolchain. A program is keyed by its contents.
        /// `Tool("name")` is allowed: a command that the module depends on.
        command: Command,
        ..process: Process,
    }
}

impl Kind for Exec {
    fn makes(&self) -> Makes {
        self.process.makes()
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
        needs.extend(self.process.tool_needs());
        needs.dedup();
        needs
    }

    fn unchecked(&self) -> Option<&'static str> {
        self.process.unchecked()
    }

    fn outputs<'a>(&'a self, places: &Places<'a>) -> Vec<Output<'a>> {
        self.process.places(places)
    }
}
