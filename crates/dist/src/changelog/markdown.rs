//! Text of strangers in Markdown: no link, no HTML, no mention, no line but its own.

/// A space of no width, as an entity: between it and what follows, no program makes a link or a mention.
const BREAK: &str = "&#8203;";
/// Maximum number of digits of an issue.
const NUMBER_MAX: usize = 10;

/// Returns a text in one line, of at most `max` characters, without controls: neither those of terminals nor those that
/// turn the direction of a text.
pub(super) fn line_text(text: &str, max: usize) -> String {
    let mut line = String::new();
    let kept = text.chars().filter_map(|character| match character {
        character if character.is_whitespace() => Some(' '),
        character if character.is_control() || is_invisible(character) => None,
        character => Some(character),
    });
    for (count, character) in kept.enumerate() {
        if count == max {
            line.push('…');
            break;
        }
        line.push(character);
    }
    line.trim().to_owned()
}

/// Returns true for characters that show nothing and change how others are shown.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns a line as Markdown that shows it and does nothing else.
pub(super) fn escaped(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let characters: Vec<char> = line.chars().collect();
    for (at, &character) in characters.iter().enumerate() {
        let next = characters.get(at + 1).copied();
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '#' if next.is_some_and(|next| next.is_ascii_digit()) => text.push('#'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '|' | '$' => text.extend(['\\', character]),
            // A mention, or an address of mail.
            '@' if next.is_some_and(char::is_alphanumeric) => {
                text.push('@');
                text.push_str(BREAK);
            }
            // `https://…` becomes a link without any mark.
            ':' if next == Some('/') => {
                text.push(':');
                text.push_str(BREAK);
            }
            '.' if is_www(&characters[..at]) => {
                text.push_str(BREAK);
                text.push('.');
            }
            character => text.push(character),
        }
    }
    guarded(text)
}

fn is_www(before: &[char]) -> bool {
    before.len() >= 3 && before[before.len() - 3..].iter().all(|character| character.eq_ignore_ascii_case(&'w'))
}

/// Returns the text with a mark before what would begin a list, a line or a number of a list.
fn guarded(text: String) -> String {
    if text.starts_with(['-', '+', '=']) {
        return format!("\\{text}");
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &text[digits..];
    if digits > 0 && rest.starts_with(['.', ')']) && matches!(rest.as_bytes().get(1), None | Some(b' ')) {
        return format!("{}\\{rest}", &text[..digits]);
    }
    text
}

/// Returns the line as [`escaped`] does, with links for `#12`, where an address is declared.
pub(super) fn with_issues(line: &str, url: Option<&str>) -> String {
    let Some(url) = url else { return escaped(line) };
    let mut text = String::new();
    let mut rest = line;
    let mut is_first = true;
    while let Some((before, number, after)) = next_issue(rest) {
        let before_text = if before.is_empty() { String::new() } else { piece(before, is_first) };
        text.push_str(&format!("{before_text}[#{number}]({})", url.replace("{number}", number)));
        is_first = false;
        rest = after;
    }
    text + &piece(rest, is_first)
}

/// Returns a part of a line; only the first can begin a list.
fn piece(part: &str, is_first: bool) -> String {
    if is_first {
        return escaped(part);
    }
    // What stands before keeps the beginning from being one.
    escaped(&format!("x{part}"))[1..].to_owned()
}

/// Returns the first `#12` that stands by itself, with what is before and after it.
fn next_issue(line: &str) -> Option<(&str, &str, &str)> {
    for (at, _) in line.match_indices('#') {
        let (before, after) = (&line[..at], &line[at + 1..]);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let is_free = !before.ends_with(|character: char| character.is_alphanumeric() || "/&#\\!".contains(character));
        let ends = !after[digits..].starts_with(|character: char| character.is_alphanumeric() || character == '_');
        if (1..=NUMBER_MAX).contains(&digits) && is_free && ends {
            return Some((before, &after[..digits], &after[digits..]));
        }
    }
    None
}
