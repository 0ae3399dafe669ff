//! `Asset`: a file of a release, and the name that a forge gives it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rondel_cas::Digest;

use crate::error::ForgeError;
use crate::place::ForgeKind;

/// GitHub takes files below 2 GiB.
const GITHUB_BYTES_MAX: u64 = (2 << 30) - 1;
/// GitHub takes this number of files for a release.
const GITHUB_ASSETS_MAX: usize = 1000;

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// What people download it as; no directories.
    pub name: String,
    /// Where its bytes are.
    pub path: PathBuf,
    /// Their digest.
    pub digest: Digest,
}

impl Asset {
    /// Returns the name that the forge will give it: GitHub has a dot for characters that it does not like, `~` among
    /// them.
    pub(crate) fn name_at(&self, kind: ForgeKind) -> String {
        let is_kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@');
        match kind {
            ForgeKind::GitHub => self.name.chars().map(|c| if is_kept(c) { c } else { '.' }).collect(),
            ForgeKind::Gitea => self.name.clone(),
        }
    }
}

/// Fails if a forge can't have these files under different names.
pub(crate) fn check(assets: &[Asset], kind: ForgeKind) -> Result<(), ForgeError> {
    check_names(assets, kind)?;
    let wrong = |message: String| Err(ForgeError::Asset(message));
    for Asset { name, digest, .. } in assets {
        match digest.size() {
            0 => return wrong(format!("`{name}` is empty, which no forge takes")),
            size if kind == ForgeKind::GitHub && size > GITHUB_BYTES_MAX => {
                return wrong(format!("`{name}` has {size} bytes; GitHub takes less than 2 GiB"));
            }
            _ => {}
        }
    }
    match kind == ForgeKind::GitHub && assets.len() > GITHUB_ASSETS_MAX {
        true => wrong(format!("{} files; GitHub takes {GITHUB_ASSETS_MAX}", assets.len())),
        false => Ok(()),
    }
}

/// Fails if a name is none of a file, or is there twice.
pub(crate) fn check_names(assets: &[Asset], kind: ForgeKind) -> Result<(), ForgeError> {
    let mut names = BTreeMap::new();
    for asset in assets {
        let name = &asset.name;
        let is_wrong = |c: char| matches!(c, '/' | '\\') || c.is_control();
        if name.is_empty() || name.starts_with('.') || name.contains(is_wrong) {
            return Err(ForgeError::Asset(format!("`{}` is no name of an asset", name.escape_debug())));
        }
        if let Some(other) = names.insert(asset.name_at(kind), name) {
            let message = format!("`{name}` and `{other}` have the same name there");
            return Err(ForgeError::Asset(message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(name: &str, bytes: &[u8]) -> Asset {
        Asset { name: name.to_owned(), path: PathBuf::new(), digest: Digest::of(bytes) }
    }

    #[test]
    fn names_at_forges() {
        let deb = asset("app_1.0~rc1+x_amd64.deb", b"x");
        assert_eq!(deb.name_at(ForgeKind::GitHub), "app_1.0.rc1+x_amd64.deb");
        assert_eq!(deb.name_at(ForgeKind::Gitea), "app_1.0~rc1+x_amd64.deb");
    }

    #[test]
    fn files_that_no_forge_has() {
        let error = |assets: &[Asset]| check(assets, ForgeKind::GitHub).map_err(|error| error.to_string());
        assert_eq!(error(&[asset("a.zip", b"x"), asset("b.zip", b"x")]), Ok(()));
        let same = "`a.b` and `a~b` have the same name there".to_owned();
        assert_eq!(error(&[asset("a~b", b"x"), asset("a.b", b"x")]), Err(same));
        assert!(check(&[asset("a~b", b"x"), asset("a.b", b"x")], ForgeKind::Gitea).is_ok());
        for name in ["", "a/b", ".hidden", "a\nb"] {
            assert!(error(&[asset(name, b"x")]).is_err(), "{name:?}");
        }
        assert!(error(&[asset("a", b"")]).is_err());
        let large = Asset { digest: Digest::from_parts([0; 32], 2 << 30), ..asset("a", b"x") };
        assert_eq!(error(&[large]), Err("`a` has 2147483648 bytes; GitHub takes less than 2 GiB".to_owned()));
    }
}
