//! What to write where one text stands for a list.

/// Characters that mean something to a shell, or that quote blanks.
const OF_SHELL: &[char] = &['|', '&', ';', '<', '>', '(', ')', '$', '`', '\\', '"', '\'', '*', '?', '\n', '#', '~'];

/// Returns the list that a text, as it is written in the file, was meant for. `are_words` is true of elements that hold no
/// blanks.
pub(crate) fn list_hint(written: &str, are_words: bool) -> String {
    match plain(written) {
        Some(text) if are_words && is_of_several(text) => {
            if text.contains(OF_SHELL) {
                return "write a list, each text in quotes of its own: `[\"…\", \"…\"]`".to_owned();
            }
            format!("write a list: `{}`", list_of(text))
        }
        _ => format!("write a list: `[{written}]`"),
    }
}

/// Returns what to write for a command that only a shell understands, if it is one.
pub(crate) fn shell_hint(written: &str) -> Option<String> {
    let is_of_shell = match plain(written) {
        Some(text) => is_of_several(text) && text.contains(OF_SHELL),
        // Raw, or with quotes in it.
        None => true,
    };
    is_of_shell.then(|| format!("a shell runs such a text: `Shell({written})`, or `[\"sh\", \"-c\", {written}]`"))
}

/// Returns the contents of a text that is written without escapes.
fn plain(written: &str) -> Option<&str> {
    written.strip_prefix('"')?.strip_suffix('"').filter(|text| !text.contains(['\\', '"']))
}

fn is_of_several(text: &str) -> bool {
    text.split_whitespace().nth(1).is_some()
}

fn list_of(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(|word| format!("\"{word}\"")).collect();
    format!("[{}]", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_and_a_shell_gets_its_text() {
        assert_eq!(list_hint("\"go vet\"", true), "write a list: `[\"go\", \"vet\"]`");
        assert_eq!(list_hint("\"go\"", true), "write a list: `[\"go\"]`");
        assert_eq!(list_hint("\"a file\"", false), "write a list: `[\"a file\"]`");
        assert!(list_hint("\"echo 'a b'\"", true).contains("quotes of its own"));
        assert_eq!(shell_hint("\"go vet ./...\""), None);
        assert_eq!(shell_hint("\"*\""), None);
        let hint = shell_hint("\"a | b\"");
        assert_eq!(
            hint.as_deref(),
            Some("a shell runs such a text: `Shell(\"a | b\")`, or `[\"sh\", \"-c\", \"a | b\"]`")
        );
    }
}
