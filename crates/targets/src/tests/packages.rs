//! Packages of a release: their keys, and what is refused before anything is built.

use std::collections::BTreeSet;

use expect_test::expect;
use rondel_cas::Digest;
use rondel_engine::{UpstreamResult, Workspace, question};

use super::Space;
use super::actions::executable;

const BUILD: &str = r#""server": GoBuild(packages: ["."]), "#;

const PACKAGES: &str = r#"
    Deb(
        name: "small", maintainer: "A <a@example.org>", description: "One line\nmore", section: "net", license: "MIT",
        homepage: "https://example.org", depends: ["aa"], recommends: ["bb"], conflicts: ["cc"], provides: ["dd"], replaces: ["ee"],
        revision: "7", bin: "/usr/bin", units: ["deploy/small.service"],
        files: {
            "/etc/small.conf": (from: "deploy/small.conf", config: true, mode: 0o640, owner: "root", group: "small"),
            "/var/lib/small": Directory(mode: 0o750, owner: "u", group: "g"), "/usr/bin/link": Link("small"),
        },
        scripts: (preinst: "one", postinst: "two", prerm: "three", postrm: File("deploy/postrm")),
    ),
    Rpm(
        name: "small", maintainer: "A <a@example.org>", description: "One line\nmore", license: "MIT", release: "8",
        scripts: (pre: "one", post: "two", preun: "three", postun: File("deploy/postrm")),
    )"#;

fn space() -> Space {
    let space = Space::new();
    space.write("deploy/small.conf", "port = 80\n");
    space.write("deploy/small.service", "[Unit]\n");
    space.write("deploy/postrm", "four\n");
    space
}

fn release(packages: &str) -> String {
    format!("{BUILD}\"rel\": Release(builds: [\"server\"], created: Epoch, packages: [{packages}])")
}

/// Returns the key of the package `name`.
fn key(space: &Space, packages: &str, name: &str, upstream: UpstreamResult) -> Digest {
    let analysis = space.analyze(&release(packages), &["rel"]).unwrap();
    let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == name).unwrap();
    let workspace = Workspace::open(&space.root, &space.root.join("cache"));
    question(node, &workspace, vec![upstream]).unwrap().spec().digest().unwrap()
}

#[test]
fn what_the_key_of_a_package_holds() {
    let text = release(PACKAGES);
    space().action(&text, "rel", "rel: deb (linux/amd64)", vec![executable("small")], expect![[r#"
        by its key
        arguments ["package", "deploy/small.conf -> /etc/small.conf", "deploy/small.service -> /usr/lib/systemd/system/small.service", "deploy/postrm runs after removal", "entries sha256:7cb88b398444d6a1678aadf50d76f87eb1234effbc96a6bba47a3de939c24ca0"]
        setting after install: two
        setting after removal: 
        setting architecture: amd64
        setting before install: one
        setting before removal: three
        setting codec: gzip deflate rondel-1 block-524288
        setting conflicts: cc
        setting created: 0
        setting depends: aa
        setting description: One line
        more
        setting format: deb-1
        setting homepage: https://example.org
        setting licence: MIT
        setting maintainer: A <a@example.org>
        setting name: small
        setting provides: dd
        setting recommends: bb
        setting release: 7
        setting replaces: ee
        setting section: net
        setting units: small.service
        setting version: 1.2.3
        input deploy/postrm
        input deploy/small.conf
        input deploy/small.service
        upstream usr/bin/small
        output small_1.2.3-7_amd64.deb -> dist/rel/small_1.2.3-7_amd64.deb
    "#]]);
    space().action(&text, "rel", "rel: rpm (linux/amd64)", vec![executable("small")], expect![[r#"
        by its key
        arguments ["package", "deploy/postrm runs after removal", "entries sha256:ac7c4837009761c3f6ebc5aa91a73e2609d4d712c53b0e436a4c961e0de158a1"]
        setting after install: two
        setting after removal: 
        setting architecture: x86_64
        setting before install: one
        setting before removal: three
        setting codec: gzip deflate rondel-1 block-524288
        setting conflicts: 
        setting created: 0
        setting depends: 
        setting description: One line
        more
        setting format: rpm-1
        setting homepage: 
        setting licence: MIT
        setting maintainer: A <a@example.org>
        setting name: small
        setting provides: 
        setting recommends: 
        setting release: 8
        setting replaces: 
        setting section: 
        setting units: 
        setting version: 1.2.3
        input deploy/postrm
        upstream usr/bin/small
        output small-1.2.3-8.x86_64.rpm -> dist/rel/small-1.2.3-8.x86_64.rpm
    "#]]);
}

/// Each change gives another key, and no two of them the same.
#[test]
fn each_member_of_the_key_counts() {
    let (deb, rpm) = ("rel: deb (linux/amd64)", "rel: rpm (linux/amd64)");
    let both = [
        ("\"A <a@example.org>\"", "\"B <a@example.org>\""),
        ("One line", "Another line"),
        ("nmore", "nless"),
        ("\"MIT\"", "\"ISC\""),
        ("name: \"small\"", "name: \"large\""),
        ("\"one\"", "\"changed\""),
        ("\"two\"", "\"changed\""),
        ("\"three\"", "\"changed\""),
        ("File(\"deploy/postrm\")", "\"four\""),
        ("release: \"8\"", "release: \"9\""),
        ("revision: \"7\"", "revision: \"9\""),
        ("\"net\"", "\"web\""),
        ("https://example.org", "https://example.com"),
        ("[\"aa\"]", "[\"zz\"]"),
        ("[\"bb\"]", "[\"zz\"]"),
        ("[\"cc\"]", "[\"zz\"]"),
        ("[\"dd\"]", "[\"zz\"]"),
        ("[\"ee\"]", "[\"zz\"]"),
        ("\"/usr/bin\"", "\"/usr/sbin\""),
        ("units: [\"deploy/small.service\"]", "units: []"),
        ("/etc/small.conf", "/etc/large.conf"),
        ("config: true", "config: false"),
        ("0o640", "0o600"),
        ("owner: \"root\"", "owner: \"small\""),
        ("group: \"small\"", "group: \"root\""),
        ("0o750", "0o700"),
        ("owner: \"u\"", "owner: \"v\""),
        ("group: \"g\"", "group: \"h\""),
        ("Link(\"small\")", "Link(\"large\")"),
        ("/usr/bin/link", "/usr/bin/lank"),
    ];
    let space = space();
    let of_rpm = ["release: \"8\""];
    for name in [deb, rpm] {
        let mut keys = BTreeSet::from([key(&space, PACKAGES, name, executable("small"))]);
        let text = PACKAGES.split("    Rpm(").nth(usize::from(name == rpm)).unwrap();
        for (from, to) in both {
            if !text.contains(from) || (name == deb && of_rpm.contains(&from)) {
                continue;
            }
            let changed = PACKAGES.replace(from, to);
            assert!(keys.insert(key(&space, &changed, name, executable("small"))), "{name}: {from} -> {to}");
        }
        assert!(keys.insert(key(&space, PACKAGES, name, executable("large"))), "{name}: another executable");
        space.write("deploy/postrm", "changed\n");
        assert!(keys.insert(key(&space, PACKAGES, name, executable("small"))), "{name}: a script's file");
        space.write("deploy/postrm", "four\n");
        assert!(!keys.insert(key(&space, PACKAGES, name, executable("small"))), "{name}: as it was");
    }
    let mut keys = BTreeSet::from([key(&space, PACKAGES, deb, executable("small"))]);
    space.write("deploy/small.conf", "port = 81\n");
    assert!(keys.insert(key(&space, PACKAGES, deb, executable("small"))), "a file of the tree");
    space.write("deploy/small.service", "[Unit]\nDescription=x\n");
    assert!(keys.insert(key(&space, PACKAGES, deb, executable("small"))), "a unit");
    let mut other = self::space();
    other.environment.insert("SOURCE_DATE_EPOCH".to_owned(), "86400".to_owned());
    let analysis = other.analyze(&release(PACKAGES).replace("Epoch", "Env(\"SOURCE_DATE_EPOCH\")"), &["rel"]).unwrap();
    let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == deb).unwrap();
    let workspace = Workspace::open(&other.root, &other.root.join("cache"));
    let timed = question(node, &workspace, vec![executable("small")]).unwrap().spec().digest().unwrap();
    assert!(keys.insert(timed), "the time");
    other.replace_in_head("v1.2.3", "v1.2.4");
    assert!(keys.insert(key(&other, PACKAGES, deb, executable("small"))), "the version");
}

/// A mode that is not given is that of the file.
#[test]
fn the_executable_bit_of_a_file_counts() {
    let packages = PACKAGES.replace(", mode: 0o640", "");
    let space = space();
    let before = key(&space, &packages, "rel: deb (linux/amd64)", executable("small"));
    super::make_executable(&space.root.join("deploy/small.conf"));
    assert_ne!(key(&space, &packages, "rel: deb (linux/amd64)", executable("small")), before);
}

/// A directory is whole; what is in it counts, and the more exact entry holds.
#[test]
fn directories_and_outputs() {
    const BOTH: &str = r#"Deb(maintainer: "A <a@example.org>", description: "x", files: {
        "/usr/share/small": (from: "web"), "/usr/share/small/own.conf": (from: "deploy/small.conf", config: true, mode: 0o600),
        "/usr/share/man": (from: Output("man")), "/usr/share/small/sub": Directory(mode: 0o700),
    })"#;
    let text = release(BOTH) + r#", "man": Shell(script: "x", inputs: ["go.mod"], outputs: ["man/"])"#;
    let space = space();
    space.write("web/sub/page.html", "page\n");
    space.write("web/own.conf", "hidden\n");
    space.write("web/.git/config", "none\n");
    std::os::unix::fs::symlink("sub/page.html", space.root.join("web/link")).unwrap();
    let name = "rel: deb (linux/amd64)";
    let mut man = executable("man/man1/small.1");
    man.artefacts[0].path = space.root.join("man/man1/small.1");
    let upstream = || vec![executable("small"), man.clone()];
    space.action(&text, "rel", name, upstream(), expect![[r#"
        by its key
        arguments ["package", "output of man -> /usr/share/man", "web -> /usr/share/small", "deploy/small.conf -> /usr/share/small/own.conf", "entries sha256:3c102e4e29803dddc096d394f6a9e63e5e352ae06bae38f6990734e08e15cfa0"]
        setting after install: 
        setting after removal: 
        setting architecture: amd64
        setting before install: 
        setting before removal: 
        setting codec: gzip deflate rondel-1 block-524288
        setting conflicts: 
        setting created: 0
        setting depends: 
        setting description: x
        setting format: deb-1
        setting homepage: 
        setting licence: 
        setting maintainer: A <a@example.org>
        setting name: small
        setting provides: 
        setting recommends: 
        setting release: 
        setting replaces: 
        setting section: 
        setting units: 
        setting version: 1.2.3
        input deploy/small.conf
        input web/link
        input web/own.conf
        input web/sub/page.html
        upstream output/input/man/man1/small.1
        upstream usr/bin/small
        output small_1.2.3_amd64.deb -> dist/rel/small_1.2.3_amd64.deb
    "#]]);
    let workspace = Workspace::open(&space.root, &space.root.join("cache"));
    let key = |space: &Space| {
        let analysis = space.analyze(&text, &["rel"]).unwrap();
        let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == name).unwrap();
        question(node, &workspace, upstream()).unwrap().spec().digest().unwrap()
    };
    let mut keys = BTreeSet::from([key(&space)]);
    space.write("web/sub/more.html", "more\n");
    assert!(keys.insert(key(&space)), "another file");
    std::fs::create_dir(space.root.join("web/empty")).unwrap();
    assert!(keys.insert(key(&space)), "an empty directory");
    std::fs::remove_file(space.root.join("web/link")).unwrap();
    std::os::unix::fs::symlink("sub", space.root.join("web/link")).unwrap();
    assert!(keys.insert(key(&space)), "a link");
    space.write("web/.git/config", "other\n");
    assert!(!keys.insert(key(&space)), "what is left out");
}

#[test]
fn each_package_and_platform_is_a_step() {
    let mut space = space();
    space.platforms = crate::PlatformChoice::Own;
    space.replace_in_head("\"linux/amd64\", ", "\"linux/amd64\", \"windows/amd64\", ");
    let second =
        "Deb(name: \"more\", maintainer: \"A <a@example.org>\", description: \"x\", platforms: [\"linux/arm64\"])";
    space.graph(&release(&format!("{PACKAGES}, {second}")), &["rel"], expect![[r#"
        go modules, hidden
        server (linux/amd64) as `server`; on a miss: go modules
        rel: archive (linux/amd64); from: server (linux/amd64)
        server (windows/amd64) as `server`; on a miss: go modules
        rel: archive (windows/amd64); from: server (windows/amd64)
        server (linux/arm64) as `server`; on a miss: go modules
        rel: archive (linux/arm64); from: server (linux/arm64)
        rel: deb (linux/amd64); from: server (linux/amd64)
        rel: deb (linux/arm64); from: server (linux/arm64)
        rel: rpm (linux/amd64); from: server (linux/amd64)
        rel: rpm (linux/arm64); from: server (linux/arm64)
        rel: deb 2 (linux/arm64); from: server (linux/arm64)
        rel: checksums, hidden; from: rel: archive (linux/amd64), rel: archive (windows/amd64), rel: archive (linux/arm64), rel: deb (linux/amd64), rel: deb (linux/arm64), rel: rpm (linux/amd64), rel: rpm (linux/arm64), rel: deb 2 (linux/arm64)
        rel; from: rel: archive (linux/amd64), rel: archive (windows/amd64), rel: archive (linux/arm64), rel: deb (linux/amd64), rel: deb (linux/arm64), rel: rpm (linux/amd64), rel: rpm (linux/arm64), rel: deb 2 (linux/arm64), rel: checksums
        asked for: rel: archive (linux/amd64), rel: archive (windows/amd64), rel: archive (linux/arm64), rel: deb (linux/amd64), rel: deb (linux/arm64), rel: rpm (linux/amd64), rel: rpm (linux/arm64), rel: deb 2 (linux/arm64), rel: checksums, rel
    "#]]);
}

/// Returns what is said of each change, as a part of the packages and what is written instead.
fn refusals(changes: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (from, to) in changes {
        assert!(PACKAGES.contains(from), "{from}");
        let space = space();
        // What only the files show is refused by the step.
        let error = match space.analyze(&release(&PACKAGES.replace(from, to)), &["rel"]) {
            Err(error) => error,
            Ok(analysis) => {
                let name = "rel: deb (linux/amd64)";
                let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == name).unwrap();
                let workspace = Workspace::open(&space.root, &space.root.join("cache"));
                let asked = question(node, &workspace, vec![executable("small")]);
                asked.err().unwrap_or_else(|| panic!("{from} -> {to}")).to_string()
            }
        };
        text.push_str(&format!("{to}\n{error}\n\n"));
    }
    text
}

#[test]
fn values_that_are_refused() {
    let changes = [
        ("name: \"small\"", "name: \"Small\""),
        ("name: \"small\"", "name: \"x\\nEssential: yes\""),
        ("[\"aa\"]", "[\"aa, bb\"]"),
        ("[\"dd\"]", "[\"dd | ee\"]"),
        ("One line", "One line\\r"),
        ("https://example.org", "https://example.org\\nEssential: yes"),
        ("revision: \"7\"", "revision: \"7-8\""),
        ("\"deploy/small.service\"", "\"deploy/small.conf\""),
        ("\"two\"", "\"#!/usr/bin/python3\\npass\""),
    ];
    expect![[r##"
        name: "Small"
        input: `Small` is no name of a Debian package: lower-case letters, digits, `+`, `-` and `.`, at least two, a letter or digit first
        at: Deb

        name: "x\nEssential: yes"
        input: `x\nEssential: yes` is no name of a Debian package: lower-case letters, digits, `+`, `-` and `.`, at least two, a letter or digit first
        at: Deb

        ["aa, bb"]
        input: `depends` has `aa, bb`, which is no relation of Debian's: write one package a text, like `libc6` or `libc6 (>= 2.36)`
        at: Deb

        ["dd | ee"]
        input: `provides` has `dd | ee`: alternatives have no meaning there
        at: Deb

        One line\r
        input: the description is empty, or has control characters: its first line says what it is
        at: Deb

        https://example.org\nEssential: yes
        input: the homepage `https://example.org\nEssential: yes` is not one plain line
        at: Deb

        revision: "7-8"
        input: `7-8` is no release: letters, digits, `.`, `+`, `~`
        at: Deb

        "deploy/small.conf"
        input: `small.conf` is no name of a systemd unit, like `x.service`
        at: Deb

        "#!/usr/bin/python3\npass"
        input: a script of a package with units begins with `#!/usr/bin/python3`: lines for systemd come before it, so it has to be one of the shell
        at: Deb

    "##]].assert_eq(&refusals(&changes));
}

#[test]
fn places_that_are_refused() {
    let changes = [
        ("deploy/small.conf", "deploy/none.conf"),
        ("\"deploy/small.conf\"", "\"/etc/passwd\""),
        ("\"deploy/small.conf\"", "Output(\"rel\")"),
        ("\"/var/lib/small\"", "\"/etc/small.conf/x\""),
        ("\"/etc/small.conf\"", "\"/usr/lib/systemd/system/small.service\""),
        ("Link(\"small\")", "Link(\"a\\nb\")"),
        ("\"/usr/bin\"", "\"/usr/../bin\""),
        ("owner: \"u\"", "owner: \"0\""),
        ("license: \"MIT\", release", "release"),
        ("bin: ", "platforms: [\"windows/amd64\"], bin: "),
        ("bin: ", "platforms: [\"linux/s390x\"], bin: "),
    ];
    expect![[r#"
        deploy/none.conf
        `deploy/none.conf` is not there

        "/etc/passwd"
        input: `/etc/passwd` leaves the root
        at: "/etc/passwd"
        hint: paths are relative to `root`

        Output("rel")
        input: targets wait for each other: `rel` -> `rel`
        at: "rel"

        "/etc/small.conf/x"
        `small_1.2.3-7_amd64.deb` can't be made: `/etc/small.conf/x` is below `/etc/small.conf`, which is no directory

        "/usr/lib/systemd/system/small.service"
        input: two files of the package are installed as `/usr/lib/systemd/system/small.service`
        at: "deploy/small.service"
        hint: take one of them out

        Link("a\nb")
        input: a link leads to a path in one line
        at: "a\nb"

        "/usr/../bin"
        input: `/usr/../bin` is not an absolute path of a file
        at: "/usr/../bin"
        hint: write "/app/name"

        owner: "0"
        input: `0` can't be the name of a user or group
        at: "0"
        hint: write a name like "root"; numbers differ by machine

        release
        input: `Rpm` needs the field `license`
        at: Rpm
        hint: write "MIT"

        platforms: ["windows/amd64"], bin: 
        input: a package can't be made for `windows/amd64`: packages are for Linux
        at: "windows/amd64"
        hint: name platforms of Linux that the release has

        platforms: ["linux/s390x"], bin: 
        input: the release is not for `linux/s390x`
        at: "linux/s390x"
        hint: name platforms of Linux that the release has

    "#]]
    .assert_eq(&refusals(&changes));
}

/// Platforms that a format can't tell apart would be one file.
#[test]
fn two_platforms_with_one_name() {
    let mut space = space();
    space.platforms = crate::PlatformChoice::All;
    space.replace_in_head("\"linux/arm64\"", "\"linux/amd64/v3\"");
    space.graph(
        &release(PACKAGES.split("    Rpm(").next().unwrap()),
        &["rel"],
        expect![[r#"
            refused as input: packages for `linux/amd64` and `linux/amd64/v3` are both for `amd64`
            at: Deb
            hint: give the package its own `platforms`, with one of them
        "#]],
    );
    let chosen = PACKAGES.replace("bin: ", "platforms: [\"linux/amd64/v3\"], bin: ");
    assert!(space.analyze(&release(&chosen), &["rel"]).is_ok(), "RPM has names for both");
}
