//! The header of a Go source file: everything in it that can change the files and packages of a build.
//!
//! `go list` reads a file's build constraints, package clause, imports, cgo preamble and `//go:embed` lines, and
//! nothing else. An edit that changes none of these can't change the closure, so `go list` need not run again. The
//! header taken here is larger: everything up to the first declaration, and each line with `go:embed`. Too much costs a
//! run of `go list`, too little would give a wrong closure.

use rondel_cas::{Digest, Hasher};

/// Returns the digest of a file's header.
pub fn head_digest(source: &[u8]) -> Digest {
    let end = end_of_imports(source);
    let mut hasher = Hasher::new();
    hasher.update(&source[..end]);
    for line in source[end..].split(|&byte| byte == b'\n') {
        if contains(line, b"go:embed") {
            hasher.update(b"\n");
            hasher.update(line);
        }
    }
    hasher.finish()
}

fn contains(line: &[u8], needle: &[u8]) -> bool {
    line.windows(needle.len()).any(|window| window == needle)
}

/// Returns the offset of the first declaration after the imports, or the end of the file. Comments and literals are
/// skipped as Go's scanner does, so that a `func` inside one of them ends nothing.
fn end_of_imports(source: &[u8]) -> usize {
    let mut index = 0;
    while index < source.len() {
        let rest = &source[index..];
        if rest.starts_with(b"//") {
            index += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        } else if rest.starts_with(b"/*") {
            index += rest.windows(2).skip(2).position(|pair| pair == b"*/").map_or(rest.len(), |at| at + 4);
        } else if rest[0] == b'"' || rest[0] == b'\'' {
            index += end_of_literal(rest);
        } else if rest[0] == b'`' {
            index += rest[1..].iter().position(|&byte| byte == b'`').map_or(rest.len(), |at| at + 2);
        } else if is_word(rest[0]) {
            let length = rest.iter().take_while(|&&byte| is_word(byte)).count();
            if matches!(&rest[..length], b"func" | b"type" | b"var" | b"const") {
                return index;
            }
            index += length;
        } else {
            index += 1;
        }
    }
    source.len()
}

/// Returns the name in the package clause, which comments may precede; `None` for anything else.
pub fn package_name(source: &[u8]) -> Option<&str> {
    let mut rest = source.strip_prefix("\u{feff}".as_bytes()).unwrap_or(source);
    loop {
        rest = rest.trim_ascii_start();
        if rest.starts_with(b"//") {
            rest = &rest[rest.iter().position(|&byte| byte == b'\n')?..];
        } else if rest.starts_with(b"/*") {
            rest = &rest[rest.windows(2).skip(2).position(|pair| pair == b"*/")? + 4..];
        } else {
            break;
        }
    }
    let rest = rest.strip_prefix(b"package")?;
    let name = rest.trim_ascii_start();
    let length = name.iter().take_while(|&&byte| is_word(byte)).count();
    // `packagemain` is one word.
    (name.len() < rest.len() && length > 0).then(|| std::str::from_utf8(&name[..length]).ok()).flatten()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Returns the length of an interpreted literal; an unclosed one ends with its line.
fn end_of_literal(rest: &[u8]) -> usize {
    let mut index = 1;
    while index < rest.len() && rest[index] != rest[0] && rest[index] != b'\n' {
        index += if rest[index] == b'\\' { 2 } else { 1 };
    }
    (index + 1).min(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "//go:build linux\n\npackage a\n\nimport (\n\t\"fmt\"\n\t_ \"embed\"\n)\n\n//go:embed x\nvar x string\n\nfunc f() { fmt.Println(1) }\n";

    fn same(one: &str, other: &str) -> bool {
        head_digest(one.as_bytes()) == head_digest(other.as_bytes())
    }

    #[test]
    fn what_can_change_the_closure_is_seen() {
        for (from, to) in [
            ("linux", "darwin"),
            ("package a", "package b"),
            ("\"fmt\"", "\"log\""),
            ("//go:embed x", "//go:embed y"),
            ("//go:embed x\n", ""),
            ("import (", "import \"C\"\nimport ("),
        ] {
            assert!(!same(BASE, &BASE.replace(from, to)), "{from} -> {to}");
        }
        assert!(!same(BASE, &format!("{BASE}\n//go:embed later\nvar y string\n")));
    }

    #[test]
    fn bodies_are_not() {
        assert!(same(BASE, &BASE.replace("Println(1)", "Println(2)")));
        assert!(same(BASE, &format!("{BASE}// a comment\n")));
    }

    /// A keyword in a comment or literal before an import must not hide the import.
    #[test]
    fn comments_and_literals_end_nothing() {
        for head in ["/* func */", "// type x\n", "/*\nvar\n*/", "/**/", "/* * / const */"] {
            let one = format!("package a {head}\nimport \"one\"\nfunc f() {{}}\n");
            assert!(!same(&one, &one.replace("\"one\"", "\"two\"")), "{head}");
        }
        let one = "package a\nimport `func`\nimport \"var\"\nimport \"one\"\nfunc f() {}";
        assert!(!same(one, &one.replace("\"one\"", "\"two\"")));
        let one = "package a\nimport funcs \"one\"\nimport typed \"x\"\nvar _ = 1";
        assert!(!same(one, &one.replace("\"x\"", "\"y\"")));
    }

    #[test]
    fn package_clauses() {
        for (source, name) in [
            ("package main\n", Some("main")),
            ("\u{feff}// package no\n/* package none */ package\tmain; import \"x\"", Some("main")),
            ("/**/package x", Some("x")),
            ("packagemain\n", None),
            ("package", None),
            ("/* package main", None),
            ("func main() {}", None),
        ] {
            assert_eq!(package_name(source.as_bytes()), name, "{source}");
        }
    }
}
