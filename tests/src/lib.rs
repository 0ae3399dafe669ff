//! Readers of bytes from outside, each as a function of some bytes. `tests/hostile_bytes` calls them with changed
//! samples, `tests/fuzz` with cargo-fuzz on a nightly toolchain. None of them may panic, hang, take memory without
//! bound, or write outside of its directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rondel_cas::decode_digest;
use rondel_cas::messages::{Action, Command, Directory, encode_digest};
use rondel_cas::{Cache, Digest, Tree};
use rondel_golang::{ArchiveKind, ClosureQuery};
use rondel_oci::{Artifact, ArtifactManifest, Referrer, SignatureLayer, SignatureTag, Subject, list_with};
use rondel_tree::{GlobSet, StatSnapshot};

/// A reader of bytes, which may use a directory of its own.
pub type EntryPoint = fn(&[u8], &Path);

/// All entry points, by name.
pub const ENTRY_POINTS: &[(&str, EntryPoint)] = &[
    ("build_file", build_file),
    ("lock_file", lock_file),
    ("action_result", action_result),
    ("messages", messages),
    ("snapshot", snapshot),
    ("record", record),
    ("closure", closure),
    ("toolchain_zip", toolchain_zip),
    ("toolchain_archive", toolchain_archive),
    ("layer", layer),
    ("executable", executable),
    ("repository", repository),
    ("image_documents", image_documents),
    ("package_databases", package_databases),
    ("signatures", signatures),
];

/// Calls the entry point `name` with a directory of its own.
pub fn call(name: &str, bytes: &[u8]) {
    let (_, entry_point) = ENTRY_POINTS.iter().find(|(other, _)| *other == name).expect("a known entry point");
    let directory = directory_of(name);
    fs::create_dir_all(&directory).expect("the temporary directory can be written");
    entry_point(bytes, &directory);
}

/// Returns the directory of the entry point `name`.
pub fn directory_of(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("rondel-fuzz-{name}-{}", std::process::id()))
}

fn build_file(bytes: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(diagnostics) = rondel_buildfile::BuildFile::parse(text, "0.1.0") {
        for diagnostic in diagnostics {
            assert!(!rondel_buildfile::render("build.ron", text, &diagnostic).is_empty());
        }
    }
}

fn lock_file(bytes: &[u8], _: &Path) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(lock) = rondel_buildfile::LockFile::parse(text) {
        let again = rondel_buildfile::LockFile::parse(&lock.render());
        assert!(again.is_ok_and(|again| again.render() == lock.render()), "what is written is read the same");
    }
}

/// Reads the body of a stored result; the checksum is made right, as a forger would.
fn action_result(body: &[u8], directory: &Path) {
    let action = Digest::of(b"action");
    let path = directory.join("ac").join(&action.hex()[..2]).join(action.hex());
    let mut bytes = format!("rondel-action-result 2 {}\n", Digest::of(body).hex()).into_bytes();
    bytes.extend_from_slice(body);
    put(&path, &bytes);
    if let Ok(Some(result)) = Cache::disk(directory).get_action_result(&action) {
        for output in &result.outputs {
            assert!(output.path.below(Path::new("/root")).starts_with("/root"));
        }
    }
}

/// Reads messages of a store on another machine; a message that is read is written again as the same bytes.
fn messages(bytes: &[u8], _: &Path) {
    if let Ok(tree) = Tree::decode(bytes) {
        for (path, _) in tree.entries() {
            assert!(path.below(Path::new("/root")).starts_with("/root"));
        }
        let message = tree.encode().expect("what was read is a tree");
        assert_eq!(Tree::decode(&message), Ok(tree));
    }
    if let Ok(directory) = Directory::decode(bytes) {
        let message = directory.encode();
        assert_eq!(Directory::decode(&message), Ok(directory));
    }
    if let Ok(command) = Command::decode(bytes) {
        let message = command.encode();
        assert_eq!(Command::decode(&message), Ok(command));
    }
    if let Ok(action) = Action::decode(bytes) {
        let message = action.encode();
        assert_eq!(Action::decode(&message), Ok(action));
    }
    if let Ok(digest) = decode_digest(bytes) {
        assert_eq!(decode_digest(&encode_digest(&digest)), Ok(digest));
    }
}

/// Reads the blocks of a snapshot behind a head that fits them; after an odd first byte, a head alone. All checksums are valid.
fn snapshot(body: &[u8], directory: &Path) {
    let (head, blocks) = match body.split_first() {
        Some((first, head)) if first % 2 == 1 => (head.to_vec(), &[][..]),
        Some((_, body)) => head_of(body),
        None => (Vec::new(), &[][..]),
    };
    let mut bytes = b"rondel-snapshot 4\n".to_vec();
    bytes.extend_from_slice(Digest::of(&head).hash());
    bytes.extend_from_slice(&(head.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(blocks);
    put(&directory.join("snapshot.4"), &bytes);
    put(&directory.join("tree/a/file"), b"contents");
    let snapshot = StatSnapshot::open(&directory.join("snapshot"));
    let listing = snapshot.list(&directory.join("tree"), &GlobSet::everything(Vec::new())).expect("the tree is sound");
    listing.each(&mut |_, _, _| {});
    let _ = snapshot.save();
}

/// Returns the head for a boundary with blocks behind it, and the blocks.
fn head_of(body: &[u8]) -> (Vec<u8>, &[u8]) {
    let (boundary, blocks) = body.split_at(body.len().min(24));
    let (mut head, mut rest) = (boundary.to_vec(), blocks);
    while !rest.is_empty() {
        let number = |at: usize| {
            rest.get(at..at + 4).map_or(0, |part| u32::from_le_bytes(part.try_into().expect("four bytes")) as usize)
        };
        let (block, after) = match number(0) {
            length if (1..=rest.len()).contains(&length) => rest.split_at(length),
            _ => (rest, &[][..]),
        };
        let path = block.get(68..).and_then(|tail| tail.get(..number(4))).unwrap_or_default();
        head.extend_from_slice(&(block.len() as u32).to_le_bytes());
        head.extend_from_slice(&(path.len() as u32).to_le_bytes());
        head.extend_from_slice(Digest::of(block).hash());
        head.extend_from_slice(path);
        rest = after;
    }
    (head, blocks)
}

fn record(body: &[u8], directory: &Path) {
    let mut bytes = body.to_vec();
    bytes.extend_from_slice(format!("\n# {}\n", Digest::of(&[body, b"\n"].concat()).hex()).as_bytes());
    let path = directory.join("record");
    put(&path, &bytes);
    if let Ok(record) = rondel_engine::read_record_file(&path) {
        let _ = (record.describe(), record.counts(), record.differences_from(&rondel_engine::StepRecord::default()));
    }
}

fn closure(body: &[u8], directory: &Path) {
    let mut bytes = b"rondel-closure 6\n".to_vec();
    bytes.extend_from_slice(Digest::of(body).hash());
    bytes.extend_from_slice(body);
    let path = directory.join("closure");
    put(&path, &bytes);
    let snapshot = StatSnapshot::open(&directory.join("clock"));
    if let Ok(mut closure) = rondel_golang::Closure::recall(&path, &closure_query(directory), &snapshot) {
        let _ = closure.inputs();
    }
}

/// Returns the query of the closures that are read here; the module is `module` below `directory`.
pub fn closure_query(directory: &Path) -> ClosureQuery {
    ClosureQuery {
        module: directory.join("module"),
        base: directory.join("module"),
        go_work: None,
        packages: vec!["./...".to_owned()],
        scope: rondel_golang::Scope::Build,
        workspace: directory.to_owned(),
        c_flags: Vec::new(),
        settings: BTreeMap::new(),
    }
}

fn toolchain_zip(bytes: &[u8], directory: &Path) {
    unpack(bytes, directory, ArchiveKind::ModuleZip { prefix: "go@v1/" });
    unpack(bytes, directory, ArchiveKind::Zip);
}

fn toolchain_archive(bytes: &[u8], directory: &Path) {
    unpack(bytes, directory, ArchiveKind::TarGz);
}

fn unpack(bytes: &[u8], directory: &Path, kind: ArchiveKind<'_>) {
    let archive = directory.join("archive");
    put(&archive, bytes);
    let destination = directory.join("box/within");
    let _ = fs::remove_dir_all(directory.join("box"));
    fs::create_dir_all(&destination).expect("the temporary directory can be written");
    let _ = rondel_golang::unpack(&archive, kind, Some(&destination));
    let names = |path: &Path| fs::read_dir(path).map_or(0, Iterator::count);
    assert_eq!((names(&directory.join("box")), names(directory) <= 4), (1, true), "something was written outside");
    each_file(&destination, &mut |path| {
        let metadata = fs::symlink_metadata(path).expect("it was listed");
        assert!(metadata.is_file(), "{} is no regular file", path.display());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(metadata.permissions().mode() & 0o7000, 0, "{} has more than permissions", path.display());
        }
    });
}

fn each_file(directory: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => each_file(&entry.path(), visit),
            _ => visit(&entry.path()),
        }
    }
}

fn layer(bytes: &[u8], directory: &Path) {
    let path = directory.join("layer");
    put(&path, bytes);
    let _ = rondel_diff::layer_files(&path, &mut |_, _, contents| {
        let _ = std::io::copy(&mut std::io::Read::take(contents, 1 << 20), &mut std::io::sink());
    });
    let other = directory.join("other");
    put(&other, b"something else");
    let _ = rondel_diff::diff_files(&path, &other, &rondel_diff::Traces::default());
}

/// Reads a manifest of a document about an image, and adds to a list of them.
fn image_documents(bytes: &[u8], _: &Path) {
    let _ = ArtifactManifest::parse(bytes);
    let signature = SignatureLayer {
        media_type: "text/plain".to_owned(),
        contents: b"notes".to_vec(),
        annotations: Default::default(),
    };
    let signature = std::slice::from_ref(&signature);
    if let Ok(Some(tag)) = SignatureTag::with(Some(bytes), signature) {
        assert_eq!(SignatureTag::with(Some(&tag.manifest), signature).unwrap(), None, "a signature is added once");
    }
    let own = Artifact {
        artifact_type: "text/plain".to_owned(),
        name: "notes".to_owned(),
        contents: Digest::of(b"notes"),
        subject: Subject { media_type: String::new(), digest: Digest::of(b"image") },
        annotations: Default::default(),
    };
    let Ok(list) = list_with(Some(bytes), std::slice::from_ref(&own)) else { return };
    let again = list_with(Some(&list), std::slice::from_ref(&own));
    assert!(again.is_ok_and(|again| again == list), "what is added once is not added again");
    let found = Referrer::list(&list).map(|list| list.iter().any(|referrer| own.is_version_of(referrer)));
    assert_ne!(found, Ok(false), "what was added is found");
}

/// Adopts a repository in which every file that says something has these contents.
fn repository(bytes: &[u8], directory: &Path) {
    for name in ["go.mod", "go.work", "main.go", "Makefile", "Dockerfile", "compose.yaml", ".goreleaser.yaml"] {
        put(&directory.join(name), bytes);
    }
    for (go_mod, main) in [(None, None), (Some("module example.com/a\n\ngo 1.22\n"), Some("package main\n"))] {
        if let (Some(go_mod), Some(main)) = (go_mod, main) {
            put(&directory.join("go.mod"), go_mod.as_bytes());
            put(&directory.join("main.go"), main.as_bytes());
            let _ = fs::remove_file(directory.join("go.work"));
        }
        if let Ok(survey) = rondel_survey::survey(directory, None, None) {
            rondel_survey::build_ron(&survey, "0.1.0").expect("what is written can be read");
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let git = rondel_survey::RondelSource::Git("https://git.example/rondel.git".to_owned());
    let _ = (rondel_survey::member_in(&text, &git), rondel_survey::alias_in(&text));
}

fn executable(bytes: &[u8], _: &Path) {
    let _ = rondel_golang::BuildInfo::of(bytes);
}

fn put(path: &Path, bytes: &[u8]) {
    let parent = path.parent().expect("below the directory");
    fs::create_dir_all(parent).and_then(|()| fs::write(path, bytes)).expect("the temporary directory can be written");
}

/// Reads the databases of an image's packages: of apk, dpkg and rpm. What is found names nothing outside of the terms of package URLs.
fn package_databases(bytes: &[u8], _: &Path) {
    for path in [
        "lib/apk/db/installed",
        "var/lib/dpkg/status",
        "var/lib/rpm/rpmdb.sqlite",
        "var/lib/rpm/Packages.db",
        "var/lib/rpm/Packages",
    ] {
        let mut files = BTreeMap::from([(path.to_owned(), bytes.to_vec())]);
        files.insert("etc/os-release".to_owned(), bytes.iter().copied().take(4096).collect());
        sound_packages(&files);
    }
    // A log of SQLite is read with the database before it.
    let log = bytes.windows(4).position(|word| matches!(word, [0x37, 0x7f, 0x06, 0x82 | 0x83])).unwrap_or(bytes.len());
    let (database, log) = bytes.split_at(log);
    sound_packages(&BTreeMap::from([
        ("var/lib/rpm/rpmdb.sqlite".to_owned(), database.to_vec()),
        ("var/lib/rpm/rpmdb.sqlite-wal".to_owned(), log.to_vec()),
    ]));
}

/// Keys, and what is signed. What is believed was signed, and a key that is read is a whole one.
fn signatures(bytes: &[u8], _: &Path) {
    use rondel_signatures::{PrivateKey, PublicKey, bundle::Bundle, dsse, simple_signing};
    let text = String::from_utf8_lossy(bytes);
    let password = text.contains("SIGSTORE").then_some("x");
    if let Ok(key) = PrivateKey::from_pem(&text, password) {
        assert_eq!(key.public_key().verify(b"x", &key.sign(b"x")), Ok(()));
    }
    let read = PublicKey::from_pem(&text).or_else(|_| PublicKey::from_der(bytes));
    if let Ok(key) = &read {
        assert_eq!(PublicKey::from_der(&key.to_der()).as_ref(), Ok(key));
        assert_eq!(PublicKey::from_pem(&key.to_pem()).as_ref(), Ok(key));
        assert!(key.verify(bytes, bytes).is_err());
    }
    let key = PublicKey::from_pem(include_str!("../../crates/signatures/src/fixtures/rfc6979.pub")).expect("a key");
    let envelope = dsse::Envelope::from_json(bytes).ok();
    let bundle = Bundle::from_json(bytes).ok();
    for envelope in [envelope.as_ref(), bundle.as_ref().and_then(Bundle::envelope)].into_iter().flatten() {
        // The samples are signed by another key.
        assert!(envelope.verify(dsse::IN_TOTO, &key).is_err());
    }
    if let Some(bundle) = &bundle {
        assert!(bundle.verify_message(b"hello\n", &key).is_err());
        assert_eq!(Bundle::from_json(&bundle.to_json()).as_ref(), Ok(bundle));
    }
    assert!(simple_signing::check(bytes, "sha256:0").is_err());
    assert!(simple_signing::verify(bytes, &text, &key).is_err());
}

fn sound_packages(files: &BTreeMap<String, Vec<u8>>) {
    let Ok(found) = rondel_evidence::SystemPackages::read(files) else { return };
    for package in found.packages {
        let purl = package.purl.expect("a package has a URL");
        let is_plain = |character: char| character.is_ascii_alphanumeric() || ":/.-_~@%?=&".contains(character);
        assert!(purl.starts_with("pkg:") && purl.chars().all(is_plain), "{purl}");
    }
}
