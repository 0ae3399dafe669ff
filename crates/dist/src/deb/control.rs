//! The file `control` (deb-control(5)): one line a field, so no value can begin another field.

use rondel_oci::LayerSource;

use super::relation::check_relation;
use crate::package::{Package, PackageError, size_of};

/// Checks what only this format wants.
pub(super) fn check(package: &Package) -> Result<(), PackageError> {
    let wrong = |text: String| Err(PackageError::Value(text));
    let name = &package.name;
    let is_letter = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    if name.len() < 2 || !name.starts_with(is_letter) || !name.chars().all(|one| is_letter(one) || "+-.".contains(one))
    {
        return wrong(format!(
            "`{}` is no name of a Debian package: lower-case letters, digits, `+`, `-` and `.`, at least two, a letter \
             or digit first",
            name.escape_default()
        ));
    }
    let is_word = |text: &str, others: &str| {
        !text.is_empty() && text.chars().all(|one| one.is_ascii_alphanumeric() || others.contains(one))
    };
    if !is_word(&package.version, ".+~") || !package.version.starts_with(|first: char| first.is_ascii_digit()) {
        return wrong(format!("`{}` is no version of a Debian package", package.version.escape_default()));
    }
    if !package.release.is_empty() && !is_word(&package.release, ".+~") {
        return wrong(format!("`{}` is no release: letters, digits, `.`, `+`, `~`", package.release));
    }
    if !is_word(&package.architecture, "-") {
        return wrong(format!("`{}` is no architecture of Debian", package.architecture));
    }
    if !package.section.is_empty() && !is_word(&package.section, "-/") {
        return wrong(format!("`{}` is no section of Debian, like `net` or `utils`", package.section));
    }
    let relations = &package.relations;
    for (field, texts) in [
        ("depends", &relations.depends),
        ("recommends", &relations.recommends),
        ("conflicts", &relations.conflicts),
        ("provides", &relations.provides),
        ("replaces", &relations.replaces),
    ] {
        let has_alternatives = matches!(field, "depends" | "recommends");
        for text in texts {
            check_relation(field, text, has_alternatives)?;
        }
    }
    Ok(())
}

/// Returns the version with the revision.
fn full_version(package: &Package) -> String {
    match package.release.as_str() {
        "" => package.version.clone(),
        release => format!("{}-{release}", package.version),
    }
}

/// Returns the text of the file, in the order in which `dpkg-gencontrol` writes it.
pub(super) fn control_text(package: &Package) -> Result<String, PackageError> {
    let mut text = String::new();
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("{name}: {value}\n"));
        }
    };
    let relations = &package.relations;
    field("Package", &package.name);
    field("Version", &full_version(package));
    field("Architecture", &package.architecture);
    field("Maintainer", &package.maintainer);
    field("Installed-Size", &installed_size(package)?.to_string());
    field("Depends", &relations.depends.join(", "));
    field("Recommends", &relations.recommends.join(", "));
    field("Conflicts", &relations.conflicts.join(", "));
    field("Provides", &relations.provides.join(", "));
    field("Replaces", &relations.replaces.join(", "));
    field("Section", &package.section);
    field("Priority", "optional");
    field("Homepage", &package.homepage);
    field("Description", &folded(&package.description));
    Ok(text)
}

/// Returns lines after the first one indented, and empty ones as a dot.
fn folded(description: &str) -> String {
    let mut lines = description.trim().lines().map(str::trim_end);
    let mut text = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        // A line that begins with two spaces is shown as it is; one with a dot has a meaning of its own.
        let line = if line.is_empty() { "." } else { line };
        text.push_str("\n ");
        text.push_str(line);
    }
    text
}

/// Returns KiB on disk, as policy 5.6.20 counts them.
fn installed_size(package: &Package) -> Result<u64, PackageError> {
    let mut sum = 0;
    for entry in package.entries.values() {
        sum += match entry.source {
            LayerSource::Directory | LayerSource::Symlink(_) => 1,
            LayerSource::File(_) | LayerSource::Bytes(_) => size_of(&entry.source)?.div_ceil(1024),
        };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A description can't begin a field: its lines are folded.
    #[test]
    fn lines_of_a_description_are_no_fields() {
        let description = "A sample\nEssential: yes\n\n.\nEnd\n\n";
        assert_eq!(folded(description), "A sample\n Essential: yes\n .\n .\n End");
    }

    #[test]
    fn the_whole_file() {
        expect_test::expect![[r#"
            Package: sample
            Version: 1.2.3~rc1-1
            Architecture: all
            Maintainer: A Person <a@example.org>
            Installed-Size: 1470
            Depends: base-files (>= 1)
            Recommends: ca-certificates
            Conflicts: other (<< 2)
            Provides: sampler
            Replaces: old-sample
            Section: net
            Priority: optional
            Homepage: https://example.org/sample
            Description: A sample
             With more to say.
             .
             And a paragraph.
        "#]]
        .assert_eq(&control_text(&crate::tests::sample("deb")).unwrap());
    }
}
