//! What the executables of a build are called: Go's own names, and names that are declared for packages. It builds
//! nothing, and of the tree it looks at directories of declared packages alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rondel_cas::{MEMORY_MAX, read_text_at_most};
use rondel_engine::StepError;
use rondel_names::suggest;

use crate::local_modules::lexically;
use crate::packages::GoPackages;

/// The declared names, without `.exe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutableNames {
    /// None: all are Go's own.
    GoOwn,
    /// The name of the only executable.
    Only(String),
    /// Names by package, as written: `./cmd/a`, or an import path.
    Each(Vec<(String, String)>),
}

/// An executable of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Executable {
    /// Import path of its main package.
    pub import_path: String,
    /// The file name that `go build` chooses.
    pub made: String,
    /// The file name that it gets.
    pub name: String,
}

impl ExecutableNames {
    /// Returns the executables of `mains`, the main packages with their directories.
    pub(crate) fn of(
        &self,
        mains: &BTreeMap<String, PathBuf>,
        packages: &GoPackages,
    ) -> Result<Vec<Executable>, StepError> {
        let os = packages.platform.os();
        let mut executables: Vec<Executable> = mains
            .keys()
            .map(|import_path| {
                let made = executable_name(import_path, os);
                Executable { import_path: import_path.clone(), name: made.clone(), made }
            })
            .collect();
        match self {
            ExecutableNames::GoOwn => {}
            ExecutableNames::Only(name) => match executables.as_mut_slice() {
                [only] => only.name = with_ending(name, os),
                several => return Err(not_for_one(several, mains, packages)),
            },
            ExecutableNames::Each(names) => {
                let mut named: Vec<Option<&str>> = vec![None; executables.len()];
                for (package, name) in names {
                    let Some(index) = mains.iter().position(|main| is_package(package, main, &packages.go.module))
                    else {
                        if is_left_out_here(package, packages) {
                            continue;
                        }
                        return Err(unknown(package, mains, packages));
                    };
                    if let Some(other) = named[index].replace(package) {
                        let message = format!("`{other}` and `{package}` are one package, and it has two names");
                        return Err(StepError::input(message).hint("remove one of the two"));
                    }
                    executables[index].name = with_ending(name, os);
                }
            }
        }
        for (index, executable) in executables.iter().enumerate() {
            if let Some(other) = executables[..index].iter().find(|other| other.name == executable.name) {
                let (one, two) = (&other.import_path, &executable.import_path);
                let message =
                    format!("`{}` builds two commands named `{}`: {one} and {two}", packages.key, executable.name);
                let package = written(two, &mains[two], &packages.go.module);
                return Err(StepError::input(message).hint(format!("name one of them: name: {{\"{package}\": \"…\"}}")));
            }
        }
        Ok(executables)
    }
}

/// Returns the executables in groups in which each has another name by Go: `go build` would write one over the other.
pub(crate) fn rounds(executables: Vec<Executable>) -> Vec<Vec<Executable>> {
    let mut rounds: Vec<Vec<Executable>> = Vec::new();
    for executable in executables {
        let is_free = |round: &&mut Vec<Executable>| !round.iter().any(|other| other.made == executable.made);
        match rounds.iter_mut().find(is_free) {
            Some(round) => round.push(executable),
            None => rounds.push(vec![executable]),
        }
    }
    rounds
}

/// The name that `go build` gives a command: the last element of its path, or the one before a major version.
pub fn executable_name(import_path: &str, os: &str) -> String {
    let mut parts = import_path.rsplit('/');
    let last = parts.next().unwrap_or(import_path);
    // `isVersionElement` of cmd/go/internal/load; a file that is named has no version.
    let is_version = last.strip_prefix('v').is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) && !rest.starts_with('0') && rest != "1"
    });
    let is_file = import_path.starts_with("command-line-arguments/");
    with_ending(if is_version && !is_file { parts.next().unwrap_or(last) } else { last }, os)
}

fn with_ending(name: &str, os: &str) -> String {
    if os == "windows" { format!("{name}.exe") } else { name.to_owned() }
}

/// Returns true for a package that is written as a path below the module, as `go` takes it.
fn is_path(package: &str) -> bool {
    matches!(package, "." | "..") || package.starts_with("./") || package.starts_with("../")
}

/// Returns the directory of a package that is written as a path.
fn directory(package: &str, module: &Path) -> PathBuf {
    lexically(&module.join(package))
}

fn is_package(package: &str, (import_path, place): (&String, &PathBuf), module: &Path) -> bool {
    match is_path(package) {
        true => directory(package, module) == *place,
        false => package.trim_end_matches('/') == import_path,
    }
}

/// Returns true if the package is a command of the tree that a pattern names, and that constraints leave out on this
/// platform.
fn is_left_out_here(package: &str, packages: &GoPackages) -> bool {
    let is_named = |pattern: &String| match pattern.split_once("...") {
        Some((before, _)) => {
            is_path(pattern) == is_path(package)
                && format!("{}/", plain(package).trim_end_matches('/')).starts_with(plain(before))
        }
        None => false,
    };
    if !packages.patterns.iter().any(is_named) {
        return false;
    }
    let directories: Vec<PathBuf> = match is_path(package) {
        true => vec![directory(package, &packages.go.module)],
        false => packages.local_modules().providers(package).map(|(_, directory)| directory).collect(),
    };
    let files = directories.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
    let sources = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|ending| ending == "go"));
    sources.filter_map(|path| read_text_at_most(&path, MEMORY_MAX).ok()).any(|text| {
        let words = text.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
        words.into_iter().any(|words| words == ["package", "main"])
    })
}

/// Returns a path without the `./` that says nothing.
fn plain(path: &str) -> &str {
    path.trim_start_matches("./")
}

/// Returns the form of a package in build.ron: a path if it is below the module.
fn written(import_path: &str, place: &Path, module: &Path) -> String {
    match place.strip_prefix(module).map(|below| below.to_string_lossy().into_owned()) {
        Ok(below) if below.is_empty() => ".".to_owned(),
        Ok(below) => format!("./{below}"),
        Err(_) => import_path.to_owned(),
    }
}

fn not_for_one(executables: &[Executable], mains: &BTreeMap<String, PathBuf>, packages: &GoPackages) -> StepError {
    let names: Vec<&str> = executables.iter().map(|executable| executable.made.as_str()).collect();
    let first = mains.iter().next().map_or_else(String::new, |(path, place)| written(path, place, &packages.go.module));
    let count = executables.len();
    StepError::input(format!("`{}` builds {count} commands, and `name` names one: {}", packages.key, names.join(", ")))
        .hint(format!("name them by package: name: {{\"{first}\": \"…\"}}"))
}

fn unknown(package: &str, mains: &BTreeMap<String, PathBuf>, packages: &GoPackages) -> StepError {
    let all: Vec<String> = mains.iter().map(|(path, place)| written(path, place, &packages.go.module)).collect();
    let error = StepError::input(format!("`{}` builds no command of the package `{package}`", packages.key));
    let near = suggest(package, all.iter().map(String::as_str).chain(mains.keys().map(String::as_str)));
    error.hint(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it builds {}", all.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_executables() {
        assert_eq!(executable_name("example.com/a/cmd/tool", "linux"), "tool");
        assert_eq!(executable_name("github.com/x/task/v3", "linux"), "task");
        assert_eq!(executable_name("example.com/v1", "windows"), "v1.exe");
        assert_eq!(executable_name("example.com/x/v02", "linux"), "v02");
        assert_eq!(executable_name("example.com/x/v99999999999", "linux"), "x");
        assert_eq!(executable_name("command-line-arguments/v2", "linux"), "v2");
    }

    #[test]
    fn packages_as_they_are_written() {
        let module = Path::new("/m");
        let is = |package: &str| {
            is_package(package, (&"example.com/x/cmd/a".to_owned(), &PathBuf::from("/m/cmd/a")), module)
        };
        for package in ["./cmd/a", "./cmd/a/", "./cmd/../cmd/./a", "example.com/x/cmd/a"] {
            assert!(is(package), "{package}");
        }
        for package in ["cmd/a", "./cmd", "./cmd/a/b", "example.com/x/cmd", "../cmd/a"] {
            assert!(!is(package), "{package}");
        }
        assert_eq!(written("example.com/x", Path::new("/m"), module), ".");
        assert_eq!(written("example.com/y", Path::new("/cache/y"), module), "example.com/y");
    }

    #[test]
    fn names_that_go_would_give_twice_are_made_in_rounds() {
        let executable = |path: &str, made: &str| Executable {
            import_path: path.to_owned(),
            made: made.to_owned(),
            name: path.to_owned(),
        };
        let made = rounds(vec![executable("a", "x"), executable("b", "y"), executable("c", "x"), executable("d", "x")]);
        let paths: Vec<Vec<&str>> =
            made.iter().map(|round| round.iter().map(|one| one.import_path.as_str()).collect()).collect();
        assert_eq!(paths, [vec!["a", "b"], vec!["c"], vec!["d"]]);
    }
}
