//! Sound samples of each format, to be changed.

use std::io::Write;

use rondel_cas::messages::{Action, Command, UnixMode};
use rondel_cas::{ActionResult, Cache, Digest, Entry, Metadata, OutputEntry, RelativePath, Tree};
use rondel_golang::Closure;
use rondel_tests::{closure_query, directory_of};
use rondel_tree::{GlobSet, StatSnapshot};

/// Samples for the entry point `name`.
pub fn of(name: &str) -> Vec<Vec<u8>> {
    let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    match name {
        "build_file" => {
            let every = r#"(format: 1, project: "x", go: FromGoMod, pools: {"p": 2}, vars: {"a": Env("A", "b{{"), "g": Git(Describe(match: "v*", abbrev: 7, dirty: "-d"), "none"), "t": Git(CommitTime(format: "%Y-%m"), "{g|trim_prefix:v|slug|short:9|default:x}"), "f": File("V"), "m": Match("V", "(a|b)+"), "o": Output("e")}, platforms: ["linux/amd64"], targets: {"e": Exec(command: ["a"], inputs: ["**", "!x/*"], outputs: ["o/"], env: {"K": "{a}", "S": Secret("S")}, retries: 1, pool: "p", timeout_s: 3), "s": Shell("echo ${x:-y} { z; }"), "g": Group(targets: ["e"])})"#;
            vec![std::fs::read(repository.join("build.ron")).unwrap(), every.as_bytes().to_vec()]
        }
        "lock_file" => vec![std::fs::read(repository.join("build.lock")).unwrap()],
        "action_result" => vec![action_result()],
        "messages" => messages(),
        "snapshot" => vec![snapshot()],
        "record" => vec![record()],
        "closure" => vec![closure()],
        "toolchain_zip" => vec![zip()],
        "toolchain_archive" | "layer" => vec![tar_gz(), gzip(b"not a tar archive")],
        "executable" => {
            let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
            let mut go = own[..4096].to_vec();
            go.resize(8192, 0);
            go[4096..4096 + 14].copy_from_slice(b"\xff Go buildinf:");
            go[4096 + 15] = 2;
            vec![own[..16 * 1024].to_vec(), go]
        }
        "repository" => [
            "module example.com/a/v2 // c\n\ngo 1.22\n\nuse (\n\t.\n\t./b\n)\n",
            "// c\n//go:build linux && (!cgo || go1.21)\n\npackage main\n\nimport \"C\"\n",
            "A ?= $(shell git describe)\nB := -s -w -X main.a=$(A) -X 'm/v.B=$(shell git rev-parse HEAD)' \\\n\t-X main.c=x\n",
            "FROM golang:1.23.4 AS b\nRUN go build -ldflags \"-X main.a=b\"\nFROM scratch\nCOPY a b\nEXPOSE 80 53/udp\nHEALTHCHECK CMD curl http://localhost:80/x\n",
            "services:\n  web: {build: ., ports: [\"80:81/tcp\", {target: 82}], healthcheck: {test: \"curl http://localhost:81/\"}}\n",
            "[workspace]\nmembers = [\n    \"a\",\n]\nexclude = []\n[alias]\nb = \"build\"\n",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec(),
        "image_documents" => {
            let (media_type, bytes) = document().manifest();
            let foreign = format!(
                r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{media_type}","digest":"{}","size":{},"artifactType":"a/b","annotations":{{"rondel.document":"notes"}}}}]}}"#,
                Digest::of(b"another manifest").oci(),
                bytes.len()
            );
            let list = rondel_oci::list_with(Some(foreign.as_bytes()), &[document()]).unwrap();
            vec![bytes, foreign.into_bytes(), list]
        }
        "package_databases" => {
            let own = repository.join("crates/evidence/src/rpm/samples");
            let sample = |name: &str| std::fs::read(own.join(name)).unwrap();
            vec![
                b"P:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\n\nP:busybox\nV:1.36.1-r15\n\n".to_vec(),
                b"Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc\nVersion: 2.36-9\n".to_vec(),
                sample("rpmdb.sqlite"),
                sample("Packages.db"),
                sample("Packages"),
                [sample("rpmdb.sqlite"), sample("rpmdb.sqlite-wal")].concat(),
            ]
        }
        "signatures" => {
            let fixtures = repository.join("crates/signatures/src/fixtures");
            let names = ["cosign.pub", "rfc6979.sec1.pem", "rfc6979.pkcs8.pem", "blob.sigstore.json", "blob.att.json"];
            let mut samples: Vec<Vec<u8>> =
                names.iter().map(|name| std::fs::read(fixtures.join(name)).unwrap()).collect();
            let payload = rondel_signatures::simple_signing::payload("registry.example/app", &Digest::of(b""));
            // As cosign's, with parameters that take no time: {"kdf":{"name":"scrypt","params":{"N":2,"r":1,"p":1}, …
            let encrypted = "eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjoyLCJyIjoxLCJwIjoxfSwic2FsdCI6IiJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94Iiwibm9uY2UiOiJBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQSJ9LCJjaXBoZXJ0ZXh0IjoiQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE9In0=";
            let label = "ENCRYPTED SIGSTORE PRIVATE KEY";
            samples.push(format!("-----BEGIN {label}-----\n{encrypted}\n-----END {label}-----\n").into_bytes());
            samples.push(payload);
            samples
        }
        other => panic!("no samples for {other}"),
    }
}

/// Each sample is read by its reader.
pub fn check() {
    for sample in of("build_file") {
        rondel_buildfile::BuildFile::parse(std::str::from_utf8(&sample).unwrap(), "0.1.0").unwrap();
    }
    rondel_buildfile::LockFile::parse(std::str::from_utf8(&of("lock_file")[0]).unwrap()).unwrap();
    let directory = std::env::temp_dir().join(format!("rondel-samples-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("in")).unwrap();
    for (name, kind) in [
        ("toolchain_zip", rondel_golang::ArchiveKind::ModuleZip { prefix: "go@v1/" }),
        ("toolchain_archive", rondel_golang::ArchiveKind::TarGz),
    ] {
        std::fs::write(directory.join(name), &of(name)[0]).unwrap();
        rondel_golang::unpack(&directory.join(name), kind, None).unwrap();
    }
    let record = of("record").remove(0);
    let checked = [&record[..], b"\n# ", Digest::of(&[&record[..], b"\n"].concat()).hex().as_bytes(), b"\n"].concat();
    std::fs::write(directory.join("record"), checked).unwrap();
    let step = rondel_engine::read_record_file(&directory.join("record")).unwrap().step.unwrap();
    assert_eq!(step.to_string(), "x (linux/amd64)");
    assert_eq!(Tree::decode(&of("messages")[0]).unwrap().len(), 5);
    let documents = of("image_documents");
    assert_eq!(rondel_oci::ArtifactManifest::parse(&documents[0]).unwrap().files.len(), 1);
    assert_eq!(rondel_oci::Referrer::list(&documents[2]).unwrap().len(), 2);
    let databases = of("package_databases");
    for (sample, path) in databases.iter().zip([
        "lib/apk/db/installed",
        "var/lib/dpkg/status",
        "var/lib/rpm/rpmdb.sqlite",
        "var/lib/rpm/Packages.db",
    ]) {
        let files = std::collections::BTreeMap::from([(path.to_owned(), sample.clone())]);
        assert!(!rondel_evidence::SystemPackages::read(&files).unwrap().packages.is_empty(), "{path}");
    }
    let signed = of("signatures");
    let key = rondel_signatures::PublicKey::from_pem(std::str::from_utf8(&signed[0]).unwrap()).unwrap();
    let bundle = |place: usize| rondel_signatures::bundle::Bundle::from_json(&signed[place]).unwrap();
    assert_eq!(bundle(3).verify_message(b"hello\n", &key), Ok(()));
    assert!(bundle(4).envelope().unwrap().verify(rondel_signatures::dsse::IN_TOTO, &key).is_ok());
    let encrypted = rondel_signatures::PrivateKey::from_pem(std::str::from_utf8(&signed[5]).unwrap(), Some("x"));
    assert_eq!(encrypted.err(), Some(rondel_signatures::KeyError::WrongPassword));
    of("action_result");
    of("closure");
    let (sample, clock) = (directory_of("closure").join("sample"), StatSnapshot::open(&directory.join("clock")));
    let recalled = Closure::recall(&sample, &closure_query(&directory_of("closure")), &clock).unwrap();
    assert_eq!(recalled.mains.len(), 1);
    std::fs::remove_dir_all(directory).unwrap();
}

fn document() -> rondel_oci::Artifact {
    let subject = rondel_oci::Subject { media_type: "a/b".to_owned(), digest: Digest::of(b"image") };
    let (artifact_type, name) = ("application/spdx+json".to_owned(), "sbom.json".to_owned());
    rondel_oci::Artifact { artifact_type, name, contents: Digest::of(b"{}"), subject, annotations: Default::default() }
}

fn action_result() -> Vec<u8> {
    let entry = |path: &str, entry| OutputEntry { path: RelativePath::new(path).unwrap(), entry };
    let result = ActionResult {
        outputs: vec![
            entry("bin/x", Entry::file(Digest::of(b"x"), true)),
            entry("gen/empty", Entry::directory()),
            entry("link", Entry::Symlink { target: "bin/x".to_owned() }),
        ],
        directories: vec![RelativePath::new("gen").unwrap()],
        metadata: Metadata { type_name: "facts".to_owned(), value: br#"{"digest":"sha256:0"}"#.to_vec() },
        ..ActionResult::default()
    };
    // Directory of the entry point: the tree of the output directory has to be there.
    let directory = directory_of("action_result");
    let cache = Cache::disk(&directory);
    let action = Digest::of(b"action");
    cache.update_action_result(&action, &result).unwrap();
    assert_eq!(cache.get_action_result(&action).unwrap(), Some(result));
    let bytes = std::fs::read(directory.join("ac").join(&action.hex()[..2]).join(action.hex())).unwrap();
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    bytes[line + 1..].to_vec()
}

/// Returns one message of each kind, as far as kinds differ.
fn messages() -> Vec<Vec<u8>> {
    let mut tree = Tree::new();
    let digest = Digest::of(b"x");
    for (path, entry) in [
        ("a/b/file", Entry::file(digest, true)),
        ("a/b-file", Entry::File { digest, executable: false, mode: UnixMode::new(0o600) }),
        ("a/empty", Entry::directory()),
        ("link", Entry::Symlink { target: "a/b".to_owned() }),
        ("closed", Entry::Directory { mode: UnixMode::new(0o500) }),
    ] {
        tree.insert(RelativePath::new(path).unwrap(), entry);
    }
    let mut samples = vec![tree.encode().unwrap()];
    tree.directories(&mut |_, message| samples.push(message)).unwrap();
    let command = Command {
        arguments: vec!["go", "build"],
        environment_variables: vec![("A", "1")],
        platform: vec![("p", "1")],
        output_paths: vec!["out"],
    };
    samples.push(command.encode());
    samples.push(Action { command_digest: digest, input_root_digest: digest, salt: b"salt" }.encode());
    samples.push(rondel_cas::messages::encode_digest(&digest));
    samples
}

fn snapshot() -> Vec<u8> {
    // A snapshot of the same tree that the entry point walks.
    let directory = directory_of("snapshot");
    std::fs::create_dir_all(directory.join("tree/a")).unwrap();
    std::fs::write(directory.join("tree/a/file"), b"contents").unwrap();
    let snapshot = StatSnapshot::open(&directory.join("sample"));
    snapshot.list(&directory.join("tree"), &GlobSet::everything(Vec::new())).unwrap();
    snapshot.save().unwrap();
    let bytes = std::fs::read(directory.join("sample.4")).unwrap();
    let (length, rest) = bytes[b"rondel-snapshot 4\n".len() + 32..].split_at(8);
    let (head, blocks) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
    [&[0], &head[..24], blocks].concat()
}

fn closure() -> Vec<u8> {
    let directory = directory_of("closure");
    let query = closure_query(&directory);
    for (path, text) in
        [("go.mod", "module example.com/x\n"), ("cmd/main.go", "package main\n"), ("cmd/text/a", "embedded\n")]
    {
        let path = query.module.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let package = serde_json::json!({
        "ImportPath": "example.com/x/cmd", "Dir": query.module.join("cmd"), "Name": "main", "GoFiles": ["main.go"],
        "EmbedPatterns": ["text/*"], "EmbedFiles": ["text/a"], "Module": {"Dir": query.module},
    });
    let snapshot = StatSnapshot::open(&directory.join("clock"));
    let mut closure =
        Closure::from_list(&query, package.to_string().as_bytes(), &[], &snapshot, &|_| unreachable!()).unwrap();
    closure.inputs().unwrap();
    closure.remember(&directory.join("sample"), &directory).unwrap();
    let bytes = std::fs::read(directory.join("sample")).unwrap();
    bytes[b"rondel-closure 6\n".len() + 32..].to_vec()
}

fn record() -> Vec<u8> {
    let digest = Digest::of(b"x");
    format!(
        "{digest}\n{{\"members\":[[\"argument\",\"0000\",\"go\"],[\"tool\",\"go\",\"1\"]],\"last_run\":{{\"at_s\":1,\"duration_ms\":2,\"reasons\":[{{\"kind\":\"no_previous\"}}],\"action\":\"{digest}\"}},\"step\":{{\"target\":\"x\",\"role\":\"\",\"platform\":\"linux/amd64\"}}}}\n{digest}\ta/b.go\n{digest} executable\twith\\ttab"
    )
    .into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn header(kind: tar::EntryType, size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header
}

fn tar_gz() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, contents) in
        [("go/bin/go", &b"#!/bin/sh\n"[..]), ("go/src/fmt/print.go", &[b'x'; 3000]), ("go/VERSION", b"go1.22.12")]
    {
        builder.append_data(&mut header(tar::EntryType::Regular, contents.len()), name, contents).unwrap();
    }
    gzip(&builder.into_inner().unwrap())
}

/// A zip of two stored files (APPNOTE.TXT 4.3).
fn zip() -> Vec<u8> {
    let files: [(&str, &[u8]); 2] = [("go@v1/bin/go", b"#!/bin/sh\n"), ("go@v1/src/_go.mod", b"module std\n")];
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for (name, contents) in files {
        let offset = bytes.len() as u32;
        let size = (contents.len() as u32).to_le_bytes();
        let common = [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &crc32fast::hash(contents).to_le_bytes(),
            &size,
            &size,
            &(name.len() as u16).to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), contents].concat());
        central.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10], &offset.to_le_bytes(), name.as_bytes()].concat());
    }
    let begin = (bytes.len() as u32).to_le_bytes();
    let size = (central.len() as u32).to_le_bytes();
    bytes.extend(&central);
    bytes.extend([b"PK\x05\x06\0\0\0\0\x02\0\x02\0", &size[..], &begin, &[0, 0]].concat());
    bytes
}

/// Returns descriptions and archives.
pub fn evil_archives() -> Vec<(&'static str, Vec<u8>)> {
    type Evil = (&'static str, tar::EntryType, &'static str, Option<&'static str>);
    let evil: &[Evil] = &[
        ("a name that climbs out", tar::EntryType::Regular, "go/../../escaped", None),
        ("an absolute name", tar::EntryType::Regular, "/tmp/escaped", None),
        ("a name outside of the prefix", tar::EntryType::Regular, "other/file", None),
        ("a name twice", tar::EntryType::Regular, "go/bin/go", None),
        ("a file as directory", tar::EntryType::Regular, "go/bin/go/below", None),
        ("a symbolic link", tar::EntryType::Symlink, "go/bin/link", Some("../../../escaped")),
        ("a hard link", tar::EntryType::Link, "go/bin/hard", Some("/etc/passwd")),
        ("a device", tar::EntryType::Char, "go/dev", None),
        ("a block device", tar::EntryType::Block, "go/dev", None),
        ("a fifo", tar::EntryType::Fifo, "go/fifo", None),
    ];
    let archive = |(_, kind, name, link): &Evil| {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_data(&mut header(tar::EntryType::Regular, 2), "go/bin/go", &b"go"[..]).unwrap();
        let mut header = header(*kind, 0);
        // Written byte by byte: the library would refuse such names.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        if let Some(link) = link {
            header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        }
        header.set_mode(0o4755);
        header.set_cksum();
        builder.append(&header, &[][..]).unwrap();
        gzip(&builder.into_inner().unwrap())
    };
    evil.iter().map(|evil| (evil.0, archive(evil))).collect()
}
