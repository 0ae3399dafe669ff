//! What packages of both formats may not hold. The values come from build.ron, and from tags, which anyone may have written.

use rondel_cas::RelativePath;
use rondel_oci::LayerSource;

use super::{Package, PackageError};

/// Largest number of bytes of a path. RPM and dpkg have none; file systems have.
const PATH_MAX: usize = 1024;

/// Returns the place of an absolute path, or why a package can't install anything there.
pub fn package_path(path: &str) -> Result<RelativePath, String> {
    let Some(below) = path.strip_prefix('/') else {
        return Err(format!("`{}` is no path from `/`", path.escape_default()));
    };
    if path.len() > PATH_MAX {
        return Err(format!("a path of {} bytes is too long", path.len()));
    }
    for part in below.split('/') {
        let is_wrong = part.is_empty() || part == "." || part == "..";
        if is_wrong || part.trim() != part || part.chars().any(char::is_control) {
            return Err(format!(
                "`{}` is no plain path: write it without `..`, `.`, empty parts, and line breaks",
                path.escape_default()
            ));
        }
    }
    RelativePath::new(below).map_err(|error| error.to_string())
}

/// Returns true for a name that `useradd` accepts.
pub fn is_owner(name: &str) -> bool {
    name.len() < 32
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|character| character.is_ascii_alphanumeric() || "_-.".contains(character))
}

/// Returns true for the name of a systemd unit, which scripts write after `systemctl`.
pub fn is_unit(name: &str) -> bool {
    const KINDS: [&str; 7] = ["service", "socket", "timer", "path", "target", "mount", "slice"];
    let Some((stem, kind)) = name.rsplit_once('.') else { return false };
    KINDS.contains(&kind)
        && stem.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && stem.chars().all(|one| one.is_ascii_alphanumeric() || ":_.@-".contains(one))
}

/// Returns true if `text` is one line without control characters, and without space around it.
fn is_plain_line(text: &str) -> bool {
    text.trim() == text && !text.chars().any(char::is_control)
}

/// Checks all that both formats want.
pub(crate) fn check_common(package: &Package) -> Result<(), PackageError> {
    let wrong = |text: String| Err(PackageError::Value(text));
    let lines = [
        ("maintainer", &package.maintainer),
        ("section", &package.section),
        ("licence", &package.licence),
        ("homepage", &package.homepage),
        ("release", &package.release),
        ("architecture", &package.architecture),
    ];
    for (what, text) in lines {
        if !is_plain_line(text) {
            return wrong(format!("the {what} `{}` is not one plain line", text.escape_default()));
        }
    }
    if !is_maintainer(&package.maintainer) {
        return wrong(format!("the maintainer `{}` is not like `Name <name@example.org>`", package.maintainer));
    }
    let is_text = |character: char| !character.is_control() || character == '\n';
    if package.description.trim().is_empty() || !package.description.chars().all(is_text) {
        return wrong("the description is empty, or has control characters: its first line says what it is".to_owned());
    }
    if u32::try_from(package.created).is_err() {
        return wrong(format!("the time {} is beyond what packages hold", package.created));
    }
    if let Some(unit) = package.units.iter().find(|unit| !is_unit(unit)) {
        return wrong(format!("`{}` is no name of a systemd unit, like `x.service`", unit.escape_default()));
    }
    for (path, entry) in &package.entries {
        package_path(&format!("/{}", path.as_str())).map_err(PackageError::Value)?;
        if entry.mode > 0o7777 {
            return wrong(format!("`/{}` has the mode {:o}, which is beyond 7777", path.as_str(), entry.mode));
        }
        for owner in [&entry.owner, &entry.group] {
            if !is_owner(owner) {
                return wrong(format!("`/{}` has `{}` as owner or group", path.as_str(), owner.escape_default()));
            }
        }
        if entry.is_config && !matches!(entry.source, LayerSource::File(_) | LayerSource::Bytes(_)) {
            return wrong(format!("`/{}` is no file, so it can't be `config`", path.as_str()));
        }
        if let LayerSource::Symlink(target) = &entry.source
            && (target.is_empty() || !is_plain_line(target) || target.len() > PATH_MAX)
        {
            return wrong(format!("`/{}` leads to `{}`", path.as_str(), target.escape_default()));
        }
        for parent in std::iter::successors(path.parent(), RelativePath::parent) {
            if package.entries.get(&parent).is_some_and(|above| !matches!(above.source, LayerSource::Directory)) {
                return wrong(format!("`/{}` is below `/{}`, which is no directory", path.as_str(), parent.as_str()));
            }
        }
    }
    Ok(())
}

fn is_maintainer(text: &str) -> bool {
    let Some((name, rest)) = text.split_once('<') else { return false };
    let Some(mail) = rest.strip_suffix('>') else { return false };
    let has_both = mail.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    !name.trim().is_empty() && has_both && !mail.contains(['<', '>', ' ', ','])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_plain() {
        assert_eq!(package_path("/etc/x/x.conf").unwrap().as_str(), "etc/x/x.conf");
        for path in
            ["etc/x", "/", "/../x", "/a/../b", "/a/./b", "/a//b", "/a/", "/a\nb", "/a/ b", "/a ", "/a\tb", "/a\0b"]
        {
            assert!(package_path(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn maintainers_have_a_mail() {
        for (text, expected) in [
            ("A Person <a@example.org>", true),
            ("A Person", false),
            ("<a@example.org>", false),
            ("A <a>", false),
            ("A <a@b> x", false),
            ("A <a@b>, B <b@c>", false),
        ] {
            assert_eq!(is_maintainer(text), expected, "{text}");
        }
    }
}
