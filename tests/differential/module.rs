//! The Go module that a world begins with. Each file prints at the start of the program, so that the executable shows
//! which files it was made of, whatever their number.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::chance::Chance;

/// One target of build.ron.
#[derive(Clone)]
pub struct Target {
    pub name: String,
    pub packages: Vec<String>,
    pub tags: Vec<String>,
}

/// How the module is built.
#[derive(Clone, Default)]
pub struct Config {
    /// Directory of the module below that of build.ron; empty if it is the same.
    pub root: String,
    pub go_work: bool,
    pub vendor: bool,
    pub cgo: bool,
    pub targets: Vec<Target>,
}

const PATTERNS: &[&[&str]] = &[
    &["./..."],
    &["./cmd/..."],
    &["./cmd/one", "./cmd/two"],
    &["example.com/m/cmd/two"],
    &["./cmd/t*/..."],
    &["./viadir"],
    &["example.com/..."],
];
const TAGS: &[&[&str]] = &[&[], &["extra"], &["extra", "other"]];

impl Config {
    pub fn draw(chance: &mut Chance, has_compiler: bool) -> Config {
        let go_work = chance.once_in(4);
        let mut config = Config {
            root: if chance.once_in(2) { "app".to_owned() } else { String::new() },
            go_work,
            vendor: !go_work && chance.once_in(4),
            cgo: has_compiler && chance.once_in(5),
            targets: vec![Target { name: "one".to_owned(), packages: vec!["./cmd/one".to_owned()], tags: Vec::new() }],
        };
        if chance.once_in(2) {
            config.targets.push(Target { name: "more".to_owned(), packages: Vec::new(), tags: Vec::new() });
            config.redraw(chance);
        }
        config
    }

    /// Other packages of the second target, other tags.
    pub fn redraw(&mut self, chance: &mut Chance) {
        for target in &mut self.targets {
            target.tags = chance.of(TAGS).iter().map(|tag| (*tag).to_owned()).collect();
        }
        if let Some(more) = self.targets.get_mut(1) {
            more.packages = chance.of(PATTERNS).iter().map(|pattern| (*pattern).to_owned()).collect();
        }
    }

    /// Directory of the module below the top of the world.
    pub fn app(&self) -> PathBuf {
        if self.root.is_empty() { PathBuf::from("work") } else { Path::new("work").join(&self.root) }
    }

    /// The text of build.ron.
    pub fn text(&self) -> String {
        let list = |texts: &[String]| texts.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", ");
        let mut text = "(\n    format: 1,\n    project: \"differential\",\n    go: System,\n".to_owned();
        if !self.root.is_empty() {
            text.push_str(&format!("    root: \"{}\",\n", self.root));
        }
        if self.go_work {
            text.push_str("    go_work: \"go.work\",\n");
        }
        text.push_str("    platforms: [\"linux/amd64\"],\n    targets: {\n");
        for Target { name, packages, tags } in &self.targets {
            let (packages, tags, cgo) = (list(packages), list(tags), self.cgo);
            text.push_str(&format!("        \"{name}\": GoBuild(packages: [{packages}], tags: [{tags}], cgo: {cgo}, ldflags: [\"-s\", \"-w\"]),\n"));
        }
        text + "    },\n)\n"
    }
}

/// The text of a file of a package: it prints its name and a number.
pub fn source(package: &str, name: &str, number: usize) -> String {
    format!("package {package}\n\nfunc init() {{ println(\"{name}\", {number}) }}\n")
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it has one"))
        .and_then(|()| fs::write(path, text))
        .expect("it can be written");
}

const EMBEDDING: &str = "package emb\n\nimport \"embed\"\n\n//go:embed one.txt\nvar one string\n\n\
//go:embed data\nvar data embed.FS\n\n// Kept keeps the files in the executable.\nvar Kept = &data\n\n\
func init() { println(one, Kept != nil) }\n";
const ASSEMBLY: &str = "#include \"textflag.h\"\n#include \"defs.h\"\n#include \"../inc/more.inc\"\n\
TEXT ·N(SB),NOSPLIT,$0-8\n\tMOVQ $(HERE+MORE), ret+0(FP)\n\tRET\n";
const CGO: &str = "package c\n\n/*\n#cgo CFLAGS: -DFLAG=100 -I${SRCDIR}/../inc\n#include \"c.h\"\n#include \"beside.h\"\n*/\n\
import \"C\"\n\nfunc init() { println(\"c\", int(C.answer()), int(C.FLAG), int(C.BESIDE)) }\n";

/// Files of the module, by their place in it.
const FILES: &[(&str, &str)] = &[
    ("README.md", "# 100\n"),
    ("cmd/two/main.go", "package main\n\nimport _ \"example.com/m/lib\"\n\nfunc main() { println(\"two\", 100) }\n"),
    ("lib/lib.go", "package lib\n\nimport _ \"example.com/m/internal/hid\"\n\nfunc init() { println(\"lib\", 100) }\n"),
    ("lib/only_linux.go", "package lib\n\nfunc init() { println(\"only_linux\", 100) }\n"),
    ("lib/only_windows.go", "package lib\n\nfunc init() { println(\"only_windows\", 100) }\n"),
    (
        "lib/extra.go",
        "//go:build extra\n\npackage lib\n\nimport _ \"example.com/m/alt\"\n\nfunc init() { println(\"extra\", 100) }\n",
    ),
    ("lib/late.go", "//go:build go1.99\n\npackage lib\n\nfunc init() { println(\"late\", 100) }\n"),
    ("lib/withc.go", "//go:build cgo\n\npackage lib\n\nfunc init() { println(\"withc\", 100) }\n"),
    ("lib/lib_test.go", "package lib\n\nimport \"testing\"\n\nfunc TestLib(t *testing.T) {}\n"),
    ("alt/alt.go", "package alt\n\nfunc init() { println(\"alt\", 100) }\n"),
    ("deep/er/pkg/pkg.go", "package pkg\n\nfunc init() { println(\"pkg\", 100) }\n"),
    ("internal/hid/hid.go", "package hid\n\nfunc init() { println(\"hid\", 100) }\n"),
    ("asm/n.go", "package asm\n\nfunc N() int\n\nfunc init() { println(\"asm\", N()) }\n"),
    ("asm/n_amd64.s", ASSEMBLY),
    ("asm/defs.h", "#define HERE 100\n"),
    ("inc/more.inc", "#define MORE 100\n"),
    ("emb/emb.go", EMBEDDING),
    ("emb/one.txt", "one 100\n"),
    ("emb/two.txt", "two 100\n"),
    ("emb/data/a.txt", "a 100\n"),
    ("emb/data/sub/b.txt", "b 100\n"),
    ("emb/data/.hidden", "hidden 100\n"),
    ("emb/testdata/t.txt", "t 100\n"),
];
const C_FILES: &[(&str, &str)] = &[
    ("c/c.go", CGO),
    ("c/c.c", "#include \"c.h\"\n#include \"part/part.h\"\nint answer(void) { return HERE + PART; }\n"),
    ("c/c.h", "#define HERE 100\nint answer(void);\n"),
    ("c/part/part.h", "#define PART 100\n"),
    ("inc/beside.h", "#define BESIDE 100\n"),
];
const PACKAGES: &[&str] = &["lib", "deep/er/pkg", "asm", "emb", "internal/hid", "viadir"];

/// Writes a world's files below `top`.
pub fn write_world(config: &Config, top: &Path, chance: &mut Chance) {
    let app = top.join(config.app());
    write(&top.join("work/build.ron"), &config.text());
    for (name, text) in FILES.iter().chain(C_FILES.iter().filter(|_| config.cgo)) {
        write(&app.join(name), text);
    }
    // A directory link to a package, and a file that is a link.
    write(&app.join("shared/linked.txt"), &source("lib", "linked", 100));
    symlink("../shared/linked.txt", app.join("lib/linked.go")).expect("it can be made");
    write(&app.join("real/main.go"), &source("real", "real", 100));
    write(&app.join("real2/main.go"), &source("real2", "real2", 100));
    symlink("real", app.join("viadir")).expect("it can be made");

    let mut imports: Vec<String> = Vec::new();
    let mut module = format!("module example.com/m\n\ngo 1.{}\n", *chance.of(&[17, 21, 22, 24, 26]));
    imports.extend(PACKAGES.iter().filter(|_| !chance.once_in(4)).map(|name| format!("example.com/m/{name}")));
    if config.cgo {
        imports.push("example.com/m/c".to_owned());
    }
    if config.vendor {
        module.push_str("\nrequire example.com/v v1.0.0\n");
        write(&app.join("vendor/example.com/v/v.go"), &source("v", "v", 100));
        write(&app.join("vendor/example.com/v/w/w.go"), &source("w", "w", 100));
        let text = "# example.com/v v1.0.0\n## explicit; go 1.22\nexample.com/v\nexample.com/v/w\n";
        write(&app.join("vendor/modules.txt"), text);
        imports.push("example.com/v".to_owned());
    } else {
        // Local replacements: in the module, beside it, and of a path below the module's own.
        for (name, place) in [("in", "third/in"), ("near", "../near"), ("m/sub", "nested/sub")] {
            if chance.once_in(3) {
                continue;
            }
            module.push_str(&format!("\nrequire example.com/{name} v0.0.0\nreplace example.com/{name} => ./{place}\n"));
            let module = app.join(place);
            write(&module.join("go.mod"), &format!("module example.com/{name}\n\ngo 1.22\n"));
            write(&module.join("p/p.go"), &source("p", name, 100));
            imports.push(format!("example.com/{name}/p"));
            let other = app.join(format!("{place}2"));
            write(&other.join("go.mod"), &format!("module example.com/{name}\n\ngo 1.22\n"));
            write(&other.join("p/p.go"), &source("p", name, 200));
        }
    }
    write(&app.join("go.mod"), &module);
    if config.go_work {
        write(&app.join("go.work"), "go 1.26\n\nuse .\nuse ./member\n");
        write(&app.join("member/go.mod"), "module example.com/member\n\ngo 1.22\n");
        write(&app.join("member/p/p.go"), &source("p", "member", 100));
        imports.push("example.com/member/p".to_owned());
    }
    let imports: String = imports.iter().map(|path| format!("import _ \"{path}\"\n")).collect();
    write(
        &app.join("cmd/one/main.go"),
        &format!("package main\n\n{imports}\nfunc main() {{ println(\"one\", 100) }}\n"),
    );
}
