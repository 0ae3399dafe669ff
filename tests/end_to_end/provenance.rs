//! What is said of artefacts: `inspect`, and bills of materials.

use std::process::Command;

use serde_json::Value;

use crate::space::{TestSpace, copy, repository};

fn council() -> TestSpace {
    let space = TestSpace::empty().with_shared_go();
    copy(&repository().join("examples"), &space.root().join("examples"), &|_| true);
    for file in ["build.ron", "build.lock"] {
        std::fs::copy(repository().join(file), space.root().join(file)).unwrap();
    }
    space
}

#[test]
fn an_executable_is_inspected() {
    let space = council();
    space.ok(&["server", "--set", "version=v9.9.9"]);
    let text = space.ok(&["inspect", "server"]).stdout;
    for words in [
        "go           go1.22.12",
        "module       example.com/council (devel)",
        "setting      GOARCH=amd64",
        "github.com/jackc/pgx/v5 v5.7.2",
        "made by      server (linux/amd64)",
        "key          sha256:",
        "-X main.version=v9.9.9",
        "tool         go go1.22.12 ",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert!(space.ok(&["inspect", "server", "--verbose"]).stdout.contains("internal/api/health.go"));
    // A copy under another name is the same to it; one that nobody knows is still a Go executable.
    let copy = space.beside("copy");
    std::fs::copy(space.root().join("dist/server/linux_amd64/council"), &copy).unwrap();
    let path = copy.display().to_string();
    let run = space.ok(&["inspect", &path, "--format", "json"]);
    let value: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(value[0]["made_by"][0]["step"], "server (linux/amd64)");
    assert_eq!(value[0]["go"]["version"], "go1.22.12");
    space.remove(".rondel");
    assert!(!space.ok(&["inspect", &path]).stdout.contains("made by"));
    space.run(&["inspect", "README.md"]).fails(2, &["there is no target `README.md`"]);
    space.run(&["inspect", "build.ron"]).fails(2, &["has no build information"]);
    space.run(&["inspect", "run"]).fails(2, &["makes no executable and no image"]);
    space.run(&["inspect", "image"]).fails(2, &["`image` has not been built"]);
}

#[test]
fn an_image_is_inspected() {
    let space = council();
    space.ok(&["image"]);
    let text = space.ok(&["inspect", "image", "--verbose"]).stdout;
    for words in [
        "platform     linux/amd64",
        "user         65532:65532",
        "executable   /app/council",
        "/etc/passwd",
        "entrypoint   [\"/app/council\"]",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let run = space.ok(&["inspect", "image", "--format", "json"]);
    let value: Value = serde_json::from_str(&run.stdout).unwrap();
    let layers = value[0]["platforms"][0]["layers"].as_array().unwrap();
    let executable = &layers.last().unwrap()["executables"][0];
    assert_eq!(
        (executable["path"].as_str(), executable["version"].as_str()),
        (Some("/app/council"), Some("go1.22.12"))
    );
    // Secrets and control sequences of a hostile layout stay harmless.
    let index = space.read("dist/image/index.json");
    space.write("dist/image/index.json", &index.replace("sha256:", "sha256:../../../"));
    space.run(&["inspect", "dist/image"]).fails(2, &["is not a valid OCI layout"]);
}

#[test]
fn a_bill_of_materials_beside_each_executable() {
    let space = council();
    space.replace(
        "build.ron",
        "packages: [\"./cmd/council\"],",
        "packages: [\"./cmd/council\"],\n            sbom: true,",
    );
    space.ok(&["server", "--all-platforms"]);
    let path = "dist/server/linux_amd64/council.spdx.json";
    let text = space.read(path);
    let document: Value = serde_json::from_str(&text).unwrap();
    let packages = document["packages"].as_array().unwrap();
    let named = |name: &str| packages.iter().find(|package| package["name"] == name).unwrap();
    assert_eq!(named("github.com/jackc/pgx/v5")["versionInfo"], "v5.7.2");
    assert_eq!(named("stdlib")["externalRefs"][0]["referenceLocator"], "pkg:golang/stdlib@1.22.12");
    // go.sum's own line, in words and not as a checksum.
    let sums = space.read("examples/council/go.sum");
    let sum = sums.lines().find_map(|line| line.strip_prefix("github.com/jackc/pgx/v5 v5.7.2 ")).unwrap();
    let told = named("github.com/jackc/pgx/v5")["sourceInfo"].as_str().unwrap();
    assert!(sum.starts_with("h1:") && told.starts_with(&format!("go.sum: {sum} (hash over")), "{told}");
    assert!(space.exists("dist/server/linux_arm64/council.spdx.json"));
    // The same elsewhere; nothing to do the second time; and gone without `sbom`.
    assert!(space.ran(&["server", "--all-platforms"]).is_empty());
    space.remove("dist");
    space.ok(&["server", "--force"]);
    assert_eq!(text, space.read(path));
    let run = space.run(&["verify", "server"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

/// The SPDX project's own validator takes it.
#[test]
#[cfg_attr(not(has_pyspdxtools), ignore = "no pyspdxtools")]
fn a_bill_of_materials_is_valid() {
    let space = council();
    space.replace("build.ron", "packages: [\"./cmd/council\"],", "packages: [\"./cmd/council\"], sbom: true,");
    space.ok(&["server"]);
    let path = "dist/server/linux_amd64/council.spdx.json";
    let text = space.read(path);
    let output = Command::new("pyspdxtools").arg("-i").arg(space.root().join(path)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // It does refuse what is wrong.
    space.write("broken.spdx.json", &text.replace("SPDXRef-Module-1\"", "no reference\""));
    let output = Command::new("pyspdxtools").arg("-i").arg(space.root().join("broken.spdx.json")).output().unwrap();
    assert!(!output.status.success());
}
