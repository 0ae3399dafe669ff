//! `Push`: fields and checks of one kind.

use rondel_names::ImageReference;

use crate::places::Places;
use crate::record::kind;
use crate::types::{Attachment, Bills, Destinations, LayoutReference, OutPath, Platforms, Policy, Sign, SigningKey};
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
        /// Attaches a bill of materials to the image of each platform. `true` is SPDX 2.3; `[Spdx, CycloneDx]` is both. The image then
        /// writes them as by its own `sbom`.
        sbom: Bills = Bills::default(),
        /// Attaches what the image was made from, an in-toto statement with SLSA provenance, to its index. The image then writes it as by
        /// its own `provenance`.
        provenance: bool = false,
        /// Signs the index, the image of each platform and all that `sbom` and `provenance` attach, as cosign does:
        /// `Sign(key: Secret("COSIGN_PRIVATE_KEY"), public_key: "cosign.pub")`. The same key gives the same bytes, so a second push sends
        /// nothing. docs/registries.md has how to verify.
        sign: Option<Sign> = None,
        /// What must hold before anything is sent: `(clean_tree: true, verified: true)`. docs/policies.md has all rules.
        policy: Option<Spanned<Policy>> = None,
    }
}

impl Kind for Push {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn needs(&self) -> Vec<Need> {
        Policy::needs(self.policy.as_ref())
    }

    fn has_digest(&self) -> bool {
        true
    }

    fn signing_key(&self) -> Option<&SigningKey> {
        self.sign.as_ref().map(|sign| &sign.key)
    }

    fn public_key(&self) -> Option<&str> {
        self.sign.as_ref().map(|sign| sign.public_key.value.as_str())
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
