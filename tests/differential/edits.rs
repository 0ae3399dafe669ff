//! Kinds of edits: what may happen to the directory of a Go module, by a name and by how often it does.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::chance::Chance;
use crate::module::{Config, source};
use crate::sources;
use crate::tree::Tree;

/// Where an edit happens. Paths are relative to `top`.
pub struct Site<'a> {
    pub top: &'a Path,
    pub before: &'a Tree,
    pub chance: &'a mut Chance,
    pub config: &'a mut Config,
}

pub struct Edit {
    pub name: &'static str,
    pub weight: usize,
    /// Does it, or nothing if there is nothing to do it to.
    pub apply: fn(&mut Site<'_>),
}

const fn edit(name: &'static str, weight: usize, apply: fn(&mut Site<'_>)) -> Edit {
    Edit { name, weight, apply }
}

pub const EDITS: &[Edit] = &[
    edit("number", 10, |site| site.rewrite(&["go", "s", "h", "inc", "c", "txt", "md"], sources::renumber)),
    edit("constraint", 8, |site| site.rewrite(&["go"], sources::constrain)),
    edit("import", 6, |site| site.rewrite(&["go"], sources::import)),
    edit("unimport", 4, |site| site.rewrite(&["go"], sources::unimport)),
    edit("import-c", 3, |site| site.rewrite(&["go"], |text, _| sources::import_c(text))),
    edit("package-clause", 3, |site| site.rewrite(&["go"], sources::repackage)),
    edit("embed-line", 5, |site| site.rewrite_that("//go:embed", sources::reembed)),
    edit("include", 5, |site| site.rewrite_that("#include", sources::reinclude)),
    edit("directive", 2, |site| site.rewrite(&["go"], sources::directive)),
    edit("spoil", 2, |site| site.rewrite(&["go", "s", "h", "mod"], sources::spoil)),
    edit("cgo-line", 2, |site| {
        site.rewrite_that("#cgo", |text, chance| {
            sources::renumber(text, chance).replace("-DFLAG", ["-DFLAG", "-DOTHER=1 -DFLAG"][chance.below(2)])
        })
    }),
    edit("go-file", 8, |site| site.add_go_file()),
    edit("other-file", 6, |site| site.add_other_file()),
    edit("embedded-file", 5, |site| site.add_embedded_file()),
    edit("remove-file", 6, |site| site.remove_file()),
    edit("rename-file", 6, |site| site.rename_file()),
    edit("package", 4, |site| site.add_package()),
    edit("remove-directory", 3, |site| site.remove_directory()),
    edit("rename-directory", 3, |site| site.rename_directory()),
    edit("go-mod-appears", 5, |site| site.add_go_mod()),
    edit("go-mod-goes", 3, |site| site.remove_go_mod()),
    edit("go-mod-line", 7, |site| site.change_lines("go.mod")),
    edit("go-work-line", 5, |site| site.change_lines("go.work")),
    edit("modules-txt", 5, |site| site.change_lines("modules.txt")),
    edit("vendor", 2, |site| site.change_vendor()),
    edit("file-to-link", 3, |site| site.link_file()),
    edit("directory-to-link", 4, |site| site.link_directory()),
    edit("retarget", 5, |site| site.retarget()),
    edit("build-file", 3, |site| site.config.redraw(site.chance)),
];

const GO_NAMES: &[&str] = &[
    "new.go",
    "NEW.go",
    "new_linux.go",
    "new_windows.go",
    "new_amd64.go",
    "new_arm64.go",
    "new_linux_arm64.go",
    "new_test.go",
    "_new.go",
    ".new.go",
    "new.go.txt",
    "new_unix.go",
    "linux.go",
    "extra.go",
    "only_windows.go",
    "doc.go",
];
const OTHER_NAMES: &[&str] = &[
    "new_amd64.s",
    "new_arm64.s",
    "new.s",
    "new.S",
    "new.h",
    "defs.h",
    "other.h",
    "late.inc",
    "more.inc",
    "new.c",
    "new.cc",
    "new.m",
    "new.f",
    "new.syso",
    "new_windows.syso",
    "default.pgo",
    "README",
    "new.swig",
    "go.sum",
    "go.work",
    "asm.h",
    "part.h",
    "beside.h",
    "textflag.h",
    "LICENSE",
    "new.json",
];
const EMBEDDED_NAMES: &[&str] = &[
    "one.txt",
    "two.txt",
    "late.txt",
    "late/x.txt",
    "data/c.txt",
    "data/.h.txt",
    "data/_u.txt",
    "data/sub/deep/x.txt",
    "more/m.txt",
    "testdata/u.txt",
    "_data/x.txt",
    "data/go.mod",
    "late",
    "data/.git/x",
    "DATA/a.txt",
    "data/A.txt",
    "data/bad:name.txt",
    "data/vendor/x.txt",
];
const PACKAGE_PLACES: &[&str] = &[
    "later",
    "cmd/new",
    "cmd/other/one",
    "cmd/_hidden",
    "cmd/.hidden",
    "cmd/testdata/x",
    "cmd/two/deep",
    "sub/p",
    "sub",
    "alt",
    "lib",
    "third/late/p",
    "third/in/internal/hid",
    "member/p",
    "late/p",
    "in/p",
    "example.com/in/p",
    "vendor/example.com/u",
    "vendor/example.com/v",
    "vendor/example.com/m/lib",
    "deep",
    "deep/er",
    "unicode/utf8",
    "_x",
    ".x",
    "cmd/three",
    "real/internal/hid",
    "nested/sub/q",
    "cmd",
];
const DIRECTORIES: &[&str] =
    &["later", "lib2", "LIB", "_lib", ".lib", "testdata", "vendor", "alt2", "internal", "deep2"];

impl Site<'_> {
    fn app(&self) -> PathBuf {
        self.config.app()
    }

    fn write(&self, path: &Path, text: &str) {
        let place = self.top.join(path);
        // A link on the way may lead anywhere; below a file nothing can be.
        let _ = fs::create_dir_all(place.parent().expect("below the top")).and_then(|()| fs::write(place, text));
    }

    /// Files by the ending of their names, without build.ron; those of the module more often.
    fn file(&mut self, endings: &[&str]) -> Option<PathBuf> {
        let is_one = |path: &&Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name != "build.ron" && (endings.is_empty() || endings.iter().any(|end| name.ends_with(&format!(".{end}"))))
        };
        let files: Vec<&Path> = self.before.files().map(|(path, _)| path).filter(is_one).collect();
        (!files.is_empty()).then(|| self.chance.of(&files).to_path_buf())
    }

    fn directory(&mut self) -> PathBuf {
        let app = self.app();
        let directories: Vec<&Path> =
            self.before.directories().filter(|path| *path != Path::new("work") && *path != app).collect();
        self.chance.of(&directories).to_path_buf()
    }

    fn text(&self, path: &Path) -> String {
        String::from_utf8_lossy(&fs::read(self.top.join(path)).unwrap_or_default()).into_owned()
    }

    fn rewrite(&mut self, endings: &[&str], change: fn(&str, &mut Chance) -> String) {
        let Some(path) = self.file(endings) else { return };
        let text = change(&self.text(&path), self.chance);
        self.write(&path, &text);
    }

    /// Of a file that holds `needle`.
    fn rewrite_that(&mut self, needle: &str, change: fn(&str, &mut Chance) -> String) {
        let holds = |contents: &[u8]| contents.windows(needle.len()).any(|window| window == needle.as_bytes());
        let files: Vec<PathBuf> =
            self.before.files().filter(|(_, contents)| holds(contents)).map(|(path, _)| path.to_owned()).collect();
        if !files.is_empty() {
            let path = self.chance.of(&files).clone();
            let text = change(&self.text(&path), self.chance);
            self.write(&path, &text);
        }
    }

    /// The package of the directory, by its other files.
    fn package_in(&self, directory: &Path) -> String {
        let is_there =
            |path: &Path| path.parent() == Some(directory) && path.extension().is_some_and(|end| end == "go");
        let first = self.before.files().find(|(path, _)| is_there(path));
        let text = first.map_or_else(String::new, |(_, contents)| String::from_utf8_lossy(contents).into_owned());
        let clause = text.lines().find_map(|line| line.strip_prefix("package ")).map(str::to_owned);
        clause.unwrap_or_else(|| {
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            name.trim_start_matches(['_', '.']).to_owned()
        })
    }

    fn add_go_file(&mut self) {
        let directory = if self.chance.once_in(3) {
            self.directory()
        } else {
            self.file(&["go"]).and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default()
        };
        let name = *self.chance.of(GO_NAMES);
        let mut text = source(&self.package_in(&directory), name, 100 + self.chance.below(900));
        match self.chance.below(6) {
            0 => text = sources::constrain(&text, self.chance),
            1 => text = sources::import(&text, self.chance),
            2 => text = sources::repackage(&text, self.chance),
            _ => {}
        }
        self.write(&directory.join(name), &text);
    }

    fn add_other_file(&mut self) {
        let name = *self.chance.of(OTHER_NAMES);
        let directory = match self.chance.below(5) {
            0 => self.directory(),
            1 => self.app().join("asm"),
            2 => self.app().join(if self.config.cgo { "c" } else { "asm" }),
            3 => self.app().join("inc"),
            _ => self.app().join("cmd/one"),
        };
        let number = 100 + self.chance.below(900);
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let text = match ending {
            "s" | "S" => format!("TEXT ·X{number}(SB),$0-0\n\tRET\n"),
            "h" | "inc" => format!(
                "#define HERE {number}\n#define MORE {number}\n#define PART {number}\n#define BESIDE {number}\nint answer(void);\n"
            ),
            "c" => format!("int more(void) {{ return {number}; }}\n"),
            "work" => "go 1.22\n\nuse .\n".to_owned(),
            "pgo" if self.chance.once_in(2) => "nonsense\n".to_owned(),
            // Whatever else it is: an empty profile would compile the standard library again.
            "pgo" => return self.make_directory(&directory.join(name)),
            _ => format!("{number}\n"),
        };
        self.write(&directory.join(name), &text);
    }

    fn make_directory(&self, path: &Path) {
        let _ = fs::create_dir_all(self.top.join(path));
    }

    fn add_embedded_file(&mut self) {
        let path = self.app().join("emb").join(self.chance.of(EMBEDDED_NAMES));
        let number = 100 + self.chance.below(900);
        match self.chance.below(8) {
            0 => {
                let _ = symlink("one.txt", self.top.join(path));
            }
            1 => self.make_directory(&path),
            _ => self.write(&path, &format!("new {number}\n")),
        }
    }

    fn remove_file(&mut self) {
        let links: Vec<&Path> = self.before.links().collect();
        if self.chance.once_in(5) && !links.is_empty() {
            let _ = fs::remove_file(self.top.join(self.chance.of(&links)));
        } else if let Some(path) = self.file(&[]) {
            let _ = fs::remove_file(self.top.join(path));
        }
    }

    fn rename_file(&mut self) {
        let Some(path) = self.file(&[]) else { return };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (stem, ending) = name.split_once('.').unwrap_or((&name, ""));
        let new = match self.chance.below(9) {
            0 => format!("{}.{ending}", stem.to_uppercase()),
            1 => format!("{stem}.{}", ending.to_uppercase()),
            2 => format!("_{name}"),
            3 => format!(".{name}"),
            4 => format!("{stem}_linux.{ending}"),
            5 => format!("{stem}_windows.{ending}"),
            6 => format!("{stem}_test.{ending}"),
            7 => format!("{name}.txt"),
            _ => (*self.chance.of(GO_NAMES)).to_owned(),
        };
        let directory =
            if self.chance.once_in(5) { self.directory() } else { path.parent().expect("it has one").to_owned() };
        let _ = fs::rename(self.top.join(&path), self.top.join(directory).join(new));
    }

    fn add_package(&mut self) {
        let directory = self.app().join(self.chance.of(PACKAGE_PLACES));
        let is_command = directory.parent().is_some_and(|parent| parent.ends_with("cmd")) || self.chance.once_in(8);
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = 100 + self.chance.below(900);
        let text = if is_command {
            format!(
                "package main\n\nimport _ \"example.com/m/lib\"\n\nfunc main() {{ println(\"{name}\", {number}) }}\n"
            )
        } else {
            source(name.trim_start_matches(['_', '.']), "package", number)
        };
        let text = if self.chance.once_in(6) { sources::constrain(&text, self.chance) } else { text };
        let file = *self.chance.of(&["main.go", "x.go", "x_test.go"]);
        self.write(&directory.join(file), &text);
    }

    fn remove_directory(&mut self) {
        let path = self.directory();
        let _ = fs::remove_dir_all(self.top.join(path));
    }

    fn rename_directory(&mut self) {
        let path = self.directory();
        let new = path.with_file_name(self.chance.of(DIRECTORIES));
        let _ = fs::rename(self.top.join(&path), self.top.join(new));
    }

    fn add_go_mod(&mut self) {
        let directory = match self.chance.below(3) {
            0 => self.app().join(self.chance.of(&[
                "deep",
                "deep/er",
                "emb/testdata",
                "emb/data",
                "internal",
                "third",
                "cmd",
                "sub",
                "real",
                "vendor",
            ])),
            _ => self.directory(),
        };
        let place = directory.strip_prefix(self.app()).unwrap_or(&directory).display().to_string();
        let text = match self.chance.below(6) {
            0 => String::new(),
            1 => "nonsense\n".to_owned(),
            2 => return self.make_directory(&directory.join("go.mod")),
            3 => "module example.com/x\n".to_owned(),
            _ => format!("module example.com/m/{place}\n\ngo 1.22\n"),
        };
        self.write(&directory.join("go.mod"), &text);
    }

    fn remove_go_mod(&mut self) {
        let files = self.before.files().map(|(path, _)| path).filter(|path| path.ends_with("go.mod"));
        let files: Vec<&Path> = files.collect();
        if !files.is_empty() {
            let _ = fs::remove_file(self.top.join(self.chance.of(&files)));
        }
    }

    fn change_lines(&mut self, name: &str) {
        let files: Vec<&Path> = self.before.files().map(|(path, _)| path).filter(|path| path.ends_with(name)).collect();
        let own = self.app().join(name);
        let Some(path) = files
            .iter()
            .find(|path| ***path == own)
            .filter(|_| !self.chance.once_in(3))
            .copied()
            .or_else(|| (!files.is_empty()).then(|| *self.chance.of(&files)))
        else {
            return;
        };
        let text = sources::change_line(&self.text(path), sources::lines_of(name), self.chance);
        self.write(path, &text);
    }

    fn change_vendor(&mut self) {
        let (vendor, aside) = (self.app().join("vendor"), self.app().join("aside"));
        if fs::rename(self.top.join(&vendor), self.top.join(&aside)).is_err()
            && fs::rename(self.top.join(&aside), self.top.join(&vendor)).is_err()
        {
            match self.chance.below(3) {
                0 => self.make_directory(&vendor),
                1 => self.write(&vendor, "a file\n"),
                _ => self.write(&vendor.join("modules.txt"), "## workspace\n"),
            }
        }
    }

    /// A file becomes a link to another with the same contents, or other ones.
    fn link_file(&mut self) {
        let Some(path) = self.file(&["go", "txt", "h", "s", "mod"]) else { return };
        let mut text = self.text(&path);
        if self.chance.once_in(2) {
            text = sources::renumber(&text, self.chance);
        }
        let target = self.app().join(format!("shared/of-{}", path.file_name().unwrap_or_default().display()));
        self.write(&target, &text);
        let place = self.top.join(&path);
        let _ = fs::remove_file(&place).and_then(|()| symlink(self.top.join(&target), place));
    }

    /// A directory becomes a link to where it went.
    fn link_directory(&mut self) {
        let path = self.directory();
        let aside = self.app().join(self.chance.of(&["moved", "third/moved", "../moved", "_moved"]));
        let (place, aside) = (self.top.join(&path), self.top.join(&aside));
        if !aside.exists() && !aside.starts_with(&place) && fs::rename(&place, &aside).is_ok() {
            let _ = symlink(aside, place);
        }
    }

    /// A link leads elsewhere: to a directory or file that is there, or to nothing.
    fn retarget(&mut self) {
        let links: Vec<&Path> = self.before.links().collect();
        if links.is_empty() {
            return;
        }
        let place = self.top.join(self.chance.of(&links));
        let is_directory = place.is_dir();
        let others: Vec<PathBuf> = self
            .before
            .paths()
            .map(|path| self.top.join(path))
            .filter(|path| path.is_dir() == is_directory && !place.starts_with(path))
            .collect();
        let target = match self.chance.below(5) {
            0 => PathBuf::from("nowhere"),
            1 if is_directory => self.top.join(self.app()).join(self.chance.of(&["real2", "real"])),
            _ => self.chance.of(&others).clone(),
        };
        let _ = fs::remove_file(&place).and_then(|()| symlink(target, place));
    }
}
