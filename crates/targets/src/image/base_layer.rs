//! The lowest layer that Rondel writes: the `Static` base, or what another base lacks: certificates, users, time zones.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rondel_buildfile::Span;
use rondel_cas::{RelativePath, TEXT_MAX, read_at_most};
use rondel_engine::{ActionSpec, StepContext, StepError, UserError};
use rondel_golang::{GoSupport, GoVersion};
use rondel_oci::{
    LayerEntry, LayerSource, ROOT_BUNDLE, add_parents, base_without_certificates, root_certificates, zoneinfo_path,
};

use crate::base::{BaseView, ImageView, KEPT_BUNDLES, KeptFile};
use crate::image::added_users::{AddedUser, GROUP, HOME_MODE, PASSWD, extended};
use crate::image::places::{Boundary, with_span};

/// Where the certificates of an image are that has none.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
/// A line of every file of certificates.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// The layer below an image's own files.
pub(crate) struct BaseLayer {
    /// The toolchain whose time zones are in it.
    pub zones: Option<Arc<GoSupport>>,
    /// Mozilla's certificates, unless the base has some.
    pub certificates: bool,
    /// Directory of the project.
    pub root: PathBuf,
    /// Files with further certificates, below `root`.
    pub authorities: Vec<(RelativePath, Span)>,
    /// Users that the base does not have.
    pub users: Vec<AddedUser>,
}

type Entries = BTreeMap<RelativePath, LayerEntry>;

impl BaseLayer {
    /// Adds all that decides the layer to `spec`; returns its entries, but for the time zones.
    pub fn collect(
        &self,
        base: &BaseView,
        context: &StepContext<'_>,
        spec: &mut ActionSpec,
    ) -> Result<Entries, StepError> {
        let authorities = self.authorities(context, spec)?;
        let mut entries = match base {
            BaseView::Static(_) => self.of_static(&authorities, spec)?,
            BaseView::Image(view) => self.on_image(view, &authorities, spec)?,
        };
        for user in &self.users {
            let (uid, gid) = (user.numbers.uid, user.numbers.gid);
            spec.settings.insert(format!("user {}", user.name), format!("{uid}:{gid}"));
            if !base.holds(&user.home()) {
                entries.insert(user.home(), LayerEntry { mode: HOME_MODE, uid, gid, ..LayerEntry::directory() });
            }
        }
        if let Some(go) = &self.zones {
            let version = match &go.version {
                GoVersion::Exact(version) => version.clone(),
                GoVersion::System => go.identity(context)?,
            };
            spec.settings.insert("time zones".to_owned(), format!("go{version}"));
            // Its contents are known when the toolchain is there.
            entries.insert(zoneinfo_path(), LayerEntry::file(LayerSource::Bytes(Vec::new()), false));
        }
        add_parents(&mut entries, &|path| base.directory(path).unwrap_or_else(LayerEntry::directory));
        Ok(entries)
    }

    /// Adds what `collect` could not know.
    pub fn complete(&self, entries: &mut Entries, context: &StepContext<'_>) -> Result<(), StepError> {
        if let Some(go) = &self.zones {
            let path = go.toolchain(context)?.root.join("lib/time/zoneinfo.zip");
            // A base may lead to it through links.
            let place = entries.iter().find(|(path, entry)| {
                let is_empty = matches!(&entry.source, LayerSource::Bytes(bytes) if bytes.is_empty());
                is_empty && path.file_name() == zoneinfo_path().file_name()
            });
            let place = place.map_or_else(zoneinfo_path, |(path, _)| path.clone());
            entries.insert(place, LayerEntry::file(LayerSource::File(path), false));
        }
        Ok(())
    }

    fn of_static(&self, authorities: &str, spec: &mut ActionSpec) -> Result<Entries, StepError> {
        let mut entries = base_without_certificates();
        let bundle = if self.certificates { ROOT_BUNDLE } else { "no certificates" };
        spec.settings.insert("base".to_owned(), format!("static-1 {bundle}"));
        for user in &self.users {
            for (path, line) in [(PASSWD, user.passwd_line()), (GROUP, user.group_line())] {
                let entry = entries.get_mut(&at(path)).expect("the static base has it");
                let LayerSource::Bytes(bytes) = &mut entry.source else { continue };
                *bytes = extended(bytes, &user.name, &line).map_err(|error| of_user(user, error))?;
            }
        }
        let own = if self.certificates { root_certificates() } else { String::new() };
        let text = own + authorities;
        if !text.is_empty() {
            entries.insert(at(BUNDLE), LayerEntry::file(LayerSource::Bytes(text.into_bytes()), false));
        }
        Ok(entries)
    }

    /// Returns the files of another image that change, and those that it lacks.
    fn on_image(&self, view: &ImageView, authorities: &str, spec: &mut ActionSpec) -> Result<Entries, StepError> {
        let mut entries = Entries::new();
        let mut bundles: Vec<KeptFile> = Vec::new();
        let named = view.named_bundle()?;
        for path in named.clone().into_iter().chain(KEPT_BUNDLES.iter().map(|path| at(path))) {
            let Some(kept) = view.kept(&path)? else { continue };
            let is_new = !bundles.iter().any(|other| other.place == kept.place);
            if is_new && String::from_utf8_lossy(&kept.contents).contains(CERTIFICATE) {
                bundles.push(kept);
            }
        }
        if bundles.is_empty() {
            let own = if self.certificates { root_certificates() } else { String::new() };
            if self.certificates {
                spec.settings.insert("certificates".to_owned(), ROOT_BUNDLE.to_owned());
            }
            let text = own + authorities;
            if !text.is_empty() {
                // Where the base's own environment says that they are, else where most programs look.
                let place = named.unwrap_or_else(|| at(BUNDLE));
                spec.arguments.push(format!("certificates at /{place}"));
                entries.insert(place, LayerEntry::file(LayerSource::Bytes(text.into_bytes()), false));
            }
        }
        for kept in bundles.into_iter().filter(|_| !authorities.is_empty()) {
            let mut contents = kept.contents.clone();
            if !contents.ends_with(b"\n") {
                contents.push(b'\n');
            }
            contents.extend(authorities.bytes());
            replace(kept, contents, &mut entries, spec);
        }
        for (path, line_of) in
            [(PASSWD, AddedUser::passwd_line as fn(&AddedUser) -> String), (GROUP, AddedUser::group_line)]
        {
            if self.users.is_empty() {
                continue;
            }
            let kept = view.kept(&at(path))?;
            let mut table = kept.as_ref().map(|kept| kept.contents.clone()).unwrap_or_default();
            for user in &self.users {
                table = extended(&table, &user.name, &line_of(user)).map_err(|error| of_user(user, error))?;
            }
            match kept {
                // Whether there is anything to add hangs on it too.
                Some(kept) => {
                    spec.upstream.insert(kept.place.clone(), kept.entry.clone());
                    replace(kept, table, &mut entries, spec);
                }
                None => drop(entries.insert(at(path), LayerEntry::file(LayerSource::Bytes(table), false))),
            }
        }
        Ok(entries)
    }

    /// Returns the certificates of all declared files.
    fn authorities(&self, context: &StepContext<'_>, spec: &mut ActionSpec) -> Result<String, StepError> {
        let mut all = String::new();
        if self.authorities.is_empty() {
            return Ok(all);
        }
        let boundary = Boundary::of(&self.root, context)?;
        for (path, span) in &self.authorities {
            let wrong = |message: String| {
                StepError::User(UserError::input(message).at(*span).hint("write a file with PEM certificates"))
            };
            let real = boundary.resolve(path).map_err(|error| with_span(error, *span))?;
            let name = real.name.unwrap_or_else(|| path.clone());
            spec.inputs.add(name.clone(), real.place.clone(), &context.workspace.snapshot)?;
            spec.arguments.push(format!("certificates of {name}"));
            let bytes =
                read_at_most(&real.place, TEXT_MAX).map_err(|error| StepError::unreadable(&real.place, &error))?;
            let text = String::from_utf8(bytes).map_err(|_| wrong(format!("`{path}` is not text")))?;
            if !text.contains(CERTIFICATE) {
                return Err(wrong(format!("`{path}` holds no certificate")));
            }
            if text.contains("PRIVATE KEY-----") {
                return Err(wrong(format!("`{path}` holds a private key, which would be in the image")));
            }
            all.push_str(text.trim_end());
            all.push('\n');
        }
        Ok(all)
    }
}

/// Puts other contents in place of a file of the base, if they are others.
fn replace(kept: KeptFile, contents: Vec<u8>, entries: &mut Entries, spec: &mut ActionSpec) {
    if contents == kept.contents {
        return;
    }
    let KeptFile { place, entry, attributes, .. } = kept;
    let (mode, uid, gid) = (attributes.mode, attributes.uid, attributes.gid);
    spec.arguments.push(format!("extended /{place} mode {mode:o} owner {uid}:{gid}"));
    spec.upstream.insert(place.clone(), entry);
    entries.insert(place, LayerEntry { mode, uid, gid, ..LayerEntry::file(LayerSource::Bytes(contents), false) });
}

fn of_user(user: &AddedUser, error: String) -> StepError {
    StepError::User(UserError::input(error).at(user.span).hint("use that user, or another name"))
}

fn at(path: &str) -> RelativePath {
    RelativePath::new(path).expect("a constant")
}
