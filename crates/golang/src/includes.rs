//! Includes: files that the C compiler and the assemblers read and that `go list` does not name.
//!
//! A scan, not a preprocessor. It takes every directive, also those behind `#if`, and every place where the file could
//! be found. So it may watch too much. What it can't follow, such as an include whose name is a macro, it reports;
//! except behind an `#ifdef` of that macro where nothing defines it, as in SQLite.
//! Headers of the system are not followed: `c_compiler` keys their directories.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rondel_cas::{TEXT_MAX, read_at_most, read_text_at_most};

use crate::local_modules::lexically;

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reader {
    /// A Go file with `import "C"`: its comments hold C.
    Preamble,
    /// C and related languages, and assembly for the C compiler.
    C,
    /// Go's assembler: names are relative to the package's directory.
    GoAssembler,
}

/// Places where included files are found.
#[derive(Clone, Debug, Default)]
pub(crate) struct SearchPath {
    /// Directory of the package: compilers run there.
    pub package: PathBuf,
    /// Directories of `-I` and the like, absolute.
    pub directories: Vec<PathBuf>,
    /// Directories of headers that come with the toolchain.
    pub system: Vec<PathBuf>,
    /// The compiler's flags, which may define macros.
    pub flags: Vec<String>,
}

/// Result of a scan.
#[derive(Debug, Default)]
pub(crate) struct Includes {
    /// Files that exist.
    pub files: BTreeSet<PathBuf>,
    /// Paths that would be read if they existed.
    pub missing: BTreeSet<PathBuf>,
    /// Those of includes that no file answers.
    pub unresolved: BTreeSet<PathBuf>,
    /// Why the files are not all known, in words.
    pub untracked: Option<String>,
}

/// A directive that names a file, or names it in a way that a scan can't follow.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Directive {
    /// `#include "x"`, `.incbin "x"`
    Quoted(String),
    /// `#include <x>`
    Angled(String),
    /// The name is made by a macro.
    Computed(String),
    /// The name is made by a macro, the second one, if that is defined at all.
    Guarded(String, String),
    /// `#define x`
    Defined(String),
}

/// Number of files after which a scan gives up.
const FILES_MAX: usize = 20_000;

/// Scans `roots` and everything that they include.
pub(crate) fn scan(roots: impl IntoIterator<Item = (PathBuf, Reader)>, search: &SearchPath) -> Includes {
    let mut found = Includes::default();
    let mut open: Vec<(PathBuf, Reader)> = roots.into_iter().collect();
    let mut seen: BTreeSet<(PathBuf, Reader)> = open.iter().cloned().collect();
    let (mut guarded, mut defined) = (Vec::new(), BTreeSet::new());
    let computed = |file: &Path, name: &str| {
        let file = file.strip_prefix(&search.package).unwrap_or(file).display().to_string();
        format!("`{file}` includes a file whose name is made by `{name}`")
    };
    while let Some((file, reader)) = open.pop() {
        let text = match read_text_lossy(&file) {
            Ok(text) => text,
            Err(error) => {
                found.untracked = Some(format!("`{}` can't be scanned for includes: {error}", file.display()));
                continue;
            }
        };
        for directive in directives(&text, reader) {
            let (name, is_quoted) = match directive {
                Directive::Quoted(name) => (name, true),
                Directive::Angled(name) => (name, false),
                Directive::Computed(name) => {
                    found.untracked = Some(computed(&file, &name));
                    continue;
                }
                Directive::Guarded(name, guard) => {
                    guarded.push((computed(&file, &name), guard));
                    continue;
                }
                Directive::Defined(name) => {
                    defined.insert(name);
                    continue;
                }
            };
            let candidates = candidates(&name, is_quoted, &file, search);
            let is_of_toolchain = name == "go_asm.h" || search.system.iter().any(|place| place.join(&name).is_file());
            if !is_of_toolchain && !candidates.iter().any(|candidate| candidate.is_file()) {
                found.unresolved.extend(candidates.iter().cloned());
            }
            for candidate in candidates {
                if !candidate.is_file() {
                    found.missing.insert(candidate);
                    continue;
                }
                // GCC takes a precompiled header that lies beside.
                let mut precompiled = candidate.clone().into_os_string();
                precompiled.push(".gch");
                found.missing.insert(precompiled.into());
                found.files.insert(candidate.clone());
                let reader = if reader == Reader::Preamble { Reader::C } else { reader };
                if seen.insert((candidate.clone(), reader)) {
                    open.push((candidate, reader));
                }
            }
        }
        if seen.len() > FILES_MAX {
            found.untracked = Some(format!("more than {FILES_MAX} files are included"));
            break;
        }
    }
    let may_be_defined = |guard: &String| {
        defined.contains(guard)
            || search.flags.iter().any(|flag| flag.contains(guard.as_str()) || flag.starts_with('@'))
    };
    if let Some((why, _)) = guarded.into_iter().find(|(_, guard)| may_be_defined(guard)) {
        found.untracked = Some(why);
    }
    found
}

/// Reads a file that need not be UTF-8: names of files and directives are.
fn read_text_lossy(path: &Path) -> std::io::Result<String> {
    match read_text_at_most(path, TEXT_MAX) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Ok(String::from_utf8_lossy(&read_at_most(path, TEXT_MAX)?).into_owned())
        }
        other => other,
    }
}

fn candidates(name: &str, is_quoted: bool, includer: &Path, search: &SearchPath) -> Vec<PathBuf> {
    let mut places: Vec<&Path> = Vec::new();
    if is_quoted {
        places.extend(includer.parent());
        places.push(&search.package);
    }
    places.extend(search.directories.iter().map(PathBuf::as_path));
    let mut found: Vec<PathBuf> = places.into_iter().map(|place| lexically(&place.join(name))).collect();
    found.sort();
    found.dedup();
    found
}

/// Returns the directives of a file.
fn directives(text: &str, reader: Reader) -> BTreeSet<Directive> {
    let code = match reader {
        // Only what precedes the import can be C.
        Reader::Preamble => {
            without_comments(&comments_of_go(text.rsplit_once("\"C\"").map_or("", |(before, _)| before)))
        }
        Reader::C | Reader::GoAssembler => without_comments(text),
    };
    let mut found = BTreeSet::new();
    let mut conditions: Vec<Option<&str>> = Vec::new();
    for line in code.lines() {
        let line = line.trim_start();
        let rest = ["#", "%:", "??=", "%"].iter().find_map(|mark| line.strip_prefix(mark)).map(str::trim_start);
        if let Some(rest) = rest.filter(|_| reader == Reader::C) {
            follow(rest, &mut conditions);
            found.extend(rest.strip_prefix("define").map(|rest| Directive::Defined(word(rest).to_owned())));
        }
        const WORDS: &[&str] = &["include_next", "include", "import", "embed"];
        let operand = rest.and_then(|rest| WORDS.iter().find_map(|word| rest.strip_prefix(word)));
        if let Some(operand) = operand.filter(|operand| !operand.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        {
            let guard = conditions.iter().flatten().find(|guard| words(operand).any(|word| word == **guard));
            found.extend(match (named(operand), guard) {
                (Some(Directive::Computed(name)), Some(guard)) => Some(Directive::Guarded(name, (*guard).to_owned())),
                (named, _) => named,
            });
        }
        // `__has_include("x")` and `__has_embed`
        for part in line.split("__has_").skip(1) {
            found.extend(part.split_once('(').and_then(|(_, operand)| named(operand)));
        }
        found.extend(assembled(line));
    }
    found
}

/// Follows a directive of conditions: for each that is open, the macro that has to be defined, if it is so simple.
fn follow<'text>(directive: &'text str, conditions: &mut Vec<Option<&'text str>>) {
    let name = word(directive);
    let rest = directive[name.len()..].trim();
    let operand = match name {
        "ifdef" => Some(rest),
        "if" => {
            rest.strip_prefix("defined").map(|rest| rest.trim().trim_start_matches('(').trim_end_matches(')').trim())
        }
        _ => None,
    };
    match name {
        "if" | "ifdef" | "ifndef" => conditions.push(operand.filter(|name| !name.is_empty() && word(name) == *name)),
        "endif" => {
            conditions.pop();
        }
        "else" | "elif" | "elifdef" | "elifndef" => {
            conditions.pop();
            conditions.push(None);
        }
        _ => {}
    }
}

/// Returns the words of a line of C.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').filter(|word| !word.is_empty())
}

/// Returns the word with which a text begins, after spaces.
fn word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(text.len());
    &text[..end]
}

/// Returns the file that an operand names.
fn named(operand: &str) -> Option<Directive> {
    let operand = operand.trim();
    let until = |text: &str, end: char| text.split_once(end).map(|(name, _)| name.to_owned());
    let named = match operand.chars().next()? {
        '"' => until(&operand[1..], '"').map(Directive::Quoted),
        '<' => until(&operand[1..], '>').map(Directive::Angled),
        _ => None,
    };
    named.or_else(|| is_macro(operand).then(|| Directive::Computed(operand.chars().take(40).collect())))
}

/// Returns true if the text can be a use of a macro. Prose in a comment can't.
fn is_macro(operand: &str) -> bool {
    let name = operand.split('(').next().unwrap_or("").trim_end();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    !name.is_empty() && name.chars().all(is_word)
}

/// Returns the files that directives of the GNU assembler name, which may stand in strings of C.
fn assembled(line: &str) -> Vec<Directive> {
    let mut found = Vec::new();
    for word in [".incbin", ".include"] {
        for rest in line.split(word).skip(1) {
            let quoted = rest.trim_start().trim_start_matches('\\').strip_prefix('"');
            let name = quoted.and_then(|rest| rest.split(['"', '\\']).next());
            found.push(match name {
                Some(name) => Directive::Quoted(name.to_owned()),
                None => Directive::Computed(format!("{word}{}", rest.chars().take(30).collect::<String>())),
            });
        }
    }
    found
}

/// Returns the text of all comments of a Go file, which may be C: `//` and `/*` are removed, lines stay.
fn comments_of_go(source: &str) -> String {
    let mut text = String::new();
    let mut rest = source;
    while !rest.is_empty() {
        if let Some(comment) = rest.strip_prefix("//") {
            let end = comment.find('\n').unwrap_or(comment.len());
            text.push_str(&comment[..end]);
            text.push('\n');
            rest = &comment[end..];
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let end = comment.find("*/").unwrap_or(comment.len());
            text.push_str(&comment[..end]);
            text.push('\n');
            rest = comment.get(end + 2..).unwrap_or("");
        } else if let Some(literal) = rest.strip_prefix(['"', '\'', '`']) {
            let quote = &rest[..1];
            rest = &literal[end_of_literal(literal, quote)..];
        } else {
            let next = rest.chars().next().map_or(0, char::len_utf8);
            rest = &rest[next..];
        }
    }
    text
}

/// Returns the offset after the closing quote; an unclosed literal ends with its line.
fn end_of_literal(literal: &str, quote: &str) -> usize {
    let mut escaped = false;
    for (index, character) in literal.char_indices() {
        match character {
            '\n' if quote != "`" => return index,
            _ if escaped => escaped = false,
            '\\' if quote != "`" => escaped = true,
            _ if literal[index..].starts_with(quote) => return index + 1,
            _ => {}
        }
    }
    literal.len()
}

/// Returns C without comments and with continued lines joined.
fn without_comments(text: &str) -> String {
    let text = text.replace("\\\r\n", "").replace("\\\n", "");
    let mut code = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if let Some(comment) = rest.strip_prefix("/*") {
            code.push(' ');
            rest = comment.find("*/").map_or("", |end| &comment[end + 2..]);
        } else if let Some(literal) = rest.strip_prefix('"') {
            let end = end_of_literal(literal, "\"");
            code.push('"');
            code.push_str(&literal[..end]);
            rest = &literal[end..];
        } else {
            let next = rest.chars().next().map_or(0, char::len_utf8);
            code.push_str(&rest[..next]);
            rest = &rest[next..];
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(name: &str) -> Directive {
        Directive::Quoted(name.to_owned())
    }

    #[test]
    fn directives_of_c() {
        for (text, expected) in [
            ("#include \"a.h\"\n", vec![quoted("a.h")]),
            ("  #  include\t\"../b/c.inc\" // x", vec![quoted("../b/c.inc")]),
            ("#include <stdio.h>", vec![Directive::Angled("stdio.h".to_owned())]),
            ("#/* c */include \"a.h\"", vec![quoted("a.h")]),
            ("/* c */ #include \"a.h\"", vec![quoted("a.h")]),
            ("#include \\\n\"a.h\"", vec![quoted("a.h")]),
            ("#inc\\\nlude \"a.h\"", vec![quoted("a.h")]),
            ("%:include \"a.h\"", vec![quoted("a.h")]),
            ("#import \"a.h\"", vec![quoted("a.h")]),
            ("#include_next <a.h>", vec![Directive::Angled("a.h".to_owned())]),
            ("#if __has_include(\"a.h\")", vec![quoted("a.h")]),
            ("#include NAME", vec![Directive::Computed("NAME".to_owned())]),
            ("// #include \"a.h\"\n/*\n#include \"b.h\"\n*/", vec![]),
            ("#includes \"a.h\"", vec![]),
            ("char *s = \"// \"; \n#include \"a.h\"", vec![quoted("a.h")]),
            ("asm(\".incbin \\\"blob.bin\\\"\");", vec![quoted("blob.bin")]),
            ("\t.incbin \"blob.bin\"", vec![quoted("blob.bin")]),
            ("%include \"x.i\"", vec![quoted("x.i")]),
        ] {
            assert_eq!(directives(text, Reader::C).into_iter().collect::<Vec<_>>(), expected, "{text}");
        }
    }

    /// The form that SQLite has, which most programs with C code contain.
    #[test]
    fn an_include_of_a_macro_that_nothing_defines() {
        let root = std::env::temp_dir().join(format!("rondel-includes-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let file = root.join("a.c");
        let mut search = SearchPath { package: root.clone(), ..SearchPath::default() };
        let is_tracked = |text: &str, search: &SearchPath| {
            std::fs::write(&file, text).unwrap();
            scan([(file.clone(), Reader::C)], search).untracked.is_none()
        };
        let guarded =
            "#ifdef CUSTOM\n# define TEXT_(f) #f\n# define TEXT(f) TEXT_(f)\n# include TEXT(CUSTOM)\n#endif\n";
        for (text, expected) in [
            (guarded.to_owned(), true),
            (guarded.replace("#ifdef CUSTOM", "#if defined(CUSTOM)"), true),
            (guarded.replace("#ifdef CUSTOM", "#  if defined CUSTOM"), true),
            (guarded.replace("#ifdef CUSTOM", "#ifndef CUSTOM"), false),
            (guarded.replace("#ifdef CUSTOM", "#ifdef OTHER"), false),
            (guarded.replace("#ifdef CUSTOM", "#if defined(CUSTOM) || 1"), false),
            (guarded.replace("# include", "#else\n# include"), false),
            (guarded.replace("# include", "#endif\n# include"), false),
            (format!("{guarded}#define CUSTOM \"a.h\"\n"), false),
            (format!("{guarded}# define\tCUSTOM() x\n"), false),
            (format!("{guarded}#define CUSTOMER 1\n"), true),
            ("#include CUSTOM\n".to_owned(), false),
        ] {
            assert_eq!(is_tracked(&text, &search), expected, "{text}");
        }
        for (flag, expected) in [("-DCUSTOM=a.h", false), ("@flags", false), ("-DSQLITE_THREADSAFE=1", true)] {
            search.flags = vec![flag.to_owned()];
            assert_eq!(is_tracked(guarded, &search), expected, "{flag}");
        }
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn directives_of_preambles() {
        for text in [
            "package a\n\n// #include \"a.h\"\nimport \"C\"\n",
            "package a\n\n/*\n#include \"a.h\"\n*/\nimport \"C\"\n",
            "package a\n\n//  #include \\\n//  \"a.h\"\nimport \"C\"\nvar s = \"/*\"\n",
        ] {
            assert_eq!(directives(text, Reader::Preamble).into_iter().collect::<Vec<_>>(), [quoted("a.h")], "{text}");
        }
        for text in ["var s = `\n#include \"a.h\"\n`\n", "// # import the lot\nimport \"C\"\n// #include \"after.h\"\n"]
        {
            assert!(directives(text, Reader::Preamble).is_empty(), "{text}");
        }
    }
}
