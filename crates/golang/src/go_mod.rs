//! The few lines of go.mod and go.work that Rondel itself needs: `module`, `go`, `toolchain`, `tool`, `use`, and
//! replacements by directories.

/// Version lines of a go.mod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoMod {
    /// `module`
    pub module: Option<String>,
    /// `go 1.22`, without the word.
    pub go: Option<String>,
    /// `toolchain go1.22.12`, without `go`.
    pub toolchain: Option<String>,
    /// `tool`: import paths.
    pub tools: Vec<String>,
    /// `use` of a go.work: directories, as written.
    pub uses: Vec<String>,
    /// Module paths that `replace` lines replace by a directory, and the directory, as written.
    pub replaced_by: Vec<(String, String)>,
}

impl GoMod {
    /// Reads these lines, alone or in blocks; everything else is left to Go.
    pub fn parse(text: &str) -> GoMod {
        let mut result = GoMod::default();
        let mut block: Option<String> = None;
        for line in text.lines() {
            let line = line.split("//").next().unwrap_or("").trim();
            let (word, rest) = match &block {
                Some(_) if line == ")" => {
                    block = None;
                    continue;
                }
                Some(word) => (word.clone(), line),
                None => {
                    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
                    if rest.trim() == "(" {
                        block = Some(word.to_owned());
                        continue;
                    }
                    (word.to_owned(), rest.trim())
                }
            };
            let unquoted = rest.trim_matches(['"', '`']).to_owned();
            match word.as_str() {
                _ if unquoted.is_empty() => {}
                "module" => result.module = Some(unquoted),
                "go" => result.go = Some(unquoted),
                "toolchain" => result.toolchain = unquoted.strip_prefix("go").map(str::to_owned),
                "tool" => result.tools.push(unquoted),
                "use" => result.uses.push(unquoted),
                "replace" => {
                    let Some((old, by)) = rest.split_once("=>") else { continue };
                    let unquote = |text: &str| text.trim_matches(['"', '`']).to_owned();
                    let by = unquote(by.trim());
                    if by.starts_with(['.', '/']) {
                        let old = unquote(old.split_whitespace().next().unwrap_or(""));
                        result.replaced_by.push((old, by));
                    }
                }
                _ => {}
            }
        }
        result
    }

    /// Returns the release of the `toolchain` line, if it is not older than the `go` line: as for the go command.
    pub fn valid_toolchain(&self) -> Option<&str> {
        let toolchain = self.toolchain.as_deref().filter(|toolchain| go_version_of(toolchain).is_some())?;
        let is_newer = self.go.as_deref().is_none_or(|go| go_version_of(toolchain) >= go_version_of(go));
        is_newer.then_some(toolchain)
    }
}

/// Returns the numbers of a Go version for comparison: `1.22rc1` < `1.22.0` < `1.22.12`.
pub fn go_version_of(text: &str) -> Option<(u32, u32, i64, u32)> {
    let (numbers, pre) = match text.find(|character: char| character.is_ascii_alphabetic()) {
        Some(index) => text.split_at(index),
        None => (text, ""),
    };
    let mut parts = numbers.split('.').map(str::parse::<u32>);
    let major = parts.next()?.ok()?;
    let minor = parts.next().transpose().ok()?.unwrap_or(0);
    let patch = parts.next().transpose().ok()?;
    let number = pre.trim_start_matches(|character: char| character.is_ascii_alphabetic()).parse().unwrap_or(0);
    let patch = match (pre.is_empty(), patch) {
        (false, _) => {
            if pre.starts_with("beta") {
                -2
            } else {
                -1
            }
        }
        (true, patch) => i64::from(patch.unwrap_or(0)),
    };
    Some((major, minor, patch, number))
}

/// Returns the Go version that go.mod asks for, if it is newer than `version`.
pub fn needs_newer(go_mod: &GoMod, version: &str) -> Option<String> {
    let wanted = go_mod.go.as_ref()?;
    (go_version_of(wanted)? > go_version_of(version)?).then(|| wanted.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_alone_and_in_blocks() {
        let text = "module \"x\"\ntool example.com/a/cmd/one // c\ntool (\n\texample.com/two\n)\nreplace a => ../a\nreplace (\n\tb v1.0.0 => ./b\n\tc => example.com/c v1.2.3\n)\nuse (\n\t.\n\t./lib\n)\n";
        let go_mod = GoMod::parse(text);
        assert_eq!(go_mod.module.as_deref(), Some("x"));
        assert_eq!(go_mod.tools, ["example.com/a/cmd/one", "example.com/two"]);
        let replaced = [("a", "../a"), ("b", "./b")].map(|(old, by)| (old.to_owned(), by.to_owned()));
        assert_eq!(go_mod.replaced_by, replaced);
        assert_eq!(go_mod.uses, [".", "./lib"]);
    }

    #[test]
    fn versions() {
        let go_mod = GoMod::parse("module example.com/x // c\n\ngo 1.22\n\nrequire (\n\tgo.uber.org/x v1.0.0\n)\n");
        assert_eq!(go_mod.module.as_deref(), Some("example.com/x"));
        assert_eq!(go_mod.valid_toolchain(), None);
        assert_eq!(GoMod::parse("go 1.21.3\ntoolchain go1.22.12").valid_toolchain(), Some("1.22.12"));
        assert_eq!(GoMod::parse("go 1.23.1\ntoolchain go1.22.12").valid_toolchain(), None);
        assert_eq!(GoMod::parse("go 1.22\ntoolchain default").valid_toolchain(), None);
        assert_eq!(GoMod::parse("toolchain go1.22.12").valid_toolchain(), Some("1.22.12"));
        assert_eq!(needs_newer(&go_mod, "1.22.12"), None);
        assert_eq!(needs_newer(&GoMod::parse("go 1.23"), "1.22.12").as_deref(), Some("1.23"));
        assert_eq!(needs_newer(&GoMod::parse("go 1.23.0"), "1.23rc1").as_deref(), Some("1.23.0"));
    }
}
