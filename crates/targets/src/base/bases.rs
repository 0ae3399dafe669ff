//! `Bases`: the images of registries that a build lies on. It knows the pins of build.lock, remembers what was found
//! without one, and asks a registry only for what is neither known nor stored.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rondel_buildfile::{LockFile, LockedImage, Platform, RegistryReference};
use rondel_cas::{Cache, Digest, STORE_FORMAT, TEXT_MAX, TemporaryFile, read_at_most, write_atomically};
use rondel_engine::{PROGRAM, StepContext, StepError};
use rondel_oci::{BaseConfig, Descriptor, Document, DocumentPlatform, choose};
use rondel_process::Cancellation;
use rondel_registry::{FetchedDocument, Watcher};

use crate::base::pinned::{CONFIG_BYTES_MAX, PinnedImage, descriptor};
use crate::registries::{Registries, step_error};
use crate::variant::oci_variant;

/// The file in `.rondel` that keeps what was found without a pin.
const MEMORY: &str = "bases.1";

type Images = BTreeMap<String, BTreeMap<String, LockedImage>>;

/// The images of registries, for all steps of a build.
pub struct Bases {
    registries: Arc<Registries>,
    pins: Images,
    /// The `.rondel` that remembers.
    state: PathBuf,
    /// Directory for unfinished downloads.
    downloads: PathBuf,
    offline: bool,
    locked: bool,
    /// What was found without a pin, in this run and before.
    remembered: Mutex<Option<Images>>,
}

/// What `Bases` are made from.
pub struct BaseRequest<'a> {
    /// The way to registries.
    pub registries: Arc<Registries>,
    /// The pins of build.lock.
    pub lock: &'a LockFile,
    /// Directory of build.ron.
    pub workspace: &'a Path,
    /// The user's cache directory.
    pub cache: &'a Path,
    /// Never ask the network.
    pub offline: bool,
    /// Refuse what build.lock does not pin.
    pub locked: bool,
}

/// How the work on an image is watched: by a step, or by `lock`.
pub(crate) struct Work<'a> {
    pub cancellation: &'a Cancellation,
    pub results: &'a Cache,
    pub watcher: Watcher<'a>,
}

impl Bases {
    /// Nothing is read and nothing asked yet.
    pub fn new(request: &BaseRequest<'_>) -> Bases {
        Bases {
            registries: Arc::clone(&request.registries),
            pins: request.lock.images.clone(),
            state: request.workspace.join(".rondel"),
            downloads: request.cache.join(STORE_FORMAT).join("downloads"),
            offline: request.offline,
            locked: request.locked,
            remembered: Mutex::default(),
        }
    }

    /// Returns the image of a reference for a platform: as pinned, as remembered, or as the registry has it now.
    pub(crate) fn image(
        &self,
        reference: &RegistryReference,
        platform: &Platform,
        context: &StepContext<'_>,
    ) -> Result<PinnedImage, StepError> {
        let (name, place) = (reference.to_string(), platform.to_string());
        let unusable = |file: &str, error: &dyn std::fmt::Display| {
            StepError::input(format!("{file}: the image `{name}` for {place}: {error}"))
                .hint(format!("run `{PROGRAM} lock --update base`"))
        };
        if let Some(pin) = self.pins.get(&name).and_then(|platforms| platforms.get(&place)) {
            return PinnedImage::of_lock(pin).map_err(|error| unusable("build.lock", &error));
        }
        // A digest in build.ron is a pin by itself.
        if self.locked && reference.digest().is_none() {
            let message = format!("build.lock does not pin `{name}` for {place}, and --locked forbids to go on");
            return Err(StepError::environment(message).hint(format!("run `{PROGRAM} lock` and commit build.lock")));
        }
        let mut remembered = self.remembered.lock().expect("no panic while locked");
        let known = remembered.get_or_insert_with(|| self.read_memory());
        let found = known.get(&name).and_then(|platforms| platforms.get(&place));
        if let Some(image) = found.and_then(|locked| PinnedImage::of_lock(locked).ok()) {
            return Ok(image);
        }
        if context.is_question() {
            return Err(StepError::environment(format!(
                "`{name}` has not been looked up yet, so its digest is not known"
            )));
        }
        if reference.digest().is_none() {
            context.warn(format!(
                "build.lock does not pin `{name}` for {place}: another machine may get another image (run `{PROGRAM} lock`)"
            ));
        }
        // A few small documents: nothing that would need a bar.
        let watcher = Watcher { progress: &|_, _| !context.cancellation.is_raised(), say: &|text| context.note(text) };
        let work = Work { cancellation: context.cancellation, results: &context.workspace.results, watcher };
        let image = self.look_up(reference, platform, &work)?;
        known.entry(name).or_default().insert(place, image.to_lock());
        let text = serde_json::to_string(known).expect("plain data");
        let path = self.state.join(MEMORY);
        if let Err(error) = write_atomically(&context.workspace.scratch(), &path, text.as_bytes()) {
            context.warn(format!("the digests of base images were not kept: `{}`: {error}", path.display()));
        }
        Ok(image)
    }

    fn read_memory(&self) -> Images {
        let bytes = read_at_most(&self.state.join(MEMORY), TEXT_MAX).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// For `lock`: returns the image as the registry has it now. `results` gets its documents.
    pub fn look(
        &self,
        reference: &RegistryReference,
        platform: &Platform,
        results: &Cache,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<LockedImage, StepError> {
        let watcher = Watcher { progress: &|_, _| true, say };
        let work = Work { cancellation: &Cancellation::new(), results, watcher };
        self.look_up(reference, platform, &work).map(|image| image.to_lock())
    }

    fn look_up(
        &self,
        reference: &RegistryReference,
        platform: &Platform,
        work: &Work<'_>,
    ) -> Result<PinnedImage, StepError> {
        if self.offline {
            let message = format!("`{reference}` was never looked up here, and --offline forbids to ask its registry");
            return Err(StepError::environment(message).hint("run once without --offline"));
        }
        let registry = self.registries.registry(work.cancellation)?;
        let wrong = |error: &dyn std::fmt::Display| unusable(reference, error);
        let top = registry.document(reference, &work.watcher).map_err(step_error)?;
        let parse = |found: &FetchedDocument| Document::parse(&found.media_type, &found.bytes);
        let (found, config, layers) = match parse(&top).map_err(|error| wrong(&error))? {
            Document::Manifest { config, layers } => (top, config, layers),
            Document::Index(entries) => {
                let entry = entry_for(&entries, platform).map_err(|error| wrong(&error))?;
                let found = registry.document_of(reference, &entry.digest, &work.watcher).map_err(step_error)?;
                match parse(&found).map_err(|error| wrong(&error))? {
                    Document::Manifest { config, layers } => (found, config, layers),
                    Document::Index(_) => return Err(wrong(&"its index names another index")),
                }
            }
        };
        let manifest = descriptor(&found.media_type, found.digest);
        let image = PinnedImage { created: String::new(), manifest, config, layers };
        keep(work.results, &found.bytes)?;
        let bytes = self.document(reference, &image.config, work)?;
        let config = BaseConfig::parse(&bytes, image.layers.len()).map_err(|error| wrong(&error))?;
        check_platform(&config, platform).map_err(|error| wrong(&error))?;
        Ok(PinnedImage { created: config.created.unwrap_or_default(), ..image })
    }

    /// Returns the bytes of a manifest or a configuration, from the store or else from the registry.
    pub(crate) fn document(
        &self,
        reference: &RegistryReference,
        wanted: &Descriptor,
        work: &Work<'_>,
    ) -> Result<Vec<u8>, StepError> {
        if wanted.digest.size() > CONFIG_BYTES_MAX {
            return Err(unusable(reference, &format!("a configuration of {} bytes", wanted.digest.size())));
        }
        if let Ok(bytes) = work.results.read_bytes(&wanted.digest) {
            return Ok(bytes);
        }
        self.store(reference, &wanted.digest, work)?;
        work.results.read_bytes(&wanted.digest).map_err(|error| StepError::environment(error.to_string()))
    }

    /// Returns the bytes of a manifest, from the store or else from the registry.
    pub(crate) fn manifest(
        &self,
        reference: &RegistryReference,
        wanted: &Descriptor,
        work: &Work<'_>,
    ) -> Result<Vec<u8>, StepError> {
        if let Ok(bytes) = work.results.read_bytes(&wanted.digest) {
            return Ok(bytes);
        }
        self.require_network(&wanted.digest)?;
        let found = self
            .registries
            .registry(work.cancellation)?
            .document_of(reference, &wanted.digest, &work.watcher)
            .map_err(step_error)?;
        keep(work.results, &found.bytes)?;
        Ok(found.bytes)
    }

    /// Makes sure that a blob is in the store.
    pub(crate) fn store(
        &self,
        reference: &RegistryReference,
        digest: &Digest,
        work: &Work<'_>,
    ) -> Result<(), StepError> {
        if work.results.find_missing_blobs([digest]).is_empty() {
            return Ok(());
        }
        self.require_network(digest)?;
        fs::create_dir_all(&self.downloads).map_err(|error| StepError::unwritable(&self.downloads, &error))?;
        let registry = self.registries.registry(work.cancellation)?;
        let path = registry.blob(reference, digest, &self.downloads, &work.watcher).map_err(step_error)?;
        let kept = work.results.put_file(&path).map_err(|error| StepError::environment(error.to_string()));
        // Another build may have taken the same one.
        let _ = fs::remove_file(&path);
        match kept? == *digest {
            true => Ok(()),
            false => Err(StepError::environment(format!("`{}` changed while it was stored", path.display()))),
        }
    }

    /// Puts a blob at `path`, from the store or else from the registry.
    pub(crate) fn put(
        &self,
        reference: &RegistryReference,
        digest: &Digest,
        path: &Path,
        work: &Work<'_>,
    ) -> Result<(), StepError> {
        let parent = path.parent().expect("a path of a file");
        for attempt in 0..2 {
            self.store(reference, digest, work)?;
            let unwritable = |error: io::Error| StepError::unwritable(path, &error);
            let mut file = TemporaryFile::new_in(parent).map_err(unwritable)?;
            match work.results.read(digest, file.file(), path) {
                Ok(()) => return file.persist(path).map_err(unwritable),
                // A damaged blob is gone from the store now.
                Err(_) if attempt == 0 => {}
                Err(error) => return Err(StepError::environment(error.to_string())),
            }
        }
        Err(StepError::environment(format!("`{}` can't be kept in the cache", digest.oci())))
    }

    fn require_network(&self, digest: &Digest) -> Result<(), StepError> {
        if !self.offline {
            return Ok(());
        }
        let message =
            format!("`{}` of a base image is not in the cache, and --offline forbids to fetch it", digest.oci());
        Err(StepError::environment(message).hint("run once without --offline"))
    }
}

/// Does work that shows its progress as that of a step.
pub(crate) fn with_work<T>(
    context: &StepContext<'_>,
    message: &str,
    work: impl FnOnce(&Work<'_>) -> Result<T, StepError>,
) -> Result<T, StepError> {
    let progress = |done: u64, total: u64| {
        if total > 0 {
            context.progress(message, done, total);
        }
        !context.cancellation.is_raised()
    };
    let say = |text: String| context.note(text);
    let watcher = Watcher { progress: &progress, say: &say };
    work(&Work { cancellation: context.cancellation, results: &context.workspace.results, watcher })
}

fn keep(results: &Cache, bytes: &[u8]) -> Result<(), StepError> {
    results.put_bytes(bytes).map(drop).map_err(|error| StepError::environment(error.to_string()))
}

fn unusable(reference: &RegistryReference, error: &dyn std::fmt::Display) -> StepError {
    StepError::environment(format!("`{reference}` can't be a base: {error}"))
}

/// Returns the entry of an index for a platform; the error says which there are.
pub(crate) fn entry_for<'e>(entries: &'e [Descriptor], platform: &Platform) -> Result<&'e Descriptor, String> {
    let variant = oci_variant(platform);
    if let Some(found) = choose(entries, platform.os(), platform.architecture(), variant.as_deref()) {
        return Ok(found);
    }
    let images = entries.iter().filter(|entry| !entry.is_attestation);
    let names: Vec<String> = images.filter_map(|entry| Some(entry.platform.as_ref()?.to_string())).collect();
    Err(match names.is_empty() {
        true => format!("it has no image for {platform}"),
        false => format!("it has no image for {platform}, only for {}", names.join(", ")),
    })
}

/// Fails if an image is for another platform.
pub(crate) fn check_platform(config: &BaseConfig, platform: &Platform) -> Result<(), String> {
    // The rule for entries of an index holds for an image without one.
    let (os, architecture, variant) = (config.os.clone(), config.architecture.clone(), config.variant.clone());
    let own = DocumentPlatform { os, architecture, variant };
    let entry = Descriptor { platform: Some(own.clone()), ..descriptor("", Digest::of(b"")) };
    let variant = oci_variant(platform);
    match choose(&[entry], platform.os(), platform.architecture(), variant.as_deref()) {
        Some(_) => Ok(()),
        None => Err(format!("it is for {own}, not for {platform}")),
    }
}
