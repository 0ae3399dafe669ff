//! `Programs`: the programs of generators. Those of `tools` have names of their own, directives name others; a directive
//! whose program is not found is refused before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rondel_cas::RelativePath;
use rondel_engine::{ActionSpec, InputSet, StepContext, StepError};
use rondel_golang::{GeneratorProgram, ProgramSource, is_fixed_version};
use rondel_process::find_tool;

use super::sources::{Found, within_root};
use crate::tools::Tools;

/// Generators that many projects use, and their import paths, for hints.
const KNOWN: [(&str, &str); 16] = [
    ("controller-gen", "sigs.k8s.io/controller-tools/cmd/controller-gen"),
    ("counterfeiter", "github.com/maxbrunsfeld/counterfeiter/v6"),
    ("easyjson", "github.com/mailru/easyjson/easyjson"),
    ("enumer", "github.com/dmarkham/enumer"),
    ("gqlgen", "github.com/99designs/gqlgen"),
    ("mockery", "github.com/vektra/mockery/v2"),
    ("mockgen", "go.uber.org/mock/mockgen"),
    ("moq", "github.com/matryer/moq"),
    ("msgp", "github.com/tinylib/msgp"),
    ("oapi-codegen", "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen"),
    ("protoc-gen-go", "google.golang.org/protobuf/cmd/protoc-gen-go"),
    ("sqlc", "github.com/sqlc-dev/sqlc/cmd/sqlc"),
    ("stringer", "golang.org/x/tools/cmd/stringer"),
    ("swag", "github.com/swaggo/swag/cmd/swag"),
    ("templ", "github.com/a-h/templ/cmd/templ"),
    ("wire", "github.com/google/wire/cmd/wire"),
];

/// The programs of a `GoGenerate`.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// `tools`, by name on PATH.
    pub(crate) named: BTreeMap<String, ProgramSource>,
    /// The caller's `PATH`.
    pub(crate) search_path: String,
    /// Directory of the module.
    pub(crate) root: PathBuf,
}

/// What directives start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Started {
    /// Names on PATH and absolute paths.
    names: BTreeSet<String>,
    /// Commands of other modules that `go run` starts.
    pub(crate) published: BTreeSet<String>,
}

impl Programs {
    /// Returns the programs of directives; refuses those that are not there or are not the same each time.
    pub(crate) fn started(&self, directives: &[Found], inputs: &InputSet) -> Result<Started, StepError> {
        let mut started = Started::default();
        let files: BTreeSet<RelativePath> = inputs.iter().map(|input| input.path).collect();
        for found in directives {
            match self.program_of(found, &files, &mut started) {
                // It does not run here, or `go generate` says the same.
                Err(_) if found.is_constrained => {}
                outcome => outcome?,
            }
        }
        Ok(started)
    }

    fn program_of(
        &self,
        found: &Found,
        files: &BTreeSet<RelativePath>,
        started: &mut Started,
    ) -> Result<(), StepError> {
        let place = found.place();
        match found.directive.program() {
            GeneratorProgram::Go => {}
            GeneratorProgram::Published(command) => {
                let version = command.split_once('@').map_or("", |(_, version)| version);
                if !is_fixed_version(version) {
                    let message = format!("{place} runs `{command}`, which is another program each time");
                    return Err(StepError::input(message).hint("write a version, `@v1.2.3`"));
                }
                started.published.insert(command);
            }
            GeneratorProgram::Name(name) if self.named.contains_key(&name) => {}
            GeneratorProgram::Name(name) if name == "gofmt" => {}
            GeneratorProgram::Name(name) => {
                find_tool(&name, &self.search_path, &self.root).map_err(|_| missing(&place, &name))?;
                started.names.insert(name);
            }
            GeneratorProgram::Variable(word) => {
                let message = format!("{place} starts `{word}`, and what that is, is known only when it runs");
                return Err(StepError::input(message)
                    .hint("write its name in the directive, and where it comes from in `tools`"));
            }
            GeneratorProgram::Path(path) if path.starts_with('/') => drop(started.names.insert(path)),
            GeneratorProgram::Path(path) => {
                let directory = found.file.parent().map(|parent| parent.to_string()).unwrap_or_default();
                self.check_path(&place, &Path::new(&directory).join(path), files)?;
            }
        }
        Ok(())
    }

    /// Refuses a program of the tree that is no input. One that is not there may be made by an earlier directive.
    fn check_path(&self, place: &str, path: &Path, files: &BTreeSet<RelativePath>) -> Result<(), StepError> {
        let Some(normal) = within_root(path) else {
            let message = format!("{place} starts `{}`, which is outside of `root`", path.display());
            return Err(StepError::input(message).hint("give it by `tools`, under a name"));
        };
        let is_input = RelativePath::from_path(&normal).is_ok_and(|path| files.contains(&path));
        if is_input || !self.root.join(&normal).is_file() {
            return Ok(());
        }
        let shown = normal.display();
        Err(StepError::input(format!("{place} starts `{shown}`, which is no input"))
            .hint(format!("add \"{shown}\" to `inputs`")))
    }

    /// Adds the identities of all programs to a key, and returns those that are found on this machine.
    pub(crate) fn identify(
        &self,
        context: &StepContext<'_>,
        started: &Started,
        spec: &mut ActionSpec,
    ) -> Result<(), StepError> {
        for (name, program) in &self.named {
            let what = match program {
                // Its contents are among those of all that are found.
                ProgramSource::Found(path) => path,
                ProgramSource::Built(_) | ProgramSource::Made(_) => {
                    program.identify(context, name, (&self.search_path, &self.root), spec)?;
                    "made"
                }
            };
            spec.settings.insert(format!("tool {name}"), what.to_owned());
        }
        spec.tools.extend(self.tools(started)?.identities(&context.workspace.snapshot)?);
        Ok(())
    }

    fn tools(&self, started: &Started) -> Result<Tools, StepError> {
        let named = self.named.values().filter_map(|program| match program {
            ProgramSource::Found(path) => Some(path.clone()),
            ProgramSource::Built(_) | ProgramSource::Made(_) => None,
        });
        let names: Vec<String> = named.chain(started.names.iter().cloned()).collect();
        Tools::find(&names, None, &self.search_path, &self.root)
    }

    /// Returns the programs of a run, under their names.
    pub(crate) fn for_run(&self, context: &StepContext<'_>, started: &Started) -> Result<Tools, StepError> {
        let mut tools = self.tools(started)?;
        for (name, program) in &self.named {
            let place = program.place(context, &self.search_path, &self.root)?;
            tools.programs.insert(name.clone(), place);
        }
        Ok(tools)
    }
}

fn missing(place: &str, name: &str) -> StepError {
    let known = KNOWN.iter().find(|(known, _)| *known == name);
    let path = known.map_or("import/path", |(_, path)| path);
    StepError::environment(format!("{place} starts `{name}`, which is neither in `tools` nor on PATH"))
        .hint(format!("write `tools: {{\"{name}\": Tool(\"{path}@v…\")}}` with a version, or install it"))
}
