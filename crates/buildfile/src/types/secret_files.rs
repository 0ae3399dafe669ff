//! Secrets that a container reads as files.

use crate::reader::Reader;
use crate::text::ProcessText;
use crate::types::maps::{Key, Map};
use crate::{Diagnostic, Spanned};

/// Names of files below `/run/secrets`.
#[derive(Clone, Debug)]
pub enum SecretFileName {}

/// Contents of files, by their names below `/run/secrets`.
pub type SecretFiles = Map<SecretFileName, ProcessText>;

impl Key for SecretFileName {
    const ENTRY: &'static str = "file";
    const EXPECTED: &'static str = "a map, `{\"db_password\": Secret(\"DB_PASSWORD\")}`";
    const NAME: &'static str = "name of a file";
    const PATTERN: &'static str = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let name = key.value.as_bytes();
        let is_sound = name.len() <= 100
            && name.first().is_some_and(|first| first.is_ascii_alphanumeric() || *first == b'_')
            && name.iter().all(|byte| is_part(*byte));
        if !is_sound {
            let message = format!("`{}` is no name of a file below `/run/secrets`", key.value.escape_debug());
            reader.report(Diagnostic::new(key.span, message).hint("write letters, digits, `_`, `.` and `-`"));
        }
        is_sound
    }
}
