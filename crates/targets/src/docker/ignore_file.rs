//! `.dockerignore`: the files of a context that are not sent to Docker.
//!
//! The rules are Docker's. Patterns apply in order and the last match wins; `!` takes back; a pattern that matches a
//! directory matches all below it.

use rondel_cas::RelativePath;

/// The patterns of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct DockerIgnore {
    patterns: Vec<(String, bool)>,
}

impl DockerIgnore {
    pub fn parse(text: &str) -> DockerIgnore {
        let mut patterns = Vec::new();
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (line, ignored) = line.strip_prefix('!').map_or((line, true), |rest| (rest.trim(), false));
            let parts: Vec<&str> = line.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
            // Braces are ordinary characters to Docker.
            let pattern = parts.join("/").replace('{', "\\{").replace('}', "\\}");
            if !pattern.is_empty() {
                patterns.push((pattern, ignored));
            }
        }
        DockerIgnore { patterns }
    }

    /// Returns true if the file at `path` is not sent to Docker.
    pub fn ignores(&self, path: &RelativePath) -> bool {
        let mut ignored = false;
        for (pattern, verdict) in &self.patterns {
            let mut at = Some(path.clone());
            while let Some(current) = at {
                if fast_glob::glob_match(pattern, current.as_str()) {
                    ignored = *verdict;
                    break;
                }
                at = current.parent();
            }
        }
        ignored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_rules() {
        let ignore = DockerIgnore::parse("*\n!go.mod\n!/cmd\n!internal/\n**/*_test.go\n# c\ncmd/secret\n");
        let ignored = |path: &str| ignore.ignores(&RelativePath::new(path).unwrap());
        for kept in ["go.mod", "cmd/x/main.go", "internal/a.go"] {
            assert!(!ignored(kept), "{kept}");
        }
        for left_out in ["README.md", "internal/a_test.go", "cmd/secret/key", "vendor/x"] {
            assert!(ignored(left_out), "{left_out}");
        }
        assert!(!DockerIgnore::default().ignores(&RelativePath::new("x").unwrap()));
    }
}
