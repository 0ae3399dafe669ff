//! Unpacking a Go SDK: the module zip of the proxies, or the tar.gz of the download page.
//!
//! Archives are hostile until checked: names stay below the directory, no links, no duplicates, sizes bounded.
//! Each file is hashed on the way, which gives `h1` (of the zip) and the identity (of both).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use base64::Engine as _;
use flate2::bufread::{DeflateDecoder, GzDecoder};
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive};
use rondel_cas::{Digest, Hasher, RelativePath, Tree, open_regular};
use sha2::{Digest as _, Sha256};

use crate::identity;

/// An SDK unpacks to about 210 MB; ten times that is not one.
const UNPACKED_MAX: u64 = 2 * 1024 * 1024 * 1024;
const FILES_MAX: usize = 100_000;

/// Hashes of an unpacked archive.
pub(crate) struct Unpacked {
    /// `h1:…` over all names and contents, for a module zip.
    pub module_hash: Option<String>,
    /// Identity of the unpacked toolchain.
    pub identity: Digest,
}

/// Forms of a toolchain archive.
#[derive(Clone, Copy, Debug)]
pub enum ArchiveKind<'a> {
    /// A module zip of the proxies, whose names begin with `prefix`.
    ModuleZip {
        /// `golang.org/toolchain@…/`
        prefix: &'a str,
    },
    /// The zip of the download page, for Windows.
    Zip,
    /// The tar.gz of the download page.
    TarGz,
}

/// Unpacks `archive` into `destination`, or only reads it; returns the identity of its contents.
pub fn unpack(archive: &Path, kind: ArchiveKind<'_>, destination: Option<&Path>) -> io::Result<Digest> {
    let unpacked = match kind {
        ArchiveKind::ModuleZip { prefix } => unpack_module(archive, prefix, destination),
        ArchiveKind::Zip => unpack_zip_archive(archive, destination),
        ArchiveKind::TarGz => unpack_archive(archive, destination),
    };
    unpacked.map(|unpacked| unpacked.identity)
}

/// Unpacks the module zip at `archive`, whose names begin with `prefix` (`golang.org/toolchain@…/`), into
/// `destination`; without one it is only read.
pub(crate) fn unpack_module(archive: &Path, prefix: &str, destination: Option<&Path>) -> io::Result<Unpacked> {
    let (hashes, identity) = unpack_zip(archive, prefix, destination, true)?;
    Ok(Unpacked { module_hash: Some(module_hash(&hashes)), identity })
}

/// Unpacks the download page's zip archive for Windows, whose names begin with `go/`.
pub(crate) fn unpack_zip_archive(archive: &Path, destination: Option<&Path>) -> io::Result<Unpacked> {
    let (_, identity) = unpack_zip(archive, "go/", destination, false)?;
    Ok(Unpacked { module_hash: None, identity })
}

/// Returns the digests by the names in the archive, and the identity.
fn unpack_zip(
    archive: &Path,
    prefix: &str,
    destination: Option<&Path>,
    is_module: bool,
) -> io::Result<(BTreeMap<String, Digest>, Digest)> {
    let mut buffer = vec![0_u8; RECOMMENDED_BUFFER_SIZE];
    let wrong = |error: rawzip::Error| io::Error::other(format!("not a valid zip archive: {error}"));
    let zip = ZipArchive::from_file(open_regular(archive)?.0, &mut buffer).map_err(wrong)?;
    let mut writer = Writer::new(destination);
    let mut hashes: BTreeMap<String, Digest> = BTreeMap::new();
    let mut entries = zip.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(wrong)? {
        let name = std::str::from_utf8(entry.file_path().as_ref()).map_err(io::Error::other)?.to_owned();
        if entry.is_dir() {
            continue;
        }
        let path =
            name.strip_prefix(prefix).ok_or_else(|| io::Error::other(format!("`{name}` is not below `{prefix}`")))?;
        // A module can't hold another go.mod, so the SDK's own are renamed in the zip.
        let path = match path.rsplit_once('/') {
            Some((directory, "_go.mod")) if is_module => format!("{directory}/go.mod"),
            _ => path.to_owned(),
        };
        let data = zip.get_entry(entry.wayfinder()).map_err(wrong)?;
        let digest = match entry.compression_method() {
            CompressionMethod::STORE => writer.file(&path, &mut data.verifying_reader(data.reader()))?,
            CompressionMethod::DEFLATE => {
                let inflater = DeflateDecoder::new(BufReader::new(data.reader()));
                writer.file(&path, &mut data.verifying_reader(inflater))?
            }
            _ => {
                let what = format!("`{name}` is compressed by another method than zip files of Go have");
                return Err(io::Error::other(what));
            }
        };
        if hashes.insert(name.clone(), digest).is_some() {
            return Err(io::Error::other(format!("`{name}` is in the archive twice")));
        }
    }
    writer.set_modes()?;
    Ok((hashes, writer.identity()?))
}

/// Unpacks the archive of the download page, whose names begin with `go/`.
pub(crate) fn unpack_archive(archive: &Path, destination: Option<&Path>) -> io::Result<Unpacked> {
    let file = BufReader::new(open_regular(archive)?.0);
    let mut tar = tar::Archive::new(GzDecoder::new(file));
    let mut writer = Writer::new(destination);
    for entry in tar.entries()? {
        let mut entry = entry?;
        let name = std::str::from_utf8(&entry.path_bytes()).map_err(io::Error::other)?.to_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind == tar::EntryType::XGlobalHeader {
            continue;
        }
        if !kind.is_file() {
            return Err(io::Error::other(format!("`{name}` is neither a file nor a directory")));
        }
        let path = name.strip_prefix("go/").ok_or_else(|| io::Error::other(format!("`{name}` is not below `go/`")))?;
        writer.file(path, &mut entry)?;
    }
    writer.set_modes()?;
    Ok(Unpacked { module_hash: None, identity: writer.identity()? })
}

/// Returns `h1`: base64 of SHA-256 over the sorted lines `<sha256 hex>  <name>\n` (golang.org/x/mod/sumdb/dirhash).
pub(crate) fn module_hash(hashes: &BTreeMap<String, Digest>) -> String {
    let mut hasher = Sha256::new();
    for (name, digest) in hashes {
        hasher.update(format!("{}  {name}\n", digest.hex()));
    }
    format!("h1:{}", base64::engine::general_purpose::STANDARD.encode(hasher.finalize()))
}

struct Writer<'a> {
    destination: Option<&'a Path>,
    tree: Tree,
    files: usize,
    bytes: u64,
}

impl<'a> Writer<'a> {
    fn new(destination: Option<&'a Path>) -> Writer<'a> {
        Writer { destination, tree: Tree::new(), files: 0, bytes: 0 }
    }

    fn file(&mut self, name: &str, contents: &mut dyn Read) -> io::Result<Digest> {
        let path = RelativePath::new(name).ok().filter(|path| path.as_str() == name);
        let path = path.ok_or_else(|| io::Error::other(format!("`{}` is not a valid name", name.escape_debug())))?;
        self.files += 1;
        if self.files > FILES_MAX {
            return Err(io::Error::other("too many files for a Go toolchain"));
        }
        let mut file = match self.destination {
            Some(destination) => {
                let target = path.below(destination);
                fs::create_dir_all(target.parent().expect("below the destination"))?;
                Some(File::create_new(&target)?)
            }
            None => None,
        };
        let mut hasher = Hasher::new();
        let mut buffer = [0_u8; 64 * 1024];
        loop {
            let count = contents.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            self.bytes += count as u64;
            if self.bytes > UNPACKED_MAX {
                return Err(io::Error::other("too large for a Go toolchain"));
            }
            hasher.update(&buffer[..count]);
            if let Some(file) = &mut file {
                file.write_all(&buffer[..count])?;
            }
        }
        let digest = hasher.finish();
        identity::insert(&mut self.tree, name, digest);
        Ok(digest)
    }

    /// Makes programs executable: the zip has no modes.
    fn set_modes(&self) -> io::Result<()> {
        let Some(destination) = self.destination else { return Ok(()) };
        let _ = destination;
        #[cfg(unix)]
        for (path, _) in self.tree.entries() {
            use std::os::unix::fs::PermissionsExt;
            if path.as_str().starts_with("bin/") || path.as_str().starts_with("pkg/tool/") {
                fs::set_permissions(path.below(destination), fs::Permissions::from_mode(0o755))?;
            }
        }
        Ok(())
    }

    fn identity(&self) -> io::Result<Digest> {
        self.tree.root_digest().map_err(io::Error::other)
    }
}
