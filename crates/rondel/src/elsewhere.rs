//! A place for a second build that has as little as possible in common with the first: another directory, user
//! and HOME, other permissions, times and order of files, an empty build cache, other cores, another clock where
//! one can be had. What is the same in spite of it all does not depend on them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use rondel_cas::{copy_file, par_chunks};
use rondel_diff::Traces;
use rondel_engine::Workspace;

use crate::exit::Failure;
use crate::session::Session;

/// Names at the top of the workspace that are no sources.
const NO_SOURCES: &[&str] = &[".git", ".rondel", "target", "dist"];

/// Where a preloaded clock may be (Debian, Fedora, Homebrew).
const CLOCKS: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The place; removed at the end.
pub(crate) struct Elsewhere {
    base: PathBuf,
    /// Directory of the copied build.ron.
    pub root: PathBuf,
    /// A cache of its own: Go's build cache is empty, toolchain and modules are shared through links.
    pub cache: PathBuf,
    /// What the second build sees as the caller's.
    pub environment: BTreeMap<String, String>,
    /// What its processes see besides.
    pub disturbance: Vec<(String, String)>,
    /// What is different, in words.
    pub differences: Vec<String>,
}

impl Elsewhere {
    /// Copies the workspace, but for `made` (what the first build made), and the sources outside of it.
    pub fn make(
        session: &Session<'_>,
        sources: &BTreeSet<PathBuf>,
        made: &BTreeSet<PathBuf>,
    ) -> Result<Elsewhere, Failure> {
        let all = session.cache.join("verify");
        sweep(&all);
        let base = all.join(std::process::id().to_string());
        let failed = |error: io::Error| Failure::Environment {
            message: format!("the second build's place `{}` could not be made: {error}", base.display()),
            hint: Some("verify needs room for a copy of the tree and a cold build".to_owned()),
        };
        let mut place = Elsewhere {
            root: below(&base.join("another-directory"), &session.root),
            cache: base.join("cache"),
            environment: BTreeMap::new(),
            disturbance: Vec::new(),
            differences: Vec::new(),
            base: base.clone(),
        };
        place.fill(session, sources, made).map_err(failed)?;
        place.disturb(session).map_err(failed)?;
        Ok(place)
    }

    /// Stores and directories of the second build.
    pub fn workspace(&self) -> Workspace {
        let mut workspace = Workspace::open(&self.root, &self.cache);
        workspace.disturbance.clone_from(&self.disturbance);
        workspace
    }

    /// What tells one build's artefacts from the other's.
    pub fn traces(&self, session: &Session<'_>) -> Traces {
        let text = |path: &Path| path.display().to_string();
        let home = |environment: &BTreeMap<String, String>| environment.get("HOME").cloned().unwrap_or_default();
        Traces {
            first: vec![text(&session.root), text(&session.cache), home(&session.caller.environment)],
            second: vec![text(&self.root), text(&self.cache), home(&self.environment)],
            readers: vec![rondel_golang::executable_differences],
        }
    }

    fn fill(&self, session: &Session<'_>, sources: &BTreeSet<PathBuf>, made: &BTreeSet<PathBuf>) -> io::Result<()> {
        let tree = self.base.join("another-directory");
        let mut files = Vec::new();
        collect(&session.root, true, made, &mut files)?;
        let is_outside = |path: &&PathBuf| !path.starts_with(&session.root) && !path.starts_with(&session.cache);
        files.extend(sources.iter().filter(is_outside).cloned());
        // Last first: a directory lists its files in another order on many file systems.
        files.sort();
        let files: Vec<(usize, &PathBuf)> = files.iter().rev().enumerate().collect();
        let copy_all = |part: &[(usize, &PathBuf)]| {
            part.iter().try_for_each(|(index, file)| copy(file, &below(&tree, file), *index))
        };
        par_chunks(&files, files.len(), copy_all).into_iter().collect::<io::Result<()>>()?;
        fs::create_dir_all(self.root.join(".rondel"))?;
        // Not ignored by git, unlike the first: whoever asks git for the state of the whole tree sees a
        // difference that has nothing to do with what is built.
        fs::write(self.root.join(".rondel/.gitignore"), "# verify: seen by git\n")?;
        copy_repository(&session.root, &self.root)?;
        let go = self.cache.join("go");
        fs::create_dir_all(&go)?;
        for shared in ["toolchains", "mod"] {
            let target = session.cache.join("go").join(shared);
            fs::create_dir_all(&target)?;
            link(&target, &go.join(shared))?;
        }
        fs::create_dir_all(self.base.join("home"))
    }

    fn disturb(&mut self, session: &Session<'_>) -> io::Result<()> {
        let home = self.base.join("home").display().to_string();
        let caller = &session.caller.environment;
        let mut environment = caller.clone();
        environment.retain(|name, _| !name.starts_with("XDG_"));
        // How to reach modules stays the user's.
        if let Some(old) = caller.get("HOME") {
            for (name, path) in [("NETRC", ".netrc"), ("GOENV", ".config/go/env")] {
                let path = Path::new(old).join(path);
                if path.is_file() {
                    environment.entry(name.to_owned()).or_insert_with(|| path.display().to_string());
                }
            }
        }
        // A loaded image would take the place of the first one.
        environment.insert("DOCKER_HOST".to_owned(), "unix:///nonexistent/rondel-verify.sock".to_owned());
        let cores = std::thread::available_parallelism().map_or(1, usize::from) + 1;
        let other = |name: &str, one: &str, two: &str| {
            if caller.get(name).is_some_and(|value| value == one) { two.to_owned() } else { one.to_owned() }
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
            self.disturbance.push((name.to_owned(), value));
        }
        self.disturbance.push(("GOMAXPROCS".to_owned(), cores.to_string()));
        self.differences =
            ["directory", "user name", "HOME", "umask 077", "time zone", "locale", "order and times of files"]
                .map(str::to_owned)
                .to_vec();
        self.differences.push(format!("GOMAXPROCS {cores}"));
        self.differences.push("empty build cache".to_owned());
        match CLOCKS.iter().find(|path| Path::new(path).is_file()) {
            Some(clock) => {
                self.disturbance.push(("LD_PRELOAD".to_owned(), (*clock).to_owned()));
                self.disturbance.push(("FAKETIME".to_owned(), "+400d".to_owned()));
                self.differences
                    .push("clock 400 days ahead (not for Go's own programs, which ask the kernel)".to_owned());
            }
            None => self.differences.push("clock as it went on (libfaketime would move it)".to_owned()),
        }
        self.environment = environment;
        Ok(())
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

/// Runs with a umask that leaves nothing to others.
pub(crate) fn with_private_umask<T>(run: impl FnOnce() -> T) -> T {
    #[cfg(unix)]
    {
        use rustix::fs::Mode;
        let former = rustix::process::umask(Mode::RWXG | Mode::RWXO);
        let result = run();
        rustix::process::umask(former);
        result
    }
    #[cfg(not(unix))]
    run()
}

/// What killed processes left.
fn sweep(all: &Path) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let owner = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        #[cfg(unix)]
        let is_alive = owner
            .and_then(rustix::process::Pid::from_raw)
            .is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH));
        #[cfg(not(unix))]
        let is_alive = owner.is_some();
        if !is_alive {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The absolute `path` moved below `base`, so that relative ways between files stay what they are.
fn below(base: &Path, path: &Path) -> PathBuf {
    let normal = path.components().filter(|component| matches!(component, Component::Normal(_)));
    normal.fold(base.to_owned(), |place, component| place.join(component))
}

fn collect(directory: &Path, is_top: bool, made: &BTreeSet<PathBuf>, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (name, path, kind) = (entry.file_name(), entry.path(), entry.file_type()?);
        let name = name.to_string_lossy();
        if name == ".git" || (is_top && NO_SOURCES.contains(&&*name)) || made.contains(&path) {
            continue;
        }
        if kind.is_dir() {
            collect(&path, false, made, files)?;
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
        let mode = if metadata.permissions().mode() & 0o100 == 0 { 0o600 } else { 0o700 };
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

/// The repository, if the workspace is all of it: its references and index; its objects stay where they are.
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
    collect(&git.join("refs"), false, &BTreeSet::new(), &mut references)?;
    for reference in references {
        let place = target.join(reference.strip_prefix(&git).unwrap_or(&reference));
        fs::create_dir_all(place.parent().expect("below .git"))?;
        copy_file(&reference, &place)?;
    }
    fs::write(target.join("objects/info/alternates"), format!("{}\n", git.join("objects").display()))
}
