//! What a Go source file declares at its top level, and whether `-X` of the linker can set a variable of it.
//!
//! This is Go's scanner, and of its parser no more than names, types and first values need. Go itself refuses what is not
//! Go. What can't be said for sure is `Settable::Unsure`, never an error.

use std::collections::{BTreeMap, BTreeSet};

/// Whether `-X` sets something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Settable {
    /// A function or a type.
    NoVariable,
    /// A constant.
    Constant,
    /// A variable of another type.
    OtherType,
    /// The program sets it when it starts, after the linker.
    SetAtStart,
    /// The program may set it when it starts.
    Unsure,
    /// A variable of the type string, without a value or with a constant one.
    Yes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// The contents of a string.
    Text(String),
    /// A number or a rune.
    Literal,
    Mark(u8),
    /// A semicolon, also one that a line end stands for.
    End,
}

#[derive(Clone, Debug)]
enum Declared {
    Variable { typed: Vec<Token>, value: Vec<Token>, file: usize },
    Constant,
    Function,
    Type { is_alias: bool },
}

/// The declarations of a package.
#[derive(Default)]
pub(crate) struct Package {
    names: BTreeMap<String, Declared>,
    /// Import paths by name, for each file.
    imports: Vec<BTreeMap<String, String>>,
}

impl Package {
    /// Adds a source file.
    pub fn add(&mut self, source: &[u8]) {
        let tokens = tokens(source);
        self.imports.push(BTreeMap::new());
        let mut rest = tokens.as_slice();
        while !rest.is_empty() {
            let (statement, after) = next_statement(rest);
            rest = after;
            let [Token::Word(keyword), body @ ..] = statement else { continue };
            match keyword.as_str() {
                "func" => {
                    if let [Token::Word(name), ..] = body {
                        self.names.insert(name.clone(), Declared::Function);
                    }
                }
                "var" | "const" | "type" | "import" => {
                    specs(body).into_iter().for_each(|spec| self.add_spec(keyword, spec));
                }
                _ => {}
            }
        }
    }

    fn add_spec(&mut self, keyword: &str, spec: &[Token]) {
        match (keyword, spec) {
            ("import", [Token::Text(path)]) => {
                let name = path.rsplit('/').next().unwrap_or(path).to_owned();
                self.imports.last_mut().map(|imports| imports.insert(name, path.clone()));
            }
            ("import", [Token::Word(name), Token::Text(path)]) => {
                self.imports.last_mut().map(|imports| imports.insert(name.clone(), path.clone()));
            }
            ("type", [Token::Word(name), rest @ ..]) => {
                let is_alias = rest.first() == Some(&Token::Mark(b'='));
                self.names.insert(name.clone(), Declared::Type { is_alias });
            }
            ("const" | "var", spec) => {
                let (names, rest) = names(spec);
                if keyword == "const" {
                    self.names.extend(names.into_iter().map(|name| (name, Declared::Constant)));
                    return;
                }
                let assigned = split(rest, b'=');
                let typed = assigned[0].to_vec();
                let values = rest.get(typed.len() + 1..).map_or(Vec::new(), |values| split(values, b','));
                let file = self.imports.len() - 1;
                for (index, name) in names.iter().enumerate() {
                    // A call can give several.
                    let value = if values.len() == names.len() {
                        values[index]
                    } else {
                        values.first().copied().unwrap_or(&[])
                    };
                    let (typed, value) = (typed.clone(), value.to_vec());
                    self.names.insert(name.clone(), Declared::Variable { typed, value, file });
                }
            }
            _ => {}
        }
    }

    /// Returns whether `-X` sets `name`; `None` if it is not declared.
    pub fn settable(&self, name: &str) -> Option<Settable> {
        Some(match self.names.get(name)? {
            Declared::Constant => Settable::Constant,
            Declared::Function | Declared::Type { .. } => Settable::NoVariable,
            Declared::Variable { typed, value, file } => match self.is_other_type(typed, value) {
                true => Settable::OtherType,
                false => self.is_set_later(value, &self.imports[*file]),
            },
        })
    }

    /// Returns the variables that `-X` sets.
    pub fn variables(&self) -> BTreeSet<&str> {
        let is_settable = |name: &&str| matches!(self.settable(name), Some(Settable::Yes | Settable::Unsure));
        self.names.keys().map(String::as_str).filter(is_settable).filter(|name| *name != "_").collect()
    }

    /// Returns true if a variable has surely a type other than string. A type of its own, with strings for values, is
    /// another.
    fn is_other_type(&self, typed: &[Token], value: &[Token]) -> bool {
        match typed {
            [] => match value {
                [Token::Literal] | [Token::Mark(b'-' | b'+'), Token::Literal] => true,
                [Token::Word(word)] => matches!(word.as_str(), "true" | "false") && !self.names.contains_key(word),
                _ => false,
            },
            [Token::Word(name)] => match self.names.get(name) {
                Some(Declared::Type { is_alias }) => !is_alias,
                Some(_) => false,
                None => OTHER_TYPES.contains(&name.as_str()),
            },
            [Token::Mark(b'[' | b'*'), ..] => true,
            [Token::Word(word), ..] => matches!(word.as_str(), "map" | "chan" | "func" | "struct" | "interface"),
            _ => false,
        }
    }

    /// Returns what the first value of a string says. The compiler works some calls out by itself, and which ones is its
    /// own affair; of those in `AT_START` it can't.
    fn is_set_later(&self, value: &[Token], imports: &BTreeMap<String, String>) -> Settable {
        if let [Token::Word(package), Token::Mark(b'.'), Token::Word(_), Token::Mark(b'('), ..] = value
            && imports.get(package).is_some_and(|path| AT_START.contains(&path.as_str()))
            && !self.names.contains_key(package)
        {
            return Settable::SetAtStart;
        }
        let is_call = |pair: &[Token]| match pair {
            [Token::Word(word), Token::Mark(b'(')] => word != "string",
            [Token::Mark(b')' | b']' | b'}'), Token::Mark(b'(')] => true,
            _ => false,
        };
        let is_variable = |token: &Token| match token {
            Token::Word(word) => matches!(self.names.get(word), Some(Declared::Variable { .. })),
            _ => false,
        };
        match value.windows(2).any(is_call) || value.iter().any(is_variable) {
            true => Settable::Unsure,
            false => Settable::Yes,
        }
    }
}

/// Packages of the standard library whose calls the compiler never works out.
const AT_START: &[&str] = &["fmt", "os", "runtime", "runtime/debug", "time"];

const OTHER_TYPES: &[&str] = &[
    "any",
    "bool",
    "byte",
    "complex128",
    "complex64",
    "error",
    "float32",
    "float64",
    "int",
    "int16",
    "int32",
    "int64",
    "int8",
    "rune",
    "uint",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
    "uintptr",
];

/// Returns the tokens up to a semicolon outside of all brackets, and those after it.
fn next_statement(tokens: &[Token]) -> (&[Token], &[Token]) {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark(b'(' | b'[' | b'{') => depth += 1,
            Token::Mark(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            Token::End if depth == 0 => return (&tokens[..index], &tokens[index + 1..]),
            _ => {}
        }
    }
    (tokens, &[])
}

/// Returns the specifications of a declaration: one, or those in parentheses.
fn specs(body: &[Token]) -> Vec<&[Token]> {
    let [Token::Mark(b'('), inner @ .., Token::Mark(b')')] = body else { return vec![body] };
    let (mut result, mut rest) = (Vec::new(), inner);
    while !rest.is_empty() {
        let (spec, after) = next_statement(rest);
        result.push(spec);
        rest = after;
    }
    result
}

/// Returns the names at the beginning, and the rest.
fn names(mut spec: &[Token]) -> (Vec<String>, &[Token]) {
    let mut names = Vec::new();
    while let [Token::Word(name), rest @ ..] = spec {
        names.push(name.clone());
        spec = rest;
        match spec {
            [Token::Mark(b','), rest @ ..] => spec = rest,
            _ => break,
        }
    }
    (names, spec)
}

/// Returns the parts between marks outside of all brackets; for `=` those before and after the first.
fn split(tokens: &[Token], mark: u8) -> Vec<&[Token]> {
    let (mut parts, mut begin, mut depth) = (Vec::new(), 0, 0_usize);
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark(b'(' | b'[' | b'{') => depth += 1,
            Token::Mark(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            Token::Mark(found) if *found == mark && depth == 0 => {
                parts.push(&tokens[begin..index]);
                begin = index + 1;
                if mark == b'=' {
                    break;
                }
            }
            _ => {}
        }
    }
    if begin < tokens.len() || mark == b'=' {
        parts.push(&tokens[begin..]);
    }
    parts
}

/// Returns the tokens of a source file; the end of a line is a semicolon where Go takes it for one.
fn tokens(source: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < source.len() {
        let rest = &source[index..];
        let (length, token) = if rest.starts_with(b"//") {
            (rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()), None)
        } else if rest.starts_with(b"/*") {
            let length = rest.windows(2).skip(2).position(|pair| pair == b"*/").map_or(rest.len(), |at| at + 4);
            let has_line_end = rest[..length].contains(&b'\n') && ends_statement(&tokens);
            (length, has_line_end.then_some(Token::End))
        } else if rest[0] == b'\n' {
            (1, ends_statement(&tokens).then_some(Token::End))
        } else if rest[0].is_ascii_whitespace() {
            (1, None)
        } else if matches!(rest[0], b'"' | b'`' | b'\'') {
            literal(rest)
        } else if is_word(rest[0]) {
            let length = rest.iter().take_while(|&&byte| is_word(byte)).count();
            let word = String::from_utf8_lossy(&rest[..length]).into_owned();
            (length, Some(if rest[0].is_ascii_digit() { Token::Literal } else { Token::Word(word) }))
        } else {
            (1, Some(if rest[0] == b';' { Token::End } else { Token::Mark(rest[0]) }))
        };
        tokens.extend(token);
        index += length;
    }
    tokens
}

/// Returns the length of a string or rune, and its token.
fn literal(rest: &[u8]) -> (usize, Option<Token>) {
    let (quote, mut end) = (rest[0], 1);
    while end < rest.len() && rest[end] != quote && (quote == b'`' || rest[end] != b'\n') {
        end += if rest[end] == b'\\' && quote != b'`' { 2 } else { 1 };
    }
    let end = end.min(rest.len());
    let text = String::from_utf8_lossy(&rest[1.min(end)..end]).into_owned();
    ((end + 1).min(rest.len()), Some(if quote == b'\'' { Token::Literal } else { Token::Text(text) }))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Returns true if the end of a line after these tokens ends a statement.
fn ends_statement(tokens: &[Token]) -> bool {
    const OPEN: &[&str] = &[
        "case",
        "chan",
        "const",
        "default",
        "defer",
        "else",
        "for",
        "func",
        "go",
        "goto",
        "if",
        "import",
        "interface",
        "map",
        "package",
        "range",
        "select",
        "struct",
        "switch",
        "type",
        "var",
    ];
    match tokens {
        [.., Token::Word(word)] => !OPEN.contains(&word.as_str()),
        [.., Token::Text(_) | Token::Literal | Token::Mark(b')' | b']' | b'}')] => true,
        [.., Token::Mark(one), Token::Mark(two)] => one == two && matches!(one, b'+' | b'-'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn package(sources: &[&str]) -> Package {
        let mut package = Package::default();
        sources.iter().for_each(|source| package.add(source.as_bytes()));
        package
    }

    const EVERY_FORM: &str = r#"// var inComment string
package main

import (
	"fmt"
	"os"
	clock "time"
	"example.com/x/conf"
)

/* var inBlock string
*/ var plain string
var valued = "v", ; var second string = "x" + ("y")
var (
	// doc
	grouped, twin string
	one, two = "1", `raw
var inRaw string`
	three, four = both()
	number = 5; minus = -1
	truth = true
)

const fixed, alsoFixed = "a", "b"
const (
	first = iota
	next
)

type text string
type alias = string
type big struct {
	inner string
}

var typed text = "x"
var aliased alias = "x"
var listed []string
var pointed *string
var mapped map[string]string
var called = fmt.Sprint("x")
var env string = os.Getenv("X")
var now = clock.Now().String()
var conversion = string("x")
var own = compute()
var other = conf.Version()
var fromConst = fixed + "-dev"
var fromVar = plain
var fromPackage = conf.Default
var immediate = func() string { return "x" }()
var foreign conf.Name
var (
	empty string
)

func compute() string {
	var local string
	x := 'a'; y := '\''
	if x == y {
		return "}"
	}
	return local
}

func (b big) method() {}

func generic[T any](value T) T { return value }
"#;

    #[test]
    fn declarations_of_every_form() {
        let package = package(&[EVERY_FORM, "package main\n\nvar elsewhere string // the end"]);
        let lines: String =
            package.names.keys().map(|name| format!("{name}: {:?}\n", package.settable(name).unwrap())).collect();
        expect![[r#"
            alias: NoVariable
            aliased: Yes
            alsoFixed: Constant
            big: NoVariable
            called: SetAtStart
            compute: NoVariable
            conversion: Yes
            elsewhere: Yes
            empty: Yes
            env: SetAtStart
            first: Constant
            fixed: Constant
            foreign: Yes
            four: Unsure
            fromConst: Yes
            fromPackage: Yes
            fromVar: Unsure
            generic: NoVariable
            grouped: Yes
            immediate: Unsure
            listed: OtherType
            mapped: OtherType
            minus: OtherType
            next: Constant
            now: SetAtStart
            number: OtherType
            one: Yes
            other: Unsure
            own: Unsure
            plain: Yes
            pointed: OtherType
            second: Yes
            text: NoVariable
            three: Unsure
            truth: OtherType
            twin: Yes
            two: Yes
            typed: OtherType
            valued: Yes
        "#]]
        .assert_eq(&lines);
        for absent in ["inComment", "inBlock", "inRaw", "local", "method", "inner", "x"] {
            assert_eq!(package.settable(absent), None, "{absent}");
        }
    }

    /// Nothing of a broken file makes the scan fail; Go itself refuses it.
    #[test]
    fn broken_files() {
        for source in [
            "",
            "var",
            "var (",
            "var x = \"",
            "var x = '",
            "/*",
            "var x string = `",
            "}}}",
            "var ,",
            "var = 1",
            "const",
            "import \"",
            "var x = \"\\",
        ] {
            package(&[source]);
        }
    }
}
