//! The Go toolchain: fetched from a proxy or a download page, gone on with, pinned, checked, shared.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use crate::server::Server;
use crate::space::{TestSpace, goproxy, make_executable, repository, shared_cache};

const ZIP: &str = "/golang.org/toolchain/@v/v0.0.1-go1.22.12.linux-amd64.zip";
const LIST: &str = "/golang.org/toolchain/@v/list";
const ARCHIVE: &str = "/go1.22.12.linux-amd64.tar.gz";

/// The module zip of the toolchain as the proxy has it, and the archive of the download page as it would be:
/// the same files below `go/`.
fn forms() -> (PathBuf, PathBuf) {
    static READY: Mutex<()> = Mutex::new(());
    let _guard = READY.lock().unwrap();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("toolchain-forms");
    fs::create_dir_all(&directory).unwrap();
    let (zip, archive) = (directory.join("go.zip"), directory.join("whole.tar.gz"));
    if !zip.exists() {
        let proxy = goproxy().split([',', '|']).next().unwrap().trim_end_matches('/').to_owned();
        let part = directory.join("part.zip");
        let status = Command::new("curl").args(["-sfL", "-o"]).arg(&part).arg(format!("{proxy}{ZIP}")).status();
        assert!(status.unwrap().success(), "the toolchain's zip could not be fetched");
        fs::rename(part, &zip).unwrap();
    }
    if !archive.exists() {
        let sdk = shared_cache().join("go/toolchains/go1.22.12.linux-amd64/sdk");
        let part = directory.join("part.tar.gz");
        let status = Command::new("tar")
            .args(["-I", "gzip -1", "--transform", "s,^\\./,go/,", "-cf"])
            .arg(&part)
            .arg("-C")
            .arg(sdk)
            .arg(".")
            .status();
        assert!(status.unwrap().success());
        fs::rename(part, &archive).unwrap();
    }
    (zip, archive)
}

/// A workspace with an empty cache that runs `go version`, and a server that has both forms.
fn space() -> (TestSpace, Server) {
    let (zip, archive) = forms();
    let server = Server::start(&[(ZIP, &zip), (ARCHIVE, &archive)]);
    let mut space = TestSpace::empty();
    space.write(
        "build.ron",
        "(format: 1, project: \"t\", go: Version(\"1.22.12\"), targets: {\"v\": Exec(command: [\"go\", \"version\"])})",
    );
    space.write("go.mod", "module example.com/x\n\ngo 1.22\n");
    space.write("build.lock", &fs::read_to_string(repository().join("build.lock")).unwrap());
    space.set("GOPROXY", &server.url).set("RONDEL_GO_DOWNLOAD_PAGE", &server.url);
    (space, server)
}

/// No proxy is known: none in the environment, and no `go` on PATH that could say one.
fn without_proxy(space: &mut TestSpace) {
    space.unset("GOPROXY").set("PATH", "/nonexistent");
}

fn litter(space: &TestSpace) -> Vec<String> {
    let names = fs::read_dir(space.cache().join("go/toolchains")).unwrap().flatten();
    names.map(|entry| entry.file_name().into_string().unwrap()).filter(|name| name.starts_with('.')).collect()
}

#[test]
fn a_connection_that_breaks_is_taken_up_again() {
    let (space, server) = space();
    server.behave(|manners| manners.breaks_off = Some((20_000_000, 2)));
    space.ok(&["v"]);
    assert_eq!(server.requests(), [ZIP.to_owned(), format!("{ZIP} 20000000"), format!("{ZIP} 40000000")]);
    assert!(litter(&space).is_empty(), "{:?}", litter(&space));
}

#[test]
fn an_interrupted_download_goes_on_in_the_next_run() {
    let (space, server) = space();
    server.behave(|manners| (manners.breaks_off, manners.then_down) = (Some((30_000_000, 1)), true));
    space.run(&["v"]).fails(3, &["could not be fetched", "503", "hint: check the network"]);
    assert_eq!(litter(&space).len(), 2, "the beginning and where it is from: {:?}", litter(&space));
    server.behave(|manners| manners.is_down = false);
    space.ok(&["v"]);
    assert_eq!(server.requests().last().unwrap(), &format!("{ZIP} 30000000"));
    assert!(litter(&space).is_empty());
}

#[test]
fn what_changed_meanwhile_is_fetched_whole() {
    // The server says honestly that it has something else by now, or lies and sends the rest of it: found by
    // the hash, and fetched once more.
    for lies in [false, true] {
        let (space, server) = space();
        let (zip, _) = forms();
        let cache = space.cache().join("go/toolchains");
        fs::create_dir_all(&cache).unwrap();
        fs::write(cache.join(".partial-1.22.12-linux-amd64-module"), vec![7; 1_000_000]).unwrap();
        let from = format!("{}{ZIP}\n\"one\"\n", server.url);
        fs::write(cache.join(".partial-1.22.12-linux-amd64-module.from"), from).unwrap();
        server.behave(|manners| {
            (manners.lies, manners.tag) = (lies, if lies { "\"one\"" } else { "\"two\"" }.to_owned())
        });
        space.ok(&["v"]);
        let requests = server.requests();
        assert_eq!(requests[0], format!("{ZIP} 1000000"), "{lies}");
        assert_eq!(requests.len(), if lies { 2 } else { 1 }, "{requests:?}");
        assert!(fs::metadata(zip).unwrap().len() > 1_000_000);
    }
}

#[test]
fn two_processes_fetch_once() {
    let (space, server) = space();
    let runs: Vec<_> = (0..3).map(|_| space.start(&["v"])).collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stderr).contains("go1.22.12"));
    }
    assert_eq!(server.requests(), [ZIP]);
    assert!(litter(&space).is_empty());
}

#[test]
fn the_download_page_serves_where_no_proxy_is_known() {
    let (mut space, server) = space();
    without_proxy(&mut space);
    space.ok(&["v"]);
    assert_eq!(server.requests(), [ARCHIVE]);
    // The same identity as the module's, which build.lock pins; and with another hash it is refused.
    let (mut space, _server) = self::space();
    without_proxy(&mut space);
    space.replace("build.lock", "identity:", &format!("archive: \"{}\",\n                identity:", "0".repeat(64)));
    space
        .run(&["v"])
        .fails(3, &["is not what build.lock pins", "pinned: sha256 0000", "found:  sha256 ", "nothing of it was run"]);
    assert!(!space.cache().join("go/toolchains/go1.22.12.linux-amd64").exists());
}

#[test]
fn lock_pins_both_forms_for_several_hosts_and_moves_them() {
    let (mut space, server) = space();
    let known = space.read("build.lock");
    // What is pinned stays, and the form that is missing comes to it.
    space.ok(&["lock"]);
    assert_eq!(server.requests().len(), 2);
    let added = space.read("build.lock");
    space.remove("build.lock");
    let run = space.ok(&["lock"]);
    assert!(run.stderr.contains("Pinned Go 1.22.12 for linux/amd64 (module and archive)"), "{}", run.stderr);
    let both = space.read("build.lock");
    for line in known.lines().filter(|line| line.contains("h1:") || line.contains("identity:")) {
        assert!(both.contains(line), "{line}\n{both}");
    }
    assert!(both.contains("archive: \""), "{both}");
    assert_eq!(added, both);
    assert!(!space.cache().join("go/toolchains/go1.22.12.linux-amd64").exists(), "nothing is installed");
    assert!(space.ok(&["lock"]).stderr.contains("Unchanged"), "nothing to look up");
    assert_eq!(space.read("build.lock"), both);
    // Later patch releases are asked for when something is pinned.
    assert_eq!(server.requests().len(), 5);
    assert_eq!(server.requests()[2], LIST);

    // Another host, whose archive alone is there.
    let (_, archive) = forms();
    server.serve("/go1.22.12.linux-arm64.tar.gz", &archive);
    let run = space.ok(&["lock", "--platform", "linux/arm64"]);
    assert!(run.stderr.contains("Pinned Go 1.22.12 for linux/arm64 (archive)"), "{}", run.stderr);
    assert!(
        run.stderr.contains("the module form is not pinned: there is no Go 1.22.12 for linux/arm64"),
        "{}",
        run.stderr
    );
    let with_other = space.read("build.lock");
    assert!(with_other.contains("\"linux/arm64\": ("));
    space.ok(&["lock", "--platform", "linux/arm64"]);
    assert_eq!(space.read("build.lock"), with_other, "a form that is nowhere is no reason to write");

    // A pin that stands is not moved silently, and with --update it is shown.
    let identity = both.lines().find(|line| line.contains("identity")).unwrap().split('"').nth(1).unwrap().to_owned();
    let wrong = both
        .replace(&identity, &format!("{}/1", "0".repeat(64)))
        .replace("                archive", "                //");
    space.write("build.lock", &wrong);
    space
        .run(&["lock"])
        .fails(3, &["is not what build.lock pins", "pinned: 0000", "hint: to move the pin", "lock --update go"]);
    assert_eq!(space.read("build.lock"), wrong);
    let run = space.ok(&["lock", "--update", "go"]);
    assert!(run.stderr.contains("Moved Go 1.22.12 to 1.22.12 for linux/amd64"), "{}", run.stderr);
    assert!(run.stderr.contains("old: 0000") && run.stderr.contains(&format!("new: {identity}")), "{}", run.stderr);
    assert_eq!(space.read("build.lock"), both);
    space.set("GOPROXY", "off").set("RONDEL_GO_DOWNLOAD_PAGE", "http://127.0.0.1:9");
    space.run(&["lock", "--update", "go"]).fails(3, &["Go 1.22.12 could not be fetched"]);
    assert_eq!(space.read("build.lock"), both);
}

/// Writes the list of a proxy.
fn list(space: &TestSpace, server: &Server, versions: &[&str]) {
    let lines =
        versions.iter().map(|version| format!("v0.0.1-go{version}.linux-amd64\nv0.0.1-go{version}.linux-arm64\n"));
    space.write("releases", &lines.collect::<String>());
    server.serve(LIST, &space.root().join("releases"));
}

#[test]
fn the_newest_patch_release_of_a_line_is_pinned_and_stays() {
    let (mut space, server) = space();
    space.remove("build.lock");
    space.replace("build.ron", "Version(\"1.22.12\")", "FromGoMod");
    list(&space, &server, &["1.21.13", "1.22.0", "1.22.2", "1.22.10", "1.22.12", "1.22.13rc1", "1.23.4"]);
    let run = space.ok(&["lock"]);
    let expected = "Newest Go 1.22.12: go.mod says 1.22.0, which has 3 later patch releases";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    let lock = space.read("build.lock");
    assert!(lock.contains("\"1.22.12\": {"), "{lock}");
    assert!(space.ok(&["v"]).stderr.contains("go1.22.12"));

    // A later release moves nothing by itself.
    list(&space, &server, &["1.22.0", "1.22.12", "1.22.13"]);
    let before = server.requests().len();
    assert!(space.ok(&["lock"]).stderr.contains("Unchanged"));
    assert_eq!(server.requests().len(), before, "what is pinned is not asked for");
    let run = space.run(&["lock", "--update", "go"]);
    run.fails(3, &["there is no Go 1.22.13 for linux/amd64"]);
    assert!(run.stderr.contains("Newest Go 1.22.13"), "{}", run.stderr);
    assert_eq!(space.read("build.lock"), lock);

    // What is unpacked is not fetched to be pinned, and a list that can't be had is no failure.
    space.remove("build.lock");
    list(&space, &server, &["1.22.12"]);
    let before = server.requests().len();
    space.ok(&["lock"]);
    assert_eq!(server.requests()[before..], [LIST.to_owned()]);
    space.write("go.mod", "module example.com/x\n\ngo 1.22.12\n");
    space.remove("build.lock");
    space.set("GOPROXY", "off");
    let run = space.ok(&["lock"]);
    assert!(run.stderr.contains("later patch releases are not looked for"), "{}", run.stderr);
    assert!(space.read("build.lock").contains("\"1.22.12\": {"));

    // A line that build.lock pins nothing of.
    space.write("go.mod", "module example.com/x\n\ngo 1.24\n");
    space.run(&["v"]).fails(2, &["go.mod asks for Go 1.24.0, and build.lock pins Go 1.22.12", "run `", "lock`"]);
}

/// The Go of each module that a target names is pinned; one line of two modules once.
#[test]
fn the_go_of_every_module_is_pinned() {
    let (space, server) = space();
    space.remove("build.lock");
    space.remove("go.mod");
    space.replace("build.ron", "Version(\"1.22.12\")", "FromGoMod");
    space.replace("build.ron", "Exec(", "Exec(module: \"late\", ");
    let other = "targets: {\"early\": GoVet(module: \"./early/\", packages: [\"./...\"]), ";
    space.replace("build.ron", "targets: {", other);
    space.write("early/go.mod", "module example.com/early\n\ngo 1.22.1\n");
    space.write("late/go.mod", "module example.com/late\n\ngo 1.22.10\n");
    list(&space, &server, &["1.22.1", "1.22.10", "1.22.12", "1.23.4"]);
    let run = space.ok(&["lock"]);
    assert_eq!(run.stderr.matches("Pinned Go").count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("Newest Go 1.22.12: late/go.mod says 1.22.10"), "{}", run.stderr);
    assert!(space.ok(&["v"]).stderr.contains("go1.22.12"));
    space.write("late/go.mod", "module example.com/late\n\ngo 1.23\n");
    space.run(&["v"]).fails(2, &["late/go.mod asks for Go 1.23.0, and build.lock pins Go 1.22.12"]);
    space.run(&["lock"]).fails(3, &["there is no Go 1.23.4 for linux/amd64"]);
}

#[test]
fn the_download_page_lists_releases_too() {
    let (mut space, server) = space();
    space.remove("build.lock");
    space.replace("build.ron", "Version(\"1.22.12\")", "FromGoMod");
    space.write(
        "releases",
        "[{\"version\": \"go1.22.12\", \"stable\": true}, {\"version\": \"go1.22.9\", \"files\": []}]",
    );
    server.serve("/?mode=json&include=all", &space.root().join("releases"));
    without_proxy(&mut space);
    let run = space.ok(&["lock"]);
    assert!(run.stderr.contains("Newest Go 1.22.12: go.mod says 1.22.0, which has 2 later"), "{}", run.stderr);
}

#[test]
fn files_of_other_tools_name_a_version_and_old_ones_are_refused() {
    let (space, server) = space();
    space.replace("build.ron", "Version(\"1.22.12\")", "FromGoMod");
    for (file, text) in [
        (".go-version", "1.22.12\n"),
        (".go-version", "# pinned\ngo1.22.12"),
        (".go-version", "1.22"),
        (".tool-versions", "nodejs 20.1.0\ngolang 1.22.12 1.21.0\n"),
    ] {
        space.write(file, text);
        let run = space.ok(&["doctor"]);
        assert!(run.stdout.contains("Go 1.22.12 for"), "{file} {text}\n{}", run.stdout);
        space.remove(file);
    }
    for (file, text, words) in [
        (".go-version", "1.21.3", "go.mod asks for Go 1.22, and .go-version says Go 1.21.3"),
        (".go-version", "1.22.11", ".go-version asks for Go 1.22.11, and build.lock pins Go 1.22.12"),
        (".go-version", "latest", "`.go-version` names the Go `latest`, which is no release"),
        (
            ".tool-versions",
            "golang 1.19.1",
            ".tool-versions asks for Go 1.19.1, and Rondel builds with Go 1.20 and later",
        ),
        ("go.mod", "module example.com/x\n\ngo 1.16\n", "go.mod asks for Go 1.16, and Rondel builds with Go 1.20 and"),
    ] {
        space.write(file, text);
        space.run(&["v"]).fails(2, &[words, "hint: "]);
        if file != "go.mod" {
            space.remove(file);
        }
    }
    assert!(server.requests().is_empty(), "refused before anything is fetched");
}

#[test]
fn a_proxy_that_wants_a_password() {
    let (mut space, server) = space();
    // me:secret-word
    server.behave(|manners| manners.wants = Some("Basic bWU6c2VjcmV0LXdvcmQ=".to_owned()));
    let with = |user: &str| server.url.replace("http://", &format!("http://{user}@"));
    space.set("GOPROXY", &with("me:wrong-word"));
    let run = space.run(&["v"]);
    run.fails(3, &["the server answered 401"]);
    assert!(!run.stderr.contains("wrong-word"), "{}", run.stderr);
    space.set("GOPROXY", &with("me:secret-word"));
    let run = space.ok(&["v", "--verbose"]);
    assert!(!run.stderr.contains("secret-word"), "{}", run.stderr);
}

#[test]
fn a_toolchain_that_was_edited_is_refused_with_locked() {
    let (space, _server) = space();
    space.write("main.go", "package main\n\nfunc main() {}\n");
    space.replace("build.ron", "targets: {", "targets: {\"b\": GoBuild(packages: [\".\"]), ");
    space.ok(&["b", "--locked"]);
    let sdk = space.cache().join("go/toolchains/go1.22.12.linux-amd64/sdk");
    space.append("main.go", "// more\n");
    for name in ["src/fmt/print.go", "go.env", "VERSION", "pkg/include/textflag.h", "lib/time/zoneinfo.zip"] {
        let file = sdk.join(name);
        let sound = fs::read(&file).unwrap();
        fs::write(&file, [&sound, b"\n".as_slice()].concat()).unwrap();
        space.run(&["b", "--locked"]).fails(3, &["was changed after it was unpacked", "hint: nothing of it was run"]);
        fs::write(&file, sound).unwrap();
    }
    fs::write(sdk.join("src/fmt/more.go"), "package fmt\n").unwrap();
    space.run(&["b", "--locked"]).fails(3, &["was changed after it was unpacked"]);
}

#[test]
fn the_installed_go_is_checked_against_go_mod_and_not_for_locked() {
    let mut space = TestSpace::with_targets(r#""b": GoBuild(packages: ["."])"#);
    space.write("go.mod", "module example.com/x\n\ngo 1.22\n");
    space.write("main.go", "package main\n\nfunc main() {}\n");
    space.run(&["b", "--locked"]).fails(3, &["`go: System` is whatever is installed", "hint: write `go: Version"]);
    space.replace("go.mod", "go 1.22", "go 1.99");
    let old = space.beside("old/bin");
    fs::create_dir_all(&old).unwrap();
    fs::write(space.beside("old/VERSION"), "go1.20.1\ntime 2023-01-01\n").unwrap();
    fs::write(old.join("go"), "#!/bin/sh\n").unwrap();
    make_executable(&old.join("go"));
    space.set("PATH", &format!("{}:/usr/bin:/bin", old.display()));
    space.run(&["b"]).fails(3, &["go.mod asks for Go 1.99, and the Go on PATH is 1.20.1"]);
}

/// `python3` serving a directory over TLS; ended with the test.
struct TlsServer {
    child: Child,
    url: String,
}

impl TlsServer {
    fn start(directory: &Path) -> TlsServer {
        const SCRIPT: &str = "import http.server as h, ssl\ns = h.ThreadingHTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler)\nc = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\nc.load_cert_chain('leaf.pem', 'leaf.key')\ns.socket = c.wrap_socket(s.socket, server_side=True)\nprint(s.server_port, flush=True)\ns.serve_forever()";
        let mut command = Command::new("python3");
        command.args(["-c", SCRIPT]).current_dir(directory).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        TlsServer { child, url: format!("https://127.0.0.1:{}", port.trim()) }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A proxy whose certificate only the user's own authority vouches for.
#[test]
#[cfg_attr(not(has_openssl), ignore = "no openssl with python3")]
fn a_company_proxy_with_a_certificate_of_its_own() {
    let (mut space, _) = space();
    let site = space.beside("site");
    let module = site.join(ZIP.trim_start_matches('/'));
    fs::create_dir_all(module.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(forms().0, module).unwrap();
    for arguments in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=company",
        "req -x509 -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.pem -days 2 -subj /CN=127.0.0.1 -CA ca.pem -CAkey ca.key -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE",
    ] {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(&site).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let server = TlsServer::start(&site);
    space.set("GOPROXY", &server.url);
    space.unset("SSL_CERT_FILE");
    space.run(&["v"]).fails(3, &["could not be fetched", "certificate"]);
    space.set("SSL_CERT_FILE", &site.join("ca.pem").display().to_string());
    space.ok(&["v"]);
}
