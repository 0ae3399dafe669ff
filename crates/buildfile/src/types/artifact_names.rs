//! `ArtifactName`: names of files that people download, with `{os}` and the like in them. It knows no release.

use crate::field::FieldType;
use crate::reader::Reader;
use crate::shape::{Default, Shape};
use crate::value::Value;
use crate::{Diagnostic, Span, Spanned, suggest};

/// A name that stands for a file of each platform, or of all: `{project}_{version}_{os}_{arch}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactName {
    pieces: Vec<NamePiece>,
    text: Spanned<String>,
}

/// A piece of such a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePiece {
    /// As written.
    Literal(String),
    /// A value of the release.
    Value(NameValue),
}

/// A value that names can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameValue {
    /// `{project}`
    Project,
    /// `{version}`
    Version,
    /// `{target}`: the name of the target.
    Target,
    /// `{os}`, in Go's word.
    Os,
    /// `{arch}`: Go's word, with the variant if the platform has one: `armv7`.
    Architecture,
}

const VALUES: [(&str, NameValue); 5] = [
    ("project", NameValue::Project),
    ("version", NameValue::Version),
    ("target", NameValue::Target),
    ("os", NameValue::Os),
    ("arch", NameValue::Architecture),
];

const HINT: &str = "names have `{project}`, `{version}`, `{target}`, `{os}` and `{arch}`";

impl ArtifactName {
    /// Returns a name of Rondel's own, which is sound.
    pub(crate) fn own(text: &'static str) -> ArtifactName {
        let text = Spanned { value: text.to_owned(), span: Span::default() };
        ArtifactName { pieces: parse(&text).unwrap_or_default(), text }
    }

    /// Returns the text as written, with its place.
    pub fn text(&self) -> &Spanned<String> {
        &self.text
    }

    /// Returns true if the files of all platforms have names of their own.
    pub fn tells_platforms_apart(&self) -> bool {
        let has = |value| self.pieces.contains(&NamePiece::Value(value));
        has(NameValue::Os) && has(NameValue::Architecture)
    }

    /// Returns true if it has a value of one platform.
    pub fn names_a_platform(&self) -> bool {
        let has = |value| self.pieces.contains(&NamePiece::Value(value));
        has(NameValue::Os) || has(NameValue::Architecture)
    }

    /// Returns the name with these values.
    pub fn fill(&self, value: &dyn Fn(NameValue) -> String) -> String {
        let piece = |piece: &NamePiece| match piece {
            NamePiece::Literal(text) => text.clone(),
            NamePiece::Value(name) => value(*name),
        };
        self.pieces.iter().map(piece).collect()
    }
}

/// Returns the pieces of a name, or the mistake in it.
fn parse(text: &Spanned<String>) -> Result<Vec<NamePiece>, Diagnostic> {
    let wrong = |message: String| Diagnostic::new(text.span, message).hint(HINT);
    let (mut pieces, mut rest) = (Vec::new(), text.value.as_str());
    while let Some(begin) = rest.find(['{', '}']) {
        let (literal, from) = rest.split_at(begin);
        if !literal.is_empty() {
            pieces.push(NamePiece::Literal(literal.to_owned()));
        }
        let Some((name, after)) = from.strip_prefix('{').and_then(|from| from.split_once('}')) else {
            return Err(wrong(format!("`{}` has a brace without its other one", text.value.escape_debug())));
        };
        let Some((_, value)) = VALUES.iter().find(|(word, _)| *word == name) else {
            let error = wrong(format!("names of files have no `{{{}}}`", name.escape_debug()));
            return Err(match suggest(name, VALUES.iter().map(|(word, _)| *word)) {
                Some(near) => error.hint(format!("did you mean `{{{near}}}`?")),
                None => error,
            });
        };
        pieces.push(NamePiece::Value(*value));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(NamePiece::Literal(rest.to_owned()));
    }
    let literal = |piece: &NamePiece| match piece {
        NamePiece::Literal(text) => text.clone(),
        NamePiece::Value(_) => String::new(),
    };
    match pieces.iter().map(literal).collect::<String>().chars().find(|character| !is_sound(*character)) {
        None if pieces.is_empty() => Err(wrong("the name is empty".to_owned())),
        None => Ok(pieces),
        Some(character) => {
            let message = format!("`{}` can't be in the name of a file", character.escape_debug());
            Err(wrong(message).hint("letters, digits, and `-`, `_`, `.`, `+`, `~`, `@`, `=`, `,`"))
        }
    }
}

/// Returns true for what stands in a file's name on every system, in a URL, and in a line of `sha256sum`.
pub fn is_sound(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_.+~@=,".contains(character)
}

impl FieldType for ArtifactName {
    const PLURAL: &'static str = "names of files";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<ArtifactName> {
        let text = reader.string(value, "the name of a file, \"{project}_{version}_{os}_{arch}\"")?;
        match parse(&text) {
            Ok(pieces) => Some(ArtifactName { pieces, text }),
            Err(diagnostic) => {
                reader.report(diagnostic);
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::string("name", "^[A-Za-z0-9_.+~@=,{}-]+$")
    }

    fn as_default(&self) -> Default {
        Default::String(self.text.value.clone())
    }
}
