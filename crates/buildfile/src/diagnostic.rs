//! Diagnostics: mistakes with their places and hints, and their form for people.

/// A half-open range of bytes in the text of build.ron.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl From<Span> for std::ops::Range<usize> {
    fn from(span: Span) -> std::ops::Range<usize> {
        span.start..span.end
    }
}

/// A value and its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Its place.
    pub span: Span,
    /// What to do next.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Returns a mistake at `span`.
    pub fn new(span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { message: message.into(), span, hint: None }
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint if there is one.
    pub(crate) fn hint_of(self, hint: Option<String>) -> Diagnostic {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

/// Returns the form for people: message, `file:line:column`, the line with the span underlined, the hint.
pub fn render(file_name: &str, text: &str, diagnostic: &Diagnostic) -> String {
    let mut result = format!("error: {}\n{}", diagnostic.message, render_place(file_name, text, diagnostic.span));
    if let Some(hint) = &diagnostic.hint {
        result.push_str(&format!("\nhint: {hint}\n"));
    }
    result
}

/// Returns the lines that show a place: its file, line and column, and the source with the span underlined.
pub fn render_place(file_name: &str, text: &str, span: Span) -> String {
    let (line_number, line, column) = locate(text, span.start);
    let gutter = " ".repeat(line_number.to_string().len());
    // A very long line (a generated file) is cut around the place.
    let characters: Vec<char> = line.chars().collect();
    let from = column.saturating_sub(60);
    let shown: String = characters.iter().skip(from).take(140).map(|&character| visible(character)).collect();
    let length = text
        .get(span.start..span.end.min(text.len()))
        .map_or(1, |slice| slice.split('\n').next().unwrap_or("").trim_end().chars().count());
    let room = shown.chars().count().saturating_sub(column - from).max(1);
    let underline = "^".repeat(length.clamp(1, room));
    let pad = " ".repeat(column - from);
    format!(
        "{gutter}--> {file_name}:{line_number}:{}\n{gutter} |\n{line_number} | {}\n{gutter} | {pad}{underline}\n",
        column + 1,
        shown.trim_end(),
    )
}

/// Returns the line number (from 1), the line, and the column in characters (from 0) of a byte offset.
fn locate(text: &str, offset: usize) -> (usize, &str, usize) {
    let offset = floor_boundary(text, offset);
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |index| index + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |index| offset + index);
    (before.matches('\n').count() + 1, &text[start..end], text[start..offset].chars().count())
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Replaces control characters and characters that reorder text: a terminal must not act on them.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        character if character.is_control() || is_bidirectional(character) => '\u{fffd}',
        character => character,
    }
}

/// Returns true for marks that change the direction of text, which make a file look different from its contents
/// (CVE-2021-42574).
pub(crate) fn is_bidirectional(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
}
