//! Licence expressions of SPDX: which texts are one. A package database is a stranger's: its words reach a document as an
//! expression only if they are one.

/// The identifiers of licences and exceptions, list version 3.28.0 of SPDX, sorted by bytes ignoring case.
const IDS: &str = include_str!("spdx_ids.txt");
/// Maximum length of an expression in bytes.
const LENGTH_MAX: usize = 1000;

/// Returns true if a text is an expression of known identifiers: `MIT AND (BSD-2-Clause OR GPL-2.0-only)`.
pub fn is_expression(text: &str) -> bool {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut depth = 0_usize;
    let mut wants_licence = true;
    let mut index = 0;
    while let Some(word) = words.get(index) {
        match *word {
            "(" if wants_licence => depth += 1,
            ")" if !wants_licence && depth > 0 => depth -= 1,
            "AND" | "OR" if !wants_licence => wants_licence = true,
            "WITH" if !wants_licence && index > 0 && is_licence(words[index - 1]) => {
                index += 1;
                if !words.get(index).is_some_and(|word| is_known(word) && is_exception(word)) {
                    return false;
                }
            }
            word if wants_licence && is_licence(word) => wants_licence = false,
            _ => return false,
        }
        index += 1;
    }
    text.len() <= LENGTH_MAX && depth == 0 && !wants_licence
}

fn is_licence(word: &str) -> bool {
    let word = word.strip_suffix('+').unwrap_or(word);
    is_known(word) && !is_exception(word)
}

fn is_known(word: &str) -> bool {
    IDS.lines().any(|id| id == word)
}

fn is_exception(word: &str) -> bool {
    word.to_ascii_lowercase().contains("exception") && !word.starts_with("GPL-")
}

/// Returns the expression that asks for all of these licences: sorted, each once. Whoever follows all of them follows
/// whichever the authors meant.
pub fn and_expression(licences: &[String]) -> Option<String> {
    let mut parts: Vec<String> = licences
        .iter()
        .map(|licence| if licence.contains(" OR ") { format!("({licence})") } else { licence.clone() })
        .collect();
    parts.sort();
    parts.dedup();
    if parts.is_empty() { None } else { Some(parts.join(" AND ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_and_other_texts() {
        for text in [
            "MIT",
            "GPL-2.0-only AND MIT",
            "MIT AND (BSD-2-Clause OR GPL-2.0-or-later)",
            "GPL-2.0-or-later WITH Classpath-exception-2.0",
            "((MIT))",
        ] {
            assert!(is_expression(text), "{text}");
        }
        for text in [
            "",
            "custom",
            "MIT AND",
            "MIT BSD-2-Clause",
            "(MIT",
            "MIT)",
            "()",
            "mit",
            "MIT and ISC",
            "MIT WITH ISC",
            "MIT\"",
            "GPL2",
            "AND",
            "MIT WITH",
            "Classpath-exception-2.0",
            "(MIT) WITH Classpath-exception-2.0",
        ] {
            assert!(!is_expression(text), "{text}");
        }
        assert!(!is_expression(&"MIT AND ".repeat(1000)));
    }

    #[test]
    fn several_licences_are_all_asked_for() {
        let all = |list: &[&str]| and_expression(&list.iter().map(|&one| one.to_owned()).collect::<Vec<_>>());
        assert_eq!(all(&[]), None);
        assert_eq!(all(&["MIT", "ISC", "MIT"]).as_deref(), Some("ISC AND MIT"));
        assert_eq!(all(&["MIT OR ISC", "Zlib"]).as_deref(), Some("(MIT OR ISC) AND Zlib"));
    }
}
