//! Both writers: bytes that never change by themselves, and values that are no package.

use std::fs::File;

use expect_test::expect;
use rondel_cas::{Digest, RelativePath, TemporaryFile};
use rondel_oci::LayerSource;

use super::*;

type Writer = fn(&Package, &mut File, usize) -> Result<(), PackageError>;
const WRITERS: [(&str, Writer); 2] = [("deb", write_deb), ("rpm", write_rpm)];

fn path(text: &str) -> RelativePath {
    package_path(text).unwrap()
}

fn bytes(text: &str) -> LayerSource {
    LayerSource::Bytes(text.as_bytes().to_vec())
}

/// A package with one of everything, in the words of both formats.
pub(crate) fn sample(format: &str) -> Package {
    let entries = [
        ("/usr/bin/sample", PackageEntry::of_root(bytes("#!/bin/sh\necho sample runs\n"), 0o755)),
        (
            "/etc/sample/sample.conf",
            PackageEntry {
                group: "daemon".to_owned(),
                is_config: true,
                ..PackageEntry::of_root(bytes("port = 80\n"), 0o640)
            },
        ),
        (
            "/var/lib/sample",
            PackageEntry {
                owner: "daemon".to_owned(),
                group: "daemon".to_owned(),
                ..PackageEntry::of_root(LayerSource::Directory, 0o750)
            },
        ),
        ("/usr/bin/sample-link", PackageEntry::of_root(LayerSource::Symlink("sample".to_owned()), 0o777)),
        ("/usr/lib/systemd/system/sample.service", PackageEntry::of_root(bytes("[Unit]\nDescription=x\n"), 0o644)),
        ("/usr/share/doc/sample/größe", PackageEntry::of_root(bytes(""), 0o644)),
    ];
    let mut entries: std::collections::BTreeMap<RelativePath, PackageEntry> =
        entries.into_iter().map(|(name, entry)| (path(name), entry)).collect();
    let long = format!("/usr/share/sample/{}/{}", "d".repeat(120), "n".repeat(200));
    entries.insert(path(&long), PackageEntry::of_root(bytes(&"long\n".repeat(300_000)), 0o644));
    let is_deb = format == "deb";
    let text = |deb: &str, rpm: &str| vec![if is_deb { deb } else { rpm }.to_owned()];
    Package {
        name: "sample".to_owned(),
        version: package_version("v1.2.3-rc1").unwrap(),
        release: "1".to_owned(),
        architecture: if is_deb { "all" } else { "noarch" }.to_owned(),
        maintainer: "A Person <a@example.org>".to_owned(),
        description: "A sample\nWith more to say.\n\nAnd a paragraph.".to_owned(),
        section: "net".to_owned(),
        licence: "MIT".to_owned(),
        homepage: "https://example.org/sample".to_owned(),
        relations: Relations {
            depends: text("base-files (>= 1)", "setup >= 1"),
            recommends: text("ca-certificates", "ca-certificates"),
            conflicts: text("other (<< 2)", "other < 2"),
            provides: text("sampler", "sampler = 1.2"),
            replaces: text("old-sample", "old-sample < 1"),
        },
        entries,
        units: ["sample.service".to_owned()].into(),
        scripts: Scripts { after_install: "echo installed > /var/lib/sample/state".to_owned(), ..Scripts::default() },
        created: 1_700_000_000,
    }
}

fn written(writer: Writer, package: &Package, threads: usize) -> Result<Vec<u8>, String> {
    let mut file = TemporaryFile::new_in(&std::env::temp_dir()).unwrap();
    writer(package, file.file(), threads).map_err(|error| error.to_string())?;
    Ok(rondel_cas::read_at_most(file.path(), 1 << 30).unwrap())
}

/// The digests move only with a new number in `DEB_FORMAT` or `RPM_FORMAT`, or in the encoder's.
#[test]
fn the_same_bytes_on_every_machine() {
    for ((format, writer), expected) in WRITERS.into_iter().zip([
        expect!["7b92d76cbab8b8bf60ca5706b29178769fdce4a57e1237130ffaca0465519b1d/4682"],
        expect!["13bfd24ebd8948d153dc106896746994edf60270a500350920364dd986ee9dbd/7231"],
    ]) {
        let package = sample(format);
        let first = written(writer, &package, 1).unwrap();
        for threads in [2, 8] {
            assert!(written(writer, &package, threads).unwrap() == first, "{format} on {threads} threads");
        }
        expected.assert_eq(&Digest::of(&first).to_string());
    }
}

/// Contents in files are those in memory; nothing of the file itself gets in.
#[test]
fn contents_from_files() {
    let mut file = TemporaryFile::new_in(&std::env::temp_dir()).unwrap();
    std::io::Write::write_all(file.file(), b"port = 80\n").unwrap();
    for (format, writer) in WRITERS {
        let mut package = sample(format);
        let expected = written(writer, &package, 1).unwrap();
        let source = LayerSource::File(file.path().to_owned());
        package.entries.get_mut(&path("/etc/sample/sample.conf")).unwrap().source = source;
        assert!(written(writer, &package, 1).unwrap() == expected, "{format}");
    }
}

/// Everything that is said of a package is in it: none of these changes leaves the bytes as they were.
#[test]
fn every_member_is_in_the_bytes() {
    type Change = (&'static str, fn(&mut Package));
    let changes: [Change; 20] = [
        ("name", |it| it.name = "another".to_owned()),
        ("version", |it| it.version = "1.2.4".to_owned()),
        ("release", |it| it.release = "2".to_owned()),
        ("architecture", |it| it.architecture = "s390x".to_owned()),
        ("maintainer", |it| it.maintainer = "B <b@example.org>".to_owned()),
        ("description", |it| it.description = "B".to_owned()),
        ("section", |it| it.section = "utils".to_owned()),
        ("homepage", |it| it.homepage.clear()),
        ("depends", |it| it.relations.depends.clear()),
        ("recommends", |it| it.relations.recommends.clear()),
        ("conflicts", |it| it.relations.conflicts.clear()),
        ("provides", |it| it.relations.provides.clear()),
        ("replaces", |it| it.relations.replaces.clear()),
        ("units", |it| it.units.clear()),
        ("script", |it| it.scripts.before_removal = "exit 0".to_owned()),
        ("created", |it| it.created += 1),
        ("mode", |it| it.entries.get_mut(&path("/usr/bin/sample")).unwrap().mode = 0o700),
        ("owner", |it| it.entries.get_mut(&path("/usr/bin/sample")).unwrap().owner = "bin".to_owned()),
        ("group", |it| it.entries.get_mut(&path("/usr/bin/sample")).unwrap().group = "bin".to_owned()),
        ("config", |it| it.entries.get_mut(&path("/usr/bin/sample")).unwrap().is_config = true),
    ];
    for (format, writer) in WRITERS {
        let mut package = sample(format);
        // What is large has nothing to do with it.
        package.entries.retain(|path, _| !path.as_str().contains("nnn"));
        let before = written(writer, &package, 1).unwrap();
        for (what, change) in changes {
            let mut changed = package.clone();
            change(&mut changed);
            assert!(written(writer, &changed, 1).unwrap() != before, "{format}: {what}");
        }
    }
}

/// Values with a meaning of their own in the format are refused before a byte is written.
#[test]
fn hostile_values() {
    type Change = fn(&mut Package);
    let changes: [Change; 17] = [
        |it| it.name = "x\nEssential: yes".to_owned(),
        |it| it.name = "../x".to_owned(),
        |it| it.version = "1\nEssential: yes".to_owned(),
        |it| it.version = "1-2".to_owned(),
        |it| it.release = "1-2".to_owned(),
        |it| it.architecture = "a/../b".to_owned(),
        |it| it.maintainer = "A <a@b>\nEssential: yes".to_owned(),
        |it| it.maintainer = "A".to_owned(),
        |it| it.description = "x\rEssential: yes".to_owned(),
        |it| it.description = "\n".to_owned(),
        |it| it.homepage = "https://x\nEssential: yes".to_owned(),
        |it| it.relations.depends = vec!["libc\nEssential: yes".to_owned()],
        |it| it.units = ["x.service; reboot".to_owned()].into(),
        |it| it.scripts.after_install = "a\0b".to_owned(),
        |it| it.scripts.after_install = "#!/usr/bin/python3\npass".to_owned(),
        |it| it.entries.get_mut(&path("/usr/bin/sample")).unwrap().owner = "a:b".to_owned(),
        |it| drop(it.entries.insert(path("/usr/bin/sample/x"), PackageEntry::of_root(bytes(""), 0o644))),
    ];
    let mut errors = String::new();
    for (format, writer) in WRITERS {
        for change in changes {
            let mut package = sample(format);
            change(&mut package);
            let error = written(writer, &package, 1).unwrap_err();
            assert!(!error.contains(['\n', '\r', '\0']), "{error:?}");
            errors.push_str(&format!("{format}: {error}\n"));
        }
    }
    expect![[r#"
        deb: `x\nEssential: yes` is no name of a Debian package: lower-case letters, digits, `+`, `-` and `.`, at least two, a letter or digit first
        deb: `../x` is no name of a Debian package: lower-case letters, digits, `+`, `-` and `.`, at least two, a letter or digit first
        deb: `1\nEssential: yes` is no version of a Debian package
        deb: `1-2` is no version of a Debian package
        deb: `1-2` is no release: letters, digits, `.`, `+`, `~`
        deb: `a/../b` is no architecture of Debian
        deb: the maintainer `A <a@b>\nEssential: yes` is not one plain line
        deb: the maintainer `A` is not like `Name <name@example.org>`
        deb: the description is empty, or has control characters: its first line says what it is
        deb: the description is empty, or has control characters: its first line says what it is
        deb: the homepage `https://x\nEssential: yes` is not one plain line
        deb: `depends` has `libc\nEssential: yes`, which is no relation of Debian's: write one package a text, like `libc6` or `libc6 (>= 2.36)`
        deb: `x.service; reboot` is no name of a systemd unit, like `x.service`
        deb: a script of the package holds a NUL
        deb: a script of a package with units begins with `#!/usr/bin/python3`: lines for systemd come before it, so it has to be one of the shell
        deb: `/usr/bin/sample` has `a:b` as owner or group
        deb: `/usr/bin/sample/x` is below `/usr/bin/sample`, which is no directory
        rpm: `x\nEssential: yes` is no name of an RPM package: letters, digits, `.`, `_`, `+` and `-`, a letter or digit first
        rpm: `../x` is no name of an RPM package: letters, digits, `.`, `_`, `+` and `-`, a letter or digit first
        rpm: `1\nEssential: yes` is no version of an RPM package: letters, digits, `.`, `_`, `+`, `~` and `^`
        rpm: `1-2` is no version of an RPM package: letters, digits, `.`, `_`, `+`, `~` and `^`
        rpm: `1-2` is no release of an RPM package: letters, digits, `.`, `_`, `+`, `~` and `^`
        rpm: `a/../b` is no architecture of RPM
        rpm: the maintainer `A <a@b>\nEssential: yes` is not one plain line
        rpm: the maintainer `A` is not like `Name <name@example.org>`
        rpm: the description is empty, or has control characters: its first line says what it is
        rpm: the description is empty, or has control characters: its first line says what it is
        rpm: the homepage `https://x\nEssential: yes` is not one plain line
        rpm: `depends` has `libc\nEssential: yes`, which is no relation of RPM's: write one package a text, like `glibc` or `glibc >= 2.36`
        rpm: `x.service; reboot` is no name of a systemd unit, like `x.service`
        rpm: a script of the package holds a NUL
        rpm: a script of a package with units begins with `#!/usr/bin/python3`: lines for systemd come before it, so it has to be one of the shell
        rpm: `/usr/bin/sample` has `a:b` as owner or group
        rpm: `/usr/bin/sample/x` is below `/usr/bin/sample`, which is no directory
    "#]].assert_eq(&errors);
}
