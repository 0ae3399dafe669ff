//! The difference of two texts in a few lines, for people: the lines between what both begin and end with.

/// Number of lines of one difference that are shown.
const LINES_MAX: usize = 12;
/// Longest line that is shown, in characters.
const WIDTH_MAX: usize = 160;

/// Returns the lines that differ, those of `old` with `-` and those of `new` with `+`, behind the number of the first.
pub(super) fn difference(old: &[u8], new: &[u8]) -> Vec<String> {
    let (Ok(old), Ok(new)) = (std::str::from_utf8(old), std::str::from_utf8(new)) else {
        return vec!["it is no text".to_owned()];
    };
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    let same = |pair: &(&&str, &&str)| pair.0 == pair.1;
    let begin = old.iter().zip(&new).take_while(same).count();
    let (old_rest, new_rest) = (&old[begin..], &new[begin..]);
    let end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(same).count();
    let gone = old_rest[..old_rest.len() - end].iter().map(|line| shown('-', line));
    let come = new_rest[..new_rest.len() - end].iter().map(|line| shown('+', line));
    let mut lines: Vec<String> = gone.chain(come).collect();
    let more = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more lines"));
    }
    lines.insert(0, format!("line {}:", begin + 1));
    lines
}

fn shown(mark: char, line: &str) -> String {
    let line: String = line.trim_end_matches('\r').chars().take(WIDTH_MAX).collect();
    format!("{mark} {line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_between_what_is_the_same() {
        let check = |old: &str, new: &str| difference(old.as_bytes(), new.as_bytes()).join("|");
        assert_eq!(check("a\nb\nc\n", "a\nx\ny\nc\n"), "line 2:|- b|+ x|+ y");
        assert_eq!(check("a\n", "a\na\n"), "line 2:|+ a");
        assert_eq!(check("a", "a\n"), "line 2:|+ ");
        assert_eq!(check("", "a\n"), "line 1:|+ a");
        let many: String = (0..40).map(|number| format!("{number}\n")).collect();
        let found = check("", &many);
        assert!(found.starts_with("line 1:|+ 0|") && found.ends_with("|and 28 more lines"), "{found}");
        assert_eq!(difference(&[255], b"a"), ["it is no text"]);
    }
}
