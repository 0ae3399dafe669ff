//! `BuildInfo`: the version, modules and settings embedded in a Go executable (debug/buildinfo of Go's library).
//!
//! The linker puts a block into each executable: a mark, then two length-prefixed texts, Go's version and the lines of
//! runtime/debug.BuildInfo. The form is that of Go 1.18 and later. The file is hostile until checked.

use std::io;
use std::path::Path;

use rondel_cas::read_at_most;

/// Limit of an executable that is read, in bytes.
pub const EXECUTABLE_MAX: u64 = 4 << 30;

/// First bytes of the block.
const MARK: &[u8] = b"\xff Go buildinf:";
/// Flag of the header: the texts follow the header itself.
const INLINE_TEXTS: u8 = 2;
/// Number of bytes from the mark's first byte to the texts.
const HEADER: usize = 32;
/// Length of the sentinels around the module text.
const SENTINEL: usize = 16;

/// Build information of an executable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// `go1.22.12`
    pub go_version: String,
    /// Import path of the main package.
    pub path: String,
    /// The main module.
    pub main: Option<ModuleVersion>,
    /// Modules of the packages, sorted as the linker wrote them.
    pub dependencies: Vec<ModuleVersion>,
    /// `-trimpath`, `GOARCH`, `vcs.revision` …, in the order of the file.
    pub settings: Vec<(String, String)>,
}

/// One module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleVersion {
    /// Module path.
    pub path: String,
    /// `v1.2.3`, or `(devel)`.
    pub version: String,
    /// `h1:…` of go.sum, a hash over the module's directory; empty if there is none.
    pub sum: String,
    /// Replacement of the module in go.mod.
    pub replaced_by: Option<Box<ModuleVersion>>,
}

impl BuildInfo {
    /// Reads the build information of an executable; `None` if the file has none.
    pub fn of_file(path: &Path) -> io::Result<Option<BuildInfo>> {
        Ok(BuildInfo::of(&read_at_most(path, EXECUTABLE_MAX)?))
    }

    /// Reads it from the bytes of an executable.
    pub fn of(bytes: &[u8]) -> Option<BuildInfo> {
        let mut begin = 0;
        // The mark alone may also occur in programs that read such blocks.
        while let Some(found) = find(&bytes[begin..], MARK) {
            if let Some(info) = BuildInfo::at(&bytes[begin + found..]) {
                return Some(info);
            }
            begin += found + 1;
        }
        None
    }

    fn at(block: &[u8]) -> Option<BuildInfo> {
        if block.get(MARK.len() + 1)? & INLINE_TEXTS == 0 {
            return None;
        }
        let (version, rest) = text(block.get(HEADER..)?)?;
        let (module, _) = text(rest)?;
        let go_version = std::str::from_utf8(version).ok()?;
        if !go_version.starts_with("go") && !go_version.starts_with("devel") {
            return None;
        }
        let mut info = BuildInfo { go_version: go_version.to_owned(), ..BuildInfo::default() };
        let inner = module.len().checked_sub(SENTINEL).and_then(|end| module.get(SENTINEL..end)).unwrap_or(b"");
        for line in std::str::from_utf8(inner).ok()?.lines() {
            info.line(line);
        }
        Some(info)
    }

    fn line(&mut self, line: &str) {
        let mut columns = line.split('\t');
        let word = columns.next().unwrap_or("");
        let mut next = || columns.next().unwrap_or("").to_owned();
        match word {
            "path" => self.path = next(),
            "mod" | "dep" | "=>" => {
                let module = ModuleVersion { path: next(), version: next(), sum: next(), replaced_by: None };
                match word {
                    "mod" => self.main = Some(module),
                    "dep" => self.dependencies.push(module),
                    _ => {
                        let replaced = self.dependencies.last_mut().or(self.main.as_mut());
                        if let Some(replaced) = replaced {
                            replaced.replaced_by = Some(Box::new(module));
                        }
                    }
                }
            }
            "build" => {
                let rest = line.strip_prefix("build\t").unwrap_or("");
                let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
                self.settings.push((unquoted(name), unquoted(value)));
            }
            _ => {}
        }
    }

    /// Returns the value of a setting.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a length as a varint, and as many bytes.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length: u64 = 0;
    for (index, &byte) in bytes.iter().enumerate().take(9) {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return bytes[index + 1..].split_at_checked(usize::try_from(length).ok()?);
        }
    }
    None
}

/// Removes Go's quotes around blanks and quotes. Only escapes that can occur in a setting are decoded.
fn unquoted(text: &str) -> String {
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => text.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).unwrap_or(text).to_owned(),
    }
}

/// Returns the place of `needle` in `haystack`. Jumps to its rarest byte, the first, so that 100 MB take a moment.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let mut begin = 0;
    while let Some(at) = haystack[begin..].iter().position(|byte| *byte == needle[0]) {
        if haystack[begin + at..].starts_with(needle) {
            return Some(begin + at);
        }
        begin += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executable(module: &str) -> Vec<u8> {
        let mut bytes = b"something before, the mark alone \xff Go buildinf: too".to_vec();
        bytes.resize(64, 0);
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(&[8, INLINE_TEXTS]);
        bytes.resize(64 + HEADER, 0);
        for text in ["go1.22.12".to_owned(), format!("{}{module}{}", "s".repeat(SENTINEL), "e".repeat(SENTINEL))] {
            let mut length = text.len();
            while length >= 0x80 {
                bytes.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            bytes.push(length as u8);
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    #[test]
    fn all_lines() {
        let bytes = executable(
            "path\texample.com/x/cmd/y\nmod\texample.com/x\t(devel)\t\ndep\ta.example/b\tv1.2.3\th1:abc=\ndep\tc\tv0.0.1\t\n=>\td\tv2.0.0\th1:def=\nbuild\t-compiler=gc\nbuild\t-tags=\"a b\"\nbuild\tvcs.modified=true\n",
        );
        let info = BuildInfo::of(&bytes).unwrap();
        assert_eq!((info.go_version.as_str(), info.path.as_str()), ("go1.22.12", "example.com/x/cmd/y"));
        assert_eq!(info.main.as_ref().unwrap().version, "(devel)");
        assert_eq!(info.dependencies[0].sum, "h1:abc=");
        assert_eq!(info.dependencies[1].replaced_by.as_ref().unwrap().path, "d");
        assert_eq!((info.setting("-tags"), info.setting("vcs.modified")), (Some("a b"), Some("true")));
    }

    #[test]
    fn damaged_files_have_none() {
        let bytes = executable("path\tx\n");
        assert!(BuildInfo::of(b"").is_none() && BuildInfo::of(MARK).is_none());
        for length in 0..bytes.len() {
            let _ = BuildInfo::of(&bytes[..length]);
        }
        assert!(BuildInfo::of(&bytes[..bytes.len() - 1]).is_none());
    }
}
