//! `build.lock`: pins, written by the verb `lock` and committed.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Version of the format. In format 1 an identity covers `bin/`, `pkg/tool/` and `src/` only.
const FORMAT: u64 = 2;

/// All pins of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    format: u64,
    /// Toolchains: by Go version, then by the platform that they run on.
    #[serde(default)]
    pub go: BTreeMap<String, BTreeMap<String, LockedGo>>,
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
            FORMAT => {}
            // Its identities cover a part of a toolchain only. The hashes of the downloads hold.
            1 => {
                lock.format = FORMAT;
                lock.go.values_mut().flat_map(BTreeMap::values_mut).for_each(|pin| pin.identity.clear());
            }
            format => return Err(format!("format {format} is not known; this Rondel reads formats 1 and {FORMAT}")),
        }
        Ok(lock)
    }

    /// Returns the text of the file: sorted, so that two machines write the same.
    pub fn render(&self) -> String {
        let mut text = String::from("// Pins, written by `cargo xtask lock`. Commit this file.\n");
        text.push_str(&format!("(\n    format: {FORMAT},\n    go: {{\n"));
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
        text.push_str("    },\n)\n");
        text
    }

    /// Returns an empty lock file.
    pub fn empty() -> LockFile {
        LockFile { format: FORMAT, go: BTreeMap::new() }
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
        assert!(LockFile::parse("(format: 3)").is_err());
        assert!(LockFile::parse("(format: 2, oci: {})").is_err());
        let old = LockFile::parse(&lock.render().replace("format: 2", "format: 1")).unwrap();
        assert_eq!(old.go["1.22.12"]["linux/amd64"].identity, "");
        assert_eq!(old.go["1.22.12"]["linux/amd64"].module.as_deref(), Some("h1:x="));
    }
}
