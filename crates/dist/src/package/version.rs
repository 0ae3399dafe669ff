//! A version as git and semver write it -> one that package managers sort where it belongs.

use super::PackageError;

/// Returns the version of a package: without a leading `v`; before a release, `1.2.3-rc.1` is `1.2.3~rc.1`; commits after
/// one, `1.2.3-5-gabc1234` as `git describe` writes them, are `1.2.3+5.gabc1234`. `dpkg` and `rpm` take a `-` for the end
/// of a version, and sort `~` before everything.
pub fn package_version(version: &str) -> Result<String, PackageError> {
    let wrong = |why: &str| {
        PackageError::Value(format!(
            "the version `{}` {why}: versions of packages are like 1.2.3, 1.2.3-rc.1 or 1.2.3-5-gabc1234",
            version.escape_default()
        ))
    };
    let plain = version.strip_prefix('v').unwrap_or(version);
    if !plain.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(wrong("does not begin with a digit"));
    }
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || ".+~-".contains(character);
    if let Some(other) = plain.chars().find(|character| !is_allowed(*character)) {
        return Err(wrong(&format!("has a `{}`", other.escape_default())));
    }
    let (described, dirty) = match plain.strip_suffix("-dirty") {
        Some(described) => (described, true),
        None => (plain, false),
    };
    let mut version = match after_release(described) {
        Some((release, count, commit)) => format!("{}+{count}.{commit}", before_release(release)),
        None => before_release(described),
    };
    if dirty {
        version.push_str(if version.contains('+') { ".dirty" } else { "+dirty" });
    }
    Ok(version)
}

/// Splits what `git describe` writes after a tag: the number of commits, and the commit.
fn after_release(version: &str) -> Option<(&str, &str, &str)> {
    let (rest, commit) = version.rsplit_once('-')?;
    let (release, count) = rest.rsplit_once('-')?;
    let hex = commit.strip_prefix('g')?;
    let is_described = hex.len() >= 4
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !count.is_empty()
        && count.bytes().all(|byte| byte.is_ascii_digit());
    is_described.then_some((release, count, commit))
}

/// Marks what comes before a release. A `-` in the metadata after `+` begins none.
fn before_release(version: &str) -> String {
    let (release, metadata) = match version.split_once('+') {
        Some((release, metadata)) => (release, Some(metadata.replace('-', "."))),
        None => (version, None),
    };
    let mut text = release.replacen('-', "~", 1).replace('-', ".");
    if let Some(metadata) = metadata {
        text.push('+');
        text.push_str(&metadata);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_git_and_semver() {
        for (version, expected) in [
            ("1.2.3", "1.2.3"),
            ("v1.2.3", "1.2.3"),
            ("1.2.3-rc1", "1.2.3~rc1"),
            ("v1.2.3-rc.1-x", "1.2.3~rc.1.x"),
            ("1.2.3-rc.1+build-5", "1.2.3~rc.1+build.5"),
            ("1.2.3+build-5", "1.2.3+build.5"),
            ("1.2.3-5-gabc1234", "1.2.3+5.gabc1234"),
            ("v1.2.3-rc1-5-gabc1234-dirty", "1.2.3~rc1+5.gabc1234.dirty"),
            ("1.2.3-dirty", "1.2.3+dirty"),
            ("1.2.3-5-gamma", "1.2.3~5.gamma"),
            ("20240101", "20240101"),
        ] {
            assert_eq!(package_version(version).unwrap(), expected, "{version}");
        }
        for (version, expected) in [
            ("main", "the version `main` does not begin with a digit"),
            ("", "the version `` does not begin with a digit"),
            ("1.0\nDepends: evil", "the version `1.0\\nDepends: evil` has a `\\n`"),
            ("1:2", "the version `1:2` has a `:`"),
            ("1_2", "the version `1_2` has a `_`"),
        ] {
            let error = package_version(version).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
