//! Parts of packages: scripts, sources of files, names of owners, and paths where something is installed.

use crate::field::{FieldType, Visitor};
use crate::image_path::unfit;
use crate::reader::Reader;
use crate::shape::{Default, Shape};
use crate::text::OutputReference;
use crate::types::SourcePath;
use crate::types::file_sources::is_user_name;
use crate::types::maps::Key;
use crate::value::Value;
use crate::{Diagnostic, Spanned};

/// A script, or where it is.
#[derive(Clone, Debug)]
pub enum PackageScript {
    /// The script itself. Braces in it are its own.
    Text(String),
    /// A file of the tree.
    File(SourcePath),
}

/// Where the contents of a file are from.
#[derive(Clone, Debug)]
pub enum PackageSource {
    /// A file or directory of the tree.
    Tree(SourcePath),
    /// What another target makes.
    Output(OutputReference),
}

/// The name of a user or group where a package is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerName(String);

/// An absolute directory where a package is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledDirectory(String);

/// Absolute paths where a package is installed.
#[derive(Clone, Debug)]
pub enum InstalledPath {}

impl OwnerName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl InstalledDirectory {
    /// Returns the usual directory of programs.
    pub(crate) fn of_programs() -> InstalledDirectory {
        InstalledDirectory("/usr/bin".to_owned())
    }

    /// Returns the path, which begins with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FieldType for PackageScript {
    const PLURAL: &'static str = "scripts";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<PackageScript> {
        let span = value.span();
        let Some(call) = value.call().filter(|call| call.name == "File") else {
            return reader.string(value, "a script, or `File(\"path\")`").map(|text| PackageScript::Text(text.value));
        };
        let Some(arguments) = call.arguments else {
            reader.report(value.unexpected("`File(\"path\")`"));
            return None;
        };
        let argument = reader.argument("File", arguments, span)?;
        SourcePath::read(reader, argument).map(PackageScript::File)
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![Shape::string("script", ""), Shape::call("File", SourcePath::shape())])
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        if let PackageScript::File(path) = self {
            path.visit(visitor);
        }
    }
}

impl FieldType for PackageSource {
    const PLURAL: &'static str = "paths";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<PackageSource> {
        let output = value.call().filter(|call| call.name == "Output").and_then(|call| call.arguments);
        match output {
            Some(arguments) => reader.output_reference(arguments, value.span()).map(PackageSource::Output),
            None => SourcePath::read(reader, value).map(PackageSource::Tree),
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![SourcePath::shape(), OutputReference::shape()])
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        match self {
            PackageSource::Tree(path) => path.visit(visitor),
            PackageSource::Output(output) => output.visit(visitor),
        }
    }
}

impl FieldType for OwnerName {
    const PLURAL: &'static str = "names of users";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<OwnerName> {
        let name = reader.string(value, "the name of a user or group")?;
        let starts = name.value.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if starts && is_user_name(&name.value) && name.value.len() < 32 {
            return Some(OwnerName(name.value));
        }
        let message = format!("`{}` can't be the name of a user or group", name.value.escape_debug());
        reader
            .report(Diagnostic::new(name.span, message).hint("write a name like \"root\"; numbers differ by machine"));
        None
    }

    fn shape() -> Shape {
        Shape::string("name of a user", "^[A-Za-z_][A-Za-z0-9_.-]{0,30}$")
    }
}

impl FieldType for InstalledDirectory {
    const PLURAL: &'static str = "directories";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<InstalledDirectory> {
        let path = reader.string(value, "an absolute path, \"/usr/bin\"")?;
        if is_installed_path(reader, &path) { Some(InstalledDirectory(path.value)) } else { None }
    }

    fn shape() -> Shape {
        Shape::string("absolute path", InstalledPath::PATTERN)
    }

    fn as_default(&self) -> Default {
        Default::String(self.0.clone())
    }
}

impl Key for InstalledPath {
    const ENTRY: &'static str = "file";
    const EXPECTED: &'static str = "a map, `{\"/etc/x/x.conf\": (from: \"x.conf\")}`";
    const NAME: &'static str = "absolute path";
    const PATTERN: &'static str = "^(/[^/]+)+$";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        is_installed_path(reader, key)
    }
}

/// Returns true for a path that a package can install something at; else reports it.
fn is_installed_path(reader: &mut Reader<'_>, path: &Spanned<String>) -> bool {
    let shown = path.value.escape_debug();
    let (message, hint) = if path.value.chars().any(char::is_control) {
        (format!("`{shown}` has control characters"), "give it another name")
    } else if let Some((message, hint)) = unfit(&path.value) {
        (message.replace("can't be in an image", "can't be in a package").replace(" of the container", ""), hint)
    } else if path.value.split('/').any(|part| part.trim() != part) {
        (format!("`{shown}` has spaces around a name"), "give it another name")
    } else {
        return true;
    };
    reader.report(Diagnostic::new(path.span, message).hint(hint));
    false
}
