//! `rebuild` of an image in a registry, by the provenance among the documents about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rondel_buildfile::TargetKind;
use rondel_cas::{Digest, Entry, TemporaryDirectory};
use rondel_diff::{Difference, diff_json, diff_layouts, read_layout};
use rondel_engine::Artefact;
use rondel_evidence::{STATEMENT_MAX, Statement, VerificationSummary, image_purl};
use rondel_names::ImageReference;
use rondel_targets::{KnownKeys, PublishedDocument, PublishedImage, Registries};

use super::attest::Attester;
use super::plan::Plan;
use super::published_files::read_statement;
use super::{Outcome, Run};
use crate::build_diff::unreadable;
use crate::exit::{Exit, Failure};
use crate::second_build::SecondBuild;
use crate::tree_copy::TreeCopy;
use crate::ui::{Verified, print_line, without_control_sequences};
use crate::verbs::lock_bases::failure;

/// Number of documents that are read in search of the provenance.
const PROVENANCES_MAX: usize = 20;

/// An image of a registry.
struct Published {
    image: PublishedImage,
    registries: Registries,
}

fn say(text: String) {
    print_line(&format!("{:>12} {}", "Note", without_control_sequences(&text)));
}

/// Rebuilds an image with all its platforms, or with those of its provenance.
pub(super) fn rebuild(run: &Run<'_>, reference: &ImageReference) -> Result<Exit, Failure> {
    let registries = Registries::new(&run.session.file, &run.call.context.environment);
    let keys = KnownKeys::of(&run.session.file, &run.session.root);
    let image = PublishedImage::read(&registries, reference, &keys, &say).map_err(failure)?;
    let published = Published { image, registries };
    let (statement, input) = match run.provenance_path() {
        Some(path) => (read_statement(&path)?, Digest::of_file(&path).ok()),
        None => published.provenance()?,
    };
    let hash = published.image.digest.trim_start_matches("sha256:");
    if !statement.subjects.iter().any(|(_, subject)| subject == hash) {
        let message = format!("the provenance is not about `{}`, but about other images", published.image.digest);
        return Err(Failure::usage(message).hint("`--provenance PATH` names another one"));
    }
    let stated = statement.build().map_err(|error| Failure::usage(format!("the provenance can't be used: {error}")))?;
    let plan = Plan::of(run, &stated, &|target| matches!(target.kind, TargetKind::Image(_)))?;
    let attester = Attester::of(run, &plan)?;
    let (exit, subjects) = run.rebuild(&plan, None, &|built| {
        let (layout, documents) = made(built, run, &plan)?;
        let mut outcome = Outcome::default();
        outcome.compared.push(published.compare(run, built, &layout)?);
        let name = reference.full_repository();
        outcome.same.insert((name, hash.to_owned()));
        published.documents(&documents, &statement, &mut outcome)?;
        Ok(outcome)
    })?;
    if let Some(attester) = attester.filter(|_| exit == Exit::Done) {
        let provenance = ("provenance".to_owned(), input);
        let summary = VerificationSummary {
            subjects,
            resource: image_purl(&reference.full_repository(), &published.image.digest),
            provenance,
        };
        attester.attach(run, (&published.image, &published.registries), &summary, &say)?;
    }
    Ok(exit)
}

/// Returns the layout that was built, and the documents beside it, each by its path from there.
fn made(built: &SecondBuild, run: &Run<'_>, plan: &Plan) -> Result<(PathBuf, BTreeMap<String, Artefact>), Failure> {
    let place = run.session.target(plan.target.as_str()).and_then(|target| {
        run.session.file.outputs_of(target).first().map(|output| built.place.root.join(&output.path))
    });
    let place = place.ok_or_else(|| Failure::usage(format!("`{}` makes no OCI layout", plan.target)))?;
    let beside = place.parent().unwrap_or(Path::new("/"));
    let name = place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut documents = BTreeMap::new();
    for artefact in built.summary.results.values().flat_map(|result| &result.artefacts) {
        let own =
            artefact.path.strip_prefix(beside).ok().and_then(Path::to_str).and_then(|path| path.strip_prefix(name));
        if let Some(own) = own.filter(|own| own.starts_with('.')) {
            documents.insert(own[1..].to_owned(), artefact.clone());
        }
    }
    Ok((place, documents))
}

impl Published {
    /// Returns the one provenance of the image that Rondel has written, also if it is there in several forms, and the digest of
    /// one of them.
    fn provenance(&self) -> Result<(Statement, Option<Digest>), Failure> {
        let image = &self.image;
        let mut all: Vec<&PublishedDocument> = image.documents.iter().collect();
        if image.documents.iter().all(|document| !is_statement(document)) {
            all.extend(image.platforms.iter().flat_map(|platform| &platform.documents));
        }
        let hash = image.digest.trim_start_matches("sha256:");
        let (mut found, mut inputs): (Vec<Statement>, Vec<Digest>) = (Vec::new(), Vec::new());
        for document in all.into_iter().filter(|document| is_statement(document)).take(PROVENANCES_MAX) {
            if document.contents.is_some_and(|contents| contents.size() > STATEMENT_MAX) {
                continue;
            }
            let bytes = image.contents(document, &self.registries, &say).map_err(failure)?;
            let Ok(statement) = Statement::parse(&bytes) else { continue };
            let is_about = statement.subjects.iter().any(|(_, subject)| subject == hash);
            if is_about && statement.build().is_ok() {
                inputs.extend(document.contents);
                if !found.contains(&statement) {
                    found.push(statement);
                }
            }
        }
        // Their order in the list is the registry's.
        inputs.sort_by_key(Digest::hex);
        match found.len() {
            1 => Ok((found.remove(0), inputs.first().copied())),
            0 => Err(Failure::usage(format!("`{}` has no provenance that Rondel has written", image.reference)).hint(
                "`provenance: true` of a `Push` attaches one; of an image for one platform, name that by its digest",
            )),
            several => Err(Failure::usage(format!("`{}` has {several} provenances", image.reference))
                .hint("`inspect REFERENCE --show DIGEST` prints one; name it with `--provenance PATH`")),
        }
    }

    /// Compares the image with the layout; the published one is the first of a difference.
    fn compare(&self, run: &Run<'_>, built: &SecondBuild, layout: &Path) -> Result<Verified, Failure> {
        let (digest, images) = read_layout(layout).map_err(unreadable)?;
        let label = self.image.reference.to_string();
        // By its digest a reference can lead to the image of one platform.
        let is_same = digest == self.image.digest || images.iter().any(|image| image.digest == self.image.digest);
        let mut one = Verified { label, is_hidden: false, summary: self.image.digest.clone(), difference: None };
        if is_same {
            return Ok(one);
        }
        let layers: BTreeSet<&str> =
            images.iter().flat_map(|image| &image.layers).map(|(digest, ..)| digest.as_str()).collect();
        let place = TemporaryDirectory::new_in(&run.session.cache.join(TreeCopy::PLACE))
            .map_err(|error| Failure::environment(format!("failed to make a directory: {error}")))?;
        let is_known = |digest: &Digest| layers.contains(digest.oci().as_str());
        self.image.download(&self.registries, &is_known, place.path(), &say).map_err(failure)?;
        let difference = diff_layouts(place.path(), layout, &built.place.traces(run.session)).map_err(unreadable)?;
        let otherwise = || Difference {
            place: Vec::new(),
            what: vec![format!("{} and {digest}, with the same images", self.image.digest)],
        };
        one.difference = Some(difference.unwrap_or_else(otherwise));
        Ok(one)
    }

    /// Compares the documents about the image with those that were made.
    fn documents(
        &self,
        made: &BTreeMap<String, Artefact>,
        statement: &Statement,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let of_platforms = self.image.platforms.iter().flat_map(|platform| {
            platform.documents.iter().map(move |document| (Some(platform.platform.as_str()), document))
        });
        let all = self.image.documents.iter().map(|document| (None, document)).chain(of_platforms);
        let mut seen = BTreeSet::new();
        for (platform, document) in all {
            let name = document.name.as_deref().unwrap_or(&document.media_type).escape_debug().to_string();
            let label = platform.map_or(name.clone(), |platform| format!("{name} of {}", platform.escape_debug()));
            let Some(contents) = document.contents.filter(|contents| seen.insert((platform, contents.oci()))) else {
                continue;
            };
            let is_made =
                |artefact: &Artefact| matches!(artefact.entry, Entry::File { digest, .. } if digest == contents);
            let mut one = Verified { label, is_hidden: false, summary: contents.oci(), difference: None };
            if made.values().any(is_made) {
                outcome.compared.push(one);
                continue;
            }
            let signer = document.signed_by.as_ref().and_then(|signed| signed.file.as_ref());
            if let (Some(signer), false) = (signer, is_statement(document)) {
                one.label = format!("the signature by the key of {}", signer.escape_debug());
                outcome.compared.push(one);
                continue;
            }
            let twin = made.iter().find(|(path, _)| {
                let file = path.rsplit('/').next().unwrap_or(path);
                document.made_by == "rondel" && document.name.as_deref().is_some_and(|name| name.ends_with(file))
            });
            let is_provenance = is_statement(document);
            let own = |path: &str| is_provenance && path.ends_with("provenance.json");
            let twin = twin.or_else(|| made.iter().find(|(path, _)| own(path)));
            let Some((_, twin)) = twin.filter(|_| contents.size() <= STATEMENT_MAX) else {
                outcome
                    .unproven
                    .push((one.label, format!("the target does not make it ({})", document.media_type.escape_debug())));
                continue;
            };
            let there = self.image.contents(document, &self.registries, &say).map_err(failure)?;
            let here = rondel_cas::read_at_most(&twin.path, STATEMENT_MAX).map_err(unreadable)?;
            // A signed one is around the same statement.
            let is_same =
                Statement::parse(&there).is_ok_and(|there| Statement::parse(&here).is_ok_and(|here| here == there));
            if is_same {
                outcome.compared.push(one);
                if signer.is_none() && there != here {
                    let why = "of a key that build.ron does not name".to_owned();
                    outcome.unproven.push((format!("the signature around {name}"), why));
                }
                continue;
            }
            let otherwise = || Difference { place: Vec::new(), what: vec!["the contents differ".to_owned()] };
            one.difference = Some(diff_json(&there, &here).unwrap_or_else(otherwise));
            outcome.compared.push(one);
        }
        let is_statement_made = made.values().any(|artefact| {
            let bytes = rondel_cas::read_at_most(&artefact.path, STATEMENT_MAX).unwrap_or_default();
            Statement::parse(&bytes).is_ok_and(|made| made == *statement)
        });
        if !is_statement_made && outcome.compared.iter().all(|one| one.difference.is_none()) {
            outcome.unproven.push(("the provenance".to_owned(), "another one is made here".to_owned()));
        }
        Ok(())
    }
}

/// Returns true if a document may be a provenance.
fn is_statement(document: &PublishedDocument) -> bool {
    let predicate = document.predicate.as_deref().unwrap_or_default();
    let is_of_type = document.media_type.contains("in-toto") || document.media_type.contains("sigstore.bundle");
    predicate.starts_with("https://slsa.dev/provenance/") || (is_of_type && predicate.is_empty())
}
