//! `ImageStep`: layers, what they lie on, and a configuration become an OCI layout.

use std::collections::{BTreeMap, btree_map};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_buildfile::{Platform, Span};
use rondel_cas::{Digest, Entry, MEMORY_MAX, RelativePath, copy_file, read_at_most};
use rondel_engine::{
    ActionSpec, Artefact, Job, Metadata, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepContext, StepError,
    UserError,
};
use rondel_names::ImageName;
use rondel_oci::{
    BaseImage, BaseKind, Compression, ImageConfig, Layer, LayerPrograms, LayoutInput, PROGRAMS_FORMAT, PlatformImage,
    blob_path, write_layout,
};
use rondel_process::Stream;

use crate::base::{BaseOrigin, ImageView, layer_of};
use crate::image::added_users::{GROUP, PASSWD};
use crate::image::layer::PROGRAMS;
use crate::image::metadata::{ImageMetadata, LayerMetadata};
use crate::image::program::ImageFiles;
use crate::variant::oci_variant;

/// Maximum number of layers, as overlay file systems have it.
const LAYERS_MAX: usize = 127;

/// One platform of an image.
#[derive(Clone)]
pub(crate) struct LayeredPlatform {
    pub platform: Platform,
    /// Upstream layers, lowest first, and a description of each.
    pub layers: Vec<(usize, String)>,
    /// The upstream base, and where it comes from; `None` for the static one, which is a layer.
    pub base: Option<(usize, Arc<BaseOrigin>)>,
}

pub(crate) struct ImageStep {
    pub config: ImageConfig,
    pub annotations: BTreeMap<String, String>,
    /// Of the image's own layers.
    pub compression: Compression,
    pub tags: Vec<ImageName>,
    pub platforms: Vec<LayeredPlatform>,
    /// Index into `platforms` of the one that a Docker daemon here can run.
    pub loadable: usize,
    /// Directory of the layout, relative to the workspace.
    pub out: RelativePath,
    /// Names of the users that the image adds to those of its base.
    pub users: Vec<String>,
    /// Place of the user, or of the target, in build.ron.
    pub user_span: Span,
    /// Place of the target.
    pub span: Span,
    /// True if the image puts its own tables of users over those of the base.
    pub has_own_users: bool,
}

/// One of the image's own layers that hold anything.
struct OwnLayer {
    layer: Layer,
    /// The files that it and the list of its contents are in.
    path: PathBuf,
    programs: PathBuf,
    /// What is in it, in words.
    what: String,
}

impl ImageStep {
    /// Returns the layers of a platform that hold anything.
    fn layers(&self, image: &LayeredPlatform, context: &StepContext<'_>) -> Result<Vec<OwnLayer>, StepError> {
        let mut layers = Vec::with_capacity(image.layers.len());
        for (index, what) in &image.layers {
            let upstream = &context.upstream[*index];
            let is_list = |artefact: &&Artefact| artefact.name.as_str() == PROGRAMS;
            let artefact = upstream.artefacts.iter().find(|artefact| !is_list(artefact)).ok_or_else(broken)?;
            let list = upstream.artefacts.iter().find(is_list).ok_or_else(broken)?;
            let Entry::File { digest, .. } = artefact.entry else { return Err(broken()) };
            let metadata = upstream.metadata.get::<LayerMetadata>().ok_or_else(broken)?;
            if metadata.files > 0 {
                layers.push(OwnLayer {
                    layer: Layer { digest, diff_id: metadata.diff_id, compression: self.compression },
                    path: artefact.path.clone(),
                    programs: list.path.clone(),
                    what: what.clone(),
                });
            }
        }
        Ok(layers)
    }

    /// Refuses a user that the base does not have.
    fn check_user(&self, view: &ImageView, name: &str) -> Result<(), StepError> {
        let wrong = |message: String| {
            let error = UserError::input(message).at(self.user_span);
            StepError::User(error.hint("write numbers, \"10001:10001\", or add it with `users`"))
        };
        let user = &self.config.user;
        let names = user_names(user).ok_or_else(|| wrong(format!("`{user}` is not a user")))?;
        if self.has_own_users || names.is_empty() {
            return Ok(());
        }
        let mut known = self.users.clone();
        for table in [PASSWD, GROUP] {
            let kept = view.kept(&RelativePath::new(table).expect("a constant"))?;
            let text = kept.map(|kept| String::from_utf8_lossy(&kept.contents).into_owned()).unwrap_or_default();
            known.extend(text.lines().filter_map(|line| line.split(':').next()).map(str::to_owned));
        }
        match names.into_iter().find(|wanted| !known.iter().any(|known| known == wanted)) {
            Some(missing) => Err(wrong(format!("`{missing}` is not a user of `{name}`"))),
            None => Ok(()),
        }
    }

    /// Tells what each setting is, and whether the base or build.ron says so.
    fn explain(&self, image: &LayeredPlatform, context: &StepContext<'_>) -> Result<(), StepError> {
        let Some((index, _)) = &image.base else { return Ok(()) };
        let (_, _, config) = ImageView::of(*index, context)?.read()?;
        for setting in config.settings.explained(&self.config) {
            let origin = if setting.is_inherited { "base" } else { "build.ron" };
            let words = [image.platform.to_string(), setting.name, setting.value, format!("({origin})")];
            context.note(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "));
        }
        Ok(())
    }

    /// Refuses files that nobody finds, and says which programs can't start, as a line that is kept with the result.
    fn check_files(&self, context: &StepContext<'_>) -> Result<(), StepError> {
        let mut read: BTreeMap<Digest, LayerPrograms> = BTreeMap::new();
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for image in &self.platforms {
            let layers = self.layers(image, context)?;
            for own in &layers {
                if let btree_map::Entry::Vacant(place) = read.entry(own.layer.digest) {
                    let bytes = read_at_most(&own.programs, MEMORY_MAX)
                        .map_err(|error| StepError::unreadable(&own.programs, &error))?;
                    place.insert(LayerPrograms::decode(&bytes).ok_or_else(broken)?);
                }
            }
            let own: Vec<&LayerPrograms> = layers.iter().filter_map(|own| read.get(&own.layer.digest)).collect();
            check_ways(&own).map_err(|message| {
                let hint = "leave one of them out with `exclude`, or give it another place";
                StepError::User(UserError::input(message).at(self.span).hint(hint))
            })?;
            let architecture = image.platform.architecture();
            let base = image.base.as_ref().map(|(index, _)| ImageView::of(*index, context)).transpose()?;
            let settings = base.as_ref().map(ImageView::read).transpose()?.map(|(_, _, config)| config.settings);
            let config = settings.map_or_else(|| self.config.clone(), |settings| settings.inherited_by(&self.config));
            for sentence in (ImageFiles { own, base: base.as_ref(), architecture }).warnings(&config) {
                found.entry(sentence).or_default().push(image.platform.to_string());
            }
        }
        for (sentence, platforms) in found {
            let is_of_all = platforms.len() == self.platforms.len();
            let of = if is_of_all { String::new() } else { format!(" ({})", platforms.join(", ")) };
            context.output(Stream::Stderr, &format!("warning: {sentence}{of}"));
        }
        Ok(())
    }

    fn settings(&self) -> BTreeMap<String, String> {
        let config = &self.config;
        let mut settings = BTreeMap::new();
        let mut put = |name: &str, value: String| settings.insert(name.to_owned(), value);
        put("layout", "oci-1.1 docker-manifest-1 index-2".to_owned());
        // What a list says follows from its layer.
        put("lists of layers", PROGRAMS_FORMAT.to_owned());
        put("layer media type", self.compression.media_type().to_owned());
        put("user", config.user.clone());
        put("entrypoint", canonical(&config.entrypoint));
        put("cmd", canonical(&config.command));
        put("workdir", config.directory.clone());
        put("volumes", canonical(&config.volumes));
        put("stop signal", config.stop_signal.clone());
        put("ports", canonical(&config.ports));
        put("env", canonical(&config.environment));
        put("labels", canonical(&config.labels));
        put("health", canonical(&config.health));
        put("created", config.created_s.to_string());
        put("annotations", canonical(&self.annotations));
        put("tags", canonical(&self.tags.iter().map(ToString::to_string).collect::<Vec<_>>()));
        put("loadable platform", self.platforms[self.loadable].platform.to_string());
        settings
    }
}

impl Step for ImageStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        if context.is_question() {
            for image in &self.platforms {
                self.explain(image, context)?;
            }
        }
        self.depends_on(context)
    }

    fn review(&self, context: &Query<'_>, _former: &Prepared) -> Result<Prepared, StepError> {
        self.depends_on(context)
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let mut files: BTreeMap<Digest, PathBuf> = BTreeMap::new();
        let mut of_bases: BTreeMap<Digest, (usize, &BaseOrigin)> = BTreeMap::new();
        let mut images = Vec::with_capacity(self.platforms.len());
        let mut inherited = BTreeMap::new();
        for image in &self.platforms {
            let layers = self.layers(image, context)?;
            files.extend(layers.iter().map(|own| (own.layer.digest, own.path.clone())));
            let mut base = None;
            if let Some((index, origin)) = &image.base {
                let (manifest, descriptors, config) = ImageView::of(*index, context)?.read()?;
                let settings = config.settings.explained(&self.config).into_iter();
                let names = settings.filter(|setting| setting.is_inherited).map(|setting| setting.name);
                inherited.insert(image.platform.to_string(), names.collect());
                of_bases.extend(descriptors.iter().map(|layer| (layer.digest, (*index, &**origin))));
                let found = BaseImage::new(config, &descriptors)
                    .map_err(|error| StepError::input(format!("`{}` can't be a base: {error}", origin.name())))?;
                let origin = origin.is_public().then(|| (origin.name(), manifest));
                base = Some(BaseImage { origin, ..found });
            }
            check_count(layers.len() + base.as_ref().map_or(0, |base| base.layers.len()))?;
            images.push(PlatformImage {
                os: image.platform.os().to_owned(),
                architecture: image.platform.architecture().to_owned(),
                variant: oci_variant(&image.platform),
                base,
                layers: layers.into_iter().map(|own| (own.layer, own.what)).collect(),
            });
        }
        // What a base can't give is a failure of its own, with more to say than a number of the system.
        let failure = std::cell::Cell::new(None);
        let put_layer = |digest: &Digest, to: &Path| match (files.get(digest), of_bases.get(digest)) {
            (Some(path), _) => copy_file(path, to).map(drop),
            (None, Some((index, origin))) => {
                layer_of(origin, &context.upstream[*index], digest, to, context).map_err(|error| {
                    failure.set(Some(error));
                    io::Error::other("a layer of the base is missing")
                })
            }
            (None, None) => Err(io::Error::other("a layer is missing")),
        };
        let input = LayoutInput {
            images: &images,
            put_layer: &put_layer,
            config: &self.config,
            annotations: &self.annotations,
            tags: &self.tags,
            loadable: self.loadable,
        };
        let directory = context.staging.join("layout");
        self.check_files(context)?;
        let report = write_layout(&input, &directory)
            .map_err(|error| failure.take().unwrap_or_else(|| StepError::unwritable(&directory, &error)))?;
        let metadata = Metadata::of(&ImageMetadata {
            digest: report.index.oci(),
            image_id: report.image_id.oci(),
            size_bytes: report.blobs.iter().map(Digest::size).sum(),
            platforms: self.platforms.iter().map(|image| image.platform.to_string()).collect(),
            tags: self.tags.iter().map(ToString::to_string).collect(),
            inherited,
        });
        let place = |blob: &Digest| RelativePath::new(&format!("layout/{}", blob_path(blob))).expect("hex digits");
        Ok(Report { metadata, digests: report.blobs.iter().map(|blob| (place(blob), *blob)).collect() })
    }
}

impl ImageStep {
    fn depends_on(&self, context: &StepContext<'_>) -> Result<Prepared, StepError> {
        let name = RelativePath::new("layout").expect("a constant");
        let mut spec = ActionSpec {
            arguments: vec!["image".to_owned()],
            settings: self.settings(),
            outputs: vec![OutputSpec { name, destination: self.out.clone(), kind: OutputKind::Directory }],
            ..ActionSpec::default()
        };
        let slot = |text: String| RelativePath::new(&text).map_err(|error| StepError::failed(error.to_string()));
        for image in &self.platforms {
            let platform = &image.platform;
            if let Some((index, origin)) = &image.base {
                let view = ImageView::of(*index, context)?;
                self.check_user(&view, &origin.name())?;
                let place = slot(format!("{platform}/base"))?;
                spec.titles.insert(place.clone(), format!("base `{}` ({platform})", origin.name()));
                spec.upstream.insert(place, view.manifest_entry());
                if origin.is_public() {
                    spec.settings.insert(format!("base of {platform}"), origin.name());
                }
            }
            let layers = self.layers(image, context)?;
            let names: Vec<&str> = layers.iter().map(|own| own.what.as_str()).collect();
            spec.settings.insert(format!("layers of {platform}"), names.join(", "));
            for (position, OwnLayer { layer, what, .. }) in layers.iter().enumerate() {
                let place = slot(format!("{platform}/{position}"))?;
                spec.titles.insert(place.clone(), format!("layer `{what}` ({platform})"));
                spec.upstream.insert(place, Entry::file(layer.digest, false));
                spec.settings.insert(format!("diff ID {position} of {platform}"), layer.diff_id.to_string());
            }
        }
        Ok(Prepared::by_key(spec))
    }
}

/// A record that does not have what a layer's has.
fn broken() -> StepError {
    StepError::failed("a layer's record is incomplete").hint("run again with --force")
}

/// Fails if something lies below what is no directory in the image: engines refuse that, or write it elsewhere.
fn check_ways(layers: &[&LayerPrograms]) -> Result<(), String> {
    let topmost = |path: &RelativePath| layers.iter().rev().find_map(|layer| layer.get(path));
    for (path, _) in layers.iter().flat_map(|layer| layer.entries()) {
        for parent in std::iter::successors(path.parent(), RelativePath::parent) {
            let what = match topmost(&parent).map(|entry| &entry.kind) {
                None | Some(BaseKind::Directory) => continue,
                Some(BaseKind::Symlink(target)) => format!("a link to `{target}`"),
                Some(_) => "a file".to_owned(),
            };
            return Err(format!("`/{path}` is below `/{parent}`, which is {what}"));
        }
    }
    Ok(())
}

/// Refuses more layers than an engine takes.
fn check_count(count: usize) -> Result<(), StepError> {
    if count <= LAYERS_MAX {
        return Ok(());
    }
    let message = format!("the image has {count} layers with those of its base, and engines take at most {LAYERS_MAX}");
    Err(StepError::input(message).hint("give entries of `files` the same `layer`, or choose a base with fewer"))
}

/// Returns the names in `user` or `user:group`, not the numbers; `None` if it is neither.
pub(crate) fn user_names(user: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = user.split(':').collect();
    let is_sound = parts.len() <= 2 && (user.is_empty() || parts.iter().all(|part| !part.is_empty()));
    is_sound.then(|| parts.into_iter().filter(|part| !part.is_empty() && part.parse::<u32>().is_err()).collect())
}

/// Returns a value as JSON: structs in the order of their fields, maps sorted.
fn canonical(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}
