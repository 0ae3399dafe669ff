//! Databases of rpm: which files they are, and the packages that they list. Three formats are read: SQLite (Fedora since 33, RHEL 9),
//! `ndb` (openSUSE) and Berkeley DB (RHEL to 8, Amazon Linux 2).
//!
//! The bytes are a stranger's. No reader looks at a page twice or takes more memory than the file has bytes. None of
//! them knows what a package is: they return the headers, and `header` reads those.

mod berkeley;
mod header;
mod ndb;
mod numbers;
mod sqlite;

use std::collections::BTreeMap;

/// Directories of databases: usual, of openSUSE and of Fedora since 36, of rpm-ostree.
const DIRECTORIES: &[&str] = &["var/lib/rpm/", "usr/lib/sysimage/rpm/", "usr/share/rpm/"];
/// What SQLite wrote and has not moved into the database yet.
const SQLITE_LOG: &str = "rpmdb.sqlite-wal";
/// Databases by precedence: a converted one may stand beside its origin.
const NAMES: &[&str] = &["rpmdb.sqlite", "Packages.db", "Packages"];

/// Returns true if a file of an image, by its path without the first `/`, belongs to a database.
pub(crate) fn is_database(path: &str) -> bool {
    let name = DIRECTORIES.iter().find_map(|directory| path.strip_prefix(directory));
    name.is_some_and(|name| name == SQLITE_LOG || NAMES.contains(&name))
}

/// A package, and the path of the database that it is from.
pub(crate) struct Listed {
    pub path: String,
    pub fields: BTreeMap<String, String>,
}

/// Returns all packages. The error says which file is wrong, and why.
pub(crate) fn packages(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<Listed>, String> {
    let mut found = Vec::new();
    for directory in DIRECTORIES {
        let paths = NAMES.iter().map(|name| format!("{directory}{name}"));
        let Some((path, bytes)) = paths.into_iter().find_map(|path| files.get_key_value(&path)) else { continue };
        let log = files.get(&format!("{directory}{SQLITE_LOG}")).map_or(&[][..], Vec::as_slice);
        let headers = match path.rsplit('/').next() {
            Some("rpmdb.sqlite") => sqlite::blobs(bytes, log),
            Some("Packages.db") => ndb::blobs(bytes),
            _ => berkeley::blobs(bytes),
        };
        let wrong = |message: String| format!("`/{path}`: {message}");
        for header in headers.map_err(wrong)? {
            found.push(Listed { path: path.clone(), fields: header::fields(&header).map_err(wrong)? });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three packages that rpm 4.18 installed: a database of pages of 512 bytes, so that its tree has branches and rows go on in other
    /// pages, and a log in which libalpha is removed.
    const SQLITE: &[u8] = include_bytes!("samples/rpmdb.sqlite");
    const LOG: &[u8] = include_bytes!("samples/rpmdb.sqlite-wal");
    /// The same, written by `db5.3_load` (rpm reads it), and by the source of rpm's ndb.
    const BERKELEY: &[u8] = include_bytes!("samples/Packages");
    const NDB: &[u8] = include_bytes!("samples/Packages.db");

    fn names(files: &[(&str, &[u8])]) -> Result<Vec<String>, String> {
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
        let mut names: Vec<String> = packages(&files)?.iter().map(|listed| listed.fields["Name"].clone()).collect();
        names.sort();
        Ok(names)
    }

    #[test]
    fn each_format_has_the_same_packages() {
        let all = ["beta", "gamma+extra", "libalpha"];
        for (path, bytes) in [
            ("var/lib/rpm/rpmdb.sqlite", SQLITE),
            ("var/lib/rpm/Packages", BERKELEY),
            ("usr/share/rpm/Packages.db", NDB),
        ] {
            assert_eq!(names(&[(path, bytes)]).unwrap(), all, "{path}");
        }
    }

    #[test]
    fn what_sqlite_has_only_in_its_log_counts() {
        let path = "usr/lib/sysimage/rpm/rpmdb.sqlite";
        let log = format!("{path}-wal");
        assert_eq!(names(&[(path, SQLITE), (&log, LOG)]).unwrap(), ["beta", "gamma+extra"]);
        // Up to a frame that is not whole, as after a power cut.
        assert_eq!(names(&[(path, SQLITE), (&log, &LOG[..LOG.len() - 1])]).unwrap().len(), 3);
        let mut damaged = LOG.to_vec();
        damaged[60] ^= 1;
        assert_eq!(names(&[(path, SQLITE), (&log, &damaged)]).unwrap().len(), 3);
        assert_eq!(names(&[(path, SQLITE), (&log, b"")]).unwrap().len(), 3);
    }

    #[test]
    fn fields_of_a_package() {
        let files = BTreeMap::from([("var/lib/rpm/rpmdb.sqlite".to_owned(), SQLITE.to_vec())]);
        let found = packages(&files).unwrap();
        let beta = found.into_iter().find(|listed| listed.fields["Name"] == "beta").unwrap().fields;
        let shown: Vec<_> = beta.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            shown,
            [
                "Architecture=noarch",
                "Epoch=7",
                "License=GPLv2+ and MIT",
                "Name=beta",
                "Release=1",
                "Source=beta-2.0~rc1^20240101git-1.src.rpm",
                "Version=2.0~rc1^20240101git",
            ]
        );
    }

    #[test]
    fn what_is_no_database_is_an_error() {
        for name in NAMES {
            let path = format!("var/lib/rpm/{name}");
            for bytes in [&b""[..], &[0; 5000]] {
                let error = names(&[(&path, bytes)]).unwrap_err();
                assert!(error.starts_with(&format!("`/{path}`: ")), "{error}");
            }
        }
        for (name, sample) in [("rpmdb.sqlite", SQLITE), ("Packages", BERKELEY), ("Packages.db", NDB)] {
            let path = format!("var/lib/rpm/{name}");
            assert!(names(&[(&path, &sample[..sample.len() - 600])]).is_err(), "{name}: a package that is cut off");
        }
    }
}
