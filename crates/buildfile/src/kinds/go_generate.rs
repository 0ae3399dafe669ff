//! `GoGenerate`: fields and needs of one kind.

use crate::record::kind;
use crate::types::{Environment, Globs, ModuleDirectory, Packages, Pattern, Platforms, Programs, Sandbox, Tags};
use crate::{Diagnostic, Glob, Kind, Makes, Need, TextSource};

kind! {
    /// Runs `go generate` in a copy of the module, and puts what `outputs` names into the tree. The result is kept: it
    /// runs again if a Go file, an input or a program of a directive changes. A target that reads the files waits for
    /// it by `after`. `check: true` changes nothing, and fails if a file of the tree is not what is generated.
    GoGenerate in Group::Build {
        /// Directory of the module, below `root`: `"examples"`. Without the field it is `root`. Globs begin at `root`.
        module: Option<ModuleDirectory> = None,
        /// Packages whose directives run, as patterns or import paths.
        packages: Packages,
        /// Globs of the files that are generated; `!` takes files away again. They are no inputs: each run begins
        /// without them. A file that matches and is not generated any more is reported, and stays.
        outputs: Globs,
        /// Globs of the files that generators read beside the module's Go files, what they embed, go.mod and go.sum:
        /// `["internal/db/**/*.sql"]`.
        inputs: Vec<Glob> = Vec::new(),
        /// Programs that come first on `PATH`, by name: `{"stringer": Tool("golang.org/x/tools/cmd/stringer@v0.24.0"),
        /// "mockgen": Output("mockgen"), "protoc": "protoc"}`. A directive finds its own program on the caller's `PATH`
        /// too; what that program starts has to be here. All are keyed by contents.
        tools: Programs = Programs::default(),
        /// Runs only the directives whose text matches this regular expression, as `go generate -run`.
        run: Option<Pattern> = None,
        /// Build tags.
        tags: Tags = Tags::default(),
        /// Environment of the generators, beside Go's own.
        env: Environment = Environment::default(),
        /// True to compare only. A failure names the files that differ.
        check: bool = false,
        /// True if a package builds only with the former outputs: generators then see them, and they are inputs. A run
        /// that changes them is followed by another one.
        sees_outputs: bool = false,
        /// Lets generators use the network. What they fetch is in no key.
        network: bool = false,
        /// `On`: generators can read only the inputs, their programs, Go's own directories and the system's libraries,
        /// on a Linux with Landlock. `Off`: they can read what the user can.
        sandbox: Sandbox = Sandbox::On,
    }
}

impl Kind for GoGenerate {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn needs(&self) -> Vec<Need> {
        let named = self.tools.iter().filter_map(|(_, word)| Need::of_program(word));
        [Need::Go].into_iter().chain(named).collect()
    }

    fn module(&self) -> Option<&ModuleDirectory> {
        self.module.as_ref()
    }

    fn check(&self, _platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        for (name, word) in &self.tools {
            if matches!(name.value.as_str(), "go" | "gofmt") {
                let message = format!("`{}` is always that of the project's own toolchain", name.value);
                diagnostics.push(Diagnostic::new(name.span, message).hint("leave it out"));
            }
            if let TextSource::Template(_) = &word.source
                && let Some(text) = word.as_literal()
                && text.contains('/')
                && !text.starts_with('/')
            {
                let message = format!("the tool `{}` is neither a name nor an absolute path", text.escape_debug());
                diagnostics.push(Diagnostic::new(word.span, message).hint(
                    "a script of the project is an input: name it in `inputs`, and a directive finds it by its path",
                ));
            }
        }
        if self.outputs.iter().all(|glob| glob.value.starts_with('!')) {
            let span = self.outputs[0].span;
            diagnostics.push(Diagnostic::new(span, "`outputs` names no file").hint("write \"**/*_string.go\""));
        }
    }

    fn unchecked(&self) -> Option<&'static str> {
        match self.sandbox {
            Sandbox::On => None,
            Sandbox::Off => Some("sandbox: Off"),
        }
    }
}
