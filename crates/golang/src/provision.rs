//! Provisioning: the exact toolchain, fetched, checked, unpacked once per user.
//!
//! Two processes may do it at once: the second waits for the first's download. Each unpacks into a directory of its
//! own, and the first to rename wins. An interrupted download is resumed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, SMALL_MAX, read_text_at_most, sweep_abandoned, temporary_name};
use rondel_engine::{PROGRAM, StepError};
use rondel_fetch::{Credentials, FetchError, Fetcher, PartialDownload, without_password};
use rondel_names::Platform;

use crate::settings::DownloadSettings;
use crate::unpack::{Unpacked, unpack_archive, unpack_module, unpack_zip_archive};
use crate::{GoPin, Toolchain};

/// Everything that provisioning depends on.
pub struct Provision<'a> {
    /// `1.22.12`
    pub version: &'a str,
    /// The platform of the machine that runs the toolchain.
    pub host: &'a Platform,
    /// The pin in build.lock.
    pub pin: Option<&'a GoPin>,
    /// Settings for module downloads.
    pub settings: &'a DownloadSettings,
    /// URL of archives, if no proxy is known: Go's download page or a mirror of it.
    pub download_page: &'a str,
    /// Directory of unpacked toolchains.
    pub toolchains: &'a Path,
    /// Credentials for the servers.
    pub credentials: Credentials,
    /// True to never use the network.
    pub offline: bool,
}

/// The two forms in which Go is distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The module zip of the proxies.
    Module,
    /// The archive of the download page.
    Archive,
}

/// Whether a toolchain is installed or only hashed.
enum Destination {
    Installed,
    Nowhere,
}

/// Why a toolchain is not ready. After a fetch error, another source may be tried; all other errors are final.
enum ProvisionError {
    Fetch(FetchError),
    Step(StepError),
}

/// The fetched file is wrong, or another error.
enum InstallError {
    Unsound(StepError),
    Step(StepError),
}

/// Unpacks an archive into a directory, or only hashes it. Also returns the archive's own hash, if it has one.
type Unpack<'a> = dyn Fn(&Path, Option<&Path>) -> Result<(Option<String>, Unpacked), Unsound> + 'a;

/// Why an archive is unsound.
enum Unsound {
    Mismatch { pinned: String, found: String },
    Unreadable(io::Error),
}

impl From<io::Error> for Unsound {
    fn from(error: io::Error) -> Unsound {
        Unsound::Unreadable(error)
    }
}

/// A toolchain, and its hashes when it was fetched.
pub struct Provisioned {
    /// Ready to run.
    pub toolchain: Toolchain,
    /// The pin for build.lock.
    pub seen: GoPin,
}

/// Written beside an unpacked toolchain. The number is the version of what an identity covers.
pub(crate) const IDENTITY_FILE: &str = "rondel-identity-2";

impl Provision<'_> {
    fn directory(&self) -> PathBuf {
        self.toolchains.join(format!("go{}.{}-{}", self.version, self.host.os(), self.host.architecture()))
    }

    /// Returns the toolchain, if it is installed and matches the pin.
    pub fn installed(&self) -> Result<Option<Provisioned>, StepError> {
        let directory = self.directory();
        let Ok(text) = read_text_at_most(&directory.join(IDENTITY_FILE), SMALL_MAX) else { return Ok(None) };
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

    /// Returns the toolchain, and fetches it if needed. Calls `progress` with a message, and bytes done and in all; it
    /// returns whether to continue.
    pub fn ensure(&self, progress: &dyn Fn(&str, u64, u64) -> bool) -> Result<Provisioned, StepError> {
        if let Some(found) = self.installed()? {
            return Ok(found);
        }
        if self.offline {
            let message = format!("Go {} is not on this machine and --offline forbids fetching it", self.version);
            return Err(StepError::environment(message).hint("run once without --offline"));
        }
        match self.settings.proxies() {
            Some(proxies) if proxies.is_empty() => Err(self.no_proxy()),
            Some(_) => self.fetch_from_proxies(&Destination::Installed, progress),
            None => self.fetch_from_download_page(&Destination::Installed, progress),
        }
    }

    /// Returns the pin of the form `form`, by fetching it and installing nothing. Returns `None` if the settings name
    /// no source for that form.
    pub fn look(&self, form: Form, progress: &dyn Fn(&str, u64, u64) -> bool) -> Result<Option<GoPin>, StepError> {
        let provisioned = match form {
            Form::Module => match self.settings.proxies() {
                Some(proxies) if !proxies.is_empty() => self.fetch_from_proxies(&Destination::Nowhere, progress)?,
                _ => return Ok(None),
            },
            Form::Archive => self.fetch_from_download_page(&Destination::Nowhere, progress)?,
        };
        Ok(Some(provisioned.seen))
    }

    fn no_proxy(&self) -> StepError {
        StepError::environment(format!(
            "Go {} is not on this machine, and GOPROXY ({}) names no proxy to fetch it from",
            self.version,
            self.settings.get("GOPROXY").unwrap_or("")
        ))
        .hint("set GOPROXY to a module proxy, or write `go: System` to use an installed Go")
    }

    fn fetch_from_proxies(
        &self,
        destination: &Destination,
        progress: &dyn Fn(&str, u64, u64) -> bool,
    ) -> Result<Provisioned, StepError> {
        let name = format!("v0.0.1-go{}.{}-{}", self.version, self.host.os(), self.host.architecture());
        let mut last = None;
        for entry in self.settings.proxies().unwrap_or_default() {
            let url = format!("{}/golang.org/toolchain/@v/{name}.zip", entry.url);
            let prefix = format!("golang.org/toolchain@{name}/");
            let unpack = |archive: &Path, staging: Option<&Path>| Ok((None, unpack_module(archive, &prefix, staging)?));
            match self.fetch_and_unpack("module", &url, &unpack, destination, progress) {
                Ok(provisioned) => return Ok(provisioned),
                Err(ProvisionError::Fetch(FetchError::NotFound(url))) => last = Some(FetchError::NotFound(url)),
                Err(ProvisionError::Fetch(error @ FetchError::Failed { .. })) if entry.falls_through_on_error => {
                    last = Some(error);
                }
                Err(ProvisionError::Fetch(error)) => return Err(self.fetch_error(error)),
                Err(ProvisionError::Step(error)) => return Err(error),
            }
        }
        Err(last.map_or_else(|| self.no_proxy(), |error| self.fetch_error(error)))
    }

    fn fetch_from_download_page(
        &self,
        destination: &Destination,
        progress: &dyn Fn(&str, u64, u64) -> bool,
    ) -> Result<Provisioned, StepError> {
        let ending = if self.host.os() == "windows" { "zip" } else { "tar.gz" };
        let name = format!("go{}.{}-{}.{ending}", self.version, self.host.os(), self.host.architecture());
        let url = format!("{}/{name}", self.download_page.trim_end_matches('/'));
        let unpack = |archive: &Path, staging: Option<&Path>| {
            let digest = Digest::of_file(archive)?.hex();
            if let Some(pinned) = self.pin.and_then(|pin| pin.archive.as_ref())
                && *pinned != digest
            {
                return Err(Unsound::Mismatch {
                    pinned: format!("sha256 {pinned}"),
                    found: format!("sha256 {digest}"),
                });
            }
            let unpacked =
                if ending == "zip" { unpack_zip_archive(archive, staging)? } else { unpack_archive(archive, staging)? };
            Ok((Some(digest), unpacked))
        };
        self.fetch_and_unpack("archive", &url, &unpack, destination, progress).map_err(|trouble| match trouble {
            ProvisionError::Fetch(error) => self.fetch_error(error),
            ProvisionError::Step(error) => error,
        })
    }

    /// Fetches, unpacks and checks. An unsound file from two attempts is fetched once more from its beginning: the
    /// server may have replaced it between them.
    fn fetch_and_unpack(
        &self,
        form: &str,
        url: &str,
        unpack: &Unpack<'_>,
        destination: &Destination,
        progress: &dyn Fn(&str, u64, u64) -> bool,
    ) -> Result<Provisioned, ProvisionError> {
        let unwritable = |error: io::Error| ProvisionError::Step(StepError::unwritable(self.toolchains, &error));
        let name = format!("{}-{}-{}-{form}", self.version, self.host.os(), self.host.architecture());
        let message = format!("fetching Go {}", self.version);
        let waiting = format!("waiting for another process that fetches Go {}", self.version);
        let partial = PartialDownload::open(self.toolchains, &name, &|| progress(&waiting, 0, 0));
        let Some(mut partial) = partial.map_err(unwritable)? else {
            return Err(ProvisionError::Step(StepError::Interrupted));
        };
        if matches!(destination, Destination::Installed)
            && let Some(found) = self.installed().map_err(ProvisionError::Step)?
        {
            // The other process has done it meanwhile.
            partial.discard();
            return Ok(found);
        }
        let certificates = self.settings.get("SSL_CERT_FILE").map(PathBuf::from);
        let fetcher = Fetcher::new(certificates, self.credentials.clone());
        loop {
            let was_there = partial.was_there;
            fetcher
                .fetch(url, &mut partial, &|done, total| progress(&message, done, total))
                .map_err(ProvisionError::Fetch)?;
            let went_on = was_there && partial.was_there;
            match self.install(url, partial.path(), unpack, destination, progress) {
                Ok(provisioned) => {
                    partial.discard();
                    return Ok(provisioned);
                }
                Err(InstallError::Unsound(_)) if went_on => partial.restart(url, None).map_err(unwritable)?,
                Err(InstallError::Unsound(error)) => {
                    partial.discard();
                    return Err(ProvisionError::Step(error));
                }
                Err(InstallError::Step(error)) => return Err(ProvisionError::Step(error)),
            }
        }
    }

    /// Unpacks beside the destination, checks, and renames: nothing of it can run before it is checked.
    fn install(
        &self,
        url: &str,
        archive: &Path,
        unpack: &Unpack<'_>,
        destination: &Destination,
        progress: &dyn Fn(&str, u64, u64) -> bool,
    ) -> Result<Provisioned, InstallError> {
        progress(&format!("unpacking Go {}", self.version), 0, 0);
        sweep_abandoned(self.toolchains);
        let staging = self.toolchains.join(temporary_name());
        let outcome = (|| {
            let sdk = staging.join("sdk");
            let into = match destination {
                Destination::Installed => {
                    fs::create_dir_all(&sdk)
                        .map_err(|error| InstallError::Step(StepError::unwritable(&sdk, &error)))?;
                    Some(sdk.as_path())
                }
                Destination::Nowhere => None,
            };
            let (archive, unpacked) = unpack(archive, into).map_err(|unsound| match unsound {
                Unsound::Mismatch { pinned, found } => InstallError::Unsound(mismatch(url, &pinned, &found)),
                Unsound::Unreadable(error) => match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::PermissionDenied => {
                        InstallError::Step(StepError::unwritable(&sdk, &error))
                    }
                    _ => InstallError::Unsound(StepError::environment(format!(
                        "the download from `{}` can't be used: {error}",
                        without_password(url)
                    ))),
                },
            })?;
            if let (Some(pinned), Some(found)) = (self.pin.and_then(|pin| pin.module.as_ref()), &unpacked.module_hash)
                && pinned != found
            {
                return Err(InstallError::Unsound(mismatch(url, pinned, found)));
            }
            self.check_identity(&unpacked.identity).map_err(InstallError::Unsound)?;
            let seen = GoPin { module: unpacked.module_hash, archive, identity: Some(unpacked.identity) };
            let directory = self.directory();
            if matches!(destination, Destination::Installed) {
                self.move_into_place(&staging, &directory, &seen).map_err(InstallError::Step)?;
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

    fn move_into_place(&self, staging: &Path, directory: &Path, seen: &GoPin) -> Result<(), StepError> {
        let mut text = String::new();
        let identity = seen.identity.map(|identity| identity.to_string());
        for (name, value) in [("identity", &identity), ("module", &seen.module), ("archive", &seen.archive)] {
            if let Some(value) = value {
                text.push_str(&format!("{name} {value}\n"));
            }
        }
        let file = staging.join(IDENTITY_FILE);
        fs::write(&file, text).map_err(|error| StepError::unwritable(&file, &error))?;
        if let Err(error) = fs::rename(staging, directory) {
            // Another process was faster, or an unusable directory is in the way.
            if self.installed()?.is_none() {
                let _ = fs::remove_dir_all(directory);
                fs::rename(staging, directory).map_err(|_| StepError::unwritable(directory, &error))?;
            }
        }
        Ok(())
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
            FetchError::Write(source) | FetchError::Read(source) => StepError::unwritable(self.toolchains, &source),
            FetchError::NotFound(url) => StepError::environment(format!(
                "there is no Go {} for {}: `{}` was not found",
                self.version,
                self.host,
                without_password(&url)
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
    let what = without_password(what);
    StepError::environment(format!("`{what}` is not what build.lock pins\n  pinned: {pinned}\n  found:  {found}"))
        .hint(format!("nothing of it was run; to move the pin, run `{PROGRAM} lock --update go`"))
}
