//! Names in files of a `Template`: which braces are Rondel's, and what stands in their place.
//!
//! The files are YAML, JSON, shell and more, so most of their braces are their own. Rondel's are `{name}`, `{name|slug}` with
//! filters, and `{target:fact}`, without spaces, unless `$`, `{` or `\` stands before them: `${NAME}` is the shell's,
//! `{{name}}` that of another template, and `\{name}` a way to write `{name}`. A name that looks like Rondel's and is
//! unknown is a mistake, never left as it is.

use rondel_buildfile::{Filter, ImageFact, TargetName, VariableName, VariableUse, suggest};

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    /// Verbatim.
    Literal(&'t [u8]),
    /// The value of a variable, filtered.
    Variable(VariableUse),
    /// A fact of an image.
    Image(ImageFact),
}

/// A name that has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// What is wrong, with line and column: `3:12: there is no variable …`.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

/// The names that have a value.
pub(crate) struct Names<'n> {
    /// The variables.
    pub variables: Vec<&'n str>,
    /// The targets, also those without an image.
    pub targets: Vec<&'n str>,
}

impl Names<'_> {
    /// Reads the parts of a file.
    pub fn parse<'t>(&self, text: &'t [u8]) -> Result<Vec<Piece<'t>>, Mistake> {
        let mut pieces = Vec::new();
        let (mut begin, mut index) = (0, 0);
        while let Some(found) = text[index..].iter().position(|byte| *byte == b'{') {
            let brace = index + found;
            index = brace + 1;
            let before = brace.checked_sub(1).map(|place| text[place]);
            if matches!(before, Some(b'$' | b'{')) {
                continue;
            }
            let Some(name) = name_at(&text[brace + 1..]).or_else(|| self.filtered_at(&text[brace + 1..])) else {
                continue;
            };
            let Some(piece) = self.piece(name) else { continue };
            index = brace + name.len() + 2;
            if before == Some(b'\\') {
                pieces.push(Piece::Literal(&text[begin..brace - 1]));
                begin = brace;
                continue;
            }
            pieces.push(Piece::Literal(&text[begin..brace]));
            pieces.push(piece.map_err(|mistake| mistake.at(text, brace))?);
            begin = index;
        }
        pieces.push(Piece::Literal(&text[begin..]));
        pieces.retain(|piece| *piece != Piece::Literal(b""));
        Ok(pieces)
    }

    /// Returns what `{name}` stands for; `None` if it is none of Rondel's names.
    fn piece<'t>(&self, name: &str) -> Option<Result<Piece<'t>, Mistake>> {
        let (variable, filters) = name.split_at(name.find('|').unwrap_or(name.len()));
        let found = if filters.is_empty() { name.split_once(':') } else { None };
        let Some((target, query)) = found else {
            VariableName::new(variable).ok()?;
            if self.variables.contains(&variable) {
                let hint = format!("write `\\{{{name}}}` for the text itself");
                let used = VariableUse::parse(name).map_err(|message| Mistake { message, hint });
                return Some(used.map(Piece::Variable));
            }
            let near = suggest(variable, self.variables.iter().copied());
            let near = near.map(|near| format!("did you mean `{{{near}{filters}}}`?"));
            return Some(Err(Mistake {
                message: format!("there is no variable `{variable}`"),
                hint: near
                    .unwrap_or_else(|| format!("declare it under `vars`, or write `\\{{{name}}}` for the text itself")),
            }));
        };
        let is_known = self.targets.contains(&target);
        if !is_known && !matches!(query, "digest" | "ref") || TargetName::new(target).is_err() {
            return None;
        }
        if !is_known {
            let near = suggest(target, self.targets.iter().copied());
            let near = near.map(|near| format!("did you mean `{{{near}:{query}}}`?"));
            return Some(Err(Mistake {
                message: format!("there is no target `{target}`"),
                hint: near.unwrap_or_else(|| format!("write `\\{{{name}}}` for the text itself")),
            }));
        }
        let fact = ImageFact::parse(name)?;
        let hint = format!("write `\\{{{name}}}` for the text itself");
        Some(fact.map(Piece::Image).map_err(|message| Mistake { message, hint }))
    }
}

impl Names<'_> {
    /// Returns the text up to the next `}`, if it is a name with filters: a variable, or any name before a known filter.
    fn filtered_at<'t>(&self, text: &'t [u8]) -> Option<&'t str> {
        let end = text.iter().position(|byte| b"{}\n".contains(byte)).filter(|end| text[*end] == b'}')?;
        let text = std::str::from_utf8(&text[..end]).ok()?;
        let (name, filters) = text.split_once('|')?;
        let first = filters.split(['|', ':']).next().unwrap_or_default();
        let is_ours = VariableName::new(name).is_ok() && (self.variables.contains(&name) || Filter::is_name(first));
        is_ours.then_some(text)
    }
}

impl Mistake {
    /// Adds line and column of the byte `offset`.
    pub fn at(self, text: &[u8], offset: usize) -> Mistake {
        let before = &text[..offset];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        Mistake { message: format!("{line}:{column}: {}", self.message), ..self }
    }
}

/// Returns the text up to the next `}`, if it is made of the characters of names.
fn name_at(text: &[u8]) -> Option<&str> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(byte);
    let end = text.iter().position(|byte| !is_part(byte)).filter(|end| *end > 0 && text[*end] == b'}')?;
    std::str::from_utf8(&text[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    /// Shows the parts of a file: values in brackets.
    fn parts(text: &[u8]) -> String {
        let names = Names { variables: vec!["version", "commit"], targets: vec!["image", "a/b.c", "server"] };
        match names.parse(text) {
            Ok(pieces) => {
                let shown = |piece: &Piece<'_>| match piece {
                    Piece::Literal(text) => String::from_utf8_lossy(text).into_owned(),
                    Piece::Variable(used) => format!("[{}]", used.to_string().trim_matches(['{', '}'])),
                    Piece::Image(fact) => format!("[{}]", fact.to_string().trim_matches(['{', '}'])),
                };
                pieces.iter().map(shown).collect()
            }
            Err(mistake) => format!("{}; {}", mistake.message, mistake.hint),
        }
    }

    #[test]
    fn names_have_values() {
        for (text, expected) in [
            ("", ""),
            ("{version}", "[version]"),
            ("a{version}{commit}b", "a[version][commit]b"),
            ("image: r/app@{image:digest}", "image: r/app@[image:digest]"),
            ("{a/b.c:ref}{", "[a/b.c:ref]{"),
            (r"\{version} {version}", "{version} [version]"),
            (r"\{nothing} \{image:digest} \{a", r"{nothing} {image:digest} \{a"),
            ("ä{version}", "ä[version]"),
            (
                "{version|trim_prefix:v|short:3} {commit|default:a b:c}",
                "[version|trim_prefix:v|short:3] [commit|default:a b:c]",
            ),
            (r"\{version|lower}", "{version|lower}"),
        ] {
            assert_eq!(parts(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(parts(b"\xff{version}\xfe"), "\u{fffd}[version]\u{fffd}");
    }

    /// Braces of YAML, JSON, shells and other templates.
    #[test]
    fn other_braces_stay() {
        for text in [
            "{}",
            "{ }",
            "{{}}",
            "{",
            "}",
            "}{",
            "{ version }",
            "{\"version\": 1}",
            "{version: 1}",
            "{a,b}",
            "{1..3}",
            "{3}",
            "${version}",
            "${version:-x}",
            "{{version}}",
            "{{ .Values.version }}",
            "{{image:digest}}",
            "{{{version}}}",
            "$({version })",
            "{a:b}",
            "{color:red}",
            "{image:digest",
            "{image: digest}",
            "{.x:ref}",
            "{:digest}",
            "{version",
            "{-a}",
            "{a-b}",
            "{a.b}",
            "a{\n}b",
            "{a|b}",
            "{a|b|lower}",
            "${version|lower}",
            "{{version|lower}}",
            "{version|lower",
            "{version |lower}",
        ] {
            assert_eq!(parts(text.as_bytes()), text, "{text}");
        }
    }

    #[test]
    fn unknown_names_are_mistakes() {
        let all = [
            "a\nä {verison}",
            "{verison|lower}",
            "{version|loewr}",
            "{print}",
            "{imgae:digest}",
            "{x:ref}",
            "{image:digset}",
            "{image:id}",
        ];
        expect![[r#"
            2:3: there is no variable `verison`; did you mean `{version}`?
            1:1: there is no variable `verison`; did you mean `{version|lower}`?
            1:1: `{version|loewr}`: there is no filter `loewr`; did you mean `lower`?; write `\{version|loewr}` for the text itself
            1:1: there is no variable `print`; declare it under `vars`, or write `\{print}` for the text itself
            1:1: there is no target `imgae`; did you mean `{image:digest}`?
            1:1: there is no target `x`; write `\{x:ref}` for the text itself
            1:1: `{image:digset}`: an image has `digest` and `ref`; did you mean `{image:digest}`?; write `\{image:digset}` for the text itself
            1:1: `{image:id}`: an image has `digest` and `ref`; write `\{image:id}` for the text itself"#]].assert_eq(&all.map(|text| parts(text.as_bytes())).join("\n"));
    }
}
