//! The files of a bundle, collected: sources go into a scratch directory, where they are built a second time; what that build
//! needed is what the bundle holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_buildfile::{Created, Image, Release, TargetKind, Text, TextSource, Visitor};
use rondel_cas::{Cache, Digest, RelativePath, SMALL_MAX, STORE_FORMAT, TemporaryFile, copy_file, read_at_most};
use rondel_engine::{Summary, counted_mode};
use rondel_golang::{DownloadSettings, GoDirectories, SdkPlace, identity_of_files, is_sdk_program, lexically};
use rondel_targets::Analysis;

use super::description::{GO, IMAGES, MODULE_FILES, MODULES, Part, SOURCE};
use super::scope::{bases, targets};
use super::scratch::{Scratch, downloads};
use crate::exit::Failure;
use crate::program;
use crate::second_build::{artefacts_of, sources_of};
use crate::session::Session;
use crate::tree_copy::link;

/// Files of a bundle, each with its place on this machine.
pub(super) type Parts = BTreeMap<RelativePath, (PathBuf, Part)>;

/// What build.ron takes from outside of itself.
pub(super) struct Declared {
    /// Variables of the environment, as far as they are set.
    pub environment: BTreeMap<String, String>,
    /// Files that variables are read from.
    files: Vec<PathBuf>,
}

impl Declared {
    /// Looks through the targets that are built, and the variables that they and their files use. What is beside them stays
    /// out of a bundle.
    pub fn of(session: &Session<'_>, analysis: &Analysis) -> Result<Declared, Failure> {
        #[derive(Default)]
        struct Names<'a> {
            variables: BTreeSet<&'a str>,
            secrets: BTreeSet<&'a str>,
            files: Vec<&'a str>,
        }
        impl<'a> Visitor<'a> for Names<'a> {
            fn text(&mut self, text: &'a Text) {
                match &text.source {
                    TextSource::Environment { name, .. } => drop(self.variables.insert(name)),
                    TextSource::Secret { name } => drop(self.secrets.insert(name)),
                    TextSource::File { path } | TextSource::Match { path, .. } => self.files.push(path),
                    TextSource::Template(_)
                    | TextSource::Git { .. }
                    | TextSource::Tool { .. }
                    | TextSource::Output(_) => {}
                }
            }
        }
        let mut names = Names::default();
        let targets = targets(session, &analysis.graph);
        let of_texts = targets.iter().flat_map(|target| session.file.variables_of(target));
        let of_files = analysis.variables.iter().map(|variable| variable.name.clone());
        for variable in of_texts.chain(of_files) {
            names.text(&session.file.vars[&variable].text);
        }
        for target in targets {
            target.visit(&mut names);
            if let TargetKind::Image(Image { created: Created::Environment(name), .. })
            | TargetKind::Release(Release { created: Created::Environment(name), .. }) = &target.kind
            {
                names.variables.insert(name);
            }
        }
        if let Some(name) = names.variables.intersection(&names.secrets).next() {
            return Err(Failure::usage(format!("`{name}` is both `Env` and `Secret` in `{}`", session.name))
                .hint("a bundle holds the values of `Env`; take the secret from another variable"));
        }
        let value = |name: &str| Some((name.to_owned(), session.context.environment.get(name)?.clone()));
        let root =
            session.file.root.as_ref().map_or_else(|| session.root.clone(), |root| session.root.join(&root.value));
        Ok(Declared {
            environment: names.variables.iter().filter_map(|name| value(name)).collect(),
            files: names.files.iter().map(|path| root.join(path)).collect(),
        })
    }
}

/// The sources of a build.
pub(super) struct Sources {
    /// The directory that all of them lie in.
    base: PathBuf,
    files: BTreeSet<PathBuf>,
}

impl Sources {
    /// Returns the files that a build was made from, and those that say what it is.
    pub fn of(session: &Session<'_>, declared: &Declared, analysis: &Analysis, summary: &Summary) -> Sources {
        let made = artefacts_of(summary);
        let mut own: Vec<PathBuf> = session.own_paths().collect();
        let go = GoDirectories::below(&session.cache);
        own.extend([&go.module_cache, &go.toolchains].into_iter().filter_map(|place| place.canonicalize().ok()));
        let mut files = sources_of(summary);
        files.retain(|path| !made.contains(path) && !own.iter().any(|place| path.starts_with(place)));
        files.extend(declared.files.iter().filter(|path| path.is_file()).cloned());
        files.insert(session.context.directory.join(&session.name));
        let modules = analysis.go.iter().flat_map(|go| go.module_files());
        files.extend(modules.chain([session.root.join("build.lock")]).filter(|path| path.is_file()));
        let files: BTreeSet<PathBuf> = files.iter().map(|path| lexically(path)).collect();
        let base = files.iter().fold(session.root.clone(), |base, path| {
            let above = base.ancestors().find(|above| path.starts_with(above));
            above.map_or_else(|| PathBuf::from("/"), Path::to_owned)
        });
        Sources { base, files }
    }

    /// Returns a path as the bundle has it.
    pub fn name(&self, path: &Path) -> Result<String, Failure> {
        let name = lexically(path).strip_prefix(&self.base).ok().and_then(|path| path.to_str().map(str::to_owned));
        name.ok_or_else(|| Failure::usage(format!("`{}` has no name in a bundle", path.display())))
    }

    /// Copies the sources into the scratch directory, and returns the copies.
    pub fn copy(&self, scratch: &Scratch) -> Result<Parts, Failure> {
        if self.base.parent().is_none() {
            return Err(Failure::usage("the sources have no directory in common, and can't be bundled"));
        }
        let mut parts = Parts::new();
        for path in &self.files {
            let name = self.name(path)?;
            let name = RelativePath::new(&format!("{SOURCE}/{name}"))
                .map_err(|error| Failure::usage(format!("`{}` can't be bundled: {error}", path.display())))?;
            let place = scratch.place_of(&name).expect("a source has a place");
            let part = self.copy_one(path, &place).map_err(|error| unreadable(path, &error))?;
            parts.insert(name, (place, part));
        }
        Ok(parts)
    }

    fn copy_one(&self, path: &Path, place: &Path) -> io::Result<Part> {
        fs::create_dir_all(place.parent().expect("below the sources"))?;
        if let Some(target) = self.inner_link(path) {
            link(Path::new(&target), place)?;
            return Ok(Part::Link { target });
        }
        copy_file(path, place)?;
        let mode = mode_of(path)?;
        set_mode(place, mode)?;
        Ok(Part::File { digest: Digest::of_file(place)?, mode })
    }

    /// Returns the target of a link to another source, beside it or below.
    fn inner_link(&self, path: &Path) -> Option<String> {
        let target = fs::read_link(path).ok()?;
        let is_inner = target.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        (is_inner && self.files.contains(&path.with_file_name(&target))).then(|| target.to_str().map(str::to_owned))?
    }
}

/// Returns the permissions of a source: those that were set on purpose, or ordinary ones.
fn mode_of(path: &Path) -> io::Result<u32> {
    let metadata = fs::metadata(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let bits = metadata.permissions().mode();
        let ordinary = if bits & 0o100 != 0 { 0o755 } else { 0o644 };
        Ok(counted_mode(bits).map_or(ordinary, |mode| mode.bits()))
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        Ok(0o644)
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// Copies the blobs of the base images from the user's store into that of the scratch directory.
pub(super) fn copy_images(session: &Session<'_>, analysis: &Analysis, scratch: &Scratch) -> Result<Parts, Failure> {
    let store = session.workspace().results;
    let images = scratch.images();
    let mut parts = Parts::new();
    fs::create_dir_all(&images).map_err(|error| unreadable(&images, &error))?;
    for (name, platform) in bases(session, &analysis.graph) {
        let Some(image) = session.lock.images.get(&name).and_then(|platforms| platforms.get(&platform)) else {
            continue;
        };
        for blob in [&image.manifest, &image.config].into_iter().chain(&image.layers) {
            let digest: Digest = format!("{}/{}", blob.digest.trim_start_matches("sha256:"), blob.size)
                .parse()
                .map_err(|_| Failure::usage(format!("build.lock: `{}` is no digest", blob.digest)))?;
            let place = images.join(digest.hex());
            let copy = || -> io::Result<()> {
                let mut file = TemporaryFile::new_in(&images)?;
                store.read(&digest, file.file(), &place).map_err(io::Error::other)?;
                file.persist(&place)
            };
            copy().map_err(|_| {
                Failure::environment(format!("the cache lacks {} of the base `{name}`", digest.oci()))
                    .hint(format!("`{} --force {name}` fetches it", program::name()).replace(&name, "TARGET"))
            })?;
            let path = RelativePath::new(&format!("{IMAGES}/{}", digest.hex())).expect("a digest is a name");
            parts.insert(path, (place, Part::File { digest, mode: 0o644 }));
        }
    }
    fill_store(scratch)?;
    Ok(parts)
}

/// Puts the blobs of images into the store of the scratch directory.
pub(super) fn fill_store(scratch: &Scratch) -> Result<(), Failure> {
    let store = Cache::disk(&scratch.cache().join(STORE_FORMAT));
    for entry in fs::read_dir(scratch.images()).into_iter().flatten().flatten() {
        store.put_file(&entry.path()).map_err(|error| {
            Failure::environment(format!("failed to write `{}`: {error}", scratch.cache().display()))
        })?;
    }
    Ok(())
}

/// Returns the user's way to modules, with those of the cache first.
pub(super) fn way_to_modules(session: &Session<'_>) -> BTreeMap<String, String> {
    let own = &session.context.environment;
    let home = own.get("HOME").map(PathBuf::from).unwrap_or_default();
    let settings = DownloadSettings::new(own, Some(&home.join(".config/go/env")));
    let known = DownloadSettings::names().iter();
    let mut found: BTreeMap<String, String> =
        known.filter_map(|name| Some(((*name).to_owned(), settings.get(name)?.to_owned()))).collect();
    for (name, path) in [("NETRC", ".netrc"), ("DOCKER_CONFIG", ".docker")] {
        let path = home.join(path);
        if path.exists() {
            found.entry(name.to_owned()).or_insert_with(|| path.display().to_string());
        }
    }
    let cache = downloads(&GoDirectories::below(&session.cache)).display().to_string();
    let url = format!("file://{}", cache.replace('%', "%25").replace(' ', "%20"));
    let proxies = found.get("GOPROXY").map_or_else(|| url.clone(), |others| format!("{url},{others}"));
    found.insert("GOPROXY".to_owned(), proxies);
    found
}

/// Lets the scratch directory have the user's toolchains.
pub(super) fn share_toolchains(session: &Session<'_>, scratch: &Scratch) -> Result<(), Failure> {
    let (from, to) = (GoDirectories::below(&session.cache).toolchains, scratch.go().toolchains);
    link(&from, &to).map_err(|error| unreadable(&to, &error))
}

/// Returns the downloaded modules of the scratch directory.
pub(super) fn modules(scratch: &Scratch) -> Result<Parts, Failure> {
    let top = scratch.modules();
    let mut parts = Parts::new();
    let mut open = vec![top.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(path);
                continue;
            }
            let file = entry.file_name();
            let file = file.to_str().unwrap_or_default();
            let is_version = path.parent().is_some_and(|parent| parent.ends_with("@v"));
            if !(is_version && MODULE_FILES.iter().any(|end| file.ends_with(end))) {
                continue;
            }
            if file.ends_with(".info") {
                shorten_info(&path).map_err(|error| unreadable(&path, &error))?;
            }
            let below = path.strip_prefix(&top).ok().and_then(Path::to_str).unwrap_or_default();
            let name = RelativePath::new(&format!("{MODULES}/{below}"))
                .map_err(|error| Failure::environment(format!("`{}`: {error}", path.display())))?;
            let digest = Digest::of_file(&path).map_err(|error| unreadable(&path, &error))?;
            parts.insert(name, (path, Part::File { digest, mode: 0o644 }));
        }
    }
    Ok(parts)
}

/// Leaves in an answer of a proxy what is the same from all of them.
fn shorten_info(path: &Path) -> io::Result<()> {
    let answer: serde_json::Value = serde_json::from_slice(&read_at_most(path, SMALL_MAX)?)?;
    let mut short = serde_json::Map::new();
    for name in ["Version", "Time"] {
        if let Some(value) = answer.get(name) {
            short.insert(name.to_owned(), value.clone());
        }
    }
    fs::write(path, serde_json::Value::Object(short).to_string())
}

/// Returns the files of a toolchain, and its identity.
pub(super) fn toolchain(sdk: &SdkPlace) -> Result<(Parts, Digest), Failure> {
    let root = sdk.root();
    let files = sdk.files().map_err(|error| unreadable(&root, &error))?;
    let mut parts = Parts::new();
    let mut digests = Vec::with_capacity(files.len());
    for (path, place) in files {
        let mode = if is_sdk_program(path.as_str()) { 0o755 } else { 0o644 };
        let digest = Digest::of_file(&place).map_err(|error| unreadable(&place, &error))?;
        let name = RelativePath::new(&format!("{GO}/{}/{path}", sdk.name())).expect("a path in a path");
        parts.insert(name, (place, Part::File { digest, mode }));
        digests.push((path, digest));
    }
    let identity = identity_of_files(digests.iter().map(|(path, digest)| (path, *digest)));
    Ok((parts, identity.map_err(|error| unreadable(&root, &error))?))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::environment(format!("failed to bundle `{}`: {error}", path.display()))
}
