//! The main packages of the chosen modules, found by their package clauses.

use rondel_golang::executable_name;

use crate::SurveyError;
use crate::build_constraint::{is_built, name_fits};
use crate::files::{Files, below, relative};
use crate::modules::Modules;

/// A main package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Name of the executable.
    pub name: String,
    /// Pattern of the package, relative to `root`: `./cmd/app`.
    pub package: String,
}

/// Returns the programs, in the order of their directories.
pub(crate) fn find(files: &mut Files, modules: &Modules) -> Result<Vec<Program>, SurveyError> {
    let module_directories = files.module_directories();
    let is_module = |directory: &str| module_directories.iter().any(|other| other == directory);
    let mut programs: Vec<Program> = Vec::new();
    for (directory, names) in files.go_directories() {
        let Some((path, rest)) = modules.module_of(&directory, is_module) else { continue };
        if !is_main(files, &directory, &names) {
            continue;
        }
        let import_path = if rest.is_empty() { path.to_owned() } else { below(path, rest) };
        let inside = relative(&directory, &modules.root).unwrap_or_default();
        let package = if inside.is_empty() { ".".to_owned() } else { format!("./{inside}") };
        programs.push(Program { name: executable_name(&import_path, "linux"), package });
    }
    if programs.is_empty() {
        let message = "there is no main package in the module".to_owned();
        return Err(SurveyError::new(message, "Rondel builds programs; `--root PATH` chooses another module"));
    }
    Ok(programs)
}

/// Returns true if a build has files in `directory`, all with `package main`; files of several packages build nothing.
fn is_main(files: &mut Files, directory: &str, names: &[String]) -> bool {
    let mut packages = Vec::new();
    for name in names.iter().filter(|name| name_fits(name)) {
        let Some(source) = files.source(directory, name) else {
            files.note(format!("`{}` was not read", below(directory, name)));
            continue;
        };
        if !is_built(&source) {
            continue;
        }
        if imports_c(&source) {
            files.note_c(&below(directory, name));
        }
        // Files of `documentation` belong to no package.
        if let Some(package) = rondel_closure::package_name(&source).filter(|name| *name != "documentation") {
            packages.push(package == "main");
        }
    }
    !packages.is_empty() && packages.iter().all(|is_main| *is_main)
}

/// Returns true for a file with C code, which a static build leaves out.
fn imports_c(source: &[u8]) -> bool {
    let lines = source.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut lines = lines.take_while(|line| !line.starts_with(b"func "));
    lines.any(|line| line == b"import \"C\"" || line == b"\"C\"")
}

/// Returns the name of a program as build.ron takes it for a target, unlike `taken`.
pub(crate) fn target_name(program: &Program, taken: &[String]) -> String {
    let name = program.name.trim_start_matches(['.', '-', '_', '/']);
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    let name = if name.is_empty() { "program".to_owned() } else { name };
    let mut candidates = std::iter::once(name.clone()).chain((2..).map(|number| format!("{name}-{number}")));
    candidates.find(|name| !taken.contains(name)).expect("one of endlessly many is free")
}
