//! `Pattern`: a short licence with the places where its texts differ.
//!
//! `[a b|c]` is one of several, `[a|]` is `a` or nothing, `{3}` is up to three words that stand in no
//! condition: the name of a holder.
//! Everything else is words.

use super::remainder::CONDITIONS;
use super::words::{Words, split};

enum Instruction {
    Word(String),
    Any,
    /// Goes on at both places.
    Split(usize, usize),
    Jump(usize),
    End,
}

/// A compiled pattern: a machine without a memory, so that a text takes time by its length alone.
pub(super) struct Pattern(Vec<Instruction>);

impl Pattern {
    /// Compiles a pattern of this program's own.
    pub fn new(text: &str) -> Pattern {
        let mut program = Vec::new();
        let mut characters = text.chars().peekable();
        alternative(&mut characters, &mut program);
        assert!(characters.next().is_none(), "a pattern has brackets in pairs");
        program.push(Instruction::End);
        Pattern(program)
    }

    /// Returns the number of words from `at` on that the pattern takes at most.
    pub fn longest(&self, words: &Words, at: usize) -> Option<usize> {
        let mut longest = None;
        let mut states = Vec::new();
        self.enter(0, &mut states);
        let mut count = 0;
        while !states.is_empty() {
            if states.iter().any(|state| matches!(self.0[*state], Instruction::End)) {
                longest = Some(count);
            }
            let Some(word) = words.get(at + count) else { break };
            let mut next = Vec::new();
            for state in states {
                let goes_on = match &self.0[state] {
                    Instruction::Word(wanted) => wanted == word,
                    Instruction::Any => !CONDITIONS.contains(&word),
                    Instruction::Split(..) | Instruction::Jump(_) | Instruction::End => false,
                };
                if goes_on {
                    self.enter(state + 1, &mut next);
                }
            }
            states = next;
            count += 1;
        }
        longest.filter(|count| *count > 0)
    }

    fn enter(&self, state: usize, states: &mut Vec<usize>) {
        let mut open = vec![state];
        while let Some(state) = open.pop() {
            match self.0[state] {
                Instruction::Split(one, other) => open.extend([other, one]),
                Instruction::Jump(to) => open.push(to),
                Instruction::Word(_) | Instruction::Any | Instruction::End if !states.contains(&state) => {
                    states.push(state);
                }
                Instruction::Word(_) | Instruction::Any | Instruction::End => {}
            }
        }
    }
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Compiles up to `|`, `]` or the end, which it leaves.
fn alternative(characters: &mut Characters<'_>, program: &mut Vec<Instruction>) {
    let mut text = String::new();
    let flush = |text: &mut String, program: &mut Vec<Instruction>| {
        program.extend(split(text).map(Instruction::Word));
        text.clear();
    };
    while let Some(&character) = characters.peek() {
        match character {
            '|' | ']' => break,
            '[' => {
                flush(&mut text, program);
                characters.next();
                choice(characters, program);
            }
            '{' => {
                flush(&mut text, program);
                let number: String = characters.by_ref().skip(1).take_while(|c| *c != '}').collect();
                for _ in 0..number.parse::<usize>().expect("a number in braces") {
                    let here = program.len();
                    program.extend([Instruction::Split(here + 1, here + 2), Instruction::Any]);
                }
            }
            _ => {
                text.push(character);
                characters.next();
            }
        }
    }
    flush(&mut text, program);
}

/// Compiles what stands in brackets, behind the first.
fn choice(characters: &mut Characters<'_>, program: &mut Vec<Instruction>) {
    let mut ends = Vec::new();
    loop {
        let split = program.len();
        program.push(Instruction::Split(split + 1, 0));
        alternative(characters, program);
        ends.push(program.len());
        program.push(Instruction::Jump(0));
        let is_last = characters.next().expect("a bracket is closed") == ']';
        if is_last {
            // The last one has nothing beside it.
            program[split] = Instruction::Jump(split + 1);
            break;
        }
        program[split] = Instruction::Split(split + 1, program.len());
    }
    let end = program.len();
    for jump in ends {
        program[jump] = Instruction::Jump(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let longest = |pattern: &str, text: &str| Pattern::new(pattern).longest(&Words::of(text), 0);
        assert_eq!(longest("The (software)", "the Software, and"), Some(2));
        assert_eq!(longest("a [b c|d|] e", "a e"), Some(2));
        assert_eq!(longest("a [b c|d|] e", "a b c e"), Some(4));
        assert_eq!(longest("a [b c|d|] e", "a b e"), None);
        assert_eq!(longest("by {2} as", "by as"), Some(2));
        assert_eq!(longest("by {2} as", "by x y as"), Some(4));
        assert_eq!(longest("by {2} as", "by x y z as"), None);
        assert_eq!(longest("a [b [c|]|] d", "a b c d"), Some(4));
        assert_eq!(longest("[a|]", "b"), None, "nothing is no match");
    }
}
