//! `Template`: fields, checks and outputs of one kind.

use crate::places::Places;
use crate::record::kind;
use crate::types::{OutPath, Platforms, SourcePath};
use crate::{Diagnostic, Kind, Makes, Need, Output};

kind! {
    /// A file of the tree with values in place of names: `{version}` is a variable of `vars`, `{image:digest}` and
    /// `{image:ref}` are facts of the image of a target, which then runs first. An unknown name is an error. Other braces
    /// stay as they are: `{}`, `{"a": 1}`, `${NAME}`, `{{ .Values.name }}`; `\{name}` stands for `{name}`. The result can
    /// be executed if the file can.
    TemplateFile = "Template" in Group::Build {
        /// Path of the file.
        from: SourcePath,
        /// Path of the result, relative to `root`.
        to: OutPath,
    }
}

impl Kind for TemplateFile {
    fn check(&self, _platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        if self.to.value.ends_with('/') {
            let message = format!("`{}` is a directory, and a `Template` makes one file", self.to.value);
            diagnostics.push(Diagnostic::new(self.to.span, message).hint("write the path of the file"));
        }
    }

    fn makes(&self) -> Makes {
        Makes::Files { count: 1 }
    }

    fn names_in_files(&self) -> bool {
        true
    }

    fn is_self_contained(&self) -> bool {
        true
    }

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn outputs<'a>(&'a self, places: &Places<'a>) -> Vec<Output<'a>> {
        vec![places.path(&self.to)]
    }
}
