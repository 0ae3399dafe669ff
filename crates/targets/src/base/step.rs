//! `BaseStep`: one base image for one platform. Its outputs are its manifest, its configuration, a list of its files, and
//! the few of them that an image extends. The layers stay where they are, in the store or in a layout.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rondel_buildfile::{Platform, RegistryReference, Span};
use rondel_cas::{Digest, Hasher, RelativePath, copy_file, open_regular};
use rondel_engine::{
    ActionSpec, Freshness, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepContext, StepError,
    UpstreamResult, UserError,
};
use rondel_evidence::{SYSTEM_PACKAGES_FORMAT, is_package_database};
use rondel_oci::{BASE_INDEX, BaseConfig, BaseFiles, BaseIndex, Compression, Document, LAYER_BYTES_MAX, decompressed};
use rondel_process::Cancellation;
use rondel_registry::Watcher;

use crate::base::bases::{Bases, Work, check_platform, with_work};
use crate::base::daemon;
use crate::base::layout::{copy_checked, find, read_checked, read_config};
use crate::base::pinned::PinnedImage;
use crate::base::view::{KEPT_BUNDLES, KEPT_TABLES, bundles_of};
use crate::docker::Docker;
use crate::image::metadata::image_of;
use crate::image::places::Boundary;

/// Number of layers that are fetched at once.
const DOWNLOADS: usize = 4;

/// Where a base comes from.
pub(crate) enum BaseOrigin {
    /// An image of a registry.
    Registry {
        /// Pins, and the way to registries.
        bases: Arc<Bases>,
        /// The image.
        reference: RegistryReference,
    },
    /// An OCI layout in the tree.
    Tree {
        /// Directory of the project.
        root: PathBuf,
        /// The layout, below `root`.
        path: RelativePath,
    },
    /// The OCI layout that the first upstream step makes.
    Layout {
        /// The target.
        target: String,
        /// The layout, below the workspace.
        out: RelativePath,
    },
    /// The image in a daemon that the first upstream step makes.
    Daemon {
        /// The target.
        target: String,
        /// The command.
        docker: Docker,
    },
}

impl BaseOrigin {
    /// Returns its name, for people and annotations.
    pub fn name(&self) -> String {
        match self {
            BaseOrigin::Registry { reference, .. } => reference.to_string(),
            BaseOrigin::Tree { path, .. } => path.to_string(),
            BaseOrigin::Layout { target, .. } | BaseOrigin::Daemon { target, .. } => target.clone(),
        }
    }

    /// Returns true if the name means the same elsewhere.
    pub fn is_public(&self) -> bool {
        matches!(self, BaseOrigin::Registry { .. })
    }
}

/// One base image for one platform.
pub(crate) struct BaseStep {
    pub origin: Arc<BaseOrigin>,
    pub platform: Platform,
    /// Place of the base in build.ron.
    pub span: Span,
    pub threads: usize,
    /// True if the databases of its packages are kept, for bills of materials.
    pub keeps_packages: bool,
}

/// What `prepare` found.
pub(crate) struct Found {
    /// The image; that of a daemon is known when it is saved.
    image: Option<PinnedImage>,
    /// The layout that it lies in.
    directory: Option<PathBuf>,
}

impl BaseStep {
    /// Returns true if a file is kept for bills of materials.
    fn keeps(&self, path: &RelativePath) -> bool {
        self.keeps_packages && is_package_database(path.as_str())
    }

    fn spec(&self) -> ActionSpec {
        let name = RelativePath::new("base").expect("a constant");
        let kind = match &*self.origin {
            BaseOrigin::Registry { .. } => "registry",
            BaseOrigin::Tree { .. } => "layout",
            BaseOrigin::Layout { .. } | BaseOrigin::Daemon { .. } => "target",
        };
        let place = Digest::of(format!("{kind} {}", self.origin.name()).as_bytes()).hex();
        let destination = format!(".rondel/out/bases/{}/{}", &place[..16], self.platform);
        let destination = RelativePath::new(&destination).expect("a platform is a path");
        let mut settings = BTreeMap::from([("base index".to_owned(), BASE_INDEX.to_owned())]);
        if self.keeps_packages {
            settings.insert("packages".to_owned(), SYSTEM_PACKAGES_FORMAT.to_owned());
        }
        ActionSpec {
            arguments: vec!["base".to_owned()],
            settings,
            outputs: vec![OutputSpec { name, destination, kind: OutputKind::Directory }],
            ..ActionSpec::default()
        }
    }

    fn wrong(&self, error: impl std::fmt::Display) -> StepError {
        StepError::User(UserError::input(format!("`{}` can't be a base: {error}", self.origin.name())).at(self.span))
    }

    fn in_tree(
        &self,
        root: &Path,
        path: &RelativePath,
        context: &StepContext<'_>,
        spec: &mut ActionSpec,
    ) -> Result<Found, StepError> {
        // No link leads out of the workspace, neither to the layout nor in it.
        let boundary = Boundary::of(root, context)?;
        let directory =
            boundary.resolve(path).map_err(|_| self.wrong(format!("there is no layout at `{path}`")))?.place;
        let found = find(&directory, &self.platform).map_err(|error| self.wrong(error))?;
        for file in &found.files {
            let file = path.join(&RelativePath::new(file).map_err(|error| self.wrong(error))?);
            let real = boundary.resolve(&file).map_err(|error| self.wrong(error))?;
            spec.inputs.add(file, real.place, &context.workspace.snapshot)?;
        }
        Ok(Found { image: Some(found.image), directory: Some(directory) })
    }

    fn in_output(&self, made: &UpstreamResult, spec: &mut ActionSpec) -> Result<Found, StepError> {
        let path_of = |file: &str| {
            let name = format!("layout/{file}");
            made.artefacts.iter().find(|artefact| artefact.name.as_str() == name)
        };
        let missing = |file: &str| self.wrong(format!("its layout has no `{file}`"));
        let index = path_of("index.json").ok_or_else(|| missing("index.json"))?;
        let directory = index.path.parent().expect("a file in a layout").to_owned();
        let found = find(&directory, &self.platform).map_err(|error| self.wrong(error))?;
        for file in &found.files {
            let artefact = path_of(file).ok_or_else(|| missing(file))?;
            spec.upstream.insert(artefact.name.clone(), artefact.entry.clone());
        }
        Ok(Found { image: Some(found.image), directory: Some(directory) })
    }
}

impl Step for BaseStep {
    type Findings = Found;

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared<Found>, StepError> {
        let mut spec = self.spec();
        let found = match &*self.origin {
            BaseOrigin::Registry { bases, reference } => {
                let image = bases.image(reference, &self.platform, context)?;
                let mut put = |name: String, digest: &Digest| spec.settings.insert(name, digest.to_string());
                put("manifest".to_owned(), &image.manifest.digest);
                put("config".to_owned(), &image.config.digest);
                for (index, layer) in image.layers.iter().enumerate() {
                    put(format!("layer {index}"), &layer.digest);
                }
                Found { image: Some(image), directory: None }
            }
            BaseOrigin::Tree { root, path } => self.in_tree(root, path, context, &mut spec)?,
            BaseOrigin::Layout { .. } => self.in_output(&context.upstream[0], &mut spec)?,
            BaseOrigin::Daemon { .. } => {
                let made = image_of(context, 0).ok_or_else(|| self.wrong("its record is incomplete"))?;
                spec.settings.insert("image".to_owned(), made.image_id);
                spec.settings.insert("codec".to_owned(), Compression::Gzip.codec());
                Found { image: None, directory: None }
            }
        };
        spec.settings.insert("platform".to_owned(), self.platform.to_string());
        Ok(Prepared { spec, freshness: Freshness::ByKey, findings: found })
    }

    fn run(&self, prepared: &Prepared<Found>, context: &Job<'_>) -> Result<Report, StepError> {
        let base = context.staging.join("base");
        let unwritable = |error: io::Error| StepError::unwritable(&base, &error);
        fs::create_dir_all(&base).map_err(unwritable)?;
        let fetched = match (&*self.origin, &prepared.findings) {
            (BaseOrigin::Registry { bases, reference }, Found { image: Some(image), .. }) => {
                self.fetch(bases, reference, image, context)?
            }
            (BaseOrigin::Daemon { docker, .. }, _) => {
                let id = image_of(context, 0).map(|made| made.image_id).unwrap_or_default();
                let blobs = base.join("blobs");
                let saved = daemon::save(docker, &id, &blobs, self.threads, context)?;
                let paths = saved.image.layers.iter().map(|layer| blobs.join(layer.digest.hex())).collect();
                Fetched { manifest: saved.manifest, config: saved.config, layers: paths }
            }
            (_, Found { image: Some(image), directory: Some(directory) }) => {
                let manifest = read_checked(directory, &image.manifest.digest, u64::MAX);
                let manifest = manifest.map_err(|error| self.wrong(error))?;
                let config = read_config(directory, image).map_err(|error| self.wrong(error))?;
                let layers = context.staging.join("layers");
                fs::create_dir_all(&layers).map_err(unwritable)?;
                let mut paths = Vec::new();
                for (index, layer) in image.layers.iter().enumerate() {
                    let path = layers.join(index.to_string());
                    copy_checked(directory, &layer.digest, &path).map_err(|error| self.wrong(error))?;
                    paths.push(path);
                }
                Fetched { manifest, config, layers: paths }
            }
            (_, Found { .. }) => return Err(self.wrong("it was not found")),
        };
        let config = BaseConfig::parse(&fetched.config, fetched.layers.len()).map_err(|error| self.wrong(error))?;
        check_platform(&config, &self.platform).map_err(|error| self.wrong(error))?;
        if !config.settings.on_build.is_empty() {
            context.warn(format!("`{}` has ONBUILD steps, which only `docker build` runs", self.origin.name()));
        }
        let files = self.read_files(&fetched, &config, context)?;
        fs::write(base.join("manifest.json"), &fetched.manifest).map_err(unwritable)?;
        fs::write(base.join("config.json"), &fetched.config).map_err(unwritable)?;
        let index = BaseIndex::of_files(&files);
        fs::write(base.join("files"), index.text()).map_err(unwritable)?;
        let databases = files.iter().map(|(path, _)| path.clone()).filter(|path| self.keeps(path));
        for path in kept_files(&files, &config).into_iter().chain(databases) {
            let Some(contents) = files.contents(&path) else { continue };
            let place = path.below(&base.join("kept"));
            fs::create_dir_all(place.parent().expect("below a directory")).map_err(unwritable)?;
            fs::write(&place, contents).map_err(unwritable)?;
        }
        Ok(Report::default())
    }
}

/// The parts of a base, on this machine.
struct Fetched {
    manifest: Vec<u8>,
    config: Vec<u8>,
    /// Lowest first.
    layers: Vec<PathBuf>,
}

impl BaseStep {
    /// Fetches what the store does not have.
    fn fetch(
        &self,
        bases: &Bases,
        reference: &RegistryReference,
        image: &PinnedImage,
        context: &Job<'_>,
    ) -> Result<Fetched, StepError> {
        let message = format!("fetching {reference}");
        let (manifest, config) = with_work(context, &message, |work| {
            let manifest = bases.manifest(reference, &image.manifest, work)?;
            Ok((manifest, bases.document(reference, &image.config, work)?))
        })?;
        // build.lock could say one thing in its manifest and another beside it.
        let document = Document::parse(&image.manifest.media_type, &manifest).map_err(|error| self.wrong(error))?;
        let Document::Manifest { config: named, layers } = document else {
            return Err(self.wrong("what is pinned is an index"));
        };
        let same = |one: &rondel_oci::Descriptor, other: &rondel_oci::Descriptor| one.digest == other.digest;
        let is_whole = layers.len() == image.layers.len() && layers.iter().zip(&image.layers).all(|(a, b)| same(a, b));
        if !same(&named, &image.config) || !is_whole {
            return Err(self.wrong("its pin has other layers than its manifest names"));
        }
        let directory = context.staging.join("layers");
        fs::create_dir_all(&directory).map_err(|error| StepError::unwritable(&directory, &error))?;
        let paths: Vec<PathBuf> = (0..layers.len()).map(|index| directory.join(index.to_string())).collect();
        let wanted: Vec<(Digest, &Path)> =
            layers.iter().map(|layer| layer.digest).zip(paths.iter().map(PathBuf::as_path)).collect();
        fetch_all(bases, reference, &wanted, &message, context)?;
        Ok(Fetched { manifest, config, layers: paths })
    }

    /// Lists the files of all layers, and checks each layer against its diff ID.
    fn read_files(
        &self,
        fetched: &Fetched,
        config: &BaseConfig,
        context: &StepContext<'_>,
    ) -> Result<BaseFiles, StepError> {
        let mut keeps: Vec<RelativePath> = wanted_files(config);
        loop {
            let mut files = BaseFiles::default();
            for (path, diff_id) in fetched.layers.iter().zip(&config.diff_ids) {
                let damaged = |error: io::Error| match context.cancellation.is_raised() {
                    true => StepError::Interrupted,
                    false => self.wrong(format!("a layer can't be read: {error}")),
                };
                let (file, _) = open_regular(path).map_err(damaged)?;
                let tar = decompressed(BufReader::with_capacity(1 << 17, file)).map_err(damaged)?;
                let cancellation = context.cancellation;
                let mut tar = Hashed { inner: tar.take(LAYER_BYTES_MAX), hasher: Hasher::new(), cancellation };
                files.add_layer(&mut tar, &|path| keeps.contains(path) || self.keeps(path)).map_err(damaged)?;
                io::copy(&mut tar, &mut io::sink()).map_err(damaged)?;
                let found = tar.hasher.finish().oci();
                if found != *diff_id {
                    return Err(
                        self.wrong(format!("a layer has the diff ID {found}, and its configuration says {diff_id}"))
                    );
                }
            }
            // A file that is only found through links is read in another pass.
            let unknown = |path: &RelativePath| files.contents(path).is_none() && files.get(path).is_some();
            // Of several names of a file the first one has the contents.
            let named = kept_files(&files, config).into_iter().filter(unknown);
            let named = named.map(|path| files.first_name(&path).cloned().unwrap_or(path));
            let more: Vec<RelativePath> = named.filter(|path| !keeps.contains(path)).collect();
            if more.is_empty() {
                return Ok(files);
            }
            keeps.extend(more);
        }
    }
}

/// The files that an image may extend, as programs ask for them.
fn wanted_files(config: &BaseConfig) -> Vec<RelativePath> {
    let fixed = KEPT_TABLES.iter().chain(KEPT_BUNDLES).filter_map(|path| RelativePath::new(path).ok());
    fixed.chain(bundles_of(&config.settings.env)).collect()
}

/// The same without links, each once.
fn kept_files(files: &BaseFiles, config: &BaseConfig) -> Vec<RelativePath> {
    let mut found: Vec<RelativePath> =
        wanted_files(config).iter().filter_map(|path| files.resolve(path, true).ok()).collect();
    found.sort();
    found.dedup();
    found
}

struct Hashed<'a, R> {
    inner: R,
    hasher: Hasher,
    cancellation: &'a Cancellation,
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancellation.is_raised() {
            return Err(io::Error::other("interrupted"));
        }
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// Puts several blobs at their paths, a few at once.
fn fetch_all(
    bases: &Bases,
    reference: &RegistryReference,
    wanted: &[(Digest, &Path)],
    message: &str,
    context: &StepContext<'_>,
) -> Result<(), StepError> {
    let done: Vec<AtomicU64> = wanted.iter().map(|_| AtomicU64::new(0)).collect();
    let total: u64 = wanted.iter().map(|(digest, _)| digest.size()).sum();
    let next = AtomicUsize::new(0);
    let fetch = || -> Result<(), StepError> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((digest, path)) = wanted.get(index) else { return Ok(()) };
            let progress = |now: u64, _: u64| {
                done[index].fetch_max(now, Ordering::Relaxed);
                context.progress(message, done.iter().map(|done| done.load(Ordering::Relaxed)).sum(), total);
                !context.cancellation.is_raised()
            };
            let watcher = Watcher { progress: &progress, say: &|text| context.note(text) };
            let results = &context.workspace.results;
            bases.put(reference, digest, path, &Work { cancellation: context.cancellation, results, watcher })?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..DOWNLOADS.min(wanted.len())).map(|_| scope.spawn(fetch)).collect();
        let outcomes = threads.into_iter().map(|thread| thread.join().expect("it does not panic"));
        outcomes.fold(Ok(()), Result::and)
    })
}

/// Puts a layer of the base at `path`. `base` is what its step made.
pub(crate) fn layer_of(
    origin: &BaseOrigin,
    base: &UpstreamResult,
    digest: &Digest,
    path: &Path,
    context: &StepContext<'_>,
) -> Result<(), StepError> {
    let name = format!("base/blobs/{}", digest.hex());
    let wrong = |error: String| StepError::failed(format!("`{}` can't be a base: {error}", origin.name()));
    match origin {
        BaseOrigin::Registry { bases, reference } => {
            with_work(context, &format!("fetching {reference}"), |work| bases.put(reference, digest, path, work))
        }
        BaseOrigin::Tree { root, path: layout } => copy_checked(&layout.below(root), digest, path).map_err(wrong),
        BaseOrigin::Layout { out, .. } => {
            copy_checked(&out.below(&context.workspace.root), digest, path).map_err(wrong)
        }
        BaseOrigin::Daemon { .. } => {
            let artefact = base.artefacts.iter().find(|artefact| artefact.name.as_str() == name);
            let artefact = artefact.ok_or_else(|| wrong("a layer of it is missing".to_owned()))?;
            copy_file(&artefact.path, path).map(drop).map_err(|error| StepError::unwritable(path, &error))
        }
    }
}
