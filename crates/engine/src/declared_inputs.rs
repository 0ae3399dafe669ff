//! `DeclaredInputs`: the globs that a target declares, and what is left out of them. A glob that counts for nothing is
//! refused, with the reason: what a step reads without being known by its key would never make it run again.
//!
//! It knows no target: who makes what comes as data.

use std::fs;
use std::path::Path;

use rondel_cas::RelativePath;
use rondel_names::suggest;
use rondel_tree::{GlobSet, StatSnapshot};

use crate::error::{StepError, UserError};
use crate::hash_inputs::hash_inputs;
use crate::inputs::InputSet;

/// Globs, in the order of build.ron, and paths that none of them matches. All are relative to the project.
#[derive(Clone, Debug)]
pub struct DeclaredInputs {
    globs: Vec<String>,
    left_out: Vec<LeftOut>,
    set: GlobSet,
}

/// A path that is no input, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// A file or directory.
    pub path: RelativePath,
    /// Who makes it.
    pub owner: Owner,
}

/// The maker of a path that is no input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The step itself.
    Itself,
    /// Another target, by name, which the step does not wait for.
    Target(String),
    /// Rondel: its cache, or the build of its own program.
    Rondel(&'static str),
}

impl DeclaredInputs {
    /// Returns the inputs that `globs` match.
    pub fn new<I: IntoIterator<Item = S>, S: AsRef<str>>(globs: I, left_out: Vec<LeftOut>) -> DeclaredInputs {
        let globs: Vec<String> = globs.into_iter().map(|glob| glob.as_ref().to_owned()).collect();
        let set = GlobSet::new(&globs, left_out.iter().map(|left| left.path.clone()).collect());
        DeclaredInputs { globs, left_out, set }
    }

    /// Returns every file as an input.
    pub fn everything(left_out: Vec<LeftOut>) -> DeclaredInputs {
        DeclaredInputs::new(["**"], left_out)
    }

    /// Adds paths that no glob matches.
    pub fn leave_out(&mut self, more: Vec<LeftOut>) {
        self.left_out.extend(more);
        self.set = GlobSet::new(&self.globs, self.left_out.iter().map(|left| left.path.clone()).collect());
    }

    /// Returns the globs as a set.
    pub fn globs(&self) -> &GlobSet {
        &self.set
    }

    /// Hashes the inputs below `root`. A glob that counts for nothing is an error; one with `!` may.
    pub fn hash(&self, root: &Path, snapshot: &StatSnapshot) -> Result<InputSet, StepError> {
        if self.globs.is_empty() {
            return Ok(InputSet::default());
        }
        let inputs = hash_inputs(&self.set, root, None, snapshot)?;
        match inputs.idle_glob() {
            Some(glob) => Err(StepError::User(self.why_idle(glob, root, snapshot))),
            None => Ok(inputs),
        }
    }

    /// Returns the error for a literal path, or the literal start of a glob, that is left out.
    pub fn refuse_left_out(&self, glob: &str) -> Option<UserError> {
        let (plain, _) = plain_start(glob);
        let whole = RelativePath::new(&plain.join("/")).ok()?;
        if let Some(name) = plain.iter().find(|name| matches!(**name, ".git" | ".rondel")) {
            let error = UserError::input(format!("the input `{glob}` counts for nothing: `{name}` is never an input"));
            return Some(if *name == ".git" {
                error.hint("`Git(Commit)` in an argument or in `env` gives the commit")
            } else {
                error.hint("leave it out: Rondel keeps its own state there")
            });
        }
        let left = self.left_out.iter().find(|left| whole.is_within(&left.path))?;
        Some(left.error(glob))
    }

    /// Returns why a glob counts for nothing, and what is near.
    fn why_idle(&self, glob: &str, root: &Path, snapshot: &StatSnapshot) -> UserError {
        if let Some(error) = self.refuse_left_out(glob) {
            return error;
        }
        let (plain, rest) = plain_start(glob);
        if let Some(error) = broken_path(glob, &plain, &rest, root) {
            return error;
        }
        let error = |why: String| UserError::input(format!("the input `{glob}` counts for nothing: {why}"));
        if rest.is_empty() {
            // A directory: a link or something else would have been found above, and a file matches.
            let name = plain.join("/");
            if name.is_empty() {
                return error("it is the whole directory, and inputs are files".to_owned()).hint("write \"**\"");
            }
            return error(format!("`{name}` is a directory, and inputs are files"))
                .hint(format!("write \"{name}/**\""));
        }
        let alone = |excluded| snapshot.list(root, &GlobSet::new([glob], excluded)).ok();
        let excluded = self.left_out.iter().map(|left| left.path.clone()).collect();
        if alone(excluded).is_some_and(|found| !found.is_empty()) {
            return error("all that it matches is taken away by a later `!`".to_owned())
                .hint("leave it out, or correct the glob with `!`");
        }
        let mut left_out = None;
        if let Some(found) = alone(Vec::new()) {
            found.each(&mut |path, _, _| {
                left_out = left_out.or_else(|| self.left_out.iter().find(|left| path.is_within(&left.path)));
            });
        }
        if let Some(left) = left_out {
            return left.error(glob);
        }
        match directory_that_matches(&plain, &rest, root) {
            Some(name) => error(format!("it matches directories only (`{name}`), and inputs are files"))
                .hint(format!("write \"{}/**\"", glob.trim_end_matches('/'))),
            None => error("no file matches".to_owned())
                .hint("globs are relative to `root`, and `*` stays within one directory; `**/*.x` looks in all"),
        }
    }
}

impl LeftOut {
    fn error(&self, glob: &str) -> UserError {
        let path = &self.path;
        match &self.owner {
            Owner::Itself => UserError::input(format!(
                "the input `{glob}` counts for nothing: `{path}` is an output of the step itself"
            ))
            .hint("leave it out: a step never reads its own output"),
            Owner::Target(name) => UserError::input(format!(
                "the input `{glob}` is an output of `{name}`, and nothing says that `{name}` runs first"
            ))
            .hint(format!("write `Output(\"{name}\")` in its place, or add `after: [\"{name}\"]`")),
            Owner::Rondel(what) => {
                UserError::input(format!("the input `{glob}` counts for nothing: `{path}` is {what}"))
                    .hint("leave it out")
            }
        }
    }
}

/// Returns the parts of a glob before the first one with a special character, and the others.
fn plain_start(glob: &str) -> (Vec<&str>, Vec<&str>) {
    let is_plain = |part: &&str| !part.contains(['*', '?', '[', ']', '{', '}', '\\', '!']);
    let parts: Vec<&str> = glob.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let count = parts.iter().take_while(|part| is_plain(part)).count();
    (parts[..count].to_vec(), parts[count..].to_vec())
}

/// Returns the error for a literal start that does not lead to a directory or file.
fn broken_path(glob: &str, plain: &[&str], rest: &[&str], root: &Path) -> Option<UserError> {
    let error = |why: String| UserError::input(format!("the input `{glob}` counts for nothing: {why}"));
    let mut place = root.to_owned();
    for (index, name) in plain.iter().enumerate() {
        let (parent, here) = (place.clone(), plain[..=index].join("/"));
        place.push(name);
        let is_last = index + 1 == plain.len() && rest.is_empty();
        let Ok(metadata) = fs::symlink_metadata(&place) else {
            let error = error(format!("there is no `{here}`"));
            let Some(near) = nearest(name, &parent) else {
                return Some(error.hint(
                    "inputs are relative to `root`; a file that may be absent can share a glob: `go.{mod,sum}`",
                ));
            };
            let all: Vec<&str> = plain[..index]
                .iter()
                .copied()
                .chain([near.as_str()])
                .chain(plain[index + 1..].iter().copied())
                .collect();
            let all: Vec<&str> = all.into_iter().chain(rest.iter().copied()).collect();
            return Some(error.hint(format!("did you mean `{}`?", all.join("/"))));
        };
        if metadata.is_symlink() && !is_last || metadata.is_symlink() && place.is_dir() {
            let behind = place.canonicalize().ok().and_then(|behind| {
                behind.strip_prefix(root.canonicalize().ok()?).ok().map(|path| path.display().to_string())
            });
            let error = error(format!("`{here}` is a link, and links to directories are not followed"));
            return Some(match behind {
                Some(path) if !path.is_empty() => error.hint(format!("name the directory itself: `{path}`")),
                Some(_) | None => error.hint("it leads out of the project: put what is needed below `root`"),
            });
        }
        if !metadata.is_dir() && !is_last {
            return Some(error(format!("`{here}` is a file, not a directory")).hint(format!("write \"{here}\"")));
        }
        if is_last && !metadata.is_dir() && !metadata.is_file() && !metadata.is_symlink() {
            return Some(
                error(format!("`{here}` is no file: a socket, FIFO or device can't be an input")).hint("leave it out"),
            );
        }
    }
    None
}

/// Returns the name in `directory` that is nearest to `name`.
fn nearest(name: &str, directory: &Path) -> Option<String> {
    let names: Vec<String> =
        fs::read_dir(directory).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    suggest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

/// Returns a directory that the glob itself matches.
fn directory_that_matches(plain: &[&str], rest: &[&str], root: &Path) -> Option<String> {
    let [only] = rest else { return None };
    let pattern = GlobSet::new([only], Vec::new());
    let directory = plain.iter().fold(root.to_owned(), |place, name| place.join(name));
    let mut names: Vec<String> = fs::read_dir(directory)
        .ok()?
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| pattern.matches(name))
        .collect();
    names.sort();
    names.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Space(std::path::PathBuf);

    impl Drop for Space {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn space(name: &str) -> Space {
        let root = std::env::temp_dir().join(format!("rondel-declared-{name}-{}", std::process::id()));
        for (path, text) in
            [("src/a.txt", "1"), ("src/deep/b.txt", "2"), ("gen/n.go", "3"), ("dist/x/bin", "4"), (".git/HEAD", "5")]
        {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(root.join("hollow")).unwrap();
        Space(root)
    }

    fn left_out() -> Vec<LeftOut> {
        let left = |path: &str, owner| LeftOut { path: RelativePath::new(path).unwrap(), owner };
        vec![
            left("out.txt", Owner::Itself),
            left("dist/x", Owner::Target("x".to_owned())),
            left(".cache", Owner::Rondel("Rondel's cache")),
        ]
    }

    fn message(globs: &[&str], root: &Path) -> String {
        let snapshot = StatSnapshot::open(&root.join(".rondel/snapshot"));
        match DeclaredInputs::new(globs, left_out()).hash(root, &snapshot) {
            Ok(inputs) => format!("{} inputs", inputs.iter().count()),
            Err(error) => format!("{error}; {}", error.hint_text().unwrap_or("no hint")),
        }
    }

    #[test]
    fn what_counts_for_nothing_is_refused_with_what_is_near() {
        let space = space("near");
        #[cfg(unix)]
        std::os::unix::fs::symlink("src", space.0.join("link")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("/usr", space.0.join("away")).unwrap();
        let n = "counts for nothing";
        for (globs, expected) in [
            (&["src/**"][..], "2 inputs".to_owned()),
            (&["./src//a.txt", "!nothing/**"], "1 inputs".to_owned()),
            (&["src"], format!("the input `src` {n}: `src` is a directory, and inputs are files; write \"src/**\"")),
            (&["."], format!("the input `.` {n}: it is the whole directory, and inputs are files; write \"**\"")),
            (&["src/"], format!("the input `src/` {n}: `src` is a directory, and inputs are files; write \"src/**\"")),
            (&["srcc/a.txt"], format!("the input `srcc/a.txt` {n}: there is no `srcc`; did you mean `src/a.txt`?")),
            (&["srcc/**/*.txt"], format!("the input `srcc/**/*.txt` {n}: there is no `srcc`; did you mean `src/**/*.txt`?")),
            (&["src/a.tx"], format!("the input `src/a.tx` {n}: there is no `src/a.tx`; did you mean `src/a.txt`?")),
            (&["zzzzzz"], format!("the input `zzzzzz` {n}: there is no `zzzzzz`; inputs are relative to `root`; a file that may be absent can share a glob: `go.{{mod,sum}}`")),
            (&["src/a.txt/b"], format!("the input `src/a.txt/b` {n}: `src/a.txt` is a file, not a directory; write \"src/a.txt\"")),
            (&["link/**"], format!("the input `link/**` {n}: `link` is a link, and links to directories are not followed; name the directory itself: `src`")),
            (&["away/bin/x"], format!("the input `away/bin/x` {n}: `away` is a link, and links to directories are not followed; it leads out of the project: put what is needed below `root`")),
            (&["s*"], format!("the input `s*` {n}: it matches directories only (`src`), and inputs are files; write \"s*/**\"")),
            (&["hollow/**"], format!("the input `hollow/**` {n}: no file matches; globs are relative to `root`, and `*` stays within one directory; `**/*.x` looks in all")),
            (&["src/**", "gen/*", "!gen/**"], format!("the input `gen/*` {n}: all that it matches is taken away by a later `!`; leave it out, or correct the glob with `!`")),
            (&["dist/**"], "the input `dist/**` is an output of `x`, and nothing says that `x` runs first; write `Output(\"x\")` in its place, or add `after: [\"x\"]`".to_owned()),
            (&["dist/x/bin"], "the input `dist/x/bin` is an output of `x`, and nothing says that `x` runs first; write `Output(\"x\")` in its place, or add `after: [\"x\"]`".to_owned()),
            (&["out.txt"], format!("the input `out.txt` {n}: `out.txt` is an output of the step itself; leave it out: a step never reads its own output")),
            (&[".cache/**"], format!("the input `.cache/**` {n}: `.cache` is Rondel's cache; leave it out")),
            (&[".git/HEAD"], format!("the input `.git/HEAD` {n}: `.git` is never an input; `Git(Commit)` in an argument or in `env` gives the commit")),
        ] {
            if cfg!(unix) || !expected.contains("link") {
                assert_eq!(message(globs, &space.0), expected, "{globs:?}");
            }
        }
    }

    /// Only what is left out by name, and `.git`, is no input: `dist` and `target` are directories like others.
    #[test]
    fn everything_but_rondels_own() {
        let space = space("own");
        for path in ["dist/hand.txt", "target/t.go", ".cache/blob", "out.txt", ".gitignore", "deep/.git"] {
            let path = space.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let snapshot = StatSnapshot::open(&space.0.join(".rondel/snapshot"));
        let inputs = DeclaredInputs::everything(left_out()).hash(&space.0, &snapshot).unwrap();
        let found: Vec<String> = inputs.iter().map(|input| input.path.to_string()).collect();
        assert_eq!(found, [".gitignore", "dist/hand.txt", "gen/n.go", "src/a.txt", "src/deep/b.txt", "target/t.go"]);
    }
}
