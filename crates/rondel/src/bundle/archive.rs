//! The archive of a bundle: a tar in zstd, with the same bytes for the same files. What is read comes from outside: names,
//! sizes and digests are those of the description, or nothing of it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use rondel_cas::{CONTENTS_MAX, Digest, Hasher, RelativePath, SMALL_MAX, TemporaryFile, open_at_most, sweep_abandoned};
use rondel_oci::{Compression, LayerEntry, LayerSource, decompressed, write_tar};

use super::description::{DESCRIPTION, Description, FORMAT, Part};
use crate::exit::Failure;
use crate::tree_copy::link;

/// The second file: the digest of the first one, as `sha256sum` reads it. The digests of all others are in the first.
const SUM: &str = "bundle.json.sha256";
/// How the tar is compressed.
const COMPRESSION: Compression = Compression::Zstd(3);
/// Largest description in bytes.
const DESCRIPTION_MAX: u64 = 256 << 20;
/// Largest record of a long name in bytes.
const RECORD_MAX: u64 = 64 << 10;
/// Most files in a bundle.
const FILES_MAX: usize = 1_000_000;
/// Most bytes of all files together.
const BYTES_MAX: u64 = 64 << 30;

/// Writes a bundle. `parts` are its files, each with its place on this machine.
pub(super) fn write(
    path: &Path,
    description: &Description,
    parts: &BTreeMap<RelativePath, (PathBuf, Part)>,
    threads: usize,
) -> io::Result<Digest> {
    let text = serde_json::to_vec_pretty(description)?;
    let mut entries = BTreeMap::new();
    for (name, bytes) in [(SUM, sum_of(&text).into_bytes()), (DESCRIPTION, text)] {
        let name = RelativePath::new(name).expect("a constant");
        entries.insert(name, LayerEntry::file(LayerSource::Bytes(bytes), false));
    }
    for (name, (source, part)) in parts {
        let entry = match part {
            Part::File { mode, .. } => {
                LayerEntry { mode: *mode, ..LayerEntry::file(LayerSource::File(source.clone()), false) }
            }
            Part::Link { target } => LayerEntry::file(LayerSource::Symlink(target.clone()), true),
        };
        entries.insert(name.clone(), entry);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    sweep_abandoned(parent);
    let mut file = TemporaryFile::new_in(parent)?;
    let written = write_tar(&entries, 0, file.file(), COMPRESSION, threads)?;
    file.persist(path)?;
    Ok(written.digest)
}

/// Returns true if the file at `path` is a bundle, of whatever version.
pub(crate) fn is_bundle(path: &Path) -> bool {
    let head = || -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        let file = BufReader::new(open_at_most(path, CONTENTS_MAX)?.0);
        decompressed(file)?.take(1024).read_to_end(&mut head)?;
        Ok(head)
    };
    let mark = FORMAT.rsplit_once('-').map_or(FORMAT, |(mark, _)| mark);
    head().is_ok_and(|head| {
        head.starts_with(format!("{DESCRIPTION}\0").as_bytes())
            && head.windows(mark.len()).any(|window| window == mark.as_bytes())
    })
}

/// Unpacks a bundle. `place` says where a file of it goes. A link is made when all files are there.
pub(super) fn read(path: &Path, place: &dyn Fn(&RelativePath) -> Option<PathBuf>) -> Result<Description, Failure> {
    let damaged = |error: io::Error| damaged(path, &error);
    let (file, _) = open_at_most(path, CONTENTS_MAX)
        .map_err(|error| Failure::usage(format!("failed to read `{}`: {error}", path.display())))?;
    let stream = decompressed(BufReader::with_capacity(1 << 17, file)).map_err(damaged)?;
    let mut archive = tar::Archive::new(stream.take(BYTES_MAX));
    let mut entries = Entries { inner: archive.entries().map_err(damaged)?.raw(true) };
    let Some((name, mut first)) = entries.next().map_err(damaged)?.filter(|(name, _)| name == DESCRIPTION) else {
        return Err(no_bundle(path));
    };
    drop(name);
    let mut text = Vec::new();
    let mut sum = Vec::new();
    if first.size() > DESCRIPTION_MAX {
        return Err(damaged(io::Error::other(format!("`{DESCRIPTION}` is too large"))));
    }
    first.read_to_end(&mut text).map_err(damaged)?;
    drop(first);
    if let Some((_, second)) = entries.next().map_err(damaged)?.filter(|(name, _)| name == SUM) {
        second.take(SMALL_MAX).read_to_end(&mut sum).map_err(damaged)?;
    }
    if sum != sum_of(&text).as_bytes() {
        return Err(damaged(io::Error::other(format!("`{DESCRIPTION}` has not the digest in `{SUM}`"))));
    }
    let description = Description::parse(&text)?;
    let parts = description.parts()?;
    check_size(&parts).map_err(damaged)?;
    let mut seen = BTreeSet::new();
    while let Some((name, entry)) = entries.next().map_err(damaged)? {
        let found = RelativePath::new(&name).ok().and_then(|path| parts.get_key_value(&path));
        let Some((name, part)) = found.filter(|(name, _)| seen.insert(*name)) else {
            let name = name.escape_debug();
            return Err(damaged(io::Error::other(format!("`{name}` is not in its description, or there twice"))));
        };
        unpack(name, part, entry, place).map_err(damaged)?;
    }
    if let Some(missing) = parts.keys().find(|name| !seen.contains(name)) {
        return Err(damaged(io::Error::other(format!("`{missing}` is missing"))));
    }
    for (name, part) in &parts {
        if let (Part::Link { target }, Some(place)) = (part, place(name)) {
            make_parent(&place).and_then(|()| link(Path::new(target), &place)).map_err(damaged)?;
        }
    }
    Ok(description)
}

fn sum_of(text: &[u8]) -> String {
    format!("{}  {DESCRIPTION}\n", Digest::of(text).hex())
}

fn check_size(parts: &BTreeMap<RelativePath, Part>) -> io::Result<()> {
    let sizes = parts.values().map(|part| match part {
        Part::File { digest, .. } => digest.size(),
        Part::Link { .. } => 0,
    });
    let bytes = sizes.fold(0_u64, u64::saturating_add);
    if bytes > BYTES_MAX || parts.len() > FILES_MAX {
        return Err(io::Error::other(format!("{} files with {bytes} bytes are too many", parts.len())));
    }
    Ok(())
}

/// Unpacks one file, if it is the described one.
fn unpack(
    name: &RelativePath,
    part: &Part,
    mut entry: tar::Entry<'_, impl Read>,
    place: &dyn Fn(&RelativePath) -> Option<PathBuf>,
) -> io::Result<()> {
    let differs = || io::Error::other(format!("`{name}` differs from its description"));
    let kind = entry.header().entry_type();
    let (digest, mode) = match part {
        Part::Link { .. } if kind.is_symlink() => return Ok(()),
        Part::File { digest, mode } if kind.is_file() && entry.size() == digest.size() => (digest, *mode),
        Part::File { .. } | Part::Link { .. } => return Err(differs()),
    };
    let place = place(name).ok_or_else(|| io::Error::other(format!("`{name}` has no place here")))?;
    make_parent(&place)?;
    let mut file = File::create_new(&place)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = entry.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count])?;
    }
    if hasher.finish() != *digest {
        return Err(differs());
    }
    set_mode(&file, mode)
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

fn make_parent(place: &Path) -> io::Result<()> {
    fs::create_dir_all(place.parent().expect("below a directory"))
}

/// The entries of a tar with their names. A name that does not fit into a header stands in a record before it, which is
/// read up to a limit.
struct Entries<'a, R: Read> {
    inner: tar::Entries<'a, R>,
}

impl<'a, R: Read + 'a> Entries<'a, R> {
    fn next(&mut self) -> io::Result<Option<(String, tar::Entry<'a, R>)>> {
        let mut long = None;
        loop {
            let Some(entry) = self.inner.next() else { return Ok(None) };
            let mut entry = entry?;
            if !entry.header().entry_type().is_pax_local_extensions() {
                let own = || String::from_utf8(entry.path_bytes().into_owned()).map_err(io::Error::other);
                return Ok(Some((long.map_or_else(own, Ok)?, entry)));
            }
            if entry.size() > RECORD_MAX {
                return Err(io::Error::other("a name is too long"));
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            for record in tar::PaxExtensions::new(&bytes) {
                let record = record?;
                match record.key().map_err(io::Error::other)? {
                    "path" => long = Some(record.value().map_err(io::Error::other)?.to_owned()),
                    // The description has it too.
                    "linkpath" => {}
                    other => return Err(io::Error::other(format!("a record `{}`", other.escape_debug()))),
                }
            }
        }
    }
}

fn no_bundle(path: &Path) -> Failure {
    Failure::usage(format!("`{}` is no bundle: it does not begin with `{DESCRIPTION}`", path.display()))
}

/// Returns the error for a bundle that can't be unpacked.
fn damaged(path: &Path, error: &io::Error) -> Failure {
    let message = format!("the bundle `{}` can't be used: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::PermissionDenied => Failure::environment(message),
        _ => Failure::usage(message).hint("nothing of it was run; compare the file's digest with the published one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::description::tests::description;

    struct Space(PathBuf);

    impl Drop for Space {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    impl Space {
        fn new(name: &str) -> Space {
            let space = Space(std::env::temp_dir().join(format!("rondel-bundle-{name}-{}", std::process::id())));
            let _ = fs::remove_dir_all(&space.0);
            fs::create_dir_all(&space.0).unwrap();
            space
        }

        /// Returns a few files, one of them with a name that fits into no header.
        fn parts(&self) -> BTreeMap<RelativePath, (PathBuf, Part)> {
            let long = format!("source/{}/{}/long.go", "d".repeat(90), "x".repeat(170));
            let mut parts = BTreeMap::new();
            for (index, (name, text)) in
                [("source/build.ron", "()"), ("source/a.go", "package a"), (&*long, "package long")].iter().enumerate()
            {
                let place = self.0.join(index.to_string());
                fs::write(&place, text).unwrap();
                let part =
                    Part::File { digest: Digest::of(text.as_bytes()), mode: if index == 1 { 0o755 } else { 0o644 } };
                parts.insert(RelativePath::new(name).unwrap(), (place, part));
            }
            let link = Part::Link { target: "a.go".to_owned() };
            parts.insert(RelativePath::new("source/link.go").unwrap(), (PathBuf::new(), link));
            parts
        }

        fn written(
            &self,
            name: &str,
            parts: &BTreeMap<RelativePath, (PathBuf, Part)>,
            described: &Description,
        ) -> PathBuf {
            let path = self.0.join(name);
            let digest = write(&path, described, parts, 2).unwrap();
            assert_eq!(digest, Digest::of_file(&path).unwrap());
            path
        }

        /// Returns what became of a bundle.
        fn read(&self, path: &Path) -> String {
            let out = self.0.join("out");
            let _ = fs::remove_dir_all(&out);
            let text = |failure: Failure| failure.message().replace(&self.0.display().to_string(), "");
            read(path, &|name| Some(name.below(&out))).map_or_else(text, |_| "fine".to_owned())
        }
    }

    fn of(parts: &BTreeMap<RelativePath, (PathBuf, Part)>) -> Description {
        description(parts.iter().map(|(name, (_, part))| (name.to_string(), part.to_string())))
    }

    #[test]
    fn the_same_files_come_out_and_the_same_bytes() {
        let space = Space::new("same");
        let parts = space.parts();
        let (one, other) = (space.written("one", &parts, &of(&parts)), space.written("other", &parts, &of(&parts)));
        assert!(fs::read(&one).unwrap() == fs::read(&other).unwrap());
        assert!(is_bundle(&one) && !is_bundle(&space.0.join("0")));
        assert_eq!(space.read(&one), "fine");
        for (name, (source, part)) in &parts {
            let place = name.below(&space.0.join("out"));
            match part {
                Part::File { .. } => assert_eq!(fs::read(&place).unwrap(), fs::read(source).unwrap(), "{name}"),
                Part::Link { target } => assert_eq!(fs::read_link(&place).unwrap(), Path::new(target)),
            }
        }
    }

    #[test]
    fn other_files_than_described() {
        let space = Space::new("other");
        let parts = space.parts();
        let described = of(&parts);
        let a = RelativePath::new("source/a.go").unwrap();
        let mut edited = parts.clone();
        fs::write(space.0.join("edited"), "package b").unwrap();
        edited.get_mut(&a).unwrap().0 = space.0.join("edited");
        let mut longer = parts.clone();
        fs::write(space.0.join("longer"), "package a // more").unwrap();
        longer.get_mut(&a).unwrap().0 = space.0.join("longer");
        let mut fewer = parts.clone();
        fewer.remove(&a);
        let mut more = parts.clone();
        more.insert(RelativePath::new("source/more.go").unwrap(), parts[&a].clone());
        let mut linked = parts.clone();
        linked.insert(a.clone(), (PathBuf::new(), Part::Link { target: "/etc/passwd".to_owned() }));
        let outcomes: Vec<String> = [&edited, &longer, &fewer, &more, &linked]
            .map(|parts| space.read(&space.written("bundle", parts, &described)))
            .to_vec();
        expect_test::expect![[r#"
            the bundle `/bundle` can't be used: `source/a.go` differs from its description
            the bundle `/bundle` can't be used: `source/a.go` differs from its description
            the bundle `/bundle` can't be used: `source/a.go` is missing
            the bundle `/bundle` can't be used: `source/more.go` is not in its description, or there twice
            the bundle `/bundle` can't be used: `source/a.go` differs from its description"#]]
        .assert_eq(&outcomes.join("\n"));
    }

    #[test]
    fn damaged_bytes_are_never_taken() {
        let space = Space::new("damaged");
        let parts = space.parts();
        let path = space.written("bundle", &parts, &of(&parts));
        let bytes = fs::read(&path).unwrap();
        let damaged = space.0.join("damaged");
        let out = space.0.join("out");
        let contents = |out: &Path| -> Vec<Vec<u8>> {
            parts.keys().map(|name| fs::read(name.below(out)).unwrap_or_default()).collect()
        };
        assert_eq!(space.read(&path), "fine");
        let whole = contents(&out);
        for at in (0..bytes.len()).step_by(3) {
            let mut copy = bytes.clone();
            copy[at] ^= 0x10;
            fs::write(&damaged, &copy).unwrap();
            // A bit of a header may say nothing of the contents; then they are the same.
            if space.read(&damaged) == "fine" {
                assert_eq!(contents(&out), whole, "byte {at}");
            }
        }
        for length in (0..bytes.len() - 1).step_by(7) {
            fs::write(&damaged, &bytes[..length]).unwrap();
            assert_ne!(space.read(&damaged), "fine", "{length} of {} bytes", bytes.len());
        }
    }
}
