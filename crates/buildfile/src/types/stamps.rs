//! Keys of `stamp`: variables of a Go program, as `-X` of the linker names them.

use crate::reader::Reader;
use crate::types::maps::{Key, Map};
use crate::{Diagnostic, Spanned, Text};

/// Variables of a program, by import path and name.
#[derive(Clone, Debug)]
pub enum StampedVariable {}

/// Values of variables of a program.
pub type Stamps = Map<StampedVariable, Text>;

impl Key for StampedVariable {
    const ENTRY: &'static str = "key";
    const EXPECTED: &'static str = "a map, `{\"main.version\": \"value\"}`";
    const NAME: &'static str = "variable";
    const PATTERN: &'static str = "^[^\\s=]+\\.[^\\s=./]+$";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        let shown = key.value.escape_debug();
        let is_name = |name: &str| {
            name.chars().all(|one| one.is_alphanumeric() || one == '_')
                && !name.starts_with(|one: char| one.is_numeric())
        };
        let message = match key.value.rsplit_once('.') {
            _ if key.value.contains('=') || key.value.contains(char::is_whitespace) => {
                format!("`{shown}` can't be the name of a variable")
            }
            Some((package, name)) if !package.is_empty() && !name.is_empty() && is_name(name) => return true,
            None if is_name(&key.value) && !key.value.is_empty() => {
                let hint = format!("write `main.{shown}`, or its import path: `example.com/x/build.{shown}`");
                reader.report(Diagnostic::new(key.span, format!("`{shown}` names no package")).hint(hint));
                return false;
            }
            _ => format!("`{shown}` can't be the name of a variable"),
        };
        let hint = "write the package and the name: `main.version`, `example.com/x/build.Version`";
        reader.report(Diagnostic::new(key.span, message).hint(hint));
        false
    }
}
