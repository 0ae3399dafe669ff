//! What stands in a tar before an entry: long names (GNU) and extended headers (pax), within limits. Archives come from
//! outside: an entry that says it has a name of a gigabyte is an error, and nothing of it is read.

use std::io::{self, Read};

/// Maximum size of one such header in bytes; names and targets are far shorter.
const EXTENSION_MAX: u64 = 1 << 20;

/// What the headers before an entry say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extension {
    /// Its name.
    pub path: Option<Vec<u8>>,
    /// What it leads to.
    pub link: Option<Vec<u8>>,
    /// Its owner.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
}

impl Extension {
    /// Takes in an entry that says something of the next one; returns false for any other entry.
    pub fn take_in(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> io::Result<bool> {
        use tar::EntryType;
        let kind = entry.header().entry_type();
        if !matches!(kind, EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader) {
            return Ok(false);
        }
        if entry.size() > EXTENSION_MAX {
            return Err(wrong(format!("a name of {} bytes", entry.size())));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        let name = |bytes: &[u8]| bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        match kind {
            EntryType::GNULongName => self.path = Some(name(&bytes)),
            EntryType::GNULongLink => self.link = Some(name(&bytes)),
            _ => self.take_in_records(&bytes)?,
        }
        Ok(true)
    }

    /// Returns the name of an entry.
    pub fn name_of(&self, entry: &tar::Entry<'_, impl Read>) -> Vec<u8> {
        self.path.clone().unwrap_or_else(|| entry.header().path_bytes().into_owned())
    }

    /// Returns what an entry leads to, if it says that.
    pub fn link_of(&self, entry: &tar::Entry<'_, impl Read>) -> Option<Vec<u8>> {
        self.link.clone().or_else(|| entry.header().link_name_bytes().map(|link| link.into_owned()))
    }

    /// Returns the owner and the group of an entry.
    pub fn owner_of(&self, entry: &tar::Entry<'_, impl Read>) -> io::Result<(u32, u32)> {
        let id = |id: io::Result<u64>| id.and_then(|id| u32::try_from(id).map_err(io::Error::other));
        let header = entry.header();
        Ok((self.uid.map_or_else(|| id(header.uid()), Ok)?, self.gid.map_or_else(|| id(header.gid()), Ok)?))
    }

    /// Reads `<length> <keyword>=<value>\n`, as POSIX has it.
    fn take_in_records(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let broken = || wrong("a broken extended header".to_owned());
        let number = |value: &[u8]| std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        while !bytes.is_empty() {
            let space = bytes.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
            let length = number(&bytes[..space]).and_then(|length: u32| usize::try_from(length).ok());
            let length = length.filter(|length| (space + 2..=bytes.len()).contains(length)).ok_or_else(broken)?;
            let record = bytes[space + 1..length].strip_suffix(b"\n").ok_or_else(broken)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
            let value = &record[equals + 1..];
            match &record[..equals] {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"uid" => self.uid = Some(number(value).ok_or_else(broken)?),
                b"gid" => self.gid = Some(number(value).ok_or_else(broken)?),
                // The bytes behind the entry would be taken for headers.
                b"size" => return Err(wrong("a file of more than 8 GiB".to_owned())),
                _ => {}
            }
            bytes = &bytes[length..];
        }
        Ok(())
    }
}

fn wrong(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Result<Extension, String> {
        let mut extension = Extension::default();
        extension.take_in_records(text.as_bytes()).map_err(|error| error.to_string())?;
        Ok(extension)
    }

    #[test]
    fn extended_headers() {
        let found = records("12 path=a/b\n15 uid=3000000\n13 linkpath=\n13 mtime=1.5\n").unwrap();
        let expected =
            Extension { path: Some(b"a/b".to_vec()), link: Some(Vec::new()), uid: Some(3_000_000), gid: None };
        assert_eq!(found, expected);
        for broken in ["x", "12 path", "99 path=a\n", "2 \n", "0 a=b\n", "11 path=a/b\n", "9 uid=-1\n", "12 path=a/bc"]
        {
            assert_eq!(records(broken).unwrap_err(), "a broken extended header", "{broken}");
        }
        assert_eq!(records("10 size=9\n").unwrap_err(), "a file of more than 8 GiB");
    }

    #[test]
    fn a_name_without_end() {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(3 << 30);
        header.set_cksum();
        let bytes = header.as_bytes().to_vec();
        let mut archive = tar::Archive::new(io::Read::chain(&bytes[..], io::repeat(b'a')));
        let mut entry = archive.entries().unwrap().raw(true).next().unwrap().unwrap();
        let error = Extension::default().take_in(&mut entry).unwrap_err();
        assert_eq!(error.to_string(), "a name of 3221225472 bytes");
    }
}
