//! `build.lock`: pins, written by the verb `lock` and committed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of the format. Before format 4 there are no tools, before format 3 no images. In format 1 an identity covers
/// `bin/`, `pkg/tool/` and `src/` only.
const FORMAT: u64 = 4;
/// The versions that a file without tools, and one without images too, are written in, so that an older Rondel reads them.
const FORMAT_WITHOUT_TOOLS: u64 = 3;
const FORMAT_WITHOUT_IMAGES: u64 = 2;

/// All pins of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    format: u64,
    /// Toolchains: by Go version, then by the platform that they run on.
    #[serde(default)]
    pub go: BTreeMap<String, BTreeMap<String, LockedGo>>,
    /// Base images: by reference, written whole, then by platform.
    #[serde(default)]
    pub images: BTreeMap<String, BTreeMap<String, LockedImage>>,
    /// Commands of other modules: by import path and version, `github.com/x/y/cmd/z@v1.2.3`.
    #[serde(default)]
    pub tools: BTreeMap<String, LockedTool>,
}

/// The module of a command.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedTool {
    /// `github.com/x/y`
    pub module: String,
    /// `h1:…` of its zip.
    pub sum: String,
}

/// One image of a registry for one platform.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LockedImage {
    /// Time of its making as it says itself, RFC 3339; empty if it says none. For people.
    #[serde(default)]
    pub created: String,
    /// Its manifest.
    pub manifest: LockedBlob,
    /// Its configuration.
    pub config: LockedBlob,
    /// Its layers, lowest first.
    #[serde(default)]
    pub layers: Vec<LockedBlob>,
}

/// One document or layer of an image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LockedBlob {
    /// `application/vnd.oci.image.manifest.v1+json`
    pub media_type: String,
    /// `sha256:…`
    pub digest: String,
    /// In bytes.
    pub size: u64,
}

/// One toolchain for one host, in both forms in which Go is distributed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedGo {
    /// `h1:…` of the module zip.
    #[serde(default)]
    pub module: Option<String>,
    /// SHA-256 of the archive on the download page, 64 hex digits.
    #[serde(default)]
    pub archive: Option<String>,
    /// Digest of the unpacked toolchain, `<hex>/<size>`; empty if a file of format 1 is read.
    pub identity: String,
}

impl LockFile {
    /// Reads the text; the error states the mistake and its place.
    pub fn parse(text: &str) -> Result<LockFile, String> {
        let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
        let mut lock: LockFile = options.from_str(text).map_err(|error| error.to_string())?;
        match lock.format {
            FORMAT | FORMAT_WITHOUT_TOOLS | FORMAT_WITHOUT_IMAGES => {}
            // Its identities cover a part of a toolchain only. The hashes of the downloads hold.
            1 => lock.go.values_mut().flat_map(BTreeMap::values_mut).for_each(|pin| pin.identity.clear()),
            format => return Err(format!("format {format} is not known; this Rondel reads formats 1 to {FORMAT}")),
        }
        lock.format = FORMAT;
        Ok(lock)
    }

    /// Returns the text of the file: sorted, so that two machines write the same.
    pub fn render(&self) -> String {
        let format = match (self.tools.is_empty(), self.images.is_empty()) {
            (false, _) => FORMAT,
            (true, false) => FORMAT_WITHOUT_TOOLS,
            (true, true) => FORMAT_WITHOUT_IMAGES,
        };
        let mut text = String::from("// Pins, written by `cargo xtask lock`. Commit this file.\n");
        text.push_str(&format!("(\n    format: {format},\n    go: {{\n"));
        for (version, hosts) in &self.go {
            text.push_str(&format!("        {version:?}: {{\n"));
            for (host, pin) in hosts {
                text.push_str(&format!("            {host:?}: (\n"));
                for (name, value) in [("module", &pin.module), ("archive", &pin.archive)] {
                    if let Some(value) = value {
                        text.push_str(&format!("                {name}: {value:?},\n"));
                    }
                }
                text.push_str(&format!("                identity: {:?},\n            ),\n", pin.identity));
            }
            text.push_str("        },\n");
        }
        text.push_str("    },\n");
        if !self.images.is_empty() {
            text.push_str("    images: {\n");
            for (reference, platforms) in &self.images {
                text.push_str(&format!("        {reference:?}: {{\n"));
                platforms.iter().for_each(|(platform, image)| image.render(platform, &mut text));
                text.push_str("        },\n");
            }
            text.push_str("    },\n");
        }
        if !self.tools.is_empty() {
            text.push_str("    tools: {\n");
            for (name, LockedTool { module, sum }) in &self.tools {
                text.push_str(&format!("        {name:?}: (module: {module:?}, sum: {sum:?}),\n"));
            }
            text.push_str("    },\n");
        }
        text.push_str(")\n");
        text
    }

    /// Returns an empty lock file.
    pub fn empty() -> LockFile {
        LockFile { format: FORMAT, go: BTreeMap::new(), images: BTreeMap::new(), tools: BTreeMap::new() }
    }
}

impl LockedImage {
    fn render(&self, platform: &str, text: &mut String) {
        let blob = |blob: &LockedBlob| {
            format!("(media_type: {:?}, digest: {:?}, size: {})", blob.media_type, blob.digest, blob.size)
        };
        text.push_str(&format!("            {platform:?}: (\n                created: {:?},\n", self.created));
        text.push_str(&format!("                manifest: {},\n", blob(&self.manifest)));
        text.push_str(&format!("                config: {},\n                layers: [\n", blob(&self.config)));
        for layer in &self.layers {
            text.push_str(&format!("                    {},\n", blob(layer)));
        }
        text.push_str("                ],\n            ),\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let mut lock = LockFile::empty();
        let pin = LockedGo { module: Some("h1:x=".into()), archive: None, identity: "ab/1".into() };
        lock.go.entry("1.22.12".into()).or_default().insert("linux/amd64".into(), pin);
        assert_eq!(LockFile::parse(&lock.render()).unwrap(), lock);
        assert!(LockFile::parse("(format: 5)").is_err());
        assert!(LockFile::parse("(format: 2, oci: {})").is_err());
        // An older Rondel reads what holds no images.
        assert!(lock.render().contains("format: 2,"), "{}", lock.render());
        let old = LockFile::parse(&lock.render().replace("format: 2", "format: 1")).unwrap();
        assert_eq!(old.go["1.22.12"]["linux/amd64"].identity, "");
        assert_eq!(old.go["1.22.12"]["linux/amd64"].module.as_deref(), Some("h1:x="));
        let blob = |name: &str| LockedBlob { media_type: "a/b".into(), digest: format!("sha256:{name}"), size: 7 };
        let (created, layers) = ("2024-01-01T00:00:00Z".to_owned(), vec![blob("3"), blob("4")]);
        let image = LockedImage { created, manifest: blob("1"), config: blob("2"), layers };
        lock.images.entry("r.example/a:1".into()).or_default().insert("linux/arm/v7".into(), image);
        assert!(lock.render().contains("format: 3,"));
        assert_eq!(LockFile::parse(&lock.render()).unwrap(), lock);
        let tool = LockedTool { module: "example.com/x".into(), sum: "h1:y=".into() };
        lock.tools.insert("example.com/x/cmd/z@v1.2.3".into(), tool);
        assert!(lock.render().contains("format: 4,"));
        assert_eq!(LockFile::parse(&lock.render()).unwrap(), lock);
    }
}
