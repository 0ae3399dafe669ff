//! Sources of the files in an image: the output of a target or a path of the tree, with mode and owner.

use crate::field::{FieldType, Visitor, Wanted};
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::Shape;
use crate::text::OutputReference;
use crate::types::strings::check_path;
use crate::types::{Capability, Glob, LayerName, SourcePath};
use crate::value::Value;
use crate::{Diagnostic, Span, Spanned, TargetName};

/// Source of a file in an image.
#[derive(Clone, Debug)]
pub struct FileSource {
    /// Its contents.
    pub origin: Origin,
    /// Its mode, owner and layer.
    pub attributes: Attributes,
    /// What is left out of a directory.
    pub exclude: Vec<Glob>,
    /// What a file gives to its process.
    pub capabilities: Vec<Capability>,
}

/// Contents of a file in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The output of a target.
    Output {
        /// The target.
        target: TargetName,
        /// One of its outputs, by its path or name; the only one if left out.
        part: Option<String>,
    },
    /// A file or directory of the tree.
    File(String),
    /// A link that leads to this path in the image.
    Link(String),
    /// A directory, empty as far as no other entry is below it.
    Directory,
}

record! {
    /// Mode, owner and layer of a file in an image.
    Attributes = "File" {
        /// Permission bits: `0o755`; 0755 or 0644 if left out, as the file is executable or not. For a directory of the
        /// tree they are those of its files; directories get search permission wherever it lets read. A link has none.
        mode: Option<FileMode> = None,
        /// Owner: `"uid:gid"`, or a name of the image's passwd; root if left out.
        owner: Option<Owner> = None,
        /// Name of the layer that it is in: `"web"`. Entries with one name are in one layer. Those layers lie above the
        /// files of the tree without one and below the other outputs, in the order in which the names come in `files`:
        /// name first what changes least.
        layer: Option<LayerName> = None,
    }
}

record! {
    /// What can be said of a file or directory that is copied.
    FileOptions = "File" {
        /// Globs of what is left out of a directory, relative to it: `["**/*.map", "drafts"]`. A glob that matches a
        /// directory, or all in it, leaves out the whole; one that begins with `!` puts back. They may match nothing.
        /// What is left out is no input. For `File` and `Output`.
        exclude: Vec<Glob> = Vec::new(),
        /// Capabilities that a file gives to its process without root, permitted and effective:
        /// `["cap_net_bind_service"]`. They are in the layer as `setcap` would set them. A container has them only if its
        /// engine lets it: `DockerRun` takes all away but for `cap_add`. For `File` and `Output`.
        capabilities: Vec<Capability> = Vec::new(),
        ..attributes: Attributes,
    }
}

/// Permission bits of a file in an image, with set-user-ID, set-group-ID and sticky bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(u32);

/// Owner of a file in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// A number, or a name of the image's passwd.
    pub user: String,
    /// A number, or a name of the image's group file; the user's own group if left out.
    pub group: Option<String>,
    /// Its place in the file.
    pub span: Span,
}

impl FileMode {
    /// Returns the twelve bits.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl FieldType for FileMode {
    const PLURAL: &'static str = "modes";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<FileMode> {
        const HINT: &str = "write octal digits, `0o755`";
        let bits = reader.kept(value.parse::<u32>("a mode like `0o755`"))?;
        let span = value.span();
        let is_octal = reader.text.get(span.start..span.end).is_some_and(|text| text.starts_with("0o"));
        if !is_octal {
            reader.report(Diagnostic::new(span, "a mode that is not octal").hint(HINT));
            return None;
        }
        if bits > 0o7777 {
            reader.report(Diagnostic::new(span, "a mode has at most four octal digits").hint(HINT));
            return None;
        }
        Some(FileMode(bits))
    }

    fn shape() -> Shape {
        Shape::Integer { min: 0, max: 0o7777 }
    }
}

impl FieldType for Owner {
    const PLURAL: &'static str = "owners";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Owner> {
        let text = reader.string(value, "an owner like \"65532:65532\" or \"nonroot\"")?;
        // The last number of 32 bits stands for "no change" to the system.
        let fits = |part: &str| {
            part.parse::<u64>().map_or(!part.bytes().all(|byte| byte.is_ascii_digit()), |id| id < u64::from(u32::MAX))
        };
        let (user, group) = match text.value.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text.value.as_str(), None),
        };
        let parts = || [Some(user), group].into_iter().flatten();
        let is_lone_number = group.is_none() && user.bytes().all(|byte| byte.is_ascii_digit());
        if is_lone_number || !parts().all(|part| is_user_name(part) && fits(part)) {
            let message = format!("`{}` is not an owner", text.value.escape_debug());
            let hint = "write numbers, \"10001:10001\", or a name of the image's passwd, \"nonroot\"";
            reader.report(Diagnostic::new(text.span, message).hint(hint));
            return None;
        }
        Some(Owner { user: user.to_owned(), group: group.map(str::to_owned), span: text.span })
    }

    fn shape() -> Shape {
        Shape::string("owner", "^([0-9]+:[0-9A-Za-z_.-]+|[A-Za-z_][0-9A-Za-z_.-]*(:[0-9A-Za-z_.-]+)?)$")
    }
}

/// Returns true for what a line of passwd can begin with; numbers are among it.
pub(super) fn is_user_name(part: &str) -> bool {
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    !part.is_empty() && !part.starts_with('-') && part.len() <= 32 && part.bytes().all(is_sound)
}

/// The numbers of a user and its group: `"10001:10001"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserNumbers {
    /// Of the user.
    pub uid: u32,
    /// Of its group, which has the user's name.
    pub gid: u32,
}

impl FieldType for UserNumbers {
    const PLURAL: &'static str = "numbers of users";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<UserNumbers> {
        const EXPECTED: &str = "the numbers of a user and its group, \"10001:10001\"";
        let text = reader.string(value, EXPECTED)?;
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|id| digits && *id < u32::MAX)
        };
        let found = text.value.split_once(':').and_then(|(uid, gid)| Some((number(uid)?, number(gid)?)));
        let Some((uid, gid)) = found else {
            reader.report(value.unexpected(EXPECTED));
            return None;
        };
        Some(UserNumbers { uid, gid })
    }

    fn shape() -> Shape {
        Shape::string("uid:gid", "^[0-9]+:[0-9]+$")
    }
}

impl FileSource {
    /// Title of its section in the reference.
    pub(crate) const TITLE: &'static str = "Sources of files: `Output(…)`, `File(…)`, `Link(…)`, `Directory(…)`";
    /// Meaning of all forms.
    pub(crate) const DOC: &'static str = "Sources of `files` of an `Image`. `Output(\"target\")` is what a target makes: a `GoBuild`, or an `Exec` or \
         `Shell` with inputs. `Output(\"target\", \"part\")` is one of several: an executable by its name, an output by its \
         path or last component, or a path in a directory. `File(\"path\")` is a file or directory of the tree, whole but \
         for `.git` and what Rondel keeps there; a path that is a link stands for what it leads to in the workspace, and \
         links in a directory stay links. `Link(\"/other\")` is a link. `Directory(mode: 0o750)` is a directory, empty as \
         far as no other entry is below it. Of two entries the more exact one holds: a file of a directory may have an \
         entry of its own.";
}

impl FileSource {
    /// Returns a source that is no copy.
    fn plain(origin: Origin, attributes: Attributes) -> FileSource {
        FileSource { origin, attributes, exclude: Vec::new(), capabilities: Vec::new() }
    }
}

/// Reads the argument and the options of `Link(…)`.
fn read_link(reader: &mut Reader<'_>, arguments: Value<'_>, span: Span) -> Option<FileSource> {
    let attributes = reader.with_options("Link", span, |reader, fields| Attributes::read(reader, fields));
    let argument = reader.argument("Link", arguments, span)?;
    let target = reader.string(argument, "the path that the link leads to")?;
    if target.value.is_empty() || target.value.len() > 4095 {
        reader.report(Diagnostic::new(target.span, "a link leads to a path of 1 to 4095 bytes"));
        return None;
    }
    if attributes.as_ref().is_some_and(|attributes| attributes.mode.is_some()) {
        reader.report(Diagnostic::new(span, "a link has no mode of its own").hint("leave `mode` out"));
        return None;
    }
    Some(FileSource::plain(Origin::Link(target.value), attributes?))
}

impl FieldType for Spanned<FileSource> {
    const PLURAL: &'static str = "sources of files";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Spanned<FileSource>> {
        let span = value.span();
        const EXPECTED: &str =
            "`Output(\"target\")`, `File(\"path\")`, `Link(\"/target\")` or `Directory(mode: 0o750)`";
        let call = value.call().filter(|call| matches!(call.name, "Output" | "File" | "Link" | "Directory"));
        if let Some(call) = call.as_ref().filter(|call| call.name == "Directory") {
            let mut fields = reader.fields("Directory", call.name_span, call.arguments)?;
            let attributes = Attributes::read(reader, &mut fields);
            reader.finish(fields);
            return Some(Spanned { value: FileSource::plain(Origin::Directory, attributes?), span });
        }
        let Some((name, Some(arguments))) = call.map(|call| (call.name, call.arguments)) else {
            let file = value.is_string().then(|| format!("for a file of the tree write `File({})`", value.written()));
            reader.report(value.unexpected(EXPECTED).hint_of(file));
            return None;
        };
        let value = if name == "Link" {
            read_link(reader, arguments, span)?
        } else {
            let options = reader.with_options(name, span, |reader, fields| FileOptions::read(reader, fields));
            let origin = if name == "Output" {
                let OutputReference { target, path: part, .. } = reader.output_reference(arguments, span)?;
                Origin::Output { target, part }
            } else {
                let argument = reader.argument(name, arguments, span)?;
                let path = reader.string(argument, "a path")?.value;
                check_path(reader, &path, span);
                Origin::File(path)
            };
            let FileOptions { exclude, capabilities, attributes } = options?;
            FileSource { origin, attributes, exclude, capabilities }
        };
        Some(Spanned { value, span })
    }

    fn shape() -> Shape {
        let with = |name, arguments, fields| Shape::CallWith { name, arguments, required: 1, fields };
        let (doc, fields) = ("A directory in an image.".to_owned(), Attributes::fields());
        let shapes = vec![
            with("Output", vec![Spanned::<TargetName>::shape(), SourcePath::shape()], FileOptions::fields()),
            with("File", vec![SourcePath::shape()], FileOptions::fields()),
            with("Link", vec![Shape::string("path", "")], Attributes::fields()),
            Shape::Record { name: "Directory", doc, fields },
        ];
        Shape::named("source of a file", FileSource::DOC, Shape::OneOf(shapes))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        match &self.value.origin {
            Origin::Output { target, part } => {
                let wanted = if part.is_some() { Wanted::Part } else { Wanted::File };
                visitor.reference(target, self.span, wanted);
            }
            Origin::File(path) => visitor.path(path, self.span),
            Origin::Link(_) | Origin::Directory => {}
        }
    }
}
