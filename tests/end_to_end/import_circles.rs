//! No crate has a circle of imports among its modules: each file can be read after those that it names.
//!
//! Paths are read from the source by a small lexer (comments, strings and `#[cfg(test)]` items left out) and followed
//! through re-exports. A module and its own submodules may name each other: the list in `kinds/mod.rs` names each kind,
//! and each kind names the list's trait. Any other circle is reported.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::space::repository;

/// A path of identifiers; the root of a crate is the empty one.
type Module = Vec<String>;
type Edges = BTreeMap<Module, BTreeSet<Module>>;

/// Identifiers, `::`, and single characters of all else, without comments and the contents of literals.
fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = rest.find('"').expect("a raw string has a quote") + 1;
            rest[begin..].find(&end).map_or(rest.len(), |place| begin + place + end.len())
        } else if first == '"' {
            quoted(rest)
        } else if first == '\'' {
            let mut next = rest[1..].chars();
            let (one, two) = (next.next(), next.next());
            match (one, two) {
                (Some('\\'), _) => 2 + rest[3..].find('\'').map_or(rest.len() - 3, |end| end + 2),
                (Some(one), Some('\'')) => one.len_utf8() + 2,
                _ => 1,
            }
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.push(rest[..end].to_owned());
            end
        } else if rest.starts_with("::") {
            found.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                found.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// The number of `#` if a raw string begins here.
fn raw_string(text: &str) -> Option<usize> {
    let text = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = text.len() - text.trim_start_matches('#').len();
    text[hashes..].starts_with('"').then_some(hashes)
}

fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        if !is_escaped && byte == b'"' {
            return place + 1;
        }
        is_escaped = !is_escaped && byte == b'\\';
    }
    text.len()
}

/// Drops each item under `#[cfg(test)]`; returns the names of the modules among them.
fn without_tests(tokens: &mut Vec<String>) -> Vec<String> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut dropped = Vec::new();
    while let Some(begin) = tokens.windows(ATTRIBUTE.len()).position(|window| window == ATTRIBUTE) {
        let mut depth = 0;
        let mut end = begin + ATTRIBUTE.len();
        while end < tokens.len() {
            match tokens[end].as_str() {
                "mod" if depth == 0 => dropped.push(tokens[end + 1].clone()),
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            let is_over = depth == 0 && matches!(tokens[end].as_str(), "}" | ";");
            end += 1;
            if is_over {
                break;
            }
        }
        tokens.drain(begin..end);
    }
    dropped
}

/// The paths that a use tree or a plain path spells, from `place` on, each behind `prefix`; and where it ends.
fn paths(tokens: &[String], mut place: usize, mut prefix: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    loop {
        match tokens.get(place).map(String::as_str) {
            Some("{") => {
                place += 1;
                while tokens.get(place).is_some_and(|token| token != "}") {
                    let next = paths(tokens, place, prefix.clone(), found);
                    place = next.max(place + 1);
                    if tokens.get(place).is_some_and(|token| token == ",") {
                        place += 1;
                    }
                }
                return place + 1;
            }
            Some(word) if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                prefix.push(word.to_owned());
                place += 1;
                if tokens.get(place).is_none_or(|token| token != "::") {
                    // `as name`
                    if tokens.get(place).is_some_and(|token| token == "as") {
                        place += 2;
                    }
                    found.push(prefix);
                    return place;
                }
                place += 1;
            }
            _ => {
                found.push(prefix);
                return place + 1;
            }
        }
    }
}

/// One file: the paths that it names, absolute, and the names that it re-exports or imports.
#[derive(Default)]
struct Source {
    named: Vec<Vec<String>>,
    imported: BTreeMap<String, Vec<String>>,
}

fn read_source(tokens: &[String], module: &Module, modules: &BTreeSet<Module>) -> Source {
    let mut source = Source::default();
    let mut place = 0;
    while place < tokens.len() {
        let is_import = tokens[place] == "use";
        let begin = place + usize::from(is_import);
        let is_inside = place > 0 && tokens[place - 1] == "::";
        let begins_path = tokens.get(begin + 1).is_some_and(|token| token == "::") && !is_inside;
        if !begins_path {
            place += 1;
            continue;
        }
        let mut found = Vec::new();
        place = paths(tokens, begin, Vec::new(), &mut found).max(begin + 1);
        for path in found {
            let Some(absolute) = absolute(&path, module, modules) else { continue };
            if is_import && let Some(name) = path.last() {
                source.imported.insert(name.clone(), absolute.clone());
            }
            source.named.push(absolute);
        }
    }
    source
}

/// From the crate's root; `None` for paths of other crates and of types.
fn absolute(path: &[String], module: &Module, modules: &BTreeSet<Module>) -> Option<Vec<String>> {
    let mut base = module.clone();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => (base, rest) = (Vec::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|word| word == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        child => {
            base.push(child.to_owned());
            if !modules.contains(&base) {
                return None;
            }
            base.pop();
        }
    }
    base.extend_from_slice(rest);
    Some(base)
}

/// The module in which a path ends, through re-exports.
fn home(path: &[String], sources: &BTreeMap<Module, Source>, depth: usize) -> Module {
    let mut module = Vec::new();
    for (place, word) in path.iter().enumerate() {
        module.push(word.clone());
        if sources.contains_key(&module) {
            continue;
        }
        module.pop();
        let imported = sources[&module].imported.get(word);
        if let Some(target) = imported.filter(|target| depth < 8 && target.as_slice() != path) {
            return home(&[target, &path[place + 1..]].concat(), sources, depth + 1);
        }
        break;
    }
    module
}

/// Who names whom in a crate, given as its files below `src/` and their texts.
fn edges(files: &[(String, String)]) -> Edges {
    let mut texts = BTreeMap::new();
    let mut of_tests = BTreeSet::new();
    for (path, text) in files {
        let words = path.trim_end_matches(".rs").split('/').map(str::to_owned);
        let module: Module = words.filter(|word| !matches!(word.as_str(), "lib" | "mod")).collect();
        let mut tokens = tokens(text);
        of_tests.extend(without_tests(&mut tokens).into_iter().map(|name| [module.clone(), vec![name]].concat()));
        texts.insert(module, tokens);
    }
    texts.retain(|module, _| !of_tests.iter().any(|dropped| module.starts_with(dropped)));
    let modules: BTreeSet<Module> = texts.keys().cloned().collect();
    let sources: BTreeMap<Module, Source> =
        texts.iter().map(|(module, tokens)| (module.clone(), read_source(tokens, module, &modules))).collect();
    let of = |module: &Module| {
        let named = sources[module].named.iter().map(|path| home(path, &sources, 0));
        named.filter(|other| other != module).collect()
    };
    modules.iter().map(|module| (module.clone(), of(module))).collect()
}

/// All modules that can be reached from one, by at least one step.
fn reach(edges: &Edges, from: &Module) -> BTreeSet<Module> {
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<&Module> = edges[from].iter().collect();
    while let Some(module) = waiting.pop() {
        if seen.insert(module.clone()) {
            waiting.extend(&edges[module]);
        }
    }
    seen
}

/// The circles, each as its modules. A circle of a module with its own submodules is looked into without the names that
/// the module itself takes from them.
fn circles(edges: &Edges) -> Vec<BTreeSet<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<Module>> =
        edges.keys().map(|module| (module, reach(edges, module))).collect();
    let mut found = Vec::new();
    let mut done = BTreeSet::new();
    for module in edges.keys() {
        if done.contains(module) || !reached[module].contains(module) {
            continue;
        }
        let members: BTreeSet<Module> =
            reached[module].iter().filter(|other| reached[other].contains(module)).cloned().collect();
        done.extend(members.iter().cloned());
        let top = members.iter().find(|top| members.iter().all(|member| member.starts_with(top)));
        let Some(top) = top else {
            found.push(members);
            continue;
        };
        let within = |module: &Module| {
            let kept = |other: &&Module| members.contains(*other) && module != top;
            edges[module].iter().filter(kept).cloned().collect()
        };
        found.extend(circles(&members.iter().map(|module| (module.clone(), within(module))).collect()));
    }
    found
}

fn in_words(circle: &BTreeSet<Module>) -> String {
    circle.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(", ")
}

fn files_of(source: &Path, below: &str, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(source.join(below)).unwrap().flatten() {
        let name = format!("{below}{}", entry.file_name().into_string().unwrap());
        if entry.path().is_dir() {
            files_of(source, &format!("{name}/"), found);
        } else if name.ends_with(".rs") && name != "main.rs" && name != "bin.rs" {
            found.push((name, fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

#[test]
fn modules_do_not_import_in_circles() {
    let mut told = Vec::new();
    let mut known = 0;
    for entry in fs::read_dir(repository().join("crates")).unwrap().flatten() {
        let mut files = Vec::new();
        files_of(&entry.path().join("src"), "", &mut files);
        let edges = edges(&files);
        known += edges.values().map(BTreeSet::len).sum::<usize>();
        let name = entry.file_name().into_string().unwrap();
        told.extend(circles(&edges).iter().map(|circle| format!("{name}: {}", in_words(circle))));
    }
    assert!(known > 200, "the reader of paths has found {known} of them");
    assert!(told.is_empty(), "modules that import each other:\n{}", told.join("\n"));
}

fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<_> = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    circles(&edges(&files)).iter().map(in_words).collect()
}

/// The test above can fail: each way to write a circle is seen, and what is none is not.
#[test]
fn circles_are_seen() {
    let root = ("lib.rs", "mod a; mod b; mod c; pub use b::Thing; pub use c::{one::Deep, Other};");
    let nothing = ("c.rs", "mod one; pub struct Other;");
    let deep = ("c/one.rs", "pub struct Deep;");
    let see = |a: &str, b: &str| circles_of(&[root, ("a.rs", a), ("b.rs", b), nothing, deep]);
    let back = "fn back() { crate::a::x() }";
    for a in ["use crate::b::Thing;", "use crate::{c, b::{Thing, More as Less}};", "use super::b;", "use crate::Thing;"]
    {
        assert_eq!(see(a, back), ["a, b"], "{a}");
    }
    for a in [
        "// crate::b::Thing",
        "/* crate::b::Thing */ const X: &str = \"crate::b::Thing\"; const Y: &str = r#\"crate::b\"#; const Z: char = '\"';",
        "#[cfg(test)] mod tests { use crate::b::Thing; }",
        "use crate::c::Other; use crate::Deep; use other::b::Thing; use std::b;",
    ] {
        assert_eq!(see(a, back), Vec::<String>::new(), "{a}");
    }
    // A list and its members name each other; two members do not, and nobody in between.
    let list = ("lib.rs", "mod kinds; mod x;");
    let kinds =
        ("kinds/mod.rs", "mod one; mod two; pub trait Kind {} const ALL: &[&dyn Kind] = &[&one::One, &two::Two];");
    let two = ("kinds/two.rs", "use super::Kind;");
    assert!(circles_of(&[list, kinds, ("kinds/one.rs", "use super::Kind;"), two, ("x.rs", "")]).is_empty());
    let twins = ("kinds/two.rs", "use super::one::One;");
    assert_eq!(
        circles_of(&[list, kinds, ("kinds/one.rs", "use super::{Kind, two::Two};"), twins, ("x.rs", "")]),
        ["kinds::one, kinds::two"]
    );
    let through = [list, kinds, ("kinds/one.rs", "use crate::x;"), two, ("x.rs", "use crate::kinds::Kind;")];
    assert_eq!(circles_of(&through), ["kinds, kinds::one, kinds::two, x"]);
}
