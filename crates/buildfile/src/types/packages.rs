//! Packages of a `Release`: `Deb(…)` and `Rpm(…)`, what they install, and their scripts. Whether a value fits the format
//! shows when its variables are known.

use crate::field::{FieldType, Visitor};
use crate::reader::{Fields, Reader};
use crate::record::{Record, record};
use crate::shape::{Field, Shape, paragraph};
use crate::types::maps::Map;
use crate::types::{
    FileMode, InstalledDirectory, InstalledPath, OwnerName, PackageScript, PackageSource, Platforms, SourcePath,
};
use crate::value::Value;
use crate::{Diagnostic, Platform, Span, Spanned, Text};

record! {
    /// What packages of both formats say and hold.
    PackageFields = "package" {
        /// Name; that of the project if left out.
        name: Option<Text> = None,
        /// `Name <mail>` of who answers for it.
        maintainer: Text,
        /// What it is: a line, and perhaps more of them.
        description: Text,
        /// Section of Debian, like `net`, or group of RPM.
        section: Option<Text> = None,
        /// SPDX expression of its licence, like `MIT`. RPM needs one.
        license: Option<Text> = None,
        /// Address of its site.
        homepage: Option<Text> = None,
        /// Packages that it needs, in the format's own terms: `"libc6 (>= 2.36)"`, `"glibc >= 2.36"`.
        depends: Vec<Text> = Vec::new(),
        /// Packages that are installed with it, unless somebody says otherwise.
        recommends: Vec<Text> = Vec::new(),
        /// Packages that can't be installed with it.
        conflicts: Vec<Text> = Vec::new(),
        /// Names that it has too.
        provides: Vec<Text> = Vec::new(),
        /// Packages whose place it takes (`Replaces` of Debian, `Obsoletes` of RPM).
        replaces: Vec<Text> = Vec::new(),
        /// Directory of the executables of the release's builds.
        bin: InstalledDirectory = InstalledDirectory::of_programs(),
        /// What it installs beside them: `{"/etc/x/x.conf": (from: "x.conf", config: true)}`, `Directory(mode: 0o750)`, or
        /// `Link("/other")`.
        files: PackageFiles = PackageFiles::default(),
        /// Units of systemd, files of the tree: `["deploy/x.service"]`. They are put into `/usr/lib/systemd/system`, and are
        /// neither enabled nor started; an upgrade restarts what runs, a removal stops and disables it.
        units: Vec<SourcePath> = Vec::new(),
        /// Platforms of the package, of those of the release; all of Linux if left out.
        platforms: Option<Platforms> = None,
    }
}

record! {
    /// A package of Debian, `{name}_{version}_{architecture}.deb`, for each platform of Linux.
    DebPackage = "Deb" {
        /// Revision of the packaging, which follows the version after a `-`.
        revision: Option<Text> = None,
        /// Scripts that `dpkg` runs: `(postinst: "…")`.
        scripts: DebScripts = DebScripts::none(),
        ..shared: PackageFields,
    }
}

record! {
    /// A package of RPM, `{name}-{version}-{release}.{architecture}.rpm`, for each platform of Linux.
    RpmPackage = "Rpm" {
        /// Number of the packaging; `1` if left out.
        release: Option<Text> = None,
        /// Scripts that `rpm` runs: `(post: "…")`.
        scripts: RpmScripts = RpmScripts::none(),
        ..shared: PackageFields,
    }
}

record! {
    /// Scripts of a Debian package: a text, or `File("path")` of the tree. One without a `#!` line is one of `/bin/sh`.
    DebScripts = "scripts" {
        /// Before it is unpacked: makes users.
        preinst: Option<PackageScript> = None,
        /// After it is unpacked.
        postinst: Option<PackageScript> = None,
        /// Before it is removed.
        prerm: Option<PackageScript> = None,
        /// After it is removed.
        postrm: Option<PackageScript> = None,
    }
}

record! {
    /// Scripts of an RPM package: a text, or `File("path")` of the tree. One without a `#!` line is one of `/bin/sh`.
    RpmScripts = "scripts" {
        /// Before it is unpacked: makes users.
        pre: Option<PackageScript> = None,
        /// After it is unpacked.
        post: Option<PackageScript> = None,
        /// Before it is removed.
        preun: Option<PackageScript> = None,
        /// After it is removed.
        postun: Option<PackageScript> = None,
    }
}

record! {
    /// A file or directory that a package installs.
    PackageFileFields = "file" {
        /// Path of a file or directory of the tree, relative to `root`, or `Output("target")`: what another target makes. A
        /// directory is installed whole, its links as links, but for `.git` and what Rondel keeps there.
        from: PackageSource,
        /// True for a file that people edit: an upgrade keeps what they wrote.
        config: bool = false,
        /// Permission bits: `0o640`; 0755 or 0644 if left out, as the file is executable or not. Directories in one have 0755.
        mode: Option<FileMode> = None,
        /// Name of the owner; `root` if left out.
        owner: Option<OwnerName> = None,
        /// Name of the group; `root` if left out.
        group: Option<OwnerName> = None,
    }
}

record! {
    /// A directory that a package makes.
    PackageDirectory = "Directory" {
        /// Permission bits; 0755 if left out.
        mode: Option<FileMode> = None,
        /// Name of the owner; `root` if left out.
        owner: Option<OwnerName> = None,
        /// Name of the group; `root` if left out.
        group: Option<OwnerName> = None,
    }
}

/// Title, meaning and fields of a section of the reference.
type Section = (&'static str, &'static str, Vec<Field>);

/// A package of a release.
#[derive(Clone, Debug)]
pub enum ReleasePackage {
    /// Of Debian.
    Deb(DebPackage),
    /// Of RPM.
    Rpm(RpmPackage),
}

/// Something that a package installs.
#[derive(Clone, Debug)]
pub enum PackageFile {
    /// A file or directory.
    File(PackageFileFields),
    /// A directory.
    Directory(PackageDirectory),
    /// A link that leads there.
    Link(String),
}

/// What a package installs, by path.
pub type PackageFiles = Map<InstalledPath, PackageFile>;

impl DebScripts {
    fn none() -> DebScripts {
        DebScripts { preinst: None, postinst: None, prerm: None, postrm: None }
    }
}

impl RpmScripts {
    fn none() -> RpmScripts {
        RpmScripts { pre: None, post: None, preun: None, postun: None }
    }
}

impl ReleasePackage {
    /// Their sections in the reference.
    pub(crate) fn sections() -> [Section; 6] {
        let shared = PackageFields::fields();
        let own = |fields: Vec<Field>| {
            fields.into_iter().filter(|field| !shared.iter().any(|other| other.name == field.name)).collect()
        };
        [
            ("Packages: `Deb(…)`", DebPackage::DOC, own(DebPackage::fields())),
            ("Packages: `Rpm(…)`", RpmPackage::DOC, own(RpmPackage::fields())),
            ("Fields of both `Deb` and `Rpm`", PackageFields::DOC, PackageFields::fields()),
            ("Scripts of `Deb`", DebScripts::DOC, DebScripts::fields()),
            ("Scripts of `Rpm`", RpmScripts::DOC, RpmScripts::fields()),
            ("Files of packages: `(from: \"…\")`", PackageFileFields::DOC, PackageFileFields::fields()),
        ]
    }

    /// Reports platforms that the release, which is for `declared`, does not have, or that are not for Linux.
    pub(crate) fn check(&self, span: Span, declared: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        let is_linux = |platform: &Spanned<Platform>| platform.value.os() == "linux";
        let own = self.shared().platforms.as_ref();
        for platform in own.into_iter().flatten() {
            let message = if !is_linux(platform) {
                format!("a package can't be made for `{}`: packages are for Linux", platform.value)
            } else if !declared.is_empty() && !declared.iter().any(|other| other.value == platform.value) {
                format!("the release is not for `{}`", platform.value)
            } else {
                continue;
            };
            diagnostics
                .push(Diagnostic::new(platform.span, message).hint("name platforms of Linux that the release has"));
        }
        if own.is_none() && !declared.is_empty() && !declared.iter().any(is_linux) {
            let hint = "add one to `platforms`, like \"linux/amd64\"";
            diagnostics
                .push(Diagnostic::new(span, "a package of a release that is for no platform of Linux").hint(hint));
        }
    }

    /// Returns what both formats have.
    pub fn shared(&self) -> &PackageFields {
        match self {
            ReleasePackage::Deb(package) => &package.shared,
            ReleasePackage::Rpm(package) => &package.shared,
        }
    }
}

impl FieldType for Spanned<ReleasePackage> {
    const PLURAL: &'static str = "packages";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Spanned<ReleasePackage>> {
        let call = value.call();
        match call.as_ref().map(|call| (call.name, call.arguments, call.name_span)) {
            Some((DebPackage::WORD, arguments, place)) => {
                let mut fields = reader.fields(DebPackage::WORD, place, arguments)?;
                let package = DebPackage::read(reader, &mut fields);
                reader.finish(fields);
                Some(Spanned { value: ReleasePackage::Deb(package?), span: place })
            }
            Some((RpmPackage::WORD, arguments, place)) => {
                let mut fields = reader.fields(RpmPackage::WORD, place, arguments)?;
                if fields.peek("license").is_none() {
                    reader.report(Diagnostic::new(place, "`Rpm` needs the field `license`").hint("write \"MIT\""));
                }
                let package = RpmPackage::read(reader, &mut fields);
                reader.finish(fields);
                Some(Spanned { value: ReleasePackage::Rpm(package?), span: place })
            }
            _ => {
                reader.report(value.unexpected("`Deb(…)` or `Rpm(…)`"));
                None
            }
        }
    }

    fn shape() -> Shape {
        let record = |name, doc, fields| Shape::Record { name, doc: paragraph(doc), fields };
        Shape::OneOf(vec![
            record(DebPackage::WORD, DebPackage::DOC, DebPackage::fields()),
            record(RpmPackage::WORD, RpmPackage::DOC, RpmPackage::fields()),
        ])
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        match &self.value {
            ReleasePackage::Deb(package) => Record::visit(package, visitor),
            ReleasePackage::Rpm(package) => Record::visit(package, visitor),
        }
    }
}

/// Reads fields in parentheses without a name.
fn read_plain<T: Record>(reader: &mut Reader<'_>, value: Value<'_>, expected: &str) -> Option<T> {
    if value.call().is_some() || !value.is_named() {
        reader.report(value.unexpected(expected));
        return None;
    }
    let mut fields: Fields<'_> = reader.fields(T::WORD, value.span(), Some(value))?;
    let record = T::read(reader, &mut fields);
    reader.finish(fields);
    record
}

/// Scripts are one type a format, with one reader.
macro_rules! scripts {
    ($name:ident, $expected:literal) => {
        impl FieldType for $name {
            const PLURAL: &'static str = "scripts";

            fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<$name> {
                read_plain(reader, value, $expected)
            }

            fn shape() -> Shape {
                Shape::Fields { name: $name::WORD, doc: paragraph($name::DOC), fields: $name::fields() }
            }

            fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
                Record::visit(self, visitor);
            }
        }
    };
}

scripts!(DebScripts, "scripts in parentheses, `(postinst: \"…\")`");
scripts!(RpmScripts, "scripts in parentheses, `(post: \"…\")`");

impl FieldType for PackageFile {
    const PLURAL: &'static str = "files";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<PackageFile> {
        const EXPECTED: &str = "`(from: \"path\")`, `Directory(mode: 0o750)` or `Link(\"/target\")`";
        let span = value.span();
        let call = value.call();
        match call.as_ref().map(|call| (call.name, call.arguments, call.name_span)) {
            None => read_plain(reader, value, EXPECTED).map(PackageFile::File),
            Some((PackageDirectory::WORD, arguments, place)) => {
                let mut fields = reader.fields(PackageDirectory::WORD, place, arguments)?;
                let directory = PackageDirectory::read(reader, &mut fields);
                reader.finish(fields);
                directory.map(PackageFile::Directory)
            }
            Some(("Link", Some(arguments), _)) => {
                let argument = reader.argument("Link", arguments, span)?;
                let target = reader.string(argument, "the path that the link leads to")?;
                if target.value.is_empty() || target.value.chars().any(char::is_control) {
                    reader.report(Diagnostic::new(target.span, "a link leads to a path in one line"));
                    return None;
                }
                Some(PackageFile::Link(target.value))
            }
            Some(_) => {
                reader.report(value.unexpected(EXPECTED));
                None
            }
        }
    }

    fn shape() -> Shape {
        let doc = paragraph(PackageFileFields::DOC);
        let directory = paragraph(PackageDirectory::DOC);
        Shape::OneOf(vec![
            Shape::Fields { name: PackageFileFields::WORD, doc, fields: PackageFileFields::fields() },
            Shape::Record { name: PackageDirectory::WORD, doc: directory, fields: PackageDirectory::fields() },
            Shape::call("Link", Shape::string("path", "")),
        ])
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        if let PackageFile::File(file) = self {
            Record::visit(file, visitor);
        }
    }
}
