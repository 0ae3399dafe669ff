//! Relations to other packages: `glibc >= 2.36`.

use super::header::Header;
use super::tags;
use crate::package::PackageError;

/// A name with the versions that are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Relation {
    pub name: String,
    pub version: String,
    pub flags: u32,
}

impl Relation {
    pub fn new(name: &str, flags: u32, version: &str) -> Relation {
        Relation { name: name.to_owned(), version: version.to_owned(), flags }
    }

    /// Reads one relation of the list `field`.
    pub fn read(field: &str, text: &str) -> Result<Relation, PackageError> {
        let wrong = || {
            PackageError::Value(format!(
                "`{field}` has `{}`, which is no relation of RPM's: write one package a text, like `glibc` or `glibc >= \
                 2.36`",
                text.escape_default()
            ))
        };
        if text.chars().any(|one| one != ' ' && !one.is_ascii_graphic()) {
            return Err(wrong());
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let (name, flags, version) = match words[..] {
            [name] => (name, 0, ""),
            [name, operator, version] => (name, operator_flags(operator).ok_or_else(wrong)?, version),
            _ => return Err(wrong()),
        };
        let is_name = name.starts_with(|first: char| first.is_ascii_alphanumeric() || "/_".contains(first))
            && name.chars().all(|one| one.is_ascii_alphanumeric() || "._+-/():~^".contains(one))
            && !name.starts_with("rpmlib(");
        let is_version = version.chars().all(|one| one.is_ascii_alphanumeric() || "._+-:~^".contains(one));
        if is_name && is_version { Ok(Relation::new(name, flags, version)) } else { Err(wrong()) }
    }
}

fn operator_flags(operator: &str) -> Option<u32> {
    Some(match operator {
        "<" => tags::LESS,
        "<=" => tags::LESS | tags::EQUAL,
        "=" => tags::EQUAL,
        ">=" => tags::GREATER | tags::EQUAL,
        ">" => tags::GREATER,
        _ => return None,
    })
}

/// Adds a list in order, each relation once.
pub(super) fn add(header: &mut Header, [names, versions, flags]: [u32; 3], mut relations: Vec<Relation>) {
    relations.sort();
    relations.dedup();
    header.texts(names, relations.iter().map(|relation| relation.name.as_str()));
    header.texts(versions, relations.iter().map(|relation| relation.version.as_str()));
    header.numbers(flags, &relations.iter().map(|relation| relation.flags).collect::<Vec<u32>>());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations() {
        let read = |text| Relation::read("depends", text).ok();
        assert_eq!(read("glibc"), Some(Relation::new("glibc", 0, "")));
        assert_eq!(read("glibc >= 1:2.36-1"), Some(Relation::new("glibc", 12, "1:2.36-1")));
        assert_eq!(read("/bin/sh"), Some(Relation::new("/bin/sh", 0, "")));
        assert_eq!(read("libc.so.6(GLIBC_2.34)(64bit)"), Some(Relation::new("libc.so.6(GLIBC_2.34)(64bit)", 0, "")));
        for text in ["", "a b", "a >= ", "a => 1", "a, b", "a\nb", "(a or b)", "rpmlib(X) = 1", "a >= 1,2", "ä"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
