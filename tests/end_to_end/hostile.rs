//! What comes from outside: odd names, links that lead astray, forged results, floods of output, children that stay.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use rondel_cas::Digest;

use crate::space::{Run, TestSpace};

const COPY: &str =
    r#""copy": Exec(command: ["sh", "-c", "rm -rf out; cp -R in out"], inputs: ["in/**"], outputs: ["out/"])"#;

#[test]
fn names_of_every_kind() {
    let space = TestSpace::with_targets(COPY);
    let long = "n".repeat(255);
    let names = [
        "new\nline",
        "esc\u{1b}]52;c;x\u{7}",
        "-rf",
        " ",
        "tab\there",
        "quote\"'`$(x)",
        "é\u{301}\u{202e}",
        "back\\slash",
        &long,
    ];
    for name in names {
        space.write(&format!("in/{name}"), "one");
        if name.len() < 200 {
            space.write(&format!("in/{name}.d/{name}"), "two");
        }
    }
    space.ok(&["copy"]);
    assert!(space.ran(&["copy"]).is_empty());
    for name in names {
        space.write(&format!("in/{name}"), &format!("changed {}", name.len()));
        let run = space.ok(&["copy"]);
        assert!(run.stderr.contains("changed") && !run.stderr.contains("\u{1b}]52"), "{:?}", run.stderr);
        assert_eq!(space.read(&format!("out/{name}")), format!("changed {}", name.len()));
        let why = space.ok(&["why", "copy"]);
        assert!(!why.stdout.contains("\u{1b}]52"), "{:?}", why.stdout);
    }
    space.remove("out");
    assert_eq!(space.outcomes(&["copy"])["copy"], "cached");
    for name in names {
        assert_eq!(space.read(&format!("out/{name}")), format!("changed {}", name.len()), "{name:?} was restored");
    }
    // A name that can't be in a key is said, with what to do; where nobody asks for it, it is nobody's business.
    fs::write(space.root().join("in").join(OsStr::from_bytes(b"latin-\xe9")), "").unwrap();
    space.run(&["copy"]).fails(1, &["is not valid UTF-8", "hint: rename it"]);
    fs::create_dir_all(space.root().join("elsewhere")).unwrap();
    fs::remove_file(space.root().join("in").join(OsStr::from_bytes(b"latin-\xe9"))).unwrap();
    fs::write(space.root().join("elsewhere").join(OsStr::from_bytes(b"latin-\xe9")), "").unwrap();
    space.ok(&["copy"]);
}

#[test]
fn links_that_lead_nowhere_in_circles_and_out() {
    let space = TestSpace::with_targets(
        r#""read": Exec(command: ["sh", "-c", "ls in | wc -l > read.out"], inputs: ["in/**"], outputs: ["read.out"]),
           "make": Exec(command: ["sh", "-c", "rm -rf gen; mkdir -p gen/sub; ln -s \"$(cat where)\" gen/sub/link"], inputs: ["where"], outputs: ["gen/"])"#,
    );
    space.write("in/file", "x");
    space.write("secret", "outside of the inputs");
    for (name, target) in [
        ("self", "self"),
        ("circle", "."),
        ("dangling", "nowhere/at/all"),
        ("out", "../secret"),
        ("far", "/etc/passwd"),
    ] {
        symlink(target, space.root().join("in").join(name)).unwrap();
    }
    space.ok(&["read"]);
    assert!(space.ran(&["read"]).is_empty());
    // What stands behind a link is read by whoever follows it.
    space.write("secret", "changed");
    assert_eq!(space.ran(&["read"])["read"], "in/out (behind the link) changed");
    // What a directory behind a link holds is not looked at: that is seen if it is among the inputs by itself; else
    // nobody can know whether there is something to do.
    for (target, is_known) in [(".", true), ("deep", true), ("..", false), ("../dist", false), ("/usr", false)] {
        for path in ["in/deep", "dist"] {
            fs::create_dir_all(space.root().join(path)).unwrap();
        }
        let link = space.root().join("in/directory");
        let _ = fs::remove_file(&link);
        symlink(target, &link).unwrap();
        space.ok(&["read"]);
        let ran = space.ran(&["read"]);
        assert_eq!(ran.is_empty(), is_known, "{target}: {ran:?}");
        if !is_known {
            assert_eq!(ran["read"], "`in/directory` is a link to a directory outside its inputs");
        }
        fs::remove_file(&link).unwrap();
    }
    space.ok(&["read"]);
    for (inside, target) in [
        (true, "link"),
        (true, ".."),
        (true, "../sub"),
        (true, "../../secret"),
        (false, "../../../secret"),
        (false, "/etc/passwd"),
        (false, "../.."),
    ] {
        space.write("where", target);
        let run = space.run(&["make"]);
        if inside {
            assert_eq!(run.code, 0, "{target}: {}", run.stderr);
            space.remove("gen");
            assert_eq!(space.outcomes(&["make"])["make"], "cached", "{target}");
            assert_eq!(fs::read_link(space.root().join("gen/sub/link")).unwrap().to_str(), Some(target));
        } else {
            run.fails(1, &["is a symbolic link that leads out"]);
        }
    }
}

/// A field of bytes in the wire format of protocol buffers.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(bytes);
    field
}

/// The field of an `ActionResult` that holds what REAPI has no place for: the last of a result without links at its top.
fn execution_metadata(message: &[u8]) -> Vec<u8> {
    let whole = |place: &usize| {
        let rest = &message[place + 1..];
        let bytes = rest.get(if rest.first().is_some_and(|byte| byte & 0x80 != 0) { 2 } else { 1 }..).unwrap_or(&[]);
        field(9, bytes) == message[*place..]
    };
    let place = (0..message.len()).filter(|place| message[*place] == 9 << 3 | 2).find(whole).unwrap();
    message[place..].to_vec()
}

/// A result whose checksum is right and that says what no step could have said: somebody else wrote it.
#[test]
fn forged_results_write_nothing_elsewhere() {
    let space = TestSpace::with_targets(COPY);
    space.write("in/file", "sound");
    space.ok(&["copy"]);
    let outside = space.beside("outside");
    fs::write(&outside, "untouched").unwrap();
    let result = || {
        let directory = fs::read_dir(space.cache().join("v2/ac")).unwrap().next().unwrap().unwrap().path();
        fs::read_dir(directory).unwrap().next().unwrap().unwrap().path()
    };
    // Message, magic line and `Tree` as they are written; the action's digest is in the sound result's last field.
    let sound = fs::read(result()).unwrap();
    let begin = sound.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let cas = space.cache().join("v2");
    let contents = Digest::of(b"sound");
    let execution = execution_metadata(&sound[begin..]);
    let with = |outputs: Vec<Vec<u8>>| [outputs.concat(), execution.clone()].concat();
    let digest = |digest: &Digest| [field(1, digest.hex().as_bytes()), vec![16, digest.size() as u8]].concat();
    let file = |path: &str| field(2, &[field(1, path.as_bytes()), field(2, &digest(&contents))].concat());
    let link = |path: &str, target: &str| field(12, &[field(1, path.as_bytes()), field(2, target.as_bytes())].concat());
    let tree = |path: &str, nodes: Vec<u8>| {
        let tree = field(1, &nodes);
        let of = Digest::of(&tree);
        let place = cas.join("cas").join(&of.hex()[..2]).join(of.hex());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, tree).unwrap();
        field(3, &[field(1, path.as_bytes()), field(3, &digest(&of))].concat())
    };
    let file_node = |name: &str| field(1, &[field(1, name.as_bytes()), field(2, &digest(&contents))].concat());
    let link_node =
        |name: &str, target: &str| field(3, &[field(1, name.as_bytes()), field(2, target.as_bytes())].concat());
    let empty = || tree("out", Vec::new());
    let forged = [
        with(vec![file("../outside"), empty()]),
        with(vec![file("/etc/rondel-was-here"), empty()]),
        with(vec![file("out/../../outside"), empty()]),
        with(vec![file("outevil/file"), empty()]),
        with(vec![file("out"), empty()]),
        with(vec![file("out")]),
        with(vec![empty(), link("out/link", "../../outside")]),
        with(vec![empty(), link("out/link", "/etc/passwd")]),
        with(vec![file("out/link/file"), empty(), link("out/link", "../in")]),
        with(vec![tree("../outside", file_node("file"))]),
        with(vec![tree("/etc", file_node("rondel-was-here"))]),
        with(vec![tree("out", file_node("../../outside"))]),
        with(vec![tree("out", file_node(".."))]),
        with(vec![tree("out", link_node("link", "../../outside"))]),
        with(vec![tree("out", link_node("link", "/etc/passwd"))]),
        with(vec![tree("out", field(2, &[field(1, b"file"), field(2, &digest(&Digest::of(b"nowhere")))].concat()))]),
        with(vec![tree("out", file_node("file")), tree("out", file_node("file"))]),
        with(Vec::new()),
        // Of no action; of nothing; not a message.
        [file("out/file"), empty()].concat(),
        Vec::new(),
        b"not a message".to_vec(),
        vec![0xff; 100_000],
    ];
    for body in forged {
        let path = result();
        fs::remove_file(&path).unwrap();
        let head = format!("rondel-action-result 2 {}\n", Digest::of(&body).hex());
        fs::write(&path, [head.as_bytes(), &body[..]].concat()).unwrap();
        space.remove("out");
        let run = space.ok(&["copy"]);
        assert_eq!(space.read("out/file"), "sound", "{}", run.stderr);
        assert_eq!(space.ran(&["copy"]).len(), 0, "mended");
        assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched", "{}", body.escape_ascii());
        assert!(!std::path::Path::new("/etc/rondel-was-here").exists() && !space.exists("outevil"));
    }
}

/// Five gigabytes of nothing: hashed in pieces.
#[test]
fn a_huge_sparse_file() {
    let space = TestSpace::with_targets(r#""x": Exec(command: ["true"], inputs: ["huge"])"#);
    space.write("huge", "");
    fs::File::options().write(true).open(space.root().join("huge")).unwrap().set_len(5 << 30).unwrap();
    let run = space.limited("-v 800000", &["x"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(space.ran(&["x"]).is_empty());
}

/// A flood on standard output fills no memory, in lines and without end of line, kept back or streamed: each has more
/// than the whole process may take.
#[test]
fn a_flood_of_output() {
    let line = "0123456789".repeat(20);
    let space = TestSpace::with_targets(&format!(
        r#""endless": Shell(script: "head -c 380000000 /dev/zero | tr '\\0' x"),
           "failing": Shell(script: "yes {line} | head -c 380000000; exit 3")"#
    ));
    for arguments in [&["endless", "--progress", "none"][..], &["failing", "--quiet"]] {
        let script = "ulimit -v 350000 && { \"$0\" \"$@\"; echo status $?; } 2>&1 | tail -c 1000000";
        let run = Run::of(space.under("sh", &["-c", script], arguments).output().unwrap());
        let status = if arguments[0] == "failing" { "status 1" } else { "status 0" };
        assert_eq!(run.stdout.lines().last(), Some(status), "{arguments:?}: {:.2000}", run.stdout);
        assert_eq!(run.stdout.contains("ended with exit status 3"), arguments[0] == "failing", "{arguments:?}");
    }
}

/// A child that ignores SIGTERM goes within a second, or at the second Ctrl-C.
#[test]
fn a_child_that_ignores_the_first_request() {
    let space = TestSpace::with_targets(
        r#""stubborn": Exec(command: ["sh", "-c", "trap '' TERM INT; echo $$ > pid; while :; do sleep 0.2; done"])"#,
    );
    for requests in [1, 2] {
        let child = space.start(&["stubborn"]);
        let begun = Instant::now();
        while !space.exists("pid") && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(100));
        let begun = Instant::now();
        for _ in 0..requests {
            assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
            std::thread::sleep(Duration::from_millis(300));
        }
        let run = Run::of(child.wait_with_output().unwrap());
        run.fails(130, &[]);
        assert!(["Stopped after ", "interrupted; "].iter().any(|words| run.stderr.contains(words)), "{}", run.stderr);
        let limit = if requests == 1 { 15 } else { 4 };
        assert!(begun.elapsed() < Duration::from_secs(limit), "{requests} requests: {:?}", begun.elapsed());
        let pid = space.read("pid");
        assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists(), "it is still there");
        space.remove("pid");
    }
}

/// Ctrl-\ ends Rondel as it ends any program, and what it has started with it.
#[test]
fn a_quit_leaves_no_child() {
    let script = "setsid sh -c 'echo $$ > far; exec sleep 100' & trap '' QUIT; echo $$ > near; sleep 100";
    let space = TestSpace::with_targets(&format!("\"a\": Exec(command: [\"sh\", \"-c\", \"{script}\"])"));
    let child = space.start(&["a"]);
    let begun = Instant::now();
    while !(space.exists("near") && space.exists("far")) {
        assert!(begun.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-QUIT", &child.id().to_string()]).status().unwrap().success());
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, -1, "{}", run.stderr);
    for name in ["near", "far"] {
        let pid = space.read(name);
        assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists(), "{name} is still there");
    }
}
