//! Images on bases of a registry: pins, accounts, what a registry does not have. It is a real one on loopback.

use std::fs;
use std::process::Command;

use crate::base_image::{BaseImage, Form, Item, Registry, company, distribution, tar_of, write_layout};
use crate::bases::{FIELDS, image, is_on_distribution, on};

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

/// With a password, and a certificate of the user's own authority. Nothing of the password is kept.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_openssl), ignore = "no openssl with python3")]
fn a_company_registry() {
    let mut space = on("From(\"BASE\")", FIELDS);
    let site = space.beside("site");
    let (accounts, tls) = company(&site);
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
    space.set("SSL_CERT_FILE", &site.join("ca.pem").display().to_string());
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
