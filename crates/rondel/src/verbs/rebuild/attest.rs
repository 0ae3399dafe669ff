//! `--attest`: a signed verification summary about what was built again and is the same. The same summary has the same bytes
//! whenever it is made, so attesting again sends and writes nothing.

use std::fs;
use std::path::Path;

use rondel_cas::{SMALL_MAX, TemporaryDirectory, read_at_most, read_text_at_most};
use rondel_evidence::VerificationSummary;
use rondel_signatures::bundle::Bundle;
use rondel_signatures::dsse::{Envelope, IN_TOTO};
use rondel_signatures::{CAN_SIGN, KeyError, PrivateKey};
use rondel_targets::{PublishedImage, Registries};

use super::Run;
use super::plan::Plan;
use crate::exit::Failure;
use crate::tree_copy::TreeCopy;
use crate::verbs::lock_bases::failure;

/// Variables of the environment, as cosign has them.
const KEY: &str = "COSIGN_PRIVATE_KEY";
const PASSWORD: &str = "COSIGN_PASSWORD";
/// Ending of a summary's file.
const ENDING: &str = ".sigstore.json";

/// The private key that signs the summary.
pub(super) struct Attester {
    key: PrivateKey,
    /// Name of the summary: rebuilders with other keys have other files.
    name: String,
}

impl Attester {
    /// Reads the key, before anything is built; `None` without `--attest`.
    pub fn of(run: &Run<'_>, plan: &Plan) -> Result<Option<Attester>, Failure> {
        let options = &run.call.options;
        if !options.attest {
            return match options.key {
                Some(_) => Err(Failure::usage("`--key` is for `--attest`")),
                None => Ok(None),
            };
        }
        if plan.commit.is_none() {
            return Err(Failure::usage("nothing is attested of sources whose commit is not proven")
                .hint("check out the commit of the provenance, and leave out `--other-sources`"));
        }
        if !CAN_SIGN {
            let hint = "write `features = [\"signing\"]` beside `path` in xtask/Cargo.toml";
            return Err(Failure::usage("`--attest` needs a program that was compiled with signing").hint(hint));
        }
        let (text, place) = match &options.key {
            Some(path) => {
                let text = read_text_at_most(&run.call.context.directory.join(path), SMALL_MAX);
                let wrong = |error: std::io::Error| Failure::usage(format!("failed to read the key `{path}`: {error}"));
                (text.map_err(wrong)?, format!("`{path}`"))
            }
            None => match run.call.context.get(KEY) {
                Some(text) => (text.to_owned(), format!("the variable {KEY}")),
                None => {
                    return Err(Failure::usage("there is no key to attest with")
                        .hint(format!("name its file with `--key PATH`, or put its text into {KEY}")));
                }
            },
        };
        let key = match PrivateKey::from_pem(&text, None) {
            Err(KeyError::NoPassword) => PrivateKey::from_pem(&text, run.call.context.get(PASSWORD)),
            read => read,
        };
        let key = key.map_err(|error| {
            Failure::environment(format!("{place} is no private key that can sign: {error}"))
                .hint(format!("`cosign generate-key-pair` makes one; its password is in {PASSWORD}"))
        })?;
        let fingerprint = key.public_key().fingerprint();
        let name = format!("rebuilt-{}{ENDING}", fingerprint.get(..12).unwrap_or(&fingerprint));
        Ok(Some(Attester { key, name }))
    }

    /// Writes the summary into a directory: of a whole release, or of one file.
    pub fn write(
        &self,
        run: &Run<'_>,
        directory: &Path,
        of_file: Option<&str>,
        summary: &VerificationSummary,
    ) -> Result<(), Failure> {
        let name = of_file.map_or_else(|| self.name.clone(), |file| format!("{file}.{}", self.name));
        let (path, bundle) = (directory.join(name), self.bundle(summary));
        let is_there = read_at_most(&path, SMALL_MAX.max(bundle.len() as u64)).is_ok_and(|there| there == bundle);
        if !is_there {
            fs::write(&path, &bundle)
                .map_err(|error| Failure::environment(format!("failed to write `{}`: {error}", path.display())))?;
        }
        run.sink.attested(&path.display().to_string(), if is_there { 0 } else { bundle.len() as u64 });
        Ok(())
    }

    /// Attaches the summary to an image.
    pub fn attach(
        &self,
        run: &Run<'_>,
        (image, registries): (&PublishedImage, &Registries),
        summary: &VerificationSummary,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<(), Failure> {
        let scratch = TemporaryDirectory::new_in(&run.session.cache.join(TreeCopy::PLACE))
            .map_err(|error| Failure::environment(format!("failed to make a directory: {error}")))?;
        let names = (self.name.as_str(), VerificationSummary::PREDICATE);
        let (manifest, sent) =
            image.attach(registries, names, &self.bundle(summary), scratch.path(), say).map_err(failure)?;
        let reference = &image.reference;
        run.sink.attested(&format!("{}/{}@{manifest}", reference.registry(), reference.repository()), sent);
        Ok(())
    }

    fn bundle(&self, summary: &VerificationSummary) -> Vec<u8> {
        let envelope = Envelope::sign(IN_TOTO, &summary.statement(), &self.key);
        Bundle::of_envelope(envelope, &self.key.public_key()).to_json()
    }
}
