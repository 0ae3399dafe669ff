//! docs/from-make.md: the right sides of the page, put together into one build.ron, and each target of it run on the
//! sample service and what `tests/fixtures/from_make` adds to it. What is asked is the world (the database, the
//! registry, the service), not what Rondel prints.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::base_image::Registry;
use crate::docker::{daemon, docker, free_port, get, wait_for};
use crate::push::crane;
use crate::space::{Run, TestSpace, copy, repository};

/// The compose project, in place of the page's: so that nobody's own is ended.
const PROJECT: &str = "rondel-test-make";

fn page() -> String {
    fs::read_to_string(repository().join("docs/from-make.md")).unwrap()
}

/// The blocks of the page in one language, in their order.
fn blocks(page: &str, language: &str) -> String {
    let begin = format!("\n```{language}\n");
    page.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The sample with what a Makefile's targets need, the page's build.ron, and one commit with a tag.
fn sample() -> TestSpace {
    let mut space = TestSpace::empty().with_shared_go();
    copy(&repository().join("examples/council"), &space.root(), &|_| true);
    copy(&repository().join("tests/fixtures/from_make"), &space.root(), &|name| name != "node_modules");
    let file = blocks(&page(), "ron");
    assert_eq!(file.matches("\"council\",").count(), 2, "the project's name and that of the compose project");
    space.write("build.ron", &file.replace("\"council\",", &format!("\"{PROJECT}\",")));
    space.write("build.lock", &fs::read_to_string(repository().join("build.lock")).unwrap());
    let api = "internal/api/api.go";
    space.replace(
        api,
        "\"example.com/council/internal/store\"",
        "\"example.com/council/internal/store\"\n\t\"example.com/council/web\"",
    );
    let route = "router.Route(\"/api/v1\"";
    let files = "router.Handle(\"/app/*\", http.StripPrefix(\"/app/\", http.FileServer(http.FS(web.Files()))))\n\t";
    space.replace(api, route, &format!("{files}{route}"));
    space.write(".gitignore", "/dist/\n/.rondel/\n/web/dist/\n/web/node_modules/\n/coverage.*\n");
    git(&space, &["init", "--quiet"]);
    git(&space, &["add", "--all"]);
    git(&space, &["commit", "--quiet", "--message", "first"]);
    git(&space, &["tag", "v1.4.0"]);
    space.unset("DOCKER_HOST").set("PORT", &free_port().to_string()).set("DB_PORT", &free_port().to_string());
    space.set("IMAGE", "rondel-test-make/council");
    space
}

fn git(space: &TestSpace, arguments: &[&str]) {
    let settings = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgSign=false"];
    let mut command = Command::new("git");
    command.args(settings).args(arguments).current_dir(space.root()).env("GIT_CONFIG_GLOBAL", "/dev/null");
    assert!(command.status().unwrap().success(), "{arguments:?}");
}

/// A program that was built, run with some arguments.
fn output_of(path: &Path, arguments: &[&str]) -> String {
    let output = Command::new(path).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The targets that ran for `target`; not what Go and its tools are needed for.
fn ran(space: &TestSpace, target: &str) -> Vec<String> {
    let labels = space.ran(&[target]);
    let targets: BTreeSet<&str> = labels.keys().map(|label| label.split([' ', ':']).next().unwrap()).collect();
    targets.into_iter().filter(|name| !matches!(*name, "go" | "tool")).map(str::to_owned).collect()
}

/// The port of the space's service.
fn port(space: &TestSpace) -> u16 {
    space.variable("PORT").parse().unwrap()
}

fn interrupted(child: Child) -> Run {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let run = Run::of(child.wait_with_output().unwrap());
    run.fails(130, &[]);
    run
}

fn answers(port: u16, word: &str) -> bool {
    get(port, "/api/v1/health").is_some_and(|answer| answer.contains("200 OK") && answer.contains(word))
}

/// Every target of a Makefile on the left has one of its name on the right, but what Rondel has without a target.
#[test]
fn each_left_side_has_a_right_side() {
    let space = sample();
    let names: BTreeSet<String> = space.ok(&["list", "--format", "names"]).stdout.lines().map(str::to_owned).collect();
    let makefile = blocks(&page(), "make");
    let is_name = |name: &&str| !name.contains([' ', '\t', '$', '=', '@']) && !name.is_empty();
    let left: BTreeSet<&str> =
        makefile.lines().filter_map(|line| line.split_once(':').map(|(name, _)| name)).filter(is_name).collect();
    assert!(left.len() > 30, "{left:?}");
    for name in left.iter().map(|name| match *name {
        "web/node_modules" => "web-modules",
        "web/dist" => "web",
        name => name,
    }) {
        assert!(name == "help" || names.contains(name), "{name}");
    }
    let list = space.ok(&["list"]).stdout;
    for line in ["  build    ", "Builds the service, in dist/build/", "\ndatabase\n", "migrate-new name= "] {
        assert!(list.contains(line), "{line}\n{list}");
    }
    // The console's lines are those of targets with such parameters.
    for line in blocks(&page(), "console").lines() {
        let words: Vec<&str> =
            line.strip_prefix("$ cargo xtask ").unwrap().split(' ').filter(|word| *word != "--yes").collect();
        space.ok(&[&["plan"], words.as_slice()].concat());
    }
    assert_eq!(space.ok(&["-q", "version"]).stdout, "v1.4.0\n");
    assert_eq!(space.ok(&["-q", "version", "--set", "version=2.0"]).stdout, "2.0\n");
}

#[test]
fn go_is_built_installed_run_and_started_again() {
    let mut space = sample();
    let home = space.beside("home");
    space.ok(&["deps"]);
    assert_eq!(ran(&space, "install"), ["build", "install"]);
    let version = output_of(&home.join(".local/bin/council"), &["version"]);
    assert!(version.starts_with("council v1.4.0 ("), "{version}");
    assert_eq!(output_of(&space.root().join("dist/build/linux_amd64/council"), &["version"]), version);
    // A README is no input, and a source is.
    space.write("README.md", "edited\n");
    assert!(space.ran(&["build"]).is_empty());
    space.write(".env", "API_KEY=c4n4ry\n");
    let child = space.start(&["run"]);
    wait_for("the service", || answers(port(&space), "\"version\":\"v1.4.0\""));
    let agents = format!("http://127.0.0.1:{}/api/v1/agents", port(&space));
    let code = output_of(Path::new("curl"), &["-so", "/dev/null", "-w", "%{http_code}", "-d", "{}", &agents]);
    assert_eq!(code, "401", "the service knows the key of .env");
    interrupted(child);
    space.set("PORT", &free_port().to_string());
    let child = space.start(&["dev"]);
    // `go run` compiles what `build` has, but with other flags.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(240) && !answers(port(&space), "") {
        std::thread::sleep(Duration::from_millis(100));
    }
    wait_for("the service under reflex", || answers(port(&space), "\"status\":\"ok\""));
    space.replace("internal/api/health.go", "\"ok\"", "\"edited\"");
    wait_for("the edited service", || answers(port(&space), "\"status\":\"edited\""));
    interrupted(child);
    wait_for("the end of the service", || get(port(&space), "/").is_none());
    assert_eq!(ran(&space, "build"), ["build"]);
    let version = output_of(&space.root().join("dist/build/linux_amd64/council"), &["version"]);
    assert!(version.starts_with("council v1.4.0-dirty ("), "{version}");
    space.ok(&["clean"]);
    assert!(!space.exists("dist"));
    assert!(space.ran(&["build"]).is_empty() && space.exists("dist/build/linux_amd64/council"));
}

#[test]
#[cfg_attr(not(has_cc), ignore = "no C compiler named `cc`")]
fn go_is_tested() {
    let space = sample();
    let level = "example.com/council/internal/level";
    let run = space.ok(&["t"]);
    assert!(run.stderr.contains(level) && run.stderr.contains("example.com/council/internal/api"), "{}", run.stderr);
    assert!(space.ran(&["test"]).is_empty());
    space.append("internal/level/level.go", "\n// Words of two.\nvar Words2 = Words(\"a\", 2)\n");
    let run = space.ok(&["test"]);
    assert!(run.stderr.contains(level) && !run.stderr.contains("example.com/council/pkg/health"), "{}", run.stderr);
    // A test that is skipped when time is short fails otherwise.
    space.replace("internal/level/level_test.go", "!= \"abab\"", "!= \"other\"");
    space.ok(&["test-short"]);
    space.run(&["test"]).fails(1, &["TestWords"]);
    space.replace("internal/level/level_test.go", "!= \"other\"", "!= \"abab\"");

    space.ok(&["coverage"]);
    assert!(space.read("coverage.out").contains("example.com/council/internal/level/level.go:"));
    assert!(space.read("coverage.html").contains("<title>"));
    space.replace("build.ron", "cover_min: 20", "cover_min: 100");
    space.run(&["coverage"]).fails(1, &["100"]);

    let bench = |space: &TestSpace| space.ok(&["bench"]).stderr;
    assert!(!bench(&space).contains("compared with"));
    git(&space, &["commit", "--quiet", "--all", "--message", "second"]);
    space.append("internal/level/level.go", "\n// Words3 is another.\nvar Words3 = Words(\"a\", 3)\n");
    git(&space, &["commit", "--quiet", "--all", "--message", "third"]);
    let second = bench(&space);
    assert!(second.contains("compared with") && second.contains("Words"), "{second}");

    let race = "package level\n\nimport \"testing\"\n\nfunc TestRace(t *testing.T) {\n\tn, done := 0, make(chan int)\n\tgo func() { n++; done <- 1 }()\n\tn++\n\t<-done\n\tt.Log(n)\n}\n";
    space.write("internal/level/race_test.go", race);
    space.replace(
        "build.ron",
        "GoTest(packages: [\"./...\"], race: true",
        "GoTest(packages: [\"./internal/level\"], race: true",
    );
    space.run(&["race"]).fails(1, &["DATA RACE"]);
    space.remove("internal/level/race_test.go");
    space.ok(&["race"]);
}

#[test]
fn go_is_checked_and_generated() {
    let space = sample();
    space.ok(&["lock"]);
    space.ok(&["check"]);
    assert!(space.ran(&["check"]).is_empty());
    space.append("pkg/health/health.go", "\nfunc unused() {}\n");
    space.run(&["lint"]).fails(1, &["func unused is unused"]);
    space.append("pkg/health/health.go", "\nfunc  wide() { for { } ; println() }\n");
    space.run(&["fmt-check"]).fails(1, &["pkg/health/health.go"]);
    space.run(&["vet"]).fails(1, &["unreachable code"]);
    space.ok(&["fmt"]);
    space.ok(&["fmt-check"]);
    space.replace("go.mod", "golang.org/x/sync v0.10.0 // indirect", "golang.org/x/sync v0.10.0");
    space.run(&["tidy-check"]).fails(1, &["go.mod"]);
    space.ok(&["tidy"]);
    space.ok(&["tidy-check"]);

    space.ok(&["generate", "mocks"]);
    assert!(space.read("internal/level/level_string.go").contains("func (i Level) String() string"));
    assert!(space.read("internal/level/register_mock.go").contains("type RegisterMock struct"));
    assert!(space.ran(&["generate", "mocks"]).is_empty());
    space.replace("internal/level/level.go", "\tWriter\n", "\tWriter\n\tOwner\n");
    space.remove("internal/level/register_mock.go");
    space.run(&["generate-check"]).fails(1, &["internal/level/level_string.go"]);
    assert!(space.ran(&["generate", "mocks"]).contains_key("generate"));
    space.ok(&["generate-check"]);
    assert!(
        space.read("internal/level/level_string.go").contains("Owner")
            && space.exists("internal/level/register_mock.go")
    );
}

/// Asks the database of the space by its own `psql`.
fn query(space: &TestSpace, words: &str) -> String {
    space.ok(&["-q", "psql", "--", "-Atc", words]).stdout
}

/// The same through a pipe, as at a terminal.
fn session(space: &TestSpace, words: &str) -> String {
    let mut command = space.command(&["-q", "psql"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(words.as_bytes()).unwrap();
    Run::of(child.wait_with_output().unwrap()).stdout
}

#[test]
#[cfg_attr(not(has_compose), ignore = "no `docker compose` with its images (see tests/images)")]
fn the_database_is_migrated_seeded_and_asked() {
    let _guard = daemon();
    let space = sample();
    let run = space.ok(&["up"]);
    for service in ["backend healthy", "postgres healthy", "redis healthy"] {
        assert!(run.stderr.contains(service), "{service}\n{}", run.stderr);
    }
    assert!(answers(port(&space), "\"postgres\":\"up\""));
    assert_eq!(ran(&space, "e2e"), ["e2e", "up"]);
    assert_eq!(ran(&space, "e2e"), ["up"]);

    space.ok(&["migrate-up"]);
    assert_eq!(query(&space, "SELECT version, dirty FROM schema_migrations"), "2|f\n");
    space.ok(&["seed"]);
    assert_eq!(query(&space, "SELECT name FROM agents ORDER BY name"), "ada\ngrace\n");
    assert!(get(port(&space), "/api/v1/agents").unwrap().contains("\"name\":\"grace\""));
    let answer = session(&space, "SELECT role FROM agents WHERE name = 'ada';\n");
    assert!(answer.contains(" chair\n(1 row)"), "{answer}");
    space.run(&["migrate-down"]).fails(2, &["Take migrations back?"]);
    space.ok(&["migrate-down", "--yes"]);
    assert_eq!(query(&space, "SELECT version FROM schema_migrations"), "1\n");
    space.ok(&["migrate-down", "steps=1", "--yes"]);
    assert_eq!(query(&space, "SELECT to_regclass('agents') IS NULL"), "t\n");
    space.run(&["migrate-new"]).fails(2, &["`migrate-new` needs a value for `name`"]);
    space.ok(&["migrate-new", "name=add_votes"]);
    space.write("migrations/000003_add_votes.up.sql", "CREATE TABLE votes (agent text);\n");
    space.ok(&["seed"]);
    assert_eq!(query(&space, "SELECT count(*) FROM votes"), "0\n");

    let run = space.ok(&["logs"]);
    assert!(run.stderr.contains("backend-1") && run.stderr.contains("listening"), "{}", run.stderr);
    space.run(&["down"]).fails(2, &["The volumes of `compose.yaml` are removed, with all data in them."]);
    space.ok(&["down", "--yes"]);
    assert_eq!(
        docker(&["ps", "--all", "--quiet", "--filter", &format!("label=com.docker.compose.project={PROJECT}")]),
        ""
    );
}

#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn the_image_is_made_run_and_pushed() {
    let _guard = daemon();
    let mut space = sample();
    let registry = Registry::start(&space.beside("registry"));
    let name = format!("{}/council", registry.address);
    space.set("IMAGE", &name);
    space.ok(&["docker-push"]);
    let digest = crane(&["digest", &format!("{name}:v1.4.0")]);
    assert_eq!(crane(&["digest", &format!("{name}:latest")]), digest);
    assert!(space.ok(&["inspect", "docker-build"]).stdout.contains(&digest));
    crane(&["validate", "--remote", &format!("{name}:latest")]);
    assert!(space.ran(&["docker-push"]).is_empty());
    space.ok(&["docker-build"]);
    assert!(!docker(&["images", "--quiet", &format!("{name}:v1.4.0")]).is_empty(), "Docker has it too");
    let child = space.start(&["docker-run"]);
    wait_for("the container", || answers(port(&space), "\"uid\":65532"));
    // The program that follows the container's output starts once it is healthy.
    std::thread::sleep(Duration::from_secs(2));
    interrupted(child);
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &format!("label=rondel.project={PROJECT}")]), "");
    docker(&["rmi", "--force", &format!("{name}:v1.4.0"), &format!("{name}:latest")]);
}

#[test]
#[cfg_attr(not(has_npm), ignore = "no npm")]
fn the_front_end_is_built_and_embedded() {
    let mut space = sample();
    // The registry of this machine, and the authorities that sign its certificate.
    let address = output_of(Path::new("npm"), &["config", "get", "registry"]);
    space.set("npm_config_registry", &address);
    if let Ok(authorities) = std::env::var("NODE_EXTRA_CA_CERTS") {
        space.set("NODE_EXTRA_CA_CERTS", &authorities);
    }
    assert_eq!(ran(&space, "release"), ["release", "web", "web-modules"]);
    assert!(space.ran(&["release"]).is_empty());
    let served = |path: &str| {
        let mut command = Command::new(space.root().join("dist/release/linux_amd64/council"));
        let mut child = command.env("PORT", port(&space).to_string()).stdout(Stdio::null()).spawn().unwrap();
        wait_for("the service", || answers(port(&space), "v1.4.0"));
        let answer = get(port(&space), path).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        answer
    };
    assert!(served("/app/").contains("src=\"main.js\""));
    assert!(served("/app/main.js").contains("is in session"));
    space.replace("web/src/greeting.js", "is in session", "adjourned");
    assert_eq!(ran(&space, "release"), ["release", "web"]);
    assert!(served("/app/main.js").contains("adjourned"));
    // Without the tag nothing of Node is needed.
    space.ok(&["clean"]);
    assert_eq!(ran(&space, "build"), ["build"]);
    // The former texts come from the cache, though what was made is gone.
    space.replace("web/src/greeting.js", "adjourned", "is in session");
    assert!(space.ran(&["release"]).is_empty() && space.read("web/dist/main.js").contains("is in session"));
}
