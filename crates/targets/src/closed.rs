//! `Closed`: the surroundings of a command with a key. Its PATH holds what it declares, TMPDIR and HOME are empty and
//! its own, and it can read what its key holds. It does not know the command.
//!
//! Landlock allows by whole directories. So a command that makes outputs runs in a working tree of its own, where all
//! can be read: beside sources, a file that it has just made could not be told from one that it does not declare. A
//! command without outputs runs in the project's directory, where a rule stands for each input.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_cas::{Entry, remove_tree};
use rondel_engine::{ActionSpec, Artefact, Job, OutputKind, StepError, StepKey};
use rondel_process::Sandbox;

use crate::tools::Tools;
use crate::working_tree;

/// Name of the directory for one run, in its staging directory.
const PLACE: &str = ".rondel-surroundings";
/// Name of the directory for all working trees, in the state directory.
const TREES: &str = "trees";

/// What build.ron says of the surroundings of a command.
#[derive(Debug)]
pub(crate) struct Closed {
    /// Key of the step, for the name of its working tree.
    pub(crate) key: StepKey,
    /// Declared programs and directories; the module's own tools and Go are not among them.
    pub(crate) tools: Vec<String>,
    /// Upstream steps that build declared tools of the module.
    pub(crate) built: Vec<usize>,
    /// True if only what is declared can be read.
    pub(crate) is_checked: bool,
    /// True if the network can be used.
    pub(crate) network: bool,
    /// Directories whose names can be listed, since a glob of the inputs asks for names there.
    pub(crate) listable: Vec<PathBuf>,
    /// The caller's `PATH`, where tools are found.
    pub(crate) search_path: String,
    /// Directory of the project.
    pub(crate) root: PathBuf,
    /// Directory that the command starts in.
    pub(crate) directory: PathBuf,
    /// True for generators: they run in a working tree always and make what they like in it, and their `tools` is a map.
    pub(crate) generates: bool,
}

/// The surroundings of one run.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// The only directory of `PATH`.
    pub(crate) programs: PathBuf,
    /// `TMPDIR`
    pub(crate) temporary: PathBuf,
    /// `HOME`
    pub(crate) home: PathBuf,
    /// What can be read, if that is checked.
    pub(crate) sandbox: Option<Arc<Sandbox>>,
    /// The working tree, if the command runs in one: it stands for the project's directory.
    pub(crate) tree: Option<PathBuf>,
    /// Directory of all these.
    place: PathBuf,
}

impl Closed {
    /// Adds what shapes a result and is not the default.
    pub(crate) fn settings(&self, spec: &mut ActionSpec) {
        for (is_set, name, value) in [(!self.is_checked, "sandbox", "off"), (self.network, "network", "on")] {
            if is_set {
                spec.settings.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Makes the surroundings of a run. `others` are more places that can be read; `go` is the directory of its
    /// programs.
    pub(crate) fn enter(
        &self,
        spec: &ActionSpec,
        job: &Job<'_>,
        tools: &Tools,
        go: Option<&Path>,
        others: Vec<PathBuf>,
    ) -> Result<Surroundings, StepError> {
        // A step that reads through a link to elsewhere always runs, and needs no check.
        let is_checked = self.is_checked && spec.inputs.blind_spot().is_none();
        let has_tree = self.generates || is_checked && !spec.outputs.is_empty();
        // The working tree has the same name in each run: it may get into outputs, as any working directory may. The
        // step's lock keeps others out.
        let place = match has_tree {
            true => job.workspace.state.join(TREES).join(self.key.file_name()),
            false => job.staging.join(PLACE),
        };
        let mut around = Surroundings {
            programs: place.join("bin"),
            temporary: place.join("tmp"),
            home: place.join("home"),
            sandbox: None,
            tree: has_tree.then(|| place.join("tree")),
            place,
        };
        let built = self.built.iter().filter_map(|index| job.upstream.get(*index)?.artefacts.first());
        let built: Vec<PathBuf> = built.map(|artefact| artefact.path.clone()).collect();
        let go = go.map(|go| ["go", "gofmt"].map(|name| go.join(name))).into_iter().flatten();
        let fill = || -> io::Result<()> {
            remove_tree(&around.place);
            tools.link_into(&around.programs, built.into_iter().chain(go))?;
            fs::create_dir_all(&around.temporary)?;
            fs::create_dir_all(&around.home)?;
            let Some(tree) = &around.tree else { return Ok(()) };
            working_tree::fill(tree, &self.root, spec, job)?;
            for output in spec.outputs.iter().filter(|_| !self.generates) {
                let place = output.name.below(tree);
                // What a command may take for granted, as without a working tree.
                fs::create_dir_all(match output.kind {
                    OutputKind::Directory => &place,
                    OutputKind::File => place.parent().unwrap_or(tree),
                })?;
            }
            fs::create_dir_all(around.directory(self))
        };
        fill().map_err(|error| StepError::unwritable(&around.place, &error))?;
        if is_checked {
            let mut readable = vec![around.programs.clone(), around.temporary.clone(), around.home.clone()];
            readable.extend(tools.files().chain(&tools.directories).cloned());
            readable.extend(others);
            let artefacts = job.upstream.iter().flat_map(|upstream| &upstream.artefacts);
            readable.extend(artefacts.map(|artefact| artefact.path.clone()));
            let mut listable = Vec::new();
            match &around.tree {
                Some(tree) => readable.push(tree.clone()),
                None => {
                    readable.extend(self.inputs_in_place(spec));
                    listable.clone_from(&self.listable);
                }
            }
            around.sandbox = Some(Arc::new(Sandbox { readable, listable, network: self.network }));
        }
        Ok(around)
    }

    /// Explains a failure that the surroundings brought about.
    pub(crate) fn explain(&self, error: StepError, around: &Surroundings) -> StepError {
        match self.cause(&error, around) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// Returns the inputs where they are: directories that hold nothing else as one, files elsewhere.
    fn inputs_in_place(&self, spec: &ActionSpec) -> Vec<PathBuf> {
        let (mut files, mut through_links) = (BTreeSet::new(), Vec::new());
        for input in spec.inputs.iter() {
            // A rule for a link is one for the file that it leads to.
            if matches!(input.entry, Entry::Symlink { .. }) && !input.absolute.is_dir() {
                through_links.push(input.absolute.clone());
            }
            files.insert(input.absolute);
        }
        let mut readable = whole_directories(&self.root, &files);
        readable.extend(through_links);
        readable
    }
}

impl Surroundings {
    /// Returns the directory that stands for the project's.
    pub(crate) fn root<'p>(&'p self, closed: &'p Closed) -> &'p Path {
        self.tree.as_deref().unwrap_or(&closed.root)
    }

    /// Returns the directory that the command starts in.
    pub(crate) fn directory(&self, closed: &Closed) -> PathBuf {
        self.in_tree(closed, &closed.directory)
    }

    /// Returns where a path of the project lies for the command.
    pub(crate) fn in_tree(&self, closed: &Closed, path: &Path) -> PathBuf {
        path.strip_prefix(&closed.root).map_or_else(|_| path.to_owned(), |below| self.root(closed).join(below))
    }

    /// Returns the path of the project that the command means by `path`.
    pub(crate) fn in_project(&self, closed: &Closed, path: &Path) -> PathBuf {
        let below = self.tree.as_ref().and_then(|tree| path.strip_prefix(tree).ok());
        below.map_or_else(|| path.to_owned(), |below| closed.root.join(below))
    }
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        remove_tree(&self.place);
    }
}

/// Returns `files` with those directories below `root` in place of their files in which there is nothing else.
fn whole_directories(root: &Path, files: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut names: BTreeMap<&Path, BTreeSet<OsString>> = BTreeMap::new();
    for file in files {
        let (Some(mut parent), Some(name)) = (file.parent(), file.file_name()) else { continue };
        names.entry(parent).or_default().insert(name.to_owned());
        while let Some(above) = parent.parent().filter(|_| parent.starts_with(root) && parent != root) {
            if names.contains_key(above) {
                break;
            }
            names.insert(above, BTreeSet::new());
            parent = above;
        }
    }
    let mut whole: BTreeSet<&Path> = BTreeSet::new();
    // In reverse order, what is below a directory comes before it.
    for (directory, files) in names.iter().rev() {
        let is_declared =
            |entry: fs::DirEntry| files.contains(&entry.file_name()) || whole.contains(entry.path().as_path());
        let mut entries = fs::read_dir(directory).into_iter().flatten().flatten();
        if directory.starts_with(root) && *directory != root && entries.all(is_declared) {
            whole.insert(directory);
        }
    }
    let is_within = |path: &Path| path.parent().is_some_and(|parent| whole.contains(parent));
    let directories = whole.iter().filter(|path| !is_within(path)).map(|path| path.to_path_buf());
    directories.chain(files.iter().filter(|path| !is_within(path)).cloned()).collect()
}

/// Returns the directories that can be listed as a whole at and below `place`, an output of another step: those that hold
/// nothing but what it made. Its files can be read anyway.
pub(crate) fn output_directories(place: &Path, artefacts: &[&Artefact]) -> Vec<PathBuf> {
    if !place.is_dir() {
        return Vec::new();
    }
    let made: BTreeSet<PathBuf> =
        artefacts.iter().map(|artefact| &artefact.path).filter(|path| path.starts_with(place)).cloned().collect();
    let is_empty = || fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_none());
    if made.is_empty() {
        return if is_empty() { vec![place.to_owned()] } else { Vec::new() };
    }
    let all = whole_directories(place.parent().unwrap_or(place), &made);
    all.into_iter().filter(|path| !made.contains(path)).collect()
}

/// Returns the directories in which globs look for names, relative to the project's.
pub(crate) fn searched_directories<'g>(globs: impl IntoIterator<Item = &'g str>) -> Vec<PathBuf> {
    let is_plain = |part: &&str| !part.contains(['*', '?', '[', '{']);
    let positive = globs.into_iter().filter(|glob| !glob.starts_with('!'));
    let searched = positive.filter(|glob| !is_plain(glob));
    searched.map(|glob| glob.trim_start_matches("./").split('/').take_while(is_plain).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_with_nothing_else_are_one_rule() {
        let root = std::env::temp_dir().join(format!("rondel-closed-{}", std::process::id()));
        for path in ["a/b/1", "a/b/2", "a/3", "c/4", "c/other", "c/d/e/5", "6"] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "").unwrap();
        }
        let files = ["a/b/1", "a/b/2", "a/3", "c/4", "c/d/e/5", "6"].map(|path| root.join(path)).into();
        let found = whole_directories(&root, &files);
        let mut found: Vec<&str> =
            found.iter().map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap()).collect();
        found.sort();
        assert_eq!(found, ["6", "a", "c/4", "c/d"]);
        fs::remove_dir_all(&root).unwrap();
    }

    /// What another step left there, or nobody knows, has names that no key holds.
    #[test]
    fn output_directories_with_nothing_else_can_be_listed() {
        let root = std::env::temp_dir().join(format!("rondel-closed-outputs-{}", std::process::id()));
        let artefact = |path: &str| {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "").unwrap();
            let entry = Entry::directory();
            Artefact { name: rondel_cas::RelativePath::new(path).unwrap(), path: root.join(path), entry }
        };
        let artefacts = ["out/1", "out/s/2", "mixed/3", "mixed/s/4", "other/5"].map(artefact);
        let artefacts: Vec<&Artefact> = artefacts.iter().collect();
        fs::write(root.join("mixed/foreign"), "").unwrap();
        fs::create_dir_all(root.join("empty")).unwrap();
        for (place, expected) in [
            ("out", &["out"][..]),
            ("out/s", &["out/s"]),
            ("mixed", &["mixed/s"]),
            ("out/1", &[]),
            ("empty", &["empty"]),
        ] {
            let expected: Vec<PathBuf> = expected.iter().map(|path| root.join(path)).collect();
            assert_eq!(output_directories(&root.join(place), &artefacts), expected, "{place}");
        }
        assert_eq!(output_directories(&root.join("out"), &[]), Vec::<PathBuf>::new());
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn globs_list_where_they_search() {
        let globs = ["in", "src/**", "./lib/a*/x", "!no/**", "**/*.go"];
        assert_eq!(searched_directories(globs), ["src", "lib", ""].map(PathBuf::from));
    }
}
