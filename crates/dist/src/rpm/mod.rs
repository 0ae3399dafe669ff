//! Packages of RPM, format 4: a lead, a signature header with digests, a header, and a compressed cpio archive.
//!
//! The bytes depend on the description and the contents alone: no build host, and `created` as every time. Digests are
//! SHA-256 alone, which rpm knows since 4.14 of 2017; older ones look at what they know of them.

mod cpio;
mod description;
mod files;
mod header;
mod relation;
mod tags;

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use rondel_cas::{Digest, HashingReader, HashingWriter, RelativePath};
use rondel_oci::{Compression, LayerSource};

use crate::package::{Package, PackageEntry, PackageError, check_common};
use cpio::cpio;
use description::{Payload, add_programs_and_relations, check, header};
use files::PackageFiles;
use header::{Header, Region};

/// Version of the bytes that [`write_rpm`] writes, for keys.
pub const RPM_FORMAT: &str = "rpm-1";

/// Checks all that the format wants, without looking into files.
pub fn check_rpm(package: &Package) -> Result<(), PackageError> {
    check_common(package)?;
    check(package)?;
    add_programs_and_relations(package, &mut Header::default())
}

/// Writes a package; `destination` is empty.
///
/// The payload's digests are in the header before it. They have one length, so the payload is written first, at its
/// place.
pub fn write_rpm(package: &Package, destination: &mut File, threads: usize) -> Result<(), PackageError> {
    check_rpm(package)?;
    let package = &with_own_directories(package);
    let files = PackageFiles::of(package)?;
    let nothing = Payload { compressed: Digest::of(b""), plain: Digest::of(b"") };
    let begin = beginning(package, &files, &nothing)?.len() as u64;
    destination.seek(SeekFrom::Start(begin))?;
    let mut plain = HashingReader::new(cpio(package, &files)?);
    let mut compressed = HashingWriter::new(&mut *destination);
    Compression::Gzip.compress(&mut plain, &mut compressed, threads)?;
    let payload = Payload { compressed: compressed.finish(), plain: plain.finish() };
    let beginning = beginning(package, &files, &payload)?;
    destination.seek(SeekFrom::Start(0))?;
    destination.write_all(&beginning)?;
    destination.seek(SeekFrom::End(0))?;
    Ok(())
}

/// Returns the package with the directories above its entries that have its name, or are in one that has: nothing else
/// would remove them.
fn with_own_directories(package: &Package) -> Package {
    let mut package = package.clone();
    let paths: Vec<RelativePath> = package.entries.keys().cloned().collect();
    for path in paths {
        for parent in std::iter::successors(path.parent(), RelativePath::parent) {
            if parent.as_str().split('/').any(|part| part == package.name) {
                let directory = || PackageEntry::of_root(LayerSource::Directory, 0o755);
                package.entries.entry(parent).or_insert_with(directory);
            }
        }
    }
    package
}

/// Returns everything before the payload.
fn beginning(package: &Package, files: &PackageFiles, payload: &Payload) -> Result<Vec<u8>, PackageError> {
    let header = header(package, files, payload)?.encode(Region::Immutable);
    let too_large =
        || PackageError::Value("a package of RPM holds less than 4 GiB: take large files out of it".to_owned());
    let size = u32::try_from(header.len() as u64 + payload.compressed.size()).map_err(|_| too_large())?;
    let plain_size = u32::try_from(payload.plain.size()).map_err(|_| too_large())?;
    let mut signature = Header::default();
    signature.text(tags::SIGNATURE_SHA256, &Digest::of(&header).hex());
    signature.numbers(tags::SIGNATURE_SIZE, &[size]);
    signature.numbers(tags::SIGNATURE_PAYLOAD_SIZE, &[plain_size]);
    let mut bytes = lead(package);
    bytes.extend(signature.encode(Region::Signatures));
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(header);
    Ok(bytes)
}

/// Returns the 96 bytes that `file` knows a package by. `rpm` reads nothing of them but the magic.
fn lead(package: &Package) -> Vec<u8> {
    let mut bytes = vec![0xed, 0xab, 0xee, 0xdb, 3, 0, 0, 0, 0, 1];
    let name = format!("{}-{}-{}", package.name, package.version, package.release);
    // A longer name is cut; the last of its 66 bytes is zero.
    bytes.extend_from_slice(&name.as_bytes()[..name.len().min(65)]);
    bytes.resize(10 + 66, 0);
    // Linux; a header of signatures.
    bytes.extend_from_slice(&[0, 1, 0, 5]);
    bytes.resize(96, 0);
    bytes
}
