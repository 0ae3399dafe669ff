//! The text of a Dockerfile as instructions: directives, comments, continued lines, here-documents, as BuildKit cuts it.
//! Knows no meaning of an instruction.

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// In capitals: `FROM`.
    pub word: String,
    /// Words that begin with `--`, without quotes.
    pub flags: Vec<String>,
    /// The rest of the line.
    pub rest: String,
}

/// A Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// The image of `# syntax=`.
    pub syntax: Option<String>,
    /// The character that continues a line.
    pub escape: char,
    /// Instructions, in order.
    pub instructions: Vec<Instruction>,
}

impl Dockerfile {
    /// Reads the text. What BuildKit would refuse gives instructions that nobody knows.
    pub fn parse(text: &str) -> Dockerfile {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let syntax = directive(text, "syntax").and_then(|value| value.split(' ').next().map(str::to_owned));
        let escape = if directive(text, "escape").as_deref() == Some("`") { '`' } else { '\\' };
        let mut file = Dockerfile { syntax, escape, instructions: Vec::new() };
        let mut lines = text.lines();
        while let Some(first) = lines.next() {
            let first = first.trim_start();
            if first.is_empty() || first.starts_with('#') {
                continue;
            }
            let (mut line, mut is_continued) = file.continued(first);
            while is_continued && let Some(next) = lines.next() {
                if next.trim_start().is_empty() || next.trim_start().starts_with('#') {
                    continue;
                }
                let (more, goes_on) = file.continued(next);
                line.push_str(&more);
                is_continued = goes_on;
            }
            let Some(instruction) = file.instruction(&line) else { continue };
            let word = if instruction.word == "ONBUILD" {
                instruction.rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase()
            } else {
                instruction.word.clone()
            };
            if matches!(word.as_str(), "RUN" | "COPY" | "ADD") {
                for document in here_documents(&line) {
                    document.skip(&mut lines);
                }
            }
            file.instructions.push(instruction);
        }
        file
    }

    /// Returns a line without its continuation character, and whether it had one.
    fn continued(&self, line: &str) -> (String, bool) {
        let trimmed = line.trim_end_matches([' ', '\t', '\r']);
        match trimmed.strip_suffix(self.escape) {
            // Two of them are one that stands for itself.
            Some(rest) if !rest.ends_with(self.escape) => (rest.to_owned(), true),
            _ => (line.to_owned(), false),
        }
    }

    fn instruction(&self, line: &str) -> Option<Instruction> {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if word.is_empty() {
            return None;
        }
        let (flags, rest) = self.flags(rest);
        Some(Instruction { word: word.to_ascii_uppercase(), flags, rest: rest.trim().to_owned() })
    }

    /// Takes words that begin with `--` from the beginning.
    fn flags<'t>(&self, mut rest: &'t str) -> (Vec<String>, &'t str) {
        let mut flags = Vec::new();
        loop {
            rest = rest.trim_start();
            if !rest.starts_with("--") {
                return (flags, rest);
            }
            let (mut flag, mut quote, mut end) = (String::new(), None, rest.len());
            let mut characters = rest.char_indices();
            while let Some((index, character)) = characters.next() {
                match quote {
                    None if character.is_whitespace() => {
                        end = index;
                        break;
                    }
                    None if matches!(character, '\'' | '"') => quote = Some(character),
                    Some(mark) if character == mark => quote = None,
                    _ if character == self.escape => flag.extend(characters.next().map(|(_, next)| next)),
                    _ => flag.push(character),
                }
            }
            rest = &rest[end..];
            if flag == "--" {
                return (flags, rest);
            }
            flags.push(flag);
        }
    }
}

/// Returns the value of a directive: `# name=value` before everything else.
fn directive(text: &str, wanted: &str) -> Option<String> {
    let text = if text.starts_with("#!") { text.split_once('\n').map_or("", |(_, rest)| rest) } else { text };
    // A frontend can also be named as in other languages.
    let marks: &[&str] = if wanted == "syntax" { &["#", "//"] } else { &["#"] };
    marks.iter().find_map(|mark| {
        for line in text.lines() {
            let (name, value) = line.strip_prefix(mark)?.trim_start().split_once('=')?;
            let name = name.trim_end().to_ascii_lowercase();
            if !matches!(name.as_str(), "syntax" | "escape" | "check") || value.trim().is_empty() {
                return None;
            }
            if name == wanted {
                return Some(value.trim().to_owned());
            }
        }
        None
    })
}

struct HereDocument {
    name: String,
    /// Tabs before the end are dropped.
    is_chomped: bool,
}

impl HereDocument {
    fn skip(&self, lines: &mut std::str::Lines<'_>) {
        for line in lines {
            let line = if self.is_chomped { line.trim_start_matches('\t') } else { line };
            if line.trim_end_matches('\r') == self.name {
                return;
            }
        }
    }
}

/// Returns the here-documents that a line begins: words like `<<EOF`, `<<-"EOF"`, `3<<EOF`, outside of quotes.
fn here_documents(line: &str) -> Vec<HereDocument> {
    let mut found = Vec::new();
    for word in quoted_words(line) {
        let rest = word.trim_start_matches(|character: char| character.is_ascii_digit());
        let Some(rest) = rest.strip_prefix("<<") else { continue };
        let (rest, is_chomped) = rest.strip_prefix('-').map_or((rest, false), |rest| (rest, true));
        let name: String = rest.chars().filter(|character| !matches!(character, '"' | '\'' | '\\')).collect();
        if !name.is_empty() && !rest.contains('<') {
            found.push(HereDocument { name, is_chomped });
        }
    }
    found
}

/// Returns the words of a line with their quotes.
fn quoted_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match quote {
            None if character.is_whitespace() => {
                words.push(std::mem::take(&mut word));
                continue;
            }
            None if matches!(character, '\'' | '"') => quote = Some(character),
            Some(mark) if character == mark => quote = None,
            _ => {}
        }
        word.push(character);
        if character == '\\' && quote != Some('\'') {
            word.extend(characters.next());
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let file = Dockerfile::parse(text);
        file.instructions.iter().map(|one| format!("{} {:?} {}", one.word, one.flags, one.rest)).collect()
    }

    #[test]
    fn lines() {
        let text = "\u{feff}# syntax=docker/dockerfile:1 x\n# escape = `\n# c\nFROM a `\n\n# in between\n  as b\r\ncopy --from=\"x y\" --link a b\nRUN <<A 3<<-'B' cat\nFROM no\nA\n\tFROM no\n\tB\nRUN echo \"<<C\" `\n  z\n";
        assert_eq!(
            shown(text),
            [
                "FROM [] a   as b",
                "COPY [\"--from=x y\", \"--link\"] a b",
                "RUN [] <<A 3<<-'B' cat",
                "RUN [] echo \"<<C\"   z"
            ]
        );
        assert_eq!(Dockerfile::parse(text).syntax.as_deref(), Some("docker/dockerfile:1"));
        assert_eq!(Dockerfile::parse("FROM a\n# syntax=x\n").syntax, None);
        assert_eq!(Dockerfile::parse("#!/bin/x\n// syntax=x\n").syntax.as_deref(), Some("x"));
    }
}
