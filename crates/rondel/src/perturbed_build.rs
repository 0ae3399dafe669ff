//! The surroundings of `verify`'s second build, which differ as much as possible from the first. They have another
//! directory, user and HOME, other permissions, times and order of files, an empty build cache and another number of
//! cores. With libfaketime installed, they have another clock too. Artefacts that are still identical depend on none of
//! these.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_diff::Traces;
use rondel_engine::{Workspace, set_process_umask};

use crate::exit::Failure;
use crate::session::Session;
use crate::tree_copy::{Looks, TreeCopy, link};

/// Usual places of libfaketime (Debian, Fedora, Homebrew).
const CLOCKS: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The umask of the second build. It is not a private one: what is private then, nobody else's build would call ordinary.
const OTHER_UMASK: u32 = 0o002;

/// A variable and its value in the second build.
type Perturbation = (String, String);

/// The surroundings of the second build; removed when dropped.
pub(crate) struct PerturbedBuild {
    copy: TreeCopy,
    build_file: String,
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
        let failed = |error: io::Error| {
            let all = session.cache.join(TreeCopy::PLACE);
            Failure::environment(format!("failed to prepare the second build below `{}`: {error}", all.display()))
                .hint("verify needs room for a copy of the tree and a cold build")
        };
        let copy = TreeCopy::make(session, sources, made, Looks::OfUmask(OTHER_UMASK)).map_err(failed)?;
        let mut place = PerturbedBuild {
            build_file: session.build_file().to_owned(),
            root: copy.root.clone(),
            cache: copy.beside("cache"),
            environment: BTreeMap::new(),
            perturbation: Vec::new(),
            variations: Vec::new(),
            copy,
        };
        place.fill(session).map_err(failed)?;
        place.perturb(session).map_err(failed)?;
        Ok(place)
    }

    /// Returns stores and directories of the second build.
    pub fn workspace(&self) -> Workspace {
        let mut workspace = Workspace::open(&self.root, &self.cache);
        workspace.build_file.clone_from(&self.build_file);
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

    fn fill(&self, session: &Session<'_>) -> io::Result<()> {
        fs::create_dir_all(self.root.join(".rondel"))?;
        // Not ignored by git, unlike the first: a step that reads git's state of the whole tree gets a difference
        // unrelated to its inputs.
        fs::write(self.root.join(".rondel/.gitignore"), "# verify: seen by git\n")?;
        let go = self.cache.join("go");
        fs::create_dir_all(&go)?;
        for shared in ["toolchains", "mod"] {
            let target = session.cache.join("go").join(shared);
            fs::create_dir_all(&target)?;
            link(&target, &go.join(shared))?;
        }
        fs::create_dir_all(self.copy.beside("home"))
    }

    fn perturb(&mut self, session: &Session<'_>) -> io::Result<()> {
        let home = self.copy.beside("home").display().to_string();
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

/// Runs with another umask.
pub(crate) fn with_other_umask<T>(run: impl FnOnce() -> T) -> T {
    let former = set_process_umask(OTHER_UMASK);
    let result = run();
    set_process_umask(former);
    result
}
