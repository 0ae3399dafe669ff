//! Globs over a tree of files: `**`, `*`, `?`, `[…]`, `{a,b}`, and `!` to take away again.
//!
//! They never match `.git` and `.rondel` at any depth, nor excluded paths: the caller says what else is Rondel's own.
//! `.gitignore` is not read: an ignored file can still change a result.

use rondel_cas::RelativePath;

/// Names at any depth that hold no sources.
const NEVER: &[&str] = &[".git", ".rondel"];

/// A list of globs, in order. The last glob that matches a path, with or without `!`, decides.
#[derive(Clone, Debug)]
pub struct GlobSet {
    patterns: Vec<Pattern>,
    excluded: Vec<RelativePath>,
}

#[derive(Clone, Debug)]
struct Pattern {
    /// As written, without its `!`.
    text: String,
    shape: Shape,
    is_positive: bool,
}

/// One glob of a set, whatever the others say.
pub(crate) struct OneGlob<'a>(&'a Pattern);

impl<'a> OneGlob<'a> {
    /// Returns the glob as written.
    pub fn text(&self) -> &'a str {
        &self.0.text
    }

    /// Returns true if it matches the path.
    pub fn matches(&self, path: &str) -> bool {
        self.0.shape.matches(path)
    }
}

/// Shape of a glob: most are of a few shapes that a comparison decides.
#[derive(Clone, Debug)]
enum Shape {
    /// `**`
    All,
    /// `a/b/**`, with its slash at the end
    Under(String),
    /// `**/*.go`: the end of the name
    Ending(String),
    /// `go.mod`
    Exactly(String),
    /// Anything else, and the directory that holds all matches
    Glob { text: String, within: String },
}

impl Shape {
    fn of(text: &str) -> Shape {
        let is_plain = |part: &str| !part.contains(['*', '?', '[', ']', '{', '}', '\\', '!']);
        if text == "**" {
            return Shape::All;
        }
        if let Some(directory) = text.strip_suffix("/**")
            && is_plain(directory)
        {
            return Shape::Under(format!("{directory}/"));
        }
        if let Some(ending) = text.strip_prefix("**/*")
            && !ending.contains('/')
            && is_plain(ending)
        {
            return Shape::Ending(ending.to_owned());
        }
        if is_plain(text) {
            return Shape::Exactly(text.to_owned());
        }
        let plain = text.split('/').take_while(|part| is_plain(part)).collect::<Vec<_>>().join("/");
        Shape::Glob { text: text.to_owned(), within: plain }
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Shape::All => true,
            Shape::Under(directory) => path.starts_with(directory),
            Shape::Ending(ending) => path.ends_with(ending),
            Shape::Exactly(text) => path == text,
            Shape::Glob { text, .. } => fast_glob::glob_match(text, path),
        }
    }

    /// Returns true if it can match a path below `directory`.
    fn reaches(&self, directory: &str) -> bool {
        let within = match self {
            Shape::All | Shape::Ending(_) => return true,
            Shape::Under(within) => within.trim_end_matches('/'),
            Shape::Exactly(text) => text,
            Shape::Glob { within, .. } => within,
        };
        is_within(within, directory) || is_within(directory, within)
    }
}

fn is_within(path: &str, directory: &str) -> bool {
    let rest = path.strip_prefix(directory);
    directory.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl GlobSet {
    /// Makes a set of globs and excluded paths. Both are relative to the directory that is walked.
    pub fn new<I: IntoIterator<Item = S>, S: AsRef<str>>(globs: I, excluded: Vec<RelativePath>) -> GlobSet {
        let patterns = globs.into_iter().map(|glob| {
            let (text, is_positive) = match glob.as_ref().strip_prefix('!') {
                Some(rest) => (rest, false),
                None => (glob.as_ref(), true),
            };
            Pattern { shape: Shape::of(&normal(text)), text: text.to_owned(), is_positive }
        });
        GlobSet { patterns: patterns.collect(), excluded }
    }

    /// Returns all that it is made of, as texts: the globs as written, and the excluded paths.
    pub fn texts(&self) -> [Vec<String>; 2] {
        let glob =
            |pattern: &Pattern| if pattern.is_positive { pattern.text.clone() } else { format!("!{}", pattern.text) };
        [self.patterns.iter().map(glob).collect(), self.excluded.iter().map(ToString::to_string).collect()]
    }

    /// Returns the globs without `!`, each by itself.
    pub(crate) fn positive(&self) -> impl Iterator<Item = OneGlob<'_>> {
        self.patterns.iter().filter(|pattern| pattern.is_positive).map(OneGlob)
    }

    /// Returns a set of everything that can match.
    pub fn everything(excluded: Vec<RelativePath>) -> GlobSet {
        GlobSet::new(["**"], excluded)
    }

    /// Returns true if the file `path` matches.
    pub fn matches(&self, path: &str) -> bool {
        self.selects(path) && !self.is_excluded(path)
    }

    /// Returns true if the last glob that matches `path` has no `!`, whether or not it could be a source.
    pub fn selects(&self, path: &str) -> bool {
        let last = self.patterns.iter().rev().find(|pattern| pattern.shape.matches(path));
        last.is_some_and(|pattern| pattern.is_positive)
    }

    /// Returns true if every file below the directory `path` matches, as far as a walk goes. Returns false if unsure.
    /// The path of the root is empty.
    pub fn covers(&self, path: &str) -> bool {
        let all = |pattern: &Pattern| match &pattern.shape {
            Shape::All => true,
            Shape::Under(directory) => is_within(path, directory.trim_end_matches('/')),
            _ => false,
        };
        let is_open = |end: usize| !self.is_excluded(&path[..end]);
        let ends = path.match_indices('/').map(|(place, _)| place).chain([path.len()]);
        let mut patterns = self.patterns.iter();
        patterns.clone().all(|pattern| pattern.is_positive || !pattern.shape.reaches(path))
            && patterns.any(all)
            && (path.is_empty() || ends.into_iter().all(is_open))
    }

    /// Returns true if a path below the directory `path` can match.
    pub(crate) fn reaches(&self, path: &str) -> bool {
        let mut positive = self.patterns.iter().filter(|pattern| pattern.is_positive);
        positive.any(|pattern| pattern.shape.reaches(path)) && !self.is_excluded(path)
    }

    /// Returns true if the path is excluded. Of the names that never match it checks the last one only, since a walk
    /// does not enter such directories.
    fn is_excluded(&self, path: &str) -> bool {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        NEVER.contains(&name) || self.excluded.iter().any(|output| is_within(path, output.as_str()))
    }
}

/// Returns a glob without empty parts and `.`: `./a//b/` is `a/b`.
fn normal(glob: &str) -> String {
    let parts: Vec<&str> = glob.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    parts.join("/")
}

/// Returns a path as a glob that matches it alone.
pub fn literal_glob(path: &str) -> String {
    let mut glob = String::new();
    for character in path.chars() {
        if "*?[]{}!\\".contains(character) {
            glob.push('\\');
        }
        glob.push(character);
    }
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let globs = GlobSet::new(["**/*.go", "go.{mod,sum}", "!vendor/**", "vendor/keep.go"], vec![]);
        for yes in ["a.go", "x/y/b.go", "go.mod", "go.sum", "vendor/keep.go"] {
            assert!(globs.matches(yes), "{yes}");
        }
        for no in ["a.txt", "vendor/x/b.go", "x/go.mod", "go.work"] {
            assert!(!globs.matches(no), "{no}");
        }
        assert!(GlobSet::everything(vec![]).matches(".hidden/x"));
    }

    const GLOBS: &[&str] = &[
        "**",
        "a/**",
        "a/b/**",
        "**/*.go",
        "**/*",
        "**/*_test.go",
        "go.mod",
        "a/go.mod",
        "*",
        "*.go",
        "a/*",
        "a/*.go",
        "a/**/b.go",
        "**/b/**",
        "{a,b}/**",
        "a/{b,c}/*.go",
        "a/b.[gh]o",
        "?.go",
        "**/.hidden",
        "a*/**",
        "a/b",
        "./a/b",
    ];
    const PATHS: &[&str] = &[
        "a",
        "b",
        "go.mod",
        "b.go",
        "a/go.mod",
        "a/b",
        "a/b.go",
        "a/b.ho",
        "a/b/c.go",
        "a/c/b.go",
        "a/b/b.go",
        ".hidden",
        "a/.hidden",
        "ab/c.go",
        "a/x_test.go",
        ".a/b.go",
        "b/.go",
        "a/b/c/d.go",
        ".go",
    ];

    /// A shape agrees with the glob library.
    #[test]
    fn shapes_are_what_the_library_says() {
        for glob in GLOBS {
            for path in PATHS {
                let expected = fast_glob::glob_match(glob.trim_start_matches("./"), path);
                assert_eq!(GlobSet::new([glob], vec![]).matches(path), expected, "{glob} on {path}");
            }
        }
    }

    /// A directory that isn't entered holds no matches.
    #[test]
    fn what_is_not_reached_does_not_match() {
        for glob in GLOBS {
            let globs = GlobSet::new([glob], vec![]);
            for path in PATHS.iter().filter(|path| globs.matches(path)) {
                for (place, _) in path.match_indices('/') {
                    assert!(globs.reaches(&path[..place]), "{glob} does not reach {} of {path}", &path[..place]);
                }
            }
        }
        assert!(!GlobSet::new(["a/b/**", "!c/**"], vec![]).reaches("c"));
        assert!(!GlobSet::new(["a/b/**"], vec![]).reaches("a/bc"));
    }

    #[test]
    fn what_is_covered() {
        let outputs = || vec![RelativePath::new("gen/out").unwrap()];
        for (globs, directory, expected) in [
            (&["**"][..], "", true),
            (&["**"], "a/b", true),
            (&["**"], "gen", true),
            (&["**"], "gen/out", false),
            (&["**"], "gen/out/below", false),
            (&["**"], "dist", true),
            (&["**"], "target/below", true),
            (&["**"], ".git/hooks", false),
            (&["a/**"], "a", true),
            (&["a/**"], "a/b/c", true),
            (&["a/**"], "ab", false),
            (&["a/**"], "", false),
            (&["*.c", "a/**"], "a", true),
            (&["**/*.c"], "a", false),
            (&["**", "!a/x"], "a", false),
            (&["**", "!**/*.md"], "a", false),
            (&["**", "!b/**"], "a", true),
            (&["**", "!b/**"], "", false),
        ] {
            assert_eq!(GlobSet::new(globs, outputs()).covers(directory), expected, "{globs:?} {directory}");
        }
    }

    #[test]
    fn what_is_never_matched() {
        let globs = GlobSet::everything(vec![RelativePath::new("gen/out").unwrap()]);
        for no in [".git", "x/.git", ".rondel", "x/.rondel", "gen/out"] {
            assert!(!globs.reaches(no) && !globs.matches(no), "{no}");
        }
        for yes in ["target", "dist", "x/dist", "gen", "gen/outer", ".github", ".gitignore"] {
            assert!(globs.reaches(yes) && globs.matches(yes), "{yes}");
        }
    }
}
