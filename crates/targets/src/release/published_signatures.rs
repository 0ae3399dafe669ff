//! Signatures of a release that somebody else has published: a rebuild has no private key, so it makes none. It checks those
//! that are there, with the public key of this build.ron, and takes them.

use std::path::{Path, PathBuf};

use rondel_cas::{Digest, MEMORY_MAX, RelativePath, read_at_most};
use rondel_engine::{ActionSpec, Artefact, StepError};
use rondel_signatures::PublicKey;
use rondel_signatures::bundle::Bundle;
use rondel_signatures::dsse::IN_TOTO;

/// Maximum size of a bundle around a statement.
const BUNDLE_MAX: u64 = 64 << 20;

/// The directory of a published release.
#[derive(Clone, Debug)]
pub(crate) struct PublishedSignatures(pub PathBuf);

impl PublishedSignatures {
    /// Returns true if a file is there.
    pub fn has(&self, name: &RelativePath) -> bool {
        std::fs::symlink_metadata(name.below(&self.0)).is_ok_and(|metadata| metadata.is_file())
    }

    /// Adds a signature to a key.
    pub fn add_to(&self, spec: &mut ActionSpec, name: &RelativePath) -> Result<(), StepError> {
        spec.settings.insert(format!("published {name}"), Digest::of(&self.read(name, BUNDLE_MAX)?).oci());
        Ok(())
    }

    /// Returns the bundle of a file that was made here, if the key has signed that.
    pub fn checked(
        &self,
        name: &RelativePath,
        artefact: &Artefact,
        is_statement: bool,
        key: &PublicKey,
    ) -> Result<Bundle, StepError> {
        let unreadable = |error| StepError::unreadable(&artefact.path, &error);
        let made = read_at_most(&artefact.path, MEMORY_MAX).map_err(unreadable)?;
        let wrong = |why: String| {
            StepError::failed(format!("`{name}` is no signature of the `{}` that is made here: {why}", artefact.name))
                .hint("the release was changed after it was signed, or this is not what it was made of")
        };
        let bundle = Bundle::from_json(&self.read(name, BUNDLE_MAX)?).map_err(|error| wrong(error.to_string()))?;
        let checked = match (is_statement, bundle.envelope()) {
            (false, _) => bundle.verify_message(&made, key),
            (true, None) => return Err(wrong("it has no envelope".to_owned())),
            (true, Some(envelope)) => match envelope.verify(IN_TOTO, key) {
                Ok(payload) if payload != made => return Err(wrong("it is around another statement".to_owned())),
                checked => checked.map(drop),
            },
        };
        checked.map_err(|error| wrong(error.to_string()))?;
        Ok(bundle)
    }

    fn read(&self, name: &RelativePath, max: u64) -> Result<Vec<u8>, StepError> {
        let path = name.below(&self.0);
        read_at_most(&path, max).map_err(|error| StepError::unreadable(&path, &error))
    }
}

/// Returns the place of signatures, if they are those of others.
pub(crate) fn published_in(directory: Option<&Path>) -> Option<PublishedSignatures> {
    directory.map(|directory| PublishedSignatures(directory.to_owned()))
}
