//! `Shell`: fields, outputs and needs of one kind.

use crate::kinds::CommandFields;
use crate::places::Places;
use crate::record::kind;
use crate::types::{EnvFile, ModuleDirectory};
use crate::{Diagnostic, Kind, Makes, Need, Output, Platforms, Script};

kind! {
    /// A script of `sh -eu` in the tree. Without `inputs` it always runs. The environment is closed. Braces in the script
    /// are the shell's: a variable of build.ron comes to it by `env: {"VERSION": "{version}"}`, as `"$VERSION"`.
    Shell(script) in Group::Other {
        /// The script, word for word. `{version}` in it is an error if `version` is a variable.
        script: Script,
        ..fields: CommandFields,
    }
}

impl Kind for Shell {
    fn makes(&self) -> Makes {
        self.fields.makes()
    }

    fn env_files(&self) -> &[EnvFile] {
        &self.fields.env_file
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = vec![Need::Program("sh".to_owned())];
        needs.extend(self.fields.tool_needs());
        needs
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
