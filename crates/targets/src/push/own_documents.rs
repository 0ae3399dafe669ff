//! What a push attaches of its own: documents that its image makes, and with `sign` the signatures of all of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rondel_buildfile::{Platform, Push, Sign, Target, TargetName};
use rondel_cas::RelativePath;
use rondel_engine::{NodeId, OutputRole, OutputUse, Shown, StepKey};
use rondel_evidence::{BillForm, Provenance};
use rondel_names::ImageReference;
use rondel_signatures::bundle;

use crate::analyzer::{Analyzed, Analyzer, path};
use crate::evidence::forms;
use crate::image::evidence::{bills_directory, bills_key, provenance_file, provenance_key};
use crate::image::facts::index_of;
use crate::nodes::Deps;
use crate::push::documents::{DeclaredDocument, DocumentOrigin};
use crate::push::signature_tags::DeclaredTags;
use crate::push::signed::{OLD, PushSignStep, Signed, SignedContents};
use crate::signing::Signer;

/// The annotation for the type of a statement, as BuildKit has it.
const PREDICATE: &str = "in-toto.io/predicate-type";
/// What cosign says of a bundle.
const BUNDLE_CONTENT: &str = "dev.sigstore.bundle.content";
const BUNDLE_PREDICATE: &str = "dev.sigstore.bundle.predicateType";
const BUNDLE: &str = ".sigstore.json";

/// A push, and the image that it sends.
#[derive(Clone, Copy)]
pub(crate) struct Pushed<'a> {
    pub target: &'a Target,
    pub push: &'a Push,
    pub image: &'a Target,
    /// Directory of the layout, relative to the workspace.
    pub layout: &'a RelativePath,
    /// The platforms of this run.
    pub platforms: &'a [Platform],
    /// True if these are not all.
    pub is_partial: bool,
}

/// Returns where a push goes.
pub(crate) type Destinations<'a> = dyn Fn(&Analyzer<'_>) -> Analyzed<Vec<ImageReference>> + 'a;

/// A statement of in-toto about the image of a platform that a step of the push makes.
pub(crate) struct StatementOfPush {
    pub node: NodeId,
    /// Its file, relative to the workspace.
    pub place: RelativePath,
    pub platform: Platform,
    /// The type of its predicate.
    pub predicate: &'static str,
}

/// A document that the image makes.
struct OwnDocument {
    node: NodeId,
    place: RelativePath,
    platform: Option<Platform>,
    kind: OwnKind,
    /// The target that makes it.
    of: TargetName,
}

/// What a document is.
#[derive(Clone, Copy)]
enum OwnKind {
    Bill(BillForm),
    /// A statement of in-toto, by the type of its predicate.
    Statement(&'static str),
}

/// What a push attaches of its own.
#[derive(Default)]
pub(crate) struct OwnDocuments {
    pub documents: Vec<DeclaredDocument>,
    /// What cosign's tags hold, with `sign`.
    pub tags: Option<DeclaredTags>,
}

impl OwnDocument {
    fn media_type(&self) -> &'static str {
        match self.kind {
            OwnKind::Bill(form) => form.media_type(),
            OwnKind::Statement(_) => Provenance::MEDIA_TYPE,
        }
    }

    /// Returns its use by a step with these upstream steps.
    fn used(&self, upstream: &mut Vec<NodeId>) -> OutputUse {
        output((self.node, &self.place), &self.of, upstream)
    }
}

fn output((node, place): (NodeId, &RelativePath), of: &TargetName, upstream: &mut Vec<NodeId>) -> OutputUse {
    OutputUse {
        role: OutputRole::Input,
        upstream: vec![index_of(node, upstream)],
        target: of.to_string(),
        place: Some(place.clone()),
        may_be_empty: false,
    }
}

impl Pushed<'_> {
    /// Returns what provenance is attached to: the index (`None`). A runner of some platforms does not know the index that the
    /// name will lead to, so there it is the image of each.
    fn subjects(&self) -> Vec<Option<Platform>> {
        match self.is_partial {
            true => self.platforms.iter().cloned().map(Some).collect(),
            false => vec![None],
        }
    }
}

/// Returns the documents that the image makes and the push attaches.
fn made(analyzer: &Analyzer<'_>, pushed: Pushed<'_>, statements: Vec<StatementOfPush>) -> Analyzed<Vec<OwnDocument>> {
    let mut found = Vec::new();
    let of = &pushed.image.name.value;
    let node = |key: &StepKey| analyzer.graph.find(key).expect("the image makes what its pushes attach");
    for platform in pushed.platforms {
        for form in forms(&pushed.push.sbom) {
            let file = path(&format!("{}{}", platform.directory_name(), form.ending()))?;
            found.push(OwnDocument {
                node: node(&bills_key(pushed.image, platform)),
                place: bills_directory(pushed.layout)?.join(&file),
                platform: Some(platform.clone()),
                kind: OwnKind::Bill(form),
                of: of.clone(),
            });
        }
    }
    for platform in pushed.subjects().into_iter().filter(|_| pushed.push.provenance) {
        found.push(OwnDocument {
            node: node(&provenance_key(pushed.image)),
            place: provenance_file(pushed.layout)?,
            platform,
            kind: OwnKind::Statement(Provenance::PREDICATE),
            of: of.clone(),
        });
    }
    found.extend(statements.into_iter().map(|StatementOfPush { node, place, platform, predicate }| OwnDocument {
        node,
        place,
        platform: Some(platform),
        kind: OwnKind::Statement(predicate),
        of: pushed.target.name.value.clone(),
    }));
    Ok(found)
}

/// Returns what a push attaches of its own; the steps that make it go to `upstream`.
pub(crate) fn own_documents(
    analyzer: &mut Analyzer<'_>,
    pushed: Pushed<'_>,
    (layout, to): (NodeId, &Destinations<'_>),
    statements: Vec<StatementOfPush>,
    upstream: &mut Vec<NodeId>,
) -> Analyzed<OwnDocuments> {
    let made = made(analyzer, pushed, statements)?;
    let mut own = OwnDocuments::default();
    for document in &made {
        let predicate = match document.kind {
            OwnKind::Bill(_) => None,
            OwnKind::Statement(predicate) => Some((PREDICATE.to_owned(), predicate.to_owned())),
        };
        own.documents.push(DeclaredDocument {
            media_type: document.media_type().to_owned(),
            name: None,
            platform: document.platform.clone(),
            origin: DocumentOrigin::Output(document.used(upstream)),
            is_left_out_if_empty: true,
            span: pushed.push.image.span,
            annotations: predicate.into_iter().collect(),
        });
    }
    if let Some(sign) = &pushed.push.sign {
        add_signatures(analyzer, (pushed, sign), &made, (layout, to), (&mut own, upstream))?;
    }
    Ok(own)
}

/// Adds the step that signs, and what is attached of its results.
fn add_signatures(
    analyzer: &mut Analyzer<'_>,
    (pushed, sign): (Pushed<'_>, &Sign),
    made: &[OwnDocument],
    (layout, to): (NodeId, &Destinations<'_>),
    (own, upstream): (&mut OwnDocuments, &mut Vec<NodeId>),
) -> Analyzed<()> {
    let signer = Signer::of(analyzer, sign)?;
    let name = &pushed.target.name.value;
    let mut inputs = vec![layout];
    let signed = signed(pushed, made, &mut inputs);
    let out = path(&format!(".rondel/out/signatures/{name}"))?;
    let step = analyzer.step(&|| {
        let mut repositories: Vec<String> = to(analyzer)?.iter().map(ImageReference::full_repository).collect();
        repositories.sort();
        repositories.dedup();
        Ok(Box::new(PushSignStep {
            signer: Arc::clone(&signer),
            image: pushed.image.name.value.to_string(),
            layout: pushed.layout.clone(),
            repositories,
            signed: signed.clone(),
            out: out.clone(),
        }))
    })?;
    let key = StepKey::of(name, "signatures");
    let node = analyzer.add(pushed.target, key, Deps::default(), inputs, Shown::Never, step);
    let mut bundles = Vec::with_capacity(signed.len());
    for one in signed {
        let bundle = output((node, &out.join(&path(&one.file)?)), name, upstream);
        own.documents.push(document(&one, &bundle, sign, &signer));
        bundles.push((one, bundle));
    }
    let old = output((node, &out.join(&path(OLD)?)), name, upstream);
    own.tags = Some(DeclaredTags { old, signed: bundles });
    Ok(())
}

/// Returns all that is signed: the index, the image of each platform, and each document.
fn signed(pushed: Pushed<'_>, made: &[OwnDocument], inputs: &mut Vec<NodeId>) -> Vec<Signed> {
    let index = (!pushed.is_partial).then_some(None);
    let images = index.into_iter().chain(pushed.platforms.iter().cloned().map(Some));
    let file = |platform: &Option<Platform>| match platform {
        Some(platform) => platform.directory_name(),
        None => "index".to_owned(),
    };
    let images = images.map(|platform| Signed {
        file: format!("{}{BUNDLE}", file(&platform)),
        platform,
        what: SignedContents::Image,
    });
    let mut signed: Vec<Signed> = images.collect();
    for document in made {
        let used = document.used(inputs);
        let name = document.place.file_name();
        // One statement may be about several images. The names of other documents have their platform.
        let of = document.platform.as_ref().map(Platform::directory_name).filter(|of| !name.starts_with(of.as_str()));
        let of = of.map(|of| format!("{of}.")).unwrap_or_default();
        signed.push(Signed {
            file: format!("{of}{name}{BUNDLE}"),
            platform: document.platform.clone(),
            what: match document.kind {
                OwnKind::Bill(form) => SignedContents::Bill(form, used),
                OwnKind::Statement(predicate) => SignedContents::Statement(predicate, used),
            },
        });
    }
    signed
}

/// Returns a bundle as a document. It has its key in its name, so that it takes the place of no signature by another.
fn document(signed: &Signed, bundle: &OutputUse, sign: &Sign, signer: &Signer) -> DeclaredDocument {
    let stem = signed.file.strip_suffix(BUNDLE).unwrap_or(&signed.file);
    let key = signer.fingerprint();
    DeclaredDocument {
        media_type: bundle::MEDIA_TYPE.to_owned(),
        name: Some(format!("{stem}.{}{BUNDLE}", &key[..12])),
        platform: signed.platform.clone(),
        origin: DocumentOrigin::Output(bundle.clone()),
        is_left_out_if_empty: true,
        span: sign.public_key.span,
        annotations: bundle_annotations(signed.what.predicate_type()),
    }
}

/// Returns what the manifest of a bundle around a statement says of it.
pub(crate) fn bundle_annotations(predicate_type: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (BUNDLE_CONTENT.to_owned(), "dsse-envelope".to_owned()),
        (BUNDLE_PREDICATE.to_owned(), predicate_type.to_owned()),
    ])
}
