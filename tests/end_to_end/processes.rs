//! `Process`, and the verbs about what goes on: `status`, `logs`, `stop`, `restart`.

use std::process::Command;

use serde_json::Value;

use crate::docker::{free_port, get, wait_for};
use crate::space::{Run, TestSpace};

/// A server of files, ready when it answers.
pub fn server(port: u16, more: &str) -> TestSpace {
    let space = TestSpace::with_targets(&format!(
        r#""web": Process(command: ["python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "{port}"], dir: "site", inputs: ["site/*.html"],
            ready: Http(port: {port}, path: "/index.html"), detach: true{more}),
        "all": Group(["web"])"#
    ));
    space.write("site/index.html", "hello\n");
    space
}

/// The record of a process.
fn record(space: &TestSpace, name: &str) -> Value {
    serde_json::from_str(&space.read(&format!(".rondel/processes.1/{name}.json"))).unwrap()
}

pub fn pid(space: &TestSpace, name: &str, of: &str) -> u64 {
    record(space, name)[of]["pid"].as_u64().unwrap()
}

pub fn is_alive(pid: u64) -> bool {
    // A zombie, which its parent has not asked about yet, is over.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub fn signal(name: &str, pid: u64) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

fn status(space: &TestSpace) -> Value {
    let run = space.ok(&["status", "--format", "json"]);
    serde_json::from_str::<Value>(&run.stdout).unwrap()["targets"][0].clone()
}

#[test]
fn a_process_goes_on_and_is_started_anew_when_it_has_changed() {
    let port = free_port();
    let space = server(port, "");
    assert!(space.ok(&["status"]).stdout.contains("web  not running"));
    let run = space.ok(&["web"]);
    assert!(
        run.stderr.contains("web: ready after ") && run.stderr.contains(&format!("http://127.0.0.1:{port}/index.html"))
    );
    let (first, supervisor) = (pid(&space, "web", "program"), pid(&space, "web", "supervisor"));
    assert!(is_alive(first) && is_alive(supervisor));
    assert!(get(port, "/index.html").unwrap().ends_with("hello\n"));
    let known = status(&space);
    assert_eq!((&known["target"], &known["parts"][0]["state"]), (&Value::from("web"), &Value::from("ready")));
    // Nothing has changed.
    assert!(space.ran(&["web"]).is_empty());
    assert_eq!(pid(&space, "web", "program"), first);
    // What it reads has, and what it is started with.
    space.write("site/index.html", "changed\n");
    assert_eq!(space.ran(&["all"])["web"], "what runs was started from something else");
    let second = pid(&space, "web", "program");
    assert!(second != first && !is_alive(first) && !is_alive(supervisor));
    space.replace("build.ron", "\"-u\", ", "\"-u\", \"-B\", ");
    space.ran(&["web"]);
    assert!(pid(&space, "web", "program") != second);
    space.ran(&["web"]);
    space.replace("build.ron", "dir: \"site\"", "env: {\"A\": \"b\"}, dir: \"site\"");
    assert!(space.ran(&["web"]).contains_key("web") && space.ran(&["web"]).is_empty());
    // The log is that of the last start, and what it prints comes as it is printed.
    get(port, "/missing");
    wait_for("the line", || space.ok(&["logs", "web"]).stdout.contains("/missing"));
    assert_eq!(space.ok(&["logs", "--tail", "1", "web"]).stdout.lines().count(), 1);
    let third = pid(&space, "web", "program");
    let run = space.ok(&["restart", "web"]);
    assert!(run.stderr.contains(&format!("Stopped web: process {third}")), "{}", run.stderr);
    assert!(pid(&space, "web", "program") != third && !is_alive(third));
    let last = pid(&space, "web", "program");
    space.ok(&["stop"]);
    assert!(!is_alive(last) && get(port, "/index.html").is_none());
    assert!(space.ok(&["stop"]).stderr.contains("Stopped nothing"));
    assert!(!space.exists(".rondel/processes.1/web.json"));
}

#[test]
fn it_starts_again_after_a_failure_and_not_after_a_stop() {
    let port = free_port();
    let space = server(port, ", restart: OnFailure, grace_s: 2");
    space.ok(&["web"]);
    for count in 1..=2 {
        signal("-KILL", pid(&space, "web", "program"));
        wait_for("the restart", || {
            record(&space, "web")["restarts"] == count && record(&space, "web")["phase"] == "ready"
        });
        assert!(get(port, "/index.html").is_some());
    }
    assert!(space.ok(&["status"]).stdout.contains(", 2 restarts"));
    let supervisor = pid(&space, "web", "supervisor");
    space.ok(&["stop", "web"]);
    assert!(!is_alive(supervisor));
    assert!(space.ok(&["status", "web"]).stdout.contains("not running"));
}

/// Nothing but the processes of the record is ever signalled, whoever dies.
#[test]
fn a_dead_supervisor_and_a_number_that_is_given_again() {
    let port = free_port();
    let space = server(port, "");
    space.ok(&["web"]);
    let program = pid(&space, "web", "program");
    signal("-KILL", pid(&space, "web", "supervisor"));
    wait_for("its end", || status(&space)["parts"][0]["state"] == "ready, without its supervisor");
    assert!(is_alive(program));
    space.ok(&["stop", "web"]);
    assert!(!is_alive(program));
    // A record whose numbers belong to a stranger by now.
    space.ok(&["web"]);
    let mut stranger = Command::new("sleep").arg("1000").spawn().unwrap();
    let number = u64::from(stranger.id());
    let mut forged = record(&space, "web");
    let supervisor = pid(&space, "web", "supervisor");
    signal("-TERM", supervisor);
    wait_for("its end", || !is_alive(supervisor));
    for of in ["program", "supervisor"] {
        forged[of]["pid"] = Value::from(number);
    }
    space.write(".rondel/processes.1/web.json", &forged.to_string());
    assert_eq!(status(&space)["parts"][0]["state"], "killed");
    assert!(space.ok(&["stop"]).stderr.contains("Stopped nothing"));
    assert!(is_alive(number));
    // Nor does a start end it.
    space.write(".rondel/processes.1/web.json", &forged.to_string());
    space.ok(&["web"]);
    assert!(is_alive(number));
    space.ok(&["stop"]);
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    // What nobody can read is no record.
    space.write(".rondel/processes.1/web.json", "{");
    assert!(space.ok(&["status"]).stdout.contains("not running"));
}

#[test]
fn processes_that_do_not_become_ready() {
    let port = free_port();
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let space = TestSpace::with_targets(&format!(
        r#"
        "dies": Process(command: ["sh", "-c", "echo oops; exit 7"], detach: true, ready: Line("never")),
        "late": Process(command: ["sh", "-c", "trap 'echo asked; exit 0' TERM; echo here; while :; do sleep 0.1; done"], ready: Line("never"), ready_timeout_s: 1, detach: true),
        "done": Process(command: ["true"], ready: Command(["false"]), detach: true),
        "taken": Process(command: ["sleep", "100"], ready: Port({port}), detach: true),
        "none": Process(command: ["./absent"], detach: true),
        "line": Process(command: ["sh", "-c", "echo before; echo is listening; sleep 1000"], ready: Line("listening"), detach: true),
        "command": Process(command: ["sh", "-c", "sleep 0.3; touch made; sleep 1000"], ready: Command(["test", "-e", "made"]), detach: true),
        "#
    ));
    space.run(&["dies"]).fails(1, &["dies | oops", "ended with exit status 7"]);
    space.run(&["late"]).fails(1, &["late | here", "late | asked", "it was not ready within 1 s"]);
    space.run(&["done"]).fails(1, &["it ended with 0 before it was ready"]);
    let own = std::process::id();
    space
        .run(&["taken"])
        .fails(1, &[&format!("port {port} is taken: "), &format!("(process {own}) listens there"), "stop it"]);
    space.run(&["none"]).fails(3, &["`./absent` was not found"]);
    drop(taken);
    let run = space.ok(&["line", "command"]);
    assert!(
        run.stderr.contains("line: ready after 0.0 s") || run.stderr.contains("line: ready after 0.1 s"),
        "{}",
        run.stderr
    );
    assert!(space.exists("made"));
    // They end with their reader.
    let piped = "timeout 20 \"$0\" \"$@\" | head -1; exit ${PIPESTATUS[0]}";
    let run = Run::of(space.under("bash", &["-c", piped], &["logs", "-f", "line", "command"]).output().unwrap());
    assert!(run.code == 0 && run.stdout.lines().count() == 1 && run.stderr.is_empty(), "{} {}", run.code, run.stderr);
    // Several logs have their names before them.
    let logs = space.ok(&["logs", "line", "command", "dies"]).stdout;
    assert!(logs.contains("line    | is listening\n") && logs.contains("dies    | oops\n"), "{logs}");
    let states = space.ok(&["status"]).stdout;
    for line in ["dies     ended: exit status 7", "late     ended: it was not ready within 1 s", "line     ready"] {
        assert!(states.contains(line), "{line}\n{states}");
    }
    space.ok(&["stop"]);
}

/// The whole group ends: what ignores SIGTERM after its time, and what the program has started.
#[test]
fn the_whole_group_ends() {
    let space = TestSpace::with_targets(
        r#""stubborn": Process(command: ["sh", "-c", "trap '' TERM; sleep 1234 & echo $! > child; while :; do sleep 0.1; done"], detach: true, grace_s: 1)"#,
    );
    space.ok(&["stubborn"]);
    let program = pid(&space, "stubborn", "program");
    let child: u64 = space.read("child").trim().parse().unwrap();
    assert!(is_alive(program) && is_alive(child));
    let said = space.ok(&["stop"]).stderr;
    assert!(said.contains(&format!("process {program}, killed: it did not end within its time")), "{said}");
    assert!(!is_alive(program) && !is_alive(child));
}

/// In the foreground it lives as long as Rondel, and others see it.
#[test]
fn in_the_foreground() {
    let port = free_port();
    let space = server(port, "");
    space.replace("build.ron", ", detach: true", "");
    let rondel = space.start(&["web"]);
    wait_for("the server", || get(port, "/index.html").is_some());
    wait_for("its record", || status(&space)["parts"][0]["state"] == "ready");
    let program = pid(&space, "web", "program");
    space.run(&["web"]).fails(3, &["`web` runs in the foreground of another Rondel", "stop web"]);
    get(port, "/missing");
    wait_for("the line", || space.ok(&["logs", "web"]).stdout.contains("/missing"));
    signal("-INT", u64::from(rondel.id()));
    let run = Run::of(rondel.wait_with_output().unwrap());
    run.fails(130, &["web: ready after ", "web | "]);
    assert!(!is_alive(program) && !space.exists(".rondel/processes.1/web.json"));
    // `stop` is Ctrl-C from elsewhere.
    let rondel = space.start(&["web"]);
    wait_for("its record", || {
        space.exists(".rondel/processes.1/web.json") && status(&space)["parts"][0]["state"] == "ready"
    });
    space.ok(&["stop", "web"]);
    assert_eq!(rondel.wait_with_output().unwrap().status.code(), Some(130));
    assert!(get(port, "/index.html").is_none());
}

/// A secret is in the process and nowhere else: not in the log, the record, or the arguments of the supervisor.
#[test]
fn secrets_of_processes() {
    let mut space = TestSpace::with_targets(
        r#""job": Process(command: ["sh", "-c", "echo key $KEY; test \"$KEY\" = c4n4ry-0f-pr0c355 && echo known; sleep 1000"],
            env: {"KEY": Secret("KEY")}, ready: Line("known"), detach: true)"#,
    );
    let canary = "c4n4ry-0f-pr0c355";
    space.replace("build.ron", canary, "'c4n4ry'-0f-pr0c355");
    space.set("KEY", canary);
    let run = space.ok(&["-v", "job"]);
    assert!(run.stderr.contains("job | key ***") && !run.stderr.contains(canary), "{}", run.stderr);
    let supervisor = pid(&space, "job", "supervisor");
    for file in ["cmdline", "environ"] {
        let bytes = std::fs::read(format!("/proc/{supervisor}/{file}")).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(canary), "{file}");
    }
    let found = Command::new("grep").args(["-r", "-a", "-l", canary]).arg(space.root()).output().unwrap();
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    // What it was started from is not known, so it starts anew.
    assert!(space.ran(&["job"])["job"].contains("a secret"));
    space.ok(&["stop"]);
    assert!(!is_alive(supervisor));
}

#[test]
fn words_that_start_nothing() {
    let space = TestSpace::with_targets(r#""a": Shell("true")"#);
    for verb in ["status", "logs", "stop"] {
        space.run(&[verb]).fails(2, &["no target of build.ron starts something that goes on", "`Process`"]);
        space.run(&[verb, "a"]).fails(2, &["`a` starts nothing that goes on"]);
    }
    space.run(&["restart", "a"]).fails(2, &["`a` starts nothing that goes on"]);
}

/// What a file of variables says is hidden if it may be a secret, and is no reason to miss a sign of readiness.
#[test]
fn values_of_files_in_what_is_printed() {
    let space = TestSpace::with_targets(
        r#""serve": Process(command: ["sh", "-c", "echo 10 at :$PORT, $DEBUG, $KEY; exec sleep 1000"], env_file: [".env"], ready: Line("at :8080"), ready_timeout_s: 5, detach: true),
        "secret": Process(command: ["sh", "-c", "echo the key is $KEY; exec sleep 1000"], env_file: [".env"], ready: Line("key is c4n4ry-0f"), ready_timeout_s: 5, detach: true)"#,
    );
    space.write(".env", "PORT=8080\nDEBUG=true\nONE=1\nKEY=c4n4ry-0f-files\n");
    space.ok(&["serve", "secret"]);
    assert_eq!(space.ok(&["logs", "serve"]).stdout, "10 at :8080, true, ***\n");
    assert_eq!(space.ok(&["logs", "secret"]).stdout, "the key is ***\n");
    space.ok(&["stop"]);
}

/// Who needs a process that another Rondel is starting waits for it.
#[test]
fn two_starts_at_once() {
    let space = TestSpace::with_targets(
        r#""slow": Process(command: ["sh", "-c", "echo here >> starts; sleep 1; echo is up; exec sleep 1000"], inputs: ["build.ron"], ready: Line("is up"), detach: true),
        "test": Shell("echo tested", after: ["slow"])"#,
    );
    let first = space.start(&["test"]);
    wait_for("the start", || space.exists("starts"));
    let second = space.ok(&["test"]);
    assert_eq!(first.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(space.read("starts"), "here\n", "{}", second.stderr);
    assert!(second.stderr.contains("slow: waiting for another start of it"), "{}", second.stderr);
    space.ok(&["stop"]);
}

/// A supervisor does not bring back what somebody has moved away.
#[test]
fn a_moved_workspace_stays_away() {
    let space = TestSpace::with_targets(r#""a": Process(command: ["sleep", "1000"], detach: true)"#);
    space.ok(&["a"]);
    let (program, supervisor) = (pid(&space, "a", "program"), pid(&space, "a", "supervisor"));
    std::fs::rename(space.root().join(".rondel"), space.root().join("moved")).unwrap();
    signal("-TERM", supervisor);
    wait_for("its end", || !is_alive(supervisor));
    assert!(!is_alive(program) && !space.exists(".rondel"));
    space.remove("moved");
}

pub fn ended(rondel: std::process::Child) -> Run {
    signal("-INT", u64::from(rondel.id()));
    Run::of(rondel.wait_with_output().unwrap())
}

/// The end of a watch stops what the watch has started. `restart` beside it stops nothing.
#[test]
fn a_watch_stops_its_own_only() {
    let port = free_port();
    let space = server(port, "");
    space.replace("build.ron", ", detach: true", "");
    let is_ready = || space.exists(".rondel/processes.1/web.json") && status(&space)["parts"][0]["state"] == "ready";
    let foreground = space.start(&["web"]);
    wait_for("the server", is_ready);
    let program = pid(&space, "web", "program");
    let second = space.start(&["watch", "web"]);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(ended(second).stderr.contains("runs in the foreground of another Rondel"));
    assert!(is_alive(program) && is_ready());
    ended(foreground);
    let watch = space.start(&["watch", "web"]);
    wait_for("the server", is_ready);
    let program = pid(&space, "web", "program");
    let second = space.start(&["watch", "web"]);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    ended(second);
    assert!(is_alive(program) && is_ready());
    let holder = watch.id();
    space.run(&["restart", "web"]).fails(3, &[&format!("a watch (process {holder}) holds `web`")]);
    assert!(is_alive(program) && is_ready());
    assert!(ended(watch).stderr.contains(&format!("Stopped web: process {program}")));
    assert!(!is_alive(program));
}

/// What runs of a target that was renamed is known, and ends.
#[test]
fn a_target_is_renamed_while_it_runs() {
    let port = free_port();
    let space = server(port, "");
    space.ok(&["web"]);
    let program = pid(&space, "web", "program");
    space.replace("build.ron", "\"web\": ", "\"site\": ");
    space.replace("build.ron", "[\"web\"]", "[\"site\"]");
    let said = space.ok(&["status"]).stdout;
    assert!(said.contains(&format!("process {program}, of a target that build.ron no longer has")), "{said}");
    assert!(space.ok(&["logs", "web"]).stdout.contains("/index.html"));
    space.run(&["restart", "web"]).fails(2, &["there is no target `web`"]);
    assert!(is_alive(program));
    let said = space.ok(&["stop", "web"]).stderr;
    assert!(said.contains(&format!("Stopped web: process {program}, of a target")) && !is_alive(program), "{said}");
    // Below a watch it ends at once.
    space.replace("build.ron", ", detach: true", "");
    let watch = space.start(&["watch", "all"]);
    wait_for("the server", || space.exists(".rondel/processes.1/site.json") && get(port, "/index.html").is_some());
    let first = pid(&space, "site", "program");
    std::thread::sleep(std::time::Duration::from_millis(500));
    let text = space.read("build.ron").replace("\"site\": ", "\"home\": ").replace("[\"site\"]", "[\"home\"]");
    space.write("build.ron", &text);
    wait_for("the other", || space.exists(".rondel/processes.1/home.json") && get(port, "/index.html").is_some());
    assert!(!is_alive(first));
    let second = pid(&space, "home", "program");
    ended(watch);
    assert!(!is_alive(second));
}

/// A process below a watch that ends by itself is told of, once.
#[test]
fn a_watch_tells_of_an_end() {
    let space = TestSpace::with_targets(
        r#""a": Process(command: ["sh", "-c", "echo up; while test ! -e gone; do sleep 0.1; done; exit 7"], inputs: ["build.ron"], ready: Line("up"))"#,
    );
    let watch = space.start(&["watch", "a"]);
    wait_for("it", || space.exists(".rondel/processes.1/a.json") && record(&space, "a")["phase"] == "ready");
    // The watch looks once more after its first build, and what has ended until then is started again.
    std::thread::sleep(std::time::Duration::from_millis(600));
    space.write("gone", "");
    wait_for("its end", || record(&space, "a")["phase"] == "ended");
    std::thread::sleep(std::time::Duration::from_millis(600));
    let said = ended(watch).stderr;
    let log = space.root().join(".rondel/processes.1/a.log");
    let line = format!("warning: `a` ended by itself: exit status 7; its log is {}\n", log.display());
    assert_eq!(said.matches(&line).count(), 1, "{said}");
}

/// What a watch leaves running has an address that the watch held. A build holds it again, and so does the next watch.
#[test]
fn the_address_of_what_a_watch_has_left() {
    let (port, own) = (free_port(), free_port());
    let space = server(own, &format!(", proxy: \"127.0.0.1:{port}\""));
    let answers = || get(port, "/index.html").is_some_and(|answer| answer.ends_with("hello\n"));
    let is_at = |port: u16| {
        let status = space.ok(&["status", "web"]).stdout;
        assert!(status.contains(&format!("127.0.0.1:{port}")), "{port}: {status}");
    };
    let watched = |edit: &dyn Fn()| {
        let watch = space.start(&["watch", "web"]);
        wait_for("the proxy", answers);
        edit();
        assert_eq!(ended(watch).code, 130);
    };
    watched(&|| is_at(port));
    assert!(is_alive(pid(&space, "web", "program")) && get(port, "/").is_none());
    is_at(own);
    assert_eq!(space.ran(&["web"])["web"], "the address of its proxy is not held");
    assert!(answers() && space.ran(&["web"]).is_empty());
    is_at(port);
    // A supervisor that holds it itself gives way to a watch, once there is something to do.
    let former = pid(&space, "web", "program");
    watched(&|| {
        space.write("site/other.html", "");
        let record = space.root().join(".rondel/processes.1/web.json");
        // There is none for a moment.
        let is_next =
            || std::fs::read_to_string(&record).is_ok_and(|text| !text.contains(&format!("\"pid\":{former},")));
        wait_for("the next one", || is_next() && answers());
    });
    space.ok(&["stop"]);
}

/// A program whose first thread has ended runs, and holds its port, until the last one does.
#[test]
#[cfg_attr(not(has_python3), ignore = "no python3")]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
fn a_program_without_its_first_thread() {
    let port = free_port();
    let space = TestSpace::with_targets(&format!(
        r#""a": Process(command: ["python3", "server.py"], inputs: ["server.py"], ready: Port({port}), detach: true)"#
    ));
    space.write(
        "server.py",
        &format!(
            "import ctypes, socketserver, threading\n\
             server = socketserver.TCPServer(('127.0.0.1', {port}), socketserver.BaseRequestHandler)\n\
             threading.Thread(target=server.serve_forever).start()\n\
             ctypes.CDLL(None).syscall(60, 0)\n"
        ),
    );
    space.ok(&["a"]);
    let program = pid(&space, "a", "program");
    assert!(!is_alive(program), "its first thread goes on: this tests nothing");
    let status = space.ok(&["status"]).stdout;
    assert!(status.contains("ready") && status.contains(&program.to_string()), "{status}");
    assert!(space.ran(&["a"]).is_empty());
    space.ok(&["stop"]);
    assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
}
