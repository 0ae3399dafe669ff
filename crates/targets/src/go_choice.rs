//! Which Go build.ron and the module ask for. It knows neither build.lock nor what is on this machine.

use std::path::Path;

use rondel_buildfile::GoChoice;
use rondel_engine::{PROGRAM, UserError};
use rondel_golang::{GoMod, OLDEST_GO, go_version_of, module_text, needs_newer};

use crate::modules::Module;

/// A wish for a Go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedGo {
    /// `go: System`
    Installed,
    /// One release, and what names it.
    Exact {
        /// `1.22.12`
        version: String,
        /// `build.ron`, `go.mod`, `.go-version`
        named_by: String,
    },
    /// The newest patch release of a line that build.lock pins.
    Line {
        /// The oldest one that will do: `1.24.0`.
        at_least: String,
        /// `go.mod`, `.go-version`
        named_by: String,
    },
}

impl WantedGo {
    /// Returns the release, or the oldest one that will do; `None` for the installed Go.
    pub fn version(&self) -> Option<&str> {
        match self {
            WantedGo::Installed => None,
            WantedGo::Exact { version, .. } => Some(version),
            WantedGo::Line { at_least, .. } => Some(at_least),
        }
    }
}

/// Files of other tools that name a version, in the order in which they count, and how a line of each begins.
const VERSION_FILES: &[(&str, &[&str])] = &[(".go-version", &[""]), (".tool-versions", &["golang ", "go "])];

/// Returns the Go that `choice` means for a module of `workspace`.
pub fn wanted_go(choice: &GoChoice, module: &Module, workspace: &Path) -> Result<WantedGo, UserError> {
    let read = |path: &Path| Ok::<_, UserError>(module_text(path)?.map(|text| GoMod::parse(&text)));
    // The lines of a go.work take precedence over those of its modules.
    let (go_mod, named_by) = match module.go_work.as_deref().map(read).transpose()?.flatten() {
        Some(go_work) => (Some(go_work), "go.work".to_owned()),
        None => (read(&module.directory.join("go.mod"))?, module.file("go.mod")),
    };
    match choice {
        GoChoice::System => Ok(WantedGo::Installed),
        GoChoice::Version(version) => {
            check_named(version, "build.ron", (&named_by, go_mod.as_ref()))?;
            Ok(WantedGo::Exact { version: version.clone(), named_by: "build.ron".to_owned() })
        }
        GoChoice::FromGoMod => {
            let go_mod = go_mod.ok_or_else(|| {
                UserError::input(format!(
                    "`go: FromGoMod`, but there is no `{}`",
                    module.directory.join("go.mod").display()
                ))
                .hint("write `go: Version(\"…\")`, or set `root`, or `module` of the targets")
            })?;
            from_go_mod(&go_mod, named_by, (&module.directory, workspace))
        }
    }
}

fn from_go_mod(go_mod: &GoMod, named_by: String, (module, workspace): (&Path, &Path)) -> Result<WantedGo, UserError> {
    if let Some(version) = go_mod.valid_toolchain() {
        check_age(version, &named_by)?;
        return Ok(WantedGo::Exact { version: version.to_owned(), named_by });
    }
    if let Some((version, file)) = version_file(module, workspace)? {
        check_named(&version, &file, (&named_by, Some(go_mod)))?;
        return Ok(match version.split('.').count() {
            2 => line_of(&version, file),
            _ => WantedGo::Exact { version, named_by: file },
        });
    }
    let version = go_mod.go.as_deref().ok_or_else(|| {
        UserError::input(format!("{named_by} has neither a `go` nor a `toolchain` line"))
            .hint("write `go: Version(\"…\")`")
    })?;
    check_age(version, &named_by)?;
    let is_release = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    Ok(match is_release {
        true => line_of(version, named_by),
        false => WantedGo::Exact { version: version.to_owned(), named_by },
    })
}

/// Returns the line of a version. Since 1.21 the first release of a line is `1.21.0`.
fn line_of(version: &str, named_by: String) -> WantedGo {
    let has_zero = version.split('.').count() == 2 && go_version_of(version) >= go_version_of("1.21");
    let at_least = if has_zero { format!("{version}.0") } else { version.to_owned() };
    WantedGo::Line { at_least, named_by }
}

/// Returns the version that a file of another tool names, and the file. The nearest one counts, from the module's
/// directory up to that of build.ron.
fn version_file(module: &Path, workspace: &Path) -> Result<Option<(String, String)>, UserError> {
    for directory in module.ancestors().take_while(|directory| directory.starts_with(workspace)) {
        for (name, beginnings) in VERSION_FILES {
            let Some(text) = module_text(&directory.join(name))? else { continue };
            let lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
            let named = |line: &str| beginnings.iter().find_map(|start| line.strip_prefix(start)).map(str::to_owned);
            let place = directory.join(name);
            let place = place.strip_prefix(workspace).unwrap_or(&place).display().to_string();
            let Some(found) = lines.filter(|line| !line.is_empty()).find_map(named) else { continue };
            // `.tool-versions` may name more than one: the first counts.
            let word = found.split_whitespace().next().unwrap_or("");
            let version = word.strip_prefix("go").unwrap_or(word);
            if version == "system" {
                continue;
            }
            let parts: Vec<&str> = version.split('.').collect();
            let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            if !(2..=3).contains(&parts.len()) || !parts.iter().all(is_number) {
                return Err(UserError::input(format!("`{place}` names the Go `{word}`, which is no release"))
                    .hint("write one like `1.22.12` there, or say `go: Version(\"…\")` in build.ron"));
            }
            return Ok(Some((version.to_owned(), place)));
        }
    }
    Ok(None)
}

/// Refuses a named version that is too old for Rondel, or for the module.
fn check_named(version: &str, named_by: &str, (file, go_mod): (&str, Option<&GoMod>)) -> Result<(), UserError> {
    check_age(version, named_by)?;
    // `1.24` of a file may become any release of its line.
    let as_newest = if version.split('.').count() == 2 && named_by != "build.ron" {
        format!("{version}.{}", u32::MAX)
    } else {
        version.to_owned()
    };
    let Some(wanted) = go_mod.and_then(|go_mod| needs_newer(go_mod, &as_newest)) else { return Ok(()) };
    let message = format!("{file} asks for Go {wanted}, and {named_by} says Go {version}");
    let hint = match named_by {
        "build.ron" => format!("raise `go:` in build.ron, then run `{PROGRAM} lock`"),
        file => format!("raise it in `{file}`, then run `{PROGRAM} lock`"),
    };
    Err(UserError::input(message).hint(hint))
}

/// Refuses a version that Rondel can't build with, before anything of it is fetched.
pub(crate) fn check_age(version: &str, named_by: &str) -> Result<(), UserError> {
    if go_version_of(version).is_none_or(|version| Some(version) >= go_version_of(OLDEST_GO)) {
        return Ok(());
    }
    let message = format!("{named_by} asks for Go {version}, and Rondel builds with Go {OLDEST_GO} and later");
    Err(UserError::input(message).hint(
        "write a newer release, `go: Version(\"1.22.12\")`: it builds older modules by the rules of their `go` lines",
    ))
}
