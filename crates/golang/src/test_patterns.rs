//! Package patterns as the go command reads them, for packages that are left out of others.

use std::path::{Component, Path};

use crate::local_modules::lexically;
use crate::test_packages::TestPackage;

/// Returns true if the pattern matches a package. Patterns that begin with `.` are directories, from `module` on; others
/// are import paths.
pub(crate) fn matches(pattern: &str, module: &Path, test: &TestPackage) -> bool {
    let is_directory = matches!(Path::new(pattern).components().next(), Some(Component::CurDir | Component::ParentDir));
    if !is_directory {
        return is_match(pattern.trim_end_matches('/'), &test.import_path);
    }
    // The go command names directories with or without the links that lead to the module.
    [Some(module.to_owned()), module.canonicalize().ok()].into_iter().flatten().any(|module| {
        let wanted = lexically(&module.join(pattern));
        is_match(&wanted.to_string_lossy(), &test.directory.to_string_lossy())
    })
}

/// Returns true if the pattern may select packages in `directory`, which is relative to that of the module: `""` is the
/// module's own. A pattern of import paths selects all, if it is none of `module`.
pub fn selects_directory(pattern: &str, module: &str, directory: &str) -> bool {
    let is_directory = matches!(Path::new(pattern).components().next(), Some(Component::CurDir | Component::ParentDir));
    let wanted = if is_directory {
        lexically(Path::new(pattern)).to_string_lossy().into_owned()
    } else {
        match pattern.strip_prefix(module).filter(|_| !module.is_empty()) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_matches('/').to_owned(),
            Some(_) | None => return true,
        }
    };
    wanted == "..." || is_match(wanted.trim_end_matches('/'), directory)
}

/// `...` is any text; at the end, `/...` is also nothing.
fn is_match(pattern: &str, text: &str) -> bool {
    pattern.strip_suffix("/...").is_some_and(|before| has_form(before, text)) || has_form(pattern, text)
}

fn has_form(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split("...");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_directories() {
        let module = "example.com/m";
        for (pattern, directory) in [
            ("./...", ""),
            ("./...", "a/b"),
            (".", ""),
            ("./a/...", "a"),
            ("./a/...", "a/b"),
            ("example.com/m/...", ""),
            ("example.com/m", ""),
            ("example.com/m/a", "a"),
            ("...", "a"),
            ("example.com/other", "a"),
        ] {
            assert!(selects_directory(pattern, module, directory), "{pattern} {directory}");
        }
        for (pattern, directory) in [(".", "a"), ("./a", "a/b"), ("./a/...", "ab"), ("example.com/m/a", "")] {
            assert!(!selects_directory(pattern, module, directory), "{pattern} {directory}");
        }
    }

    #[test]
    fn patterns_of_packages() {
        let test = |import_path: &str, directory: &str| TestPackage {
            import_path: import_path.to_owned(),
            directory: directory.into(),
            files: Vec::new(),
            uses_cgo: false,
            has_tests: true,
        };
        let check = |pattern: &str, import_path: &str, directory: &str| {
            matches(pattern, Path::new("/no/m"), &test(import_path, directory))
        };
        for (pattern, import_path, directory) in [
            ("example.com/m/gen", "example.com/m/gen", "/no/m/gen"),
            ("example.com/m/gen/...", "example.com/m/gen", "/no/m/gen"),
            ("example.com/m/gen/...", "example.com/m/gen/a/b", "/no/m/gen/a/b"),
            ("...", "example.com/m", "/no/m"),
            (".../mocks", "example.com/m/a/mocks", "/no/m/a/mocks"),
            (".../mocks/...", "example.com/m/a/mocks/b", "/no/m/a/mocks/b"),
            ("./gen", "example.com/m/gen", "/no/m/gen"),
            ("./gen/", "example.com/m/gen", "/no/m/gen"),
            (".", "example.com/m", "/no/m"),
            ("./...", "example.com/m", "/no/m"),
            ("./gen/...", "example.com/m/gen/a", "/no/m/gen/a"),
            ("../other/...", "example.com/other", "/no/other"),
        ] {
            assert!(check(pattern, import_path, directory), "{pattern} {import_path}");
        }
        for (pattern, import_path, directory) in [
            ("example.com/m/gen", "example.com/m/gen/a", "/no/m/gen/a"),
            ("example.com/m/gen/...", "example.com/m/general", "/no/m/general"),
            ("./gen/...", "example.com/m/general", "/no/m/general"),
            ("gen", "example.com/m/gen", "/no/m/gen"),
            (".../mocks", "example.com/m/mocks/a", "/no/m/mocks/a"),
            (".", "example.com/m/a", "/no/m/a"),
        ] {
            assert!(!check(pattern, import_path, directory), "{pattern} {import_path}");
        }
    }
}
