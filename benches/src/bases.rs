//! An image on a base of a registry on loopback, against the same on the static base, and against the base's bare
//! download: from nothing, and when nothing changed. The base is the stand-in for alpine:3.19 (tests/images).

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::contenders::{Contender, Lab, REGISTRY, turns};
use crate::statistics::table;

/// Measures first builds and no-ops.
pub(crate) fn bases(lab: &Lab, rounds: usize) -> Result<()> {
    let archive = lab.root.join("alpine.tar");
    let (archive_text, name) = (archive.display().to_string(), format!("{REGISTRY}/alpine:3.19"));
    succeed("docker", &["save", "--output", &archive_text, "alpine:3.19"])?;
    succeed("crane", &["push", "--insecure", &archive_text, &name])?;
    let manifest = Command::new("crane").args(["manifest", "--insecure", &name]).output()?.stdout;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).context("the manifest of the base")?;
    let mut urls = vec![format!("http://{REGISTRY}/v2/alpine/manifests/3.19")];
    let layers = manifest["layers"].as_array().into_iter().flatten();
    for blob in std::iter::once(&manifest["config"]).chain(layers) {
        urls.push(format!("http://{REGISTRY}/v2/alpine/blobs/{}", blob["digest"].as_str().context("a digest")?));
    }
    let tree = lab.root.join("bases");
    let _ = fs::remove_dir_all(&tree);
    let mut environment = lab.environment();
    environment.insert("DOCKER_HOST".into(), "unix:///nonexistent".into());
    environment.insert("RONDEL_CACHE_DIR".into(), tree.join("cache").display().to_string());
    let program = lab.rondel.display().to_string();
    let mut all = Vec::new();
    for (title, base) in [("on Static", "Static".to_owned()), ("on the base", format!("From(\"{name}\")"))] {
        let directory = tree.join(title.replace(' ', "-"));
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("file"), "a file\n")?;
        let targets =
            format!("\"image\": Image(base: {base}, files: {{\"/file\": File(\"file\")}}, entrypoint: [\"/file\"])");
        fs::write(directory.join("build.ron"), format!("(format: 1, project: \"b\", targets: {{{targets}}})\n"))?;
        all.push(Contender::new(title, &directory, &[&program, "--quiet", "image"], environment.clone()));
    }
    let words: Vec<&str> = ["curl", "--silent", "--fail", "--output", "/dev/null"]
        .into_iter()
        .chain(urls.iter().map(String::as_str))
        .collect();
    let download = Contender::new("curl: manifest, configuration, layers", &tree, &words, environment);
    println!("from nothing");
    let contenders = [&all[0], &all[1], &download];
    table(&turns(&contenders, rounds, &|_| from_nothing(&tree))?);
    println!("\nnothing changed");
    all.iter().try_for_each(|contender| contender.run().map(drop))?;
    table(&turns(&[&all[0], &all[1]], rounds * 4, &|_| Ok(()))?);
    Ok(())
}

fn succeed(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("{program} is needed"))?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Removes the caches, and what was built.
fn from_nothing(tree: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(tree.join("cache"));
    for directory in fs::read_dir(tree)?.flatten() {
        for name in [".rondel", "dist"] {
            let _ = fs::remove_dir_all(directory.path().join(name));
        }
    }
    Ok(())
}
