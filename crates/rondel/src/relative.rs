//! Paths as they are written in a directory.

use std::path::{Component, Path, PathBuf};

/// Returns `path` as it is written in `directory`; both are absolute.
pub(crate) fn relative(path: &Path, directory: &Path) -> PathBuf {
    let same = path.components().zip(directory.components()).take_while(|(one, other)| one == other).count();
    // Nothing but `/` in common: from the root it is shorter.
    if same <= 1 {
        return path.to_owned();
    }
    let up = directory.components().skip(same).map(|_| Component::ParentDir);
    up.chain(path.components().skip(same)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_from_somewhere_else() {
        let seen = |path: &str, directory: &str| relative(Path::new(path), Path::new(directory)).display().to_string();
        assert_eq!(seen("/a/b/c", "/a/b"), "c");
        assert_eq!(seen("/a/b/c", "/a/d/e"), "../../b/c");
        assert_eq!(seen("/a/b", "/c"), "/a/b");
    }
}
