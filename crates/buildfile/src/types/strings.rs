//! Strings with a rule: paths, globs, names, ports.

use crate::field::{FieldType, Visitor};
use crate::image_path::unfit;
use crate::places::normal;
use crate::reader::Reader;
use crate::shape::{Default, Shape};
use crate::value::Value;
use crate::{Diagnostic, Span, Spanned};

/// Pattern of the name of an environment variable.
pub(crate) const ENVIRONMENT_NAME: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

/// A newtype of a string with its place. `check` returns false to drop the value, after a report.
macro_rules! string {
    (
        $(#[doc = $doc:literal])*
        $name:ident { one: $expected:literal, many: $plural:literal, shape: $shape:expr, check: $check:expr $(, path: $path:literal)? }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(Spanned<String>);

        impl std::ops::Deref for $name {
            type Target = Spanned<String>;
            fn deref(&self) -> &Spanned<String> {
                &self.0
            }
        }

        impl FieldType for $name {
            const PLURAL: &'static str = $plural;

            fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<$name> {
                let text = reader.string(value, $expected)?;
                let check: fn(&mut Reader<'_>, &Spanned<String>) -> bool = $check;
                check(reader, &text).then_some($name(text))
            }

            fn place(&mut self, span: Span) {
                self.0.span = span;
            }

            fn shape() -> Shape {
                $shape
            }

            $(
                #[doc = $path]
                fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
                    visitor.path(&self.0.value, self.0.span);
                }
            )?

            fn as_default(&self) -> Default {
                Default::String(self.0.value.clone())
            }
        }
    };
}

string! {
    /// The path of a file or directory of the tree, relative to `root`.
    SourcePath { one: "a path", many: "paths", shape: Shape::string("path", "^[^/]"), check: is_below_root, path: "A path." }
}
string! {
    /// The directory of a Go module, relative to `root`: `examples`.
    ModuleDirectory {
        one: "the directory of a module",
        many: "directories of modules",
        shape: Shape::string("directory of a go.mod", "^[^/]"),
        check: is_module_directory,
        path: "A path."
    }
}
string! {
    /// The place of a result, relative to `root`.
    OutPath { one: "a path", many: "paths", shape: Shape::string("path", "^[^/]"), check: is_below_root, path: "A path." }
}
string! {
    /// A pattern of paths below `root`; `!` takes away.
    Glob { one: "a glob", many: "globs", shape: Shape::string("glob", ""), check: is_glob }
}
string! {
    /// A regular expression.
    Pattern { one: "a regular expression", many: "regular expressions", shape: Shape::string("regular expression", ""), check: is_pattern }
}
string! {
    /// The name of a variable of the process environment.
    EnvironmentName {
        one: "the name of an environment variable",
        many: "names of environment variables",
        shape: Shape::string("name", ENVIRONMENT_NAME),
        check: is_environment_name
    }
}
string! {
    /// A port that an image exposes: `8080/tcp`.
    Port {
        one: "a port like \"8080/tcp\"",
        many: "ports",
        shape: Shape::string("port", "^[0-9]+(/(tcp|udp|sctp))?$"),
        check: is_port
    }
}
string! {
    /// An absolute path in an image.
    VolumePath { one: "an absolute path in the image", many: "absolute paths", shape: Shape::string("absolute path", "^(/[^/]+)+$"), check: is_volume }
}
string! {
    /// A signal, as Docker takes it: `SIGQUIT`.
    Signal { one: "a signal like \"SIGQUIT\"", many: "signals", shape: Shape::string("signal", "^SIG[A-Z0-9+-]+$"), check: is_signal }
}
string! {
    /// The name of a layer of an image.
    LayerName {
        one: "the name of a layer",
        many: "names of layers",
        shape: Shape::string("name of a layer", "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"),
        check: is_layer
    }
}
string! {
    /// The name of a pool.
    PoolName { one: "the name of a pool", many: "pools", shape: Shape::string("name of a pool", ""), check: |_, _| true }
}
string! {
    /// A value of a parameter.
    ParameterValue { one: "a text", many: "texts", shape: Shape::string("value", ""), check: |_, _| true }
}
string! {
    /// A heading of the list of targets.
    Heading { one: "a heading", many: "headings", shape: Shape::string("heading", "^[^ ].*$"), check: is_heading }
}
string! {
    /// The name of the project.
    ProjectName {
        one: "the project's name",
        many: "names of projects",
        shape: Shape::string("name", "^[a-z0-9][a-z0-9_-]{0,62}$"),
        check: is_project_name
    }
}

impl ModuleDirectory {
    /// Returns the directory in its shortest form, `examples` for `./examples/`; `None` for `root` itself.
    pub fn below_root(&self) -> Option<String> {
        Some(normal(&self.0.value)).filter(|path| !path.is_empty())
    }
}

impl SourcePath {
    /// Returns a path that was not written, as a default.
    pub(crate) fn unwritten(path: &str) -> SourcePath {
        SourcePath(Spanned { value: path.to_owned(), span: Span::default() })
    }
}

/// The path of a request: it begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlPath(String);

impl UrlPath {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for UrlPath {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FieldType for UrlPath {
    const PLURAL: &'static str = "paths";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<UrlPath> {
        const EXPECTED: &str = "a path that begins with `/`";
        let path = reader.string(value, EXPECTED)?.value;
        if path.starts_with('/') && path.chars().all(|character| character.is_ascii_graphic()) {
            return Some(UrlPath(path));
        }
        reader.report(value.unexpected(EXPECTED));
        None
    }

    fn shape() -> Shape {
        Shape::string("path of a request", "^/[!-~]*$")
    }
}

fn is_pattern(reader: &mut Reader<'_>, pattern: &Spanned<String>) -> bool {
    let broken = regex_lite::Regex::new(&pattern.value).err();
    if let Some(error) = &broken {
        let message = format!("`{}` is not a regular expression: {error}", pattern.value.escape_debug());
        reader.report(Diagnostic::new(pattern.span, message));
    }
    broken.is_none()
}

/// Reports a path that is empty or leaves the root. The path is kept, so that its other mistakes are reported too.
fn is_below_root(reader: &mut Reader<'_>, path: &Spanned<String>) -> bool {
    check_path(reader, &path.value, path.span);
    true
}

/// Reports a directory that can't be the home of a module.
fn is_module_directory(reader: &mut Reader<'_>, path: &Spanned<String>) -> bool {
    check_path(reader, &path.value, path.span);
    if path.value.split('/').any(|part| part == "vendor") {
        let message =
            format!("`{}` is in a `vendor` directory, which `go mod vendor` writes", path.value.escape_debug());
        let hint = "name the module that has this `vendor`; write its packages by their import paths";
        reader.report(Diagnostic::new(path.span, message).hint(hint));
        return false;
    }
    true
}

/// Reports a glob that can't match a file below the root; one that takes away may.
fn is_glob(reader: &mut Reader<'_>, glob: &Spanned<String>) -> bool {
    let text = glob.value.as_str();
    if !text.starts_with('!') {
        check_path(reader, text, glob.span);
        let leaves = text.starts_with('/') || text.split('/').next() == Some("..");
        if !leaves && text.split('/').any(|part| part == "..") {
            let message = format!("`{}` holds `..`, which no glob matches", text.escape_debug());
            reader.report(Diagnostic::new(glob.span, message).hint("write the path without it"));
        }
    }
    true
}

/// Reports a path that is empty or leaves the root.
pub(super) fn check_path(reader: &mut Reader<'_>, path: &str, span: Span) {
    let mut depth = 0_i64;
    let mut escapes = path.starts_with('/');
    for part in path.split('/') {
        depth += match part {
            "" | "." => 0,
            ".." => -1,
            _ => 1,
        };
        escapes |= depth < 0;
    }
    if escapes {
        let message = format!("`{}` leaves the root", path.escape_debug());
        reader.report(Diagnostic::new(span, message).hint("paths are relative to `root`"));
    }
    if path.is_empty() {
        reader.report(Diagnostic::new(span, "the path is empty"));
    }
}

/// Returns true if `name` can be the name of an environment variable; else reports it.
pub(crate) fn is_environment_name(reader: &mut Reader<'_>, name: &Spanned<String>) -> bool {
    let sound = !name.value.is_empty()
        && !name.value.starts_with(|first: char| first.is_ascii_digit())
        && name.value.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    if !sound {
        let message = format!("`{}` can't be the name of an environment variable", name.value.escape_debug());
        reader.report(Diagnostic::new(name.span, message));
    }
    sound
}

fn is_port(reader: &mut Reader<'_>, port: &Spanned<String>) -> bool {
    let (number, protocol) = port.value.split_once('/').unwrap_or((&port.value, "tcp"));
    let sound = number.parse::<u16>().is_ok_and(|number| number > 0) && matches!(protocol, "tcp" | "udp" | "sctp");
    if !sound {
        let message = format!("`{}` is not a port", port.value.escape_debug());
        reader.report(Diagnostic::new(port.span, message).hint("write \"8080/tcp\""));
    }
    sound
}

fn is_volume(reader: &mut Reader<'_>, path: &Spanned<String>) -> bool {
    let found = unfit(&path.value);
    let sound = found.is_none();
    if let Some((message, hint)) = found {
        reader.report(Diagnostic::new(path.span, message).hint(hint));
    }
    sound
}

fn is_signal(reader: &mut Reader<'_>, signal: &Spanned<String>) -> bool {
    // Those of Linux, and the real-time ones by their distance: `SIGRTMIN+3`.
    const NAMES: &[&str] = &[
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS", "RTMIN", "RTMAX",
    ];
    let real_time = |name: &str| {
        let distance = name.strip_prefix("RTMIN+").or_else(|| name.strip_prefix("RTMAX-"));
        distance.is_some_and(|distance| distance.parse::<u8>().is_ok_and(|distance| (1..=30).contains(&distance)))
    };
    let sound = signal.value.strip_prefix("SIG").is_some_and(|name| NAMES.contains(&name) || real_time(name));
    if !sound {
        let message = format!("`{}` is not a signal of Linux", signal.value.escape_debug());
        reader.report(Diagnostic::new(signal.span, message).hint("write \"SIGTERM\", \"SIGQUIT\" or \"SIGINT\""));
    }
    sound
}

fn is_layer(reader: &mut Reader<'_>, name: &Spanned<String>) -> bool {
    // The layers that every image has or may have.
    const OWN: &[&str] = &["base", "files", "outputs"];
    let text = name.value.as_str();
    if OWN.contains(&text) {
        let message = format!("`{text}` is a layer that Rondel makes itself");
        reader.report(Diagnostic::new(name.span, message).hint("give it another name, or leave `layer` out"));
        return false;
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let sound = text.bytes().all(fits) && text.starts_with(|first: char| first.is_ascii_alphanumeric());
    if !sound || text.len() > 63 {
        let message = format!("`{}` can't be the name of a layer", text.escape_debug());
        let hint = "it has letters, digits, `_`, `.` and `-`, a letter or digit first, and at most 63 of them";
        reader.report(Diagnostic::new(name.span, message).hint(hint));
    }
    sound
}

/// Checks a heading: one line that is not empty.
fn is_heading(reader: &mut Reader<'_>, text: &Spanned<String>) -> bool {
    let sound = !text.value.trim().is_empty() && !text.value.chars().any(char::is_control);
    if !sound {
        reader.report(Diagnostic::new(text.span, "a heading is one line that is not empty"));
    }
    sound
}

fn is_project_name(reader: &mut Reader<'_>, name: &Spanned<String>) -> bool {
    let small = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let sound = name.value.starts_with(small)
        && name.value.len() <= 63
        && name.value.chars().all(|character| small(character) || "-_".contains(character));
    if !sound {
        let message = "a project's name is made of a-z, 0-9, `-` and `_`, a letter or digit first";
        reader.report(Diagnostic::new(name.span, message));
    }
    sound
}
