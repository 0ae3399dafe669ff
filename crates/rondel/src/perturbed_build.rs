//! The surroundings of `verify`'s second build, which differ as much as possible from the first. They have another
//! directory, user and HOME, other permissions, times and order of files, an empty build cache and another number of
//! cores. With libfaketime installed, they have another clock too. Artefacts that are still identical depend on none of
//! these.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use rondel_cas::{TemporaryDirectory, copy_file, par_chunks, sweep_abandoned};
use rondel_diff::Traces;
use rondel_engine::{Workspace, set_process_umask};

use crate::exit::Failure;
use crate::session::Session;

/// Names at the top of the workspace that hold no sources.
const NO_SOURCES: &[&str] = &[".git", ".rondel"];

/// Usual places of libfaketime (Debian, Fedora, Homebrew).
const CLOCKS: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// A variable and its value in the second build.
type Perturbation = (String, String);

/// The surroundings of the second build; removed when dropped.
pub(crate) struct PerturbedBuild {
    directory: TemporaryDirectory,
    /// Directory of the copied build.ron.
    pub root: PathBuf,
    /// A cache of its own: Go's build cache is empty, toolchain and modules are shared through links.
    pub cache: PathBuf,
    /// Process environment of the second build.
    pub environment: BTreeMap<String, String>,
    /// Extra variables for every process of the second build.
    perturbation: Vec<Perturbation>,
    /// The variations, in words.
    pub variations: Vec<String>,
}

impl PerturbedBuild {
    /// Copies the workspace without `made` (the artefacts of the first build), and the sources outside of it.
    pub fn make(
        session: &Session<'_>,
        sources: &BTreeSet<PathBuf>,
        made: &BTreeSet<PathBuf>,
    ) -> Result<PerturbedBuild, Failure> {
        let all = session.cache.join("verify");
        sweep_abandoned(&all);
        let failed = |error: io::Error| {
            Failure::environment(format!("failed to prepare the second build below `{}`: {error}", all.display()))
                .hint("verify needs room for a copy of the tree and a cold build")
        };
        let directory = TemporaryDirectory::new_in(&all).map_err(failed)?;
        let base = directory.path();
        let mut place = PerturbedBuild {
            root: below(&base.join("another-directory"), &session.root),
            cache: base.join("cache"),
            environment: BTreeMap::new(),
            perturbation: Vec::new(),
            variations: Vec::new(),
            directory,
        };
        place.fill(session, sources, made).map_err(failed)?;
        place.perturb(session).map_err(failed)?;
        Ok(place)
    }

    /// Returns stores and directories of the second build.
    pub fn workspace(&self) -> Workspace {
        let mut workspace = Workspace::open(&self.root, &self.cache);
        workspace.perturbation.clone_from(&self.perturbation);
        workspace
    }

    /// Returns paths that identify the artefacts of one build or the other.
    pub fn traces(&self, session: &Session<'_>) -> Traces {
        let text = |path: &Path| path.display().to_string();
        let home = |environment: &BTreeMap<String, String>| environment.get("HOME").cloned().unwrap_or_default();
        Traces {
            first: vec![text(&session.root), text(&session.cache), home(&session.context.environment)],
            second: vec![text(&self.root), text(&self.cache), home(&self.environment)],
            readers: vec![rondel_golang::executable_differences],
        }
    }

    fn fill(&self, session: &Session<'_>, sources: &BTreeSet<PathBuf>, made: &BTreeSet<PathBuf>) -> io::Result<()> {
        let tree = self.directory.path().join("another-directory");
        let mut files = Vec::new();
        tree_files(&session.root, true, made, &mut files)?;
        let is_outside = |path: &&PathBuf| !path.starts_with(&session.root) && !path.starts_with(&session.cache);
        files.extend(sources.iter().filter(is_outside).cloned());
        // Last first: on many file systems this changes the order in which a directory lists its files.
        files.sort();
        let files: Vec<(usize, &PathBuf)> = files.iter().rev().enumerate().collect();
        let copy_all = |part: &[(usize, &PathBuf)]| {
            part.iter().try_for_each(|(index, file)| copy(file, &below(&tree, file), *index))
        };
        par_chunks(&files, files.len(), copy_all).into_iter().collect::<io::Result<()>>()?;
        fs::create_dir_all(self.root.join(".rondel"))?;
        // Not ignored by git, unlike the first: a step that reads git's state of the whole tree gets a difference
        // unrelated to its inputs.
        fs::write(self.root.join(".rondel/.gitignore"), "# verify: seen by git\n")?;
        copy_repository(&session.root, &self.root)?;
        let go = self.cache.join("go");
        fs::create_dir_all(&go)?;
        for shared in ["toolchains", "mod"] {
            let target = session.cache.join("go").join(shared);
            fs::create_dir_all(&target)?;
            link(&target, &go.join(shared))?;
        }
        fs::create_dir_all(self.directory.path().join("home"))
    }

    fn perturb(&mut self, session: &Session<'_>) -> io::Result<()> {
        let home = self.directory.path().join("home").display().to_string();
        let first = &session.context.environment;
        let mut environment = first.clone();
        environment.retain(|name, _| !name.starts_with("XDG_"));
        // The user's access to modules stays.
        if let Some(old) = first.get("HOME") {
            for (name, path) in [("NETRC", ".netrc"), ("GOENV", ".config/go/env")] {
                let path = Path::new(old).join(path);
                if path.is_file() {
                    environment.entry(name.to_owned()).or_insert_with(|| path.display().to_string());
                }
            }
        }
        // A loaded image would replace the first one.
        environment.insert("DOCKER_HOST".to_owned(), "unix:///nonexistent/rondel-verify.sock".to_owned());
        let cores = std::thread::available_parallelism().map_or(1, usize::from) + 1;
        let other = |name: &str, one: &str, two: &str| {
            if first.get(name).is_some_and(|value| value == one) { two.to_owned() } else { one.to_owned() }
        };
        let different = [
            ("HOME", home),
            ("USER", "rondel-verify".to_owned()),
            ("LOGNAME", "rondel-verify".to_owned()),
            ("TZ", other("TZ", "Asia/Kathmandu", "America/St_Johns")),
            ("LANG", other("LANG", "tr_TR.UTF-8", "de_DE.UTF-8")),
            ("LC_ALL", other("LC_ALL", "tr_TR.UTF-8", "de_DE.UTF-8")),
        ];
        for (name, value) in different {
            environment.insert(name.to_owned(), value.clone());
            self.perturbation.push((name.to_owned(), value));
        }
        self.perturbation.push(("GOMAXPROCS".to_owned(), cores.to_string()));
        self.variations =
            ["directory", "user name", "HOME", "umask 002", "time zone", "locale", "order and times of files"]
                .map(str::to_owned)
                .to_vec();
        self.variations.push(format!("GOMAXPROCS {cores}"));
        self.variations.push("empty build cache".to_owned());
        match CLOCKS.iter().find(|path| Path::new(path).is_file()) {
            Some(clock) => {
                self.perturbation.push(("LD_PRELOAD".to_owned(), (*clock).to_owned()));
                self.perturbation.push(("FAKETIME".to_owned(), "+400d".to_owned()));
                self.variations
                    .push("clock 400 days ahead (not for Go's own programs, which ask the kernel)".to_owned());
            }
            None => self.variations.push("the same clock (libfaketime would move it)".to_owned()),
        }
        self.environment = environment;
        Ok(())
    }
}

/// Runs with another umask. It is not a private one: what is private then, nobody else's build would call ordinary.
pub(crate) fn with_other_umask<T>(run: impl FnOnce() -> T) -> T {
    let former = set_process_umask(0o002);
    let result = run();
    set_process_umask(former);
    result
}

/// Returns the absolute `path` moved below `base`, so that relative paths between files stay the same.
fn below(base: &Path, path: &Path) -> PathBuf {
    let normal = path.components().filter(|component| matches!(component, Component::Normal(_)));
    normal.fold(base.to_owned(), |place, component| place.join(component))
}

fn tree_files(directory: &Path, is_top: bool, made: &BTreeSet<PathBuf>, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (name, path, kind) = (entry.file_name(), entry.path(), entry.file_type()?);
        let name = name.to_string_lossy();
        if name == ".git" || (is_top && NO_SOURCES.contains(&&*name)) || made.contains(&path) {
            continue;
        }
        if kind.is_dir() {
            tree_files(&path, false, made, files)?;
        } else if kind.is_file() || kind.is_symlink() {
            files.push(path);
        }
    }
    Ok(())
}

/// Copies one file or link; only its owner may use it, and its time is of another century.
fn copy(from: &Path, to: &Path, index: usize) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    let metadata = fs::symlink_metadata(from)?;
    if metadata.is_symlink() {
        return link(&fs::read_link(from)?, to);
    }
    copy_file(from, to)?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800 + index as u64);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As the other umask leaves them. Permissions that were set on purpose count, so they stay.
        let mode = match metadata.permissions().mode() & 0o777 {
            0o644 => 0o664,
            0o755 => 0o775,
            mode => mode,
        };
        fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    }
    fs::File::options().write(true).open(to).and_then(|file| file.set_modified(time))
}

#[cfg(unix)]
fn link(target: &Path, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, place)
}

#[cfg(windows)]
fn link(target: &Path, place: &Path) -> io::Result<()> {
    if target.is_dir() {
        std::os::windows::fs::symlink_dir(target, place)
    } else {
        std::os::windows::fs::symlink_file(target, place)
    }
}

/// Copies the references and index of a repository that is the whole workspace; its objects stay where they are.
fn copy_repository(from: &Path, to: &Path) -> io::Result<()> {
    let git = from.join(".git");
    if !git.join("objects").is_dir() {
        return Ok(());
    }
    let target = to.join(".git");
    fs::create_dir_all(target.join("objects/info"))?;
    fs::create_dir_all(target.join("refs"))?;
    for name in ["HEAD", "config", "packed-refs", "index", "shallow", "info/exclude", "info/attributes"] {
        if git.join(name).is_file() {
            fs::create_dir_all(target.join(name).parent().expect("below .git"))?;
            copy_file(&git.join(name), &target.join(name))?;
        }
    }
    let mut references = Vec::new();
    tree_files(&git.join("refs"), false, &BTreeSet::new(), &mut references)?;
    for reference in references {
        let place = target.join(reference.strip_prefix(&git).unwrap_or(&reference));
        fs::create_dir_all(place.parent().expect("below .git"))?;
        copy_file(&reference, &place)?;
    }
    fs::write(target.join("objects/info/alternates"), format!("{}\n", git.join("objects").display()))
}
