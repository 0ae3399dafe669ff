//! `Module`: the Go module that a target is about. Where it is, and whether the go.work of build.ron counts in it. Knows no
//! version of Go and no step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rondel_buildfile::{BuildFile, ModuleDirectory, suggest};
use rondel_cas::RelativePath;
use rondel_engine::UserError;
use rondel_golang::{GoMod, lexically, module_text, takes_packages_from};

/// Number of directories that are looked at for the hint of an error.
const LOOKED_AT_MAX: usize = 2000;
/// Depth of the modules that a hint names.
const DEPTH_MAX: usize = 4;
/// Number of modules that a hint names.
const NAMED_MAX: usize = 10;

/// One module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Module {
    /// Directory of go.mod.
    pub directory: PathBuf,
    /// The directory below `root`; `None` for `root` itself.
    pub below: Option<RelativePath>,
    /// The go.work that is in force.
    pub go_work: Option<PathBuf>,
}

impl Module {
    /// Returns what targets without `module` stand in: `root`, which may be without go.mod. A go.work counts there in any
    /// case, since packages of its members can be named from there.
    pub fn of_root(file: &BuildFile, workspace: &Path) -> Result<Module, UserError> {
        let directory = module_directory(file, workspace);
        let go_work = go_work_of(file, &directory, &|_| true)?;
        Ok(Module { directory, below: None, go_work })
    }

    /// Returns the module of a target: that in `field`, or what `root` is.
    pub fn of(file: &BuildFile, workspace: &Path, field: Option<&ModuleDirectory>) -> Result<Module, UserError> {
        let Some(field) = field else { return Module::of_root(file, workspace) };
        let root = module_directory(file, workspace);
        let Some(name) = field.below_root() else {
            let go_work = go_work_of(file, &root, &|go_work| uses(go_work, &root))?;
            return Ok(Module { directory: root, below: None, go_work });
        };
        let below = RelativePath::new(&name).map_err(|error| UserError::input(error.to_string()).at(field.span))?;
        let directory = below.below(&root);
        check_directory(&root, &name, &directory).map_err(|error| error.at(field.span))?;
        let go_work = go_work_of(file, &root, &|go_work| uses(go_work, &directory))?;
        Ok(Module { directory, below: Some(below), go_work })
    }

    /// Returns true if there is a go.mod, or a go.work in its place.
    pub fn exists(&self) -> bool {
        self.go_work.is_some() || has_go_mod(&self.directory)
    }

    /// Returns the name of a file of the module in messages: relative to `root`.
    pub fn file(&self, name: &str) -> String {
        self.below.as_ref().map_or_else(|| name.to_owned(), |below| format!("{below}/{name}"))
    }

    /// Refuses a pattern that begins with `.` and leads into another module, from which Go takes no package here.
    /// `root` is where paths of build.ron begin.
    pub(crate) fn check_pattern(&self, pattern: &str, root: &Path) -> Result<(), UserError> {
        if !(pattern == "." || pattern == ".." || pattern.starts_with("./") || pattern.starts_with("../")) {
            return Ok(());
        }
        let literal = pattern.split("...").next().unwrap_or("");
        let wanted = lexically(&self.directory.join(literal));
        if !wanted.is_dir() {
            return Ok(());
        }
        let Err(owner) = takes_packages_from(&self.directory, self.go_work.as_deref(), &wanted) else {
            return self.check_use(pattern, &wanted);
        };
        let own = self.below.as_ref().map_or("`root`".to_owned(), |below| format!("`{below}`"));
        let other = owner.as_deref().and_then(|owner| owner.strip_prefix(root).ok());
        let Some((owner, other)) = owner.as_deref().zip(other) else {
            return Err(UserError::input(format!("`{pattern}` is not in the module of {own}"))
                .hint("packages are patterns below the module's directory, or import paths"));
        };
        let rest = wanted.strip_prefix(owner).unwrap_or(Path::new("")).display().to_string();
        let dots = if pattern.contains("...") { "/..." } else { "" };
        let there = if rest.is_empty() && dots.is_empty() { ".".to_owned() } else { format!("./{rest}{dots}") };
        let there = there.replace("//", "/");
        let field = match other.as_os_str().is_empty() {
            true => "without `module`".to_owned(),
            false => format!("with `module: \"{}\"`", other.display()),
        };
        let other = if other.as_os_str().is_empty() { Path::new("root") } else { other };
        Err(UserError::input(format!(
            "`{pattern}` is in the module of `{}`, and not in that of {own}",
            other.display()
        ))
        .hint(format!("give it a target {field} and `packages: [\"{there}\"]`; a declared go.work joins modules")))
    }
}

impl Module {
    /// Refuses a package of the module in `root` where a go.work counts that does not use this module.
    fn check_use(&self, pattern: &str, wanted: &Path) -> Result<(), UserError> {
        let Some(go_work) = self.go_work.as_deref().filter(|go_work| !uses(go_work, &self.directory)) else {
            return Ok(());
        };
        let owner = wanted.ancestors().find(|ancestor| has_go_mod(ancestor));
        if owner != Some(lexically(&self.directory).as_path()) {
            return Ok(());
        }
        let file = go_work.file_name().unwrap_or_default().to_string_lossy();
        Err(UserError::input(format!("`{pattern}` is in the module of `root`, which `{file}` does not use"))
            .hint("write `module: \".\"` to build it without the go.work; `go work use .` adds the module"))
    }
}

/// Returns the directory of `root`.
pub fn module_directory(file: &BuildFile, workspace: &Path) -> PathBuf {
    file.root.as_ref().map_or_else(|| workspace.to_owned(), |root| workspace.join(&root.value))
}

/// Returns the go.work that build.ron names, if it `counts`.
fn go_work_of(file: &BuildFile, root: &Path, counts: &dyn Fn(&Path) -> bool) -> Result<Option<PathBuf>, UserError> {
    let Some(named) = &file.go_work else { return Ok(None) };
    let path = root.join(&named.value);
    if !path.is_file() {
        return Err(UserError::input(format!("there is no `{}`", named.value)).at(named.span));
    }
    if !counts(&path) {
        return Ok(None);
    }
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for used in used_directories(&path) {
        let text = module_text(&used.join("go.mod"))?.unwrap_or_default();
        let Some(module) = GoMod::parse(&text).module else { continue };
        let place = used.strip_prefix(lexically(root)).unwrap_or(&used).display().to_string();
        let place = if place.is_empty() { ".".to_owned() } else { place };
        if let Some(other) = known.insert(module.clone(), place.clone()).filter(|other| *other != place) {
            let message = format!("`{}` uses two modules named `{module}`: `{other}` and `{place}`", named.value);
            let hint = "Go takes a module's path once: change that of one, or remove its `use`";
            return Err(UserError::input(message).at(named.span).hint(hint));
        }
    }
    Ok(Some(path))
}

/// Returns the directories that a go.work uses, without `..`.
fn used_directories(go_work: &Path) -> Vec<PathBuf> {
    let base = go_work.parent().unwrap_or(Path::new("/"));
    let text = module_text(go_work).ok().flatten().unwrap_or_default();
    GoMod::parse(&text).uses.iter().map(|used| lexically(&base.join(used))).collect()
}

/// Returns true if a go.work uses the module in `directory`.
fn uses(go_work: &Path, directory: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let wanted = lexically(directory);
    used_directories(go_work).iter().any(|used| *used == wanted || real(used) == real(&wanted))
}

fn has_go_mod(directory: &Path) -> bool {
    directory.join("go.mod").is_file()
}

/// Refuses a directory that is none, leads out of `root`, or holds no go.mod.
fn check_directory(root: &Path, name: &str, directory: &Path) -> Result<(), UserError> {
    if !directory.is_dir() {
        let what = if directory.exists() { "is not a directory" } else { "does not exist" };
        return Err(UserError::input(format!("the module `{name}` {what}")).hint(near_modules(root, name)));
    }
    let (real_root, real) = (root.canonicalize(), directory.canonicalize());
    if let (Ok(real_root), Ok(real)) = (&real_root, &real)
        && !real.starts_with(real_root)
    {
        let message = format!("the module `{name}` is a link to `{}`, outside of the root", real.display());
        return Err(UserError::input(message).hint("put `build.ron` into a directory that holds both"));
    }
    if has_go_mod(directory) {
        return Ok(());
    }
    let error = UserError::input(format!("there is no go.mod in `{name}`"));
    let above = directory.ancestors().skip(1).take_while(|path| path.starts_with(root)).find(|path| has_go_mod(path));
    let rest = above.and_then(|above| directory.strip_prefix(above).ok()).map(|rest| rest.display().to_string());
    Err(match above.and_then(|above| above.strip_prefix(root).ok()).zip(rest) {
        Some((above, rest)) if above.as_os_str().is_empty() => error.hint(format!(
            "the nearest one above is that of `root`: leave `module` out, and write its packages as `./{rest}`"
        )),
        Some((above, rest)) => {
            let above = above.display();
            error.hint(format!(
                "the nearest one above is in `{above}`: write `module: \"{above}\"`, and its packages as `./{rest}`"
            ))
        }
        None => error.hint(near_modules(root, name)),
    })
}

/// Returns a hint that names the modules below `root`.
pub(crate) fn near_modules(root: &Path, name: &str) -> String {
    let found = modules_below(root);
    if let Some(near) = suggest(name, found.iter().map(String::as_str)) {
        return format!("did you mean `{near}`?");
    }
    match found.as_slice() {
        [] => "`go mod init` makes one".to_owned(),
        found => {
            let named: Vec<String> = found.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
            format!("go.mod is in: {}{}", named.join(", "), if found.len() > NAMED_MAX { ", …" } else { "" })
        }
    }
}

/// Returns the directories with a go.mod, those nearer to `root` first, as far as a short search goes.
fn modules_below(root: &Path) -> Vec<String> {
    let (mut open, mut found) = (std::collections::VecDeque::from([(root.to_owned(), 0)]), Vec::new());
    let mut left = LOOKED_AT_MAX;
    while let Some((directory, depth)) = open.pop_front() {
        if has_go_mod(&directory) {
            let below = directory.strip_prefix(root).unwrap_or(&directory).display().to_string();
            found.push(if below.is_empty() { ".".to_owned() } else { below });
        }
        left = left.saturating_sub(1);
        if depth == DEPTH_MAX || left == 0 {
            continue;
        }
        let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten();
        let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut names: Vec<PathBuf> = directories
            .filter(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                !name.starts_with(['.', '_']) && !matches!(&*name, "vendor" | "testdata" | "node_modules")
            })
            .map(|entry| entry.path())
            .collect();
        names.sort();
        open.extend(names.into_iter().map(|path| (path, depth + 1)));
    }
    found
}
