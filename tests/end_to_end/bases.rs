//! Images on a base: of a layout in the tree, of another target; what is put onto it, and hostile ones.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::process::Command;

use serde_json::{Value, json};

use crate::base_image::{Form, Item, distribution, tar_of, write_layout};
use crate::space::{Run, TestSpace};

pub const FIELDS: &str = r#"files: {"/lib/own.so": File("own"), "/srv/page": File("own", owner: "www"), "/new/deep/x": File("own")},
    env: {"CHANGE": "own"}, labels: {"by": "rondel"}"#;

/// A workspace with an image on `base`, with more fields.
pub fn on(base: &str, fields: &str) -> TestSpace {
    let space = TestSpace::with_targets(&format!(
        "\"image\": Image(base: {base}, {fields}, tags: [\"rondel-test-base:1\"], platforms: [\"linux/amd64\"])"
    ));
    space.write("own", "own");
    space
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The layers and the configuration of the image for linux/amd64 in `dist/image`.
pub fn image(space: &TestSpace) -> (Vec<String>, Value) {
    let manifest = json(&space.read("dist/image/manifest.json"));
    let layers = manifest[0]["Layers"].as_array().unwrap().iter();
    let layers = layers.map(|layer| layer.as_str().unwrap().to_owned()).collect();
    (layers, json(&space.read(&format!("dist/image/{}", manifest[0]["Config"].as_str().unwrap()))))
}

/// The entries of the layers that Rondel wrote, above `below` others: `mode uid:gid`, a link or the contents. A directory may be in
/// several of them, with the same permissions.
pub fn own_entries(space: &TestSpace, below: usize) -> BTreeMap<String, String> {
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
pub fn is_on_distribution(space: &TestSpace) {
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

impl Run {
    pub fn all_up_to_date(&self) {
        assert!(self.stderr.contains(": 0 ran,"), "{}", self.stderr);
    }
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
    assert!(space.audit_all(&[]).contains("image"));

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
