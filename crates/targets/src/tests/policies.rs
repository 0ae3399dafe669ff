//! Policies: which steps wait for which, and what is refused at load.

use expect_test::expect;

use super::Space;
use super::refusals::refused;

/// A public key of cosign.
const KEY: &str = include_str!("../../../signatures/src/fixtures/cosign.pub");

#[test]
fn what_is_sent_waits_for_the_rules() {
    let space = Space::new();
    let targets = r#""image": Image(base: Static, entrypoint: ["/x"]),
        "push": Push(image: "image", to: ["r.example/a:1"], refs: "refs", policy: (clean_tree: true, verified: true), after: ["first"]),
        "first": Shell("x"), "all": Group(["first", "push"], parallel: false),"#;
    space.graph(
        targets,
        &["push"],
        expect![[r#"
            first, streamed
            image: layer base, hidden
            image, streamed; from: image: layer base
            image: docker; from: image
            push: clean tree, hidden; from: image
            push; from: image; after: first, push: clean tree
            push: refs; from: push
            asked for: push, push: refs
        "#]],
    );
    let held = space.analyze(targets, &["all"]).unwrap();
    let names: Vec<String> = held.held[0].made.iter().map(|id| held.graph.node(*id).key.to_string()).collect();
    let [one] = held.held.as_slice() else { panic!("one step is held") };
    assert_eq!((held.graph.node(one.step).key.to_string(), names), ("push".to_owned(), vec!["image".to_owned()]));
}

#[test]
fn a_release_waits_for_the_rules() {
    Space::new().graph(
        r#""rel": Release(builds: ["server"], created: Epoch, policy: (clean_tree: true)), "server": GoBuild(packages: ["."]),"#,
        &["rel"],
        expect![[r#"
            go modules, hidden
            server (linux/amd64) as `server`; on a miss: go modules
            rel: archive (linux/amd64); from: server (linux/amd64)
            rel: checksums, hidden; from: rel: archive (linux/amd64)
            rel: clean tree, hidden; from: rel: archive (linux/amd64), rel: checksums
            rel; from: rel: archive (linux/amd64), rel: checksums; after: rel: clean tree
            asked for: rel: archive (linux/amd64), rel: checksums, rel
        "#]],
    );
}

#[test]
fn what_is_looked_at_for_vulnerabilities() {
    let targets = r#""x": GoBuild(packages: ["."]), "y": GoBuild(packages: ["./y"]), "z": GoBuild(packages: ["./z"]),
        "below": Image(base: Static, files: {"/y": Output("y"), "/own": File("build.ron")}),
        "image": Image(base: From(Output("below")), files: {"/x": Output("x")}, created: Epoch),
        "push": Push(image: "image", to: ["r.example/a:1"], policy: (no_known_vulnerability: (db: "vulndb", tool: Output("z")))),"#;
    let space = Space::new();
    let found = space.analyze(targets, &["push"]).unwrap();
    let names: Vec<String> = found.rules.iter().map(|id| found.graph.node(*id).key.to_string()).collect();
    let judge = found.graph.nodes().find(|(_, node)| node.key.to_string() == "push: no known vulnerability").unwrap().1;
    let inputs: Vec<String> = judge.inputs.iter().map(|id| found.graph.node(*id).key.to_string()).collect();
    expect![[r#"
        push: vulnerabilities of x (linux/amd64), push: vulnerabilities of y (linux/amd64), push: no known vulnerability
        push: vulnerabilities of x (linux/amd64), push: vulnerabilities of y (linux/amd64), image"#]]
    .assert_eq(&format!("{}\n{}", names.join(", "), inputs.join(", ")));
    refused(
        &space,
        r#""image": Image(base: Static, files: {"/own": File("build.ron")}, entrypoint: ["/own"]),
        "push": Push(image: "image", to: ["r.example/a:1"], policy: (no_known_vulnerability: ())),"#,
        "push",
        expect![[r#"
            input: `no_known_vulnerability` looks at what `GoBuild` makes, and `push` has nothing of it
            at: ()
            hint: leave the rule out, or take executables of a `GoBuild`"#]],
    );
    let wrong = r#""rel": Release(builds: ["x"], policy: (no_known_vulnerability: (accepted: {"GO 1": "x"}))), "x": GoBuild(packages: ["."]),"#;
    refused(
        &space,
        wrong,
        "rel",
        expect![[r#"
        input: `GO 1` is no name of a vulnerability
        at: "GO 1"
        hint: write "GO-2025-0001", or a name of CVE or GHSA"#]],
    );
}

#[test]
fn policies_that_can_not_be() {
    let space = Space::new();
    let check = |fields: &str, expected| {
        let text = format!("\"rel\": Release(builds: [\"server\"], {fields}), \"server\": GoBuild(packages: [\".\"]),");
        refused(&space, &text, "rel", expected);
    };
    check(
        "gate: Off, policy: (verified: true)",
        expect![[r#"
        input: `verified: true` wants a second build, and `gate: Off` leaves it out
        at: (verified: true)
        hint: leave one of them out"#]],
    );
    check(
        "policy: (signed_base: \"cosign.pub\")",
        expect![[r#"
        input: a `Release` lies on no image, so `signed_base` asks for nothing
        at: "cosign.pub"
        hint: write it into the `policy` of a `Push`"#]],
    );
    check(
        "policy: true",
        expect![[r#"
        input: expected rules in parentheses, `(clean_tree: true)`, found `true`
        at: true"#]],
    );
    check(
        "policy: (clean: true)",
        expect![[r#"
            input: unknown field `clean` in `policy`
            at: clean
            hint: `policy` has: clean_tree, verified, signed_base, no_known_vulnerability"#]],
    );
}

#[test]
fn bases_that_nobody_signs() {
    let space = Space::new();
    space.write("cosign.pub", KEY);
    let push = |base: &str| {
        format!(
            r#""image": Image(base: {base}, entrypoint: ["/x"]), "below": Image(base: From("r.example/base:1"), entrypoint: ["/x"]),
            "layout": Image(base: Layout("base"), entrypoint: ["/x"]),
            "push": Push(image: "image", to: ["r.example/a:1"], policy: (signed_base: "cosign.pub")),"#
        )
    };
    // The base of a base is what counts, and the static one is Rondel's own.
    let steps = |base: &str| {
        let found = space.analyze(&push(base), &["push"]).unwrap();
        let names = found.graph.nodes().map(|(_, node)| node.key.to_string());
        names.filter(|name| name.contains("signed")).collect::<Vec<_>>()
    };
    assert_eq!(steps("Static"), Vec::<String>::new());
    assert_eq!(steps("From(\"r.example/base:1\")"), ["push: signed base (linux/amd64)"]);
    assert_eq!(steps("From(Output(\"below\"))"), ["push: signed base (linux/amd64)"]);
    refused(
        &space,
        &push("Layout(\"base\")"),
        "push",
        expect![[r#"
        input: `image` lies on the layout `base`, and nothing says who made that
        at: "cosign.pub"
        hint: use `base: From("registry.example/base:1")`, or leave out `signed_base`"#]],
    );
    refused(
        &space,
        &push("From(Output(\"layout\"))"),
        "push",
        expect![[r#"
        input: `layout` lies on the layout `base`, and nothing says who made that
        at: "cosign.pub"
        hint: use `base: From("registry.example/base:1")`, or leave out `signed_base`"#]],
    );
    space.write("cosign.pub", "no key");
    refused(
        &space,
        &push("From(\"r.example/base:1\")"),
        "push",
        expect![[r#"
        input: `cosign.pub` is no public key that a base could be signed with: there is no PEM in it (`-----BEGIN …-----`)
        at: "cosign.pub"
        hint: name the `cosign.pub` of whoever makes the base"#]],
    );
}
