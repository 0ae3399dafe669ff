//! Bytes of the closure file: mark, checksum, header, directories, files. Its reader takes hostile bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_cas::Digest;
use rondel_tree::{FINGERPRINT_LENGTH, Fingerprint, MTIME_BOUNDARY_LENGTH, MtimeBoundary};

use crate::file::{ClosureFile, FileRole, FileState, SourceFile, WatchedDirectory};
use crate::name_dependencies::Names;

const MAGIC: &[u8] = b"rondel-closure 8\n";

impl ClosureFile {
    /// Returns the file's contents: mark, checksum, header, then directories and files. Each path is the length of its
    /// common beginning with the previous one, and the rest.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.files.len() * 150 + 4096);
        put_bytes(&mut body, &self.header);
        body.extend_from_slice(&self.boundary.map_or([0; MTIME_BOUNDARY_LENGTH], |boundary| boundary.to_bytes()));
        let mut last = String::new();
        put_number(&mut body, self.directories.len() as u64);
        for watched in self.directories.iter() {
            put_path(&mut body, &mut last, &watched.path);
            body.push(watched.names as u8);
            put_fingerprint(&mut body, watched.fingerprint.as_ref(), watched.boundary_ns);
            put_digest(&mut body, &watched.listing);
        }
        last.clear();
        put_number(&mut body, self.files.len() as u64);
        for file in self.files.iter() {
            put_path(&mut body, &mut last, &file.path);
            body.push(file.role as u8);
            let state = file.state.as_ref();
            put_fingerprint(
                &mut body,
                state.map(|state| &state.fingerprint),
                state.map_or(0, |state| state.boundary_ns),
            );
            if let Some(state) = state {
                put_digest(&mut body, &state.digest);
                body.push(u8::from(state.head.is_some()) | u8::from(state.link.is_some()) << 1);
                if let Some(head) = &state.head {
                    put_digest(&mut body, head);
                }
                if let Some(link) = &state.link {
                    put_bytes(&mut body, link.as_bytes());
                }
            }
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(Digest::of(&body).hash());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reverses `encode`; returns `None` for anything torn, flipped or foreign.
    pub fn decode(bytes: &[u8]) -> Option<ClosureFile> {
        let (checksum, body) = bytes.strip_prefix(MAGIC)?.split_at_checked(32)?;
        if Digest::of(body).hash() != checksum {
            return None;
        }
        let mut reader = Reader(body);
        let header = reader.bytes()?.to_vec();
        let boundary = Some(reader.take()?).filter(|bytes| *bytes != [0; MTIME_BOUNDARY_LENGTH]);
        let boundary = boundary.map(|bytes| MtimeBoundary::from_bytes(&bytes));
        let mut last = String::new();
        let count = reader.number()?;
        let mut directories = Vec::new();
        for _ in 0..count {
            let path = reader.path(&mut last)?;
            let names = Names::of(reader.byte()?)?;
            let (fingerprint, boundary_ns) = reader.fingerprint()?;
            directories.push(WatchedDirectory { path, names, fingerprint, boundary_ns, listing: reader.digest()? });
        }
        last.clear();
        let count = reader.number()?;
        let mut files = Vec::new();
        for _ in 0..count {
            let path = reader.path(&mut last)?;
            let role = FileRole::of(reader.byte()?)?;
            let state = match reader.fingerprint()? {
                (None, _) => None,
                (Some(fingerprint), boundary_ns) => {
                    let digest = reader.digest()?;
                    let flags = reader.byte()?;
                    let head = if flags & 1 != 0 { Some(reader.digest()?) } else { None };
                    let link = if flags & 2 != 0 { Some(reader.text()?) } else { None };
                    Some(FileState { fingerprint, boundary_ns, digest, head, link })
                }
            };
            files.push(SourceFile { path, role, state });
        }
        reader.0.is_empty().then_some(ClosureFile {
            header,
            boundary,
            directories: Arc::new(directories),
            files: Arc::new(files),
        })
    }
}

fn put_number(body: &mut Vec<u8>, number: u64) {
    body.extend_from_slice(&number.to_le_bytes());
}

fn put_bytes(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    body.extend_from_slice(bytes);
}

/// Appends a path. Paths are UTF-8: others were refused when the closure was made.
fn put_path(body: &mut Vec<u8>, last: &mut String, path: &Path) {
    let path = path.to_string_lossy();
    let mut shared = last.bytes().zip(path.bytes()).take_while(|(one, other)| one == other).count().min(0xffff);
    while !path.is_char_boundary(shared) {
        shared -= 1;
    }
    body.extend_from_slice(&(shared as u16).to_le_bytes());
    put_bytes(body, &path.as_bytes()[shared..]);
    last.clear();
    last.push_str(&path);
}

fn put_fingerprint(body: &mut Vec<u8>, fingerprint: Option<&Fingerprint>, boundary_ns: i128) {
    body.push(u8::from(fingerprint.is_some()));
    if let Some(fingerprint) = fingerprint {
        body.extend_from_slice(&fingerprint.to_bytes());
        put_number(body, boundary_ns as u64);
    }
}

fn put_digest(body: &mut Vec<u8>, digest: &Digest) {
    body.extend_from_slice(digest.hash());
    put_number(body, digest.size());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_le_bytes(self.take()?) as usize;
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }

    fn path(&mut self, last: &mut String) -> Option<PathBuf> {
        let shared = usize::from(u16::from_le_bytes(self.take()?));
        let rest = std::str::from_utf8(self.bytes()?).ok()?;
        if !last.is_char_boundary(shared) {
            return None;
        }
        last.truncate(shared);
        last.push_str(rest);
        Some(PathBuf::from(last.as_str()))
    }

    fn fingerprint(&mut self) -> Option<(Option<Fingerprint>, i128)> {
        if self.byte()? == 0 {
            return Some((None, 0));
        }
        let fingerprint = Fingerprint::from_bytes(&self.take::<FINGERPRINT_LENGTH>()?);
        Some((Some(fingerprint), i128::from(self.number()? as i64)))
    }

    fn digest(&mut self) -> Option<Digest> {
        let hash = self.take()?;
        Some(Digest::from_parts(hash, self.number()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_round_trips_and_damage_is_seen() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let boundary = MtimeBoundary::now(None);
        let mut stored = ClosureFile { boundary: Some(boundary), ..ClosureFile::default() };
        stored.header = b"{}".to_vec();
        let directories = Arc::make_mut(&mut stored.directories);
        directories.push(WatchedDirectory::read(here.clone(), Names::Sources, &boundary));
        directories.push(WatchedDirectory::read(here.join("nowhere"), Names::All, &boundary));
        for name in ["lib.rs", "source_header.rs"] {
            Arc::make_mut(&mut stored.files)
                .push(SourceFile::read(here.join(name), FileRole::Source, &boundary).unwrap());
        }
        Arc::make_mut(&mut stored.files)
            .push(SourceFile::read(here.join("go.mod"), FileRole::Module, &boundary).unwrap());
        Arc::make_mut(&mut stored.files)[0].state.as_mut().unwrap().link = Some("é".to_owned());
        let good = stored.encode();
        let read = ClosureFile::decode(&good).unwrap();
        assert_eq!(good, read.encode());
        assert_eq!(format!("{stored:?}"), format!("{read:?}"));
        for length in 0..good.len() {
            assert!(ClosureFile::decode(&good[..length]).is_none(), "cut at {length}");
        }
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x20;
            assert!(ClosureFile::decode(&bad).is_none(), "flipped at {index}");
        }
    }
}
