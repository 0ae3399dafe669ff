//! What is left out of a directory that is copied into an image. It knows no file: paths come as text.

use rondel_buildfile::Glob;
use rondel_tree::GlobSet;

/// Globs relative to a directory.
#[derive(Clone, Debug)]
pub(crate) struct Excluded {
    globs: Vec<String>,
    /// For files and links.
    files: GlobSet,
    /// For directories.
    directories: GlobSet,
}

impl Excluded {
    /// Returns what the globs of build.ron leave out.
    pub fn of(globs: &[Glob]) -> Excluded {
        Excluded::new(globs.iter().map(|glob| glob.value.clone()).collect())
    }

    fn new(globs: Vec<String>) -> Excluded {
        // A directory goes with all that is in it, and is nothing without it. A file is not meant by what names the
        // contents of a directory.
        let of_directory = |glob: &String| glob.ends_with('/') || glob.ends_with("/**");
        let plain = |glob: &String| glob.trim_end_matches('/').trim_end_matches("/**").to_owned();
        let inner = |glob: &String| format!("{}/**", plain(glob));
        let for_files = globs.iter().flat_map(|glob| {
            let own = (!of_directory(glob)).then(|| plain(glob));
            own.into_iter().chain([inner(glob)])
        });
        let for_directories = globs.iter().flat_map(|glob| [plain(glob), inner(glob)]);
        let files = GlobSet::new(for_files, Vec::new());
        let directories = GlobSet::new(for_directories, Vec::new());
        Excluded { globs, files, directories }
    }

    /// Returns true if nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }

    /// Returns true if the file or link at `path` is left out.
    pub fn has(&self, path: &str) -> bool {
        self.files.selects(path)
    }

    /// Returns true if the directory at `path` is left out. Something in it may be put back.
    pub fn has_directory(&self, path: &str) -> bool {
        self.directories.selects(path)
    }

    /// Returns true if the directory at `path` is left out, and all that is in it.
    pub fn has_all_of(&self, path: &str) -> bool {
        self.has_directory(path) && !self.globs.iter().any(|glob| glob.starts_with('!'))
    }

    /// Returns the words for keys; empty if nothing is left out.
    pub fn words(&self) -> String {
        self.globs.iter().map(|glob| format!(" without `{glob}`")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out() {
        let excluded = |globs: &[&str]| Excluded::new(globs.iter().map(|glob| (*glob).to_owned()).collect());
        for (globs, path, expected) in [
            (&["**/*.map"][..], "a.map", true),
            (&["**/*.map"], "x/y/a.map", true),
            (&["**/*.map"], "a.map.js", false),
            (&["drafts"], "drafts", true),
            (&["drafts"], "drafts/x/y", true),
            (&["drafts/"], "drafts/x", true),
            (&["drafts"], "x/drafts", false),
            (&["drafts/**"], "drafts", false),
            (&["drafts/**"], "drafts/x", true),
            (&["drafts/"], "drafts", false),
            (&["*/**"], "top", false),
            (&["*/**"], "x/y", true),
            (&["**/node_modules/**"], "x/node_modules", false),
            (&["**/node_modules/**"], "node_modules/x", true),
            (&["**/.rondel"], "x/.rondel", true),
            (&["**/*.map", "!keep/**"], "keep/a.map", false),
            (&["**/*.map", "!keep/**"], "other/a.map", true),
            (&["*"], "a", true),
            (&["*"], "a/b", true),
            (&[], "a", false),
        ] {
            assert_eq!(excluded(globs).has(path), expected, "{globs:?} {path}");
        }
        for glob in ["drafts", "drafts/", "drafts/**", "*/**"] {
            assert!(excluded(&[glob]).has_directory("drafts"), "{glob}");
        }
        assert!(excluded(&["a/**"]).has_all_of("a") && !excluded(&["a/**", "!a/b"]).has_all_of("a"));
        assert_eq!(excluded(&["a", "!b"]).words(), " without `a` without `!b`");
    }
}
