//! `BaseIndex`: the files of a base image as one text, in which a path is found without reading all of it: a run that has
//! nothing to do looks at a handful of paths of thousands.
//!
//! Each line holds a path, its kind with mode and owner, and the target of a link: `etc/passwd`, NUL, `f 644 0 0`, NUL. The
//! lines are sorted by path.

use std::collections::BTreeMap;

use rondel_cas::RelativePath;

use crate::base_files::{BaseEntry, BaseFiles, BaseKind, IMPLIED, NoWay, resolve};

/// Version of the text, for keys.
pub const BASE_INDEX: &str = "base-index-1";

/// The files of a base image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseIndex {
    text: String,
}

impl BaseIndex {
    /// Returns the index with this text. A text that is none gives an image without files.
    pub fn of_text(text: String) -> BaseIndex {
        BaseIndex { text }
    }

    /// Returns the index of these files.
    pub fn of_files(files: &BaseFiles) -> BaseIndex {
        let mut lines: BTreeMap<String, String> =
            files.iter().map(|(path, entry)| (escaped(path.as_str()), line(entry))).collect();
        // Layers may leave directories out; engines make them so.
        for (path, _) in files.iter() {
            for directory in std::iter::successors(path.parent(), RelativePath::parent) {
                lines.entry(escaped(directory.as_str())).or_insert_with(|| line(&IMPLIED));
            }
        }
        BaseIndex { text: lines.into_iter().map(|(path, rest)| format!("{path}\0{rest}\n")).collect() }
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns what is at a path, links not followed.
    pub fn get(&self, path: &RelativePath) -> Option<BaseEntry> {
        let wanted = escaped(path.as_str());
        let (mut low, mut high) = (0, self.text.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let bytes = self.text.as_bytes();
            let begin = bytes[..middle].iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index + 1);
            let end =
                bytes[middle..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |index| middle + index);
            let line = &self.text[begin..end];
            let (found, rest) = line.split_once('\0')?;
            match found.cmp(wanted.as_str()) {
                std::cmp::Ordering::Less => low = end + 1,
                std::cmp::Ordering::Greater => high = begin,
                std::cmp::Ordering::Equal => return entry(rest),
            }
        }
        None
    }

    /// Follows the links on the way to `path`, and `path` itself if `to_the_end`, as a process in a container would.
    pub fn resolve(&self, path: &RelativePath, to_the_end: bool) -> Result<RelativePath, NoWay> {
        resolve(&|path| self.get(path).map(|entry| entry.kind), path, to_the_end)
    }
}

fn line(entry: &BaseEntry) -> String {
    let (word, target) = match &entry.kind {
        BaseKind::File => ('f', ""),
        BaseKind::Directory => ('d', ""),
        BaseKind::Symlink(target) => ('l', target.as_str()),
        BaseKind::Other => ('o', ""),
    };
    format!("{word} {:o} {} {}\0{}", entry.mode, entry.uid, entry.gid, escaped(target))
}

fn entry(rest: &str) -> Option<BaseEntry> {
    let (words, target) = rest.split_once('\0')?;
    let words: Vec<&str> = words.split(' ').collect();
    let [word, mode, uid, gid] = words.as_slice() else { return None };
    let kind = match *word {
        "f" => BaseKind::File,
        "d" => BaseKind::Directory,
        "l" => BaseKind::Symlink(target.replace("\\n", "\n").replace("\\b", "\\")),
        _ => BaseKind::Other,
    };
    let mode = u32::from_str_radix(mode, 8).ok()?;
    Some(BaseEntry { kind, mode, uid: uid.parse().ok()?, gid: gid.parse().ok()? })
}

/// Returns a name without line ends and NULs, another one for each name.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\b").replace('\n', "\\n").replace('\0', "\\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelativePath {
        RelativePath::new(text).unwrap()
    }

    #[test]
    fn what_the_files_say() {
        let mut names: Vec<String> = ["a", "a-b", "a/x", "a/y\nz", "b\\n", "b\n", "é"].map(str::to_owned).to_vec();
        names.extend((0..500).map(|number| format!("usr/lib/{number}")));
        let mut builder = tar::Builder::new(Vec::new());
        for (index, name) in names.iter().enumerate() {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o600 + index as u32 % 8);
            header.set_uid(index as u64);
            header.set_gid(7);
            header.set_size(0);
            let link = index % 3 == 1;
            header.set_entry_type(if link { tar::EntryType::Symlink } else { tar::EntryType::Directory });
            if link {
                builder.append_link(&mut header, name, "to\n\\n/there").unwrap();
            } else {
                builder.append_data(&mut header, name, std::io::empty()).unwrap();
            }
        }
        let tar = builder.into_inner().unwrap();
        let mut files = BaseFiles::default();
        files.add_layer(&mut tar.as_slice(), &|_| false).unwrap();
        let index = BaseIndex::of_files(&files);
        let index = BaseIndex::of_text(index.text().to_owned());
        for name in &names {
            assert_eq!(index.get(&path(name)).as_ref(), files.get(&path(name)), "{name}");
            assert!(files.get(&path(name)).is_some());
        }
        for missing in ["0", "zz", "b", "usr/lib/500"] {
            assert_eq!(RelativePath::new(missing).ok().and_then(|path| index.get(&path)), None, "{missing}");
        }
        // Directories that no layer has.
        let usr = index.get(&path("usr/lib")).unwrap();
        assert_eq!((usr.kind, usr.mode, usr.uid), (BaseKind::Directory, 0o755, 0));
        assert_eq!(BaseIndex::of_text("nonsense".to_owned()).get(&path("a")), None);
        assert_eq!(BaseIndex::default().get(&path("a")), None);
    }
}
