//! One relation to another package (deb-control(5)): `libc6 (>= 2.36) | musl`.

use crate::package::PackageError;

/// Checks a relation. A list has one in each text, so that no comma has a meaning.
pub(super) fn check_relation(field: &str, text: &str, has_alternatives: bool) -> Result<(), PackageError> {
    let alternatives: Vec<&str> = text.split('|').collect();
    if alternatives.len() > 1 && !has_alternatives {
        return Err(PackageError::Value(format!("`{field}` has `{text}`: alternatives have no meaning there")));
    }
    if alternatives.iter().all(|one| is_relation(one.trim_matches(' '))) {
        return Ok(());
    }
    Err(PackageError::Value(format!(
        "`{field}` has `{}`, which is no relation of Debian's: write one package a text, like `libc6` or `libc6 (>= \
         2.36)`",
        text.escape_default()
    )))
}

fn is_relation(text: &str) -> bool {
    let (package, version) = match text.split_once('(') {
        None => (text, None),
        Some((package, rest)) => match rest.strip_suffix(')') {
            None => return false,
            Some(version) => (package.trim_end_matches(' '), Some(version)),
        },
    };
    let (name, architecture) = package.split_once(':').unwrap_or((package, "any"));
    let is_letter = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit();
    name.len() >= 2
        && name.starts_with(is_letter)
        && name.chars().all(|one| is_letter(one) || "+-.".contains(one))
        && !architecture.is_empty()
        && architecture.chars().all(|one| is_letter(one) || one == '-')
        && version.is_none_or(is_version)
}

fn is_version(text: &str) -> bool {
    let version = ["<<", "<=", ">=", ">>", "="].iter().find_map(|operator| text.strip_prefix(operator));
    version.is_some_and(|version| {
        let version = version.trim_matches(' ');
        version.starts_with(|first: char| first.is_ascii_digit())
            && version.chars().all(|one| one.is_ascii_alphanumeric() || ".+-:~".contains(one))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations() {
        for text in
            ["libc6", "libc6 (>= 2.36)", "libc6(>=2.36)", "adduser | passwd (= 1:4.13-1)", "python3:any", "g++ (<< 4~)"]
        {
            check_relation("depends", text, true).unwrap();
        }
        for text in [
            "",
            "a",
            "Foo",
            "libc6, evil",
            "libc6\nEssential: yes",
            "libc6 (2.36)",
            "libc6 (>= 2.36",
            "libc6 (>= )",
            "libc6 (> 2)",
            "x | ",
            "libc6 ",
        ] {
            let result = check_relation("depends", text, true);
            assert_eq!(result.is_ok(), text == "libc6 ", "{text:?}");
        }
        assert!(check_relation("provides", "aa | bb", false).is_err());
    }
}
