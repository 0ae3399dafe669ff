//! What a watch holds is its own: processes, their addresses and their ends, beside other Rondels and strangers.

use std::net::TcpListener;

use crate::docker::{free_port, get, try_get, wait_for};
use crate::processes::{ended, is_alive, pid, server, signal};
use crate::space::TestSpace;
use crate::watch::Watching;

fn held(more: &str) -> (TestSpace, u16, u16) {
    let (port, own) = (free_port(), free_port());
    let space = server(own, &format!(", proxy: \"127.0.0.1:{port}\"{more}"));
    (space, port, own)
}

/// Another Rondel stops nothing that a watch holds: it says who holds it.
#[test]
fn what_a_living_watch_holds_is_left_alone() {
    let (space, port, _) = held("");
    space.replace("build.ron", "detach: true, ", "");
    let watching = Watching::start(&space, &["web"]);
    let program = pid(&space, "web", "program");
    space.run(&["web"]).fails(3, &["a watch (process ", ") holds `web`"]);
    assert!(is_alive(program) && try_get(port, "/index.html").unwrap().ends_with("hello\n"));
    watching.ends();
    assert!(!is_alive(program));
}

/// A watch that is killed takes along what would have ended with it, and the next one begins with what is its own.
#[test]
fn what_ends_with_a_watch_ends_when_it_is_killed() {
    let (space, port, own) = held("");
    space.replace("build.ron", ", detach: true", "");
    let watch = space.start(&["watch", "web"]);
    wait_for("the proxy", || get(port, "/index.html").is_some());
    let program = pid(&space, "web", "program");
    signal("-KILL", watch.id().into());
    // Whether the next one comes before that or after.
    let watching = Watching::start(&space, &["web"]);
    assert_ne!(pid(&space, "web", "program"), program);
    wait_for("its end", || !is_alive(program));
    std::thread::sleep(std::time::Duration::from_millis(1200));
    assert!(try_get(port, "/index.html").unwrap().ends_with("hello\n"));
    assert!(!watching.said().contains("ended by itself"), "{}", watching.said());
    // Without a record nothing finds it but its supervisor.
    let program = pid(&space, "web", "program");
    std::fs::remove_dir_all(space.root().join(".rondel")).unwrap();
    watching.ends();
    wait_for("its end", || !is_alive(program));
    assert!(get(own, "/").is_none());
    drop(watch);
}

/// Somebody else's program at the address of what goes on is not taken for it.
#[test]
fn a_stranger_at_the_address() {
    let (space, port, _) = held("");
    let watching = Watching::start(&space, &["web"]);
    watching.ends();
    let stranger = TcpListener::bind(("127.0.0.1", port)).unwrap();
    space.run(&["web"]).fails(1, &[&format!("failed: port {port} is taken: ")]);
    drop(stranger);
    space.ok(&["web"]);
    assert!(get(port, "/index.html").is_some() && space.ran(&["web"]).is_empty());
    space.ok(&["stop"]);
}

#[test]
fn one_address_for_two() {
    let (space, port, own) = held("");
    let other = format!(
        "\"other\": Process(command: [\"sleep\", \"100\"], ready: Port({}), proxy: \"127.0.0.1:{port}\"), \"all\"",
        own
    );
    space.replace("build.ron", "\"all\"", &other);
    // build.ron may be mended: so it goes on to watch.
    let watch = space.start(&["watch", "web", "other"]);
    std::thread::sleep(std::time::Duration::from_secs(1));
    let said = ended(watch).stderr;
    assert!(said.contains("both have the proxy `127.0.0.1:") && said.contains("hint: watch one of them"), "{said}");
    // Either of them alone is fine, and so are questions.
    space.ok(&["plan", "web"]);
    space.ok(&["list"]);
}

/// A supervisor that holds the address waits for what is under way before it asks the program to end, which then has its whole time.
#[test]
fn a_stop_waits_for_requests_and_then_for_the_program() {
    let (port, own) = (free_port(), free_port());
    let space = TestSpace::with_targets(&format!(
        r#""a": Process(command: ["python3", "-u", "slow.py"], inputs: ["slow.py"], ready: Port({own}), detach: true, grace_s: 5,
            proxy: "127.0.0.1:{port}")"#
    ));
    space.write(
        "slow.py",
        &format!(
            "import os, signal, socketserver, threading, time\n\
             def end(*_):\n    threading.Timer(3.5, lambda: (print('a clean end'), os._exit(0))).start()\n\
             signal.signal(signal.SIGTERM, end)\n\
             class Slow(socketserver.BaseRequestHandler):\n    def handle(self):\n        self.request.recv(9999)\n        time.sleep(60)\n\
             class Server(socketserver.ThreadingTCPServer):\n    allow_reuse_address = True\n\
             Server(('127.0.0.1', {own}), Slow).serve_forever()\n"
        ),
    );
    space.ok(&["a"]);
    let mut request = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    std::io::Write::write_all(&mut request, b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let said = space.ok(&["stop"]).stdout;
    assert!(!said.contains("killed"), "{said}");
    assert!(space.read(".rondel/processes.1/a.log").contains("a clean end"));
}

/// A target with a name that looks like a file of another one's.
#[test]
fn names_that_look_like_files_of_others() {
    let process = "Process(command: [\"sleep\", \"100\"], detach: true)";
    let names = ["a", "a.start", "a.start.lock", "a.lock", "a.json", "a.log", "a.log.1"];
    let targets: Vec<String> = names.iter().map(|name| format!("\"{name}\": {process}")).collect();
    let space = TestSpace::with_targets(&targets.join(", "));
    for name in names.iter().rev() {
        space.ok(&[name]);
    }
    let status = space.ok(&["status"]).stdout;
    assert_eq!(status.matches(" ready ").count(), names.len(), "{status}");
    let run = space.ok(&["stop"]);
    assert_eq!((run.stdout + &run.stderr).matches("Stopped ").count(), names.len());
}

/// An address that comes to be in build.ron, or is another one there, is held from the next run on.
#[test]
fn another_address_for_what_runs() {
    let (port, other, own) = (free_port(), free_port(), free_port());
    let space = server(own, "");
    let answers = |port: u16| get(port, "/index.html").is_some_and(|answer| answer.ends_with("hello\n"));
    space.ok(&["web"]);
    space.replace("build.ron", "detach: true", &format!("detach: true, proxy: \"127.0.0.1:{port}\""));
    assert!(space.ran(&["web"]).contains_key("web") && answers(port) && space.ran(&["web"]).is_empty());
    space.replace("build.ron", &format!("127.0.0.1:{port}\""), &format!("127.0.0.1:{other}\""));
    assert!(space.ran(&["web"]).contains_key("web") && answers(other) && !answers(port));
    space.ok(&["stop"]);
}

/// With a build.ron that can't be read a watch still takes its processes along.
#[test]
fn a_watch_ends_its_processes_without_build_ron() {
    let (space, port, _) = held("");
    space.replace("build.ron", ", detach: true", "");
    let watching = Watching::start(&space, &["web"]);
    let program = pid(&space, "web", "program");
    space.append("build.ron", "wrong");
    watching.hears("error: ", 1);
    assert!(get(port, "/index.html").is_some());
    let watched = watching.ends();
    assert!(watched.contains("can't be read: processes end, containers go on"), "{watched}");
    wait_for("its end", || !is_alive(program));
}
