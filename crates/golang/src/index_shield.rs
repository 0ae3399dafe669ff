//! The index shield: what keeps Go's index of packages away from the packages of a build.
//!
//! The go command remembers in GOCACHE what it found in a directory, and believes names, sizes and times of the files
//! (golang/go#69179): after an edit that keeps the size and puts the time back, it builds the former sources. But it makes
//! and uses no index for a directory with a file that is not a regular one (`dirHash` in cmd/go/internal/modindex, from
//! its first version on). So the overlay adds such a file to each directory of local sources. The index stays in force
//! for the standard library and for the module cache, which are checked otherwise.
//!
//! The name begins with a dot, so the file belongs to no package; only an embed pattern can match it.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, SMALL_MAX, read_text_at_most, write_atomically};

use rondel_closure::SourceFile;
use rondel_closure::{is_source, matches_glob};

/// Name of the file in each directory.
pub(crate) const SHIELD: &str = ".rondel-not-indexed";

/// What stands for it. A device needs no time in the future, unlike a regular file. If it is missing, the go command takes
/// the file for one that is not regular too.
pub(crate) const SHIELD_IS: &str = "/dev/null";

/// An overlay for more directories could cost as much as the index saves.
const DIRECTORIES_MAX: usize = 5000;

/// Returns the directories of local sources: those whose files the go command parses. A directory without sources needs no
/// shield: its index holds nothing but names, and an index of other names is another one.
pub(crate) fn source_directories<'a>(files: &'a [SourceFile], outside: &[PathBuf]) -> BTreeSet<&'a Path> {
    let sources = files.iter().filter(|file| file.state.is_some() && is_source(file.name()));
    let mut directories: BTreeSet<&Path> = sources.filter_map(|file| file.path.parent()).collect();
    directories.retain(|directory| !outside.iter().any(|outside| directory.starts_with(outside)));
    directories
}

/// Returns true if the shield changes nothing but the use of the index. `embeds` are directories of packages and their
/// embed patterns.
pub(crate) fn may_shield(directories: &BTreeSet<&Path>, embeds: &BTreeSet<(PathBuf, String)>) -> bool {
    let may_match = |(package, pattern): &(PathBuf, String)| {
        directories
            .iter()
            .any(|directory| directory.strip_prefix(package).is_ok_and(|below| may_embed_shield(pattern, below)))
    };
    directories.len() <= DIRECTORIES_MAX && !embeds.iter().any(may_match)
}

/// Returns true if an embed pattern may match the shield in the directory `below` that of its package.
fn may_embed_shield(pattern: &str, below: &Path) -> bool {
    let (pattern, is_all) = pattern.strip_prefix("all:").map_or((pattern, false), |pattern| (pattern, true));
    let names: Vec<String> = below.join(SHIELD).iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let components: Vec<&str> = pattern.split('/').collect();
    let is_match = components.len() <= names.len()
        && components.iter().zip(&names).all(|(component, name)| matches_glob(component, name));
    // Of a directory that a pattern names, files with a dot are embedded only with `all:`.
    is_match && (is_all || components.len() == names.len())
}

/// Returns true if all of these are directories, and no name on the way to them is a link. In an overlay a link on the way
/// to a file counts as a directory, so a pattern with `...` would go into it.
pub(crate) fn are_real(directories: &BTreeSet<PathBuf>) -> bool {
    let mut known: HashSet<&Path> = HashSet::new();
    directories.iter().all(|directory| {
        // A parent that is known was looked at with all of its own.
        let new: Vec<&Path> = directory.ancestors().take_while(|path| !known.contains(path)).collect();
        known.extend(&new);
        new.iter().all(|path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()))
    })
}

/// Returns true if what GOCACHE may hold as an index of the toolchain at `root` is of the toolchain with this `identity`:
/// the index knows a toolchain by its version, and its files by size and time. Also false if a module in the module cache
/// was ever found changed, since its index is known by the module's name alone.
pub(crate) fn index_is_trusted(build_cache: &Path, scratch: &Path, root: &Path, identity: &str) -> bool {
    if mark_of_changed_module(build_cache).exists() {
        return false;
    }
    let version = identity.split(' ').next().unwrap_or("");
    let name = Digest::of(format!("{version} {}", root.display()).as_bytes()).short();
    let file = build_cache.join("rondel-index").join(name);
    match read_text_at_most(&file, SMALL_MAX) {
        Ok(found) => found == identity,
        // Rondel's other go commands make no index, so what is noted first is what is indexed first.
        Err(_) => write_atomically(scratch, &file, identity.as_bytes()).is_ok(),
    }
}

/// Notes that a module in the module cache was found changed: an index of it may be in GOCACHE.
pub(crate) fn distrust_index(build_cache: &Path, scratch: &Path) -> std::io::Result<()> {
    write_atomically(scratch, &mark_of_changed_module(build_cache), b"a module was changed after it was downloaded\n")
}

fn mark_of_changed_module(build_cache: &Path) -> PathBuf {
    build_cache.join("rondel-index").join("module-changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_may_match_the_shield() {
        for (pattern, below, expected) in [
            ("*", "", true),
            ("*", "web", false),
            ("web", "web", false),
            ("web/*", "web", true),
            ("web/*", "", false),
            ("web/*.html", "web", false),
            ("web/*-indexed", "web", true),
            ("*/*", "web", true),
            ("[.]*", "", true),
            ("?rondel*", "", true),
            ("web/.rondel-not-indexed", "web", true),
            ("all:web", "web", true),
            ("all:web", "web/deep", true),
            ("all:web", "other", false),
            ("all:*", "web/deep", true),
            ("all:web/*.txt", "web", false),
        ] {
            assert_eq!(may_embed_shield(pattern, Path::new(below)), expected, "{pattern} {below}");
        }
    }

    #[test]
    fn only_patterns_that_reach_a_shield_forbid_it() {
        let may = |directories: &[&'static str], pattern: &str| {
            let directories = directories.iter().map(|directory| Path::new(*directory)).collect();
            may_shield(&directories, &BTreeSet::from([(PathBuf::from("/m/a"), pattern.to_owned())]))
        };
        assert!(may(&["/m", "/m/a"], "static/*"));
        assert!(!may(&["/m", "/m/a", "/m/a/static"], "static/*"));
        assert!(!may(&["/m/a"], "*"));
        assert!(may(&["/m", "/m/b"], "*"));
        let many: Vec<PathBuf> = (0..=DIRECTORIES_MAX).map(|number| PathBuf::from(format!("/m/{number}"))).collect();
        let many: BTreeSet<&Path> = many.iter().map(PathBuf::as_path).collect();
        assert!(!may_shield(&many, &BTreeSet::new()));
    }

    #[test]
    fn no_link_on_the_way() {
        let base = std::env::temp_dir().join(format!("rondel-shield-{}", std::process::id()));
        fs::create_dir_all(base.join("real/deep")).unwrap();
        fs::write(base.join("file"), "").unwrap();
        std::os::unix::fs::symlink("real", base.join("link")).unwrap();
        let base = base.canonicalize().unwrap();
        let are_real = |names: &[&str]| are_real(&names.iter().map(|name| base.join(name)).collect());
        assert!(are_real(&["real", "real/deep"]));
        for other in ["link", "link/deep", "file", "nowhere"] {
            assert!(!are_real(&["real", other]), "{other}");
        }
        fs::remove_dir_all(base).unwrap();
    }

    /// A toolchain under the name of another one, or a module that was changed: an index of former files may exist.
    #[test]
    fn an_index_of_other_files_is_not_trusted() {
        let base = std::env::temp_dir().join(format!("rondel-index-{}", std::process::id()));
        let (cache, scratch) = (base.join("build"), base.join("tmp"));
        fs::create_dir_all(&scratch).unwrap();
        let trusted = |root: &str, identity: &str| index_is_trusted(&cache, &scratch, Path::new(root), identity);
        assert!(trusted("/go", "go1.22.12 a"));
        assert!(trusted("/go", "go1.22.12 a"));
        assert!(!trusted("/go", "go1.22.12 b"));
        assert!(trusted("/go", "go1.22.12 a"));
        assert!(trusted("/go", "go1.26.8 b"));
        assert!(trusted("/other", "go1.22.12 b"));
        distrust_index(&cache, &scratch).unwrap();
        assert!(!trusted("/go", "go1.22.12 a"));
        fs::remove_dir_all(base).unwrap();
    }
}
