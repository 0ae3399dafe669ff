//! Modes and owners of the entries of a layer: as declared, as the base has them, or root's.

use std::collections::BTreeMap;
use std::path::Path;

use rondel_buildfile::{Attributes, Owner, Span};
use rondel_cas::{RelativePath, read_at_most};
use rondel_engine::{StepError, UserError};
use rondel_oci::{LayerEntry, LayerSource, add_parents};

use crate::base::BaseView;
use crate::image::added_users::{AddedUser, GROUP, HOME_MODE, PASSWD};
use crate::image::places::{Boundary, OutputPlace, Placed, TreeFiles};

/// Maximum size of a passwd or group file in bytes.
const TABLE_MAX: u64 = 1 << 20;

/// Declared attributes with numbers for names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub mode: Option<u32>,
    pub owner: Option<(u32, u32)>,
    /// Bits of the capabilities of a file.
    pub capabilities: u64,
}

impl Resolved {
    /// Returns the words for keys; empty if nothing is declared.
    pub fn words(&self) -> String {
        let mode = self.mode.map(|mode| format!(" mode {mode:o}"));
        let owner = self.owner.map(|(uid, gid)| format!(" owner {uid}:{gid}"));
        let capabilities = (self.capabilities != 0).then(|| format!(" capabilities {:x}", self.capabilities));
        [mode, owner, capabilities].into_iter().flatten().collect()
    }

    /// Returns the entry of a file that is named itself: its mode is as declared.
    pub fn file(&self, source: LayerSource, executable: bool) -> LayerEntry {
        let entry = self.owned(LayerEntry::file(source, executable));
        LayerEntry { mode: self.mode.unwrap_or(entry.mode), capabilities: self.capabilities, ..entry }
    }

    /// Returns the entry of a file in a directory that is named. The sticky bit is for directories.
    pub fn inner_file(&self, source: LayerSource, executable: bool) -> LayerEntry {
        let entry = self.file(source, executable);
        LayerEntry { mode: entry.mode & 0o6777, ..entry }
    }

    /// Returns the entry of a link.
    pub fn link(&self, target: String) -> LayerEntry {
        self.owned(LayerEntry { mode: 0o777, ..LayerEntry::file(LayerSource::Symlink(target), false) })
    }

    /// Returns the entry of a directory, based on `entry`. It can be searched wherever it can be read.
    pub fn directory(&self, entry: LayerEntry) -> LayerEntry {
        let entry = self.owned(entry);
        let search = |mode: u32| (mode & 0o3777) | ((mode & 0o444) >> 2);
        LayerEntry { mode: self.mode.map_or(entry.mode, search), ..entry }
    }

    fn owned(&self, entry: LayerEntry) -> LayerEntry {
        let (uid, gid) = self.owner.unwrap_or((entry.uid, entry.gid));
        LayerEntry { uid, gid, ..entry }
    }
}

/// The users and groups of an image.
pub(crate) struct Users<'a> {
    boundary: &'a Boundary,
    files: &'a [Placed],
    outputs: &'a [OutputPlace],
    base: &'a BaseView,
    added: &'a [AddedUser],
}

enum Table {
    Text(String),
    /// An output of a target, which is another file on each platform.
    Output,
}

impl<'a> Users<'a> {
    /// Returns the users of an image with these files and outputs on a base. Nothing is read before a name needs it.
    pub fn of(boundary: &'a Boundary, tree: &'a TreeFiles, base: &'a BaseView) -> Users<'a> {
        Users { boundary, files: &tree.files, outputs: &tree.outputs, base, added: &tree.users }
    }

    /// Returns numbers for the declared names.
    pub fn resolve(&self, attributes: &Attributes) -> Result<Resolved, StepError> {
        let owner = attributes.owner.as_ref().map(|owner| self.numbers(owner)).transpose()?;
        Ok(Resolved { mode: attributes.mode.map(|mode| mode.bits()), owner, capabilities: 0 })
    }

    fn numbers(&self, owner: &Owner) -> Result<(u32, u32), StepError> {
        let (uid, own_group) = match owner.user.parse() {
            Ok(uid) => (uid, None),
            Err(_) => {
                let fields = Table::of(PASSWD, self)?.find(&owner.user, "user", owner.span)?;
                (number(&fields, 2, owner)?, Some(number(&fields, 3, owner)?))
            }
        };
        let gid = match (&owner.group, own_group) {
            (Some(group), _) => match group.parse() {
                Ok(gid) => gid,
                Err(_) => number(&Table::of(GROUP, self)?.find(group, "group", owner.span)?, 2, owner)?,
            },
            (None, Some(group)) => group,
            (None, None) => uid,
        };
        Ok((uid, gid))
    }
}

fn number(fields: &[String], index: usize, owner: &Owner) -> Result<u32, StepError> {
    let found = fields.get(index).and_then(|field| field.parse().ok());
    found.ok_or_else(|| at(owner.span, format!("the image's passwd or group file has no number for `{}`", owner.user)))
}

fn at(span: Span, message: String) -> StepError {
    StepError::User(UserError::input(message).at(span).hint("write numbers, \"10001:10001\""))
}

impl Table {
    fn of(path: &str, users: &Users<'_>) -> Result<Table, StepError> {
        if users.outputs.iter().any(|output| output.place.as_str() == path) {
            return Ok(Table::Output);
        }
        let (directory, name) = path.split_once('/').expect("a path of two parts");
        for (place, below) in [(path, None), (directory, Some(name))] {
            let Some(placed) = users.files.iter().find(|placed| placed.place.as_str() == place) else { continue };
            let real = users.boundary.resolve(&placed.path)?.place;
            let real = below.map_or_else(|| real.clone(), |name| real.join(name));
            if below.is_none() || real.is_file() {
                return Ok(Table::Text(read(&real)?));
            }
        }
        let mut text = users.base.table(&RelativePath::new(path).expect("a constant"))?;
        for user in users.added {
            let line = if path == PASSWD { user.passwd_line() } else { user.group_line() };
            text.push_str(&format!("\n{line}\n"));
        }
        Ok(Table::Text(text))
    }

    /// Returns the fields of the line that begins with `name`.
    fn find(&self, name: &str, what: &str, span: Span) -> Result<Vec<String>, StepError> {
        let text = match self {
            Table::Text(text) => text,
            Table::Output => {
                return Err(at(span, format!("`{name}` can't be looked up in a file that is the output of a target")));
            }
        };
        let lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
        let found = lines.into_iter().find(|fields| fields[0] == name);
        found.ok_or_else(|| at(span, format!("`{name}` is not a {what} of the image")))
    }
}

fn read(path: &Path) -> Result<String, StepError> {
    let unreadable = |error| StepError::unreadable(path, &error);
    let bytes = read_at_most(path, TABLE_MAX).map_err(unreadable)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The directories of an image whose attributes are known before any file is read.
pub(crate) struct Directories<'a> {
    base: &'a BaseView,
    files: Vec<(&'a RelativePath, Resolved)>,
    /// Directories that are declared themselves.
    made: Vec<(RelativePath, Resolved)>,
}

impl<'a> Directories<'a> {
    /// Returns the directories of an image whose files have these attributes.
    pub fn of(tree: &'a TreeFiles, users: &Users<'_>, base: &'a BaseView) -> Result<Directories<'a>, StepError> {
        let files = tree.files.iter().map(|placed| (&placed.place, &placed.attributes));
        let outputs = tree.outputs.iter().filter(|output| !output.part.is_file());
        let files = files.chain(outputs.map(|output| (&output.place, &output.attributes)));
        let files = files.map(|(place, attributes)| Ok((place, users.resolve(attributes)?)));
        let directories = tree.made.iter().filter(|made| made.link.is_none());
        let made = directories.map(|made| Ok((made.place.clone(), users.resolve(&made.attributes)?)));
        let mut made = made.collect::<Result<Vec<_>, StepError>>()?;
        for user in tree.users.iter().filter(|user| !base.holds(&user.home())) {
            let owner = Some((user.numbers.uid, user.numbers.gid));
            made.push((user.home(), Resolved { mode: Some(HOME_MODE), owner, capabilities: 0 }));
        }
        Ok(Directories { base, files: files.collect::<Result<_, StepError>>()?, made })
    }

    /// Returns the entry of the directory `path`: as the base has it, changed by the file it lies in.
    pub fn entry(&self, path: &RelativePath) -> LayerEntry {
        let base = self.base.directory(path).unwrap_or_else(LayerEntry::directory);
        if let Some((_, attributes)) = self.made.iter().find(|(place, _)| place == path) {
            let entry = attributes.directory(base);
            // It is declared for itself: nothing is added to its mode.
            return LayerEntry { mode: attributes.mode.unwrap_or(entry.mode), ..entry };
        }
        let around = self.files.iter().filter(|(place, _)| path.is_within(place));
        let nearest = around.max_by_key(|(place, _)| place.as_str().len());
        nearest.map_or_else(|| base.clone(), |(_, attributes)| attributes.directory(base.clone()))
    }

    /// Adds the directories above all entries.
    pub fn add_parents(&self, entries: &mut BTreeMap<RelativePath, LayerEntry>) {
        add_parents(entries, &|path| self.entry(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondel_buildfile::{BASE_DIRECTORIES, BASE_FILES, BASE_USERS, PROBE_FILE, ZONE_FILE};

    /// build.ron is checked against these names before any image is made.
    #[test]
    fn the_base_is_what_build_ron_is_checked_against() {
        let (mut files, mut directories) = (Vec::new(), std::collections::BTreeSet::new());
        for (path, entry) in rondel_oci::static_base() {
            match entry.source {
                LayerSource::Directory => drop(directories.insert(format!("/{path}"))),
                _ => files.push(format!("/{path}")),
            }
            let mut parent = path.parent();
            while let Some(directory) = parent {
                parent = directory.parent();
                directories.insert(format!("/{directory}"));
            }
            if let LayerSource::Bytes(bytes) = entry.source
                && path.as_str() == "etc/passwd"
            {
                let text = String::from_utf8(bytes).unwrap();
                let names: Vec<&str> = text.lines().filter_map(|line| line.split(':').next()).collect();
                assert_eq!(names, BASE_USERS);
            }
        }
        assert_eq!(files, BASE_FILES);
        assert_eq!(directories.into_iter().collect::<Vec<_>>(), BASE_DIRECTORIES);
        assert_eq!(format!("/{}", rondel_oci::zoneinfo_path()), ZONE_FILE);
        assert_eq!(format!("/{}", rondel_golang::PROBE_PATH), PROBE_FILE);
    }

    #[test]
    fn a_declared_mode() {
        let declared = |mode| Resolved { mode: Some(mode), owner: Some((7, 8)), capabilities: 0 };
        let directory = |mode| declared(mode).directory(LayerEntry::directory()).mode;
        assert_eq!([0o640, 0o444, 0o1777, 0o4700, 0o2775].map(directory), [0o750, 0o555, 0o1777, 0o700, 0o2775]);
        let file = declared(0o4755).file(LayerSource::Directory, false);
        assert_eq!((file.mode, file.uid, file.gid), (0o4755, 7, 8));
        assert_eq!(declared(0o1777).inner_file(LayerSource::Directory, false).mode, 0o777);
        assert_eq!(Resolved::default().file(LayerSource::Directory, true).mode, 0o755);
        assert_eq!(declared(0o640).words(), " mode 640 owner 7:8");
        assert_eq!(Resolved { capabilities: 1 << 10, ..Resolved::default() }.words(), " capabilities 400");
    }
}
