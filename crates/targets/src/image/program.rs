//! Whether the programs that an image names can start: each is in the image, and so is what starts it. Programs of the base
//! are believed.

use std::collections::BTreeSet;

use rondel_cas::RelativePath;
use rondel_oci::{BaseKind, DEFAULT_PATH, ImageConfig, Interpreter, LayerProgram, LayerPrograms, resolve};

use crate::base::ImageView;

/// Maximum number of interpreters that start each other, as Linux has it.
const INTERPRETERS_MAX: usize = 5;

/// The files of an image as a container sees them.
pub(crate) struct ImageFiles<'a> {
    /// Own layers, lowest first.
    pub own: Vec<&'a LayerPrograms>,
    pub base: Option<&'a ImageView>,
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

impl ImageFiles<'_> {
    /// Returns what is wrong with the programs of `config`, which holds what the base sets too, as sentences.
    pub fn warnings(&self, config: &ImageConfig) -> BTreeSet<String> {
        let health = config.health.as_ref().map_or(&[][..], |health| health.command.as_slice());
        let main = if config.entrypoint.is_empty() {
            ("cmd", config.command.first())
        } else {
            ("entrypoint", config.entrypoint.first())
        };
        let programs = [main, ("health check", health.first())];
        programs.into_iter().filter_map(|(what, word)| self.of_word(what, word?, config)).collect()
    }

    fn of_word(&self, what: &str, word: &str, config: &ImageConfig) -> Option<String> {
        if !word.contains('/') {
            let Some(found) = self.on_path(word, config) else {
                let path = search_path(config);
                return Some(format!("the {what} `{word}` is in no directory of the image's PATH, `{path}`"));
            };
            return self.of_program(&found, config);
        }
        let path = if word.starts_with('/') { word.to_owned() } else { format!("{}/{word}", config.directory) };
        match self.way(&path) {
            Way::Own(_) => self.of_program(&path, config),
            Way::Base => None,
            Way::NoFile => Some(format!("the {what} `{word}` is no file")),
            Way::Nowhere => Some(format!("the {what} `{word}` is not in the image")),
        }
    }

    /// Returns why the program at `path` can't start.
    fn of_program(&self, path: &str, config: &ImageConfig) -> Option<String> {
        let mut program = path.to_owned();
        for _ in 0..INTERPRETERS_MAX {
            let Way::Own(place) = self.way(&program) else { return None };
            let LayerProgram { is_executable, interpreter, .. } = self.get(&place)?;
            if !is_executable {
                return Some(format!("`{program}` is not executable: `mode: 0o755` makes it so"));
            }
            let (next, line) = match interpreter.as_ref()? {
                Interpreter::Linker(linker) => (linker, None),
                Interpreter::Script(interpreter, argument) => (interpreter, Some(argument)),
            };
            if let Way::Nowhere | Way::NoFile = self.way(next) {
                return Some(match line {
                    None => format!(
                        "`{program}` needs the dynamic linker `{next}`, which is not in the image: link it statically (for \
                         Go, without cgo), or choose a base that has it"
                    ),
                    Some(_) => format!("`{program}` begins with `#!{next}`, and that is not in the image"),
                });
            }
            // The usual way to have an interpreter looked for.
            let name = line.and_then(|argument| argument.as_deref()).filter(|_| next.ends_with("/env"));
            let name =
                name.and_then(|words| words.split(' ').find(|word| !word.starts_with('-') && !word.contains('=')));
            if let Some(name) = name.filter(|name| !name.contains('/') && self.on_path(name, config).is_none()) {
                return Some(format!(
                    "`{program}` begins with `#!{next} {name}`, and `{name}` is not in the image's PATH"
                ));
            }
            program.clone_from(next);
        }
        None
    }

    /// Returns the path of a program by its name.
    fn on_path(&self, name: &str, config: &ImageConfig) -> Option<String> {
        let all = search_path(config);
        let mut places = all.split(':').filter(|directory| directory.starts_with('/'));
        places.find_map(|directory| {
            let path = format!("{directory}/{name}");
            matches!(self.way(&path), Way::Own(_) | Way::Base).then_some(path)
        })
    }

    fn way(&self, path: &str) -> Way {
        let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let Ok(path) = RelativePath::new(&parts.join("/")) else { return Way::NoFile };
        let Ok(place) = resolve(&|path| self.kind(path), &path, true) else { return Way::Nowhere };
        match self.kind(&place) {
            None | Some(BaseKind::Symlink(_)) => Way::Nowhere,
            Some(BaseKind::Directory | BaseKind::Other) => Way::NoFile,
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
}

fn search_path(config: &ImageConfig) -> &str {
    let found = config.environment.iter().rev().find(|(name, _)| name == "PATH");
    found.map_or(DEFAULT_PATH, |(_, value)| value.as_str())
}
