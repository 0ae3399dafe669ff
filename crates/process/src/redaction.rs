//! `Redactor`: takes the values of secrets out of text before it is shown.

/// Replaces each secret value by `***`.
#[derive(Clone, Default)]
pub struct Redactor {
    values: Vec<String>,
}

impl Redactor {
    /// Returns a redactor of `values`. Skips empty ones. Each line of a value counts by itself, since output is shown
    /// by lines.
    pub fn new<I: IntoIterator<Item = String>>(values: I) -> Redactor {
        let mut lines: Vec<String> = Vec::new();
        for value in values {
            lines.extend(value.lines().map(str::to_owned).filter(|line| !line.trim().is_empty()));
        }
        // Longest first: a secret that holds another one is replaced whole.
        lines.sort_by_key(|line| std::cmp::Reverse(line.len()));
        lines.dedup();
        Redactor { values: lines }
    }

    /// Returns `text` without secrets.
    pub fn apply(&self, text: &str) -> String {
        let mut result = text.to_owned();
        for value in &self.values {
            if result.contains(value.as_str()) {
                result = result.replace(value.as_str(), "***");
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_first_and_by_lines() {
        let redactor = Redactor::new(["abc".to_owned(), "abcdef".to_owned(), "l1\nl2".to_owned(), String::new()]);
        assert_eq!(redactor.apply("x abcdef abc l2 y"), "x *** *** *** y");
    }
}
