//! Packages of Debian (deb(5)): an `ar` archive of a version, what is said of the package, and what is in it.
//!
//! The bytes depend on the description and the contents alone: times are `created`, numbers of owners are zero.

mod control;
mod relation;
mod tar;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use rondel_cas::RelativePath;
use rondel_oci::{Compression, LayerSource, add_parents};

use crate::md5::Md5;
use crate::package::{Moment, Package, PackageEntry, PackageError, check_common, read_whole, size_of, unit_script};
use control::{check, control_text};
use tar::{TarEntry, tar};

/// Version of the bytes that [`write_deb`] writes, for keys.
pub const DEB_FORMAT: &str = "deb-1";

/// Conditions in maintainer scripts: removed, and configured after an upgrade (deb-postinst(5), deb-prerm(5)).
const CONDITIONS: (&str, &str) = ("[ \"$1\" = remove ]", "[ \"$1\" = configure ] && [ -n \"$2\" ]");

/// Checks all that the format wants, without looking into files.
pub fn check_deb(package: &Package) -> Result<(), PackageError> {
    check_common(package)?;
    check(package)?;
    scripts(package).map(drop)
}

/// Writes a package; `destination` is empty.
pub fn write_deb(package: &Package, destination: &mut File, threads: usize) -> Result<(), PackageError> {
    check_deb(package)?;
    let control = control_files(package)?;
    let mut archive = Ar { destination, created: package.created };
    archive.destination.write_all(b"!<arch>\n")?;
    archive.member("debian-binary", &mut |file| file.write_all(b"2.0\n"))?;
    let entries: Vec<_> = control.iter().map(|(name, entry)| (*name, entry)).collect();
    archive.member("control.tar.gz", &mut |file| write_tar(package, &entries, file, threads))?;
    let data = with_parents(package);
    let entries: Vec<_> = data.iter().map(|(path, entry)| (path.as_str(), entry)).collect();
    archive.member("data.tar.gz", &mut |file| write_tar(package, &entries, file, threads))?;
    Ok(())
}

/// The archive around all.
struct Ar<'a> {
    destination: &'a mut File,
    created: u64,
}

impl Ar<'_> {
    /// Writes a member. Its size is known when it is written, and goes into the header then.
    fn member(&mut self, name: &str, write: &mut dyn FnMut(&mut File) -> io::Result<()>) -> io::Result<()> {
        let header = |size: u64| format!("{name:<16}{:<12}0     0     100644  {size:<10}`\n", self.created);
        let begin = self.destination.stream_position()?;
        self.destination.write_all(header(0).as_bytes())?;
        write(self.destination)?;
        let end = self.destination.stream_position()?;
        let size = end - begin - 60;
        if size > 9_999_999_999 {
            return Err(io::Error::other("a package of Debian has at most 9,999,999,999 bytes"));
        }
        self.destination.seek(SeekFrom::Start(begin))?;
        self.destination.write_all(header(size).as_bytes())?;
        self.destination.seek(SeekFrom::Start(end))?;
        if size % 2 == 1 { self.destination.write_all(b"\n") } else { Ok(()) }
    }
}

fn write_tar(
    package: &Package,
    entries: &[(&str, &PackageEntry)],
    destination: &mut File,
    threads: usize,
) -> io::Result<()> {
    let root = PackageEntry::of_root(LayerSource::Directory, 0o755);
    let mut all = vec![TarEntry { path: "./".to_owned(), entry: &root, size: 0 }];
    for (path, entry) in entries {
        let slash = if matches!(entry.source, LayerSource::Directory) { "/" } else { "" };
        all.push(TarEntry { path: format!("./{path}{slash}"), entry, size: size_of(&entry.source)? });
    }
    Compression::Gzip.compress(&mut tar(&all, package.created)?, destination, threads)
}

/// Returns the entries with all directories above them: `dpkg` makes none that the archive does not have, and leaves
/// alone those that are there.
fn with_parents(package: &Package) -> BTreeMap<RelativePath, PackageEntry> {
    let mut all = package.entries.clone();
    add_parents(&mut all, &|_| PackageEntry::of_root(LayerSource::Directory, 0o755));
    all
}

/// Returns what is said of the package, by name of file, in the order of names.
fn control_files(package: &Package) -> Result<Vec<(&'static str, PackageEntry)>, PackageError> {
    let mut files = Vec::new();
    let mut add = |name: &'static str, text: String, mode: u32| {
        if !text.is_empty() {
            files.push((name, PackageEntry::of_root(LayerSource::Bytes(text.into_bytes()), mode)));
        }
    };
    let configs = package.entries.iter().filter(|(_, entry)| entry.is_config);
    let configs = configs.map(|(path, _)| format!("/{}\n", path.as_str()));
    add("conffiles", configs.collect(), 0o644);
    add("control", control_text(package)?, 0o644);
    add("md5sums", md5sums(package)?, 0o644);
    for (name, script) in scripts(package)? {
        add(name, script, 0o755);
    }
    Ok(files)
}

/// Returns the scripts by name, in the order of names; empty for none.
fn scripts(package: &Package) -> Result<[(&'static str, String); 4], PackageError> {
    let scripts = &package.scripts;
    let whole = |moment, script| unit_script(moment, script, &package.units, CONDITIONS);
    Ok([
        ("postinst", whole(Moment::AfterInstall, &scripts.after_install)?),
        ("postrm", whole(Moment::AfterRemoval, &scripts.after_removal)?),
        ("preinst", whole(Moment::BeforeInstall, &scripts.before_install)?),
        ("prerm", whole(Moment::BeforeRemoval, &scripts.before_removal)?),
    ])
}

/// Returns the sums of all files that nobody edits, as `dh_md5sums` writes them.
fn md5sums(package: &Package) -> io::Result<String> {
    let mut text = String::new();
    for (path, entry) in &package.entries {
        let is_file = matches!(entry.source, LayerSource::File(_) | LayerSource::Bytes(_));
        if is_file && !entry.is_config {
            let mut sum = Md5::new();
            read_whole(&entry.source, &mut |bytes| sum.update(bytes))?;
            text.push_str(&format!("{}  {}\n", sum.finish(), path.as_str()));
        }
    }
    Ok(text)
}
