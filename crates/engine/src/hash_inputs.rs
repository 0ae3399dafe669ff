//! A look at the inputs that globs match: their names, their digests, and what of them nobody can see. Or what somebody vouches for.

use std::path::Path;
use std::sync::Arc;

use rondel_cas::RelativePath;
use rondel_cas::messages::{Directory, DirectoryNode};
use rondel_tree::{GlobSet, Listing, StatSnapshot, WalkError};

use crate::error::StepError;
use crate::inputs::{InputSet, Listed, not_text};
use crate::vouched::Look;

/// Hashes all matching files below `root`. `prefix` goes before their names in the key.
pub fn hash_inputs(
    globs: &GlobSet,
    root: &Path,
    prefix: Option<&RelativePath>,
    snapshot: &StatSnapshot,
) -> Result<InputSet, StepError> {
    let look = Look { globs, root, prefix, snapshot };
    if let Some(inputs) = look.vouched_for() {
        return Ok(inputs);
    }
    let listing = snapshot.list(root, globs).map_err(|error| match error {
        WalkError::Io { path, source } => StepError::unreadable(&path, &source),
        WalkError::Name(error) => not_text(error),
    })?;
    let mut digest = listing.root_digest();
    let mut path = prefix.cloned();
    while let Some(directory) = path {
        let of = |digest| vec![DirectoryNode { name: directory.file_name(), digest }];
        digest = digest.map(|digest| Directory { directories: of(digest), ..Directory::default() }.digest());
        path = directory.parent();
    }
    let blind_spot = blind_spot(&listing, globs, root);
    let idle_glob = listing.idle_glob(globs).map(str::to_owned);
    // Also where nothing matches: a file that came and went must show.
    let inputs = InputSet::known(digest, Arc::new(Listed { listing, prefix: prefix.cloned() }));
    let inputs = inputs.with_doubts(blind_spot, idle_glob);
    look.tell(&inputs);
    Ok(inputs)
}

/// Returns the first link to a directory whose files are not all inputs themselves.
fn blind_spot(listing: &Listing, globs: &GlobSet, root: &Path) -> Option<String> {
    let mut links = listing.links_to_directories().peekable();
    links.peek()?;
    let root = root.canonicalize().ok()?;
    let is_seen = |place: &Path| {
        let target = place.canonicalize().ok();
        target.is_some_and(|target| {
            target.strip_prefix(&root).is_ok_and(|path| path.to_str().is_some_and(|path| globs.covers(path)))
        })
    };
    links.find(|(_, place)| !is_seen(place)).map(|(path, _)| path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::PathBuf;
    use std::sync::Mutex;

    use rondel_cas::Digest;
    use rondel_tree::Vouch;

    use super::*;

    /// What was found, and in which directories.
    type Told = (Vec<u8>, BTreeSet<PathBuf>);

    /// Vouches for everything that it was told, for ever.
    #[derive(Default)]
    struct Credulous(Mutex<BTreeMap<String, Told>>);

    impl Vouch for Credulous {
        fn find(&self, key: &Digest) -> Option<Vec<u8>> {
            self.0.lock().unwrap().get(&key.hex()).map(|(finding, _)| finding.clone())
        }

        fn keep(&self, key: &Digest, finding: Vec<u8>, places: BTreeSet<PathBuf>) {
            self.0.lock().unwrap().insert(key.hex(), (finding, places));
        }
    }

    #[test]
    fn a_finding_is_all_that_a_look_finds() {
        let root = std::env::temp_dir().join(format!("rondel-vouched-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("in/deep")).unwrap();
        fs::write(root.join("in/deep/file"), "1").unwrap();
        let (vouch, globs) = (Arc::new(Credulous::default()), GlobSet::new(["in/**", "no/**"], Vec::new()));
        let look = |globs: &GlobSet| {
            let snapshot = StatSnapshot::open(&root.join("snapshot"));
            snapshot.rely_on(Arc::clone(&vouch) as Arc<dyn Vouch>);
            hash_inputs(globs, &root, None, &snapshot).unwrap()
        };
        let first = look(&globs);
        let places: Vec<BTreeSet<PathBuf>> = vouch.0.lock().unwrap().values().map(|kept| kept.1.clone()).collect();
        assert_eq!(places, [BTreeSet::from([root.clone(), root.join("in"), root.join("in/deep")])]);
        fs::write(root.join("in/deep/file"), "2").unwrap();
        // Believed, with all that is known of it; and listed only if somebody wants to know.
        let second = look(&globs);
        assert_eq!(second.root_digest().unwrap(), first.root_digest().unwrap());
        assert_eq!((second.stat_digest(), second.newest_known_ns()), (first.stat_digest(), first.newest_known_ns()));
        assert_eq!(second.idle_glob(), Some("no/**"));
        assert_eq!(second.iter().count(), 1);
        // Other globs are another finding, and one with a link among its inputs is none.
        assert_ne!(look(&GlobSet::new(["in/*/*"], Vec::new())).root_digest().unwrap(), first.root_digest().unwrap());
        let count = vouch.0.lock().unwrap().len();
        std::os::unix::fs::symlink("file", root.join("in/deep/link")).unwrap();
        look(&GlobSet::new(["in/**"], Vec::new()));
        assert_eq!(vouch.0.lock().unwrap().len(), count);
        fs::remove_dir_all(root).unwrap();
    }
}
