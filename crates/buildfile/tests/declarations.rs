//! Results of the declarations: the reference, the schema, and the interface of each kind.

#![allow(clippy::disallowed_methods, reason = "it reads files of this repository only")]

mod support;

use std::fmt::Write as _;
use std::path::Path;

use expect_test::{expect, expect_file};
use rondel_buildfile::{BuildFile, Target, Visitor, Wanted, json_schema, reference};
use serde_json::Value;

const EVERYTHING: &str = include_str!("everything.ron");

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(Path::parent).unwrap()
}

fn file(text: &str) -> BuildFile {
    BuildFile::parse(text, "0.1.0").unwrap_or_else(|_| panic!("{}", support::messages(text)))
}

/// Prints one line a target of `text`.
fn lines(text: &str, line: impl Fn(&BuildFile, &Target) -> String) -> String {
    let file = file(text);
    file.targets.iter().map(|target| format!("{}: {}\n", target.name.value, line(&file, target))).collect()
}

#[test]
fn the_reference_in_the_docs_is_the_generated_one() {
    const BEGIN: &str = "<!-- reference: begin -->\n";
    const END: &str = "<!-- reference: end -->\n";
    let path = repository().join("docs/build-ron.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(BEGIN).expect("the mark of the beginning");
    let (_, tail) = rest.split_once(END).expect("the mark of the end");
    let wanted = format!("{head}{BEGIN}\n{}\n{END}{tail}", reference());
    expect_file!["../../../docs/build-ron.md"].assert_eq(&wanted);
}

#[test]
fn what_each_kind_makes_and_where() {
    let text = EVERYTHING.replace("root: \".\"", "root: \"sub\"");
    let found = lines(&text, |file, target| {
        let mut line = format!("{:?}", target.makes());
        for output in file.outputs_of(target) {
            let form = if output.is_directory { "directory" } else { "file" };
            write!(line, ", {form} {}", output.path).unwrap();
        }
        line
    });
    expect![[r#"
        deps: Nothing
        tool-deps: Nothing
        server: Executables, directory sub/bin
        with-c: Executables, directory dist/with-c
        image: ImageLayout, directory sub/images/council, file sub/images/council.tar, directory sub/images/council.sbom, file sub/images/council.provenance.json
        on-alpine: ImageLayout, directory dist/on-alpine
        push: Nothing, file sub/dist/refs.txt
        on-another: ImageLayout, directory dist/on-another
        on-a-layout: ImageLayout, directory dist/on-a-layout
        docker-image: DaemonImage
        run: Processes
        serve: Processes
        front: Processes
        queue: Processes
        database: Processes
        up: Processes
        down: Processes
        test: Nothing, file sub/coverage.out, file sub/coverage.html, file sub/report.xml
        speed: Nothing
        fuzz: Nothing
        lint: Files { count: 1 }, file sub/report.txt
        generated: Nothing
        vulnerabilities: Nothing
        of-binary: Nothing
        golangci: Nothing
        generate: Files { count: 1 }, file sub/kind_string.go
        pack: Files { count: 1 }, file sub/pack.tar
        release: Files { count: 1 }, directory sub/dist/release
        manifest: Files { count: 1 }, file sub/deploy.yaml
        pinned: Files { count: 1 }, directory sub/pinned
        hello: Nothing
        sum: Files { count: 1 }, file sub/b
        check: Nothing
        in-order: Nothing
        migrate-new: Nothing
        clean: Nothing
        clean-some: Nothing
        console: Nothing
    "#]]
    .assert_eq(&found);
}

#[test]
fn what_each_kind_needs() {
    expect![[r#"
        deps: [Go]
        tool-deps: [Go]
        server: [Go]
        with-c: [Go, CCompiler { command: None, platform: Some(Platform { os: "linux", architecture: "amd64", variant: None }), because: "cgo: true" }, CCompiler { command: None, platform: Some(Platform { os: "linux", architecture: "arm", variant: Some("v7") }), because: "cgo: true" }, CCompiler { command: None, platform: Some(Platform { os: "linux", architecture: "arm64", variant: None }), because: "cgo: true" }]
        image: [Go]
        on-alpine: []
        push: []
        on-another: []
        on-a-layout: []
        docker-image: [DockerDaemon, DockerCommand, Buildx]
        run: [DockerDaemon, DockerCommand]
        serve: []
        front: [Program("npm")]
        queue: [Program("redis-server")]
        database: [Program("postgres")]
        up: [DockerDaemon, DockerCommand, Compose]
        down: [DockerDaemon, DockerCommand, Compose]
        test: [Go, CCompiler { command: None, platform: None, because: "race: true" }]
        speed: [Go]
        fuzz: [Go]
        lint: [Program("golangci-lint")]
        generated: [Go]
        vulnerabilities: [Go, Program("govulncheck")]
        of-binary: [Go]
        golangci: [Go]
        generate: [Go]
        pack: [Program("tar")]
        release: [Program("govulncheck")]
        manifest: []
        pinned: []
        hello: [Program("sh")]
        sum: [Program("sh")]
        check: []
        in-order: []
        migrate-new: [Program("migrate"), Program("migrate")]
        clean: []
        clean-some: []
        console: [Program("psql")]
    "#]]
    .assert_eq(&lines(EVERYTHING, |file, target| format!("{:?}", target.needs(&file.platforms))));
}

#[test]
fn where_each_kind_is_listed() {
    expect![[r#"
        deps: build, GoModDownload
        tool-deps: build, GoModDownload
        server: build, GoBuild
        with-c: build, GoBuild
        image: build, Image
        on-alpine: build, Image
        push: publish, Push
        on-another: build, Image
        on-a-layout: build, Image
        docker-image: build, DockerBuild
        run: run, DockerRun
        serve: run, Process
        front: run, Process
        queue: run, Process
        database: run, Process
        up: run, ComposeUp
        down: run, ComposeDown
        test: check, GoTest
        speed: check, GoTest
        fuzz: check, GoTest
        lint: other, Exec
        generated: build, GoGenerate
        vulnerabilities: check, GoVulncheck
        of-binary: check, GoVulncheck
        golangci: check, GoLint
        generate: other, Exec
        pack: other, Exec
        release: publish, Release
        manifest: build, Template
        pinned: build, Resolve
        hello: other, Shell
        sum: other, Shell
        check: other, lint, test
        in-order: other, lint, test
        migrate-new: other, Exec
        clean: other, removes all outputs
        clean-some: other, removes outputs of server, image, check
        console: other, Exec
    "#]]
    .assert_eq(&lines(EVERYTHING, |_, target| {
        format!("{}, {}", target.kind().group().title(), target.kind().summary())
    }));
}

/// The examples in the page about build.ron are files that Rondel takes.
#[test]
fn examples_in_the_docs_are_read() {
    let page = include_str!("../../../docs/build-ron.md");
    let examples: Vec<&str> = page.split("```ron\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 4);
    for example in examples {
        BuildFile::parse(example, "0.1.0").unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{example}"));
    }
}

#[test]
fn needs_that_depend_on_fields() {
    let text = r#"(format: 1, project: "p", platforms: ["linux/amd64", "linux/amd64/v3", "linux/arm64", "linux/arm/v6"], targets: {
        "cgo": GoBuild(packages: ["."], cgo: true, env: {"CC": "clang"}, platforms: ["linux/amd64"]),
        "cgo-of-all": GoBuild(packages: ["."], cgo: true),
        "cgo-of-one": GoBuild(packages: ["."], by_platform: {"*/arm64": (cgo: true, env: {"CC": "arm-gcc -x"}), "*/amd64": (cgo: true), "*/arm": ()}),
        "cgo-by-variable": GoBuild(packages: ["."], cgo: true, env: {"CC": Env("CC", "x")}),
        "plain": Image(base: Static),
        "zones": Image(base: Static, tzdata: true),
        "go": Exec(command: ["go", "vet"]),
        "made": Exec(command: ["./bin/x"]),
        "variable": Exec(command: [Env("TOOL", "x")]),
        "both": Exec(command: ["go", Tool("stringer")]),
    })"#;
    expect![[r#"
        cgo: [Go, CCompiler { command: Some("clang"), platform: Some(Platform { os: "linux", architecture: "amd64", variant: None }), because: "cgo: true" }]
        cgo-of-all: [Go, CCompiler { command: None, platform: Some(Platform { os: "linux", architecture: "amd64", variant: None }), because: "cgo: true" }, CCompiler { command: None, platform: Some(Platform { os: "linux", architecture: "arm64", variant: None }), because: "cgo: true" }, CCompiler { command: None, platform: Some(Platform { os: "linux", architecture: "arm", variant: Some("v6") }), because: "cgo: true" }]
        cgo-of-one: [Go, CCompiler { command: None, platform: Some(Platform { os: "linux", architecture: "amd64", variant: None }), because: "cgo: true" }, CCompiler { command: Some("arm-gcc -x"), platform: Some(Platform { os: "linux", architecture: "arm64", variant: None }), because: "cgo: true" }]
        cgo-by-variable: [Go]
        plain: []
        zones: [Go]
        go: [Go]
        made: []
        variable: []
        both: [Go]
    "#]]
    .assert_eq(&lines(text, |file, target| format!("{:?}", target.needs(&file.platforms))));
}

/// The types of the fields alone find texts, paths and references.
#[test]
fn what_a_visitor_sees() {
    struct Seen(String);
    impl<'a> Visitor<'a> for Seen {
        fn text(&mut self, _text: &'a rondel_buildfile::Text) {
            self.0.push_str(" text");
        }
        fn path(&mut self, path: &'a str, _span: rondel_buildfile::Span) {
            write!(self.0, " path:{path}").unwrap();
        }
        fn reference(&mut self, name: &'a rondel_buildfile::TargetName, _span: rondel_buildfile::Span, wanted: Wanted) {
            write!(self.0, " {name}:{wanted:?}").unwrap();
        }
    }
    expect![[r#"
        deps: 
        tool-deps:  path:tools
        server:  deps:Anything text text text text text text text text text text text text path:bin
        with-c:  path:examples text text text
        image:  server:File path:deploy generate:Part text text text text text text text path:images/council path:images/council.tar
        on-alpine:  server:File text path:deploy/ca.pem
        push:  image:Layout text path:dist/refs.txt path:LICENSE text path:cosign.pub
        on-another:  on-alpine:Image text
        on-a-layout:  path:images/base text text text
        docker-image:  path:Dockerfile path:. text text text
        run:  image:Image text text text text text text text text text text text text text text
        serve:  text server:Output text text lint:Output text text path:.env path:.env.local path:web path:tools
        front:  text text text
        queue:  text
        database:  text text
        up:  path:docker-compose.yml image:Image text text text
        down:  path:docker-compose.yml text text
        test:  text text text text text path:coverage.out path:coverage.html path:report.xml text text server:Output lint:Output
        speed:  path:./examples/ text text text
        fuzz:  text text text
        lint:  text text path:report.txt text path:tools
        generated:  text text text server:Output text text text
        vulnerabilities:  text path:vulndb text text
        of-binary:  text server:Output text
        golangci:  text path:.golangci.yml text text text
        generate:  text text path:kind_string.go path:tools
        pack:  text text text text server:Output lint:Output image:Output path:pack.tar text image:Digest text text server:Output
        release:  server:Executables text generate:Output text path:deploy/preinst text text text text text text text text text text text path:deploy/policy.yaml path:deploy/council.service text path:deploy/preinst text text text text path:cmd text text path:cosign.pub path:vulndb text text text text text text text text text text path:dist/release
        manifest:  path:deploy/app.yaml.in path:deploy.yaml
        pinned:  image:Digest path:pinned
        hello:  text image:Digest
        sum:  path:b
        check:  lint:Anything test:Anything
        in-order:  lint:Anything test:Anything
        migrate-new:  text text text text text
        clean: 
        clean-some:  deps:Anything
        console:  text path:.env path:.env.local
    "#]]
    .assert_eq(&lines(EVERYTHING, |_, target| {
        let mut seen = Seen(String::new());
        target.visit(&mut seen);
        seen.0
    }));
}

#[test]
fn the_schema_has_every_kind_and_field() {
    let text = json_schema();
    assert_eq!(text, json_schema());
    let schema: Value = serde_json::from_str(&text).unwrap();
    let all = reference();
    let mut kinds = 0;
    for section in all.split("### ").filter(|section| section.starts_with('`')) {
        let title = section.lines().next().unwrap().trim_matches('`').trim_end_matches("(…)");
        let mut body = &schema["$defs"][title]["properties"][title];
        if let Some(forms) = body["anyOf"].as_array() {
            body = forms.iter().find(|form| form["properties"].is_object()).unwrap();
        }
        for field in section.lines().filter_map(|line| line.strip_prefix("| `")) {
            let name = field.split('`').next().unwrap();
            assert!(body["properties"][name]["description"].is_string(), "{title}.{name}");
        }
        kinds += 1;
    }
    assert_eq!(
        kinds,
        schema["$defs"]["kind"]["oneOf"].as_array().unwrap().len() + 4,
        "and `Param`, `Http`, `GitHub` and `Gitea`"
    );
    for name in ["format", "rondel", "project", "root", "go", "go_work", "platforms", "vars", "pools", "targets"] {
        assert!(schema["properties"][name]["description"].is_string(), "{name}");
    }
    for name in ["doc", "after", "private", "params", "aliases", "group", "pool", "retries", "timeout_s"] {
        assert!(schema["$defs"]["GoBuild"]["properties"]["GoBuild"]["properties"][name].is_object(), "{name}");
    }
    // Every reference leads somewhere.
    for (_, rest) in text.match_indices("#/$defs/").map(|(at, mark)| text.split_at(at + mark.len())) {
        let name = rest.split('"').next().unwrap();
        assert!(schema["$defs"][name].is_object(), "{name}");
    }
}

/// One line a form: the value alone, the value with options, and all fields by name.
#[test]
fn the_schema_of_a_small_kind() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let group = &schema["$defs"]["Group"];
    let names = |object: &Value| {
        let names: Vec<&str> = object["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        format!("{} of {}, required: {}", object["type"], names.join(" "), object["required"])
    };
    let mut text = format!("{}\n", names(group));
    for form in group["properties"]["Group"]["anyOf"].as_array().unwrap() {
        match form["prefixItems"].as_array() {
            Some(items) => writeln!(text, "{} and {}", items[0], names(&items[1])).unwrap(),
            None if form["type"] == "object" => writeln!(text, "{}", names(form)).unwrap(),
            None => writeln!(text, "{form}").unwrap(),
        }
    }
    let fields = &group["properties"]["Group"]["anyOf"][2]["properties"];
    for name in ["targets", "parallel", "aliases", "private"] {
        writeln!(text, "{name}: {}", fields[name]).unwrap();
    }
    expect![[r##"
        "object" of Group, required: ["Group"]
        {"items":{"$ref":"#/$defs/target"},"type":"array"}
        {"items":{"$ref":"#/$defs/target"},"type":"array"} and "object" of after aliases confirm doc group parallel params platforms_of_host preconditions private requires, required: null
        "object" of after aliases confirm doc group parallel params platforms_of_host preconditions private requires targets, required: ["targets"]
        targets: {"description":"The targets.","items":{"$ref":"#/$defs/target"},"type":"array"}
        parallel: {"default":true,"description":"`false` runs them in order: each begins when the ones before it have ended well, with all that they wait for.","type":"boolean"}
        aliases: {"default":[],"description":"Other names of the target on the command line: `[\"t\"]`.","items":{"pattern":"^[A-Za-z0-9][A-Za-z0-9_./-]*$","type":"string"},"type":"array"}
        private: {"default":false,"description":"Leaves the target out of the list.","type":"boolean"}
    "##]].assert_eq(&text);
}

/// A `match` with a wildcard over kinds would silently be wrong for the next kind.
#[test]
fn no_match_over_kinds_has_a_wildcard() {
    let mut matches = 0;
    for directory in ["buildfile", "targets", "rondel"] {
        for path in rust_files(&repository().join("crates").join(directory).join("src")) {
            let text = std::fs::read_to_string(&path).unwrap();
            for arms in arms_of_matches(&text).iter().filter(|arms| arms.contains("TargetKind::")) {
                matches += 1;
                assert!(!arms.contains("_ =>"), "{} passes over kinds:\n{arms}", path.display());
            }
        }
    }
    assert!(matches > 0, "no `match` over kinds was found: the search is broken");
    assert_eq!(arms_of_matches("match kind { TargetKind::A(x) => { y } _ => z }"), [" TargetKind::A(x) =>  _ => z "]);
}

fn rust_files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// Returns the contents of the braces of each `match`, without nested braces.
fn arms_of_matches(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("match ") {
        let (mut depth, mut arms) = (0, String::new());
        for character in text[start..].chars() {
            match character {
                '{' => depth += 1,
                '}' if depth <= 1 => break,
                '}' => depth -= 1,
                ';' if depth == 0 => break,
                other if depth == 1 => arms.push(other),
                _ => {}
            }
        }
        found.push(arms);
    }
    found
}
