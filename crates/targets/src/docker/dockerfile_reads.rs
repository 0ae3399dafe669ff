//! Everything that a Dockerfile reads: images, paths of the context, and things that no key can hold. Knows no
//! daemon and no file.

use std::collections::BTreeSet;

use crate::docker::dockerfile::{Dockerfile, Instruction};
use crate::docker::dockerfile_words::{Unknown, Variables, arguments, expand};

/// The readings of a Dockerfile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Names of images that are no stages of the file.
    pub images: BTreeSet<String>,
    /// Instructions that read something that no key can hold, as written.
    pub untracked: BTreeSet<String>,
    /// Paths of the context that are named.
    pub sources: BTreeSet<String>,
    /// True if a path of the context is not known before the build.
    pub has_unknown_sources: bool,
}

/// Returns what `file` reads with these build arguments, on a machine of this architecture.
pub(crate) fn reads(file: &Dockerfile, build_args: &[(String, String)], architecture: &str) -> Reads {
    let mut reader = Reader {
        file,
        build_args,
        global: platform_variables(architecture),
        scope: None,
        stages: Vec::new(),
        reads: Reads::default(),
    };
    reader.reads.images.extend(file.syntax.clone());
    for instruction in &file.instructions {
        reader.read(instruction);
    }
    reader.reads
}

/// Returns the variables that are there before the first `FROM`.
fn platform_variables(architecture: &str) -> Variables {
    let platform = format!("linux/{architecture}");
    let mut variables = Variables::new();
    for side in ["TARGET", "BUILD"] {
        for (part, value) in [("PLATFORM", platform.as_str()), ("OS", "linux"), ("ARCH", architecture), ("VARIANT", "")]
        {
            variables.insert(format!("{side}{part}"), value.to_owned());
        }
    }
    variables
}

struct Reader<'a> {
    file: &'a Dockerfile,
    build_args: &'a [(String, String)],
    global: Variables,
    /// Variables of the current stage; `None` before the first `FROM`.
    scope: Option<Variables>,
    stages: Vec<String>,
    reads: Reads,
}

impl Reader<'_> {
    fn read(&mut self, instruction: &Instruction) {
        match instruction.word.as_str() {
            "ARG" => self.arg(&instruction.rest),
            "ENV" => self.env(&instruction.rest),
            "FROM" => self.from(instruction),
            "COPY" => match value(&instruction.flags, "from") {
                Some(from) => self.image(from, instruction),
                None => self.sources(instruction),
            },
            "ADD" => self.sources(instruction),
            "RUN" => {
                for flag in &instruction.flags {
                    if let Some(mount) = flag.strip_prefix("--mount=") {
                        self.mount(mount, instruction);
                    }
                }
            }
            _ => {}
        }
    }

    /// Expands a word. In a stage, the image below may have set any variable.
    fn expand(&self, word: &str) -> Result<String, Unknown> {
        match &self.scope {
            None => expand(word, &self.global, self.file.escape, Ok(())),
            Some(scope) => expand(word, scope, self.file.escape, Err(Unknown)),
        }
    }

    fn arg(&mut self, rest: &str) {
        for word in arguments(rest, self.file.escape) {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name.to_owned(), self.expand(default).ok()),
                None => (word.clone(), None),
            };
            let given = self.build_args.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone());
            let is_in_stage = self.scope.is_some();
            let inherited =
                default.is_none().then(|| self.global.get(&name).cloned()).flatten().filter(|_| is_in_stage);
            let value = given.or(inherited).or(default);
            let scope = self.scope.as_mut().unwrap_or(&mut self.global);
            match value {
                Some(value) => drop(scope.insert(name, value)),
                // An argument with a default that is not known hides what was known.
                None if word.contains('=') => drop(scope.remove(&name)),
                None => {}
            }
        }
    }

    fn env(&mut self, rest: &str) {
        let words = arguments(rest, self.file.escape);
        let is_old_form = words.first().is_some_and(|word| !word.contains('='));
        let pairs: Vec<(String, String)> = if is_old_form {
            let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            vec![(name.to_owned(), value.trim().to_owned())]
        } else {
            words.iter().filter_map(|word| word.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
        };
        let values: Vec<_> = pairs.into_iter().map(|(name, value)| (name, self.expand(&value))).collect();
        let Some(scope) = &mut self.scope else { return };
        for (name, value) in values {
            match value {
                Ok(value) => drop(scope.insert(name, value)),
                Err(Unknown) => drop(scope.remove(&name)),
            }
        }
    }

    fn from(&mut self, instruction: &Instruction) {
        self.scope = None;
        let words: Vec<&str> = instruction.rest.split_whitespace().collect();
        if let Some(word) = words.first() {
            self.image(word, instruction);
        }
        // A platform other than the daemon's own is another image under the same name.
        let platform = value(&instruction.flags, "platform").map(|platform| self.expand(platform));
        if platform.is_some_and(|platform| platform.as_ref() != Ok(&self.global["BUILDPLATFORM"])) {
            self.untrack(instruction);
        }
        let name = words.iter().position(|word| word.eq_ignore_ascii_case("AS")).and_then(|place| words.get(place + 1));
        self.stages.push(name.map_or_else(String::new, |name| name.to_ascii_lowercase()));
        self.scope = Some(Variables::new());
    }

    /// Adds an image, unless the name is that of a stage or `scratch`.
    fn image(&mut self, word: &str, instruction: &Instruction) {
        let Ok(name) = self.expand(word) else { return self.untrack(instruction) };
        let is_from = instruction.word == "FROM";
        let is_stage = self.stages.contains(&name.to_ascii_lowercase())
            || (!is_from && name.parse::<usize>().is_ok_and(|index| index < self.stages.len()));
        if !is_stage && name != "scratch" && !name.is_empty() {
            self.reads.images.insert(name);
        }
    }

    fn mount(&mut self, text: &str, instruction: &Instruction) {
        let fields: Vec<(String, String)> = text
            .split(',')
            .map(|field| field.split_once('=').unwrap_or((field, "")))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let find = |names: &[&str]| {
            fields.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value.as_str())
        };
        let kind = find(&["type"]).unwrap_or("bind");
        match (kind, find(&["from"])) {
            ("bind" | "cache", Some(from)) => self.image(from, instruction),
            ("bind", None) => self.source(find(&["source", "src"]).unwrap_or("."), instruction),
            _ => {}
        }
    }

    fn sources(&mut self, instruction: &Instruction) {
        let words = arguments(&instruction.rest, self.file.escape);
        let Some((_, sources)) = words.split_last() else { return };
        for word in sources.iter().filter(|word| !word.starts_with("<<")) {
            self.source(word, instruction);
        }
    }

    fn source(&mut self, word: &str, instruction: &Instruction) {
        let expanded = self.expand(word);
        let begins_unknown = expanded.is_err() && word.trim_start_matches(['"', '\'']).starts_with('$');
        let remote = expanded.as_deref().unwrap_or(word);
        if instruction.word == "ADD" && (begins_unknown || is_remote(remote)) {
            let is_pinned = value(&instruction.flags, "checksum").is_some() || is_commit(remote);
            if begins_unknown || !is_pinned {
                self.untrack(instruction);
            }
            self.reads.has_unknown_sources |= begins_unknown;
            return;
        }
        match expanded {
            Ok(source) => drop(self.reads.sources.insert(source)),
            Err(Unknown) => self.reads.has_unknown_sources = true,
        }
    }

    fn untrack(&mut self, instruction: &Instruction) {
        let flags: String = instruction.flags.iter().map(|flag| format!("{flag} ")).collect();
        let line: String = format!("{} {flags}{}", instruction.word, instruction.rest).chars().take(80).collect();
        self.reads.untracked.insert(line);
    }
}

/// Returns the value of `--name=value`.
fn value<'f>(flags: &'f [String], name: &str) -> Option<&'f str> {
    flags.iter().find_map(|flag| flag.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='))
}

/// Returns true for an address: of a file, or of a repository (`user@host:path`).
fn is_remote(source: &str) -> bool {
    let has_user = source.split_once('@').is_some_and(|(user, rest)| !user.contains('/') && rest.contains(':'));
    source.contains("://") || has_user
}

/// Returns true for the address of a repository at a commit.
fn is_commit(source: &str) -> bool {
    let fragment = source.rsplit_once('#').map_or("", |(_, fragment)| fragment);
    let commit = fragment.split(':').next().unwrap_or_default();
    commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns true for an image whose name holds its digest: it never is another one.
pub(crate) fn is_pinned(image: &str) -> bool {
    let digest = image.rsplit_once("@sha256:").map(|(_, digest)| digest);
    digest.is_some_and(|digest| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, args: &[(&str, &str)]) -> Reads {
        let args: Vec<_> = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        reads(&Dockerfile::parse(text), &args, "amd64")
    }

    #[test]
    fn images() {
        let text = "# syntax=docker/dockerfile:1\nARG GO=1.22 BASE=golang:${GO}-alpine\nARG X\nFROM --platform=$BUILDPLATFORM ${BASE} AS Build\nCOPY --from=tools:1 /a /a\nCOPY --from=build /a /a\nCOPY --from=0 /a /a\nRUN --mount=type=bind,from=mounted:2,target=/m --mount=from=build,target=/b x \\\n  y\nfrom build as test\nFROM ${X:-alpine}:3.19\nFROM scratch\nFROM base-$TARGETARCH\nRUN <<EOF\nFROM nothing\nEOF\nONBUILD COPY --from=later /a /a\n";
        let found = of(text, &[]);
        let images: Vec<&str> = found.images.iter().map(String::as_str).collect();
        assert_eq!(
            images,
            ["alpine:3.19", "base-amd64", "docker/dockerfile:1", "golang:1.22-alpine", "mounted:2", "tools:1"]
        );
        assert!(found.untracked.is_empty(), "{found:?}");
        assert!(
            of(text, &[("GO", "1.23"), ("X", "x")])
                .images
                .is_superset(&["golang:1.23-alpine".into(), "x:3.19".into()].into())
        );
    }

    #[test]
    fn what_no_key_holds() {
        for line in [
            "ADD https://example.com/x /x",
            "ADD git@example.com:a/b.git /x",
            "ADD $URL /x",
            "COPY --from=$IMAGE a b",
            "RUN --mount=from=${IMAGE} x",
        ] {
            let found = of(&format!("FROM a\n{line}\n"), &[]);
            assert_eq!(found.untracked.iter().map(String::as_str).collect::<Vec<_>>(), [line]);
        }
        assert_eq!(of("FROM ${X#a}\n", &[]).untracked.len(), 1);
        assert_eq!(of("FROM --platform=linux/s390x a\n", &[]).untracked.len(), 1);
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let text = format!("FROM a\nADD --checksum=sha256:0 https://x/y /\nADD https://x/y.git#{commit} /\n");
        assert!(of(&text, &[]).untracked.is_empty());
        assert!(is_pinned(&format!("a@sha256:{}", "0".repeat(64))) && !is_pinned("a@sha256:0"));
    }

    #[test]
    fn sources() {
        let text = "ARG D=dist\nFROM a\nARG D\nENV E=$D/x F=\"a b\"\nCOPY --chown=1:2 [\"$E\", \"c d\", \"/x\"]\nADD f $F g/\nRUN --mount=source=web,target=/w --mount=target=/all x\nCOPY <<EOF /h\nEOF\n";
        let found = of(text, &[]);
        assert_eq!(
            found.sources.iter().map(String::as_str).collect::<Vec<_>>(),
            [".", "a b", "c d", "dist/x", "f", "web"]
        );
        assert!(!found.has_unknown_sources);
        assert!(of("FROM a\nCOPY $HOME/x /\n", &[]).has_unknown_sources);
    }
}
