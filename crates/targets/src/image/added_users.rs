//! Users that an image adds to those of its base: lines of passwd and group.

use rondel_buildfile::{Span, UserNumbers};
use rondel_cas::RelativePath;

/// A user that the base does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddedUser {
    pub name: String,
    pub numbers: UserNumbers,
    /// Its place in build.ron.
    pub span: Span,
}

impl AddedUser {
    /// Returns its line of passwd.
    pub fn passwd_line(&self) -> String {
        let (name, UserNumbers { uid, gid }) = (&self.name, self.numbers);
        format!("{name}:x:{uid}:{gid}:{name}:/home/{name}:/sbin/nologin")
    }

    /// Returns the line of its group.
    pub fn group_line(&self) -> String {
        format!("{}:x:{}:", self.name, self.numbers.gid)
    }
}

/// Permissions of the home of an added user.
pub(crate) const HOME_MODE: u32 = 0o700;

/// The tables of users and groups.
pub(crate) const PASSWD: &str = "etc/passwd";
pub(crate) const GROUP: &str = "etc/group";

/// Returns a table with a line more, if it has none that begins with `name`. An entry with other numbers is an error.
pub(crate) fn extended(table: &[u8], name: &str, line: &str) -> Result<Vec<u8>, String> {
    let text = String::from_utf8_lossy(table);
    let numbers = |line: &str| line.split(':').skip(2).take_while(|field| field.parse::<u32>().is_ok()).count();
    let wanted: Vec<&str> = line.split(':').skip(2).take(numbers(line)).collect();
    if let Some(there) = text.lines().find(|there| there.split(':').next() == Some(name)) {
        let found: Vec<&str> = there.split(':').skip(2).take(wanted.len()).collect();
        return match found == wanted {
            true => Ok(table.to_vec()),
            false => Err(format!("`{name}` is in the base, with the numbers {}", found.join(":"))),
        };
    }
    let mut extended = table.to_vec();
    if !extended.is_empty() && !extended.ends_with(b"\n") {
        extended.push(b'\n');
    }
    extended.extend(format!("{line}\n").bytes());
    Ok(extended)
}

impl AddedUser {
    /// Returns the user's home in the image.
    pub fn home(&self) -> RelativePath {
        RelativePath::new(&format!("home/{}", self.name)).expect("the name was checked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let numbers = UserNumbers { uid: 10_001, gid: 7 };
        let user = AddedUser { name: "app".to_owned(), numbers, span: Span::default() };
        let passwd = |table: &str| {
            let found = extended(table.as_bytes(), "app", &user.passwd_line());
            found.map(|table| String::from_utf8(table).unwrap())
        };
        let line = "app:x:10001:7:app:/home/app:/sbin/nologin\n";
        assert_eq!(passwd("").unwrap(), line);
        assert_eq!(passwd("root:x:0:0").unwrap(), format!("root:x:0:0\n{line}"));
        // Only a whole name counts, and what fits is left as it is.
        assert_eq!(passwd("application:x:1:1::/:\n").unwrap(), format!("application:x:1:1::/:\n{line}"));
        assert_eq!(passwd("app:!:10001:7:An app:/srv:/bin/sh\n").unwrap(), "app:!:10001:7:An app:/srv:/bin/sh\n");
        assert_eq!(passwd("app:x:1:7::/:\n").unwrap_err(), "`app` is in the base, with the numbers 1:7");
        let group = extended(b"root:x:0:\n", "app", &user.group_line()).unwrap();
        assert_eq!(String::from_utf8(group).unwrap(), "root:x:0:\napp:x:7:\n");
        assert!(extended(b"app:x:8:\n", "app", &user.group_line()).is_err());
    }
}
