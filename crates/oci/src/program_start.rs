//! What a program needs to start: the machine and the dynamic linker of an ELF file, the interpreter of a script. It knows
//! no image.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use crate::script_line::ScriptLine;

/// Number of bytes at the begin of a file that are in memory.
const HEAD_MAX: u64 = 64 << 10;
/// Maximum size of the program headers, and of the interpreter's path, as Linux has them (fs/binfmt_elf.c).
const TABLE_MAX: u64 = 64 << 10;
const PATH_MAX: u64 = 4096;

/// Type of a segment that holds the interpreter's path (System V ABI, "Program Header").
const PT_INTERP: u64 = 3;

/// What Linux finds in a file that it is to execute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProgramStart {
    /// Nothing.
    Empty,
    /// An ELF file.
    Elf {
        /// The `GOARCH` of its machine, if it is a known one.
        architecture: Option<String>,
        /// Path of its dynamic linker, if it names one.
        linker: Option<String>,
    },
    /// A script with its interpreter.
    Script(ScriptLine),
    /// Text that names no interpreter.
    Text,
    /// Another format, which a kernel may know.
    Other,
}

impl ProgramStart {
    /// Reads a file as far as it must.
    pub(crate) fn read(file: impl Read) -> io::Result<ProgramStart> {
        let mut file = Forward::of(file)?;
        let head = &file.head;
        if head.is_empty() {
            return Ok(ProgramStart::Empty);
        }
        if head.starts_with(b"\x7fELF") {
            let elf = Elf::of(head);
            let architecture = elf.and_then(|elf| elf.architecture(head)).map(str::to_owned);
            let linker = elf.map(|elf| elf.linker(&mut file)).transpose()?.flatten();
            return Ok(ProgramStart::Elf { architecture, linker });
        }
        Ok(match ScriptLine::of(head) {
            Some(line) => ProgramStart::Script(line),
            None if is_text(head) => ProgramStart::Text,
            None => ProgramStart::Other,
        })
    }
}

/// Returns true for UTF-8, the last character of which may be cut, with no control characters but those of text.
fn is_text(head: &[u8]) -> bool {
    let is_utf8 = std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    is_utf8 && head.iter().all(|byte| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r' | b'\x0c'))
}

/// A file that is read forwards only, as it is in an archive.
struct Forward<R> {
    head: Vec<u8>,
    rest: R,
    /// Number of bytes that were read.
    position: u64,
}

impl<R: Read> Forward<R> {
    fn of(mut rest: R) -> io::Result<Forward<R>> {
        let mut head = Vec::new();
        let position = rest.by_ref().take(HEAD_MAX).read_to_end(&mut head)? as u64;
        Ok(Forward { head, rest, position })
    }

    /// Returns the bytes at a place; `None` if the file is shorter, or the place was passed.
    fn bytes(&mut self, at: u64, length: u64) -> io::Result<Option<Vec<u8>>> {
        let in_head = usize::try_from(at).ok().and_then(|at| self.head.get(at..)).unwrap_or_default();
        let mut found = Vec::new();
        in_head.take(length).read_to_end(&mut found)?;
        let missing = length - found.len() as u64;
        if missing == 0 {
            return Ok(Some(found));
        }
        let Some(skipped) = at.max(self.head.len() as u64).checked_sub(self.position) else { return Ok(None) };
        self.position += io::copy(&mut self.rest.by_ref().take(skipped), &mut io::sink())?;
        self.position += self.rest.by_ref().take(missing).read_to_end(&mut found)? as u64;
        Ok((found.len() as u64 == length).then_some(found))
    }
}

/// Width and order of the numbers in an ELF file.
#[derive(Clone, Copy)]
struct Elf {
    is_wide: bool,
    is_big: bool,
}

impl Elf {
    fn of(head: &[u8]) -> Option<Elf> {
        Some(Elf { is_wide: *head.get(4)? == 2, is_big: *head.get(5)? == 2 })
    }

    /// Returns the first of two numbers for 64 bits, the second for 32.
    fn pick(self, wide: usize, narrow: usize) -> usize {
        if self.is_wide { wide } else { narrow }
    }

    fn number(self, bytes: &[u8], at: usize, length: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let digit = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.is_big { bytes.iter().fold(0, digit) } else { bytes.iter().rev().fold(0, digit) })
    }

    /// Returns the `GOARCH` of the machine (`e_machine`), or a name of that kind where Go has none.
    fn architecture(self, head: &[u8]) -> Option<&'static str> {
        let machine = self.number(head, 18, 2)?;
        Some(match (machine, self.is_wide, self.is_big) {
            (3, false, false) => "386",
            (62, _, false) => "amd64",
            (40, false, false) => "arm",
            (183, true, false) => "arm64",
            (8, false, true) => "mips",
            (8, false, false) => "mipsle",
            (8, true, true) => "mips64",
            (8, true, false) => "mips64le",
            (20, false, true) => "ppc",
            (21, true, true) => "ppc64",
            (21, true, false) => "ppc64le",
            (22, false, true) => "s390",
            (22, true, true) => "s390x",
            (243, false, false) => "riscv",
            (243, true, false) => "riscv64",
            (258, true, false) => "loong64",
            _ => return None,
        })
    }

    fn linker<R: Read>(self, file: &mut Forward<R>) -> io::Result<Option<String>> {
        let word = self.pick(8, 4);
        let header = |at: usize, length: usize| self.number(&file.head, at, length);
        let place = header(self.pick(32, 28), word);
        let (size, count) = (header(self.pick(54, 42), 2), header(self.pick(56, 44), 2));
        let (Some(place), Some(size), Some(count)) = (place, size, count) else { return Ok(None) };
        if size != self.pick(56, 32) as u64 || size * count > TABLE_MAX {
            return Ok(None);
        }
        let Some(table) = file.bytes(place, size * count)? else { return Ok(None) };
        let is_interpreter = |header: &&[u8]| self.number(header, 0, 4) == Some(PT_INTERP);
        let Some(header) = table.chunks(self.pick(56, 32)).find(is_interpreter) else { return Ok(None) };
        let (at, length) = (self.number(header, self.pick(8, 4), word), self.number(header, self.pick(32, 16), word));
        let (Some(at), Some(length @ ..=PATH_MAX)) = (at, length) else { return Ok(None) };
        let bytes = file.bytes(at, length)?.unwrap_or_default();
        let path = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Some(String::from_utf8_lossy(path).into_owned()).filter(|path| !path.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(bytes: &[u8]) -> ProgramStart {
        ProgramStart::read(bytes).unwrap()
    }

    /// A header with one segment, of either width and order. The segment and its header are at these places.
    struct Fake {
        is_wide: bool,
        is_big: bool,
        machine: u64,
        kind: u64,
        table: usize,
        place: usize,
    }

    /// A program of amd64 with a dynamic linker.
    const USUAL: Fake = Fake { is_wide: true, is_big: false, machine: 62, kind: PT_INTERP, table: 64, place: 200 };
    const LINKER: &str = "/lib/ld.so";

    impl Fake {
        fn bytes(&self) -> Vec<u8> {
            let Fake { is_wide, is_big, table, place, .. } = *self;
            let mut bytes = vec![0; table.max(place) + 64];
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
            let word = if is_wide { 8 } else { 4 };
            put(18, 2, self.machine);
            put(if is_wide { 32 } else { 28 }, word, table as u64);
            put(if is_wide { 54 } else { 42 }, 2, if is_wide { 56 } else { 32 });
            put(if is_wide { 56 } else { 44 }, 2, 1);
            put(table, 4, self.kind);
            put(table + if is_wide { 8 } else { 4 }, word, place as u64);
            put(table + if is_wide { 32 } else { 16 }, word, LINKER.len() as u64 + 1);
            bytes[place..place + LINKER.len()].copy_from_slice(LINKER.as_bytes());
            bytes
        }
    }

    fn linker(bytes: &[u8]) -> Option<String> {
        let ProgramStart::Elf { linker, .. } = start(bytes) else { panic!("no ELF file") };
        linker
    }

    #[test]
    fn what_is_no_program() {
        assert_eq!(start(b""), ProgramStart::Empty);
        let cut = [vec![b'a'; 65_535], "é".into()].concat();
        for text in
            [&b"echo\n"[..], b"#!", b"#!\n/bin/sh", b"#! \t\n", b"\xef\xbb\xbf#!/bin/sh\n", b"# \xc3\xa9\r\n", &cut]
        {
            assert_eq!(start(text), ProgramStart::Text, "{}", String::from_utf8_lossy(text));
        }
        for other in [&b"MZ\0\0"[..], b"\xfe\xed\xfa\xcf", b"# \xe9 in Latin 1", b"\0asm", b"\x1b[0m"] {
            assert_eq!(start(other), ProgramStart::Other, "{}", String::from_utf8_lossy(other));
        }
        for broken in [&b"\x7fELF"[..], b"\x7fELF\x02\x01\x01"] {
            assert_eq!(start(broken), ProgramStart::Elf { architecture: None, linker: None });
        }
    }

    #[test]
    fn dynamic_executables() {
        for (is_wide, is_big) in [(true, false), (true, true), (false, false), (false, true)] {
            let whole = Fake { is_wide, is_big, ..USUAL };
            assert_eq!(linker(&whole.bytes()).as_deref(), Some(LINKER), "{is_wide} {is_big}");
            assert_eq!(linker(&Fake { kind: 1, ..whole }.bytes()), None);
        }
        // Numbers that lead out of the file.
        let whole = USUAL.bytes();
        for at in [32, 54, 56, 72, 96] {
            let mut broken = whole.clone();
            broken[at..at + 2].copy_from_slice(&[0xff, 0xff]);
            assert!(linker(&broken).is_none_or(|found| found == LINKER), "{at}");
        }
        for length in 4..whole.len() {
            let _ = linker(&whole[..length]);
        }
    }

    /// Tools that change the linker of a program put its path, or all headers, at the end.
    #[test]
    fn what_lies_far_behind() {
        let far = 1 << 20;
        for (table, place) in [(64, far), (far, far + 64), (far, 200), (65_510, 200), (64, 65_530)] {
            let bytes = Fake { table, place, ..USUAL }.bytes();
            assert_eq!(linker(&bytes).as_deref(), Some(LINKER), "{table} {place}");
            for length in [65_500, 65_536, bytes.len() - 64] {
                assert!(linker(&bytes[..length]).is_none_or(|found| found == LINKER), "{table} {place}");
            }
        }
        // It was passed when it is asked for.
        assert_eq!(linker(&Fake { table: far, place: far - 64, ..USUAL }.bytes()), None);
    }

    #[test]
    fn machines() {
        let of = |machine, is_wide, is_big| {
            let ProgramStart::Elf { architecture, .. } = start(&Fake { machine, is_wide, is_big, ..USUAL }.bytes())
            else {
                panic!("no ELF file")
            };
            architecture
        };
        let of = |machine, is_wide, is_big| of(machine, is_wide, is_big).unwrap_or_default();
        assert_eq!(of(62, true, false), "amd64");
        assert_eq!(of(183, true, false), "arm64");
        assert_eq!([true, false].map(|is_big| of(8, true, is_big)), ["mips64", "mips64le"]);
        assert_eq!([true, false].map(|is_big| of(8, false, is_big)), ["mips", "mipsle"]);
        assert_eq!(of(21, true, false), "ppc64le");
        assert_eq!(of(22, true, true), "s390x");
        assert_eq!(of(2, false, true), "");
    }
}
