//! The words of a text, each with its line.

/// The words of a text: runs of letters and digits, in small letters.
pub(super) struct Words {
    words: Vec<String>,
    lines: Vec<usize>,
}

impl Words {
    /// Returns the words of a text.
    pub fn of(text: &str) -> Words {
        let (mut words, mut lines) = (Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate() {
            for word in split(line) {
                words.push(word);
                lines.push(number);
            }
        }
        Words { words, lines }
    }

    /// Returns the number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Returns the word at a position.
    pub fn get(&self, at: usize) -> Option<&str> {
        self.words.get(at).map(String::as_str)
    }

    /// Returns some words, with one space after each.
    pub fn joined(&self, at: usize, count: usize) -> Option<String> {
        let words = self.words.get(at..at.checked_add(count)?)?;
        Some(words.iter().flat_map(|word| [word.as_str(), " "]).collect())
    }

    /// Returns the line of a word.
    pub fn line(&self, at: usize) -> usize {
        self.lines[at]
    }
}

/// Returns the words of one line. How an address is reached is no difference.
pub(super) fn split(line: &str) -> impl Iterator<Item = String> {
    let parts = line.split(|c: char| !c.is_alphanumeric());
    parts
        .filter(|part| !part.is_empty())
        .map(|part| if part == "https" { "http".to_owned() } else { part.to_lowercase() })
}
