//! What a Go repository says of itself, and the texts that adopt Rondel in it: build.ron and Cargo's files.
//!
//! It reads and starts nothing; who calls it writes. Each file is hostile: sizes are limited, links are not followed, and a
//! name or value with unexpected characters is left out with a note. What can't be told becomes a comment.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "a test reads the files that it has made"))]

mod addresses;
mod build_constraint;
mod build_ron;
mod cargo_files;
mod compose;
mod containers;
mod files;
mod ignore_lines;
mod linker_flags;
mod make_variables;
mod modules;
mod programs;

use std::path::Path;

pub use build_ron::build_ron;
pub use cargo_files::{CargoFiles, RondelSource, alias_in, member_in};
pub use ignore_lines::{docker_ignore, git_ignore};

use crate::compose::ComposeFile;
use crate::containers::Container;
use crate::files::Files;
use crate::linker_flags::LinkerFlags;
use crate::modules::Modules;
use crate::programs::Program;

/// Why a repository can't be described, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyError {
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

impl SurveyError {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> SurveyError {
        SurveyError { message: message.into(), hint: hint.into() }
    }
}

/// What a repository says of itself. Paths are relative to its top.
#[derive(Clone, Debug)]
pub struct Survey {
    project: String,
    modules: Modules,
    programs: Vec<Program>,
    flags: LinkerFlags,
    container: Container,
    compose: Option<ComposeFile>,
    /// True if a Dockerfile or an ignore file of Docker is there.
    pub uses_docker: bool,
    /// True if a directory `dist` is there.
    pub has_dist: bool,
    /// What could not be read, for the head of build.ron.
    notes: Vec<String>,
}

/// Looks at the repository in `top`. `root` is the directory of the module, if the caller named one; `skip` is a directory
/// that is not the repository's own.
pub fn survey(top: &Path, root: Option<&str>, skip: Option<&str>) -> Result<Survey, SurveyError> {
    let mut files = Files::find(top, skip);
    let mut modules = modules::choose(&mut files, root)?;
    let programs = programs::find(&mut files, &modules)?;
    let container = containers::read(&mut files, &modules.root);
    modules.settle_go(container.go.as_deref());
    let compose = compose::read(&mut files, &modules.root);
    let flags = linker_flags::read(&mut files, &modules);
    let container = match &compose {
        Some(compose) => container.completed(compose),
        None => container,
    };
    let uses_docker = !files.dockerfiles().is_empty() || files.has(".dockerignore");
    Ok(Survey {
        project: project_name(&modules, &programs),
        has_dist: top.join("dist").symlink_metadata().is_ok(),
        modules,
        programs,
        flags,
        container,
        compose,
        uses_docker,
        notes: files.into_notes(),
    })
}

impl Survey {
    /// Returns the directory of the module, relative to the top; empty for the top itself.
    pub fn root(&self) -> &str {
        &self.modules.root
    }

    /// Returns the targets that people type, in the order of the file.
    pub fn targets(&self) -> Vec<String> {
        build_ron::targets(self)
    }
}

/// Returns the last element of the module's path, or of the only program, as a name that build.ron takes.
fn project_name(modules: &Modules, programs: &[Program]) -> String {
    let path = match programs {
        [only] => only.name.as_str(),
        _ => modules.path.as_str(),
    };
    let name = rondel_golang::executable_name(path, "linux").to_lowercase();
    let kept = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_' { c } else { '-' };
    let name: String = name.chars().map(kept).collect();
    let name = name.trim_matches(['-', '_']);
    if name.is_empty() { "project".to_owned() } else { name.to_owned() }
}

/// Returns true if every character is plain in a path, an import path, a shell word and a text of build.ron.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/+~@".contains(c))
}

#[cfg(test)]
mod tests;
