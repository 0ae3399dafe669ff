//! Paths in what commands print, as they are seen from where the user stands.

use std::path::{Component, Path, PathBuf};

use crate::relative::relative;

/// Characters that end a path in a line of output.
const ENDS: &[char] = &[' ', '\t', '"', '\'', '`', '(', ')', '[', ']', '<', '>', ',', ';', ':', '=', '|'];

/// Where the user stands, and the workspace that commands run in.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    /// The directory that the program was started in.
    user: PathBuf,
    /// The workspace, or a copy of it.
    root: PathBuf,
    /// The workspace that the user knows.
    known_root: PathBuf,
}

impl Paths {
    /// Returns the paths of a user in `user`, for what runs in `root`, which stands for `known_root`.
    pub fn new(user: &Path, root: &Path, known_root: &Path) -> Paths {
        Paths { user: user.to_owned(), root: root.to_owned(), known_root: known_root.to_owned() }
    }

    /// Returns the workspace that commands run in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the line as `seen_in` does, for absolute paths only.
    pub fn absolute_seen_in(&self, line: &str) -> String {
        self.seen_in(line, &self.user)
    }

    /// Returns the line with each name of a file of the workspace as the user would write it. `directory` is that of the
    /// command.
    pub fn seen_in(&self, line: &str, directory: &Path) -> String {
        let mut result = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(begin) = rest.find(|character: char| !ENDS.contains(&character)) {
            result.push_str(&rest[..begin]);
            let word = &rest[begin..];
            let end = word.find(ENDS).unwrap_or(word.len());
            result.push_str(&self.seen(&word[..end], directory).unwrap_or_else(|| word[..end].to_owned()));
            rest = &word[end..];
        }
        result.push_str(rest);
        result
    }

    /// Returns the path of a file of the workspace for the user, unless it is the same.
    fn seen(&self, word: &str, directory: &Path) -> Option<String> {
        let is_path = word.contains(['/', '.']) && word.len() < 4096 && !word.contains(char::is_control);
        // Relative to the same directory, it is what the user would write.
        if !is_path || (Path::new(word).is_relative() && directory == self.user) {
            return None;
        }
        let path = normal(&directory.join(word))?;
        let inner = path.strip_prefix(&self.root).or_else(|_| path.strip_prefix(&self.known_root)).ok()?;
        let is_file = |path: &Path| std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_dir());
        let known = self.known_root.join(inner);
        let seen = relative(&known, &self.user);
        ((is_file(&path) || is_file(&known)) && seen != Path::new(word)).then(|| seen.display().to_string())
    }
}

/// Returns the path without `.` and `..`.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => result.pop().then_some(())?,
            other @ (Component::Prefix(_) | Component::RootDir | Component::Normal(_)) => result.push(other),
        }
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_workspace_are_named_from_where_the_user_stands() {
        let base = std::env::temp_dir().join(format!("rondel-paths-{}", std::process::id()));
        let root = base.join("work");
        std::fs::create_dir_all(root.join("greet")).unwrap();
        std::fs::create_dir_all(base.join("copy/greet")).unwrap();
        for file in ["work/greet/greet.go", "work/main.go", "copy/greet/greet.go"] {
            std::fs::write(base.join(file), "").unwrap();
        }
        let seen = |user: &str, line: &str, directory: &str| {
            let line = line.replace("ROOT", &root.display().to_string());
            let line = line.replace("COPY", &base.join("copy").display().to_string());
            let paths = Paths::new(&root.join(user), &base.join("copy"), &root);
            paths.seen_in(&line, &root.join(directory)).replace(&root.display().to_string(), "ROOT")
        };
        for (user, line, directory, shown) in [
            ("", "greet/greet.go:17:17: undefined: x", "", "greet/greet.go:17:17: undefined: x"),
            ("", "ROOT/greet/greet.go:17:17: undefined", "", "greet/greet.go:17:17: undefined"),
            ("", "vet: ./greet.go:3 (see main.go)", "greet", "vet: greet/greet.go:3 (see main.go)"),
            ("greet", "greet/greet.go:17 and \"main.go\"", "", "greet.go:17 and \"../main.go\""),
            ("greet", "COPY/greet/greet.go:1", "", "greet.go:1"),
            (
                "greet",
                "greet.go:1: http://x/greet.go /etc/passwd nowhere.go",
                "greet",
                "greet.go:1: http://x/greet.go /etc/passwd nowhere.go",
            ),
            // A directory is a word like any other, and what is not there is no file.
            ("greet", "in greet and ROOT/gone.go", "", "in greet and ROOT/gone.go"),
        ] {
            assert_eq!(seen(user, line, directory), shown, "{user}: {line}");
        }
        std::fs::remove_dir_all(base).unwrap();
    }
}
