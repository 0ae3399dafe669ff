//! `ScriptLine`: the first line of a script, as Linux reads it, and the program that `env` looks for by it. It knows no
//! image.

use serde::{Deserialize, Serialize};

/// Number of bytes of a file in which Linux looks for the line (linux/binfmts.h).
const LINE_MAX: usize = 256;
/// What separates words of `env -S`.
const SPACES: [char; 6] = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];

/// The first line of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptLine {
    /// Path of the program.
    pub interpreter: String,
    /// Its one argument: Linux does not split it.
    pub argument: Option<String>,
}

/// What `env` starts, by the argument that a script gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvProgram {
    /// A program of this name, with the CR of a line end if it has one, looked for with the PATH of the container.
    Named(String),
    /// Words that `env` takes for one, because they are not given with `-S`.
    OneWord,
    /// It can't be told.
    Unknown,
}

impl ScriptLine {
    /// Returns the line of the script that begins with `head`, if it names an interpreter.
    pub(crate) fn of(head: &[u8]) -> Option<ScriptLine> {
        let line = head[..head.len().min(LINE_MAX)].strip_prefix(b"#!")?;
        let line = line.split(|byte| matches!(byte, b'\n' | b'\0')).next()?;
        let text = String::from_utf8_lossy(line);
        let blanks = [' ', '\t'];
        let text = text.trim_matches(blanks);
        let (interpreter, rest) = text.split_once(blanks).unwrap_or((text, ""));
        let argument = Some(rest.trim_start_matches(blanks)).filter(|rest| !rest.is_empty()).map(str::to_owned);
        (!interpreter.is_empty()).then(|| ScriptLine { interpreter: interpreter.to_owned(), argument })
    }

    /// Returns the line without superfluous blanks.
    pub fn text(&self) -> String {
        let argument = self.argument.as_ref().map(|argument| format!(" {argument}")).unwrap_or_default();
        format!("#!{}{argument}", self.interpreter)
    }

    /// Returns true if Linux takes the CR of a line end for a part of the last word.
    pub fn ends_with_cr(&self) -> bool {
        self.argument.as_ref().unwrap_or(&self.interpreter).ends_with('\r')
    }

    /// Returns the program that is started, if the interpreter is `env` and is given an argument.
    pub fn env_program(&self) -> Option<EnvProgram> {
        let argument = self.argument.as_deref().filter(|_| self.interpreter.ends_with("/env"))?;
        if let Some(words) = split_string(argument) {
            return Some(named(words).map_or(EnvProgram::Unknown, EnvProgram::Named));
        }
        Some(match argument {
            _ if argument.trim_end_matches('\r').contains(SPACES) => EnvProgram::OneWord,
            _ if argument.starts_with('-') || argument.contains('=') => EnvProgram::Unknown,
            _ => EnvProgram::Named(argument.to_owned()),
        })
    }
}

/// Returns what is behind `-S`, `-vS` or `--split-string=`.
fn split_string(argument: &str) -> Option<&str> {
    let long = argument.strip_prefix("--split-string=");
    long.or_else(|| argument.strip_prefix("-vS")).or_else(|| argument.strip_prefix("-S"))
}

/// Returns the name of the program in what `-S` splits; `None` if it can't be told, or if PATH is another one.
fn named(text: &str) -> Option<String> {
    let mut words = split(text)?;
    words.reverse();
    while let Some(word) = words.pop() {
        if let Some(text) = split_string(&word) {
            let text = if text.is_empty() { words.pop()? } else { text.to_owned() };
            words.extend(split(&text)?.into_iter().rev());
            continue;
        }
        let unset = match word.as_str() {
            "-u" | "--unset" => words.pop()?,
            "-C" | "--chdir" | "-a" | "--argv0" => {
                words.pop()?;
                continue;
            }
            "-v" | "--debug" | "--" => continue,
            _ if ["--chdir=", "--argv0=", "-C", "-a"].iter().any(|option| word.starts_with(option)) => continue,
            _ => match word.strip_prefix("--unset=").or_else(|| word.strip_prefix("-u")) {
                Some(name) => name.to_owned(),
                // `-i` and `-` among them: PATH is not set then.
                None if word.starts_with('-') => return None,
                None => match word.split_once('=') {
                    Some((name, _)) => name.to_owned(),
                    None => return Some(word),
                },
            },
        };
        if unset == "PATH" {
            return None;
        }
    }
    None
}

/// Splits a text as `env -S` does; `None` if it is broken, or holds escapes or variables.
fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for character in text.chars() {
        match (character, quote) {
            ('\\', _) | ('$', None | Some('"')) => return None,
            (_, Some(open)) if open == character => quote = None,
            ('"' | '\'', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (_, None) if SPACES.contains(&character) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Option<(String, Option<String>)> {
        ScriptLine::of(text.as_bytes()).map(|line| (line.interpreter, line.argument))
    }

    #[test]
    fn lines() {
        let expected = |program: &str, argument: Option<&str>| Some((program.to_owned(), argument.map(str::to_owned)));
        assert_eq!(line("#!/bin/sh\necho"), expected("/bin/sh", None));
        assert_eq!(line("#! \t/usr/bin/env  python3 -u \n"), expected("/usr/bin/env", Some("python3 -u")));
        assert_eq!(line("#!sh"), expected("sh", None));
        assert_eq!(line("#!/bin/sh\0-e\n"), expected("/bin/sh", None));
        assert_eq!(line("#!/bin/sh\r\necho"), expected("/bin/sh\r", None));
        assert_eq!(line("#!/bin/sh -e\r\necho"), expected("/bin/sh", Some("-e\r")));
        let (_, argument) = line(&format!("#!/bin/sh {}", "a".repeat(300))).unwrap();
        assert_eq!(argument.map(|argument| argument.len()), Some(256 - 10));
        for nothing in ["#!", "#!\n/bin/sh", "#! \n", "", "text", " #!/bin/sh"] {
            assert_eq!(line(nothing), None, "{nothing}");
        }
        assert_eq!(ScriptLine::of(b"#! /bin/env\t -S  a b\n").unwrap().text(), "#!/bin/env -S  a b");
        let ends = ["#!/bin/sh\r\n", "#!/bin/sh -e\r\n", "#!/bin/sh\r -e\n", "#!/bin/sh\n"];
        assert_eq!(
            ends.map(|text| ScriptLine::of(text.as_bytes()).unwrap().ends_with_cr()),
            [true, true, false, false]
        );
    }

    /// Each was tried with `env` of GNU coreutils 9.1.
    #[test]
    fn programs_of_env() {
        let of = |argument: &str| {
            let line = ScriptLine { interpreter: "/usr/bin/env".to_owned(), argument: Some(argument.to_owned()) };
            line.env_program().unwrap()
        };
        for named in [
            "tool",
            "-S tool -x",
            "-S tool\r",
            "-Stool",
            "-S'tool'",
            "-vS tool",
            "-S \"to\"'ol' x",
            "--split-string=tool a",
            "-S -u FOO -uBAR -C / -C/ --unset=A --unset B --chdir=/ -v --debug tool",
            "-S A=1 B='x y' tool -u C",
            "-S -- A=1 tool",
            "-S -S'-u X tool'",
            "-S -Stool",
        ] {
            assert_eq!(of(named), EnvProgram::Named("tool".to_owned()), "{named}");
        }
        assert_eq!(of("tool\r"), EnvProgram::Named("tool\r".to_owned()));
        for one in ["tool -x", "-u FOO tool", "A=1 tool", "-i tool", "--chdir=/ tool", "tool -x\r"] {
            assert_eq!(of(one), EnvProgram::OneWord, "{one}");
        }
        for unknown in [
            "-i",
            "-iStool",
            "A=1",
            "-S",
            "-S 'tool",
            "-S ${TOOL}",
            "-S to\\_ol",
            "-S # tool",
            "-S -i tool",
            "-S - tool",
            "-S PATH=/opt tool",
            "-S -u PATH tool",
            "-S -uPATH tool",
            "-S --unset=PATH tool",
            "-S -u",
            "-S A=1",
            "-S --new-option tool",
        ] {
            assert_eq!(of(unknown), EnvProgram::Unknown, "{unknown}");
        }
        let other = |interpreter: &str, argument: Option<&str>| ScriptLine {
            interpreter: interpreter.to_owned(),
            argument: argument.map(str::to_owned),
        };
        assert_eq!(other("/bin/sh", Some("tool")).env_program(), None);
        assert_eq!(other("/bin/env", None).env_program(), None);
    }
}
