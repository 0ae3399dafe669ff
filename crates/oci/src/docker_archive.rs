//! Reading of what `docker save` writes: the configuration and the layers of one image. Old daemons have a directory a
//! layer, and links between those that are the same; new ones have an OCI layout beside `manifest.json`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rondel_cas::RelativePath;
use serde::Deserialize;

/// Maximum size of manifest.json in bytes.
const MANIFEST_MAX: u64 = 4 << 20;

/// The files of an unpacked archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerArchive {
    /// The configuration.
    pub config: PathBuf,
    /// The layers, lowest first, as they are in the archive: plain or compressed.
    pub layers: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    layers: Vec<String>,
}

/// Unpacks the archive of one image into `directory`, which is empty.
pub fn unpack_docker_archive(archive: &mut dyn Read, directory: &Path) -> io::Result<DockerArchive> {
    let wrong = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
    // Names of the archive lead to files with names of our own.
    let (mut files, mut links) = (BTreeMap::new(), BTreeMap::new());
    let mut archive = tar::Archive::new(archive);
    for (number, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        match entry.header().entry_type() {
            tar::EntryType::Regular => {
                let path = directory.join(number.to_string());
                io::copy(&mut entry, &mut File::create_new(&path)?)?;
                files.insert(name, path);
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let target = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
                links.insert(name, target.unwrap_or_default());
            }
            _ => {}
        }
    }
    let find = |name: &str| -> io::Result<PathBuf> {
        if let Some(path) = files.get(name) {
            return Ok(path.clone());
        }
        let target = links.get(name).and_then(|target| beside(name, target));
        let found = target.and_then(|target| files.get(&target).cloned());
        found.ok_or_else(|| wrong(&format!("`{}` is missing", name.escape_debug())))
    };
    let manifest = find("manifest.json")?;
    let mut text = Vec::new();
    rondel_cas::open_at_most(&manifest, MANIFEST_MAX)?.0.read_to_end(&mut text)?;
    let listed: Vec<Listed> = serde_json::from_slice(&text).map_err(io::Error::other)?;
    let [image] = listed.as_slice() else { return Err(wrong(&format!("it holds {} images", listed.len()))) };
    let layers = image.layers.iter().map(|name| find(name)).collect::<io::Result<Vec<_>>>()?;
    let found = DockerArchive { config: find(&image.config)?, layers };
    let needed = |path: &PathBuf| found.layers.contains(path) || *path == found.config;
    for path in files.values().filter(|path| !needed(path)) {
        fs::remove_file(path)?;
    }
    Ok(found)
}

/// Returns what a link beside `name` leads to.
fn beside(name: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    RelativePath::new(&parts.join("/")).ok().map(|path| path.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &str, Option<&str>)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, text, link) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            match link {
                Some(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_size(0);
                    builder.append_link(&mut header, name, target).unwrap();
                }
                None => {
                    header.set_size(text.len() as u64);
                    builder.append_data(&mut header, name, text.as_bytes()).unwrap();
                }
            }
        }
        builder.into_inner().unwrap()
    }

    fn unpack(entries: &[(&str, &str, Option<&str>)]) -> Result<(String, Vec<String>), String> {
        let directory = std::env::temp_dir().join(rondel_cas::temporary_name());
        fs::create_dir_all(&directory).unwrap();
        let read = |path: &PathBuf| String::from_utf8(rondel_cas::read_at_most(path, 1_000).unwrap()).unwrap();
        let found = unpack_docker_archive(&mut archive(entries).as_slice(), &directory)
            .map(|found| (read(&found.config), found.layers.iter().map(read).collect()));
        fs::remove_dir_all(&directory).unwrap();
        found.map_err(|error| error.to_string())
    }

    #[test]
    fn old_and_new_daemons() {
        let list = r#"[{"Config":"c.json","RepoTags":null,"Layers":["a/layer.tar","b/layer.tar"]}]"#;
        let found = unpack(&[
            ("a/layer.tar", "one", None),
            ("a/json", "{}", None),
            ("b/layer.tar", "", Some("../a/layer.tar")),
            ("c.json", "config", None),
            ("manifest.json", list, None),
        ]);
        assert_eq!(found, Ok(("config".to_owned(), vec!["one".to_owned(), "one".to_owned()])));
        let missing = |list: &str| unpack(&[("manifest.json", list, None), ("x", "", Some("../../etc/passwd"))]);
        assert_eq!(missing("[]"), Err("it holds 0 images".to_owned()));
        assert_eq!(missing(r#"[{"Config":"x","Layers":[]}]"#), Err("`x` is missing".to_owned()));
        assert_eq!(missing(r#"[{"Config":"../y","Layers":[]}]"#), Err("`../y` is missing".to_owned()));
        assert_eq!(unpack(&[]), Err("`manifest.json` is missing".to_owned()));
    }
}
