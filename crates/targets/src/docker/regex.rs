//! The part of Go's regular expressions that patterns of ignore files can hold. Docker makes such an expression of a
//! pattern, so brackets, braces and escapes mean in an ignore file what they mean to Go. Knows no file and no pattern.
//!
//! A program of few instructions is run over the text with all its states at once: time is linear in the text.

/// An expression that Go refuses, or that is beyond this part of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// Maximum number of instructions: repetitions multiply them.
const PROGRAM_MAX: usize = 20_000;
/// Maximum count of a repetition in Go.
const REPEAT_MAX: u32 = 1000;

/// A compiled expression.
#[derive(Clone, Debug)]
pub(crate) struct Regex {
    program: Vec<Instruction>,
}

#[derive(Clone, Debug)]
enum Instruction {
    One(Set),
    Start,
    End,
    Split(usize, usize),
    Jump(usize),
    Done,
}

/// A set of characters.
#[derive(Clone, Debug, Default)]
struct Set {
    ranges: Vec<(char, char)>,
    is_negated: bool,
}

#[derive(Clone, Debug)]
enum Node {
    One(Set),
    Start,
    End,
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat { node: Box<Node>, least: u32, most: Option<u32> },
}

impl Set {
    fn of(character: char) -> Set {
        Set { ranges: vec![(character, character)], is_negated: false }
    }

    fn holds(&self, character: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != self.is_negated
    }

    /// Returns the class that `\d` and its like name.
    fn named(letter: char) -> Option<Set> {
        let ranges: &[(char, char)] = match letter.to_ascii_lowercase() {
            'd' => &[('0', '9')],
            'w' => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            's' => &[('\t', '\n'), ('\u{c}', '\r'), (' ', ' ')],
            _ => return None,
        };
        Some(Set { ranges: ranges.to_vec(), is_negated: letter.is_ascii_uppercase() })
    }

    /// Adds the characters of another set.
    fn add(&mut self, other: &Set) {
        if !other.is_negated {
            self.ranges.extend(&other.ranges);
            return;
        }
        let mut ranges = other.ranges.clone();
        ranges.sort_unstable();
        let mut next = Some('\0');
        for (low, high) in ranges {
            if let Some(from) = next
                && from < low
            {
                self.ranges.push((from, before(low)));
            }
            next = next.max(after(high));
        }
        self.ranges.extend(next.map(|from| (from, char::MAX)));
    }
}

fn before(character: char) -> char {
    char::from_u32(u32::from(character).saturating_sub(1)).unwrap_or('\u{d7ff}')
}

fn after(character: char) -> Option<char> {
    if character == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(character) + 1) }
}

impl Regex {
    /// Compiles an expression.
    pub fn new(text: &str) -> Result<Regex, Unreadable> {
        let characters: Vec<char> = text.chars().collect();
        let mut parser = Parser { characters: &characters, next: 0 };
        let node = parser.alternatives()?;
        if parser.next < characters.len() {
            return Err(Unreadable);
        }
        let mut program = Vec::new();
        emit(&node, &mut program)?;
        program.push(Instruction::Done);
        Ok(Regex { program })
    }

    /// Returns true if any part of `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        let characters: Vec<char> = text.chars().collect();
        let mut states = States::new(self.program.len());
        for place in 0..=characters.len() {
            // A match may begin anywhere.
            if self.enter(0, place, characters.len(), &mut states) {
                return true;
            }
            let Some(character) = characters.get(place) else { return false };
            let current = std::mem::replace(&mut states, States::new(self.program.len()));
            for state in current.list {
                if let Instruction::One(set) = &self.program[state]
                    && set.holds(*character)
                    && self.enter(state + 1, place + 1, characters.len(), &mut states)
                {
                    return true;
                }
            }
        }
        false
    }

    /// Adds a state and all that follow without a character; returns true if the end of the program is among them.
    fn enter(&self, state: usize, place: usize, length: usize, states: &mut States) -> bool {
        let mut open = vec![state];
        while let Some(state) = open.pop() {
            if std::mem::replace(&mut states.is_in[state], true) {
                continue;
            }
            match &self.program[state] {
                Instruction::Done => return true,
                Instruction::One(_) => states.list.push(state),
                Instruction::Start if place == 0 => open.push(state + 1),
                Instruction::End if place == length => open.push(state + 1),
                Instruction::Start | Instruction::End => {}
                Instruction::Split(one, other) => open.extend([*one, *other]),
                Instruction::Jump(to) => open.push(*to),
            }
        }
        false
    }
}

struct States {
    list: Vec<usize>,
    is_in: Vec<bool>,
}

impl States {
    fn new(length: usize) -> States {
        States { list: Vec::new(), is_in: vec![false; length] }
    }
}

fn emit(node: &Node, program: &mut Vec<Instruction>) -> Result<(), Unreadable> {
    if program.len() > PROGRAM_MAX {
        return Err(Unreadable);
    }
    match node {
        Node::One(set) => program.push(Instruction::One(set.clone())),
        Node::Start => program.push(Instruction::Start),
        Node::End => program.push(Instruction::End),
        Node::Sequence(nodes) => nodes.iter().try_for_each(|node| emit(node, program))?,
        Node::Either(nodes) => {
            let mut jumps = Vec::new();
            for (index, node) in nodes.iter().enumerate() {
                let split = program.len();
                let is_last = index + 1 == nodes.len();
                if !is_last {
                    program.push(Instruction::Split(split + 1, 0));
                }
                emit(node, program)?;
                if !is_last {
                    jumps.push(program.len());
                    program.push(Instruction::Jump(0));
                    program[split] = Instruction::Split(split + 1, program.len());
                }
            }
            let end = program.len();
            jumps.into_iter().for_each(|jump| program[jump] = Instruction::Jump(end));
        }
        Node::Repeat { node, least, most } => {
            for _ in 0..*least {
                emit(node, program)?;
            }
            let Some(most) = most else {
                let split = program.len();
                program.push(Instruction::Split(split + 1, 0));
                emit(node, program)?;
                program.push(Instruction::Jump(split));
                program[split] = Instruction::Split(split + 1, program.len());
                return Ok(());
            };
            let mut splits = Vec::new();
            for _ in *least..*most {
                splits.push(program.len());
                program.push(Instruction::Jump(0));
                emit(node, program)?;
            }
            let end = program.len();
            splits.into_iter().for_each(|split| program[split] = Instruction::Split(split + 1, end));
        }
    }
    Ok(())
}

struct Parser<'a> {
    characters: &'a [char],
    next: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.next).copied()
    }

    fn take(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.next += 1;
        Some(character)
    }

    fn eat(&mut self, character: char) -> bool {
        let is_there = self.peek() == Some(character);
        self.next += usize::from(is_there);
        is_there
    }

    fn alternatives(&mut self) -> Result<Node, Unreadable> {
        let mut all = vec![self.sequence()?];
        while self.eat('|') {
            all.push(self.sequence()?);
        }
        Ok(Node::Either(all))
    }

    fn sequence(&mut self) -> Result<Node, Unreadable> {
        let mut nodes = Vec::new();
        while let Some(character) = self.peek()
            && !matches!(character, '|' | ')')
        {
            let node = self.atom()?;
            nodes.push(self.repeated(node)?);
        }
        Ok(Node::Sequence(nodes))
    }

    fn atom(&mut self) -> Result<Node, Unreadable> {
        let set = match self.take().ok_or(Unreadable)? {
            '^' => return Ok(Node::Start),
            '$' => return Ok(Node::End),
            '(' => {
                let node = self.alternatives()?;
                return if self.eat(')') { Ok(node) } else { Err(Unreadable) };
            }
            '.' => Set { is_negated: true, ..Set::of('\n') },
            '[' => self.class()?,
            '\\' => self.escape()?,
            '*' | '+' | '?' => return Err(Unreadable),
            '{' => {
                // A repetition of nothing is an error; other braces are ordinary.
                self.next -= 1;
                if self.counts()?.is_some() {
                    return Err(Unreadable);
                }
                self.next += 1;
                Set::of('{')
            }
            other => Set::of(other),
        };
        Ok(Node::One(set))
    }

    /// Reads the repetition after an atom, if there is one; Go refuses two in a row.
    fn repeated(&mut self, node: Node) -> Result<Node, Unreadable> {
        let Some((least, most)) = self.repetition()? else { return Ok(node) };
        // `x*?` is as long as it must be; whether there is a match does not depend on it.
        self.eat('?');
        if self.repetition()?.is_some() {
            return Err(Unreadable);
        }
        Ok(Node::Repeat { node: Box::new(node), least, most })
    }

    fn repetition(&mut self) -> Result<Option<(u32, Option<u32>)>, Unreadable> {
        match self.peek() {
            Some('*') => self.next += 1,
            Some('+') => {
                self.next += 1;
                return Ok(Some((1, None)));
            }
            Some('?') => {
                self.next += 1;
                return Ok(Some((0, Some(1))));
            }
            Some('{') => return self.counts(),
            _ => return Ok(None),
        }
        Ok(Some((0, None)))
    }

    /// Reads `{2}`, `{2,}` or `{2,3}`; anything else stays where it is.
    fn counts(&mut self) -> Result<Option<(u32, Option<u32>)>, Unreadable> {
        let rest = &self.characters[self.next..];
        let Some(end) = rest.iter().position(|character| *character == '}') else { return Ok(None) };
        let text: String = rest[1..end].iter().collect();
        let (least, most) = text.split_once(',').map_or((text.as_str(), None), |(least, most)| (least, Some(most)));
        let is_number = |text: &str| {
            let is_plain = text == "0" || !text.starts_with('0');
            !text.is_empty() && is_plain && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !is_number(least) || most.is_some_and(|most| !most.is_empty() && !is_number(most)) {
            return Ok(None);
        }
        let count = |text: &str| text.parse().ok().filter(|count| *count <= REPEAT_MAX).ok_or(Unreadable);
        let least = count(least)?;
        let most = match most {
            None => Some(least),
            Some("") => None,
            Some(most) => Some(count(most)?),
        };
        if most.is_some_and(|most| most < least) {
            return Err(Unreadable);
        }
        self.next += end + 1;
        Ok(Some((least, most)))
    }

    /// Reads what a backslash stands for, outside of a class.
    fn escape(&mut self) -> Result<Set, Unreadable> {
        let character = self.take().ok_or(Unreadable)?;
        match Set::named(character) {
            Some(set) => Ok(set),
            None => escaped(character).map(Set::of),
        }
    }

    /// Reads a class after its `[`.
    fn class(&mut self) -> Result<Set, Unreadable> {
        let mut set = Set { ranges: Vec::new(), is_negated: self.eat('^') };
        let begin = self.next;
        loop {
            match self.peek().ok_or(Unreadable)? {
                ']' if self.next > begin => {
                    self.next += 1;
                    return Ok(set);
                }
                '[' if self.characters.get(self.next + 1) == Some(&':') => {
                    let named = self.posix()?;
                    set.add(&named);
                    continue;
                }
                '\\' => {
                    let letter = *self.characters.get(self.next + 1).ok_or(Unreadable)?;
                    if let Some(named) = Set::named(letter) {
                        self.next += 2;
                        set.add(&named);
                        continue;
                    }
                }
                _ => {}
            }
            let low = self.class_character()?;
            let is_range =
                self.peek() == Some('-') && self.characters.get(self.next + 1).is_some_and(|next| *next != ']');
            let high = if is_range {
                self.next += 1;
                self.class_character()?
            } else {
                low
            };
            if high < low {
                return Err(Unreadable);
            }
            set.ranges.push((low, high));
        }
    }

    fn class_character(&mut self) -> Result<char, Unreadable> {
        match self.take().ok_or(Unreadable)? {
            '\\' => escaped(self.take().ok_or(Unreadable)?),
            other => Ok(other),
        }
    }

    /// Reads `[:alpha:]`; without its end it is an ordinary bracket.
    fn posix(&mut self) -> Result<Set, Unreadable> {
        let rest: String = self.characters[self.next..].iter().collect();
        let Some(end) = rest[2..].find(":]") else {
            self.next += 1;
            return Ok(Set::of('['));
        };
        let name = &rest[2..2 + end];
        let (name, is_negated) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
        let ranges: &[(char, char)] = match name {
            "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
            "alpha" => &[('A', 'Z'), ('a', 'z')],
            "ascii" => &[('\0', '\u{7f}')],
            "blank" => &[('\t', '\t'), (' ', ' ')],
            "cntrl" => &[('\0', '\u{1f}'), ('\u{7f}', '\u{7f}')],
            "digit" => &[('0', '9')],
            "graph" => &[('!', '~')],
            "lower" => &[('a', 'z')],
            "print" => &[(' ', '~')],
            "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
            "space" => &[('\t', '\r'), (' ', ' ')],
            "upper" => &[('A', 'Z')],
            "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
            _ => return Err(Unreadable),
        };
        self.next += rest[..2 + end + 2].chars().count();
        Ok(Set { ranges: ranges.to_vec(), is_negated })
    }
}

/// Returns the character that a backslash before `character` stands for.
fn escaped(character: char) -> Result<char, Unreadable> {
    match character {
        'a' => Ok('\u{7}'),
        'f' => Ok('\u{c}'),
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        't' => Ok('\t'),
        'v' => Ok('\u{b}'),
        // Letters and digits are commands to Go, such as `\b`, or errors. Marks beyond ASCII are errors.
        other if other.is_ascii() && !other.is_ascii_alphanumeric() => Ok(other),
        _ => Err(Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches() {
        for (regex, yes, no) in [
            ("^a[^/]*b$", &["ab", "axb"][..], &["a/b", "xab"][..]),
            ("^(.*/)?x$", &["x", "a/x", "a/b/x"], &["ax", "a\n/x"]),
            ("^[a-c\\-]{2,3}$", &["ab", "-a-"], &["a", "abca"]),
            ("^[^a]$", &["b"], &["a", ""]),
            ("^a|b$", &["ax", "xb"], &["xa"]),
            ("^[]a]$", &["]", "a"], &["b"]),
            ("^[[:digit:]x]\\d\\.$", &["11.", "x1."], &["a1."]),
            ("^a{,2}$", &["a{,2}"], &["aa"]),
            ("^[\\D]$", &["x"], &["1"]),
            ("^[a-c-e]\\_$", &["b_", "-_", "e_"], &["d_"]),
        ] {
            let compiled = Regex::new(regex).unwrap();
            for text in yes {
                assert!(compiled.is_match(text), "{regex} {text}");
            }
            for text in no {
                assert!(!compiled.is_match(text), "{regex} {text}");
            }
        }
    }

    #[test]
    fn what_go_refuses() {
        for regex in ["[", "[a", "[b-a]", "a**", "a{2}{3}", "*", "\\b", "[[:nope:]]", "a{1001}", "(a", "a)"] {
            assert!(Regex::new(regex).is_err(), "{regex}");
        }
    }
}
