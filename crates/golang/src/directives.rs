//! `//go:generate` and `//go:embed` lines of Go files, read as the go command reads them, and the program that a directive
//! starts. It runs nothing.

use rondel_names::Platform;

/// A `//go:generate` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Number of the line, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// Its words; aliases of `-command` are resolved, variables are not.
    pub words: Vec<String>,
}

/// The program of a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GeneratorProgram {
    /// The go command about what the module and its requirements hold: `go run ./gen`, `go tool x`.
    Go,
    /// `go run import/path@version`: a command of another module.
    Published(String),
    /// A name that PATH is searched for.
    Name(String),
    /// A path, relative to the directory of the file.
    Path(String),
    /// A word with a variable of the directive, which is not known before it runs.
    Variable(String),
}

/// What a Go file says to the go command by such lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceLines {
    /// Directives.
    pub directives: Vec<Directive>,
    /// Patterns of embedded files, relative to the directory of the file.
    pub embeds: Vec<String>,
    /// True if a build constraint may leave the file out; its directives then do not run.
    pub is_constrained: bool,
}

impl SourceLines {
    /// Reads the text of the file `name`.
    pub fn read(name: &str, text: &str) -> SourceLines {
        let mut found = SourceLines::default();
        // Most files have none of these lines.
        if !text.contains("//go:") {
            return found;
        }
        let mut aliases: Vec<(String, Vec<String>)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            found.is_constrained |= line.starts_with("//go:build ");
            if let Some(rest) = directive(line, "//go:embed") {
                found.embeds.extend(words_of(rest).into_iter().map(|word| embedded(&word)));
            }
            let Some(rest) = directive(line, "//go:generate") else { continue };
            let mut words = words_of(rest);
            if words.first().is_some_and(|word| word == "-command") {
                if words.len() > 2 {
                    aliases.push((words[1].clone(), words.split_off(2)));
                }
                continue;
            }
            let Some(first) = words.first() else { continue };
            // A later alias of a name is an error of `go generate`.
            if let Some((_, meaning)) = aliases.iter().find(|(name, _)| name == first) {
                words.splice(..1, meaning.iter().cloned());
            }
            found.directives.push(Directive { line: index + 1, text: line.trim_end().to_owned(), words });
        }
        found.is_constrained |= !found.directives.is_empty() && has_platform(name);
        found
    }
}

impl Directive {
    /// Returns its program.
    pub fn program(&self) -> GeneratorProgram {
        let first = self.words[0].as_str();
        if first.contains('$') {
            return GeneratorProgram::Variable(first.to_owned());
        }
        if first == "go" {
            let published = self.run_package().filter(|package| package.contains('@'));
            return published.map_or(GeneratorProgram::Go, |package| GeneratorProgram::Published(package.to_owned()));
        }
        match first.contains('/') {
            true => GeneratorProgram::Path(first.to_owned()),
            false => GeneratorProgram::Name(first.to_owned()),
        }
    }

    /// Returns the package of a `go run`.
    fn run_package(&self) -> Option<&str> {
        const ALONE: [&str; 12] =
            ["a", "n", "race", "msan", "asan", "cover", "v", "work", "x", "linkshared", "modcacherw", "trimpath"];
        let mut words = self.words.iter().skip(1).map(String::as_str);
        if words.next() != Some("run") {
            return None;
        }
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix('-') else { return Some(word) };
            let flag = flag.trim_start_matches('-');
            if !flag.contains('=') && !ALONE.contains(&flag) {
                words.next();
            }
        }
        None
    }
}

/// Returns true if `version` names one release for ever, as `latest` and the name of a branch do not.
pub fn is_fixed_version(version: &str) -> bool {
    let core = version.strip_prefix('v').unwrap_or("").split(['-', '+']).next().unwrap_or("");
    let numbers: Vec<&str> = core.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    numbers.len() == 3 && numbers.iter().all(is_number)
}

/// Returns what stands behind the words of a directive; they end with a space or a tab.
fn directive<'l>(line: &'l str, words: &str) -> Option<&'l str> {
    line.strip_prefix(words).filter(|rest| rest.starts_with([' ', '\t']))
}

/// Splits as `go generate` does: at spaces and tabs; a word in double quotes is a Go string.
fn words_of(text: &str) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), text.trim_matches([' ', '\t', '\r']));
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '`'));
        let end = match quote {
            Some(quote) => end_of_quoted(rest, quote),
            None => rest.find([' ', '\t']).unwrap_or(rest.len()),
        };
        words.push(if quote == Some('"') { unquoted(&rest[..end]) } else { rest[..end].trim_matches('`').to_owned() });
        rest = rest[end..].trim_start_matches([' ', '\t']);
    }
    words
}

fn end_of_quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (index, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if quote == '"' => is_escaped = true,
            _ if character == quote => return index + character.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Returns the contents of a Go string of which `\"`, `\\`, `\t` and `\n` are known.
fn unquoted(text: &str) -> String {
    let inner = text.strip_prefix('"').unwrap_or(text);
    let mut characters = inner.strip_suffix('"').unwrap_or(inner).chars();
    let mut result = String::new();
    while let Some(character) = characters.next() {
        result.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    result
}

/// Returns a pattern of `//go:embed` without its prefix.
fn embedded(word: &str) -> String {
    word.strip_prefix("all:").unwrap_or(word).to_owned()
}

/// Returns true if the name of a Go file is a build constraint: `x_windows.go`, `x_linux_arm64_test.go`.
fn has_platform(name: &str) -> bool {
    let stem = name.strip_suffix(".go").unwrap_or(name);
    let stem = stem.strip_suffix("_test").unwrap_or(stem);
    let Some((_, last)) = stem.rsplit_once('_') else { return false };
    Platform::all().any(|platform| platform.split('/').any(|part| part == last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> SourceLines {
        SourceLines::read("x.go", text)
    }

    #[test]
    fn directives_as_go_generate_reads_them() {
        let text = "package x\n\n//go:generate stringer -type=Pill\n\t//go:generate not at the start\n// go:generate no\n//go:generatex no\n\
                    //go:generate -command sq go run ./internal/sq -v\n//go:generate sq \"a b\" \"say \\\"x\\\"\"\r\n//go:generate\tmockgen\t-source=$GOFILE\n//go:generate \n";
        let found: Vec<(usize, String)> =
            read(text).directives.iter().map(|found| (found.line, found.words.join("|"))).collect();
        let expected =
            [(3, "stringer|-type=Pill"), (8, "go|run|./internal/sq|-v|a b|say \"x\""), (9, "mockgen|-source=$GOFILE")];
        assert_eq!(found, expected.map(|(line, words)| (line, words.to_owned())));
    }

    #[test]
    fn programs() {
        use GeneratorProgram::{Go, Name, Path, Published, Variable};
        let published = |text: &str| Published(text.to_owned());
        for (line, expected) in [
            ("go run ./gen", Go),
            ("go run gen.go", Go),
            ("go tool stringer -type=A", Go),
            ("go test -run=X@v1.0.0", Go),
            (
                "go run golang.org/x/tools/cmd/stringer@v0.24.0 -type=A",
                published("golang.org/x/tools/cmd/stringer@v0.24.0"),
            ),
            ("go run -mod=mod -tags a,b x.org/y@latest", published("x.org/y@latest")),
            ("go run -race x.org/y@v1.0.0 z@v2.0.0", published("x.org/y@v1.0.0")),
            ("go run ./gen z@v2.0.0", Go),
            ("stringer -type=A", Name("stringer".to_owned())),
            ("../gen.sh", Path("../gen.sh".to_owned())),
            ("$GOPATH/bin/x", Variable("$GOPATH/bin/x".to_owned())),
        ] {
            assert_eq!(read(&format!("//go:generate {line}\n")).directives[0].program(), expected, "{line}");
        }
    }

    #[test]
    fn embedded_files_and_constraints() {
        let text = "package x\n\n//go:embed templates/*.tmpl \"a b.txt\"\n//go:embed all:static\nvar f embed.FS\n";
        assert_eq!(read(text).embeds, ["templates/*.tmpl", "a b.txt", "static"]);
        assert!(!read(text).is_constrained && read("//go:build tools\n\npackage x\n//go:generate x\n").is_constrained);
        for (name, expected) in [
            ("x_windows.go", true),
            ("x_linux_arm64.go", true),
            ("x_darwin_test.go", true),
            ("linux.go", false),
            ("x_string.go", false),
        ] {
            assert_eq!(SourceLines::read(name, "//go:generate x\n").is_constrained, expected, "{name}");
        }
    }

    #[test]
    fn fixed_versions() {
        for version in ["v1.2.3", "v0.0.0-20240101000000-abcdefabcdef", "v2.0.0+incompatible"] {
            assert!(is_fixed_version(version), "{version}");
        }
        for version in ["latest", "main", "v1", "v1.2", "1.2.3", ""] {
            assert!(!is_fixed_version(version), "{version}");
        }
    }
}
