//! Names of executables that are not Go's own: one for all, or one for each package.

use crate::field::FieldType;
use crate::reader::Reader;
use crate::shape::Shape;
use crate::types::maps::{Key, Map};
use crate::value::Value;
use crate::{Diagnostic, Spanned};

/// What a `GoBuild` calls its executables.
#[derive(Clone, Debug)]
pub enum ExecutableNames {
    /// The name of the only one.
    Only(ExecutableName),
    /// Names by package; those of other packages are Go's own.
    Each(Map<MainPackage, ExecutableName>),
}

/// The name of an executable, without the `.exe` of Windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutableName(Spanned<String>);

/// One package, as in `packages`: a path that begins with `./`, or an import path.
#[derive(Clone, Debug)]
pub enum MainPackage {}

const PATTERN: &str = "^[A-Za-z0-9_][A-Za-z0-9_.+~@-]{0,199}$";

impl std::ops::Deref for ExecutableName {
    type Target = Spanned<String>;
    fn deref(&self) -> &Spanned<String> {
        &self.0
    }
}

impl ExecutableNames {
    /// Returns all declared names.
    pub fn all(&self) -> Vec<&str> {
        match self {
            ExecutableNames::Only(name) => vec![&name.value],
            ExecutableNames::Each(names) => names.iter().map(|(_, name)| name.value.as_str()).collect(),
        }
    }
}

impl FieldType for ExecutableName {
    const PLURAL: &'static str = "names of executables";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<ExecutableName> {
        let name = reader.string(value, "the name of an executable")?;
        match unfit(&name.value) {
            None => Some(ExecutableName(name)),
            Some((message, hint)) => {
                reader.report(Diagnostic::new(name.span, message).hint(hint));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::string("name", PATTERN)
    }
}

/// Returns why a text can't name an executable, and what to write.
fn unfit(name: &str) -> Option<(String, &'static str)> {
    let shown = name.escape_debug();
    if name.is_empty() {
        return Some(("the name of an executable is empty".to_owned(), "leave `name` out for Go's own choice"));
    }
    if name.contains(['/', '\\']) {
        let hint = "executables stand in `dist/<target>/<os>_<arch>/`; `out` gives them another directory";
        return Some((format!("`{shown}` is a path, and an executable has a name"), hint));
    }
    if name.to_ascii_lowercase().ends_with(".exe") {
        return Some((format!("`{shown}` has the ending of Windows"), "leave `.exe` out: it is added for Windows"));
    }
    if name.ends_with(".spdx.json") || name.ends_with(".cdx.json") {
        return Some((format!("`{shown}` is the name of a bill of materials"), "give it another name"));
    }
    let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+~@-".contains(&byte);
    let starts = name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
    if !starts || name.len() > 200 || name.ends_with('.') || !name.bytes().all(is_of_names) {
        let hint = "names are made of letters, digits, `-`, `_`, `.`, `+`, `~` and `@`, a letter, digit or `_` first";
        return Some((format!("`{shown}` can't be the name of an executable"), hint));
    }
    None
}

impl Key for MainPackage {
    const ENTRY: &'static str = "package";
    const EXPECTED: &'static str = "a name, or a map of packages to names, `{\"./cmd/a\": \"alpha\"}`";
    const NAME: &'static str = "package";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        let shown = key.value.escape_debug();
        let (message, hint) = if key.value.contains("...") || key.value.contains('…') {
            (format!("`{shown}` is a pattern, and a name is for one package"), "name each package")
        } else if key.value.is_empty() || key.value.starts_with(['-', '/']) || key.value.ends_with(".go") {
            (format!("`{shown}` is no package"), "write it as in `packages`: \"./cmd/a\", or its import path")
        } else {
            return true;
        };
        reader.report(Diagnostic::new(key.span, message).hint(hint));
        false
    }
}

impl FieldType for ExecutableNames {
    const PLURAL: &'static str = "names of executables";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<ExecutableNames> {
        if value.is_string() {
            return ExecutableName::read(reader, value).map(ExecutableNames::Only);
        }
        let names = Map::<MainPackage, ExecutableName>::read(reader, value)?;
        for (index, (_, name)) in names.iter().enumerate() {
            if names[..index].iter().any(|(_, other)| other.value.eq_ignore_ascii_case(&name.value)) {
                let message = format!("two executables are named `{}`", name.value);
                reader.report(Diagnostic::new(name.span, message).hint("give each a name of its own"));
            }
        }
        Some(ExecutableNames::Each(names))
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![ExecutableName::shape(), Map::<MainPackage, ExecutableName>::shape()])
    }
}
