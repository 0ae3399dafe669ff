//! Images on a base: of a registry, of a layout in the tree, of another target. The registry is a real one on loopback.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::process::Command;

use serde_json::{Value, json};

use crate::base_image::{BaseImage, Form, Item, Registry, distribution, tar_of, write_layout};
use crate::space::{Run, TestSpace};

const FIELDS: &str = r#"files: {"/lib/own.so": File("own"), "/srv/page": File("own", owner: "www"), "/new/deep/x": File("own")},
    env: {"CHANGE": "own"}, labels: {"by": "rondel"}"#;

/// A workspace with an image on `base`, with more fields.
fn on(base: &str, fields: &str) -> TestSpace {
    let space = TestSpace::with_targets(&format!(
        "\"image\": Image(base: {base}, {fields}, tags: [\"rondel-test-base:1\"], platforms: [\"linux/amd64\"])"
    ));
    space.write("own", "own");
    space
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The layers and the configuration of the image for linux/amd64 in `dist/image`.
fn image(space: &TestSpace) -> (Vec<String>, Value) {
    let manifest = json(&space.read("dist/image/manifest.json"));
    let layers = manifest[0]["Layers"].as_array().unwrap().iter();
    let layers = layers.map(|layer| layer.as_str().unwrap().to_owned()).collect();
    (layers, json(&space.read(&format!("dist/image/{}", manifest[0]["Config"].as_str().unwrap()))))
}

/// The entries of the layers that Rondel wrote, above `below` others: `mode uid:gid`, a link or the contents. A directory may be in
/// several of them, with the same permissions.
fn own_entries(space: &TestSpace, below: usize) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for layer in &image(space).0[below..] {
        let bytes = space.bytes(&format!("dist/image/{layer}"));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            let mut text = format!("{:o} {}:{}", header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
            let mut contents = String::new();
            entry.read_to_string(&mut contents).unwrap();
            if !contents.is_empty() {
                text.push_str(&format!(" {contents}"));
            }
            let path = entry.path().unwrap().display().to_string();
            let former = found.insert(path.clone(), text.clone());
            assert!(former.is_none_or(|former| former == text), "{path} has two forms");
        }
    }
    found
}

/// Checks that an image on `distribution` has what that sets and what it sets itself.
fn is_on_distribution(space: &TestSpace) {
    let (layers, config) = image(space);
    assert_eq!(layers.len(), 3);
    assert_eq!(
        config["config"],
        json!({
            "User": "www", "WorkingDir": "/srv", "Entrypoint": ["/opt/tool"], "Cmd": ["-x"], "StopSignal": "SIGQUIT",
            "Env": ["PATH=/base/bin", "KEEP=1", "CHANGE=own"], "Labels": {"from": "base", "by": "rondel"},
            "Volumes": {"/data": {}}, "ExposedPorts": {"80/tcp": {}},
        })
    );
    let history: Vec<&str> =
        config["history"].as_array().unwrap().iter().map(|step| step["created_by"].as_str().unwrap()).collect();
    assert_eq!(history, ["first", "ENV", "second", "rondel"]);
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3);
    let expected = [
        // Directories are there only where the base has none: `srv` keeps its mode, and `lib` stays a link.
        ("new/", "755 0:0"),
        ("new/deep/", "755 0:0"),
        ("new/deep/x", "644 0:0 own"),
        ("srv/page", "644 33:34 own"),
        ("usr/lib/own.so", "644 0:0 own"),
    ];
    let found = own_entries(space, 2);
    let found: Vec<(&str, &str)> = found.iter().map(|(path, entry)| (path.as_str(), entry.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn an_image_of_a_registry_is_fetched_once() {
    for (form, is_docker) in [(Form::Gzip, true), (Form::Gzip, false), (Form::Zstd, false), (Form::Plain, false)] {
        let space = on("From(\"BASE\")", FIELDS);
        let mut registry = Registry::start(&space.beside("registry"));
        let of = |platform| BaseImage { is_docker, ..distribution(platform, form) };
        write_layout(&space.beside("base"), &[of("linux/arm64"), of("linux/amd64")]);
        registry.push(&space.beside("base"), "team/base:1");
        let name = format!("{}/team/base:1", registry.address);
        space.replace("build.ron", "BASE", &name);
        let run = space.ok(&["image"]);
        assert!(run.stderr.contains(&format!("build.lock does not pin `{name}` for linux/amd64")), "{}", run.stderr);
        is_on_distribution(&space);
        // The layers are the bytes of the base, whatever their form.
        for layer in &image(&space).0[..2] {
            assert_eq!(
                space.bytes(&format!("dist/image/{layer}")),
                fs::read(space.beside("base").join(layer)).unwrap()
            );
        }
        let asked = registry.requests().len();
        assert!(asked > 0, "the registry writes no log");
        space.ok(&["image"]).all_up_to_date();
        assert_eq!(registry.requests().len(), asked, "a warm build asks nothing");

        // Without the registry: nothing is asked, and from the cache everything is made again.
        registry.stop();
        space.ok(&["image", "--offline"]).all_up_to_date();
        space.remove("dist");
        space.ok(&["image", "--offline"]);
        let digest = space.read("dist/image/index.json");
        space.write("own", "other");
        space.ok(&["image", "--offline"]);
        assert_ne!(space.read("dist/image/index.json"), digest);
        space.write("own", "own");
        space.ok(&["image", "--offline", "--force"]);
        assert_eq!(space.read("dist/image/index.json"), digest);
        is_on_distribution(&space);
    }
}

impl Run {
    fn all_up_to_date(&self) {
        assert!(self.stderr.contains(": 0 ran,"), "{}", self.stderr);
    }
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn what_is_pinned_stays_until_it_is_moved() {
    let space = on("From(\"BASE\")", FIELDS);
    let registry = Registry::start(&space.beside("registry"));
    space.replace("build.ron", "BASE", &format!("{}/base:1", registry.address));
    space.replace("build.ron", "[\"linux/amd64\"]", "[\"linux/amd64\", \"linux/arm64\"]");
    let both = |form| [distribution("linux/amd64", form), distribution("linux/arm64", form)];
    write_layout(&space.beside("base"), &both(Form::Gzip));
    registry.push(&space.beside("base"), "base:1");
    space.run(&["image", "--locked"]).fails(3, &["build.lock does not pin", "--locked forbids", "lock` and commit"]);
    let run = space.ok(&["lock"]);
    assert!(run.stderr.contains("Pinned 127.0.0.1:") && run.stderr.contains("2024-05-06T07:08:09Z"), "{}", run.stderr);
    let first = space.read("build.lock");
    assert!(first.contains("format: 3,") && first.contains("\"linux/arm64\": ("), "{first}");
    let run = space.ok(&["image", "--locked", "--all-platforms"]);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let digest = space.read("dist/image/index.json");

    // Another image under the same tag: nothing moves by itself.
    let mut changed = both(Form::Gzip);
    for image in &mut changed {
        image.layers[1].0 = tar_of(&[Item::File("opt/tool", "a new tool", 0o755)]);
    }
    write_layout(&space.beside("other"), &changed);
    registry.push(&space.beside("other"), "base:1");
    assert!(space.ok(&["lock"]).stderr.contains("Unchanged"));
    assert_eq!(space.read("build.lock"), first);
    space.ok(&["image", "--locked", "--all-platforms"]).all_up_to_date();
    let run = space.ok(&["lock", "--update", "base"]);
    for expected in
        ["Moved 127.0.0.1", "  old: sha256:", "  new: sha256:", "  - layer sha256:", "  + layer", "1 of 2 layers"]
    {
        assert!(run.stderr.contains(expected), "{expected}\n{}", run.stderr);
    }
    assert_ne!(space.read("build.lock"), first);
    space.ok(&["image", "--locked", "--all-platforms"]);
    assert_ne!(space.read("dist/image/index.json"), digest);
    // Back to the first: known, and nothing is fetched.
    space.write("build.lock", &first);
    let asked = registry.requests().len();
    space.ok(&["image", "--locked", "--all-platforms"]);
    assert_eq!(space.read("dist/image/index.json"), digest);
    assert_eq!(registry.requests().len(), asked);

    // A pin that contradicts itself is refused when it is used.
    let layers: Vec<&str> = first.lines().filter(|line| line.contains("tar+gzip")).collect();
    space.write("build.lock", &first.replace(&format!("{}\n", layers[0]), ""));
    space
        .run(&["image", "--locked"])
        .fails(2, &["can't be a base", "its pin has other layers than its manifest names"]);
    // A base that no target has any more is no longer pinned.
    space.write("build.lock", &first);
    space.replace("build.ron", &format!("From(\"{}/base:1\")", registry.address), "Static");
    space.replace("build.ron", "owner: \"www\"", "owner: \"1:1\"");
    space.replace("build.ron", "labels:", "entrypoint: [\"/x\"], labels:");
    assert!(space.ok(&["lock"]).stderr.contains("no target needs it"));
    assert!(space.read("build.lock").contains("format: 2,"));
}

#[test]
fn a_layout_of_the_tree() {
    let space = on("Layout(\"bases/one\")", FIELDS);
    space
        .run(&["image"])
        .fails(2, &["`bases/one` can't be a base: there is no layout at `bases/one`", "--> build.ron:1"]);
    let layout = space.root().join("bases/one");
    write_layout(&layout, &[distribution("linux/amd64", Form::Zstd), distribution("linux/arm64", Form::Gzip)]);
    space.ok(&["image", "--locked"]);
    is_on_distribution(&space);
    space.ok(&["image"]).all_up_to_date();
    let first = space.read("dist/image/index.json");

    // What decides the image counts: its layers, and not those of another platform.
    let mut changed = [distribution("linux/amd64", Form::Zstd), distribution("linux/arm64", Form::Gzip)];
    changed[1].layers.pop();
    changed[1].config = json!({});
    fs::remove_dir_all(&layout).unwrap();
    write_layout(&layout, &changed);
    space.ok(&["image"]);
    assert_eq!(space.read("dist/image/index.json"), first);
    changed[0].config["Env"] = json!(["NEW=1"]);
    write_layout(&layout, &changed);
    space.ok(&["image"]);
    assert_eq!(image(&space).1["config"]["Env"], json!(["NEW=1", PATH, "CHANGE=own"]));

    // A blob that is not what its name says is never used.
    let blob = layout.join(&image(&space).0[0]);
    let bytes = fs::read(&blob).unwrap();
    fs::write(&blob, [&bytes[..bytes.len() - 1], b"x"].concat()).unwrap();
    space.run(&["image"]).fails(2, &["has other contents than its name says"]);
    fs::write(&blob, &bytes[1..]).unwrap();
    space.run(&["image"]).fails(2, &["is not the file of"]);
    fs::write(&blob, &bytes).unwrap();
    space.ok(&["image"]);

    // Another platform than the base has.
    space.replace("build.ron", "linux/amd64", "linux/s390x");
    space.run(&["image"]).fails(2, &["it has no image for linux/s390x, only for linux/amd64, linux/arm64"]);
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[test]
fn a_layer_that_is_not_the_one_of_the_configuration() {
    let space = on("Layout(\"base\")", FIELDS);
    let layout = space.root().join("base");
    write_layout(&layout, &[distribution("linux/amd64", Form::Plain)]);
    // The manifest names another layer, by a right digest: the configuration knows the first.
    let index = json(&space.read("base/index.json"));
    let digest = index["manifests"][1]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let mut manifest = json(&space.read(&format!("base/blobs/sha256/{digest}")));
    let other = tar_of(&[Item::File("x", "x", 0o644)]);
    let found = rondel_cas::Digest::of(&other);
    fs::write(layout.join("blobs/sha256").join(found.hex()), &other).unwrap();
    manifest["layers"][1]["digest"] = json!(found.oci());
    manifest["layers"][1]["size"] = json!(other.len());
    let text = manifest.to_string();
    let of_manifest = rondel_cas::Digest::of(text.as_bytes());
    fs::write(layout.join("blobs/sha256").join(of_manifest.hex()), &text).unwrap();
    let index = space.read("base/index.json").replace(&digest, &of_manifest.hex());
    let mut index = json(&index);
    index["manifests"][1]["size"] = json!(text.len());
    space.write("base/index.json", &index.to_string());
    space.run(&["image"]).fails(2, &["a layer has the diff ID sha256:", "and its configuration says sha256:"]);
}

#[test]
fn users_and_certificates_are_added_to_those_of_the_base() {
    let fields = r#"users: {"app": "10001:10002", "www": "33:34"}, authorities: ["ca.pem"], user: "app", entrypoint: ["/x"],
        files: {"/srv/own": File("own", owner: "app")}"#;
    let space = on("Layout(\"base\")", fields);
    let authority = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n";
    space.write("ca.pem", authority);
    write_layout(&space.root().join("base"), &[distribution("linux/amd64", Form::Gzip)]);
    space.ok(&["image"]);
    let root = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34:www:/srv:/bin/sh";
    let passwd = format!("640 7:8 {root}\napp:x:10001:10002:app:/home/app:/sbin/nologin\n");
    let bundle = format!("600 7:8 -----BEGIN CERTIFICATE-----\nbase\n-----END CERTIFICATE-----\n{authority}");
    let found = own_entries(&space, 2);
    let expected = [
        ("etc/group", "644 7:8 root:x:0:\nwww:x:34:\napp:x:10002:\n"),
        ("etc/passwd", passwd.as_str()),
        // The link that leads to it stays.
        ("etc/ssl/real.pem", bundle.as_str()),
        ("home/", "755 0:0"),
        ("home/app/", "700 10001:10002"),
        ("home/www/", "700 33:34"),
        ("srv/own", "644 10001:10002 own"),
    ];
    let found: Vec<(&str, &str)> = found.iter().map(|(path, entry)| (path.as_str(), entry.as_str())).collect();
    assert_eq!(found, expected);
    assert_eq!(image(&space).1["config"]["User"], "app");
    space.ok(&["image"]).all_up_to_date();

    // Each of them counts.
    for (from, to) in
        [("10001:10002", "10003:10002"), ("\"ca.pem\"", "\"ca.pem\", \"own.pem\""), ("user: \"app\"", "user: \"www\"")]
    {
        space.write("own.pem", "-----BEGIN CERTIFICATE-----\nsecond\n-----END CERTIFICATE-----");
        let before = space.read("dist/image/index.json");
        space.replace("build.ron", from, to);
        space.ok(&["image"]);
        assert_ne!(space.read("dist/image/index.json"), before, "{to}");
    }
    space.write("own.pem", &authority.replace("own", "third"));
    let before = space.read("dist/image/index.json");
    space.ok(&["image"]);
    assert_ne!(space.read("dist/image/index.json"), before);

    // What can't be added.
    space.write("own.pem", "no certificate");
    space.run(&["image"]).fails(2, &["`own.pem` holds no certificate", "build.ron:1"]);
    space.write("own.pem", &format!("{authority}-----BEGIN PRIVATE KEY-----\n"));
    space.run(&["image"]).fails(2, &["`own.pem` holds a private key"]);
    space.write("own.pem", authority);
    space.replace("build.ron", "\"www\": \"33:34\"", "\"www\": \"33:35\"");
    space.run(&["image"]).fails(2, &["`www` is in the base, with the numbers 33:34", "build.ron:1"]);
    space.replace("build.ron", "\"www\": \"33:35\"", "\"x\": \"1:1\"");
    space.replace("build.ron", "user: \"www\"", "user: \"wwww\"");
    space.run(&["image"]).fails(2, &["`wwww` is not a user of `base`", "or add it with `users`"]);
}

#[test]
fn a_base_without_certificates_gets_some() {
    let space = on("Layout(\"base\")", "entrypoint: [\"/x\"]");
    let mut bare = distribution("linux/amd64", Form::Gzip);
    bare.layers = vec![(tar_of(&[Item::Directory("etc", 0o700)]), Form::Gzip)];
    write_layout(&space.root().join("base"), &[bare]);
    space.ok(&["image"]);
    let found = own_entries(&space, 1);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["etc/ssl/", "etc/ssl/certs/", "etc/ssl/certs/ca-certificates.crt"]);
    assert!(found["etc/ssl/certs/ca-certificates.crt"].matches("BEGIN CERTIFICATE").count() > 100);
    space.replace("build.ron", "entrypoint", "certificates: false, entrypoint");
    space.ok(&["image"]);
    assert_eq!(image(&space).0.len(), 1, "there is nothing to add");
}

#[test]
fn what_the_base_has_is_no_place_for_something_else() {
    for (files, expected) in [
        (r#""/usr/lib": File("own")"#, "`/usr/lib` can't be put there: `/usr/lib` is a directory of the base"),
        (r#""/opt/tool/x": File("own")"#, "`/opt/tool` can't be put there: `/opt/tool` is a file of the base"),
        (r#""/opt/tool": File("dir")"#, "`/opt/tool` is a file of the base"),
        (r#""/lib/x": File("own"), "/usr/lib/x": File("own")"#, "another file has the same place, `/usr/lib/x`"),
        (r#""/x": File("own", owner: "nobody")"#, "`nobody` is not a user of the image"),
    ] {
        let space = on("Layout(\"base\")", &format!("files: {{{files}}}"));
        space.write("dir/file", "");
        write_layout(&space.root().join("base"), &[distribution("linux/amd64", Form::Gzip)]);
        space.run(&["image"]).fails(2, &[expected, "hint: "]);
    }
    // A link of the base at the place itself is replaced, as `COPY` does it.
    let space = on("Layout(\"base\")", "files: {\"/etc/ssl/cert.pem\": File(\"own\"), \"/lib\": File(\"dir\")}");
    space.write("dir/file", "in it");
    write_layout(&space.root().join("base"), &[distribution("linux/amd64", Form::Gzip)]);
    space.ok(&["image"]);
    let found = own_entries(&space, 2);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["etc/ssl/cert.pem", "usr/lib/file"]);
}

#[test]
fn an_image_on_the_image_of_another_target() {
    let targets = r#""lower": Image(base: Static, files: {"/lower": File("own")}, entrypoint: ["/lower"], user: "nobody"),
        "image": Image(base: From(Output("lower")), files: {"/upper": File("own")}, env: {"A": "1"}, labels: {"l": "m"})"#;
    let space = TestSpace::with_targets(targets);
    space.write("own", "own");
    space.ok(&["image"]);
    let (layers, config) = image(&space);
    assert_eq!(layers.len(), 3);
    assert_eq!(config["config"]["Entrypoint"], json!(["/lower"]));
    assert_eq!(config["config"]["User"], "nobody");
    space.ok(&["image"]).all_up_to_date();
    let before = space.read("dist/image/index.json");
    space.replace("build.ron", "user: \"nobody\"", "user: \"nonroot\"");
    space.ok(&["image"]);
    assert_ne!(space.read("dist/image/index.json"), before);
    assert_eq!(image(&space).1["config"]["User"], "nonroot");
}

/// The layers of an image hang on what they use of the base, and on nothing else of it.
#[test]
fn layers_are_kept_when_the_base_changes_elsewhere() {
    let space = on("Layout(\"base\")", FIELDS);
    let layout = space.root().join("base");
    let mut base = distribution("linux/amd64", Form::Gzip);
    write_layout(&layout, std::slice::from_ref(&base));
    space.ok(&["image"]);
    let own = |space: &TestSpace| image(space).0.last().unwrap().clone();
    let (first, ran) = (own(&space), |run: &Run, step: &str| run.stderr.contains(step));
    base.layers[1].0 = tar_of(&[Item::File("opt/tool", "another", 0o755)]);
    write_layout(&layout, std::slice::from_ref(&base));
    let run = space.ok(&["image", "-v"]);
    assert!(ran(&run, "Up to date image: layer files"), "{}", run.stderr);
    assert_eq!(own(&space), first);
    // The numbers of a user that is named, the permissions of a directory that is written, a link on the way.
    let root = "root:x:0:0::/:\n";
    for (change, expected) in [
        (Item::File("etc/passwd", "root:x:0:0::/:\nwww:x:5:6::/:\n", 0o644), ("srv/page", "644 5:6 own")),
        (Item::Link("lib", "srv"), ("srv/own.so", "644 0:0 own")),
        (Item::Link("new", "etc"), ("etc/deep/x", "644 0:0 own")),
    ] {
        let mut changed = base.clone();
        changed.layers[1].0 = tar_of(&[change]);
        write_layout(&layout, &[changed]);
        space.ok(&["image"]);
        let found = own_entries(&space, 2);
        assert_eq!(found.get(expected.0).map(String::as_str), Some(expected.1), "{root}{found:?}");
    }
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn what_a_registry_does_not_have() {
    let space = on("From(\"BASE\")", FIELDS);
    let mut registry = Registry::start(&space.beside("registry"));
    let name = format!("{}/none:1", registry.address);
    space.replace("build.ron", "BASE", &name);
    space.run(&["image"]).fails(3, &[&format!("`{name}` was not found"), "hint: check the name and the tag"]);
    space.run(&["lock"]).fails(3, &["was not found"]);
    assert!(!space.exists("build.lock"));
    space.run(&["image", "--offline"]).fails(3, &["was never looked up here", "hint: run once without --offline"]);
    let plan = space.ok(&["plan", "image"]);
    assert!(plan.stdout.contains("has not been looked up yet"), "{}", plan.stdout);
    registry.stop();
    space.run(&["image"]).fails(3, &[&format!("{} failed for", registry.address), "hint: check the registry"]);
    // The next run is right.
    registry.resume();
    write_layout(&space.beside("base"), &[distribution("linux/amd64", Form::Gzip)]);
    registry.push(&space.beside("base"), "none:1");
    space.ok(&["image"]);
    is_on_distribution(&space);
    // A mirror that has it is asked first; the registry itself does not exist.
    let mirror = registry.address.clone();
    space.replace("build.ron", &name, "registry.invalid/none:1");
    space.replace(
        "build.ron",
        "targets:",
        &format!("registries: {{\"registry.invalid\": Registry(mirrors: [\"{mirror}\"])}}, targets:"),
    );
    space.ok(&["image"]);
    is_on_distribution(&space);
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn a_digest_is_a_pin_by_itself() {
    let space = on("From(\"BASE\")", FIELDS);
    let registry = Registry::start(&space.beside("registry"));
    write_layout(&space.beside("base"), &[distribution("linux/amd64", Form::Gzip)]);
    registry.push(&space.beside("base"), "base:1");
    let index = fs::read(space.beside("base").join("index.json")).unwrap();
    let name = format!("{}/base@{}", registry.address, rondel_cas::Digest::of(&index).oci());
    space.replace("build.ron", "BASE", &name);
    let run = space.ok(&["image", "--locked"]);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    is_on_distribution(&space);
    // It is named in the image.
    let inspected = space.ok(&["inspect", "image"]).stdout;
    let lines: Vec<&str> = inspected.lines().map(str::trim).collect();
    assert!(lines.contains(&format!("base name    {name}").as_str()), "{inspected}");
    let from_base = lines.iter().find(|line| line.starts_with("from base")).unwrap();
    for word in ["user", "workdir", "entrypoint", "cmd", "env KEEP", "label from", "port 80/tcp", "volume /data"] {
        assert!(from_base.contains(word), "{word}\n{inspected}");
    }
    assert!(!from_base.contains("CHANGE") && !from_base.contains("label by"), "{inspected}");
    let plan = space.ok(&["plan", "-v", "image"]).stdout;
    assert!(plan.contains("linux/amd64 env KEEP 1 (base)"), "{plan}");
    assert!(plan.contains("linux/amd64 env CHANGE own (build.ron)"), "{plan}");
}

/// What an image adds hangs on what the base has of it, also if that is nothing.
#[test]
fn another_base_has_other_users() {
    let fields = r#"certificates: false, users: {"b": "6:6", "a": "5:5"}, entrypoint: ["/x"], files: {"/x": File("own"), "/home/a/x": File("own")}"#;
    let space = on("Layout(\"base\")", fields);
    let with = |items: &[Item<'_>]| {
        let mut base = distribution("linux/amd64", Form::Gzip);
        base.config = json!({});
        base.layers = vec![(tar_of(items), Form::Gzip)];
        write_layout(&space.root().join("base"), &[base]);
        space.ok(&["image"]);
        own_entries(&space, 1)
    };
    let none = with(&[Item::Directory("etc", 0o755)]);
    assert_eq!(none["etc/passwd"], "644 0:0 a:x:5:5:a:/home/a:/sbin/nologin\nb:x:6:6:b:/home/b:/sbin/nologin\n");
    // The home of a user stays its own, whatever is put into it.
    assert_eq!(none["home/a/"], "700 5:5");
    let digest = space.read("dist/image/index.json");
    let own = "root:x:0:0::/:\na:x:5:5::/:\nb:x:6:6::/:\n";
    let all = with(&[Item::File("etc/passwd", own, 0o644), Item::File("etc/group", "a:x:5:\nb:x:6:\n", 0o644)]);
    assert_eq!(all.get("etc/passwd"), None, "the base has them all");
    // Another name of the same file, as package managers make them.
    let linked = with(&[Item::File("etc/passwd-", own, 0o644), Item::Hard("etc/passwd", "etc/passwd-")]);
    assert_eq!(linked.get("etc/passwd"), None);
    assert_eq!(with(&[Item::Directory("etc", 0o755)]), none);
    assert_eq!(space.read("dist/image/index.json"), digest);
    // The order in build.ron says nothing.
    space.replace("build.ron", r#""b": "6:6", "a": "5:5""#, r#""a": "5:5", "b": "6:6""#);
    space.ok(&["image"]).all_up_to_date();
    space.ok(&["image", "--force"]);
    assert_eq!(space.read("dist/image/index.json"), digest);
}

#[test]
fn links_of_the_base_are_in_the_key() {
    let space = on("Layout(\"base\")", r#"files: {"/a/f": File("own"), "/b/f": File("two")}, certificates: false"#);
    space.write("two", "two");
    let with = |a: &str, b: &str| {
        let mut base = distribution("linux/amd64", Form::Gzip);
        let items = [Item::Directory("p", 0o755), Item::Directory("q", 0o755), Item::Link("a", a), Item::Link("b", b)];
        base.layers = vec![(tar_of(&items), Form::Gzip)];
        write_layout(&space.root().join("base"), &[base]);
        space.ok(&["image"]);
        own_entries(&space, 1)
    };
    assert_eq!(with("p", "q")["p/f"], "644 0:0 own");
    assert_eq!(with("q", "p")["p/f"], "644 0:0 two");
}

/// A directory that an upper layer implies covers a link of a lower one, as Docker's storage has it.
#[test]
fn layers_are_unpacked_by_themselves() {
    let space = on("Layout(\"base\")", r#"files: {"/lib/f": File("own")}, certificates: false"#);
    let mut base = distribution("linux/amd64", Form::Gzip);
    base.layers[1].0 = tar_of(&[Item::File("lib/upper", "u", 0o644)]);
    write_layout(&space.root().join("base"), &[base]);
    space.ok(&["image"]);
    assert_eq!(own_entries(&space, 2).keys().collect::<Vec<_>>(), ["lib/f"]);
}

#[test]
fn layouts_that_are_not_of_the_tree() {
    let targets = r#""other": Image(base: Static, files: {"/f": File("own")}, entrypoint: ["/f"]),
        "image": Image(base: Layout("dist/other"), entrypoint: ["/f"])"#;
    let space = TestSpace::with_targets(targets);
    space.write("own", "own");
    space.run(&["image"]).fails(2, &["`dist/other` holds the output of `other`, which `image` does not wait for"]);
    space.replace("build.ron", "Layout(\"dist/other\")", "Layout(\"base\")");
    space.run(&["image"]).fails(2, &["`base` can't be a base: there is no layout at `base`", "--> build.ron:2:"]);
    // No link leads out of the workspace.
    let outside = space.beside("outside");
    write_layout(&outside, &[distribution("linux/amd64", Form::Gzip)]);
    std::os::unix::fs::symlink(&outside, space.root().join("base")).unwrap();
    space.run(&["image"]).fails(2, &["`base` can't be a base"]);
    space.remove("base");
    space.write("base/oci-layout", "{}");
    fs::copy(outside.join("index.json"), space.root().join("base/index.json")).unwrap();
    std::os::unix::fs::symlink(outside.join("blobs"), space.root().join("base/blobs")).unwrap();
    space.run(&["image"]).fails(2, &["`base` can't be a base", "leads out of the workspace"]);
    // A target and a layout of one name are two bases.
    space.remove("base");
    write_layout(&space.root().join("other"), &[distribution("linux/amd64", Form::Gzip)]);
    space.replace("build.ron", "Layout(\"base\")", "Layout(\"other\")");
    space.replace(
        "build.ron",
        "entrypoint: [\"/f\"])}",
        "entrypoint: [\"/f\"]), \"third\": Image(base: From(Output(\"other\")))}",
    );
    space.ok(&["image", "third"]);
    space.ok(&["image", "third"]).all_up_to_date();
}

/// Sizes and names that no image has are refused before anything is read or summed up.
#[test]
fn a_base_with_absurd_sizes() {
    let space = on("Layout(\"base\")", FIELDS);
    let layout = space.root().join("base");
    write_layout(&layout, &[distribution("linux/amd64", Form::Gzip)]);
    let index = space.read("base/index.json");
    space.write("base/index.json", &index.replace("\"size\":", "\"size\":922337203685477"));
    space.run(&["image"]).fails(2, &["a blob of 922337203685477", "bytes; at most"]);
    let mut base = distribution("linux/amd64", Form::Gzip);
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 32);
    header.set_cksum();
    base.layers[1].0 = header.as_bytes().to_vec();
    write_layout(&layout, std::slice::from_ref(&base));
    space.run(&["image"]).fails(2, &["a layer can't be read: a name of 4294967296 bytes"]);
    // More layers than engines take.
    base.layers = (0..127).map(|_| (tar_of(&[Item::Directory("x", 0o755)]), Form::Gzip)).collect();
    write_layout(&layout, &[base]);
    space.replace("build.ron", ", owner: \"www\"", "");
    space.run(&["image"]).fails(2, &["the image has 129 layers", "at most 127"]);
}

/// With a password, and a certificate of the user's own authority. Nothing of the password is kept.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_openssl), ignore = "no openssl with python3")]
fn a_company_registry() {
    let mut space = on("From(\"BASE\")", FIELDS);
    let site = space.beside("site");
    fs::create_dir_all(&site).unwrap();
    for arguments in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=company",
        "req -x509 -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.pem -days 2 -subj /CN=127.0.0.1 -CA ca.pem -CAkey ca.key -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE",
    ] {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(&site).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // me:secret-word
    fs::write(site.join("htpasswd"), "me:$2a$04$IzRY.Xp7e4zbXCr3Wcezxuk8.sY12ZicizvV5mFiTWePVXcUXp1C2\n").unwrap();
    let at = |name: &str| site.join(name).display().to_string();
    let accounts = format!("auth: {{htpasswd: {{realm: company, path: {}}}}}", at("htpasswd"));
    let tls = format!(", tls: {{certificate: {}, key: {}}}", at("leaf.pem"), at("leaf.key"));
    // Filled without either, and served with both.
    let layout = space.beside("base");
    write_layout(&layout, &[distribution("linux/amd64", Form::Gzip)]);
    Registry::start(&space.beside("registry")).push(&layout, "team/base:1");
    let registry = Registry::with_settings(&space.beside("registry"), &accounts, &tls);
    let host = registry.address.clone();
    space.replace("build.ron", "BASE", &format!("{host}/team/base:1"));
    let declared = format!("registries: {{\"{host}\": Registry(plain_http: false)}}, targets:");
    space.replace("build.ron", "targets:", &declared);

    space.unset("SSL_CERT_FILE");
    space.run(&["image"]).fails(3, &[&format!("{host} failed for"), "certificate", "hint: "]);
    space.set("SSL_CERT_FILE", &at("ca.pem"));
    let hint = format!("hint: log in with `docker login {host}`");
    space.run(&["image"]).fails(3, &[&format!("{host} does not let anyone read `team/base`"), &hint]);
    let home = space.beside("home");
    let docker = home.join(".docker");
    fs::create_dir_all(&docker).unwrap();
    // me:wrong
    let config = |text: &str| fs::write(docker.join("config.json"), text).unwrap();
    config(&format!("{{\"auths\": {{\"{host}\": {{\"auth\": \"bWU6d3Jvbmc=\"}}}}}}"));
    space.run(&["image"]).fails(3, &[&format!("{host} does not let `me` read `team/base`"), &hint]);
    config("{\"credsStore\": \"missing\"}");
    space.run(&["image"]).fails(3, &["docker-credential-missing"]);
    // A helper that gives the right one.
    let script =
        r#"test "$1" = get && cat >/dev/null && echo '{"ServerURL":"x","Username":"me","Secret":"secret-word"}'"#;
    space.program("docker-credential-company", script);
    config(&format!("{{\"credHelpers\": {{\"{host}\": \"company\"}}}}"));
    let run = space.ok(&["image", "-v"]);
    is_on_distribution(&space);
    space.ok(&["lock"]);
    let encoded = "bWU6c2VjcmV0LXdvcmQ=";
    for text in [&run.stdout, &run.stderr, &space.read("build.lock")] {
        assert!(!text.contains("secret-word") && !text.contains(encoded), "{text}");
    }
    for directory in [space.root(), space.cache()] {
        let output =
            Command::new("grep").args(["-r", "-l", "-e", "secret-word", "-e", encoded]).arg(directory).output();
        assert_eq!(String::from_utf8_lossy(&output.unwrap().stdout), "");
    }
}

#[test]
#[cfg_attr(not(has_umoci), ignore = "no umoci with skopeo")]
fn other_programs_take_an_image_on_a_base() {
    let space = on("Layout(\"base\")", &format!("{FIELDS}, users: {{\"app\": \"1:1\"}}"));
    write_layout(&space.root().join("base"), &[distribution("linux/amd64", Form::Gzip)]);
    space.ok(&["image"]);
    let (layout, unpacked) = (space.root().join("dist/image"), space.beside("unpacked"));
    let tagged = space.beside("tagged");
    let run = |program: &str, arguments: &[String]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let from = format!("oci:{}", layout.display());
    run("skopeo", &["copy".into(), "--quiet".into(), from, format!("oci:{}:x", tagged.display())]);
    let to = unpacked.display().to_string();
    run("umoci", &["unpack".into(), "--rootless".into(), "--image".into(), format!("{}:x", tagged.display()), to]);
    let root = unpacked.join("rootfs");
    assert_eq!(fs::read_to_string(root.join("lib/own.so")).unwrap(), "own");
    assert!(root.join("lib").is_symlink() && !root.join("usr/lib/gone").exists());
    assert!(fs::read_to_string(root.join("etc/passwd")).unwrap().contains("app:x:1:1:"));
}
