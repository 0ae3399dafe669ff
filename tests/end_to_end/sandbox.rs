//! What a command with a key sees: its programs, its inputs, and what is refused. With hostile little programs.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::Command;

use rondel_process::sandbox_support;

use crate::space::{TestSpace, goproxy, repository};

/// What Landlock does not cover, as docs/commands.md lists it. Each succeeds for a command in the project's directory.
const MISSED: &[&str] = &[
    "access",
    "change-time",
    "chdir",
    "extended-attributes",
    "processes",
    "readlink",
    "socket-by-path",
    "stat",
    "statfs",
    "udp",
    "watch",
    "write",
];
/// Those of them that need a relative path, so that a working tree has nothing for them.
const MISSED_BESIDE_ONLY: &[&str] = &["chdir", "readlink", "watch"];

/// Returns false, with a word, where the kernel can't refuse all that the tests want refused.
fn has_landlock() -> bool {
    let has = sandbox_support().is_some_and(|support| support.has_network() && support.has_scopes());
    if !has {
        eprintln!("skipped: no Landlock 6 or later");
    }
    has
}

/// Answers everyone with the secret word, until the test ends.
fn serve(away: &Path) -> (u16, u16) {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ports = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    let socket = UnixListener::bind(away.join("socket")).unwrap();
    let name = away.display().to_string();
    let name = SocketAddr::from_abstract_name(name.rsplit_once('-').unwrap().1).unwrap();
    let hidden = UnixListener::bind_addr(&name).unwrap();
    std::thread::spawn(move || tcp.incoming().for_each(|client| drop(client.unwrap().write_all(b"canary"))));
    for listener in [socket, hidden] {
        std::thread::spawn(move || listener.incoming().for_each(|client| drop(client.unwrap().write_all(b"canary"))));
    }
    std::thread::spawn(move || {
        while let Ok((_, sender)) = udp.recv_from(&mut [0; 8]) {
            let _ = udp.send_to(b"canary", sender);
        }
    });
    ports
}

fn compile(arguments: &[&str]) {
    let source = repository().join("tests/fixtures/hostile_program.c");
    let status = Command::new("cc").arg("-w").args(arguments).arg(source).status().unwrap();
    assert!(status.success());
}

/// Returns the modes of the hostile program, as its source names them.
fn modes() -> BTreeSet<String> {
    let source = fs::read_to_string(repository().join("tests/fixtures/hostile_program.c")).unwrap();
    let names = source.lines().filter_map(|line| line.trim().strip_prefix("MODE(\""));
    names.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// Runs every hostile program as a step of `fields`; returns those that got what they wanted.
fn hostile_programs(fields: &dyn Fn(&str) -> String, last: &dyn Fn(&str) -> String) -> BTreeSet<String> {
    let space = TestSpace::empty();
    let (root, away, log) = (space.root(), space.beside("away"), space.beside("log"));
    for directory in [&away, &log] {
        fs::create_dir_all(directory).unwrap();
    }
    let name = root.parent().unwrap().file_name().unwrap().to_str().unwrap();
    let away = away.with_file_name(format!("away-{}", name.replace('-', "_")));
    fs::create_dir_all(&away).unwrap();
    fs::write(away.join("secret"), "canary").unwrap();
    let program = space.beside("hostile");
    compile(&["-ldl", "-o", program.to_str().unwrap()]);
    for (path, text) in [("secret", "canary"), ("dir/deep", "canary"), ("in", "input"), (".git/config", "canary")] {
        space.write(path, text);
    }
    space.write("unlisted", "#!/bin/sh\necho canary\n");
    Command::new("chmod").arg("755").arg(root.join("unlisted")).status().unwrap();
    fs::copy(&program, root.join("unlisted-program")).unwrap();
    compile(&["-DLIBRARY", "-shared", "-fPIC", "-o", root.join("library.so").to_str().unwrap()]);
    fs::hard_link(root.join("secret"), root.join("dir/hard-there")).unwrap();
    symlink("secret", root.join("link")).unwrap();
    let (tcp, udp) = serve(&away);
    let target = |mode: &String| {
        let words = [program.display(), root.display(), away.display()].map(|word| word.to_string());
        let [program, root, away] = &words;
        let command = format!(
            r#"["{program}", "{mode}", "{}", "{root}", "{away}", "{tcp}", "{udp}", "{away}"{}]"#,
            log.display(),
            last(mode)
        );
        format!(r#""{mode}": Exec(command: {command}, inputs: ["in"]{})"#, fields(mode))
    };
    let targets: Vec<String> = modes().iter().map(target).collect();
    let text = format!("(format: 1, project: \"t\", go: System, targets: {{{}}})\n", targets.join(",\n"));
    space.write("build.ron", &text);
    let all: Vec<String> = modes().into_iter().collect();
    let words: Vec<&str> = ["-j", "1"].into_iter().chain(all.iter().map(String::as_str)).collect();
    space.ok(&words);
    let found = fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // The capability of root to look at performance opens it, on new kernels, whatever the sandbox says.
    found.filter(|mode| mode != "proc-parent-environ").collect()
}

/// What is missed is said, each by its name.
#[test]
fn what_is_missed_is_in_the_documents() {
    let text = fs::read_to_string(repository().join("docs/commands.md")).unwrap();
    let (_, list) = text.split_once("## Not covered").unwrap();
    for name in MISSED {
        assert!(list.contains(&format!("`{name}`")), "`{name}` is not in docs/commands.md");
    }
}

/// Returns what this kernel misses of `names`: newer ones refuse more.
fn set(names: &[&str]) -> BTreeSet<String> {
    let support = sandbox_support();
    let is_refused = |name: &str| match name {
        "udp" => support.is_some_and(|support| support.has_udp()),
        "socket-by-path" => support.is_some_and(|support| support.has_sockets()),
        _ => false,
    };
    names.iter().filter(|name| !is_refused(name)).map(|name| (*name).to_owned()).collect()
}

#[test]
#[cfg_attr(not(has_cc), ignore = "no C compiler named `cc`")]
fn hostile_programs_beside_the_sources_get_what_is_listed_and_nothing_else() {
    assert!(modes().len() > 80);
    if has_landlock() {
        assert_eq!(hostile_programs(&|_| String::new(), &|_| String::new()), set(MISSED));
    }
}

#[test]
#[cfg_attr(not(has_cc), ignore = "no C compiler named `cc`")]
fn hostile_programs_in_a_working_tree_get_what_is_listed_and_nothing_else() {
    if !has_landlock() {
        return;
    }
    let found = hostile_programs(&|mode| format!(r#", outputs: ["out/{mode}"]"#), &|mode| format!(r#", "out/{mode}""#));
    let expected = &set(MISSED) - &set(MISSED_BESIDE_ONLY);
    assert_eq!(found, expected);
}

/// The programs can do what they try: without the sandbox most of them succeed.
#[test]
#[cfg_attr(not(has_cc), ignore = "no C compiler named `cc`")]
fn hostile_programs_without_a_sandbox_get_almost_everything() {
    let found = hostile_programs(&|_| ", sandbox: Off".to_owned(), &|_| String::new());
    assert!(found.len() > 70, "{:?}", &modes() - &found);
    assert!(found.is_superset(&set(MISSED)), "{found:?}");
}

const GENERATE: &str = r#""gen": Shell(script: "mygen > out", inputs: ["in"], outputs: ["out"], tools: ["mygen"])"#;

/// A declared program counts by its contents, as does the interpreter that its first line names.
#[test]
fn an_upgraded_tool_runs_again() {
    let mut space = TestSpace::with_targets(GENERATE);
    space.write("in", "");
    space.program("mygen", "echo one");
    space.ok(&["gen"]);
    assert!(space.ran(&["gen"]).is_empty());
    space.program("mygen", "echo two");
    assert!(space.ran(&["gen"])["gen"].starts_with("the tool mygen changed from "));
    assert_eq!(space.read("out"), "two\n");
    let interpreter = space.beside("programs/interpreter");
    space.program("interpreter", "echo three # $1");
    fs::write(space.beside("programs/mygen"), format!("#!{}\n", interpreter.display())).unwrap();
    space.ok(&["gen"]);
    assert_eq!(space.read("out"), "three\n");
    space.program("interpreter", "echo four # $1");
    space.ok(&["gen"]);
    assert_eq!(space.read("out"), "four\n");
    assert!(space.audit_all(&[]).contains("gen"));
}

/// The programs of the base set count as a whole: an upgraded `sed` is no wrong hit.
#[test]
fn an_upgraded_base_program_runs_again() {
    let mut space =
        TestSpace::with_targets(r#""x": Shell(script: "sed s/a/b/ in > out", inputs: ["in"], outputs: ["out"])"#);
    space.write("in", "a\n");
    space.ok(&["x"]);
    assert_eq!(space.read("out"), "b\n");
    space.program("sed", "echo new");
    assert!(space.ran(&["x"])["x"].starts_with("the tool the base programs changed from "));
    assert_eq!(space.read("out"), "new\n");
}

#[test]
fn what_is_not_declared_is_named_with_the_line_to_add() {
    let space = |fields: &str| {
        let mut space = TestSpace::with_targets(&format!(r#""x": Shell(inputs: ["in"], {fields})"#));
        space.program("mygen", "echo generated");
        for path in ["in", "secret", "dir/file"] {
            space.write(path, "text\n");
        }
        space
    };
    let refused = |fields: &str, hint: &str| {
        let run = space(fields).run(&["x"]);
        let hint = format!("hint: {hint}");
        assert_eq!(run.code, 1, "{fields}: {}", run.stderr);
        assert!(run.stderr.contains(&hint), "{fields}: {hint}\n{}", run.stderr);
    };
    let made = r#"outputs: ["out"]"#;
    refused(r#"script: "mygen""#, "`mygen` is not among its programs: add `tools: [\"mygen\"]` to `x`");
    refused(r#"script: "no-such-program""#, "`no-such-program` is not on PATH: install it, then add `tools:");
    refused(r#"script: "env mygen""#, "`mygen` is not among its programs");
    refused(&format!(r#"script: "cat secret > out", {made}"#), "`secret` is not among its inputs: add \"secret\" to");
    refused(&format!(r#"script: "ls dir > out", {made}"#), "`dir` is not among its inputs: add \"dir/**\" to");
    if has_landlock() {
        refused(r#"script: "cat secret""#, "`secret` is not among its inputs: add \"secret\" to the `inputs` of `x`");
        refused(r#"script: "cat ./dir/../secret""#, "`secret` is not among its inputs");
        refused(r#"script: "cat /etc/hostname""#, "`/etc/hostname` is not declared: add `tools: [\"/etc/hostname\"]`");
    }
    // Each is mended by what the hint says.
    for fields in [
        r#"script: "mygen", tools: ["mygen"]"#,
        r#"script: "cat secret", sandbox: Off"#,
        r#"script: "cat /etc/hostname", tools: ["/etc/hostname"]"#,
    ] {
        space(fields).ok(&["x"]);
    }
}

/// A command with outputs finds its inputs, makes what it likes, and only its outputs leave its working tree.
#[test]
fn a_working_tree_holds_inputs_and_leaves_outputs() {
    let space = TestSpace::with_targets(
        r#""x": Shell(
            script: "sort a/in > tmp; mv tmp out; sed -i s/x/y/ out; rm -rf gen; mkdir gen; cat out link > gen/f; cat gen/f a/run; ./a/run; ls; test -z \"$(ls $HOME $TMPDIR | grep -v :)\"",
            inputs: ["a/**", "link"], outputs: ["out", "gen/"], env: {"A": "b"})"#,
    );
    space.write("a/in", "x\nb\n");
    space.write("a/run", "#!/bin/sh\necho run\n");
    fs::set_permissions(space.root().join("a/run"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    space.write("other", "");
    symlink("a/in", space.root().join("link")).unwrap();
    let run = space.ok(&["x"]);
    assert_eq!(space.read("out"), "b\ny\n");
    assert_eq!(space.read("gen/f"), "b\ny\nx\nb\n");
    assert!(run.stderr.contains("| run\n") && !run.stderr.contains("other"), "{}", run.stderr);
    assert!(!space.exists("tmp") && fs::read_dir(space.root().join(".rondel/trees")).unwrap().next().is_none());
    // A failure leaves nothing, neither here nor there.
    space.replace("build.ron", "rm -rf gen;", "exit 1;");
    space.run(&["x"]).fails(1, &["exit status 1"]);
    assert_eq!(space.read("gen/f"), "b\ny\nx\nb\n");
    assert!(fs::read_dir(space.root().join(".rondel/trees")).unwrap().next().is_none());
}

#[test]
fn the_network_is_off_unless_declared() {
    if !has_landlock() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(|client| drop(client.unwrap().write_all(b"canary"))));
    let mut space = TestSpace::with_targets(&format!(
        r#""x": Shell(script: "bash -c 'cat < /dev/tcp/127.0.0.1/{port}'", inputs: ["in"], tools: ["bash"])"#
    ));
    if !Path::new("/bin/bash").exists() {
        return;
    }
    space.write("in", "");
    space.set("LC_ALL", "C");
    space.run(&["x"]).fails(1, &["hint: the network is off for a command with `inputs`", "add `network: true` to `x`"]);
    space.replace("build.ron", "inputs:", "network: true, inputs:");
    assert!(space.ok(&["x"]).stderr.contains("canary"));
}

/// The project's `go` in a command has no module proxy, network or not; what the hint says helps.
#[test]
fn a_go_without_a_proxy_is_told_how_to_get_one() {
    let mut space = TestSpace::empty().with_shared_go();
    space.set("GOPROXY", goproxy());
    // What is the latest is asked each time, whatever the module cache has.
    space.write("go.mod", "module example.com/x\n\ngo 1.22\n");
    space.write(
        "build.ron",
        r#"(format: 1, project: "x", go: Version("1.22.12"), targets: {
        "x": Exec(command: ["go", "list", "-m", "golang.org/x/mod@latest"], inputs: ["go.mod"], outputs: []),
    })"#,
    );
    space.ok(&["lock"]);
    let proxy = r#"`pass_env: ["GOPROXY"]`"#;
    if has_landlock() {
        space.run(&["x"]).fails(1, &["GOPROXY=off", &format!("add `network: true` and {proxy}")]);
    }
    space.replace("build.ron", "outputs: []", "outputs: [], network: true");
    space.run(&["x"]).fails(1, &["GOPROXY=off", &format!("add {proxy}")]);
    space.replace("build.ron", "network: true", r#"network: true, pass_env: ["GOPROXY"]"#);
    assert!(space.ok(&["x"]).stderr.contains("golang.org/x/mod v"));
}

#[test]
fn what_is_switched_off_is_shown() {
    let space =
        TestSpace::with_targets(r#""x": Shell(script: "cat other", inputs: ["in"], sandbox: Off), "y": Shell("true")"#);
    space.write("in", "");
    space.write("other", "");
    let plan = space.ok(&["plan", "x", "y"]).stdout;
    assert_eq!(plan, "run         x (sandbox: Off): first build\nrun         y: it declares no inputs\n");
    space.ok(&["x"]);
    // It is another step: what it made unchecked is not taken for checked.
    space.replace("build.ron", ", sandbox: Off", "");
    assert!(space.ok(&["plan", "x"]).stdout.starts_with("run "));
    assert!(space.run(&["doctor"]).stdout.contains("sandbox: "));
}

/// The project's own Go comes first, in a script as in a command; with a key, only where it is declared.
#[test]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
fn the_projects_go_is_the_go_of_scripts() {
    let mut space = TestSpace::small();
    space.program("go", "echo a planted go");
    space.program("gofmt", "echo a planted gofmt");
    let scripts = r#""always": Shell("go version"),
        "keyed": Shell(script: "go version > out; gofmt -l greet >> out", inputs: ["greet/*", "go.mod"], outputs: ["out"], tools: ["go"]),
        "bare": Shell(script: "go version", inputs: ["go.mod"]),
        "test":"#;
    space.replace("build.ron", "\"test\":", scripts);
    let run = space.ok(&["always"]);
    assert!(run.stderr.contains("go version go1.22.12 "), "{}", run.stderr);
    space.ok(&["keyed"]);
    assert!(space.read("out").starts_with("go version go1.22.12 ") && !space.read("out").contains("planted"));
    space.run(&["bare"]).fails(1, &["add `tools: [\"go\"]` to `bare`"]);
}
