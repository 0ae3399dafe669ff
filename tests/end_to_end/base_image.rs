//! Base images for tests, written by hand as OCI layouts, and a real registry (CNCF distribution) on loopback.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rondel_cas::Digest;
use serde_json::{Value, json};

/// An entry of a layer.
pub enum Item<'a> {
    File(&'a str, &'a str, u32),
    Directory(&'a str, u32),
    Link(&'a str, &'a str),
    /// Another name of an earlier file.
    Hard(&'a str, &'a str),
}

/// How a layer is compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Plain,
    Gzip,
    Zstd,
}

/// One image for one platform.
#[derive(Clone)]
pub struct BaseImage {
    pub platform: &'static str,
    /// `config` of its configuration.
    pub config: Value,
    pub layers: Vec<(Vec<u8>, Form)>,
    /// Docker's media types, instead of OCI's.
    pub is_docker: bool,
}

/// A tar of entries, each owned by 7:8.
pub fn tar_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for item in items {
        let mut header = tar::Header::new_gnu();
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_000_000);
        header.set_size(0);
        match item {
            Item::File(path, text, mode) => {
                header.set_mode(*mode);
                header.set_size(text.len() as u64);
                builder.append_data(&mut header, path, text.as_bytes()).unwrap();
            }
            Item::Directory(path, mode) => {
                header.set_mode(*mode);
                header.set_entry_type(tar::EntryType::Directory);
                builder.append_data(&mut header, path, std::io::empty()).unwrap();
            }
            Item::Hard(path, target) => {
                header.set_mode(0o644);
                header.set_entry_type(tar::EntryType::Link);
                builder.append_link(&mut header, path, target).unwrap();
            }
            Item::Link(path, target) => {
                header.set_mode(0o777);
                header.set_entry_type(tar::EntryType::Symlink);
                builder.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    builder.into_inner().unwrap()
}

/// A base like those of distributions: links, users, certificates, a shell's settings.
pub fn distribution(platform: &'static str, form: Form) -> BaseImage {
    let lower = tar_of(&[
        Item::Directory("usr", 0o755),
        Item::Directory("usr/lib", 0o755),
        Item::Link("lib", "usr/lib"),
        Item::Directory("etc", 0o755),
        Item::File("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34:www:/srv:/bin/sh", 0o640),
        Item::File("etc/group", "root:x:0:\nwww:x:34:\n", 0o644),
        Item::Directory("srv", 0o2770),
        Item::File("usr/lib/gone", platform, 0o644),
    ]);
    let upper = tar_of(&[
        Item::File("etc/ssl/real.pem", "-----BEGIN CERTIFICATE-----\nbase\n-----END CERTIFICATE-----", 0o600),
        Item::Link("etc/ssl/cert.pem", "/etc/ssl/real.pem"),
        Item::File("usr/lib/.wh.gone", "", 0o644),
        Item::File("opt/tool", "tool", 0o755),
    ]);
    BaseImage {
        platform,
        config: json!({
            "Env": ["PATH=/base/bin", "KEEP=1", "CHANGE=base"], "User": "www", "WorkingDir": "/srv",
            "Entrypoint": ["/opt/tool"], "Cmd": ["-x"], "Labels": {"from": "base"}, "Volumes": {"/data": {}},
            "StopSignal": "SIGQUIT", "ExposedPorts": {"80/tcp": {}},
        }),
        layers: vec![(lower, form), (upper, form)],
        is_docker: false,
    }
}

impl BaseImage {
    /// Writes the blobs; returns the descriptor of the manifest.
    fn write(&self, layout: &Path) -> Value {
        let kind = |oci: &str, docker: &str| {
            let of = |vendor: &str, rest: &str| format!("application/vnd.{vendor}.{rest}");
            if self.is_docker { of("docker", docker) } else { of("oci.image", oci) }
        };
        let parts: Vec<&str> = self.platform.split('/').collect();
        let diff_ids: Vec<String> = self.layers.iter().map(|(tar, _)| Digest::of(tar).oci()).collect();
        let config = json!({
            "created": "2024-05-06T07:08:09Z", "os": parts[0], "architecture": parts[1], "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": "first"}, {"created_by": "ENV", "empty_layer": true}, {"created_by": "second"}],
        });
        let mut layers = Vec::new();
        for (tar, form) in &self.layers {
            let (bytes, ending) = match form {
                Form::Plain => (tar.clone(), ""),
                Form::Gzip => {
                    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                    encoder.write_all(tar).unwrap();
                    (encoder.finish().unwrap(), "gzip")
                }
                Form::Zstd => {
                    let level = ruzstd::encoding::CompressionLevel::Fastest;
                    (ruzstd::encoding::compress_to_vec(tar.as_slice(), level), "zstd")
                }
            };
            let (plus, dot) = (format!("+{ending}"), format!(".{ending}"));
            let (plus, dot) = if ending.is_empty() { ("", "") } else { (plus.as_str(), dot.as_str()) };
            let media_type = kind(&format!("layer.v1.tar{plus}"), &format!("image.rootfs.diff.tar{dot}"));
            layers.push(blob(layout, &media_type, &bytes));
        }
        let config = blob(layout, &kind("config.v1+json", "container.image.v1+json"), config.to_string().as_bytes());
        let media_type = kind("manifest.v1+json", "distribution.manifest.v2+json");
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
        let mut descriptor = blob(layout, &media_type, manifest.to_string().as_bytes());
        descriptor["platform"] = json!({"os": parts[0], "architecture": parts[1]});
        descriptor
    }
}

fn blob(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = Digest::of(bytes);
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    fs::write(layout.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
    json!({"mediaType": media_type, "digest": digest.oci(), "size": bytes.len()})
}

/// Writes an OCI layout with these images, and an attestation among them as BuildKit has it.
pub fn write_layout(layout: &Path, images: &[BaseImage]) {
    let mut manifests: Vec<Value> = images.iter().map(|image| image.write(layout)).collect();
    let mut attestation = BaseImage { config: json!({}), layers: Vec::new(), ..images[0].clone() }.write(layout);
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    manifests.insert(0, attestation);
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// Returns an address for a server that is started later. The system gives its port to no connection meanwhile, and this
/// process gives it to no other server.
fn free_address() -> String {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(97).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let address = format!("127.0.0.1:{}", 20_000 + number % 12_000);
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// A registry that runs as long as the value lives.
pub struct Registry {
    pub address: String,
    directory: PathBuf,
    program: &'static str,
    process: Option<Child>,
}

impl Registry {
    /// Starts go-containerregistry's registry (tests/registries), which has the referrers API and keeps all in memory.
    pub fn with_referrers(directory: &Path) -> Registry {
        fs::create_dir_all(directory).unwrap();
        let program = "registry-with-referrers";
        let address = free_address();
        let mut registry = Registry { address, directory: directory.to_owned(), program, process: None };
        registry.resume();
        registry
    }

    /// Starts a registry whose blobs are in `directory`.
    pub fn start(directory: &Path) -> Registry {
        Registry::with_settings(directory, "", "")
    }

    /// Starts a registry with more settings: at the top, and of its server (`, tls: {…}`).
    pub fn with_settings(directory: &Path, top: &str, server: &str) -> Registry {
        let address = free_address();
        fs::create_dir_all(directory).unwrap();
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: false}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"{server}}}\n{top}\n",
            directory.join("data").display()
        );
        fs::write(directory.join("config.yml"), config).unwrap();
        let mut registry = Registry { address, directory: directory.to_owned(), program: "registry", process: None };
        registry.resume();
        registry
    }

    /// Starts it again at the same address.
    pub fn resume(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = Command::new(self.program);
        match self.program {
            "registry" => command.arg("serve").arg(self.directory.join("config.yml")),
            _ => command.arg(&self.address),
        };
        command.stdin(Stdio::null());
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("OTEL_TRACES_EXPORTER", "none");
        self.process = Some(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        let begun = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the registry did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// The log with all that was answered. A registry writes a line after its answer is gone, so a request of our own is what
    /// says that the lines before it are there.
    fn log_so_far(&self) -> String {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let path = format!("/v2/asked-{}/tags/list", ASKED.fetch_add(1, Ordering::Relaxed));
        let mut text = fs::read_to_string(self.log()).unwrap_or_default();
        let Ok(mut stream) = TcpStream::connect(&self.address) else { return text };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        let mut answer = Vec::new();
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut answer));
        let begun = Instant::now();
        // One with TLS answers in HTTP/1.0 that this is no TLS, and logs nothing.
        while answer.starts_with(b"HTTP/1.1") && !text.contains(&path) && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
            text = fs::read_to_string(self.log()).unwrap_or_default();
        }
        text
    }

    /// The requests for manifests and blobs so far: `GET /v2/…`.
    pub fn requests(&self) -> Vec<String> {
        let text = self.log_so_far();
        // The one writes it as web servers do, the other alone.
        let lines = text.lines().map(|line| line.split('"').nth(1).unwrap_or(line));
        let asked = |line: &&str| ["/manifests/", "/blobs/", "/referrers/"].iter().any(|part| line.contains(part));
        lines.filter(asked).map(|line| line.trim_end_matches(" HTTP/1.1").to_owned()).collect()
    }

    /// Pushes a layout as `name`, with all its platforms.
    pub fn push(&self, layout: &Path, name: &str) {
        let to = format!("{}/{name}", self.address);
        let output =
            Command::new("crane").args(["push", "--insecure", "--index"]).arg(layout).arg(to).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Makes the files of a company's registry in `site`: an authority of its own (`ca.pem`), and the account me:secret-word. Returns
/// the settings of the registry.
pub fn company(site: &Path) -> (String, String) {
    fs::create_dir_all(site).unwrap();
    for arguments in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=company",
        "req -x509 -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.pem -days 2 -subj /CN=127.0.0.1 -CA ca.pem -CAkey ca.key -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE",
    ] {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(site).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // me:secret-word
    fs::write(site.join("htpasswd"), "me:$2a$04$IzRY.Xp7e4zbXCr3Wcezxuk8.sY12ZicizvV5mFiTWePVXcUXp1C2\n").unwrap();
    let at = |name: &str| site.join(name).display().to_string();
    let accounts = format!("auth: {{htpasswd: {{realm: company, path: {}}}}}", at("htpasswd"));
    let tls = format!(", tls: {{certificate: {}, key: {}}}", at("leaf.pem"), at("leaf.key"));
    (accounts, tls)
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}
