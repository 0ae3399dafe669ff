//! Tar headers: ustar where a name fits, a pax record where it does not (POSIX.1-2017, `pax`).

use std::io;

/// Type of a tar entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    File { size: u64 },
    Directory,
    Symlink { target: &'a str },
}

pub(crate) struct Header<'a> {
    /// Relative, without a slash at its end.
    pub path: &'a str,
    pub kind: Kind<'a>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// Largest owner that fits into a ustar header; larger ones go into a pax record.
const ID_MAX: u32 = 0o777_7777;

impl Header<'_> {
    /// Returns the bytes before the contents: a pax record if needed, then the header. Time is the epoch, owner names
    /// are empty.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let path = if matches!(self.kind, Kind::Directory) { format!("{}/", self.path) } else { self.path.to_owned() };
        let mut records = String::new();
        let split = split_path(&path);
        if split.is_none() {
            records.push_str(&pax_record("path", &path));
        }
        if let Kind::Symlink { target } = self.kind
            && target.len() > 100
        {
            records.push_str(&pax_record("linkpath", target));
        }
        let size = match self.kind {
            Kind::File { size } => size,
            _ => 0,
        };
        if size >= 1 << 33 {
            records.push_str(&pax_record("size", &size.to_string()));
        }
        for (key, id) in [("gid", self.gid), ("uid", self.uid)] {
            if id > ID_MAX {
                records.push_str(&pax_record(key, &id.to_string()));
            }
        }
        let mut bytes = Vec::with_capacity(1024);
        if !records.is_empty() {
            bytes.extend_from_slice(&block(("", "pax"), b'x', 0o644, (0, 0), records.len() as u64, ""));
            bytes.extend_from_slice(records.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        let (kind, link) = match self.kind {
            Kind::File { .. } => (b'0', ""),
            Kind::Directory => (b'5', ""),
            Kind::Symlink { target } => (b'2', target),
        };
        let names = split.unwrap_or(("", floor(&path, 100)));
        bytes.extend_from_slice(&block(
            names,
            kind,
            self.mode,
            (self.uid.min(ID_MAX), self.gid.min(ID_MAX)),
            size.min((1 << 33) - 1),
            floor(link, 100),
        ));
        Ok(bytes)
    }
}

fn floor(text: &str, length: usize) -> &str {
    let mut end = length.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Returns prefix and name of a path that fits into a ustar header; names beyond ASCII go into a pax record.
fn split_path(path: &str) -> Option<(&str, &str)> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some(("", path));
    }
    let candidates = path.match_indices('/').rev().map(|(index, _)| index);
    let mut fitting =
        candidates.filter(|&index| index <= 155 && path.len() - index - 1 <= 100 && index + 1 < path.len());
    fitting.next().map(|index| (&path[..index], &path[index + 1..]))
}

/// `<length> <key>=<value>\n`, where the length counts itself.
fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

fn block(
    (prefix, name): (&str, &str),
    kind: u8,
    mode: u32,
    (uid, gid): (u32, u32),
    size: u64,
    link: &str,
) -> [u8; 512] {
    let mut bytes = [0_u8; 512];
    let mut put = |offset: usize, text: &[u8]| bytes[offset..offset + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}\0").as_bytes());
    put(108, format!("{uid:07o}\0").as_bytes());
    put(116, format!("{gid:07o}\0").as_bytes());
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    put(329, b"0000000\0");
    put(337, b"0000000\0");
    put(345, prefix.as_bytes());
    let sum: u32 = bytes.iter().map(|&byte| u32::from(byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// An independent reader reads these archives.
    #[test]
    fn long_and_foreign_names() {
        let deep = format!("{}/{}", "d".repeat(120), "n".repeat(90));
        let too_long = "x".repeat(250);
        let paths = ["short", &"a".repeat(100), &deep, &too_long, "grüße/ß"];
        let mut bytes = Vec::new();
        for path in paths {
            let header = Header { path, kind: Kind::File { size: 3 }, mode: 0o644, uid: 7, gid: 8 };
            bytes.extend(header.encode().unwrap());
            bytes.extend(b"abc");
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.resize(bytes.len() + 1024, 0);
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut contents = String::new();
            entry.read_to_string(&mut contents).unwrap();
            assert_eq!(contents, "abc");
            assert_eq!((entry.header().uid().unwrap(), entry.header().mtime().unwrap()), (7, 0));
            seen.push(entry.path().unwrap().to_str().unwrap().to_owned());
        }
        assert_eq!(seen, paths);
    }
}
