//! Provisioning: the exact toolchain, fetched, checked, unpacked once per user.
//!
//! Two processes may do it at once: each unpacks into a directory of its own, and the first to rename wins.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, TemporaryFile};
use rondel_engine::StepError;

use crate::download::{FetchError, Fetcher};
use crate::settings::DownloadSettings;
use crate::unpack::{Unpacked, unpack_archive, unpack_module};
use crate::{GoPin, Host, Toolchain};

/// Everything that provisioning needs to know.
pub struct Provision<'a> {
    /// `1.22.12`
    pub version: &'a str,
    /// The platform that the toolchain is to run on.
    pub host: &'a Host,
    /// What build.lock says.
    pub pin: Option<&'a GoPin>,
    /// How modules are reached.
    pub settings: &'a DownloadSettings,
    /// Where archives are, when no proxy is known: Go's download page or a mirror of it.
    pub download_page: &'a str,
    /// Directory of unpacked toolchains.
    pub toolchains: &'a Path,
    /// Never ask the network?
    pub offline: bool,
}

/// A toolchain, and what was seen of it when it was fetched.
pub struct Provisioned {
    /// Ready to run.
    pub toolchain: Toolchain,
    /// What build.lock would pin.
    pub seen: GoPin,
}

impl Provision<'_> {
    fn directory(&self) -> PathBuf {
        self.toolchains.join(format!("go{}.{}-{}", self.version, self.host.os, self.host.architecture))
    }

    /// The toolchain, if it has been unpacked before and is what the pin says.
    pub fn installed(&self) -> Result<Option<Provisioned>, StepError> {
        let directory = self.directory();
        let Ok(text) = fs::read_to_string(directory.join("rondel-identity")) else { return Ok(None) };
        let mut seen = GoPin::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match name {
                "identity" => seen.identity = value.parse().ok(),
                "module" => seen.module = Some(value.to_owned()),
                "archive" => seen.archive = Some(value.to_owned()),
                _ => {}
            }
        }
        let root = directory.join("sdk");
        let (Some(identity), true) = (seen.identity, root.join("bin/go").is_file()) else { return Ok(None) };
        self.check_identity(&identity)?;
        let toolchain = Toolchain { version: self.version.to_owned(), root, identity };
        Ok(Some(Provisioned { toolchain, seen }))
    }

    /// The toolchain, fetched if it isn't there. `progress` is told what goes on, and bytes done and in all;
    /// it says whether to go on.
    pub fn ensure(&self, progress: &dyn Fn(&str, u64, u64) -> bool) -> Result<Provisioned, StepError> {
        if let Some(found) = self.installed()? {
            return Ok(found);
        }
        if self.offline {
            let message = format!("Go {} is not on this machine and --offline forbids fetching it", self.version);
            return Err(StepError::environment(message).hint("run once without --offline"));
        }
        fs::create_dir_all(self.toolchains).map_err(|error| StepError::unwritable(self.toolchains, &error))?;
        let fetcher = Fetcher::new(self.settings.get("SSL_CERT_FILE").map(PathBuf::from));
        match self.settings.proxies() {
            Some(proxies) if proxies.is_empty() => Err(StepError::environment(format!(
                "Go {} is not on this machine, and GOPROXY ({}) names no proxy to fetch it from",
                self.version,
                self.settings.get("GOPROXY").unwrap_or("")
            ))
            .hint("set GOPROXY to a module proxy, or write `go: System` to use an installed Go")),
            Some(_) => self.fetch_from_proxies(&fetcher, progress),
            None => self.fetch_from_download_page(&fetcher, progress),
        }
    }

    fn fetch_from_proxies(
        &self,
        fetcher: &Fetcher,
        progress: &dyn Fn(&str, u64, u64) -> bool,
    ) -> Result<Provisioned, StepError> {
        let name = format!("v0.0.1-go{}.{}-{}", self.version, self.host.os, self.host.architecture);
        let mut last = None;
        for entry in self.settings.proxies().unwrap_or_default() {
            let url = format!("{}/golang.org/toolchain/@v/{name}.zip", entry.url);
            match self.fetch(fetcher, &url, progress) {
                Ok(file) => {
                    let prefix = format!("golang.org/toolchain@{name}/");
                    let unpacked = |staging: &Path| unpack_module(file.path(), &prefix, staging);
                    return self.install(&url, None, &unpacked, progress);
                }
                Err(FetchError::NotFound(_)) => last = Some(FetchError::NotFound(url)),
                Err(error @ FetchError::Failed { .. }) if entry.falls_through_on_error => last = Some(error),
                Err(error) => return Err(self.fetch_error(error)),
            }
        }
        Err(self.fetch_error(last.expect("there is at least one proxy")))
    }

    fn fetch_from_download_page(
        &self,
        fetcher: &Fetcher,
        progress: &dyn Fn(&str, u64, u64) -> bool,
    ) -> Result<Provisioned, StepError> {
        let name = format!("go{}.{}-{}.tar.gz", self.version, self.host.os, self.host.architecture);
        let url = format!("{}/{name}", self.download_page.trim_end_matches('/'));
        let file = self.fetch(fetcher, &url, progress).map_err(|error| self.fetch_error(error))?;
        let archive = Digest::of_file(file.path()).map_err(|error| StepError::unreadable(file.path(), &error))?;
        if let Some(pinned) = self.pin.and_then(|pin| pin.archive.as_ref())
            && *pinned != archive.hex()
        {
            return Err(mismatch(&url, &format!("sha256 {pinned}"), &format!("sha256 {}", archive.hex())));
        }
        self.install(&url, Some(archive.hex()), &|staging| unpack_archive(file.path(), staging), progress)
    }

    fn fetch(
        &self,
        fetcher: &Fetcher,
        url: &str,
        progress: &dyn Fn(&str, u64, u64) -> bool,
    ) -> Result<TemporaryFile, FetchError> {
        let mut file = TemporaryFile::new_in(self.toolchains).map_err(FetchError::Write)?;
        let message = format!("fetching Go {}", self.version);
        fetcher.fetch(url, file.file(), &|done, total| progress(&message, done, total))?;
        Ok(file)
    }

    /// Unpacks beside the destination, checks, and renames: nothing of it can run before it was checked.
    fn install(
        &self,
        url: &str,
        archive: Option<String>,
        unpack: &dyn Fn(&Path) -> io::Result<Unpacked>,
        progress: &dyn Fn(&str, u64, u64) -> bool,
    ) -> Result<Provisioned, StepError> {
        progress(&format!("unpacking Go {}", self.version), 0, 0);
        let staging = self.toolchains.join(format!(".rondel-tmp-{}-{}", self.version, std::process::id()));
        let _ = fs::remove_dir_all(&staging);
        let outcome = (|| {
            let sdk = staging.join("sdk");
            fs::create_dir_all(&sdk).map_err(|error| StepError::unwritable(&sdk, &error))?;
            let unpacked = unpack(&sdk).map_err(|error| match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::PermissionDenied => StepError::unwritable(&sdk, &error),
                _ => StepError::environment(format!(
                    "what `{}` gave can't be used: {error}",
                    crate::download::without_password(url)
                )),
            })?;
            if let (Some(pinned), Some(found)) = (self.pin.and_then(|pin| pin.module.as_ref()), &unpacked.module_hash)
                && pinned != found
            {
                return Err(mismatch(url, pinned, found));
            }
            self.check_identity(&unpacked.identity)?;
            let seen = GoPin { module: unpacked.module_hash, archive, identity: Some(unpacked.identity) };
            let mut text = format!("identity {}\n", unpacked.identity);
            for (name, value) in [("module", &seen.module), ("archive", &seen.archive)] {
                if let Some(value) = value {
                    text.push_str(&format!("{name} {value}\n"));
                }
            }
            let file = staging.join("rondel-identity");
            fs::write(&file, text).map_err(|error| StepError::unwritable(&file, &error))?;
            let directory = self.directory();
            if let Err(error) = fs::rename(&staging, &directory) {
                // Another process was faster, or something unusable is in the way.
                if self.installed()?.is_none() {
                    let _ = fs::remove_dir_all(&directory);
                    fs::rename(&staging, &directory).map_err(|_| StepError::unwritable(&directory, &error))?;
                }
            }
            let toolchain = Toolchain {
                version: self.version.to_owned(),
                root: directory.join("sdk"),
                identity: unpacked.identity,
            };
            Ok(Provisioned { toolchain, seen })
        })();
        let _ = fs::remove_dir_all(&staging);
        outcome
    }

    fn check_identity(&self, found: &Digest) -> Result<(), StepError> {
        match self.pin.and_then(|pin| pin.identity) {
            Some(pinned) if pinned != *found => {
                Err(mismatch(&format!("Go {}", self.version), &pinned.to_string(), &found.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn fetch_error(&self, error: FetchError) -> StepError {
        match error {
            FetchError::Interrupted => StepError::Interrupted,
            FetchError::Write(source) => StepError::unwritable(self.toolchains, &source),
            FetchError::NotFound(url) => StepError::environment(format!(
                "there is no Go {} for {}: `{}` is not there",
                self.version,
                self.host,
                crate::download::without_password(&url)
            ))
            .hint("check `go:` in build.ron, and GOPROXY"),
            FetchError::Failed { .. } => {
                StepError::environment(format!("Go {} could not be fetched: {error}", self.version))
                    .hint("check the network and GOPROXY; with an installed Go, write `go: System`")
            }
        }
    }
}

fn mismatch(what: &str, pinned: &str, found: &str) -> StepError {
    let what = crate::download::without_password(what);
    StepError::environment(format!("`{what}` is not what build.lock pins\n  pinned: {pinned}\n  found:  {found}"))
        .hint("nothing of it was run; if the pin is to move, run `cargo xtask lock --update go`")
}
