//! Choices: one of some words or calls.

use crate::field::FieldType;
use crate::reader::Reader;
use crate::shape::{Default, Shape};
use crate::text::TextSource;
use crate::types::strings::ENVIRONMENT_NAME;
use crate::types::{ShuffleSeed, ZstdLevel};
use crate::value::Value;
use crate::{Diagnostic, Span, Spanned};

/// Choice of the Go to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoChoice {
    /// Exactly this release.
    Version(String),
    /// The version of go.mod's `toolchain` or `go` line.
    FromGoMod,
    /// The `go` on PATH.
    System,
}

/// The build modes that make executables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildMode {
    /// Go's own choice for the platform.
    Default,
    /// `exe`
    Executable,
    /// `pie`: loaded at any address.
    PositionIndependent,
}

/// Whether what a command reads is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// It can read only what it declares.
    On,
    /// It can read what the user can.
    Off,
}

/// Whether a release is built a second time before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It is, and a difference is a failure.
    On,
    /// It is not.
    Off,
}

/// How near a finding of `govulncheck` must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// A function is called.
    Symbol,
    /// A package is imported.
    Package,
    /// A module is required.
    Module,
}

/// The one time in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// 1970-01-01T00:00:00Z
    Epoch,
    /// The commit's time.
    CommitTime,
    /// Seconds since 1970 from the environment; the epoch if it isn't set.
    Environment(String),
}

/// How the layers of an image are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip
    Gzip,
    /// zstd with a level.
    Zstd(ZstdLevel),
}

/// The order of the tests of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shuffle {
    /// That of the sources.
    Off,
    /// Another one each time.
    On,
    /// The one of this seed.
    Seed(ShuffleSeed),
}

/// A boolean with its place.
pub type Flag = Spanned<bool>;

impl std::default::Default for Flag {
    fn default() -> Flag {
        Spanned { value: false, span: Span::default() }
    }
}

impl FieldType for Flag {
    const PLURAL: &'static str = bool::PLURAL;

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Flag> {
        bool::read(reader, value).map(|flag| Spanned { value: flag, span: value.span() })
    }

    fn shape() -> Shape {
        bool::shape()
    }

    fn as_default(&self) -> Default {
        self.value.as_default()
    }
}

impl FieldType for Spanned<GoChoice> {
    const PLURAL: &'static str = "versions of Go";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Spanned<GoChoice>> {
        const EXPECTED: &str = "`Version(\"1.22.12\")`, `FromGoMod` or `System`";
        let span = value.span();
        let call = value.call();
        let choice = match call.as_ref().map(|call| (call.name, call.arguments)) {
            Some(("FromGoMod", None)) => GoChoice::FromGoMod,
            Some(("System", None)) => GoChoice::System,
            Some(("Version", Some(arguments))) => {
                let version = reader.argument("Version", arguments, span)?;
                let version = reader.string(version, "a Go version")?;
                if !is_go_version(&version.value) {
                    let message = format!("`{}` is not a Go version", version.value.escape_debug());
                    let hint = "write it as Go does, without `go`: 1.22.12";
                    reader.report(Diagnostic::new(version.span, message).hint(hint));
                    return None;
                }
                GoChoice::Version(version.value)
            }
            _ => {
                reader.report(value.unexpected(EXPECTED));
                return None;
            }
        };
        Some(Spanned { value: choice, span })
    }

    fn place(&mut self, span: Span) {
        self.span = span;
    }

    fn shape() -> Shape {
        const PATTERN: &str = "^[0-9]{1,4}(\\.[0-9]{1,4}){1,2}((rc|beta)[0-9]{1,4})?$";
        Shape::OneOf(vec![
            Shape::call("Version", Shape::string("version", PATTERN)),
            Shape::Words(&["FromGoMod", "System"]),
        ])
    }

    fn as_default(&self) -> Default {
        match self.value {
            GoChoice::FromGoMod => Default::Word("FromGoMod"),
            GoChoice::System => Default::Word("System"),
            GoChoice::Version(_) => Default::None,
        }
    }
}

/// Returns true for `1.22.12` and `1.21rc2`; false for anything that could be a path or a flag.
fn is_go_version(text: &str) -> bool {
    let (numbers, rest) = match text.find(|character: char| character.is_ascii_alphabetic()) {
        Some(index) => text.split_at(index),
        None => (text, ""),
    };
    let parts: Vec<&str> = numbers.split('.').collect();
    let digits = |part: &str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    let prerelease = rest.strip_prefix("rc").or_else(|| rest.strip_prefix("beta"));
    (2..=3).contains(&parts.len())
        && parts.iter().all(|part| digits(part))
        && (rest.is_empty() || prerelease.is_some_and(digits))
}

impl FieldType for BuildMode {
    const PLURAL: &'static str = "build modes";

    /// Reads a string with Go's name of the mode.
    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<BuildMode> {
        let mode = reader.string(value, "a build mode, \"exe\" or \"pie\"")?;
        let (message, hint) = match mode.value.as_str() {
            "exe" => return Some(BuildMode::Executable),
            "pie" => return Some(BuildMode::PositionIndependent),
            "c-archive" | "c-shared" | "plugin" | "shared" => (
                format!("`-buildmode={}` needs cgo and makes a library: `GoBuild` makes executables", mode.value),
                "build it with an `Exec`: command: [\"go\", \"build\", …]",
            ),
            other => {
                (format!("`{}` is not a build mode of executables", other.escape_debug()), "write \"exe\" or \"pie\"")
            }
        };
        reader.report(Diagnostic::new(mode.span, message).hint(hint));
        None
    }

    fn shape() -> Shape {
        Shape::Strings(&["exe", "pie"])
    }
}

impl FieldType for Sandbox {
    const PLURAL: &'static str = "sandboxes";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Sandbox> {
        reader.choice(value, &[("On", Sandbox::On), ("Off", Sandbox::Off)])
    }

    fn shape() -> Shape {
        Shape::Words(&["On", "Off"])
    }

    fn as_default(&self) -> Default {
        match self {
            Sandbox::On => Default::Word("On"),
            Sandbox::Off => Default::Word("Off"),
        }
    }
}

impl FieldType for Gate {
    const PLURAL: &'static str = "gates";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Gate> {
        reader.choice(value, &[("On", Gate::On), ("Off", Gate::Off)])
    }

    fn shape() -> Shape {
        Shape::Words(&["On", "Off"])
    }

    fn as_default(&self) -> Default {
        match self {
            Gate::On => Default::Word("On"),
            Gate::Off => Default::Word("Off"),
        }
    }
}

impl Scan {
    /// Returns the value of the flag `-scan`.
    pub fn flag(self) -> &'static str {
        match self {
            Scan::Symbol => "symbol",
            Scan::Package => "package",
            Scan::Module => "module",
        }
    }
}

impl FieldType for Scan {
    const PLURAL: &'static str = "scans";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Scan> {
        reader.choice(value, &[("Symbol", Scan::Symbol), ("Package", Scan::Package), ("Module", Scan::Module)])
    }

    fn shape() -> Shape {
        Shape::Words(&["Symbol", "Package", "Module"])
    }

    fn as_default(&self) -> Default {
        match self {
            Scan::Symbol => Default::Word("Symbol"),
            Scan::Package => Default::Word("Package"),
            Scan::Module => Default::Word("Module"),
        }
    }
}

impl FieldType for Compression {
    const PLURAL: &'static str = "compressions";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Compression> {
        let call = value.call();
        let arguments = match call.as_ref().map(|call| (call.name, call.arguments)) {
            Some(("Gzip", None)) => return Some(Compression::Gzip),
            Some(("Zstd", Some(arguments))) => reader.kept(arguments.positional())?,
            _ => Vec::new(),
        };
        let [level] = arguments.as_slice() else {
            reader.report(value.unexpected("`Gzip` or `Zstd(3)`"));
            return None;
        };
        ZstdLevel::read(reader, *level).map(Compression::Zstd)
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![Shape::Words(&["Gzip"]), Shape::call("Zstd", ZstdLevel::shape())])
    }

    fn as_default(&self) -> Default {
        match self {
            Compression::Gzip => Default::Word("Gzip"),
            Compression::Zstd(_) => Default::None,
        }
    }
}

impl FieldType for Shuffle {
    const PLURAL: &'static str = "orders of tests";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Shuffle> {
        let call = value.call();
        let arguments = match call.as_ref().map(|call| (call.name, call.arguments)) {
            Some(("Off", None)) => return Some(Shuffle::Off),
            Some(("On", None)) => return Some(Shuffle::On),
            Some(("Seed", Some(arguments))) => reader.kept(arguments.positional())?,
            _ => Vec::new(),
        };
        let [seed] = arguments.as_slice() else {
            reader.report(value.unexpected("`Off`, `On` or `Seed(7)`"));
            return None;
        };
        ShuffleSeed::read(reader, *seed).map(Shuffle::Seed)
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![Shape::Words(&["Off", "On"]), Shape::call("Seed", ShuffleSeed::shape())])
    }

    fn as_default(&self) -> Default {
        match self {
            Shuffle::Off => Default::Word("Off"),
            Shuffle::On => Default::Word("On"),
            Shuffle::Seed(_) => Default::None,
        }
    }
}

impl FieldType for Created {
    const PLURAL: &'static str = "times";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Created> {
        const ENVIRONMENT: &str = "`Env(\"SOURCE_DATE_EPOCH\")`";
        let call = value.call();
        match call.as_ref().map(|call| (call.name, call.arguments)) {
            Some(("Epoch", None)) => Some(Created::Epoch),
            Some(("CommitTime", None)) => Some(Created::CommitTime),
            Some(("Env", Some(_))) => match reader.text(value)?.source {
                TextSource::Environment { name, default: None } => Some(Created::Environment(name)),
                _ => {
                    reader.report(value.unexpected(ENVIRONMENT));
                    None
                }
            },
            _ => {
                reader.report(value.unexpected(&format!("`Epoch`, `CommitTime` or {ENVIRONMENT}")));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![
            Shape::Words(&["Epoch", "CommitTime"]),
            Shape::call("Env", Shape::string("name", ENVIRONMENT_NAME)),
        ])
    }

    fn as_default(&self) -> Default {
        match self {
            Created::Epoch => Default::Word("Epoch"),
            Created::CommitTime => Default::Word("CommitTime"),
            Created::Environment(_) => Default::None,
        }
    }
}
