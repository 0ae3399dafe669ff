//! What a watcher tells of real changes, notified and looking.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

/// What is done to a file, in words and in deed.
type Change<'a> = (&'a str, &'a dyn Fn(&Path));

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let place = std::env::temp_dir().join(format!("rondel-watch-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(place.join("a")).unwrap();
        fs::create_dir_all(place.join("b")).unwrap();
        fs::write(place.join("a/file"), "1").unwrap();
        Place(place)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn set(&self, paths: &[&str]) -> BTreeSet<PathBuf> {
        paths.iter().map(|path| self.path(path)).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn both(name: &str, check: impl Fn(&Place, Watcher)) {
    for (kind, watcher) in [("notified", Watcher::new()), ("looking", Watcher::looking())] {
        check(&Place::new(&format!("{name}-{kind}")), watcher);
    }
}

#[test]
fn whatever_an_editor_does() {
    both("editor", |place, mut watcher| {
        assert_eq!(watcher.watch(&place.set(&["a"])), None);
        assert!(watcher.wait(Duration::ZERO).is_empty());
        let file = place.path("a/file");
        let changes: [Change<'_>; 5] = [
            ("in place", &|path| fs::write(path, "22").unwrap()),
            ("by another name", &|path| {
                fs::write(path.with_extension("tmp"), "333").unwrap();
                fs::rename(path.with_extension("tmp"), path).unwrap();
            }),
            ("permissions", &|path| {
                use std::os::unix::fs::PermissionsExt;
                fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
            }),
            ("removed", &|path| fs::remove_file(path).unwrap()),
            ("made again", &|path| fs::write(path, "4444").unwrap()),
        ];
        for (what, change) in changes {
            change(&file);
            let seen = watcher.wait(PATIENCE);
            assert!(seen.paths().contains(&file) && !seen.is_everything(), "{what}: {seen:?}");
            assert!(watcher.wait(Duration::from_millis(600)).is_empty(), "{what}: one series");
        }
    });
}

#[test]
fn exactly_the_directories() {
    both("exactly", |place, mut watcher| {
        watcher.watch(&place.set(&["a"]));
        fs::write(place.path("b/other"), "x").unwrap();
        assert!(watcher.wait(Duration::from_millis(600)).is_empty());
        watcher.watch(&place.set(&["b"]));
        fs::write(place.path("a/file"), "x").unwrap();
        fs::create_dir(place.path("b/new")).unwrap();
        let seen = watcher.wait(PATIENCE);
        assert_eq!(seen.paths(), &place.set(&["b/new"]));
        // The new directory is watched once somebody says so.
        watcher.watch(&place.set(&["b", "b/new"]));
        fs::write(place.path("b/new/file"), "x").unwrap();
        assert!(watcher.wait(PATIENCE).paths().contains(&place.path("b/new/file")));
    });
}

/// A directory that goes and comes back under the same name.
#[test]
fn a_directory_of_the_same_name() {
    both("again", |place, mut watcher| {
        watcher.watch(&place.set(&["", "a"]));
        fs::remove_dir_all(place.path("a")).unwrap();
        fs::create_dir(place.path("a")).unwrap();
        fs::write(place.path("a/file"), "new").unwrap();
        assert!(!watcher.wait(PATIENCE).is_empty());
        watcher.watch(&place.set(&["", "a"]));
        while !watcher.wait(Duration::from_millis(600)).is_empty() {}
        fs::write(place.path("a/file"), "newer").unwrap();
        assert!(watcher.wait(PATIENCE).paths().contains(&place.path("a/file")));
    });
}

/// A checkout of thousands of files is one series, and too many names are everything.
#[test]
fn thousands_of_files() {
    let place = Place::new("thousands");
    let mut watcher = Watcher::new();
    watcher.watch(&place.set(&["a"]));
    for number in 0..6000 {
        fs::write(place.path(&format!("a/{number}")), "x").unwrap();
    }
    let seen = watcher.wait(PATIENCE);
    assert!(seen.is_everything(), "{} paths", seen.paths().len());
    assert!(watcher.wait(Duration::from_millis(300)).is_empty());
}
