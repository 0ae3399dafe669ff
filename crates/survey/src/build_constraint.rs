//! Whether a Go file belongs to a build on Linux: by its name and its build constraints. Knows no package.

/// Systems and architectures that a name may end with, as far as people use them.
const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "js",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
    "zos",
];
const ARCHITECTURES: &[&str] =
    &["386", "arm", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x", "wasm"];
/// Conditions that hold in every build that Rondel makes here; architectures are those that most people build for.
const TRUE: &[&str] = &["linux", "unix", "gc", "amd64", "arm64"];
/// Conditions within each other.
const DEPTH_MAX: usize = 64;

/// Returns true unless the name is of a file for another system or architecture.
pub(crate) fn name_fits(name: &str) -> bool {
    let stem = name.strip_suffix(".go").unwrap_or(name);
    let mut parts = stem.split('_').skip(1);
    !parts.any(|part| SYSTEMS.contains(&part) || ARCHITECTURES.contains(&part))
}

/// Returns true unless a `//go:build` line before the package clause leaves the file out.
pub(crate) fn is_built(source: &[u8]) -> bool {
    for line in source.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        if let Some(condition) = line.strip_prefix("//go:build ") {
            return holds(condition);
        }
        // The older form, where Go's authors mark programs that generate others.
        if line.strip_prefix("//").is_some_and(|rest| rest.trim() == "+build ignore") {
            return false;
        }
        if line.starts_with("package ") {
            return true;
        }
    }
    true
}

/// Returns the value of `a && (b || !c)`. A condition that can't be read holds: then `go` says what is wrong.
fn holds(condition: &str) -> bool {
    let mut words: Vec<String> = Vec::new();
    for c in condition.chars() {
        match c {
            ' ' | '\t' => words.push(String::new()),
            '(' | ')' | '!' => words.extend([c.to_string(), String::new()]),
            '&' | '|' if words.last().is_some_and(|word| *word == c.to_string()) => {
                words.last_mut().expect("it was looked at").push(c);
                words.push(String::new());
            }
            '&' | '|' => words.push(c.to_string()),
            _ => match words.last_mut() {
                Some(word) => word.push(c),
                None => words.push(c.to_string()),
            },
        }
    }
    words.retain(|word| !word.is_empty());
    let mut reader = Condition { words: &words, depth: 0 };
    let value = reader.either();
    value.filter(|_| reader.words.is_empty()).unwrap_or(true)
}

struct Condition<'w> {
    words: &'w [String],
    depth: usize,
}

impl Condition<'_> {
    fn takes(&mut self, word: &str) -> bool {
        let is = self.words.first().is_some_and(|first| first == word);
        if is {
            self.words = &self.words[1..];
        }
        is
    }

    fn either(&mut self) -> Option<bool> {
        let mut value = self.both()?;
        while self.takes("||") {
            value |= self.both()?;
        }
        Some(value)
    }

    fn both(&mut self) -> Option<bool> {
        let mut value = self.one()?;
        while self.takes("&&") {
            value &= self.one()?;
        }
        Some(value)
    }

    fn one(&mut self) -> Option<bool> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let value = if self.takes("!") {
            !self.one()?
        } else if self.takes("(") {
            let value = self.either()?;
            if !self.takes(")") {
                return None;
            }
            value
        } else {
            let (word, rest) = self.words.split_first()?;
            self.words = rest;
            TRUE.contains(&word.as_str()) || word.starts_with("go1.")
        };
        self.depth -= 1;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints() {
        for (condition, value) in [
            ("ignore", false),
            ("!windows", true),
            ("linux && !cgo", true),
            ("linux&&cgo", false),
            ("(darwin || linux) && go1.21", true),
            ("tools || !(unix)", false),
            ("a &&", true),
        ] {
            assert_eq!(holds(condition), value, "{condition}");
        }
        assert!(holds(&"!".repeat(100_000)), "depth is limited");
        assert!(!is_built(b"// Copyright\n\n//go:build ignore\n\npackage main\n"));
        assert!(!is_built(b"// +build ignore\n\npackage main\n"));
        assert!(is_built(b"package main\n\n//go:build ignore\n"));
    }

    #[test]
    fn names() {
        for (name, fits) in
            [("main.go", true), ("x_windows.go", false), ("x_linux_arm64.go", true), ("windows.go", true)]
        {
            assert_eq!(name_fits(name), fits, "{name}");
        }
    }
}
