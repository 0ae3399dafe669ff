//! `SdkPlace`: the directory of one installed toolchain, for those who carry a toolchain elsewhere. It fetches nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use rondel_cas::{Digest, RelativePath};
use rondel_names::Platform;

use crate::identity::{each_file, identity_of_directory};
use crate::provision::IDENTITY_FILE;

/// The place of one toolchain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SdkPlace {
    /// Directory of the toolchains.
    pub toolchains: PathBuf,
    /// `1.22.12`
    pub version: String,
    /// The machines that it runs on.
    pub host: Platform,
}

impl SdkPlace {
    /// Returns the name of its directory: `go1.22.12.linux-amd64`.
    pub fn name(&self) -> String {
        format!("go{}.{}-{}", self.version, self.host.os(), self.host.architecture())
    }

    /// Returns `GOROOT`.
    pub fn root(&self) -> PathBuf {
        self.toolchains.join(self.name()).join("sdk")
    }

    /// Returns the files that its identity covers, each with its place. Links are followed.
    pub fn files(&self) -> io::Result<BTreeMap<RelativePath, PathBuf>> {
        let mut files = BTreeMap::new();
        each_file(&self.root(), &mut |path, place, _| {
            files.insert(RelativePath::new(path).map_err(io::Error::other)?, place.to_owned());
            Ok(())
        })?;
        Ok(files)
    }

    /// Returns the identity of what lies there.
    pub fn identity(&self) -> io::Result<Digest> {
        identity_of_directory(&self.root(), &|path, _| Digest::of_file(path))
    }

    /// Records the identity, so that builds take what lies there.
    pub fn record(&self, identity: &Digest) -> io::Result<()> {
        fs::write(self.toolchains.join(self.name()).join(IDENTITY_FILE), format!("identity {identity}\n"))
    }
}

/// Returns true for a file of an SDK that is a program.
pub fn is_sdk_program(path: &str) -> bool {
    path.starts_with("bin/") || path.starts_with("pkg/tool/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_an_sdk_carry_its_identity() {
        let base = std::env::temp_dir().join(format!("rondel-sdk-place-{}", std::process::id()));
        let of = |name: &str| SdkPlace {
            toolchains: base.join(name),
            version: "1.22.12".to_owned(),
            host: Platform::new("linux/amd64").unwrap(),
        };
        let (one, other) = (of("one"), of("other"));
        for path in ["bin/go", "src/a/a.go", "test/left_out.go", "VERSION"] {
            fs::create_dir_all(one.root().join(path).parent().unwrap()).unwrap();
            fs::write(one.root().join(path), path).unwrap();
        }
        let files = one.files().unwrap();
        assert_eq!(files.keys().map(RelativePath::as_str).collect::<Vec<_>>(), ["VERSION", "bin/go", "src/a/a.go"]);
        for (path, source) in &files {
            let place = path.below(&other.root());
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            rondel_cas::copy_file(source, &place).unwrap();
        }
        assert_eq!(one.identity().unwrap(), other.identity().unwrap());
        other.record(&other.identity().unwrap()).unwrap();
        assert!(other.toolchains.join("go1.22.12.linux-amd64").join(IDENTITY_FILE).is_file());
        fs::write(other.root().join("VERSION"), "another").unwrap();
        assert_ne!(one.identity().unwrap(), other.identity().unwrap());
        let _ = fs::remove_dir_all(base);
    }
}
