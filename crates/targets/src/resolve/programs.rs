//! Import paths of the programs in an image, for `ko://`.

use std::path::{Component, Path};

use rondel_golang::{GoMod, module_text};

use crate::analyzer::Analyzed;

/// Returns the import paths that package patterns mean, with `/...` at the end as written. `root` is the directory of the
/// project: the module of a directory is that of the nearest go.mod above it, up to there.
pub(crate) fn import_paths(patterns: &[String], root: &Path) -> Analyzed<Vec<String>> {
    let mut found = Vec::new();
    for pattern in patterns {
        let is_local = pattern == "." || pattern == ".." || pattern.starts_with("./") || pattern.starts_with("../");
        if !is_local {
            found.push(pattern.clone());
            continue;
        }
        let (directory, rest) = match pattern.strip_suffix("/...") {
            Some(directory) => (directory, "/..."),
            None => (pattern.as_str(), ""),
        };
        let names: Option<Vec<&str>> = Path::new(directory)
            .components()
            .filter(|component| *component != Component::CurDir)
            .map(|component| if let Component::Normal(name) = component { name.to_str() } else { None })
            .collect();
        // Outside of the project.
        let Some(names) = names else { continue };
        if let Some(path) = import_path(&names, root)? {
            found.push(format!("{path}{rest}"));
        }
    }
    Ok(found)
}

/// Returns the import path of the directory `names` below `root`.
fn import_path(names: &[&str], root: &Path) -> Analyzed<Option<String>> {
    for count in (0..=names.len()).rev() {
        let directory = names[..count].iter().fold(root.to_owned(), |place, name| place.join(name));
        if let Some(text) = module_text(&directory.join("go.mod"))? {
            let module = GoMod::parse(&text).module;
            return Ok(module.map(|module| [&[module.as_str()], &names[count..]].concat().join("/")));
        }
    }
    Ok(None)
}

/// Returns true if `pattern` means the package `path`, as the go command has it.
pub(super) fn means(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix("/...") {
        Some(start) => path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        None => pattern == path,
    }
}

/// Returns the directory with which all globs begin, as its parts. A glob that takes away has none.
pub(crate) fn literal_directory<'g>(globs: impl IntoIterator<Item = &'g str>) -> Vec<String> {
    let mut common: Option<Vec<String>> = None;
    for glob in globs.into_iter().filter(|glob| !glob.starts_with('!')) {
        let parts: Vec<&str> = glob.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let directories = parts.split_last().map_or(&[][..], |(_, directories)| directories);
        let is_plain = |part: &&&str| !part.contains(['*', '?', '[', ']', '{', '}', '\\', '!']);
        let plain: Vec<String> = directories.iter().take_while(is_plain).map(|part| (*part).to_owned()).collect();
        common = Some(match common {
            None => plain,
            Some(common) => {
                common.into_iter().zip(plain).take_while(|(one, other)| one == other).map(|(one, _)| one).collect()
            }
        });
    }
    common.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_globs() {
        for (globs, expected) in [
            (&["deploy/**/*.yaml"][..], "deploy"),
            (&["deploy/a.yaml"], "deploy"),
            (&["./deploy//base/*.yaml", "deploy/prod/*.yaml", "!deploy/x"], "deploy"),
            (&["a.yaml"], ""),
            (&["deploy/*.yaml", "compose.yaml"], ""),
            (&["de*/x/a.yaml"], ""),
            (&["**"], ""),
        ] {
            assert_eq!(literal_directory(globs.iter().copied()).join("/"), expected, "{globs:?}");
        }
    }

    #[test]
    fn packages_by_patterns() {
        for (pattern, path, expected) in [
            ("e.com/m/cmd/x", "e.com/m/cmd/x", true),
            ("e.com/m/cmd/x", "e.com/m/cmd/xy", false),
            ("e.com/m/...", "e.com/m", true),
            ("e.com/m/...", "e.com/m/cmd/x", true),
            ("e.com/m/...", "e.com/mm", false),
        ] {
            assert_eq!(means(pattern, path), expected, "{pattern} {path}");
        }
    }
}
