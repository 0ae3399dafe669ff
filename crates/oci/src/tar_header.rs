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
    /// Time of the last change, in seconds since 1970; at most `TIME_MAX`.
    pub modified_s: u64,
    /// Capabilities of a file, by number from the lowest bit.
    pub capabilities: u64,
}

/// Record of the attribute that holds a file's capabilities, as GNU tar, libarchive and container engines have it.
const CAPABILITIES: &str = "SCHILY.xattr.security.capability";

/// Largest time that fits into a ustar header.
pub(crate) const TIME_MAX: u64 = 0o777_7777_7777;

/// Largest owner that fits into a ustar header; larger ones go into a pax record.
const ID_MAX: u32 = 0o777_7777;

impl Header<'_> {
    /// Returns the bytes before the contents: a pax record if needed, then the header. Owner names are
    /// empty.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let path = if matches!(self.kind, Kind::Directory) { format!("{}/", self.path) } else { self.path.to_owned() };
        let mut records = Vec::new();
        let split = split_path(&path);
        if split.is_none() {
            records.extend(pax_record("path", path.as_bytes()));
        }
        if let Kind::Symlink { target } = self.kind
            && target.len() > 100
        {
            records.extend(pax_record("linkpath", target.as_bytes()));
        }
        let size = match self.kind {
            Kind::File { size } => size,
            _ => 0,
        };
        if size >= 1 << 33 {
            records.extend(pax_record("size", size.to_string().as_bytes()));
        }
        for (key, id) in [("gid", self.gid), ("uid", self.uid)] {
            if id > ID_MAX {
                records.extend(pax_record(key, id.to_string().as_bytes()));
            }
        }
        if self.capabilities != 0 {
            records.extend(pax_record(CAPABILITIES, &capability_bytes(self.capabilities)));
        }
        let mut bytes = Vec::with_capacity(1024);
        if !records.is_empty() {
            bytes.extend_from_slice(&block(("", "pax"), b'x', 0o644, (0, 0), (records.len() as u64, 0), ""));
            bytes.extend_from_slice(&records);
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
            (size.min((1 << 33) - 1), self.modified_s.min(TIME_MAX)),
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

/// Returns `vfs_cap_data` of revision 2 (linux/capability.h): permitted and effective, nothing inheritable.
fn capability_bytes(capabilities: u64) -> Vec<u8> {
    const REVISION_2_EFFECTIVE: u32 = 0x0200_0001;
    let half = |shift: u32| u32::try_from(capabilities >> shift & 0xffff_ffff).expect("32 bits");
    [REVISION_2_EFFECTIVE, half(0), 0, half(32), 0].into_iter().flat_map(u32::to_le_bytes).collect()
}

/// `<length> <key>=<value>\n`, where the length counts itself.
fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + " =\n".len();
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn block(
    (prefix, name): (&str, &str),
    kind: u8,
    mode: u32,
    (uid, gid): (u32, u32),
    (size, modified_s): (u64, u64),
    link: &str,
) -> [u8; 512] {
    let mut bytes = [0_u8; 512];
    let mut put = |offset: usize, text: &[u8]| bytes[offset..offset + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}\0").as_bytes());
    put(108, format!("{uid:07o}\0").as_bytes());
    put(116, format!("{gid:07o}\0").as_bytes());
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{modified_s:011o}\0").as_bytes());
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
            let header = Header {
                path,
                kind: Kind::File { size: 3 },
                mode: 0o644,
                uid: 7,
                gid: 8,
                modified_s: 9,
                capabilities: 0,
            };
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
            assert_eq!((entry.header().uid().unwrap(), entry.header().mtime().unwrap()), (7, 9));
            seen.push(entry.path().unwrap().to_str().unwrap().to_owned());
        }
        assert_eq!(seen, paths);
    }

    /// What `setcap cap_net_bind_service,cap_bpf=ep` sets.
    #[test]
    fn capabilities_of_a_file() {
        let capabilities = 1 << 10 | 1 << 39;
        let header = Header {
            path: "x",
            kind: Kind::File { size: 0 },
            mode: 0o755,
            uid: 0,
            gid: 0,
            modified_s: 0,
            capabilities,
        };
        let mut bytes = header.encode().unwrap();
        bytes.resize(bytes.len() + 1024, 0);
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        let records: Vec<(String, Vec<u8>)> = entry
            .pax_extensions()
            .unwrap()
            .unwrap()
            .map(|record| record.unwrap())
            .map(|record| (record.key().unwrap().to_owned(), record.value_bytes().to_vec()))
            .collect();
        let value = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\x80\0\0\0\0\0\0\0".to_vec();
        assert_eq!(records, [(CAPABILITIES.to_owned(), value)]);
    }
}
