//! Variables in the words of a Dockerfile: `$X`, `${X}`, `${X:-default}` and its like.

use std::collections::BTreeMap;

/// Known variables.
pub(crate) type Variables = BTreeMap<String, String>;

/// A word that depends on a variable that is not known, or on a form that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown;

/// Returns the word without quotes and with the values of its variables. `unset` is what a variable stands for that is
/// not among them: nothing, or something unknown.
pub(crate) fn expand(
    word: &str,
    variables: &Variables,
    escape: char,
    unset: Result<(), Unknown>,
) -> Result<String, Unknown> {
    let characters: Vec<char> = word.chars().collect();
    Expansion { characters: &characters, next: 0, variables, escape, unset }.all(None)
}

struct Expansion<'a> {
    characters: &'a [char],
    next: usize,
    variables: &'a Variables,
    escape: char,
    unset: Result<(), Unknown>,
}

impl Expansion<'_> {
    fn take(&mut self) -> Option<char> {
        let character = self.characters.get(self.next).copied()?;
        self.next += 1;
        Some(character)
    }

    /// Expands up to `end`, which is taken too.
    fn all(&mut self, end: Option<char>) -> Result<String, Unknown> {
        let (mut text, mut quote) = (String::new(), None);
        while let Some(character) = self.take() {
            match character {
                _ if Some(character) == end && quote.is_none() => return Ok(text),
                '\'' | '"' if quote.is_none() => quote = Some(character),
                mark if quote == Some(mark) => quote = None,
                '$' if quote != Some('\'') => text.push_str(&self.variable()?),
                _ if character == self.escape && quote != Some('\'') => text.extend(self.take()),
                other => text.push(other),
            }
        }
        if end.is_some() || quote.is_some() { Err(Unknown) } else { Ok(text) }
    }

    fn name(&mut self) -> String {
        let rest = &self.characters[self.next..];
        let length =
            rest.iter().take_while(|character| character.is_ascii_alphanumeric() || **character == '_').count();
        self.next += length;
        rest[..length].iter().collect()
    }

    fn variable(&mut self) -> Result<String, Unknown> {
        if self.characters.get(self.next) != Some(&'{') {
            let name = self.name();
            return if name.is_empty() { Ok("$".to_owned()) } else { self.value(&name).map(Option::unwrap_or_default) };
        }
        self.next += 1;
        let name = self.name();
        let (is_colon, mark) = match (self.take(), self.characters.get(self.next)) {
            (Some('}'), _) => return self.value(&name).map(Option::unwrap_or_default),
            (Some(':'), Some(mark)) => {
                self.next += 1;
                (true, *mark)
            }
            (Some(mark), _) => (false, mark),
            (None, _) => return Err(Unknown),
        };
        if !matches!(mark, '-' | '+' | '?') || name.is_empty() {
            return Err(Unknown);
        }
        let word = self.all(Some('}'));
        let value = self.value(&name);
        let is_set = value.map(|value| value.filter(|value| !is_colon || !value.is_empty()));
        match (mark, is_set?) {
            ('+', Some(_)) | ('-', None) => word,
            ('+', None) => Ok(String::new()),
            ('?', None) => Err(Unknown),
            (_, Some(value)) => Ok(value),
            (_, None) => Err(Unknown),
        }
    }

    fn value(&self, name: &str) -> Result<Option<String>, Unknown> {
        match self.variables.get(name) {
            Some(value) => Ok(Some(value.clone())),
            None => self.unset.map(|()| None),
        }
    }
}

/// Returns the arguments of `COPY` and `ADD`: words, or a list in JSON.
pub(crate) fn arguments(rest: &str, escape: char) -> Vec<String> {
    if rest.starts_with('[')
        && let Ok(words) = serde_json::from_str::<Vec<String>>(rest)
    {
        return words;
    }
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut characters = rest.chars();
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
        if character == escape {
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

    #[test]
    fn forms_of_variables() {
        let variables = Variables::from([("X".to_owned(), "x".to_owned()), ("E".to_owned(), String::new())]);
        for (word, expected) in [
            ("a$X-${X}b", Ok("ax-xb")),
            ("${X:-y}${E:-y}${E-y}${N-z}${N:-${X}}", Ok("xyzx")),
            ("${X:+y}${E:+n}${E+y}${N+n}", Ok("yy")),
            ("\"$X\"'$X'\\$X$", Ok("x$X$X$")),
            ("${N}$N", Ok("")),
            ("${X#a}", Err(Unknown)),
            ("${N:?no}", Err(Unknown)),
            ("${X", Err(Unknown)),
        ] {
            assert_eq!(expand(word, &variables, '\\', Ok(())), expected.map(str::to_owned), "{word}");
        }
        assert_eq!(expand("$N", &variables, '\\', Err(Unknown)), Err(Unknown));
        assert_eq!(expand("${N:-a}", &variables, '\\', Err(Unknown)), Err(Unknown));
        assert_eq!(arguments("a \"b c\" d\\ e", '\\'), ["a", "\"b c\"", "d\\ e"]);
        assert_eq!(arguments("[\"a b\", \"c\"]", '\\'), ["a b", "c"]);
    }
}
