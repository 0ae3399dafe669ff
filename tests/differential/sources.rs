//! Changes of the text of a file: a number, a constraint, an import, a line. Knows no directories.

use crate::chance::Chance;

const CONSTRAINTS: &[&str] = &[
    "linux",
    "!linux",
    "other",
    "extra",
    "!extra",
    "windows",
    "ignore",
    "cgo",
    "!cgo",
    "go1.18",
    "go1.99",
    "!go1.18",
    "amd64",
    "arm64",
    "linux && extra",
    "gc",
    "unix",
    "(",
];
const IMPORTS: &[&str] = &[
    "example.com/m/lib",
    "example.com/m/alt",
    "example.com/m/asm",
    "example.com/m/emb",
    "example.com/m/deep/er/pkg",
    "example.com/m/internal/hid",
    "example.com/m/later",
    "example.com/m/viadir",
    "example.com/m/real",
    "example.com/m/sub/p",
    "example.com/m/cmd/two",
    "example.com/m/vendor/example.com/v",
    "example.com/in/p",
    "example.com/in/internal/hid",
    "example.com/near/p",
    "example.com/member/p",
    "example.com/v",
    "example.com/v/w",
    "example.com/unknown",
    "unicode/utf8",
    "C",
    "./alt",
];
const PACKAGES: &[&str] = &["lib", "main", "alt", "p", "documentation", "other", "lib_test"];
const EMBEDS: &[&str] = &[
    "one.txt",
    "two.txt",
    "*.txt",
    "data",
    "all:data",
    "data/*",
    "data/a.txt",
    "data/sub",
    "late.txt",
    "late",
    "testdata",
    "testdata/t.txt",
    "more/*.txt",
    "*/a.txt",
    "_data",
    "data/.hidden",
    "../lib",
    "[ot]*.txt",
    "\"one.txt\" two.txt",
];
const INCLUDES: &[&str] = &[
    "defs.h",
    "other.h",
    "../inc/defs.h",
    "../inc/more.inc",
    "../inc/late.inc",
    "part/part.h",
    "../asm/defs.h",
    "c.h",
    "beside.h",
    "funcdata.h",
];
const MODULE_LINES: &[&str] = &[
    "replace example.com/in => ./third/in2",
    "replace example.com/in => ./third/in",
    "replace example.com/in => ./third/late",
    "replace example.com/in => ./third/link",
    "replace example.com/near => ../near2",
    "replace example.com/near => ../near",
    "replace example.com/near => ../../near",
    "replace example.com/m/sub => ./nested/sub2",
    "replace example.com/m/sub => ./nested/sub",
    "replace example.com/in v0.0.0 => ./third/in2",
    "replace example.com/unknown => ./third/in",
    "require example.com/unknown v0.0.0",
    "require example.com/in v0.0.0",
    "require example.com/near v0.1.0",
    "require example.com/m/sub v0.0.0",
    "exclude example.com/in v0.0.1",
    "go 1.16",
    "go 1.20",
    "go 1.22",
    "go 1.25",
    "go 1.99",
    "toolchain go1.22.3",
    "godebug panicnil=1",
    "godebug default=go1.21",
    "ignore ./lib",
    "ignore cmd/two",
    "tool example.com/m/cmd/two",
    "retract v1.0.0",
    "module example.com/m/v2",
    "module example.com",
    "module example.com/m",
    "nonsense",
    "// a comment",
];
const WORK_LINES: &[&str] = &[
    "use ./member",
    "use ./third/in",
    "use ./third/in2",
    "use ../near",
    "use ./nested/sub",
    "use ./late",
    "use ./lib",
    "replace example.com/in => ./third/in2",
    "replace example.com/near => ../near2",
    "replace example.com/member => ./third/in",
    "go 1.26",
    "go 1.18",
    "go 1.99",
    "toolchain go1.26.0",
    "godebug panicnil=1",
    "// a comment",
];
const VENDOR_LINES: &[&str] = &[
    "# example.com/v v1.0.0",
    "# example.com/v v1.0.1",
    "## explicit; go 1.22",
    "## explicit; go 1.17",
    "## explicit",
    "## workspace",
    "example.com/v",
    "example.com/v/w",
    "# example.com/u v1.0.0",
    "example.com/u",
    "# example.com/v => ./third/in",
];

/// Replaces a number of three digits by another.
pub fn renumber(text: &str, chance: &mut Chance) -> String {
    let bytes = text.as_bytes();
    let is_digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    let is_number = |&index: &usize| {
        (index..index + 3).all(is_digit) && !is_digit(index + 3) && (index == 0 || !is_digit(index - 1))
    };
    let places: Vec<usize> = (0..bytes.len()).filter(is_number).collect();
    if places.is_empty() {
        return format!("{text}// {}\n", 100 + chance.below(900));
    }
    let place = *chance.of(&places);
    format!("{}{}{}", &text[..place], 100 + chance.below(900), &text[place + 3..])
}

/// Sets, replaces or removes the line of build constraints.
pub fn constrain(text: &str, chance: &mut Chance) -> String {
    let line = match chance.below(12) {
        0 => "// +build extra\n\n".to_owned(),
        1 => "/* a comment */ \n\n".to_owned(),
        2 | 3 => String::new(),
        _ => format!("//go:build {}\n\n", chance.of(CONSTRAINTS)),
    };
    if chance.once_in(20) {
        // After the package clause it means nothing.
        return format!("{text}\n//go:build ignore\n");
    }
    match text.strip_prefix("//go:build ").and_then(|rest| rest.split_once("\n\n")) {
        Some((_, rest)) => format!("{line}{rest}"),
        None => format!("{line}{text}"),
    }
}

/// Adds an import.
pub fn import(text: &str, chance: &mut Chance) -> String {
    let path = *chance.of(IMPORTS);
    let name = if path == "C" { "" } else { "_ " };
    after_package(text, &format!("import {name}\"{path}\"\n"))
}

/// Imports another package of the same length if there is one, or else removes the import.
pub fn unimport(text: &str, chance: &mut Chance) -> String {
    let imports: Vec<&str> = text.lines().filter(|line| line.starts_with("import _ \"")).collect();
    if imports.is_empty() {
        return text.to_owned();
    }
    let line = *chance.of(&imports);
    let path = line.trim_start_matches("import _ \"").trim_end_matches('"');
    let others = IMPORTS.iter().copied().filter(|other| other.len() == path.len() && *other != path);
    let others: Vec<&str> = others.collect();
    if chance.once_in(2) && !others.is_empty() {
        let other: &&str = chance.of(&others);
        return text.replace(line, &line.replace(path, other));
    }
    text.replace(&format!("{line}\n"), "")
}

/// Adds a line of cgo's.
pub fn import_c(text: &str) -> String {
    if text.contains("import \"C\"") {
        text.replace("import \"C\"\n", "")
    } else {
        after_package(text, "import \"C\"\n")
    }
}

fn after_package(text: &str, line: &str) -> String {
    let begin = if text.starts_with("package ") { Some(0) } else { text.find("\npackage ").map(|index| index + 1) };
    let end = begin.and_then(|begin| Some(begin + text[begin..].find('\n')? + 1));
    end.map_or_else(|| format!("{text}{line}"), |end| format!("{}\n{line}{}", &text[..end], &text[end..]))
}

/// Changes the package clause.
pub fn repackage(text: &str, chance: &mut Chance) -> String {
    let clause = text.lines().find(|line| line.starts_with("package "));
    clause
        .map_or_else(|| text.to_owned(), |clause| text.replacen(clause, &format!("package {}", chance.of(PACKAGES)), 1))
}

/// Changes the pattern of an embedding.
pub fn reembed(text: &str, chance: &mut Chance) -> String {
    relined(text, "//go:embed ", &format!("//go:embed {}", chance.of(EMBEDS)), chance)
}

/// Changes, adds or removes an `#include`.
pub fn reinclude(text: &str, chance: &mut Chance) -> String {
    let line = format!("#include \"{}\"", chance.of(INCLUDES));
    match chance.below(6) {
        0 => format!("{line}\n{text}"),
        1 => relined(text, "#include \"", "", chance),
        _ => relined(text, "#include \"", &line, chance),
    }
}

/// Replaces one of the lines that begin with `begin`.
fn relined(text: &str, begin: &str, by: &str, chance: &mut Chance) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(begin)).collect();
    if lines.is_empty() { text.to_owned() } else { text.replacen(*chance.of(&lines), by, 1) }
}

/// A `//go:debug` or another line that counts only in some places.
pub fn directive(text: &str, chance: &mut Chance) -> String {
    let line = *chance.of(&[
        "//go:debug panicnil=1",
        "//go:debug http2client=0",
        "//go:debug nonsense",
        "//go:embed one.txt",
        "//line other.go:100",
        "//go:generate true",
    ]);
    if text.starts_with("//go:debug") {
        return text.split_once("\n\n").map_or("", |(_, rest)| rest).to_owned();
    }
    format!("{line}\n\n{text}")
}

/// Makes the file another that Go may or may not take.
pub fn spoil(text: &str, chance: &mut Chance) -> String {
    match chance.below(7) {
        0 => String::new(),
        1 => format!("\u{feff}{text}"),
        2 => text.replace('\n', "\r\n"),
        3 => format!("{text}\n)"),
        4 => format!("/* {text} */"),
        5 => text.replacen("func init()", "import \"C\"\n\nfunc init()", 1),
        _ => format!("{text}\0"),
    }
}

/// What a file of lines of its own language may hold.
pub fn lines_of(name: &str) -> &'static [&'static str] {
    match name {
        "go.work" => WORK_LINES,
        "modules.txt" => VENDOR_LINES,
        _ => MODULE_LINES,
    }
}

/// Adds, removes or replaces a line of a go.mod, go.work or modules.txt.
pub fn change_line(text: &str, pool: &[&str], chance: &mut Chance) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let line = *chance.of(pool);
    let first = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let same = lines.iter().position(|other| {
        first(other) == first(line) || line.split(' ').next() == other.split(' ').next() && !line.contains("re")
    });
    match (chance.below(4), same) {
        (0, _) if !lines.is_empty() => drop(lines.remove(chance.below(lines.len()))),
        (1, _) => {
            let place = chance.below(lines.len() + 1);
            lines.insert(place, line);
        }
        (_, Some(place)) => lines[place] = line,
        (_, None) => lines.push(line),
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}
