//! `OwnWrites`: where Rondel itself changes names in the tree while steps run. Such a change is none of a step's inputs,
//! though the directory's times show it. Knows neither steps nor inputs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// What one write can change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All of the tree: a command runs there.
    Everything,
    /// The names in some directories, and all that is in some others.
    Places { directories: Vec<PathBuf>, trees: Vec<PathBuf> },
}

impl Reach {
    /// What changes when outputs are put at these places below `root`: the place itself, the names in its directory, and
    /// those in the directory above all that have to be made for it.
    pub fn of_outputs<'a>(root: &Path, places: impl IntoIterator<Item = &'a Path>) -> Reach {
        let (mut directories, mut trees) = (Vec::new(), Vec::new());
        for place in places {
            let above: Vec<&Path> = place.ancestors().skip(1).take_while(|above| above.starts_with(root)).collect();
            let existing = above.iter().position(|above| above.exists()).unwrap_or(above.len().saturating_sub(1));
            let changed = &above[..above.len().min(existing + 1)];
            directories.extend(changed.iter().map(|directory| directory.to_path_buf()));
            trees.push(place.to_owned());
            // Inputs may be known by another path to the same directory: links are allowed on the way to an output.
            let Some(nearest) = changed.last() else { continue };
            if let Ok(real) = nearest.canonicalize()
                && real != **nearest
            {
                let elsewhere = |path: &Path| path.strip_prefix(nearest).map(|below| real.join(below)).ok();
                directories.push(real.clone());
                directories.extend(changed[..changed.len() - 1].iter().filter_map(|path| elsewhere(path)));
                trees.extend(elsewhere(place));
            }
        }
        Reach::Places { directories, trees }
    }

    /// Returns true if the names in `directory` may have changed.
    pub fn covers(&self, directory: &Path) -> bool {
        match self {
            Reach::Everything => true,
            Reach::Places { directories, trees } => {
                directories.iter().any(|own| own == directory) || trees.iter().any(|tree| directory.starts_with(tree))
            }
        }
    }
}

/// The writes of one process, in their order.
#[derive(Default)]
pub(crate) struct OwnWrites(Mutex<Known>);

#[derive(Default)]
struct Known {
    done: Vec<Arc<Reach>>,
    running: Vec<Arc<Reach>>,
}

impl OwnWrites {
    /// Does `work`, which writes within `reach`.
    pub fn during<T>(&self, reach: Reach, work: impl FnOnce() -> T) -> T {
        let reach = Arc::new(reach);
        self.with(|known| known.running.push(reach.clone()));
        let outcome = work();
        self.with(|known| {
            known.running.retain(|other| !Arc::ptr_eq(other, &reach));
            known.done.push(reach);
        });
        outcome
    }

    /// Records a write that is over before any step looks at its inputs again.
    pub fn note(&self, reach: Reach) {
        self.during(reach, || ());
    }

    /// Returns a number for `since`.
    pub fn count(&self) -> usize {
        self.with(|known| known.done.len())
    }

    /// Returns all writes that were not over when `count` gave this number, those that are not over yet too.
    pub fn since(&self, count: usize) -> Vec<Arc<Reach>> {
        self.with(|known| known.done.iter().skip(count).chain(&known.running).cloned().collect())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.0.lock().expect("no panic while locked"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Only what the output needs: a directory beside it, or one above that was there before, is somebody else's.
    #[test]
    fn an_output_reaches_its_own_directories() {
        let root = std::env::temp_dir().join(format!("rondel-own-writes-{}", std::process::id()));
        fs::create_dir_all(root.join("real/bin")).unwrap();
        let root = root.canonicalize().unwrap();
        let covered = |place: &str| -> Vec<&str> {
            let place = root.join(place);
            let reach = Reach::of_outputs(&root, [place.as_path()]);
            let all = ["", "cmd", "dist", "dist/a", "dist/a/x", "dist/a/x/deep", "real", "real/bin", "real/bin/x"];
            let is_own = |name: &&str| {
                let path = root.join(name);
                reach.covers(if name.is_empty() { &root } else { &path })
            };
            all.into_iter().filter(is_own).collect()
        };
        assert_eq!(covered("dist/a/x"), ["", "dist", "dist/a", "dist/a/x", "dist/a/x/deep"]);
        assert_eq!(covered("real/bin/x"), ["real/bin", "real/bin/x"]);
        fs::create_dir(root.join("dist")).unwrap();
        assert_eq!(covered("dist/a/x"), ["dist", "dist/a", "dist/a/x", "dist/a/x/deep"]);
        assert_eq!(covered("x"), [""]);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("real", root.join("link")).unwrap();
            assert_eq!(covered("link/bin/x"), ["real/bin", "real/bin/x"]);
            assert_eq!(covered("link/new/x"), ["real"]);
        }
        fs::remove_dir_all(&root).unwrap();
    }

    /// A write that began before a step and ended after it began, and one that is not over, may each have been seen.
    #[test]
    fn a_write_counts_until_it_is_over() {
        let writes = OwnWrites::default();
        writes.note(Reach::Everything);
        let before = writes.count();
        assert_eq!(writes.since(before), []);
        let reach = || Reach::Places { directories: vec![PathBuf::from("/a")], trees: Vec::new() };
        let during = writes.during(reach(), || {
            let begun = writes.count();
            assert_eq!(*writes.since(begun)[0], reach());
            begun
        });
        assert_eq!((writes.since(during).len(), writes.since(before).len()), (1, 1));
        assert_eq!(writes.since(writes.count()), []);
    }
}
