//! The program's name: `cargo xtask` or `rondel`, as it was started. The only place that knows.
//!
//! Libraries know no command. Their hints hold [`rondel_engine::PROGRAM`] in its place, which is replaced here for
//! people and for JSON.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;

use rondel_engine::PROGRAM;

/// Name of the binary `xtask` for people.
const CARGO_XTASK: &str = "cargo xtask";

static NAME: OnceLock<String> = OnceLock::new();

/// Records how the process was started. The first call counts.
pub(crate) fn started_as(argument: Option<&OsStr>) {
    let _ = NAME.set(name_of(argument));
}

/// Returns the command that people type.
pub(crate) fn name() -> &'static str {
    NAME.get().map_or("rondel", String::as_str)
}

/// Returns true if the program is run through cargo.
pub(crate) fn is_xtask() -> bool {
    name() == CARGO_XTASK
}

fn name_of(argument: Option<&OsStr>) -> String {
    let file = argument.map(Path::new).and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let file = file.unwrap_or_default();
    match file.strip_suffix(".exe").unwrap_or(&file) {
        "" => "rondel".to_owned(),
        "xtask" => CARGO_XTASK.to_owned(),
        other => other.to_owned(),
    }
}

/// Returns a library's `text`, with the program's name in place of [`rondel_engine::PROGRAM`].
pub(crate) fn with_program(text: &str) -> Cow<'_, str> {
    if text.contains(PROGRAM) { Cow::Owned(text.replace(PROGRAM, name())) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (argument, name) in [
            ("/repo/target/xtask/xtask", "cargo xtask"),
            ("xtask.exe", "cargo xtask"),
            ("/usr/bin/rondel", "rondel"),
            ("other", "other"),
            ("", "rondel"),
        ] {
            assert_eq!(name_of(Some(OsStr::new(argument))), name, "{argument}");
        }
        assert_eq!(name_of(None), "rondel");
    }

    #[test]
    fn hints_of_libraries_name_the_program() {
        assert_eq!(with_program(&format!("run `{PROGRAM} lock`")), "run `rondel lock`");
        assert_eq!(with_program("`{program}` is no placeholder"), "`{program}` is no placeholder");
    }
}
