//! Zip files (APPNOTE 6.3.10 of PKWARE): deflated or stored, without extra fields, data descriptors and comments.
//!
//! It writes no zip64: files, and archives, below 4 GiB.

use std::fs::File;
use std::io::{self, Write};

use rondel_cas::{CONTENTS_MAX, RelativePath, open_at_most};
use rondel_oci::{Compression, created_text};

use crate::archive_file::ArchiveFile;

/// What a reader needs to know: version 2.0, deflate.
const VERSION_NEEDED: u16 = 20;
/// Made on a Unix, so that the permissions count.
const VERSION_MADE_BY: u16 = 3 << 8 | VERSION_NEEDED;
/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Sizes of the frame of a gzip member around its deflated data, in bytes.
const GZIP_HEADER: usize = 10;
const GZIP_TRAILER: usize = 8;

/// Writes a zip, file after file.
pub(crate) struct ZipWriter<'a> {
    output: &'a mut File,
    /// Bytes written so far.
    position: u64,
    directory: Vec<u8>,
    count: u64,
    /// Time and date, as DOS has them.
    modified: (u16, u16),
    threads: usize,
}

impl<'a> ZipWriter<'a> {
    pub fn new(output: &'a mut File, modified_s: u64, threads: usize) -> ZipWriter<'a> {
        let modified = dos_time(modified_s);
        ZipWriter { output, position: 0, directory: Vec::new(), count: 0, modified, threads }
    }

    /// Adds a file.
    pub fn add(&mut self, path: &RelativePath, file: &ArchiveFile) -> io::Result<()> {
        let unreadable = |error: io::Error| {
            io::Error::new(error.kind(), format!("failed to read `{}`: {error}", file.source.display()))
        };
        let (mut source, _) = open_at_most(&file.source, CONTENTS_MAX).map_err(unreadable)?;
        let mut member = Vec::new();
        Compression::Gzip.compress(&mut source, &mut member, self.threads).map_err(unreadable)?;
        let data = &member[GZIP_HEADER..member.len() - GZIP_TRAILER];
        let number = |at: usize| u32::from_le_bytes(member[at..at + 4].try_into().expect("four bytes"));
        let (checksum, size) = (number(member.len() - GZIP_TRAILER), number(member.len() - 4));
        let (method, data) = if size == 0 { (STORED, &data[..0]) } else { (DEFLATED, data) };
        let too_large = || io::Error::other(format!("`{path}` is too large for a zip, which ends at 4 GiB"));
        // gzip counts sizes modulo 4 GiB.
        if source.metadata()?.len() > u64::from(u32::MAX) {
            return Err(too_large());
        }
        let compressed = u32::try_from(data.len()).map_err(|_| too_large())?;
        let offset = u32::try_from(self.position).map_err(|_| too_large())?;
        let name = path.as_str().as_bytes();
        let length =
            u16::try_from(name.len()).map_err(|_| io::Error::other(format!("`{path}` is too long for a zip")))?;
        let mut shared = Vec::with_capacity(26);
        for number in [VERSION_NEEDED, FLAGS, method, self.modified.0, self.modified.1] {
            shared.extend(number.to_le_bytes());
        }
        for number in [checksum, compressed, size] {
            shared.extend(number.to_le_bytes());
        }
        // The length of the name, and that of the extra fields.
        shared.extend(length.to_le_bytes());
        shared.extend([0, 0]);
        self.write(&[b"PK\x03\x04", &shared[..], name].concat())?;
        self.write(data)?;
        let mode: u32 = if file.executable { 0o100_755 } else { 0o100_644 };
        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(VERSION_MADE_BY.to_le_bytes());
        self.directory.extend(&shared);
        // No comment, on the first disk, no internal attributes.
        self.directory.extend([0; 6]);
        self.directory.extend((mode << 16).to_le_bytes());
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(name);
        self.count += 1;
        Ok(())
    }

    /// Writes the directory.
    pub fn finish(mut self) -> io::Result<()> {
        let too_large = |_| io::Error::other("too many files for a zip: it ends at 65,535, and at 4 GiB");
        let count = u16::try_from(self.count).map_err(too_large)?;
        let size = u32::try_from(self.directory.len()).map_err(too_large)?;
        let offset = u32::try_from(self.position).map_err(too_large)?;
        let directory = std::mem::take(&mut self.directory);
        self.write(&directory)?;
        let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
        end.extend(count.to_le_bytes());
        end.extend(count.to_le_bytes());
        end.extend(size.to_le_bytes());
        end.extend(offset.to_le_bytes());
        end.extend([0, 0]);
        self.write(&end)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.position += bytes.len() as u64;
        self.output.write_all(bytes)
    }
}

/// Returns time and date as DOS counts them: from 1980 to 2107, two seconds at a time. Times outside become the nearest.
fn dos_time(seconds: u64) -> (u16, u16) {
    const FIRST: u64 = 315_532_800;
    const LAST: u64 = 4_354_819_198;
    let text = created_text(seconds.clamp(FIRST, LAST));
    let number = |from: usize, to: usize| text[from..to].parse::<u16>().unwrap_or_default();
    let time = number(11, 13) << 11 | number(14, 16) << 5 | (number(17, 19) / 2);
    let date = (number(0, 4) - 1980) << 9 | number(5, 7) << 5 | number(8, 10);
    (time, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_dos() {
        for (seconds, expected) in [
            (0, (0, 1 << 5 | 1)),
            (1_700_000_001, (22 << 11 | 13 << 5 | 10, 43 << 9 | 11 << 5 | 14)),
            (u64::MAX, (23 << 11 | 59 << 5 | 29, 127 << 9 | 12 << 5 | 31)),
        ] {
            assert_eq!(dos_time(seconds), expected, "{seconds}");
        }
    }
}
