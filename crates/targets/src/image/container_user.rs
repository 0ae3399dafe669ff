//! `ContainerUser`: whom an image's `user` is in a container, and what that user may execute. It knows no paths.

use std::collections::BTreeSet;

use rondel_oci::{BaseKind, LayerProgram};

/// The user of a container's processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerUser {
    uid: u32,
    /// All groups that an engine may give to the user; `None` if they are not known.
    gids: Option<BTreeSet<u32>>,
}

impl ContainerUser {
    /// Returns the user by the tables of the image, each `None` if its text is not known; `None` if that does not tell.
    pub fn of(user: &str, passwd: Option<&str>, groups: Option<&str>) -> Option<ContainerUser> {
        let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
        if name.is_empty() {
            return Some(ContainerUser { uid: 0, gids: None });
        }
        let number: Option<u32> = name.parse().ok();
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let uid_of = |fields: &Vec<String>| fields.get(2).and_then(|uid| uid.parse::<u32>().ok());
        let line = passwd.and_then(|table| {
            let mut lines = table.lines().map(fields);
            lines.find(|line| line[0] == name || (number.is_some() && uid_of(line) == number))
        });
        let uid = line.as_ref().and_then(uid_of).or(number)?;
        Some(ContainerUser { uid, gids: passwd.zip(groups).and_then(|(_, groups)| gids(name, group, line, groups)) })
    }

    /// Returns true unless Linux refuses to execute the file, or to search the directory.
    pub fn may_execute(&self, entry: &LayerProgram) -> bool {
        let allowed = match &entry.kind {
            BaseKind::Symlink(_) | BaseKind::Other => return true,
            BaseKind::Directory if self.uid == 0 => return true,
            BaseKind::File if self.uid == 0 => 0o111,
            _ if self.uid == entry.uid => 0o100,
            // Engines differ in whom they put into which group.
            _ if self.gids.as_ref().is_none_or(|gids| gids.contains(&entry.gid)) => 0o011,
            _ => 0o001,
        };
        entry.mode & allowed != 0
    }
}

/// Returns the groups of the user whose line of passwd has these fields.
fn gids(name: &str, group: Option<&str>, line: Option<Vec<String>>, groups: &str) -> Option<BTreeSet<u32>> {
    let groups: Vec<Vec<&str>> = groups.lines().map(|line| line.split(':').collect()).collect();
    let number = |fields: &Vec<&str>| fields.get(2).and_then(|gid| gid.parse::<u32>().ok());
    let first = match group {
        None => match &line {
            Some(line) => line.get(3)?.parse().ok()?,
            // As engines have it.
            None => 0,
        },
        Some(group) => match group.parse() {
            Ok(gid) => gid,
            Err(_) => number(groups.iter().find(|fields| fields[0] == group)?)?,
        },
    };
    let own_name = line.as_ref().map_or(name, |line| line[0].as_str());
    let has = |fields: &&Vec<&str>| fields.get(3).is_some_and(|members| members.split(',').any(|one| one == own_name));
    Some(groups.iter().filter(has).filter_map(number).chain([first]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\napp:x:10001:7::/:\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,app\nstaff:x:50:\n";

    #[test]
    fn users() {
        let of = |user: &str| {
            let found = ContainerUser::of(user, Some(PASSWD), Some(GROUP))?;
            Some((found.uid, found.gids.map(|gids| gids.into_iter().collect::<Vec<_>>())))
        };
        for (user, uid, gids) in [
            ("app", 10001, Some(vec![7, 10])),
            ("10001", 10001, Some(vec![7, 10])),
            ("app:staff", 10001, Some(vec![10, 50])),
            ("10001:10001", 10001, Some(vec![10, 10001])),
            // Nobody of that number: the group is root's.
            ("65532", 65532, Some(vec![0])),
            ("65532:9", 65532, Some(vec![9])),
            ("app:nobody", 10001, None),
            ("", 0, None),
        ] {
            assert_eq!(of(user), Some((uid, gids)), "{user}");
        }
        assert_eq!(of("stranger"), None);
        // Without tables.
        assert_eq!(ContainerUser::of("app", None, Some(GROUP)), None);
        let expected = Some(ContainerUser { uid: 65532, gids: None });
        assert_eq!(ContainerUser::of("65532", None, Some(GROUP)), expected);
        assert_eq!(ContainerUser::of("65532", Some(PASSWD), None), expected);
        for broken in ["app", "app:x", "app:x:1", "app:x:y:z", ":::", "\0"] {
            let _ = ContainerUser::of("app", Some(broken), Some(broken));
        }
    }

    #[test]
    fn permissions() {
        let entry = |kind: BaseKind, mode: u32| LayerProgram { kind, mode, uid: 1, gid: 2, start: None };
        let file = |mode| entry(BaseKind::File, mode);
        let user = |uid: u32, gids: &[u32]| ContainerUser { uid, gids: Some(gids.iter().copied().collect()) };
        let unknown = ContainerUser { uid: 9, gids: None };
        let root = user(0, &[0]);
        for (user, mode, expected) in [
            (&user(1, &[2]), 0o700, true),
            (&user(1, &[2]), 0o655, false),
            (&user(9, &[2]), 0o710, true),
            (&user(9, &[2]), 0o700, false),
            (&user(9, &[9]), 0o750, false),
            (&user(9, &[9]), 0o701, true),
            (&unknown, 0o710, true),
            (&unknown, 0o700, false),
            (&root, 0o700, true),
            (&root, 0o001, true),
            (&root, 0o644, false),
        ] {
            assert_eq!(user.may_execute(&file(mode)), expected, "{user:?} {mode:o}");
        }
        assert!(root.may_execute(&entry(BaseKind::Directory, 0)), "root may search all directories");
        assert!(!user(9, &[9]).may_execute(&entry(BaseKind::Directory, 0o750)));
        assert!(user(9, &[9]).may_execute(&entry(BaseKind::Symlink("x".to_owned()), 0)));
    }
}
