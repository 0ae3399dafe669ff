//! Places of images in YAML, and the replacement of single scalars. It knows no image.
//!
//! A file is read by a YAML parser for the places, and changed as bytes: only the scalars themselves. What comes out is
//! read again, and must be the same but for them. A file that can't be read is refused, as is a scalar whose place is not
//! beyond doubt.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::resolve::characters::{doubtful, parsed};

/// Start of a name that stands for the image of a Go program, as ko has it.
pub(crate) const KO: &str = "ko://";

/// A scalar that can name an image: the value of an `image` key, or a text that begins with `ko://`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    /// Its value.
    pub value: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Why it can't be replaced: an alias lets its text stand for something else too.
    shared: Option<Refusal>,
    /// Its first byte, which may be a quote.
    start: usize,
    style: ScalarStyle,
    /// Number of the event in the file.
    event: usize,
}

/// Why a file is left alone, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub line: usize,
    pub column: usize,
    pub why: String,
}

/// A mapping or sequence that is being read.
struct Open {
    /// For a mapping, the key of the next value; `Some(None)` if a key comes next.
    key: Option<Option<Key>>,
    /// True below a top-level key `x-…`.
    is_extension: bool,
}

/// A key of a mapping.
#[derive(Clone, Copy)]
enum Key {
    Image,
    /// One that compose leaves to its users: `x-…`, at the top.
    Extension,
    Other,
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Key,
    /// The value of `image`.
    Image,
    /// Below a top-level key `x-…`.
    Extension,
    Other,
}

impl Refusal {
    /// Returns the refusal of what stands at a byte of `text`.
    pub fn at(text: &[u8], place: usize, why: &str) -> Refusal {
        let before = &text[..place];
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        Refusal { line, column, why: why.to_owned() }
    }
}

/// Reads the events of a file, one by one; a byte order mark is none.
fn events(text: &str) -> impl Iterator<Item = Result<(Event<'_>, Place), Refusal>> {
    Parser::new_from_str(text).map(|event| {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            Refusal { line: marker.line(), column: marker.col() + 1, why: error.info().to_owned() }
        })?;
        let start = span.start;
        Ok((event, Place { line: start.line(), column: start.col() + 1, start: start.index() }))
    })
}

struct Place {
    line: usize,
    column: usize,
    /// Number of its first character.
    start: usize,
}

/// Returns the text without a byte order mark, and the length of that.
fn without_mark(text: &str) -> (&str, usize) {
    text.strip_prefix('\u{feff}').map_or((text, 0), |rest| (rest, '\u{feff}'.len_utf8()))
}

/// Returns the scalars that can name an image, in the order of the file.
pub(crate) fn scalars(text: &str) -> Result<Vec<Scalar>, Refusal> {
    if let Some((place, why)) = doubtful(text) {
        return Err(Refusal::at(text.as_bytes(), place, why));
    }
    let (text, mark) = without_mark(text);
    // The parser counts characters.
    let offsets: Option<Vec<usize>> =
        (!text.is_ascii()).then(|| text.char_indices().map(|(offset, _)| offset).collect());
    let byte = |character: usize| match &offsets {
        Some(offsets) => offsets.get(character).copied().unwrap_or(text.len()),
        None => character.min(text.len()),
    };
    let mut open: Vec<Open> = Vec::new();
    // With whether the text may be replaced where the anchor is.
    let mut anchors: BTreeMap<usize, (Scalar, bool)> = BTreeMap::new();
    let mut found: BTreeMap<usize, Scalar> = BTreeMap::new();
    // Aliases that a replacement of the text would change for the worse, by the event of their anchor.
    let mut shared: BTreeMap<usize, Refusal> = BTreeMap::new();
    let parsed = parsed(text);
    for (number, event) in events(&parsed).enumerate() {
        let (event, place) = event?;
        match event {
            Event::Scalar(value, style, anchor, _) => {
                let role = enter(&mut open, &value);
                let start = byte(place.start) + mark;
                let is_wanted = role == Role::Image || role == Role::Other && value.starts_with(KO);
                let scalar = Scalar {
                    value: value.into_owned(),
                    line: place.line,
                    column: place.column,
                    shared: None,
                    start,
                    style,
                    event: number,
                };
                if is_wanted {
                    found.insert(number, scalar.clone());
                }
                if anchor > 0 {
                    let names_image = role.names_image(&scalar.value);
                    anchors.insert(anchor, (scalar, names_image));
                }
            }
            Event::Alias(anchor) => {
                // What the alias stands for is changed, and so the alias.
                let role = enter(&mut open, "");
                let Some((scalar, names_image)) = anchors.get(&anchor) else { continue };
                if role == Role::Image {
                    found.insert(scalar.event, scalar.clone());
                }
                let what = match (*names_image, role.names_image(&scalar.value)) {
                    (true, false) => "the text of this alias is the name of an image at its anchor, and none here",
                    (false, true) => "the text of this alias is the name of an image here, and none at its anchor",
                    (true, true) | (false, false) => continue,
                };
                let why = format!("{what}: write it out in place of the alias");
                shared.entry(scalar.event).or_insert(Refusal { line: place.line, column: place.column, why });
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                let is_mapping = matches!(event, Event::MappingStart(..));
                let is_extension = open.last().is_some_and(|outer| outer.is_extension);
                let is_extension = enter(&mut open, "") == Role::Extension || is_extension;
                open.push(Open { key: is_mapping.then_some(None), is_extension });
            }
            Event::SequenceEnd | Event::MappingEnd => drop(open.pop()),
            Event::DocumentStart(_) => open.clear(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
    }
    Ok(found.into_iter().map(|(event, scalar)| Scalar { shared: shared.remove(&event), ..scalar }).collect())
}

impl Role {
    /// Returns true if a value that stands here may be replaced as the name of an image.
    fn names_image(self, value: &str) -> bool {
        match self {
            Role::Image | Role::Extension => true,
            Role::Other => value.starts_with(KO),
            Role::Key => false,
        }
    }
}

/// Takes a node into what is open; returns where it stands.
fn enter(open: &mut [Open], value: &str) -> Role {
    let is_top = open.len() == 1;
    let Some(last) = open.last_mut() else { return Role::Other };
    let other = if last.is_extension { Role::Extension } else { Role::Other };
    let Some(key) = &mut last.key else { return other };
    match key.take() {
        Some(Key::Image) => Role::Image,
        Some(Key::Extension) => Role::Extension,
        Some(Key::Other) => other,
        None => {
            *key = Some(match value {
                "image" => Key::Image,
                _ if is_top && value.starts_with("x-") => Key::Extension,
                _ => Key::Other,
            });
            Role::Key
        }
    }
}

impl Scalar {
    /// Returns the refusal of this scalar.
    pub fn refusal(&self, why: impl Into<String>) -> Refusal {
        Refusal { line: self.line, column: self.column, why: why.into() }
    }

    /// Returns the quote around it.
    fn quote(&self) -> Result<&'static str, Refusal> {
        match self.style {
            ScalarStyle::Plain => Ok(""),
            ScalarStyle::SingleQuoted => Ok("'"),
            ScalarStyle::DoubleQuoted => Ok("\""),
            ScalarStyle::Literal | ScalarStyle::Folded => {
                Err(self.refusal("a block text can't be pinned: write it on one line"))
            }
        }
    }
}

/// Returns the file with other values for some of its scalars, which are in the order of the file. A value is the name of
/// an image, so it needs no quotes.
pub(crate) fn replaced(text: &str, values: &[(Scalar, String)]) -> Result<String, Refusal> {
    let mut result = String::with_capacity(text.len() + values.len() * 80);
    let mut end = 0;
    for (scalar, value) in values {
        if let Some(refusal) = &scalar.shared {
            return Err(refusal.clone());
        }
        let quote = scalar.quote()?;
        let own = format!("{quote}{}{quote}", scalar.value);
        // Escapes, or a text over several lines.
        let Some(before) = text.get(end..scalar.start).filter(|_| text[scalar.start..].starts_with(&own)) else {
            return Err(scalar.refusal("it is not written as it is meant: write it without escapes, on one line"));
        };
        result.push_str(before);
        result.push_str(&format!("{quote}{value}{quote}"));
        end = scalar.start + own.len();
    }
    result.push_str(&text[end..]);
    match (is_same(text, &result, values), values.first()) {
        (Ok(true), _) | (_, None) => Ok(result),
        (Ok(false) | Err(_), Some((scalar, _))) => {
            Err(scalar.refusal("the file would mean something else: write the name in quotes, on one line"))
        }
    }
}

/// Returns true if `result` means what `text` does, but for the new values.
fn is_same(text: &str, result: &str, values: &[(Scalar, String)]) -> Result<bool, Refusal> {
    let (text, result) = (parsed(without_mark(text).0), parsed(without_mark(result).0));
    let (mut old, mut new) = (events(&text), events(&result));
    let mut values = values.iter().peekable();
    for number in 0.. {
        let (mut expected, found) = match (old.next(), new.next()) {
            (None, None) => break,
            (Some(old), Some(new)) => (old?.0, new?.0),
            (Some(_), None) | (None, Some(_)) => return Ok(false),
        };
        if let Some((_, value)) = values.next_if(|(scalar, _)| scalar.event == number)
            && let Event::Scalar(old, ..) = &mut expected
        {
            *old = value.as_str().into();
        }
        if expected != found {
            return Ok(false);
        }
    }
    Ok(values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const NEW: &str = "r.example/team/app@sha256:0123456789abcdef";

    /// Replaces all names of `app`, whatever their tag.
    fn pin(text: &str) -> Result<String, Refusal> {
        let found = scalars(text)?.into_iter().filter(|scalar| scalar.value.trim_end().starts_with("app"));
        replaced(text, &found.map(|scalar| (scalar, NEW.to_owned())).collect::<Vec<_>>())
    }

    /// In `text`, `[app]` is what is replaced, and everything else stays.
    fn check(text: &str) {
        let (before, after) = (text.replace(['[', ']'], ""), text.replace("[app]", NEW));
        assert!(!after.contains('['), "{text}");
        assert_eq!(pin(&before).as_deref(), Ok(after.as_str()), "{text}");
    }

    #[test]
    fn scalars_of_all_forms() {
        for text in [
            "image: [app]\n",
            "image:   [app]   # app stays\n",
            "image: '[app]'",
            "image: \"[app]\" # image: app",
            "\"image\": \"[app]\"",
            "a:\n- image: [app]\n  b: app\n- b: app\n  image: \"[app]\"\n",
            "a:\r\n  image: [app]\r\n  b: app\r\n",
            "a: { image: [app], b: {image: '[app]'} }",
            "{\"image\":\"[app]\",\"b\":\"app\"}",
            "{\n\t\"a\": {\n\t\t\"image\": \"[app]\"\n\t}\n}\n",
            "image: &a [app]\nb: app\nc: {image: *a}\n",
            "image: !!str [app]\n",
            "image: !!str &a '[app]'\n",
            "image:\n    [app]\n",
            "? image\n: [app]\n",
            "x-image: &a [app]\na:\n  image: *a\nb:\n  image: *a\n",
            "x-all: {names: {b: &a '[app]'}, other: *a}\na:\n  image: *a\n",
            "x-all: {image: {name: &a [app]}}\na: {x-b: c}\nb:\n  image: *a\n",
            "image: &a [app]\nb: &b other\nc: *b\nd: &a app\ne: *a\n",
            "base: &base\n  image: [app]\na:\n  <<: *base\n",
            "---\nimage: [app]\n--- # second\nimage: [app]\n...\n---\n- app\n",
            "ä: ö # ü\nimage: [app] # ß\n",
            "\u{feff}image: [app]\n",
            "%YAML 1.2\n---\nimage: [app]\n",
            "a: 'it''s'\nb: \"\\u00e4\\n\"\nimage: [app]",
        ] {
            check(text);
        }
        assert_eq!(pin("image: app:1@sha256:0\nimage2: app\n").unwrap(), format!("image: {NEW}\nimage2: app\n"));
    }

    #[test]
    fn texts_that_only_look_like_it() {
        for text in [
            "a: |\n  image: app\n",
            "a: >-\n  image: app\n",
            "# image: app\na: b\n",
            "image:\n  name: app\n",
            "image:\n- app\n",
            "images: app\nimage : {repository: app}\n",
            "a: 'image: app'\n",
            "? {image: b}\n: app\n",
            "- image\n- app\n",
            "app: image\n",
            "image: \n",
            "image:\napp: b\n",
            "",
            "\u{feff}",
            "just text\n",
        ] {
            assert_eq!(pin(text).as_deref(), Ok(text), "{text}");
        }
    }

    #[test]
    fn names_of_programs_stand_anywhere() {
        let text = "- ko://a/b\n- x: ko://a/b\n  ko://a: c\n- [\"ko://a/b\", 'image=ko://a/b']\n- |\n  ko://a\n";
        let found: Vec<(usize, usize, String)> =
            scalars(text).unwrap().into_iter().map(|scalar| (scalar.line, scalar.column, scalar.value)).collect();
        let of = |line, column, value: &str| (line, column, value.to_owned());
        assert_eq!(found, [of(1, 3, "ko://a/b"), of(2, 6, "ko://a/b"), of(4, 4, "ko://a/b"), of(6, 3, "ko://a\n")]);
    }

    #[test]
    fn what_is_refused() {
        let all = [
            "a: b\nimage: |\n  app\n",
            "image: >-\n  app\n",
            "image: app:1\n  app:2\n",
            "a: [\n",
            "a: b\n  {{ if }}: c\n",
            "a: \"\n",
            "\tb: 1\n",
            "image: *nothing\n",
            "a: b: c\n",
            "a: b\nä: \u{2028}image: app\n",
            "a: b\nä: \0image: app\n",
            "labels: {app: &n app}\nimage: *n\n",
            "image: &n app\nlabels: [*n]\n",
            "a: {x-b: &n app}\nimage: *n\n",
            "x-a: b\nc: &n app\nimage: *n\n",
            "&n app: x\nimage: *n\n",
            "a: &n app\nb: *n\n",
        ];
        let shown = |text: &str| match pin(text) {
            Ok(text) => format!("{text:?}"),
            Err(refusal) => format!("{}:{}: {}", refusal.line, refusal.column, refusal.why),
        };
        expect![[r#"
            3:3: a block text can't be pinned: write it on one line
            2:3: a block text can't be pinned: write it on one line
            1:8: it is not written as it is meant: write it without escapes, on one line
            2:1: while parsing a node, did not find expected node content
            2:11: mapping values are not allowed in this context
            1:4: while scanning a quoted scalar, found unexpected end of stream
            "\tb: 1\n"
            1:8: while parsing node, found unknown anchor
            1:5: mapping values are not allowed in this context
            2:4: some programs end the line at this character, and some do not: write it as an escape, "\u2028"
            2:4: some programs end the file at this character, NUL, and some do not: write it as an escape, "\0"
            2:8: the text of this alias is the name of an image here, and none at its anchor: write it out in place of the alias
            2:10: the text of this alias is the name of an image at its anchor, and none here: write it out in place of the alias
            2:8: the text of this alias is the name of an image here, and none at its anchor: write it out in place of the alias
            3:8: the text of this alias is the name of an image here, and none at its anchor: write it out in place of the alias
            2:8: the text of this alias is the name of an image here, and none at its anchor: write it out in place of the alias
            "a: &n app\nb: *n\n""#]]
        .assert_eq(&all.map(shown).join("\n"));
    }

    /// Damaged files are refused, or changed in nothing but their scalars.
    #[test]
    fn damaged_files() {
        const SAMPLE: &str = "# app\na: &x {image: &y 'app', b: [&z 1, *z], c: {image: *y}}\nimage: \"app\"\n---\n- image: app:1 # c\n  d: |2\n    image: app\n  e: >+\n   f\n- ? image\n  : !t app\n- \"ä\\x41\\\n  b\"\n";
        const PARTS: &[&str] = &[
            "'", "\"", ":", ": ", "#", " #", "\n", "\r", "\t", "&x ", "*x", "!", "|", ">", "- ", "? ", "{", "}", "[",
            "]", ",", "%", "---\n", "...\n", "ä", "\u{feff}", "\0", "\u{85}", "\u{2028}", "@", "`", "\\",
        ];
        let mut state = 1_u64;
        let mut random = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % limit
        };
        let mut changed = 0;
        for _ in 0..10_000 {
            let mut characters: Vec<char> = SAMPLE.chars().collect();
            for _ in 0..=random(3) {
                let place = random(characters.len());
                if random(2) == 0 {
                    characters.drain(place..(place + 1 + random(3)).min(characters.len()));
                }
                let place = place.min(characters.len());
                characters.splice(place..place, PARTS[random(PARTS.len())].chars());
            }
            let text: String = characters.into_iter().collect();
            let Ok(pinned) = pin(&text) else { continue };
            changed += usize::from(pinned != text);
            let restored = pinned.replace(NEW, "app");
            let plain = |text: &str| text.replace("app:1", "app");
            // A tag may have grown by what was put in.
            if restored.len() == text.len() {
                assert_eq!(plain(&restored), plain(&text));
            }
            assert!(scalars(&pinned).is_ok());
        }
        assert!(changed > 1_500, "{changed}");
    }
}
