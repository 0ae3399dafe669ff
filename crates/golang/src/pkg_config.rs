//! Asks pkg-config where headers and libraries of packages are, as the go command does for `#cgo pkg-config:` lines.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rondel_engine::{StepContext, StepError};
use rondel_process::{CommandLine, find_tool};

use crate::link_inputs::CFlags;

/// Returns directories of headers and libraries, and the `.pc` files that name them. `environment` is that of the build.
pub(crate) fn ask_pkg_config(
    context: &StepContext<'_>,
    environment: &[(String, String)],
    directory: &Path,
    names: &BTreeSet<String>,
) -> Result<(Vec<PathBuf>, Vec<PathBuf>), StepError> {
    let value = |name: &str| environment.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    let program = value("PKG_CONFIG").filter(|name| !name.is_empty()).unwrap_or("pkg-config");
    let program = find_tool(program, value("PATH").unwrap_or(""), directory).map_err(|error| {
        let hint = error.hint("a `#cgo pkg-config:` line needs it: install pkg-config");
        StepError::environment(error.to_string()).hint(hint)
    })?;
    let ask = |arguments: &[&str], names: &[&str]| {
        let arguments = arguments.iter().chain(&["--"]).chain(names).copied();
        let line = CommandLine::new(&program, directory).arguments(arguments).environment(environment.to_vec());
        let said = context.capture(&line).map(|captured| String::from_utf8_lossy(&captured.stdout).into_owned());
        said.map_err(|error| with_places(error, value("PKG_CONFIG_LIBDIR").filter(|_| value("PKG_CONFIG").is_none())))
    };
    // Options may stand among the names: `#cgo pkg-config: --static x`.
    let (options, names): (Vec<&str>, Vec<&str>) =
        names.iter().map(String::as_str).partition(|name| name.starts_with('-'));
    let mut arguments = options.clone();
    arguments.extend(["--cflags", "--libs"]);
    let said = ask(&arguments, &names)?;
    let flags = CFlags::parse(said.split_whitespace(), directory);
    let mut directories: Vec<PathBuf> = flags.includes.into_iter().chain(flags.libraries).collect();
    let mut files = flags.files;
    for name in names {
        // `x >= 1.2` names a version too.
        let name = name.split(['<', '>', '=', '!']).next().unwrap_or(name);
        let place = PathBuf::from(ask(&["--variable=pcfiledir"], &[name])?.trim());
        files.push(place.join(format!("{name}.pc")));
        directories.push(place);
    }
    Ok((directories, files))
}

/// Adds to an error where packages for another platform were looked for.
fn with_places(error: StepError, places: Option<&str>) -> StepError {
    match (error, places) {
        (StepError::Command { summary, status, output, told, hint: None }, Some(places)) => {
            let hint = format!(
                "pkg-config looked in {places}: install the package's files for the platform, or name other places with \
                 `PKG_CONFIG_LIBDIR`, or another program with `PKG_CONFIG`, in `env`"
            );
            StepError::Command { summary, status, output, told, hint: Some(hint) }
        }
        (error, _) => error,
    }
}
