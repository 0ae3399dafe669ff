//! The packages of a distribution that are in an image, from the databases of apk, dpkg and rpm, and the distribution's name.
//!
//! The files come from a base image, so they are a stranger's: what is no name, version or architecture is an error, and so
//! is more than a distribution has.

use std::collections::BTreeMap;

use crate::bill::{Component, ComponentKind, Fact};
use crate::expression::is_expression;
use crate::rpm;

/// Version of what is read, for keys.
pub const SYSTEM_PACKAGES_FORMAT: &str = "system-packages-2";

/// Maximum number of packages.
const PACKAGES_MAX: usize = 100_000;
/// Maximum length of a name, version or licence in bytes.
const FIELD_MAX: usize = 1000;

/// Databases of apk: of Alpine, and where `/lib` is a part of `/usr`.
const OF_APK: &[&str] = &["lib/apk/db/installed", "usr/lib/apk/db/installed"];
/// The database of dpkg, and the directory of images without dpkg (distroless).
const OF_DPKG: &str = "var/lib/dpkg/status";
const OF_DPKG_PARTS: &str = "var/lib/dpkg/status.d/";
/// Names of the distribution, by precedence (os-release(5)).
const OF_SYSTEM: &[&str] = &["etc/os-release", "usr/lib/os-release"];

/// Returns true if a file of an image, by its path without the first `/`, is one that `SystemPackages::read` wants.
pub fn is_package_database(path: &str) -> bool {
    let part = path.strip_prefix(OF_DPKG_PARTS);
    let is_part = part.is_some_and(|name| !name.contains('/') && !name.ends_with(".md5sums"));
    is_part || path == OF_DPKG || OF_APK.contains(&path) || OF_SYSTEM.contains(&path) || rpm::is_database(path)
}

/// What a distribution says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OsRelease {
    /// `alpine`
    pub id: String,
    /// `3.19.1`
    pub version: String,
}

/// The packages of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemPackages {
    /// The distribution, if it has a name.
    pub system: Option<OsRelease>,
    /// The packages, sorted by name.
    pub packages: Vec<Component>,
}

impl SystemPackages {
    /// Reads the files of an image that `is_package_database` names. The error says which file is wrong, and why.
    pub fn read(files: &BTreeMap<String, Vec<u8>>) -> Result<SystemPackages, String> {
        let system = OF_SYSTEM.iter().find_map(|path| files.get(*path)).map(|bytes| OsRelease::parse(bytes));
        let system = system.filter(|system| !system.id.is_empty());
        let mut packages = Vec::new();
        for (path, bytes) in files {
            let is_apk = OF_APK.contains(&path.as_str());
            if !is_apk && path != OF_DPKG && !path.starts_with(OF_DPKG_PARTS) {
                continue;
            }
            let wrong = |message: String| format!("`/{path}`: {message}");
            for fields in paragraphs(bytes, is_apk) {
                let package = match is_apk {
                    true => of_apk(&fields, system.as_ref()),
                    false => of_dpkg(&fields, system.as_ref()),
                };
                packages.extend(package.map_err(wrong)?);
                if packages.len() > PACKAGES_MAX {
                    return Err(wrong(format!("more than {PACKAGES_MAX} packages")));
                }
            }
        }
        for rpm::Listed { path, fields } in rpm::packages(files)? {
            packages.extend(of_rpm(&fields, system.as_ref()).map_err(|message| format!("`/{path}`: {message}"))?);
        }
        packages.sort_by(|one, other| (&one.name, &one.purl).cmp(&(&other.name, &other.purl)));
        packages.dedup();
        Ok(SystemPackages { system, packages })
    }

    /// Returns the distribution as a component.
    pub fn system_component(&self) -> Option<Component> {
        let system = self.system.as_ref()?;
        let mut component = Component::named(ComponentKind::OperatingSystem, &system.id);
        component.version.clone_from(&system.version);
        Some(component)
    }
}

impl OsRelease {
    /// Reads os-release(5). What is no plain word is left out.
    pub fn parse(bytes: &[u8]) -> OsRelease {
        let text = String::from_utf8_lossy(bytes);
        let mut found = OsRelease::default();
        for line in text.lines() {
            let Some((name, value)) = line.trim().split_once('=') else { continue };
            let value = value.trim_matches(['"', '\'']);
            if value.is_empty() || value.len() > 64 || !value.chars().all(is_plain) {
                continue;
            }
            match name {
                "ID" => found.id = value.to_ascii_lowercase(),
                "VERSION_ID" => value.clone_into(&mut found.version),
                _ => {}
            }
        }
        found
    }
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | '+' | '~' | '^' | ':')
}

/// Splits a database into the fields of its packages. Lines that go on with another one are no field that is read here.
fn paragraphs(bytes: &[u8], is_apk: bool) -> Vec<BTreeMap<String, String>> {
    let text = String::from_utf8_lossy(bytes);
    let wanted: &[&str] = match is_apk {
        true => &["P", "V", "A", "L"],
        false => &["Package", "Status", "Version", "Architecture", "Source"],
    };
    let (mut all, mut fields) = (Vec::new(), BTreeMap::new());
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            if !fields.is_empty() {
                all.push(std::mem::take(&mut fields));
            }
        } else if let Some((name, value)) = line.split_once(':')
            && wanted.contains(&name)
        {
            fields.entry(name.to_owned()).or_insert_with(|| value.trim().to_owned());
        }
    }
    all
}

/// Returns a field that has to be a plain word.
fn word<'a>(fields: &'a BTreeMap<String, String>, name: &str) -> Result<&'a str, String> {
    let value = fields.get(name).map_or("", String::as_str);
    if value.is_empty() || value.len() > FIELD_MAX || !value.chars().all(is_plain) {
        return Err(format!("a package has no sound `{name}`"));
    }
    Ok(value)
}

fn of_apk(fields: &BTreeMap<String, String>, system: Option<&OsRelease>) -> Result<Option<Component>, String> {
    let (name, version) = (word(fields, "P")?, word(fields, "V")?);
    let mut package = Component::named(ComponentKind::Package, name);
    version.clone_into(&mut package.version);
    package.purl = Some(purl("apk", "alpine", (name, version), word(fields, "A").ok(), system));
    add_licence(&mut package, fields.get("L"));
    Ok(Some(package))
}

/// Adds a licence as it is declared: as an expression of SPDX, if it is one.
fn add_licence(package: &mut Component, declared: Option<&String>) {
    match declared.map(|licence| licence.trim()) {
        None | Some("") => {}
        Some(licence) if is_expression(licence) => package.licence = Some(licence.to_owned()),
        Some(licence) => {
            let sound: String = licence.chars().filter(|c| !c.is_control()).take(FIELD_MAX).collect();
            package.facts.push(Fact::new("licence, in the package's words", &sound));
        }
    }
}

fn of_rpm(fields: &BTreeMap<String, String>, system: Option<&OsRelease>) -> Result<Option<Component>, String> {
    let name = word(fields, "Name")?;
    // Keys of signatures are kept among the packages.
    if name == "gpg-pubkey" {
        return Ok(None);
    }
    let version = format!("{}-{}", word(fields, "Version")?, word(fields, "Release")?);
    let mut package = Component::named(ComponentKind::Package, name);
    let epoch = fields.get("Epoch").filter(|epoch| *epoch != "0");
    package.version = epoch.map_or_else(|| version.clone(), |epoch| format!("{epoch}:{version}"));
    let mut purl = purl("rpm", "redhat", (name, &version), word(fields, "Architecture").ok(), system);
    if let Some(epoch) = epoch {
        purl.push_str(if purl.contains('?') { "&" } else { "?" });
        purl.push_str(&format!("epoch={epoch}"));
    }
    package.purl = Some(purl);
    add_licence(&mut package, fields.get("License"));
    if fields.contains_key("Source") {
        package.facts.push(Fact::new("source package", word(fields, "Source")?));
    }
    Ok(Some(package))
}

fn of_dpkg(fields: &BTreeMap<String, String>, system: Option<&OsRelease>) -> Result<Option<Component>, String> {
    // Of a removed package only the configuration is left.
    let status = fields.get("Status").map_or("install ok installed", String::as_str);
    if !status.ends_with(" installed") {
        return Ok(None);
    }
    let (name, version) = (word(fields, "Package")?, word(fields, "Version")?);
    let mut package = Component::named(ComponentKind::Package, name);
    version.clone_into(&mut package.version);
    package.purl = Some(purl("deb", "debian", (name, version), word(fields, "Architecture").ok(), system));
    if let Some(source) = fields.get("Source").filter(|source| source.len() <= FIELD_MAX) {
        let sound: String = source.chars().filter(|c| is_plain(*c) || matches!(c, ' ' | '(' | ')')).collect();
        package.facts.push(Fact::new("source package", &sound));
    }
    Ok(Some(package))
}

/// Returns a package URL: `pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.19.1`.
fn purl(
    kind: &str,
    usual: &str,
    (name, version): (&str, &str),
    architecture: Option<&str>,
    system: Option<&OsRelease>,
) -> String {
    let namespace = system.map_or(usual, |system| system.id.as_str());
    let mut qualifiers = Vec::new();
    if let Some(architecture) = architecture {
        qualifiers.push(format!("arch={}", escaped(architecture)));
    }
    if let Some(system) = system.filter(|system| !system.version.is_empty()) {
        qualifiers.push(format!("distro={}-{}", escaped(&system.id), escaped(&system.version)));
    }
    let qualifiers = if qualifiers.is_empty() { String::new() } else { format!("?{}", qualifiers.join("&")) };
    // Case counts in names of rpm.
    let name = if kind == "rpm" { name.to_owned() } else { name.to_ascii_lowercase() };
    let (namespace, name, version) = (escaped(namespace), escaped(&name), escaped(version));
    format!("pkg:{kind}/{namespace}/{name}@{version}{qualifiers}")
}

/// Returns a plain word with what a package URL escapes. A colon stays, by its specification.
fn escaped(word: &str) -> String {
    word.replace('+', "%2B").replace('^', "%5E")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<SystemPackages, String> {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
        SystemPackages::read(&files.iter().map(owned).collect())
    }

    const ALPINE: &str = "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.19.1\nPRETTY_NAME=\"Alpine Linux v3.19\"\n";

    #[test]
    fn packages_of_apk() {
        let database = "C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\nF:lib\nR:ld-musl-x86_64.so.1\n\n\
            C:Q1def=\nP:libstdc++\nV:13.2.1_git20231014-r0\nA:x86_64\nL:GPL-2.0-or-later AND custom\n\n";
        let found = read(&[("etc/os-release", ALPINE), ("lib/apk/db/installed", database)]).unwrap();
        assert_eq!(found.system, Some(OsRelease { id: "alpine".into(), version: "3.19.1".into() }));
        let shown: Vec<_> =
            found.packages.iter().map(|one| (one.purl.as_deref().unwrap(), one.licence.as_deref())).collect();
        assert_eq!(
            shown,
            [
                ("pkg:apk/alpine/libstdc%2B%2B@13.2.1_git20231014-r0?arch=x86_64&distro=alpine-3.19.1", None),
                ("pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.19.1", Some("MIT")),
            ]
        );
        assert_eq!(found.packages[0].facts[0].value, "GPL-2.0-or-later AND custom");
    }

    #[test]
    fn packages_of_dpkg() {
        let status = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\nSource: glibc\n\
            Version: 2.36-9+deb12u4\nDescription: GNU C Library\n Version: no field\n .\n more\n\n\
            Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n";
        let part = "Package: tzdata\nVersion: 2024a-0+deb12u1\nArchitecture: all\n";
        let found = read(&[
            ("usr/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\n"),
            ("var/lib/dpkg/status", status),
            ("var/lib/dpkg/status.d/tzdata", part),
        ])
        .unwrap();
        let shown: Vec<_> = found.packages.iter().map(|one| one.purl.as_deref().unwrap()).collect();
        assert_eq!(
            shown,
            [
                "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12",
                "pkg:deb/debian/tzdata@2024a-0%2Bdeb12u1?arch=all&distro=debian-12",
            ]
        );
    }

    #[test]
    fn packages_of_rpm() {
        let release = b"ID=\"fedora\"\nVERSION_ID=41\n".to_vec();
        let database = include_bytes!("rpm/samples/rpmdb.sqlite").to_vec();
        let files = BTreeMap::from([
            ("etc/os-release".into(), release),
            ("usr/lib/sysimage/rpm/rpmdb.sqlite".into(), database),
        ]);
        let found = SystemPackages::read(&files).unwrap();
        let shown: Vec<_> =
            found.packages.iter().map(|one| (one.purl.as_deref().unwrap(), one.licence.as_deref())).collect();
        assert_eq!(
            shown,
            [
                ("pkg:rpm/fedora/beta@2.0~rc1%5E20240101git-1?arch=noarch&distro=fedora-41&epoch=7", None),
                ("pkg:rpm/fedora/gamma%2Bextra@0.1-0.1.el9?arch=x86_64&distro=fedora-41", Some("Zlib")),
                ("pkg:rpm/fedora/libalpha@1.2.3-4.fc41?arch=x86_64&distro=fedora-41", Some("MIT OR Apache-2.0")),
            ]
        );
        let beta = &found.packages[0];
        assert_eq!(beta.version, "7:2.0~rc1^20240101git-1");
        assert_eq!(beta.facts[0].value, "GPLv2+ and MIT");
        let error = SystemPackages::read(&BTreeMap::from([("var/lib/rpm/Packages".into(), b"x".to_vec())]));
        let error = error.unwrap_err();
        assert!(error.starts_with("`/var/lib/rpm/Packages`: "), "{error}");
    }

    #[test]
    fn what_is_no_database_is_an_error() {
        let error = |text: &str| read(&[("lib/apk/db/installed", text)]).unwrap_err();
        assert_eq!(error("P:a b\nV:1\n"), "`/lib/apk/db/installed`: a package has no sound `P`");
        assert_eq!(error("P:a\nV:\n"), "`/lib/apk/db/installed`: a package has no sound `V`");
        assert_eq!(error("V:1\n"), "`/lib/apk/db/installed`: a package has no sound `P`");
        assert_eq!(
            error(&format!("P:{}\nV:1\n", "a".repeat(2000))),
            "`/lib/apk/db/installed`: a package has no sound `P`"
        );
        assert!(error("P:a/../b\nV:1\n").contains("sound"));
        let many: String = (0..=PACKAGES_MAX).map(|number| format!("P:a{number}\nV:1\n\n")).collect();
        assert!(error(&many).contains("more than 100000"));
        let odd = read(&[("etc/os-release", "ID=\"$(x)\"\nVERSION_ID=1 2\n"), ("lib/apk/db/installed", "P:a\nV:1\n")]);
        let odd = odd.unwrap();
        assert_eq!((odd.system, odd.packages[0].purl.as_deref()), (None, Some("pkg:apk/alpine/a@1")));
        assert!(read(&[]).unwrap().packages.is_empty());
    }

    #[test]
    fn names_of_databases() {
        for path in ["var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/rpmdb.sqlite-wal", "var/lib/rpm/Packages"] {
            assert!(is_package_database(path), "{path}");
        }
        assert!(!is_package_database("var/lib/rpm/Name") && !is_package_database("usr/lib/rpm/Packages"));
        for path in ["lib/apk/db/installed", "var/lib/dpkg/status", "var/lib/dpkg/status.d/base", "etc/os-release"] {
            assert!(is_package_database(path), "{path}");
        }
        for path in
            ["var/lib/dpkg/status.d/a/b", "var/lib/dpkg/status.d/base.md5sums", "etc/passwd", "var/lib/dpkg/status-old"]
        {
            assert!(!is_package_database(path), "{path}");
        }
    }
}
