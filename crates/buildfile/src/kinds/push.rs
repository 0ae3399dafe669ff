//! `Push`: fields and checks of one kind.

use rondel_names::ImageReference;

use crate::places::Places;
use crate::record::kind;
use crate::types::{Attachment, Destinations, LayoutReference, OutPath, Platforms, Policy};
use crate::{Diagnostic, Kind, Makes, Need, Output, Spanned};

kind! {
    /// Sends an image to registries, without a daemon: all platforms under one index. Only what a registry lacks is sent;
    /// the names are set last, so that a push that fails sets none. With `--platform`, the entries of the other platforms
    /// that a name has stay. The accounts are those of Docker and podman.
    Push in Group::Publish {
        /// The target that makes the image: an `Image`.
        image: LayoutReference,
        /// Where it goes: `["registry.example/team/app:{version}"]`; without a tag it is `latest`.
        to: Destinations,
        /// File that gets a line for each of `to`: `registry.example/team/app:1.2@sha256:…`.
        refs: Option<OutPath> = None,
        /// Documents about the image, which registries keep beside it:
        /// `[Attachment(type: "application/spdx+json", file: Output("sbom"))]`. They are there before the names are set.
        attach: Vec<Attachment> = Vec::new(),
        /// What must hold before anything is sent: `(clean_tree: true, verified: true)`. docs/policies.md has all rules.
        policy: Option<Spanned<Policy>> = None,
    }
}

impl Kind for Push {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn has_digest(&self) -> bool {
        true
    }

    fn outputs<'a>(&'a self, places: &Places<'a>) -> Vec<Output<'a>> {
        self.refs.iter().map(|refs| places.path(refs)).collect()
    }

    fn check(&self, _platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        for text in &self.to {
            if let Some(Err(message)) = text.as_literal().map(destination) {
                diagnostics.push(Diagnostic::new(text.span, message).hint(DESTINATION_HINT));
            }
        }
    }
}

/// What to write instead of a wrong destination.
pub const DESTINATION_HINT: &str = "write \"registry.example/team/app:1.2\"";

/// Reads where an image goes. The error says what is wrong.
pub fn destination(text: &str) -> Result<ImageReference, String> {
    let reference = ImageReference::new(text).map_err(|error| error.to_string())?;
    if reference.digest().is_some() {
        return Err(format!("`{text}` has a digest: what is pushed decides it"));
    }
    // Docker's own images, where nobody else can push.
    if reference.repository().starts_with("library/") && reference.registry() == "docker.io" {
        return Err(format!("`{text}` names no registry"));
    }
    Ok(reference)
}
