//! `archives` of a `Release`: what is in them, their form and their names.

use crate::field::FieldType;
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Default, Shape, paragraph};
use crate::types::maps::{Key, Map};
use crate::types::{ArtifactName, InputSource};
use crate::value::Value;
use crate::{Diagnostic, Platform, Spanned, suggest};

record! {
    /// What is in the archives of a release, their form and their names.
    Archives = "archives" {
        /// Name of an archive, without its ending. `{project}`, `{version}`, `{target}`, `{os}` and `{arch}` have values; those
        /// of two platforms must differ.
        name: ArtifactName = ArtifactName::own("{project}_{version}_{os}_{arch}"),
        /// Form of the archives: `TarGz` or `Zip`.
        format: ArchiveFormat = ArchiveFormat::TarGz,
        /// The form for some operating systems; `{"windows": Zip}` if left out.
        format_by_os: FormatByOs = FormatByOs::with("windows", ArchiveFormat::Zip),
        /// Files beside the executables: `["LICENSE", "docs/**", Output("completions")]`. They keep their paths below `root`.
        files: Vec<InputSource> = Vec::new(),
        /// Puts all that is in an archive into one directory of the archive's name.
        wrap: bool = true,
    }
}

/// The form of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// A tar, compressed with gzip.
    TarGz,
    /// A zip.
    Zip,
}

/// Operating systems, in Go's words.
#[derive(Clone, Debug)]
pub enum OperatingSystem {}

/// Forms by operating system.
pub type FormatByOs = Map<OperatingSystem, ArchiveFormat>;

impl std::default::Default for Archives {
    fn default() -> Archives {
        Archives {
            name: ArtifactName::own("{project}_{version}_{os}_{arch}"),
            format: ArchiveFormat::TarGz,
            format_by_os: FormatByOs::with("windows", ArchiveFormat::Zip),
            files: Vec::new(),
            wrap: true,
        }
    }
}

impl Archives {
    /// Returns the form for a platform.
    pub fn format_on(&self, platform: &Platform) -> ArchiveFormat {
        let own = self.format_by_os.iter().find(|(os, _)| os.value == platform.os());
        own.map_or(self.format, |(_, format)| *format)
    }
}

impl ArchiveFormat {
    /// Returns the usual ending of names.
    pub fn ending(self) -> &'static str {
        match self {
            ArchiveFormat::TarGz => ".tar.gz",
            ArchiveFormat::Zip => ".zip",
        }
    }

    fn word(self) -> &'static str {
        match self {
            ArchiveFormat::TarGz => "TarGz",
            ArchiveFormat::Zip => "Zip",
        }
    }
}

impl Key for OperatingSystem {
    const ENTRY: &'static str = "operating system";
    const EXPECTED: &'static str = "a map, `{\"windows\": Zip}`";
    const NAME: &'static str = "operating system";
    const PATTERN: &'static str = "^[a-z0-9]+$";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        let all: Vec<String> = Platform::all().collect();
        let systems = || all.iter().filter_map(|platform| platform.split('/').next());
        if systems().any(|system| system == key.value) {
            return true;
        }
        let message = format!("`{}` is no operating system that Go knows", key.value.escape_debug());
        let hint = match suggest(&key.value, systems()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write it as Go does: \"windows\", \"darwin\", \"linux\"".to_owned(),
        };
        reader.report(Diagnostic::new(key.span, message).hint(hint));
        false
    }
}

impl FieldType for ArchiveFormat {
    const PLURAL: &'static str = "forms of archives";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<ArchiveFormat> {
        reader.choice(value, &[("TarGz", ArchiveFormat::TarGz), ("Zip", ArchiveFormat::Zip)])
    }

    fn shape() -> Shape {
        Shape::Words(&["TarGz", "Zip"])
    }

    fn as_default(&self) -> Default {
        Default::Word(self.word())
    }
}

impl FieldType for Archives {
    const PLURAL: &'static str = "settings of archives";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Archives> {
        if value.call().is_some() || !value.is_named() {
            reader.report(value.unexpected("settings in parentheses, `(files: [\"LICENSE\"])`"));
            return None;
        }
        let mut fields = reader.fields(Archives::WORD, value.span(), Some(value))?;
        let archives = <Archives as Record>::read(reader, &mut fields);
        reader.finish(fields);
        archives
    }

    fn shape() -> Shape {
        Shape::Fields { name: Archives::WORD, doc: paragraph(Archives::DOC), fields: Archives::fields() }
    }

    fn visit<'a>(&'a self, visitor: &mut dyn crate::field::Visitor<'a>) {
        Record::visit(self, visitor);
    }
}
