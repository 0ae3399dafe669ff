//! The base set: programs of a POSIX shell that every command with a key sees, and where they are. It does not know their
//! contents.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Programs that every command with a key sees, where the machine has them: the utilities of POSIX without those for
/// development and administration, and GNU's coreutils. Their contents are one member of the key.
pub(crate) const BASE: &[&str] = &[
    "[",
    "arch",
    "awk",
    "b2sum",
    "base32",
    "base64",
    "basename",
    "basenc",
    "bc",
    "cat",
    "chgrp",
    "chmod",
    "chown",
    "cksum",
    "cmp",
    "comm",
    "cp",
    "csplit",
    "cut",
    "date",
    "dd",
    "df",
    "diff",
    "dir",
    "dirname",
    "du",
    "echo",
    "ed",
    "egrep",
    "env",
    "expand",
    "expr",
    "factor",
    "false",
    "fgrep",
    "find",
    "fmt",
    "fold",
    "getconf",
    "grep",
    "groups",
    "head",
    "hostname",
    "iconv",
    "id",
    "install",
    "join",
    "kill",
    "link",
    "ln",
    "locale",
    "logname",
    "ls",
    "m4",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mktemp",
    "mv",
    "nice",
    "nl",
    "nohup",
    "nproc",
    "numfmt",
    "od",
    "paste",
    "patch",
    "pathchk",
    "pr",
    "printenv",
    "printf",
    "ps",
    "ptx",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "sh",
    "sha1sum",
    "sha224sum",
    "sha256sum",
    "sha384sum",
    "sha512sum",
    "shred",
    "shuf",
    "sleep",
    "sort",
    "split",
    "stat",
    "stdbuf",
    "stty",
    "sum",
    "sync",
    "tac",
    "tail",
    "tee",
    "test",
    "time",
    "timeout",
    "touch",
    "tr",
    "true",
    "truncate",
    "tsort",
    "tty",
    "uname",
    "unexpand",
    "uniq",
    "unlink",
    "users",
    "vdir",
    "wc",
    "which",
    "who",
    "whoami",
    "xargs",
    "yes",
];

/// Returns the programs of the base set in the first of `places` that has each. The names in a place are read at
/// once: to ask every place for every name would be most of what a command that is up to date costs.
pub(crate) fn base_programs(places: &[&Path]) -> Vec<(&'static str, PathBuf)> {
    let mut found = BTreeMap::new();
    let mut seen = Vec::new();
    for place in places {
        if seen.contains(place) {
            continue;
        }
        seen.push(*place);
        for name in base_names(place) {
            if !found.contains_key(name) && is_program(&place.join(name)) {
                found.insert(name, place.join(name));
            }
        }
    }
    found.into_iter().collect()
}

/// Returns the names of the base set that a directory has, and all of them for one that can be searched but not read.
fn base_names(place: &Path) -> Vec<&'static str> {
    let names = match fs::read_dir(place) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>(),
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => Ok(vec![]),
        Err(error) => Err(error),
    };
    let Ok(names) = names else { return BASE.to_vec() };
    let known = |name: &std::ffi::OsString| Some(BASE[BASE.binary_search(&name.to_str()?).ok()?]);
    names.iter().filter_map(known).collect()
}

/// Returns true for a file that can be started.
pub(crate) fn is_program(path: &Path) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    metadata.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first place with a program counts: not one with a file of that name which can't be started, nor one twice;
    /// a place that can't be read is searched.
    #[test]
    fn base_programs_are_those_of_the_first_place() {
        use std::os::unix::fs::PermissionsExt;
        assert!(BASE.is_sorted(), "names are looked up by halves");
        let root = std::env::temp_dir().join(format!("rondel-base-{}", std::process::id()));
        let file = |place: &str, name: &str, mode: u32| {
            fs::create_dir_all(root.join(place)).unwrap();
            fs::write(root.join(place).join(name), "").unwrap();
            fs::set_permissions(root.join(place).join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        file("a", "cat", 0o644);
        file("a", "other", 0o755);
        file("b", "cat", 0o755);
        file("b", "ls", 0o755);
        file("c", "cat", 0o755);
        file("c", "[", 0o755);
        std::os::unix::fs::symlink(root.join("c/["), root.join("b/yes")).unwrap();
        std::os::unix::fs::symlink(root.join("nowhere"), root.join("b/wc")).unwrap();
        fs::set_permissions(root.join("c"), fs::Permissions::from_mode(0o311)).unwrap();
        let places: Vec<PathBuf> = ["a", "none", "a/cat", "b", "c", "b"].iter().map(|name| root.join(name)).collect();
        let found = base_programs(&places.iter().map(PathBuf::as_path).collect::<Vec<_>>());
        let expected: Vec<(&str, PathBuf)> = [("[", "c/["), ("cat", "b/cat"), ("ls", "b/ls"), ("yes", "b/yes")]
            .map(|(name, at)| (name, root.join(at)))
            .into();
        assert_eq!(found, expected);
        fs::set_permissions(root.join("c"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::remove_dir_all(&root).unwrap();
    }
}
