//! Which directories are watched: exactly those that decide inputs and the values of variables, with the ones above them. While a step has failed whose inputs are
//! not known, those of the whole tree.

use std::collections::BTreeSet;
use std::fs::{DirEntry, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rondel_engine::{Outcome, Summary};
use rondel_watch::Changes;

/// The most directories of a tree that are looked for.
const DIRECTORIES_MAX: usize = 50_000;
/// How far the time of a file may lag behind the clock.
const COARSE: Duration = Duration::from_millis(20);

/// What decides the places to watch.
pub(crate) struct Known<'a> {
    /// Directory of build.ron.
    pub root: &'a Path,
    /// The last build, if there was one.
    pub summary: Option<&'a Summary>,
    /// Files that values came from.
    pub seen: &'a BTreeSet<PathBuf>,
    /// The places before that build.
    pub former: &'a BTreeSet<PathBuf>,
}

/// Returns the directories to watch after a build. `is_own` tells what Rondel writes itself.
pub(crate) fn to_watch(known: &Known<'_>, is_own: &dyn Fn(&Path) -> bool) -> BTreeSet<PathBuf> {
    let Known { root, summary, seen, former } = *known;
    let mut places = BTreeSet::from([root.to_owned()]);
    for file in seen {
        let there = file.ancestors().skip(1).find(|place| place.is_dir());
        places.extend(there.map(Path::to_owned));
    }
    let mut add = |place: &Path| {
        if !is_own(place) && !places.contains(place) {
            places.insert(place.to_owned());
        }
    };
    let is_known = |outcome: &Outcome| matches!(outcome, Outcome::Ran | Outcome::Cached | Outcome::Restored);
    let is_whole =
        summary.is_some_and(|summary| summary.failures.is_empty() && summary.outcomes.values().all(is_known));
    let mut is_open = false;
    for result in summary.iter().flat_map(|summary| summary.results.values()) {
        result.sources.inputs.each_place_to_watch(&mut add);
        is_open |= result.sources.inputs.is_everything_watched();
    }
    if !is_whole || is_open {
        former.iter().for_each(|place| add(place));
        below(root, is_own, &mut add);
    }
    // A directory that is new comes to be in one above.
    for place in places.clone() {
        let above = place.ancestors().skip(1).take_while(|above| above.starts_with(root));
        places.extend(above.map(Path::to_owned));
    }
    places
}

/// Returns what has changed in directories since a time. Nobody told of that: they were not watched then. What is above one of the
/// places `own` changes when Rondel writes there.
pub(crate) fn changed_since<'a>(
    begun: SystemTime,
    directories: impl Iterator<Item = &'a PathBuf>,
    own: &[PathBuf],
) -> Changes {
    let since = begun.checked_sub(COARSE).unwrap_or(begun);
    let mut changes = Changes::default();
    for directory in directories {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let is_young = |entry: &DirEntry| entry.metadata().ok().and_then(|found| changed(&found)) >= Some(since);
        let young = entries.filter(is_young).map(|entry| entry.path());
        young.filter(|path| !own.iter().any(|own| own.starts_with(path))).for_each(|path| changes.insert(path));
    }
    changes
}

/// Returns when a file was written, or came to be where it is, as far as the system tells.
#[cfg(unix)]
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let (seconds, nanoseconds) = (u64::try_from(metadata.ctime()).ok()?, u32::try_from(metadata.ctime_nsec()).ok()?);
    Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds))
}

#[cfg(not(unix))]
fn changed(metadata: &Metadata) -> Option<SystemTime> {
    metadata.modified().ok()
}

/// Visits the directories below `root` that may hold sources.
fn below(root: &Path, is_own: &dyn Fn(&Path) -> bool, visit: &mut dyn FnMut(&Path)) {
    let mut open = vec![root.to_owned()];
    let mut count = 0;
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_hidden = entry.file_name().to_str().is_some_and(|name| name == ".git" || name == "node_modules");
            if count < DIRECTORIES_MAX
                && !is_hidden
                && entry.file_type().is_ok_and(|kind| kind.is_dir())
                && !is_own(&path)
            {
                count += 1;
                visit(&path);
                open.push(path);
            }
        }
    }
}
