//! Stamps that `-X` of the linker would ignore in silence: a package that is not in the program, a constant, a variable
//! that the program sets again. They are looked for when a build runs, so a build that is up to date pays nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rondel_cas::{MEMORY_MAX, read_at_most};
use rondel_engine::{Job, StepError};
use rondel_names::suggest;
use rondel_process::CommandLine;
use serde::Deserialize;

use crate::closure::Closure;
use crate::environment::turn_index_off;
use crate::package_variables::{Package, Settable};
use crate::packages::GoPackages;

/// A package of the build as `go list -json` describes it; the fields asked for.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Listed {
    import_path: String,
    dir: PathBuf,
    name: String,
    go_files: Vec<String>,
    cgo_files: Vec<String>,
}

impl Listed {
    fn files(&self) -> Vec<PathBuf> {
        self.go_files.iter().chain(&self.cgo_files).map(|file| self.dir.join(file)).collect()
    }
}

/// Refuses names of `stamps` that the linker would ignore. Warns of those that it may set in vain.
pub(crate) fn check_stamps(
    packages: &GoPackages,
    closure: &Closure,
    stamps: &[(String, String)],
    job: &Job<'_>,
) -> Result<(), StepError> {
    let mut listed: Option<Vec<Listed>> = None;
    for (stamp, _) in stamps {
        let Some((package, variable)) = stamp.rsplit_once('.') else { continue };
        let known: Vec<Vec<PathBuf>> = match package {
            "main" => closure.mains.values().map(|directory| closure.go_files(directory)).collect(),
            _ => packages.sources_of(closure, package),
        };
        let candidates: Vec<Package> = if known.is_empty() || known.iter().any(Vec::is_empty) {
            // Of modules that others write, and of the standard library.
            let all = match listed.take() {
                Some(all) => all,
                None => list(packages, job)?,
            };
            let is_wanted = |one: &&Listed| match package {
                "main" => one.name == "main" && closure.mains.values().any(|directory| *directory == one.dir),
                _ => one.import_path == package && one.name != "main",
            };
            let found: Vec<Package> = all.iter().filter(is_wanted).map(|one| read(one.files())).collect();
            if found.is_empty() {
                return Err(no_package(stamp, variable, &all));
            }
            listed = Some(all);
            found
        } else {
            known.into_iter().map(read).collect()
        };
        // Several commands are one build, and each may have what the others lack.
        match candidates.iter().filter_map(|one| one.settable(variable)).max() {
            Some(Settable::Yes) => {}
            Some(Settable::Unsure) => job.warn(format!(
                "`stamp` sets `{stamp}`, whose first value is no constant: the program may set it again when it starts"
            )),
            Some(settable) => return Err(not_set(stamp, package, settable, &candidates)),
            None => return Err(not_declared(stamp, package, variable, &candidates)),
        }
    }
    Ok(())
}

fn read(files: Vec<PathBuf>) -> Package {
    let mut package = Package::default();
    // What can't be read is Go's to complain about.
    files.iter().filter_map(|file| read_at_most(file, MEMORY_MAX).ok()).for_each(|source| package.add(&source));
    package
}

/// Asks `go` for all packages of the build.
fn list(packages: &GoPackages, job: &Job<'_>) -> Result<Vec<Listed>, StepError> {
    let toolchain = packages.go.toolchain(job)?;
    let mut environment = packages.environment(&toolchain.root);
    turn_index_off(&mut environment);
    let flags = packages.selecting_flags().into_iter();
    let list = ["list", "-e", "-deps", "-json=ImportPath,Dir,Name,GoFiles,CgoFiles"].map(str::to_owned);
    let line = CommandLine::new(toolchain.go(), &packages.go.module)
        .arguments(list.into_iter().chain(flags).chain(["--".to_owned()]).chain(packages.patterns.iter().cloned()))
        .environment(packages.for_process(environment));
    let captured = job.capture(&line)?;
    serde_json::Deserializer::from_slice(&captured.stdout)
        .into_iter::<Listed>()
        .collect::<Result<Vec<Listed>, _>>()
        .map_err(|error| StepError::failed(format!("`go list` printed something else than expected: {error}")))
}

fn no_package(stamp: &str, variable: &str, all: &[Listed]) -> StepError {
    let package = stamp.rsplit_once('.').map_or(stamp, |(package, _)| package);
    let error = |why: &str| StepError::input(format!("`stamp` sets `{stamp}`: {why}, so the linker ignores it"));
    if all.iter().any(|one| one.import_path == package) {
        return error("the linker knows the package of a command as `main`").hint(format!("write `main.{variable}`"));
    }
    let names = all.iter().filter(|one| one.name != "main").map(|one| one.import_path.as_str()).chain(["main"]);
    let error = error(&format!("the program has no package `{package}`"));
    match suggest(package, names) {
        Some(near) => error.hint(format!("did you mean `{near}.{variable}`?")),
        None => error.hint("a variable is named by the import path of its package, or by `main`"),
    }
}

fn not_set(stamp: &str, package: &str, settable: Settable, candidates: &[Package]) -> StepError {
    let (why, hint) = match settable {
        Settable::Constant => ("it is a constant, which the linker can't set", "declare it with `var`"),
        Settable::NoVariable => ("it is no variable, and the linker sets variables only", ""),
        Settable::OtherType => {
            ("it is no variable of the type string", "stamp a string, and convert it in the program")
        }
        Settable::SetAtStart => (
            "its first value is a call, which sets it again when the program starts",
            "declare it without a value, and call in `init` if it is empty",
        ),
        Settable::Unsure | Settable::Yes => unreachable!("these are no mistakes"),
    };
    let error = StepError::input(format!("`stamp` sets `{stamp}`: {why}"));
    if hint.is_empty() { error.hint(others(package, candidates)) } else { error.hint(hint) }
}

fn not_declared(stamp: &str, package: &str, variable: &str, candidates: &[Package]) -> StepError {
    let names: BTreeSet<&str> = candidates.iter().flat_map(Package::variables).collect();
    let message = format!("`stamp` sets `{stamp}`, which is not declared, so the linker ignores it");
    match suggest(variable, names) {
        Some(near) => StepError::input(message).hint(format!("did you mean `{package}.{near}`?")),
        None => StepError::input(message).hint(others(package, candidates)),
    }
}

/// Returns a sentence with the variables that could be stamped.
fn others(package: &str, candidates: &[Package]) -> String {
    let names: BTreeSet<&str> = candidates.iter().flat_map(Package::variables).collect();
    let first: Vec<String> = names.iter().take(5).map(|name| format!("`{package}.{name}`")).collect();
    match names.len() {
        0 => format!("declare it: `var name string` in the package `{package}`"),
        1..=5 => format!("variables that can be set: {}", first.join(", ")),
        _ => format!("variables that can be set: {}, …", first.join(", ")),
    }
}
