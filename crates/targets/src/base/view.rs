//! `BaseView`: the files of a base, for what is put onto it: users, directories and their permissions, the ways of its
//! links, certificates.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rondel_cas::{Entry, RelativePath, read_at_most};
use rondel_engine::{StepContext, StepError};
use rondel_oci::{
    BaseConfig, BaseEntry, BaseIndex, BaseKind, Document, LayerEntry, LayerSource, base_without_certificates,
};

use crate::base::pinned::CONFIG_BYTES_MAX;

/// Maximum size of the list of files, and of a file that is extended, in bytes.
const INDEX_MAX: u64 = 1 << 30;
const KEPT_MAX: u64 = 64 << 20;

/// Tables of a base that an image extends.
pub(crate) const KEPT_TABLES: &[&str] = &["etc/passwd", "etc/group"];
/// Bundles of certificates that an image extends: where Go looks for them (crypto/x509/root_linux.go).
pub(crate) const KEPT_BUNDLES: &[&str] = &[
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "etc/pki/tls/cacert.pem",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/ssl/cert.pem",
];

/// Returns the bundle that the environment of a base names.
pub(crate) fn bundles_of(environment: &[String]) -> Option<RelativePath> {
    let named = environment.iter().rev().find_map(|entry| entry.strip_prefix("SSL_CERT_FILE="))?;
    RelativePath::new(named.strip_prefix('/')?).ok()
}

/// What lies below the files of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Below {
    /// The static base.
    Static,
    /// What the upstream step of this index found.
    Image(usize),
}

/// The files of a base.
pub(crate) enum BaseView {
    /// The static base.
    Static(BTreeMap<RelativePath, LayerEntry>),
    /// Another image.
    Image(ImageView),
}

/// The files of an image, as its step listed them.
pub(crate) struct ImageView {
    index: BaseIndex,
    /// Files whose contents are known.
    kept: BTreeMap<RelativePath, (PathBuf, Entry)>,
    config: PathBuf,
    manifest: (PathBuf, Entry),
}

impl BaseView {
    /// Returns what is below.
    pub fn of(below: Below, context: &StepContext<'_>) -> Result<BaseView, StepError> {
        match below {
            Below::Static => Ok(BaseView::Static(base_without_certificates())),
            Below::Image(index) => ImageView::of(index, context).map(BaseView::Image),
        }
    }

    /// Returns the directory at `path`, links followed, if there is one.
    pub fn directory(&self, path: &RelativePath) -> Option<LayerEntry> {
        match self {
            BaseView::Static(entries) => {
                let entry = entries.get(path).filter(|entry| matches!(entry.source, LayerSource::Directory));
                entry.cloned()
            }
            BaseView::Image(view) => view.directory(path),
        }
    }

    /// Returns true if something is at `path`, links followed.
    pub fn holds(&self, path: &RelativePath) -> bool {
        match self {
            BaseView::Static(entries) => entries.keys().any(|other| other.is_within(path)),
            BaseView::Image(view) => {
                let there = view.index.resolve(path, true);
                there.is_ok_and(|path| view.index.get(&path).is_some())
            }
        }
    }

    /// Returns the text of a table of users or groups; empty if there is none.
    pub fn table(&self, path: &RelativePath) -> Result<String, StepError> {
        let bytes = match self {
            BaseView::Static(entries) => match entries.get(path).map(|entry| &entry.source) {
                Some(LayerSource::Bytes(bytes)) => bytes.clone(),
                _ => Vec::new(),
            },
            BaseView::Image(view) => view.kept(path)?.map(|kept| kept.contents).unwrap_or_default(),
        };
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A file of a base whose contents are known.
pub(crate) struct KeptFile {
    /// Its place, links followed.
    pub place: RelativePath,
    pub contents: Vec<u8>,
    /// Its contents in the key.
    pub entry: Entry,
    /// Its permissions and owner.
    pub attributes: BaseEntry,
}

impl ImageView {
    /// Returns the view of what the upstream step `index` listed.
    pub fn of(index: usize, context: &StepContext<'_>) -> Result<ImageView, StepError> {
        let artefacts = &context.upstream[index].artefacts;
        let broken = || StepError::failed("the record of a base is incomplete").hint("run again with --force");
        let find = |name: &str| {
            let found = artefacts.iter().find(|artefact| artefact.name.as_str() == name);
            found.map(|artefact| (artefact.path.clone(), artefact.entry.clone())).ok_or_else(broken)
        };
        let files = find("base/files")?.0;
        let text = read_at_most(&files, INDEX_MAX).map_err(|error| StepError::unreadable(&files, &error))?;
        let text = String::from_utf8(text).map_err(|_| broken())?;
        let mut kept = BTreeMap::new();
        for artefact in artefacts {
            let path = artefact.name.as_str().strip_prefix("base/kept/");
            if let Some(path) = path.and_then(|path| RelativePath::new(path).ok()) {
                kept.insert(path, (artefact.path.clone(), artefact.entry.clone()));
            }
        }
        let config = find("base/config.json")?.0;
        Ok(ImageView { index: BaseIndex::of_text(text), kept, config, manifest: find("base/manifest.json")? })
    }

    /// Returns what is at a path, links not followed.
    pub fn kind(&self, path: &RelativePath) -> Option<BaseKind> {
        self.index.get(path).map(|entry| entry.kind)
    }

    /// Returns the manifest's entry, for keys: it names all bytes of the image.
    pub fn manifest_entry(&self) -> Entry {
        self.manifest.1.clone()
    }

    /// Returns the kept files that are wanted, by their paths without the first `/`.
    pub fn kept_files(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<(&RelativePath, Vec<u8>)>, StepError> {
        let wanted = self.kept.iter().filter(|(path, _)| wanted(path.as_str()));
        wanted
            .map(|(path, (file, _))| {
                let contents = read_at_most(file, KEPT_MAX).map_err(|error| StepError::unreadable(file, &error))?;
                Ok((path, contents))
            })
            .collect()
    }

    /// Returns the bundle that the base's own environment names.
    pub fn named_bundle(&self) -> Result<Option<RelativePath>, StepError> {
        let (_, _, config) = self.read()?;
        Ok(bundles_of(&config.settings.env))
    }

    /// Reads the manifest and the configuration.
    pub fn read(&self) -> Result<(rondel_cas::Digest, Vec<rondel_oci::Descriptor>, BaseConfig), StepError> {
        let read =
            |path: &PathBuf| read_at_most(path, CONFIG_BYTES_MAX).map_err(|error| StepError::unreadable(path, &error));
        let wrong = |error: &dyn std::fmt::Display| StepError::failed(format!("the record of a base: {error}"));
        let manifest = read(&self.manifest.0)?;
        let document = Document::parse("application/vnd.oci.image.manifest.v1+json", &manifest);
        let Document::Manifest { layers, .. } = document.map_err(|error| wrong(&error))? else {
            return Err(wrong(&"its manifest is an index"));
        };
        let config = BaseConfig::parse(&read(&self.config)?, layers.len()).map_err(|error| wrong(&error))?;
        Ok((rondel_cas::Digest::of(&manifest), layers, config))
    }

    fn directory(&self, path: &RelativePath) -> Option<LayerEntry> {
        let place = self.index.resolve(path, true).ok()?;
        let entry = self.index.get(&place)?;
        let (mode, uid, gid) = (entry.mode, entry.uid, entry.gid);
        (entry.kind == BaseKind::Directory).then_some(LayerEntry { mode, uid, gid, ..LayerEntry::directory() })
    }

    /// Returns a file that programs find at `path`, if it is one of those that are kept.
    pub fn kept(&self, path: &RelativePath) -> Result<Option<KeptFile>, StepError> {
        let Ok(place) = self.index.resolve(path, true) else { return Ok(None) };
        let Some(attributes) = self.index.get(&place).filter(|there| there.kind == BaseKind::File) else {
            return Ok(None);
        };
        let Some((file, entry)) = self.kept.get(&place) else {
            return Err(StepError::failed(format!("the contents of `/{place}` of the base are not known"))
                .hint("run again with --force"));
        };
        let contents = read_at_most(file, KEPT_MAX).map_err(|error| StepError::unreadable(file, &error))?;
        Ok(Some(KeptFile { place, contents, entry: entry.clone(), attributes }))
    }

    /// Returns entries at the places where a container finds them, each with its declared place: links of the base are
    /// followed. Directories that the
    /// base has are left to it.
    pub fn place(
        &self,
        entries: BTreeMap<RelativePath, LayerEntry>,
    ) -> Result<BTreeMap<RelativePath, (LayerEntry, RelativePath)>, StepError> {
        let mut placed: BTreeMap<RelativePath, (LayerEntry, RelativePath)> = BTreeMap::new();
        for (path, entry) in entries {
            let is_directory = matches!(entry.source, LayerSource::Directory);
            let wrong = |what: String| {
                StepError::input(format!("`/{path}` can't be put there: {what}")).hint("give it another path")
            };
            let place = self.index.resolve(&path, is_directory).map_err(|error| wrong(error.to_string()))?;
            match self.index.get(&place) {
                Some(there) if is_directory => {
                    if there.kind != BaseKind::Directory {
                        return Err(wrong(format!("`/{place}` is a file of the base")));
                    }
                    if (there.mode, there.uid, there.gid) == (entry.mode, entry.uid, entry.gid) {
                        continue;
                    }
                }
                Some(there) if there.kind == BaseKind::Directory => {
                    return Err(wrong(format!("`/{place}` is a directory of the base")));
                }
                _ => {}
            }
            let is_taken = placed
                .get(&place)
                .is_some_and(|(other, _)| !is_directory || !matches!(other.source, LayerSource::Directory));
            if is_taken {
                return Err(wrong(format!("another file has the same place, `/{place}`")));
            }
            placed.entry(place).or_insert((entry, path));
        }
        Ok(placed)
    }
}
