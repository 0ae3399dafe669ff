//! One pattern of an ignore file, as Docker's `moby/patternmatcher` reads it, with its quirks: most patterns become a
//! regular expression of Go; a few shapes are compared as text.

use crate::docker::regex::{Regex, Unreadable};

/// A pattern and its effect.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// Without `!`.
    pub text: String,
    /// True after `!`: matches are taken back.
    pub is_exception: bool,
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    Exactly,
    /// The text without its last two characters.
    Prefix,
    /// The text without its first two characters.
    Suffix,
    Regex(Regex),
}

impl Pattern {
    /// Reads a line of an ignore file that is neither empty nor a comment. Returns `None` for nothing but white space.
    pub fn new(line: &str) -> Result<Option<Pattern>, Unreadable> {
        let line = normalised(line);
        let line = line.trim();
        if line.is_empty() {
            return Ok(None);
        }
        let cleaned = clean(line);
        let (text, is_exception) = match cleaned.strip_prefix('!') {
            Some("") => return Err(Unreadable),
            Some(rest) => (rest.to_owned(), true),
            None => (cleaned, false),
        };
        if !is_well_formed(&text) {
            return Err(Unreadable);
        }
        let shape = shape(&text)?;
        Ok(Some(Pattern { text, is_exception, shape }))
    }

    /// Returns true if the pattern matches the path itself.
    pub fn matches(&self, path: &str) -> bool {
        match &self.shape {
            Shape::Exactly => path == self.text,
            Shape::Prefix => path.starts_with(&self.text[..self.text.len() - 2]),
            Shape::Suffix => {
                let suffix = &self.text[2..];
                path.ends_with(suffix) || suffix.strip_prefix('/').is_some_and(|rest| path == rest)
            }
            Shape::Regex(regex) => regex.is_match(path),
        }
    }
}

/// Returns a line as the reader of ignore files leaves it: a path without `.` and `..`, and without a slash before it.
fn normalised(line: &str) -> String {
    let (rest, mark) = line.trim().strip_prefix('!').map_or((line.trim(), ""), |rest| (rest.trim(), "!"));
    if rest.is_empty() {
        return mark.to_owned();
    }
    let cleaned = clean(rest);
    let path = if cleaned.len() > 1 { cleaned.strip_prefix('/').unwrap_or(&cleaned) } else { &cleaned };
    format!("{mark}{path}")
}

/// Go's `filepath.Clean` on Unix.
fn clean(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if is_rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (is_rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Returns true if Go's `filepath.Match` finds no mistake in the pattern.
fn is_well_formed(text: &str) -> bool {
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' if rest.next().is_none() => return false,
            '[' => {
                if rest.peek() == Some(&'^') {
                    rest.next();
                }
                let mut count = 0;
                loop {
                    if rest.peek() == Some(&']') && count > 0 {
                        rest.next();
                        break;
                    }
                    let mut one = || match rest.next() {
                        None | Some('-' | ']') => false,
                        Some('\\') => rest.next().is_some(),
                        Some(_) => true,
                    };
                    if !one() {
                        return false;
                    }
                    if rest.peek() == Some(&'-') {
                        rest.next();
                        let mut high = || match rest.next() {
                            None | Some('-' | ']') => false,
                            Some('\\') => rest.next().is_some(),
                            Some(_) => true,
                        };
                        if !high() {
                            return false;
                        }
                    }
                    if rest.peek().is_none() {
                        return false;
                    }
                    count += 1;
                }
            }
            _ => {}
        }
    }
    true
}

/// Returns how Docker compares a pattern.
fn shape(text: &str) -> Result<Shape, Unreadable> {
    #[derive(PartialEq)]
    enum Kind {
        Exactly,
        Prefix,
        Suffix,
        Regex,
    }
    let (mut regex, mut kind) = (String::from("^"), Kind::Exactly);
    let mut rest = text.chars().peekable();
    let mut is_first = true;
    while let Some(character) = rest.next() {
        match character {
            '*' if rest.peek() == Some(&'*') => {
                rest.next();
                if rest.peek() == Some(&'/') {
                    rest.next();
                }
                if rest.peek().is_some() {
                    regex.push_str("(.*/)?");
                    kind = Kind::Regex;
                } else if kind == Kind::Exactly {
                    kind = Kind::Prefix;
                } else {
                    regex.push_str(".*");
                    kind = Kind::Regex;
                }
                if is_first {
                    kind = Kind::Suffix;
                }
            }
            '*' => {
                regex.push_str("[^/]*");
                kind = Kind::Regex;
            }
            '?' => {
                regex.push_str("[^/]");
                kind = Kind::Regex;
            }
            // Braces and bars are meant to be here too. They are not, by a mistake that Docker keeps.
            '.' | '+' | '(' | ')' | '$' => {
                regex.push('\\');
                regex.push(character);
            }
            '\\' => {
                regex.push('\\');
                if let Some(next) = rest.next() {
                    regex.push(next);
                    kind = Kind::Regex;
                }
            }
            '[' | ']' => {
                regex.push(character);
                kind = Kind::Regex;
            }
            other => regex.push(other),
        }
        is_first = false;
    }
    Ok(match kind {
        Kind::Exactly => Shape::Exactly,
        Kind::Prefix => Shape::Prefix,
        Kind::Suffix => Shape::Suffix,
        Kind::Regex => Shape::Regex(Regex::new(&format!("{regex}$"))?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_docker_reads_them() {
        for (line, expected) in [
            (" a/./b//c/ ", "a/b/c"),
            ("/a", "a"),
            ("a/../../b", "../b"),
            ("/../a", "a"),
            ("./a", "a"),
            ("! /a/", "!a"),
            ("!!a", "!!a"),
            ("/", "/"),
            (".", "."),
        ] {
            assert_eq!(normalised(line), expected, "{line}");
        }
        for line in ["!", "!/", "[", "[a", "[]", "a[-b]", "a\\", "*{2}", "\\b*", "[a-]"] {
            assert!(Pattern::new(line).is_err(), "{line}");
        }
    }
}
