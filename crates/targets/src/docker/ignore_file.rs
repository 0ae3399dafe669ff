//! `.dockerignore`: the parts of a context that are not sent to Docker, exactly as Docker decides it.
//!
//! Patterns apply in order and the last match wins; `!` takes back; what matches a directory matches all below it. The
//! walk of a context carries the matches of each directory to its entries, as BuildKit's client does. Knows no file system.

use crate::docker::ignore_pattern::Pattern;

/// Longest line that Docker reads.
const LINE_MAX: usize = 64 * 1024;

/// The patterns of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct DockerIgnore {
    patterns: Vec<Pattern>,
}

/// A line that Docker refuses, or that can't be read as Docker reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnreadableLine(pub String);

/// Patterns that matched a directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matched(Vec<bool>);

impl DockerIgnore {
    /// Reads the text of an ignore file.
    pub fn parse(text: &str) -> Result<DockerIgnore, UnreadableLine> {
        let mut patterns = Vec::new();
        for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines() {
            if line.len() >= LINE_MAX {
                return Err(UnreadableLine(line.chars().take(40).collect()));
            }
            if !line.starts_with('#') {
                patterns.extend(Pattern::new(line).map_err(|_| UnreadableLine(line.trim().to_owned()))?);
            }
        }
        Ok(DockerIgnore { patterns })
    }

    /// Returns true if the entry at `path` is not sent, and the patterns that match it. `parent` are those of its
    /// directory; none for entries at the top.
    pub fn ignores(&self, path: &str, parent: &Matched) -> (bool, Matched) {
        let mut is_ignored = false;
        let mut matched = vec![false; self.patterns.len()];
        for (index, pattern) in self.patterns.iter().enumerate() {
            let mut matches = parent.0.get(index).copied().unwrap_or(false);
            if !matches {
                // A pattern that can change nothing here is not tried, and so not known to match below.
                if pattern.is_exception != is_ignored {
                    continue;
                }
                matches = pattern.matches(path);
            }
            matched[index] = matches;
            if matches {
                is_ignored = !pattern.is_exception;
            }
        }
        (is_ignored, Matched(matched))
    }

    /// Returns true if something below the ignored directory `path` may be sent: an exception can match there.
    pub fn may_send_below(&self, path: &str) -> bool {
        let mut exceptions = self.patterns.iter().filter(|pattern| pattern.is_exception);
        let directory = format!("{path}/");
        let plain = |pattern: &Pattern| {
            let text = pattern.text.strip_suffix("/**").unwrap_or(&pattern.text);
            text.strip_suffix("/*").unwrap_or(text).to_owned()
        };
        let is_glob = |pattern: &Pattern| plain(pattern).contains(['*', '[', ']', '?', '^', '\\']);
        if exceptions.clone().any(is_glob) {
            return true;
        }
        exceptions.any(|pattern| format!("{}/", plain(pattern)).starts_with(&directory))
    }

    /// Returns true if an exception names `path` or something below it.
    pub fn takes_back(&self, path: &str) -> bool {
        let names = |pattern: &Pattern| {
            pattern.text.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.patterns.iter().any(|pattern| pattern.is_exception && names(pattern))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decides as a walk does: from the top down to `path`.
    fn is_ignored(ignore: &DockerIgnore, path: &str) -> bool {
        let (mut parent, mut ignored) = (Matched::default(), false);
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let (here, matched) = ignore.ignores(&path[..end], &parent);
            if here && end < path.len() && !ignore.may_send_below(&path[..end]) {
                return true;
            }
            (parent, ignored) = (matched, here);
        }
        ignored
    }

    #[test]
    fn dockers_rules() {
        for (text, left_out, sent) in [
            (
                "*\n!go.mod\n!/cmd\n!internal/\n**/*_test.go\n# c\ncmd/secret\n",
                &["README.md", "internal/a_test.go", "cmd/secret/key", "vendor/x"][..],
                &["go.mod", "cmd/x/main.go", "internal/a.go"][..],
            ),
            ("\u{feff}secret\r\n #x\r\n", &["secret", "#x"], &["\u{feff}secret", "x"]),
            ("a[0-9]\nb[^x]\n*.{go,md}\n\\!c\n", &["a1", "by", "!c"], &["ab", "bx", "x.go", "c"]),
            ("x/../y\n../z\n./w\n", &["y", "w"], &["x", "z"]),
            ("**/a\n**b\nc/**\n", &["a", "x/a", "xb", "x/yb", "c/d/e"], &["xa", "b/x/", "c"]),
            ("d\n!d/e\n", &["d/x"], &["d/e", "d/e/f"]),
            ("", &[], &["x"]),
        ] {
            let ignore = DockerIgnore::parse(text).unwrap();
            for path in left_out {
                assert!(is_ignored(&ignore, path), "{path} in {text}");
            }
            for path in sent.iter().filter(|path| !path.ends_with('/')) {
                assert!(!is_ignored(&ignore, path), "{path} in {text}");
            }
        }
        assert_eq!(DockerIgnore::parse("ok\n[\n").unwrap_err(), UnreadableLine("[".to_owned()));
        assert!(DockerIgnore::parse("*\n!dist/x\n").unwrap().takes_back("dist"));
        assert!(!DockerIgnore::parse("*\n!distx\ndist/y").unwrap().takes_back("dist"));
    }

    /// 800 generated files, each with what `moby/patternmatcher` 0.6.1 and the walk of BuildKit's client made of it: one
    /// digit a path, or `refused`. A file that Rondel can't read makes the build run always, so that errs to the safe side.
    #[test]
    fn what_docker_made_of_generated_files() {
        let (paths, cases) = include_str!("ignore_cases.txt").split_once('\n').unwrap();
        let paths: Vec<String> = serde_json::from_str(paths).unwrap();
        let (mut unread, mut wrong) = (0, Vec::new());
        for case in cases.lines() {
            let (expected, text) = case.split_once(' ').unwrap();
            let text: String = serde_json::from_str(text).unwrap();
            let sent = DockerIgnore::parse(&text).map(|ignore| sent(&ignore, &paths));
            match sent {
                Ok(sent) if sent == expected => {}
                Err(_) if expected == "refused" => {}
                Err(_) => unread += 1,
                Ok(sent) => wrong.push(format!("{text:?}\n{expected}\n{sent}\n{paths:?}")),
            }
        }
        assert!(wrong.is_empty(), "{} wrong, first {}", wrong.len(), wrong[0]);
        assert!(unread * 20 < cases.lines().count(), "{unread} unread");
    }

    /// Decides as `BuildContext` does; a path that ends with a slash is a directory.
    fn sent(ignore: &DockerIgnore, paths: &[String]) -> String {
        let mut sent = std::collections::BTreeSet::new();
        let mut open = vec![(String::new(), Matched::default())];
        while let Some((directory, parent)) = open.pop() {
            for path in paths {
                let (name, is_directory) = path.strip_suffix('/').map_or((path.as_str(), false), |name| (name, true));
                if name.rsplit_once('/').map_or("", |(directory, _)| directory) != directory {
                    continue;
                }
                let (is_ignored, matched) = ignore.ignores(name, &parent);
                if !is_ignored {
                    let ends = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
                    sent.extend(ends.map(|end| name[..end].to_owned()));
                }
                if is_directory && (!is_ignored || ignore.may_send_below(name)) {
                    open.push((name.to_owned(), matched));
                }
            }
        }
        let digit = |path: &String| if sent.contains(path.trim_end_matches('/')) { '1' } else { '0' };
        paths.iter().map(digit).collect()
    }
}
