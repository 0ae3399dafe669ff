//! The syntax of environment files, as `docker run --env-file` reads it. Pure: it opens no file, and no message holds a
//! value.
//!
//! A line is `NAME=value` or `NAME`, which takes the caller's value if there is one. White space before it does not count;
//! everything behind `=` does, quotes and `#` too. A line that begins with `#` is a comment.

/// Longest line in bytes, as Docker reads it.
const LINE_MAX: usize = 64 * 1024;

/// The contents of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Names and values in their order; a name may come again.
    pub variables: Vec<(String, String)>,
    /// Numbers of lines whose value is in quotes, which versions of Docker read differently.
    pub quoted_lines: Vec<usize>,
}

/// A line that is no variable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Number of the line.
    pub line: usize,
    pub what: &'static str,
    pub hint: &'static str,
}

/// Reads a file. `caller` returns the caller's value of a variable.
pub(crate) fn parse(text: &str, caller: &dyn Fn(&str) -> Option<String>) -> Result<Parsed, Mistake> {
    let mut parsed = Parsed::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.split('\n').enumerate() {
        let line_number = index + 1;
        let mistake = |what, hint| Err(Mistake { line: line_number, what, hint });
        if line.len() >= LINE_MAX {
            return mistake("it is too long", "a line has less than 64 KiB");
        }
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
        if name.is_empty() {
            return mistake("there is no name before `=`", "write NAME=value");
        }
        if name.contains([' ', '\t']) {
            return mistake(
                "there is white space in the name",
                "write NAME=value, without `export` and without spaces",
            );
        }
        if line.contains('\0') {
            return mistake("there is a NUL", "write it as text");
        }
        let Some(value) = value.map(str::to_owned).or_else(|| caller(name)) else { continue };
        let is_quoted = |quote| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
        if is_quoted('"') || is_quoted('\'') {
            parsed.quoted_lines.push(line_number);
        }
        parsed.variables.push((name.to_owned(), value));
    }
    Ok(parsed)
}

/// Returns true if the value is hidden in what steps print. Short words, ports and switches are not: they would be taken
/// out of every text.
pub(crate) fn may_be_secret(value: &str) -> bool {
    let is_small_number = value.len() <= 5 && value.bytes().all(|byte| byte.is_ascii_digit());
    value.len() >= 4 && !is_small_number && !matches!(value, "true" | "false")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let caller = |name: &str| (name == "CALLER").then(|| "of the caller".to_owned());
        let shown = match parse(text, &caller) {
            Ok(parsed) => {
                let lines = parsed.variables.iter().map(|(name, value)| format!("{name:?} {value:?}\n"));
                lines.chain(parsed.quoted_lines.iter().map(|line| format!("quotes in line {line}\n"))).collect()
            }
            Err(mistake) => format!("line {}: {}; {}\n", mistake.line, mistake.what, mistake.hint),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn lines() {
        check(
            "\u{feff}A=1\r\n \t\u{b} B=two words  \n# c\n  # d\n\nC=\"q\"\nD='x'\nE=\nF=a=b\nCALLER\nUNSET\nA=again\n1X=y\nx.y-z=w\nM=a # b\nN=\"",
            expect![[r#"
                "A" "1"
                "B" "two words  "
                "C" "\"q\""
                "D" "'x'"
                "E" ""
                "F" "a=b"
                "CALLER" "of the caller"
                "A" "again"
                "1X" "y"
                "x.y-z" "w"
                "M" "a # b"
                "N" "\""
                quotes in line 6
                quotes in line 7
            "#]],
        );
    }

    #[test]
    fn mistakes() {
        check(
            "A=1\n=canary\n",
            expect![[r#"
            line 2: there is no name before `=`; write NAME=value
        "#]],
        );
        check(
            "export A=canary",
            expect![[r#"
            line 1: there is white space in the name; write NAME=value, without `export` and without spaces
        "#]],
        );
        check(
            "A =canary",
            expect![[r#"
            line 1: there is white space in the name; write NAME=value, without `export` and without spaces
        "#]],
        );
        check(
            "A=1\0",
            expect![[r#"
            line 1: there is a NUL; write it as text
        "#]],
        );
        check(
            &format!("A={}", "x".repeat(LINE_MAX)),
            expect![[r#"
            line 1: it is too long; a line has less than 64 KiB
        "#]],
        );
    }

    #[test]
    fn what_is_hidden() {
        let hidden = ["hunter2", "pass", "123456", "TRUE"].map(may_be_secret);
        assert_eq!(hidden, [true; 4]);
        assert_eq!(["", "dev", "8080", "65535", "true", "1"].map(may_be_secret), [false; 6]);
    }
}
