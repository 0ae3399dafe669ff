//! What is said of programs that can't start, with layers written by hand and no base: each case as files and settings.

use std::collections::BTreeMap;

use rondel_cas::RelativePath;
use rondel_oci::{ImageConfig, LayerEntry, LayerPrograms, LayerSource};

use crate::image::program::ImageFiles;

/// A layer, and settings of the image.
struct Image {
    entries: BTreeMap<RelativePath, LayerEntry>,
    config: ImageConfig,
    architecture: &'static str,
}

impl Image {
    /// An image of amd64 that starts `/app/run`.
    fn new() -> Image {
        let config = ImageConfig { entrypoint: vec!["/app/run".to_owned()], ..ImageConfig::default() };
        Image { entries: BTreeMap::new(), config, architecture: "amd64" }
    }

    fn put(mut self, path: &str, source: LayerSource, mode: u32, owner: (u32, u32)) -> Image {
        let entry = LayerEntry { mode, uid: owner.0, gid: owner.1, ..LayerEntry::file(source, false) };
        self.entries.insert(RelativePath::new(path).unwrap(), entry);
        self
    }

    /// Adds a file of root's that all may execute.
    fn program(self, path: &str, contents: impl AsRef<[u8]>) -> Image {
        self.put(path, LayerSource::Bytes(contents.as_ref().to_vec()), 0o755, (0, 0))
    }

    /// Adds a file of these permissions, of a format that Linux may know.
    fn file(self, path: &str, mode: u32, owner: (u32, u32)) -> Image {
        self.put(path, LayerSource::Bytes(vec![0]), mode, owner)
    }

    fn directory(self, path: &str, mode: u32, owner: (u32, u32)) -> Image {
        self.put(path, LayerSource::Directory, mode, owner)
    }

    fn link(self, path: &str, to: &str) -> Image {
        self.put(path, LayerSource::Symlink(to.to_owned()), 0o777, (0, 0))
    }

    fn table(self, path: &str, text: &str) -> Image {
        self.put(path, LayerSource::Bytes(text.into()), 0o644, (0, 0))
    }

    fn starts(mut self, program: &str) -> Image {
        self.config.entrypoint = vec![program.to_owned()];
        self
    }

    fn user(mut self, user: &str) -> Image {
        user.clone_into(&mut self.config.user);
        self
    }

    fn path(mut self, path: &str) -> Image {
        self.config.environment = vec![("PATH".to_owned(), path.to_owned())];
        self
    }

    fn of_machine(mut self, architecture: &'static str) -> Image {
        self.architecture = architecture;
        self
    }

    /// Returns the only warning; empty if there is none.
    fn warning(self) -> String {
        let layer = LayerPrograms::decode(&LayerPrograms::of(&self.entries).unwrap().encode()).unwrap();
        let files = ImageFiles { own: vec![&layer], base: None, architecture: self.architecture };
        Vec::from_iter(files.warnings(&self.config)).join("\n")
    }
}

/// An image with a script, a shell and `env`, none of which is looked into.
fn script(text: &str) -> Image {
    let image = Image::new().program("app/run", text);
    image.file("bin/sh", 0o755, (0, 0)).file("usr/bin/env", 0o755, (0, 0))
}

/// An ELF file of 64 bits and this machine, with no segments.
fn elf(machine: u8) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    bytes[18] = machine;
    bytes[54] = 56;
    bytes
}

#[test]
fn line_ends_of_another_system() {
    let expected = "the first line of `/app/run` ends with CR: write the file with LF";
    for text in ["#!/bin/sh\r\necho\r\n", "#!/bin/sh -e\r\n", "#!/usr/bin/env sh\r\n", "#!/bin/none\r\n"] {
        assert_eq!(script(text).warning(), expected, "{text:?}");
    }
    // `env -S` splits at CR, some interpreters take it, and nothing prevents such a name.
    for text in ["#!/usr/bin/env -S sh\r\n", "#!/usr/bin/env -S sh -e\r\n", "#!/bin/perl -w\r\n"] {
        assert_eq!(script(text).file("bin/perl", 0o755, (0, 0)).warning(), "", "{text:?}");
    }
    assert_eq!(script("#!/bin/sh\r\n").file("bin/sh\r", 0o755, (0, 0)).warning(), "");
}

#[test]
fn what_env_is_given() {
    let without = |line: &str| script(&format!("{line}\n")).warning();
    let expected = |line: &str| format!("`/app/run` begins with `{line}`, and `tool` is not in the image's PATH");
    for line in [
        "#!/usr/bin/env tool",
        "#!/usr/bin/env -S tool -x",
        "#!/usr/bin/env -Stool",
        "#!/usr/bin/env -S'tool'",
        "#!/usr/bin/env --split-string=tool",
        "#!/usr/bin/env -S -u FOO -C / --unset=BAR A=1 tool",
    ] {
        assert_eq!(without(line), expected(line));
        assert_eq!(script(line).file("bin/tool", 0o755, (0, 0)).warning(), "", "{line}");
    }
    let one = "`/app/run` begins with `#!/usr/bin/env -u FOO sh`, of which Linux gives `-u FOO sh` to `env` as one word: \
        write `#!/usr/bin/env -S -u FOO sh`";
    assert_eq!(without("#!/usr/bin/env -u FOO sh"), one);
    assert_eq!(script("#!/usr/bin/env my tool").file("bin/my tool", 0o755, (0, 0)).warning(), "");
    for unknown in ["-S PATH=/opt tool", "-S -i tool", "-S ${TOOL}", "-i", "./tool", "-S ./tool"] {
        assert_eq!(without(&format!("#!/usr/bin/env {unknown}")), "", "{unknown}");
    }
    let refused = script("#!/usr/bin/env tool").file("bin/tool", 0o644, (0, 0)).warning();
    assert_eq!(refused, "`/bin/tool` is not executable: `mode: 0o755` makes it so");
}

/// Docker goes on looking after a file that can't be executed.
#[test]
fn a_search_passes_over_what_is_not_executable() {
    let image = || Image::new().path("/a:/b").starts("tool").file("a/tool", 0o644, (0, 0));
    assert_eq!(image().warning(), "`/a/tool` is not executable: `mode: 0o755` makes it so");
    assert_eq!(image().file("b/tool", 0o755, (0, 0)).warning(), "");
    let expected = "`/b/tool` is text without an interpreter: its first line must name one, as `#!/bin/sh` does";
    assert_eq!(image().program("b/tool", "echo\n").warning(), expected, "the second is the one that is started");
    let closed = || Image::new().path("/a:/b").starts("tool").user("9:9").file("a/tool", 0o700, (0, 0));
    assert_eq!(closed().file("b/tool", 0o755, (0, 0)).warning(), "");
    let expected = "the user `9:9` may not execute `/a/tool`: `/a/tool` has the mode 0700 and the owner 0:0";
    assert_eq!(closed().warning(), expected);
    // The working directory is in this PATH.
    let mut here = Image::new().path("/a:").starts("tool").file("work/tool", 0o755, (0, 0));
    "/work".clone_into(&mut here.config.directory);
    assert_eq!(here.warning(), "");
}

#[test]
fn permissions_of_the_user() {
    let refusal =
        |user: &str, closed: &str| format!("the user `{user}` may not execute `/app/run`: `{closed} and the owner 0:0");
    let file = |mode, owner| Image::new().user("65532:65532").file("app/run", mode, owner);
    assert_eq!(file(0o700, (0, 0)).warning(), refusal("65532:65532", "/app/run` has the mode 0700"));
    assert_eq!(file(0o750, (0, 0)).warning(), refusal("65532:65532", "/app/run` has the mode 0750"));
    assert_eq!(file(0o750, (0, 65532)).warning(), "");
    assert_eq!(file(0o700, (65532, 0)).warning(), "");
    assert_eq!(file(0o755, (0, 0)).warning(), "");
    assert_eq!(file(0o700, (0, 0)).user("").warning(), "");
    assert_eq!(file(0o700, (9, 9)).user("0").warning(), "");
    // Whoever is in no table has the group of root.
    assert_eq!(file(0o750, (0, 0)).user("65532").warning(), "");
    let passwd = || file(0o750, (0, 0)).table("etc/passwd", "app:x:65532:65532::/:\n");
    assert_eq!(passwd().user("65532").warning(), refusal("65532", "/app/run` has the mode 0750"));
    assert_eq!(passwd().user("app").warning(), refusal("app", "/app/run` has the mode 0750"));
    assert_eq!(passwd().user("app").table("etc/group", "root:x:0:other,app\n").warning(), "");
    assert_eq!(passwd().user("other").warning(), "", "nobody knows who that is");
    // A table that is elsewhere is not known.
    let elsewhere = file(0o750, (0, 0)).user("65532:7").link("etc/group", "../group").table("group", "");
    assert_eq!(elsewhere.warning(), "");
}

#[test]
fn directories_that_are_closed() {
    let image = |mode| Image::new().user("9:9").file("app/run", 0o755, (0, 0)).directory("app", mode, (0, 0));
    let expected = "the user `9:9` may not execute `/app/run`: `/app` has the mode 0700 and the owner 0:0";
    assert_eq!(image(0o700).warning(), expected);
    assert_eq!(image(0o711).warning(), "");
    assert_eq!(image(0o700).user("").warning(), "");
    assert_eq!(image(0o700).directory("app", 0o700, (9, 0)).warning(), "");
    // By a link, out of it, and to its interpreter.
    let linked = image(0o700).starts("/run").link("run", "app/run").warning();
    assert_eq!(linked, expected.replace("execute `/app/run`", "execute `/run`"));
    let around = image(0o700).starts("/app/../b").file("b", 0o755, (0, 0)).warning();
    assert_eq!(around, expected.replace("execute `/app/run`", "execute `/app/../b`"));
    let interpreter = image(0o700).starts("/b").program("b", "#!/app/run\n").warning();
    assert_eq!(interpreter, expected);
}

#[test]
fn what_has_no_format() {
    let text = "`/app/run` is text without an interpreter: its first line must name one, as `#!/bin/sh` does";
    let of = |contents: &[u8]| Image::new().program("app/run", contents).warning();
    assert_eq!(of(b"echo\n"), text);
    assert_eq!(of(b""), "`/app/run` is an empty file, which nothing starts");
    assert_eq!(of(b"MZ\x90\0"), "", "a kernel may know it");
    assert_eq!(of(b"#!run\n"), "`/app/run` begins with `#!run`, and that is not in the image");
}

#[test]
fn paths() {
    let image = |program: &str| Image::new().file("app/run", 0o755, (0, 0)).starts(program);
    for path in ["/app/run/", "/app/run/.", "/app/run//"] {
        assert_eq!(image(path).warning(), format!("the entrypoint `{path}` is no file"));
    }
    for path in ["/app//run", "/app/./run", "/../app/run", "/app/../app/run"] {
        assert_eq!(image(path).warning(), "", "{path}");
    }
    // The directory above is that of what the link leads to.
    let linked = |path: &str| image(path).link("here", "/app/sub").directory("app/sub", 0o755, (0, 0)).warning();
    assert_eq!(linked("/here/../run"), "");
    assert_eq!(linked("/here/run"), "the entrypoint `/here/run` is not in the image");
}

#[test]
fn programs_for_other_machines() {
    const AMD64: u8 = 62;
    const ARM64: u8 = 183;
    let of = |machine, architecture| Image::new().program("app/run", elf(machine)).of_machine(architecture).warning();
    assert_eq!(of(ARM64, "amd64"), "`/app/run` is for arm64, and the image for amd64");
    assert_eq!(of(AMD64, "386"), "`/app/run` is for amd64, and the image for 386");
    assert_eq!(of(AMD64, "amd64"), "");
    assert_eq!(of(AMD64, "new"), "");
    assert_eq!(of(2, "amd64"), "", "a machine that has no name here");
    let narrow = |machine: u8, architecture| {
        let mut bytes = elf(machine);
        bytes[4] = 1;
        Image::new().program("app/run", bytes).of_machine(architecture).warning()
    };
    assert_eq!(narrow(3, "amd64"), "", "most kernels of amd64 run programs of 386");
    assert_eq!(narrow(3, "arm64"), "`/app/run` is for 386, and the image for arm64");
    assert_eq!(narrow(40, "arm64"), "");
}

/// Nothing of a file gets to the terminal as it is.
#[test]
fn control_characters() {
    let mut bytes = elf(62);
    let path = b"/lib/\x1b[31mld\0";
    bytes[32] = 64;
    bytes[56] = 1;
    bytes.extend([3, 0, 0, 0]);
    bytes.resize(64 + 56, 0);
    bytes[72] = 120;
    bytes[96] = path.len() as u8;
    bytes.extend(path);
    let warning = Image::new().program("app/run", bytes).warning();
    assert!(warning.starts_with("`/app/run` needs the dynamic linker `/lib/\\u{1b}[31mld`, which"), "{warning:?}");
    let warning = script("#!/bin/\x1b[31m -e\n").warning();
    assert_eq!(warning, "`/app/run` begins with `#!/bin/\\u{1b}[31m`, and that is not in the image");
    let warning = script("#!/usr/bin/env \u{202e}x\"\n").warning();
    assert!(warning.contains("and `\\u{202e}x\"` is not in"), "{warning}");
}
