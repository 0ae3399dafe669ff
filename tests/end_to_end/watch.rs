//! `watch`: what makes a build begin, what does not, and what goes on meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::containers::served;
use crate::docker::{daemon, docker, free_port, get, try_get, wait_for};
use crate::space::{TestSpace, make_executable};

/// A watch that runs, and all that it has said.
pub struct Watching {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Watching {
    pub fn start(space: &TestSpace, targets: &[&str]) -> Watching {
        let mut child = space.command(&[&["watch"], targets].concat()).stderr(Stdio::piped()).spawn().unwrap();
        let (said, lines) = (Arc::new(Mutex::new(String::new())), BufReader::new(child.stderr.take().unwrap()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                heard.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        let watching = Watching { child, said };
        watching.hears("Watching ", 1);
        watching
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said something so many times.
    pub fn hears(&self, text: &str, count: usize) {
        let begun = Instant::now();
        while self.said().matches(text).count() < count {
            assert!(begun.elapsed() < Duration::from_secs(90), "`{text}` was not said {count} times:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the last build is over and no other one follows. Returns all that was said.
    pub fn settled(&self) -> String {
        let begun = Instant::now();
        let mut said = self.said();
        loop {
            std::thread::sleep(Duration::from_millis(1000));
            let now = self.said();
            if now == said && now.lines().last().is_some_and(|line| line.trim_start().starts_with("Watching ")) {
                return now;
            }
            assert!(begun.elapsed() < Duration::from_secs(90), "it builds on and on:\n{now}");
            said = now;
        }
    }

    fn interrupt(&self) -> bool {
        let kill = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        kill.is_ok_and(|status| status.success())
    }

    pub fn ends(mut self) -> String {
        assert!(self.interrupt());
        assert_eq!(self.child.wait().unwrap().code(), Some(130));
        self.said()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        // It ends what it has started, also where a test has failed.
        self.interrupt();
        let begun = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the copy holds; while it is made there is none.
fn output(space: &TestSpace) -> String {
    std::fs::read_to_string(space.root().join("out")).unwrap_or_default()
}

const COPY: &str = r#"
    "copy": Shell("cat in/* > out; echo copied", inputs: ["in/*.txt"], outputs: ["out"]),
    "other": Shell("cat more/*", inputs: ["more/**"]),
    "writes": Shell("date +%N > in/stamp.txt"),
    "all": Group(["copy", "other"]),
"#;

#[test]
fn only_what_is_affected_runs_and_own_outputs_change_nothing() {
    let space = TestSpace::with_targets(COPY);
    space.write("in/a.txt", "1\n");
    space.write("more/x", "x\n");
    space.write("unrelated/y", "y\n");
    let watching = Watching::start(&space, &["all"]);
    let runs = |target: &str| watching.said().matches(&format!("Running {target}: ")).count();
    assert_eq!((runs("copy"), runs("other")), (1, 1));
    space.write("in/a.txt", "2\n");
    watching.hears("Running copy: in/a.txt changed", 1);
    wait_for("the output", || output(&space) == "2\n");
    // By another name, as editors save; a file more; a new directory.
    space.write("in/.a.new", "3\n");
    std::fs::rename(space.root().join("in/.a.new"), space.root().join("in/a.txt")).unwrap();
    wait_for("the output", || output(&space) == "3\n");
    space.write("in/b.txt", "4\n");
    wait_for("the output", || output(&space) == "3\n4\n");
    space.write("more/deep/er/z", "z\n");
    watching.hears("Running other: ", 2);
    // What was so before is known.
    std::fs::remove_dir_all(space.root().join("more/deep")).unwrap();
    space.write("more/x", "xx\n");
    watching.hears("other | xx", 1);
    // build.ron itself, with a mistake and without.
    space.replace("build.ron", "echo copied", "echo copied again\", inptus: [\"");
    watching.hears("error: expected `,`", 1);
    space.replace("build.ron", "\", inptus: [\"", "");
    // Its command was said with the mistake, and what it prints without.
    watching.hears("copy | copied again", 1);
    let before = watching.settled();
    // The same contents, and what no target reads.
    space.write("in/a.txt", "3\n");
    space.write("unrelated/y", "yy\n");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(watching.said(), before);
    watching.ends();
}

/// Below a held address, settings that Docker refuses hold up no request, and neither does a container that went on before.
#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn what_docker_refuses_holds_up_no_request() {
    let _guard = daemon();
    let (own, held) = (free_port(), free_port());
    let space = served("rondel-test-held", own, &format!(", proxy: \"127.0.0.1:{held}\", memory: \"64m\""));
    space.ok(&["run"]);
    assert!(get(own, "/").is_some() && get(held, "/").is_none());
    let watching = Watching::start(&space, &["run"]);
    assert!(get(held, "/").is_some());
    space.replace("build.ron", "64m", "1k");
    watching.hears("emory limit", 1);
    assert!(get(held, "/").is_some());
    space.replace("build.ron", "1k", "64m");
    watching.settled();
    assert!(get(held, "/").is_some());
    space.replace("build.ron", "64m", "65m");
    watching.hears("Done run", 1);
    assert!(get(held, "/").is_some());
    watching.ends();
    // It has `detach: true`, so it goes on.
    assert!(get(own, "/").is_some());
    space.ok(&["stop"]);
    docker(&["rmi", "--force", "rondel-test-held:1"]);
}

/// A command that writes what is an input would build without a pause.
#[test]
fn no_build_goes_round_in_circles() {
    let space = TestSpace::with_targets(COPY);
    space.write("in/a.txt", "1\n");
    let watching = Watching::start(&space, &["writes", "copy"]);
    watching.hears("warning: `in/stamp.txt` was written during each of the last builds", 1);
    let builds = || watching.said().matches("Running writes: ").count();
    let count = builds();
    assert!(count <= 5, "{}", watching.said());
    // After one second, two more, and four more.
    std::thread::sleep(Duration::from_secs(5));
    assert!(builds() <= count + 2, "{}", watching.said());
    // What somebody else writes counts at once.
    space.write("in/a.txt", "2\n");
    wait_for("the output", || output(&space).starts_with("2\n"));
    watching.ends();
}

/// Other builds ask a watch before they look at inputs. What they say is what a look finds, whatever was edited.
#[test]
fn builds_that_ask_a_watch_say_what_a_look_finds() {
    let space = TestSpace::with_targets(
        r#""copy": Exec(command: ["sh", "-c", "cat in/*/* > out"], inputs: ["in/**"], outputs: ["out"]),
           "other": Exec(command: ["true"], inputs: ["build.ron"])"#,
    );
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for number in 0..40 {
        files.insert(format!("in/{}/{number}", number % 4), format!("{number}\n"));
    }
    files.iter().for_each(|(path, text)| space.write(path, text));
    let watching = Watching::start(&space, &["other"]);
    assert!(space.exists(".rondel/vouch.1"));
    let mut seen = BTreeSet::from([files.clone()]);
    assert_eq!(space.outcomes(&["copy"])["copy"], "ran");
    for round in 0..120 {
        // Most of the time nothing: then somebody vouches for it.
        let path = format!("in/{}/{}", round % 4, round % 40);
        match round % 8 {
            0 => {
                files.insert(path.clone(), format!("{}\n", round % 24));
                // As editors save.
                space.write("saved", &files[&path]);
                std::fs::rename(space.root().join("saved"), space.root().join(&path)).unwrap();
            }
            3 if files.remove(&path).is_some() => space.remove(&path),
            6 => {
                files.insert(path.clone(), "in place\n".to_owned());
                space.write(&path, "in place\n");
            }
            _ => {}
        }
        let outcome = space.outcomes(&["copy"])["copy"].clone();
        assert_eq!(outcome == "ran", seen.insert(files.clone()), "{round}: {outcome}");
        assert_eq!(space.read("out"), files.values().map(String::as_str).collect::<String>(), "{round}");
    }
    // What somebody removed comes back, also where all inputs are vouched for.
    space.remove("out");
    assert_eq!(space.outcomes(&["copy"])["copy"], "cached");
    assert!(space.exists("out"));
    watching.ends();
    assert!(!space.exists(".rondel/vouch.1"));
}

/// So do builds of Go packages: what decides which files belong to them is vouched for too.
#[test]
fn packages_of_go_that_a_watch_vouches_for() {
    let mut space = TestSpace::with_targets(
        r#""m": GoBuild(packages: ["."], platforms: ["linux/amd64"]), "other": Exec(command: ["true"], inputs: ["build.ron"])"#,
    );
    space.set("PATH", &std::env::var("PATH").unwrap());
    let value = |number: u32| format!("package a\n\nvar N = {number}\n");
    let main = "package main\n\nimport (\n\t\"embed\"\n\n\t\"example.com/m/a\"\n)\n\n//go:embed assets\nvar files embed.FS\n\nfunc main() \
                {\n\tlist, _ := files.ReadDir(\"assets\")\n\tprintln(a.N, len(list))\n}\n";
    let files = [
        ("go.mod", "module example.com/m\n\ngo 1.22\n"),
        ("main.go", main),
        ("a/a.go", &value(10)),
        ("a/b_plan9.go", "package a\n\nfunc init() { N++ }\n"),
        ("seldom.go", "package main\n"),
        ("assets/one", ""),
    ];
    files.iter().for_each(|(path, text)| space.write(path, text));
    let at = |path: &str| space.root().join(path);
    let build = || space.outcomes(&["m"])["m (linux/amd64)"].clone();
    let watching = Watching::start(&space, &["other"]);
    assert_eq!(build(), "ran");
    let kept = space.beside("kept.go");
    type Edit<'a> = (&'a dyn Fn(), &'a str, &'a str);
    let edits: &[Edit<'_>] = &[
        (&|| (), "10 1", "cached"),
        (&|| space.write("a/a.go", &value(20)), "20 1", "ran"),
        (&|| space.write("a/c.go", "package a\n\nfunc init() { N += 2 }\n"), "22 1", "ran"),
        (&|| std::fs::hard_link(at("a/a.go"), &kept).unwrap(), "22 1", "cached"),
        // Through a name outside of the tree.
        (&|| std::fs::write(&kept, value(30)).unwrap(), "32 1", "ran"),
        (&|| space.remove("a/c.go"), "30 1", "ran"),
        (&|| space.write("assets/two", ""), "30 2", "ran"),
        (&|| space.write("assets/deep/three", ""), "30 3", "ran"),
        (&|| std::fs::rename(at("a/b_plan9.go"), at("a/b_linux.go")).unwrap(), "31 3", "ran"),
        (&|| std::fs::rename(at("a"), at("former")).unwrap(), "", ""),
        (&|| space.write("a/a.go", &value(20)), "20 3", "ran"),
        (&|| std::fs::remove_dir_all(at("assets/deep")).unwrap(), "20 2", "ran"),
        (&|| space.write("a/go.mod", "module example.com/m/a\n"), "", ""),
        (&|| space.remove("a/go.mod"), "20 2", "cached"),
        (&|| space.write("unrelated/x.go", "package unrelated\n"), "20 2", "cached"),
        (&|| space.write("go.mod", "module example.com/m\n\ngo 1.21\n"), "20 2", "ran"),
    ];
    for (number, (edit, printed, outcome)) in edits.iter().enumerate() {
        edit();
        if printed.is_empty() {
            space.run(&["m"]).fails(1, &["a"]);
            continue;
        }
        assert_eq!(build(), *outcome, "{number}");
        let output = Command::new(at("dist/m/linux_amd64/m")).output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap().trim(), *printed, "{number}");
        // The first has nobody to ask, and tells what it has found.
        assert_eq!([build(), build()], ["cached", "cached"], "{number}");
    }
    let calls = space.beside("calls");
    let is_vouched_for = || {
        let traced =
            space.under("strace", &["-f", "-e", "trace=file", "-o", &calls.display().to_string()], &["m"]).output();
        assert!(traced.unwrap().status.success());
        let calls = std::fs::read_to_string(&calls).unwrap();
        let stats = |name: &str| calls.contains(&format!("\"{name}\","));
        stats("arena.go") && !stats("seldom.go")
    };
    // A watch that does not answer in time, on a busy machine, is not waited for.
    assert!((0..5).any(|_| is_vouched_for()), "nobody vouched for the packages");
    watching.ends();
}

/// What is no input makes a build begin too: files of variables and of the environment, git's branch, a program, what a link leads to.
#[test]
fn all_that_a_step_is_made_of_makes_a_build_begin() {
    let space = TestSpace::with_targets(
        r#""file": Shell("echo $V", env: {"V": "{version}"}, inputs: ["src/**"]),
           "branch": Shell("echo $V", env: {"V": "{commit}"}, inputs: ["src/**"]),
           "variables": Shell("echo $E", env_file: ["dev.env", Optional("own.env")], inputs: ["src/**"]),
           "program": Exec(command: ["tool/own"], inputs: ["src/**"]),
           "link": Shell("cat web/*", inputs: ["web/**"]),
           "by-hand": Shell("cat dist/hand/*", inputs: ["dist/hand/**"]),
           "all": Group(["file", "branch", "variables", "program", "link", "by-hand"])"#,
    );
    space.replace(
        "build.ron",
        "project:",
        "vars: {\"version\": File(\"conf/V\"), \"commit\": Git(Commit, \"none\")}, project:",
    );
    for (path, text) in [("conf/V", "1"), ("dev.env", "E=1"), ("tool/own", "#!/bin/sh\necho 1\n"), ("src/s", "")] {
        space.write(path, text);
    }
    for (path, text) in [("deep/behind", "1"), ("dist/hand/h", "1"), (".gitignore", ".rondel\n"), ("web/own", "1")] {
        space.write(path, text);
    }
    make_executable(&space.root().join("tool/own"));
    std::os::unix::fs::symlink("../deep/behind", space.root().join("web/link")).unwrap();
    let commit = || {
        let line = "git -c user.name=n -c user.email=e commit -q --allow-empty -m x";
        assert!(Command::new("sh").args(["-c", line]).current_dir(space.root()).status().unwrap().success());
    };
    assert!(Command::new("git").args(["init", "-q"]).current_dir(space.root()).status().unwrap().success());
    commit();
    let watching = Watching::start(&space, &["all"]);
    let edits: [(&str, &dyn Fn()); 7] = [
        ("file", &|| space.write("conf/V", "2")),
        ("branch", &commit),
        ("variables", &|| space.write("dev.env", "E=2")),
        ("variables", &|| space.write("own.env", "E=3")),
        ("program", &|| space.write("tool/own", "#!/bin/sh\necho 2\n")),
        ("link", &|| space.write("deep/behind", "2")),
        ("by-hand", &|| space.write("dist/hand/h", "2")),
    ];
    for (target, edit) in edits {
        let begun = format!("Running {target}: ");
        let count = watching.settled().matches(&begun).count();
        edit();
        watching.hears(&begun, count + 1);
    }
    watching.ends();
}

/// A checkout of thousands of files is one change.
#[test]
fn a_checkout_is_one_change() {
    let space = TestSpace::with_targets(r#""count": Shell("ls in | wc -l", inputs: ["in/*"])"#);
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments).current_dir(space.root());
        assert!(command.output().unwrap().status.success(), "{arguments:?}");
    };
    space.write("in/0", "0");
    space.write(".gitignore", ".rondel\n");
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "-m", "one"]);
    for number in 0..3000 {
        space.write(&format!("in/{number}"), &number.to_string());
    }
    git(&["checkout", "--quiet", "-b", "many"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "-m", "many"]);
    git(&["checkout", "--quiet", "-"]);
    git(&["checkout", "--quiet", "master"]);
    let watching = Watching::start(&space, &["count"]);
    watching.hears("count | 1", 1);
    git(&["checkout", "--quiet", "many"]);
    watching.hears("count | 3000", 1);
    git(&["checkout", "--quiet", "master"]);
    space.write("in/more", "one more");
    watching.hears("count | 2", 1);
    let said = watching.ends();
    // Few builds, however many files: a slow machine may see git at work once.
    assert!(said.matches("Running count: ").count() <= 5, "{said}");
}

/// A server of Go that says its version, and takes a while for each answer.
fn server(port: u16, own: u16) -> TestSpace {
    let space = TestSpace::with_targets(&format!(
        r#""server": GoBuild(packages: ["."], platforms: ["linux/amd64"]),
        "serve": Process(command: [Output("server"), "127.0.0.1:{own}"], ready: Http(port: {own}, path: "/health"), proxy: "127.0.0.1:{port}")"#,
    ))
    .with_shared_go();
    space.replace("build.ron", "go: System", "go: Version(\"1.22.12\")");
    space.write("go.mod", "module example.com/t\n\ngo 1.22\n");
    space.write(
        "main.go",
        r#"package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const version = "v0"

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2 * time.Millisecond)
		fmt.Fprint(w, version)
	})
	server := &http.Server{Addr: os.Args[1], Handler: mux}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() { <-stop; server.Shutdown(context.Background()) }()
	fmt.Println("serving", version)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Println(err)
		os.Exit(1)
	}
}
"#,
    );
    space
}

/// Clients that ask as fast as they get answers, half of them on one connection.
struct Load {
    ends: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    threads: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(port: u16) -> Load {
        let (ends, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..4).map(|number| {
            let (ends, asked) = (Arc::clone(&ends), Arc::clone(&asked));
            std::thread::spawn(move || {
                let (mut failures, mut kept) = (Vec::new(), None);
                while !ends.load(Ordering::SeqCst) {
                    let connection = if number % 2 == 0 { kept.take() } else { None };
                    match ask(connection, port) {
                        Ok(connection) => kept = Some(connection),
                        Err(error) => failures.push(error.to_string()),
                    }
                    asked.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(6));
                }
                failures
            })
        });
        let threads = threads.collect();
        Load { ends, asked, threads }
    }

    /// Returns the number of requests and what failed.
    fn end(self) -> (usize, Vec<String>) {
        self.ends.store(true, Ordering::SeqCst);
        let failures = self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        (self.asked.load(Ordering::SeqCst), failures)
    }
}

/// Sends one request and reads its answer, which has to be 200.
fn ask(connection: Option<TcpStream>, port: u16) -> std::io::Result<TcpStream> {
    let mut stream = connection.map_or_else(|| TcpStream::connect(("127.0.0.1", port)), Ok)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")?;
    let (mut read, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
            if length.is_some_and(|length| body.len() >= length) {
                let is_good = head.starts_with("HTTP/1.1 200 ") && body.starts_with('v');
                return if is_good { Ok(stream) } else { Err(std::io::Error::other(text)) };
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::Error::other("the connection broke off")),
            count => read.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Edits under load, some of which do not compile: no request fails, and the old process answers until the new one does.
#[test]
fn edits_drop_no_request() {
    let (port, own) = (free_port(), free_port());
    let space = server(port, own);
    let watching = Watching::start(&space, &["serve"]);
    let answer = || get(port, "/").unwrap_or_default();
    let first = try_get(port, "/");
    let log = || space.read(".rondel/processes.1/serve.log");
    assert!(first.as_ref().is_ok_and(|text| text.ends_with("v0")), "{first:?}\n{}\n{}", log(), watching.said());
    let load = Load::start(port);
    for edit in 1..=6 {
        space.replace("main.go", &format!("\"v{}\"", edit - 1), &format!("\"v{edit}\""));
        wait_for("the edit", || answer().ends_with(&format!("v{edit}")));
        if edit % 3 == 0 {
            space.append("main.go", "broken\n");
            watching.hears("Failed server", edit / 3);
            assert!(answer().ends_with(&format!("v{edit}")), "the old one goes on");
            space.replace("main.go", "broken\n", "");
        }
    }
    let (asked, failures) = load.end();
    assert!(failures.is_empty() && asked > 200, "{} of {asked}: {:?}", failures.len(), failures.first());
    for edit in 0..=6 {
        wait_for("its line", || watching.said().contains(&format!("serve | serving v{edit}\n")));
        assert_eq!(watching.said().matches(&format!("serving v{edit}\n")).count(), 1, "{}", watching.said());
    }
    let program = serde_json::from_str::<serde_json::Value>(&space.read(".rondel/processes.1/serve.json")).unwrap();
    let pid = program["program"]["pid"].as_u64().unwrap();
    let said = watching.ends();
    assert!(said.contains("Stopped serve: process") && !said.contains("address already in use"), "{said}");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    assert!(get(port, "/").is_none());
}

/// From nine to five: services up, a watch, edits below a load, one that breaks a test, one that does not compile, down; nothing goes on,
/// and nothing is left behind.
#[test]
#[cfg_attr(not(has_compose), ignore = "no `docker compose` with its images (see tests/images)")]
fn the_whole_day() {
    let _guard = daemon();
    let (port, own) = (free_port(), free_port());
    let mut space = server(port, own);
    space.unset("DOCKER_HOST");
    space.replace(
        "build.ron",
        "targets: {",
        "targets: {\"up\": ComposeUp(file: \"compose.yml\"), \"down\": ComposeDown(file: \"compose.yml\", volumes: true), \
         \"test\": GoTest(packages: [\"./...\"]),",
    );
    space.replace("build.ron", "project: \"t\"", "project: \"rondel-test-day\"");
    space.write(
        "compose.yml",
        "services:\n  redis:\n    image: redis:7-alpine\n    volumes: [\"data:/data\"]\n    healthcheck: {test: [\"CMD\", \"redis-cli\", \"ping\"], interval: 1s}\n\
         volumes:\n  data: {}\n",
    );
    space.write(
        "main_test.go",
        "package main\n\nimport \"testing\"\n\nfunc TestVersion(t *testing.T) {\n\tif version == \"bad\" {\n\t\tt.Fatal(\"a bad version\")\n\t}\n}\n",
    );
    let before = names_in(&space);
    assert!(space.ok(&["up"]).stderr.contains("redis healthy"));
    let watching = Watching::start(&space, &["serve", "test"]);
    let answer = || get(port, "/").unwrap_or_default();
    let load = Load::start(port);
    space.replace("main.go", "\"v0\"", "\"v1\"");
    wait_for("the edit", || answer().ends_with("v1"));
    // An edit that breaks a test is told, and the next one mends it. So it is with one that does not compile.
    space.replace("main.go", "\"v1\"", "\"bad\"");
    watching.hears("a bad version", 1);
    space.replace("main.go", "\"bad\"", "\"v2\"");
    wait_for("the edit", || answer().ends_with("v2"));
    space.append("main.go", "broken\n");
    watching.hears("Failed server", 1);
    assert!(answer().ends_with("v2"));
    space.replace("main.go", "broken\n", "");
    space.replace("main.go", "\"v2\"", "\"v3\"");
    wait_for("the edit", || answer().ends_with("v3"));
    let states = space.ok(&["status"]).stdout;
    assert!(states.contains("serve     ready") && states.contains("up/redis  healthy"), "{states}");
    assert!(space.ok(&["logs", "serve"]).stdout.contains("serving v3"));
    let (asked, failures) = load.end();
    // What a bad version answers begins with no `v`: those alone are not as they should be.
    let wrong: Vec<&String> = failures.iter().filter(|failure| !failure.ends_with("bad")).collect();
    assert!(wrong.is_empty() && asked > 100, "{} of {asked}: {:?}", wrong.len(), wrong.first());
    watching.ends();
    space.ok(&["test"]);
    space.ok(&["down", "--yes"]);
    let states = space.ok(&["status"]).stdout;
    assert!(states.lines().all(|line| line.contains("not running")), "{states}");
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project=rondel-test-day"]), "");
    assert!(get(port, "/").is_none() && get(own, "/").is_none());
    let left: Vec<String> = names_in(&space).into_iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(left, [".rondel", "dist"]);
}

fn names_in(space: &TestSpace) -> Vec<String> {
    let entries = std::fs::read_dir(space.root()).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
