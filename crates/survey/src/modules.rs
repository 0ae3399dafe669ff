//! The module that build.ron is for, of those in the repository; go.work, and the version of Go.

use rondel_golang::{GoMod, go_version_of};

use crate::files::{Files, below, relative};
use crate::{SurveyError, is_plain};

/// The Go of a module that asks for none that can be fetched: any newer one builds it.
const TESTED_GO: &str = "1.22.12";

/// The chosen module, or workspace of modules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Modules {
    /// Directory of build.ron's `root`, relative to the top; empty for the top.
    pub root: String,
    /// Module path; of a workspace without a module at its root, that of its first.
    pub path: String,
    /// Directories and paths of all modules that are built.
    pub all: Vec<(String, String)>,
    /// True if there is a go.work in `root`.
    pub has_go_work: bool,
    /// Version that go.mod or go.work asks for, and whether it is one that was released as such.
    wanted: Option<String>,
    /// The value of `go`, and what to say of it.
    pub go: (String, Option<String>),
    /// Modules that are left out.
    pub others: Vec<String>,
}

/// Chooses the module in `root`, that of the top, or the only one.
pub(crate) fn choose(files: &mut Files, root: Option<&str>) -> Result<Modules, SurveyError> {
    let found = files.module_directories();
    let named = root.map(|root| root.trim_start_matches("./").trim_end_matches('/').trim_end_matches("/.").to_owned());
    let named = named.map(|root| if root == "." { String::new() } else { root });
    let root = match named {
        Some(root) if found.contains(&root) || files.has(&below(&root, "go.work")) => root,
        Some(root) => {
            let message = format!("there is no module in `{}`", root.escape_debug());
            return Err(SurveyError::new(message, format!("`--root` takes one of: {}", listed(&found))));
        }
        None if files.has("go.work") || found.iter().any(String::is_empty) => String::new(),
        None => match found.as_slice() {
            [] => {
                let hint = "run `go mod init` first, or change to the directory of the repository";
                return Err(SurveyError::new("there is no go.mod here or below", hint));
            }
            [only] => only.clone(),
            several => {
                let message = format!("there are {} modules, and none at the top: {}", several.len(), listed(several));
                return Err(SurveyError::new(message, "choose one: `--root PATH`; a go.work at the top joins them"));
            }
        },
    };
    let mut modules = Modules { root, ..Modules::default() };
    if files.has(&below(&modules.root, "go.work")) {
        modules.read_go_work(files, &found);
    }
    if !modules.has_go_work {
        let go_mod = read(files, &below(&modules.root, "go.mod")).unwrap_or_default();
        modules.path = module_path(&go_mod, &modules.root);
        modules.all = vec![(modules.root.clone(), modules.path.clone())];
        modules.wanted = wanted_version(&go_mod);
    }
    let built: Vec<&String> = modules.all.iter().map(|(directory, _)| directory).collect();
    modules.others = found.iter().filter(|directory| !built.contains(directory)).cloned().collect();
    Ok(modules)
}

/// Returns the version of the `toolchain` line, or of the `go` line.
fn wanted_version(go_mod: &GoMod) -> Option<String> {
    go_mod.valid_toolchain().or(go_mod.go.as_deref()).map(str::to_owned)
}

impl Modules {
    fn read_go_work(&mut self, files: &mut Files, found: &[String]) {
        let path = below(&self.root, "go.work");
        let Some(work) = read(files, &path) else { return };
        for written in &work.uses {
            let directory = written.trim_start_matches("./").trim_end_matches('/');
            let directory = if directory == "." { "" } else { directory };
            let directory = if directory.is_empty() { self.root.clone() } else { below(&self.root, directory) };
            if !found.contains(&directory) {
                files.note(format!("go.work names `{}`, which is no module of this tree", written.escape_debug()));
                continue;
            }
            let go_mod = read(files, &below(&directory, "go.mod")).unwrap_or_default();
            self.all.push((directory.clone(), module_path(&go_mod, &directory)));
        }
        let own = self.all.iter().find(|(directory, _)| *directory == self.root).or(self.all.first());
        let Some((_, path)) = own else { return };
        self.path = path.clone();
        self.wanted = wanted_version(&work);
        self.has_go_work = true;
    }

    /// Decides the value of `go`; `docker` is the version of an image of Go in the Dockerfile.
    pub fn settle_go(&mut self, docker: Option<&str>) {
        let file = if self.has_go_work { "go.work" } else { "go.mod" };
        let minimum = go_version_of("1.21.0");
        let exact = |version: &str| format!("Version(\"{version}\")");
        let wanted = self.wanted.clone().filter(|version| is_plain(version) && go_version_of(version).is_some());
        let newer = docker.filter(|docker| {
            let docker = go_version_of(docker);
            docker >= minimum && wanted.as_deref().is_none_or(|wanted| docker > go_version_of(wanted))
        });
        self.go = match (wanted, newer) {
            (_, Some(docker)) => (exact(docker), Some("as in the Dockerfile".to_owned())),
            (Some(wanted), None) if go_version_of(&wanted) >= minimum => ("FromGoMod".to_owned(), None),
            (Some(wanted), None) => {
                let why = format!("{file} asks for the language of Go {wanted}; any newer Go builds it");
                (exact(TESTED_GO), Some(why))
            }
            (None, None) => (exact(TESTED_GO), Some(format!("{file} has no `go` line"))),
        };
    }

    /// Returns the module that `directory` belongs to, with the directory relative to it.
    pub fn module_of<'d>(&self, directory: &'d str, is_module: impl Fn(&str) -> bool) -> Option<(&str, &'d str)> {
        let holder = self.all.iter().filter_map(|(module, path)| Some((module, path, relative(directory, module)?)));
        let (module, path, rest) = holder.max_by_key(|(module, ..)| module.len())?;
        // A module of its own between the two.
        let mut between = directory;
        while between != module {
            if is_module(between) {
                return None;
            }
            between = between.rsplit_once('/').map_or("", |(above, _)| above);
        }
        Some((path, rest))
    }
}

fn read(files: &mut Files, path: &str) -> Option<GoMod> {
    files.text(path).map(|text| GoMod::parse(&text))
}

/// Returns the module's path, or the directory's name for one that can't be used.
fn module_path(go_mod: &GoMod, directory: &str) -> String {
    let path = go_mod.module.clone().filter(|path| is_plain(path));
    path.unwrap_or_else(|| directory.rsplit('/').next().unwrap_or_default().to_owned())
}

fn listed(directories: &[String]) -> String {
    let name = |directory: &String| if directory.is_empty() { ".".to_owned() } else { directory.clone() };
    directories.iter().take(20).map(name).collect::<Vec<_>>().join(", ")
}
