//! What a program needs to start: the interpreter that an ELF file or a script names. It knows no image.

/// Maximum number of bytes at the begin of a file that are looked at.
pub(crate) const HEAD_MAX: u64 = 64 << 10;

/// Type of a segment that holds the interpreter's path (System V ABI, "Program Header").
const PT_INTERP: u32 = 3;
/// Longest line of a script that the kernel reads (linux/binfmts.h).
const LINE_MAX: usize = 256;

/// What starts a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interpreter {
    /// The dynamic linker of an ELF file.
    Linker(String),
    /// The program of a script, with its one argument.
    Script(String, Option<String>),
}

impl Interpreter {
    /// Returns what starts the program that begins with `head`, if it names something.
    pub(crate) fn of(head: &[u8]) -> Option<Interpreter> {
        if let Some(line) = head.strip_prefix(b"#!") {
            return script(&line[..line.len().min(LINE_MAX)]);
        }
        if head.starts_with(b"\x7fELF") { linker(head).map(Interpreter::Linker) } else { None }
    }
}

fn script(line: &[u8]) -> Option<Interpreter> {
    let line = line.split(|byte| *byte == b'\n').next()?;
    let text = String::from_utf8_lossy(line);
    let text = text.trim_matches([' ', '\t']);
    let (program, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let argument = Some(rest.trim()).filter(|rest| !rest.is_empty()).map(str::to_owned);
    (!program.is_empty()).then(|| Interpreter::Script(program.to_owned(), argument))
}

/// Reads the program headers, as far as they are in the head of the file.
fn linker(head: &[u8]) -> Option<String> {
    let (is_wide, is_big) = (*head.get(4)? == 2, *head.get(5)? == 2);
    let number = |at: usize, length: usize| -> Option<u64> {
        let bytes = head.get(at..at.checked_add(length)?)?;
        let digit = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if is_big { bytes.iter().fold(0, digit) } else { bytes.iter().rev().fold(0, digit) })
    };
    let place = |at: usize, length: usize| number(at, length).and_then(|place| usize::try_from(place).ok());
    // Places in the header of 64 bits, and of 32.
    let pick = |wide: usize, narrow: usize| if is_wide { wide } else { narrow };
    let word = pick(8, 4);
    let (table, size, count) = (place(pick(32, 28), word)?, place(pick(54, 42), 2)?, place(pick(56, 44), 2)?);
    for index in 0..count {
        let header = size.checked_mul(index)?.checked_add(table)?;
        if number(header, 4)? != u64::from(PT_INTERP) {
            continue;
        }
        let begin = place(header.checked_add(pick(8, 4))?, word)?;
        let length = place(header.checked_add(pick(32, 16))?, word)?;
        let bytes = head.get(begin..begin.checked_add(length)?)?;
        let path = bytes.split(|byte| *byte == 0).next()?;
        return Some(String::from_utf8_lossy(path).into_owned()).filter(|path| !path.is_empty());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts() {
        let script = |program: &str, argument: Option<&str>| {
            Some(Interpreter::Script(program.to_owned(), argument.map(str::to_owned)))
        };
        assert_eq!(Interpreter::of(b"#!/bin/sh\necho"), script("/bin/sh", None));
        assert_eq!(Interpreter::of(b"#! \t/usr/bin/env  python3 -u \n"), script("/usr/bin/env", Some("python3 -u")));
        assert_eq!(Interpreter::of(b"#!sh"), script("sh", None));
        for nothing in [&b"#!"[..], b"#!\n/bin/sh", b"", b"text", b"\x7fELF", b"\x7fELF\x02\x01\x01"] {
            assert_eq!(Interpreter::of(nothing), None, "{}", String::from_utf8_lossy(nothing));
        }
    }

    /// A header with one segment, of either width and order.
    fn elf(is_wide: bool, is_big: bool, kind: u32, path: &str) -> Vec<u8> {
        let mut bytes = vec![0; 256];
        bytes[..4].copy_from_slice(b"\x7fELF");
        bytes[4..6].copy_from_slice(&[if is_wide { 2 } else { 1 }, if is_big { 2 } else { 1 }]);
        let mut put = |at: usize, length: usize, value: u64| {
            let all = value.to_be_bytes();
            let mut digits = all[8 - length..].to_vec();
            if !is_big {
                digits.reverse();
            }
            bytes[at..at + length].copy_from_slice(&digits);
        };
        let (word, table) = if is_wide { (8, 64) } else { (4, 52) };
        put(if is_wide { 32 } else { 28 }, word, table as u64);
        put(if is_wide { 54 } else { 42 }, 2, if is_wide { 56 } else { 32 });
        put(if is_wide { 56 } else { 44 }, 2, 1);
        put(table, 4, u64::from(kind));
        put(table + if is_wide { 8 } else { 4 }, word, 200);
        put(table + if is_wide { 32 } else { 16 }, word, path.len() as u64 + 1);
        bytes[200..200 + path.len()].copy_from_slice(path.as_bytes());
        bytes
    }

    #[test]
    fn dynamic_executables() {
        for (is_wide, is_big) in [(true, false), (true, true), (false, false), (false, true)] {
            let found = Interpreter::of(&elf(is_wide, is_big, PT_INTERP, "/lib/ld.so"));
            assert_eq!(found, Some(Interpreter::Linker("/lib/ld.so".to_owned())), "{is_wide} {is_big}");
            assert_eq!(Interpreter::of(&elf(is_wide, is_big, 1, "/lib/ld.so")), None);
        }
        // Numbers that lead out of the file.
        let whole = elf(true, false, PT_INTERP, "/lib/ld.so");
        for at in [32, 54, 56, 72, 96] {
            let mut broken = whole.clone();
            broken[at..at + 2].copy_from_slice(&[0xff, 0xff]);
            assert!(
                Interpreter::of(&broken).is_none_or(|found| found == Interpreter::Linker("/lib/ld.so".to_owned())),
                "{at}"
            );
        }
        for length in 0..whole.len() {
            let _ = Interpreter::of(&whole[..length]);
        }
    }
}
