//! Whether the programs that an image names can start: each is in the image, its user may execute it, and what starts it is
//! there too. Programs of the base are believed, and so is all that can't be told.

use std::cell::RefCell;
use std::collections::BTreeSet;

use rondel_cas::RelativePath;
use rondel_oci::{
    BaseKind, DEFAULT_PATH, EnvProgram, ImageConfig, LayerProgram, LayerPrograms, NoWay, ProgramStart, ScriptLine,
    resolve,
};

use crate::base::ImageView;
use crate::image::added_users::{GROUP, PASSWD};
use crate::image::container_user::ContainerUser;

/// Maximum number of interpreters that start each other, as Linux has it.
const INTERPRETERS_MAX: usize = 5;
/// Architectures of images, and those of other programs that a processor and a kernel for them may run.
const COMPATIBLE: &[(&str, &str)] = &[
    ("amd64", "386"),
    ("arm64", "arm"),
    ("mips64", "mips"),
    ("mips64le", "mipsle"),
    ("ppc64", "ppc"),
    ("riscv64", "riscv"),
    ("s390x", "s390"),
];
/// Architectures of images that are compared with those of programs.
const KNOWN: &[&str] = &[
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64",
    "s390x",
];
/// Shells that refuse an option with a CR.
const SHELLS: &[&str] = &["ash", "bash", "dash", "sh"];

/// The files of an image as a container sees them.
pub(crate) struct ImageFiles<'a> {
    /// Own layers, lowest first.
    pub own: Vec<&'a LayerPrograms>,
    pub base: Option<&'a ImageView>,
    /// `GOARCH` of the image.
    pub architecture: &'a str,
}

/// How a container runs a program.
struct Container<'a> {
    config: &'a ImageConfig,
    /// `None` if it can't be told who it is.
    user: Option<ContainerUser>,
}

/// Where a word of a command leads.
enum Way {
    /// To a file of an own layer.
    Own(RelativePath),
    /// To a file of the base.
    Base,
    /// To a directory, or to a device.
    NoFile,
    /// To nothing.
    Nowhere,
}

/// What a search by name finds.
enum Found {
    Program(String),
    /// The first file of that name, of which none can be executed.
    Refused(String),
    Nothing,
}

impl ImageFiles<'_> {
    /// Returns what is wrong with the programs of `config`, which holds what the base sets too, as sentences.
    pub fn warnings(&self, config: &ImageConfig) -> BTreeSet<String> {
        let user = ContainerUser::of(&config.user, self.table(PASSWD).as_deref(), self.table(GROUP).as_deref());
        let container = Container { config, user };
        let health = config.health.as_ref().map_or(&[][..], |health| health.command.as_slice());
        let main = if config.entrypoint.is_empty() {
            ("cmd", config.command.first())
        } else {
            ("entrypoint", config.entrypoint.first())
        };
        let programs = [main, ("health check", health.first())];
        programs.into_iter().filter_map(|(what, word)| self.of_word(what, word?, &container)).collect()
    }

    fn of_word(&self, what: &str, word: &str, container: &Container<'_>) -> Option<String> {
        let name = shown(word);
        if !word.contains('/') {
            return match self.on_path(word, container) {
                Found::Program(path) | Found::Refused(path) => self.of_program(&path, container),
                Found::Nothing => {
                    let path = shown(container.search_path());
                    Some(format!("the {what} `{name}` is in no directory of the image's PATH, `{path}`"))
                }
            };
        }
        let path = container.absolute(word);
        match self.way(&path) {
            Way::Own(_) | Way::Base => self.of_program(&path, container),
            Way::NoFile => Some(format!("the {what} `{name}` is no file")),
            Way::Nowhere => Some(format!("the {what} `{name}` is not in the image")),
        }
    }

    /// Returns why the program at `path` can't start.
    fn of_program(&self, path: &str, container: &Container<'_>) -> Option<String> {
        let mut program = path.to_owned();
        for _ in 0..INTERPRETERS_MAX {
            if let Some(sentence) = self.refusal(&program, container) {
                return Some(sentence);
            }
            let Way::Own(place) = self.way(&program) else { return None };
            let name = shown(&program);
            match self.get(&place)?.start.as_ref()? {
                ProgramStart::Empty => return Some(format!("`{name}` is an empty file, which nothing starts")),
                ProgramStart::Text => {
                    return Some(format!(
                        "`{name}` is text without an interpreter: its first line must name one, as `#!/bin/sh` does"
                    ));
                }
                ProgramStart::Elf { architecture, linker } => {
                    return self.of_elf(&name, architecture.as_deref(), linker.as_deref(), container);
                }
                ProgramStart::Script(line) => {
                    let next = container.absolute(&line.interpreter);
                    if let Some(sentence) = self.of_script(&name, line, &next, container) {
                        return Some(sentence);
                    }
                    program = next;
                }
                ProgramStart::Other => return None,
            }
        }
        None
    }

    /// Returns why the user of the image may not execute the program at `path`.
    fn refusal(&self, path: &str, container: &Container<'_>) -> Option<String> {
        let name = shown(path);
        if let Way::Own(place) = self.way(path)
            && self.get(&place)?.mode & 0o111 == 0
        {
            return Some(format!("`{name}` is not executable: `mode: 0o755` makes it so"));
        }
        let closed = self.closed(path, container.user.as_ref()?)?;
        let LayerProgram { mode, uid, gid, .. } = self.get(&closed)?;
        let (user, closed) = (shown(&container.config.user), shown(closed.as_str()));
        Some(format!(
            "the user `{user}` may not execute `{name}`: `/{closed}` has the mode 0{mode:o} and the owner {uid}:{gid}"
        ))
    }

    /// Returns the first file or directory on the way to `path` that is closed to the user, of those in own layers.
    fn closed(&self, path: &str, user: &ContainerUser) -> Option<RelativePath> {
        let visited = RefCell::new(Vec::new());
        let see = |path: &RelativePath| {
            visited.borrow_mut().push(path.clone());
            self.kind(path)
        };
        place(&see, path).ok()?;
        let is_closed = |path: &RelativePath| self.get(path).is_some_and(|entry| !user.may_execute(entry));
        visited.into_inner().into_iter().find(is_closed)
    }

    /// Returns why an ELF file can't start.
    fn of_elf(&self, name: &str, of: Option<&str>, linker: Option<&str>, container: &Container<'_>) -> Option<String> {
        let image = self.architecture;
        if let Some(of) = of.filter(|of| *of != image && KNOWN.contains(&image) && !COMPATIBLE.contains(&(image, of))) {
            return Some(format!("`{name}` is for {of}, and the image for {image}"));
        }
        let linker = container.absolute(linker?);
        match self.way(&linker) {
            Way::Own(_) | Way::Base => self.refusal(&linker, container),
            Way::NoFile | Way::Nowhere => Some(format!(
                "`{name}` needs the dynamic linker `{}`, which is not in the image: link it statically (for Go, without \
                 cgo), or choose a base that has it",
                shown(&linker)
            )),
        }
    }

    /// Returns why a script can't start with its interpreter, which is at `next`.
    fn of_script(&self, name: &str, line: &ScriptLine, next: &str, container: &Container<'_>) -> Option<String> {
        let of_cr = || Some(format!("the first line of `{name}` ends with CR: write the file with LF"));
        let interpreter = shown(&line.interpreter);
        if let Way::Nowhere | Way::NoFile = self.way(next) {
            if line.argument.is_none() && line.ends_with_cr() {
                return of_cr();
            }
            return Some(format!("`{name}` begins with `#!{interpreter}`, and that is not in the image"));
        }
        let is_shell = next.rsplit('/').next().is_some_and(|shell| SHELLS.contains(&shell));
        let is_option = line.argument.as_ref().is_some_and(|argument| argument.starts_with('-'));
        if is_shell && is_option && line.ends_with_cr() {
            return of_cr();
        }
        let argument = line.argument.as_deref()?;
        match line.env_program()? {
            EnvProgram::Named(wanted) if !wanted.contains('/') => match self.on_path(&wanted, container) {
                Found::Program(_) => None,
                Found::Refused(path) => self.refusal(&path, container),
                Found::Nothing if wanted.ends_with('\r') => of_cr(),
                Found::Nothing => {
                    let (text, wanted) = (shown(&line.text()), shown(&wanted));
                    Some(format!("`{name}` begins with `{text}`, and `{wanted}` is not in the image's PATH"))
                }
            },
            EnvProgram::OneWord if !argument.contains('/') => {
                let is_there = !matches!(self.on_path(argument, container), Found::Nothing);
                let words = shown(argument.trim_end_matches('\r'));
                (!is_there).then(|| {
                    format!(
                        "`{name}` begins with `#!{interpreter} {words}`, of which Linux gives `{words}` to `env` as one \
                         word: write `#!{interpreter} -S {words}`"
                    )
                })
            }
            EnvProgram::Named(_) | EnvProgram::OneWord | EnvProgram::Unknown => None,
        }
    }

    /// Looks for a program by its name, as engines and `env` do: what the user may not execute is passed over.
    fn on_path(&self, name: &str, container: &Container<'_>) -> Found {
        let mut refused = None;
        for directory in container.search_path().split(':') {
            // An empty one is the working directory.
            let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
            let path = container.absolute(&path);
            if !matches!(self.way(&path), Way::Own(_) | Way::Base) {
                continue;
            }
            if self.refusal(&path, container).is_none() {
                return Found::Program(path);
            }
            refused.get_or_insert(path);
        }
        refused.map_or(Found::Nothing, Found::Refused)
    }

    fn way(&self, path: &str) -> Way {
        let place = match place(&|path| self.kind(path), path) {
            Ok(Some(place)) => place,
            Ok(None) => return Way::NoFile,
            Err(_) => return Way::Nowhere,
        };
        match self.kind(&place) {
            None | Some(BaseKind::Symlink(_)) => Way::Nowhere,
            Some(BaseKind::Directory | BaseKind::Other) => Way::NoFile,
            // Only a directory may have such a path.
            Some(BaseKind::File) if path.ends_with('/') || path.ends_with("/.") => Way::NoFile,
            Some(BaseKind::File) if self.get(&place).is_some() => Way::Own(place),
            Some(BaseKind::File) => Way::Base,
        }
    }

    fn kind(&self, path: &RelativePath) -> Option<BaseKind> {
        let own = self.get(path).map(|program| program.kind.clone());
        own.or_else(|| self.base.and_then(|base| base.kind(path)))
    }

    fn get(&self, path: &RelativePath) -> Option<&LayerProgram> {
        self.own.iter().rev().find_map(|layer| layer.get(path))
    }

    /// Returns the text of a table of users or groups, if it is known; it is empty if there is none.
    fn table(&self, path: &str) -> Option<String> {
        match self.way(path) {
            Way::Own(place) => {
                let layer = self.own.iter().rev().find(|layer| layer.get(&place).is_some())?;
                layer.table(&place).map(str::to_owned)
            }
            Way::Base => {
                let kept = self.base?.kept(&RelativePath::new(path).ok()?).ok()??;
                Some(String::from_utf8_lossy(&kept.contents).into_owned())
            }
            Way::Nowhere => Some(String::new()),
            Way::NoFile => None,
        }
    }
}

impl Container<'_> {
    /// Returns the path of what a process in the working directory names.
    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.config.directory) }
    }

    fn search_path(&self) -> &str {
        let found = self.config.environment.iter().rev().find(|(name, _)| name == "PATH");
        found.map_or(DEFAULT_PATH, |(_, value)| value.as_str())
    }
}

/// Returns where a path leads, links followed; `None` is the root, or no path. What a link leads to has another `..`.
fn place(kind_at: &dyn Fn(&RelativePath) -> Option<BaseKind>, path: &str) -> Result<Option<RelativePath>, NoWay> {
    let resolved = |path: &RelativePath| match resolve(kind_at, path, true) {
        Ok(place) => Ok(Some(place)),
        Err(NoWay::Root(_)) => Ok(None),
        Err(error) => Err(error),
    };
    let mut done: Option<RelativePath> = None;
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        done = match (part, done) {
            ("..", Some(path)) => resolved(&path)?.and_then(|place| place.parent()),
            ("..", None) => None,
            (part, done) => {
                let Ok(part) = RelativePath::new(part) else { return Ok(None) };
                Some(done.map_or_else(|| part.clone(), |done| done.join(&part)))
            }
        };
    }
    done.as_ref().map_or(Ok(None), resolved)
}

/// Returns a text of a file or of a base with control characters escaped.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        match character {
            '\'' | '"' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}
