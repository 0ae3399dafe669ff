//! Facts of images that other targets made: digest and names, read from the results of upstream steps.
//!
//! A fact is in a key by its value, never by the target's name: another image runs the step again, and the same one does
//! not.

use std::collections::BTreeMap;

use rondel_buildfile::{ImageFact, ImageQuery, Span, TargetName, Text};
use rondel_engine::{NodeId, StepContext, StepError, UserError};
use rondel_names::ImageName;

use crate::analyzer::{Analyzed, Analyzer};
use crate::image::metadata::image_of;
use crate::nodes::ImageIdentity;
use crate::push::PushMetadata;

/// The image of a target, among the upstream results of a step.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamImage {
    /// The target, for messages.
    pub target: TargetName,
    identity: ImageIdentity,
    /// Index into the upstream results.
    upstream: usize,
}

/// What is known of an image once it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Digest of the index, `sha256:…`: what a registry gives the image too.
    pub digest: String,
    /// The names by which it is found, each once. The first one is that of `ref`.
    pub names: Vec<FoundName>,
}

/// A name by which an image is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundName {
    /// The name, without tag and digest.
    pub name: String,
    pub tag: String,
    /// What is there, `sha256:…`: with images of other platforms that were there before, the digest is another one.
    pub digest: String,
}

impl Facts {
    fn new(digest: &str, tags: &[String]) -> Option<Facts> {
        let found = tags.iter().map(|tag| FoundName::new(tag, digest));
        Some(Facts { digest: digest.to_owned(), names: each_once(found.collect::<Option<_>>()?) })
    }

    fn pushed(references: &[String]) -> Option<Facts> {
        let found = references.iter().map(|reference| {
            let (name, digest) = reference.split_once('@')?;
            FoundName::new(name, digest)
        });
        let names = each_once(found.collect::<Option<_>>()?);
        Some(Facts { digest: names.first()?.digest.clone(), names })
    }
}

impl FoundName {
    fn new(name: &str, digest: &str) -> Option<FoundName> {
        let name = ImageName::new(name).ok()?;
        let (name, tag) = (name.repository().to_owned(), name.tag().to_owned());
        Some(FoundName { name, tag, digest: digest.to_owned() })
    }

    /// Returns the name with the digest. A tag is left out: it says less than the digest, and some programs refuse a
    /// reference with both.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.digest)
    }
}

fn each_once(names: Vec<FoundName>) -> Vec<FoundName> {
    let mut found: Vec<FoundName> = Vec::new();
    for name in names {
        if !found.iter().any(|known| (&known.name, &known.tag) == (&name.name, &name.tag)) {
            found.push(name);
        }
    }
    found
}

impl UpstreamImage {
    /// Returns what the upstream step found out.
    pub fn facts(&self, context: &StepContext<'_>) -> Result<Facts, StepError> {
        let unknown = || {
            StepError::failed(format!("the record of `{}` is incomplete", self.target)).hint("run again with --force")
        };
        let facts = match self.identity {
            ImageIdentity::Layout(_) => {
                let image = image_of(context, self.upstream).filter(|image| !image.digest.is_empty());
                image.and_then(|image| Facts::new(&image.digest, &image.tags))
            }
            ImageIdentity::Push { .. } => {
                let upstream = context.upstream.get(self.upstream);
                let pushed: Option<PushMetadata> = upstream.and_then(|upstream| upstream.metadata.get());
                pushed.and_then(|pushed| Facts::pushed(&pushed.references))
            }
        };
        facts.ok_or_else(unknown)
    }

    /// Returns the image that is pushed, if this is a push; adds its step to `nodes`.
    pub fn layout_of_push(&self, nodes: &mut Vec<NodeId>) -> Option<UpstreamImage> {
        match self.identity {
            ImageIdentity::Layout(_) => None,
            ImageIdentity::Push { layout, .. } => Some(UpstreamImage {
                target: self.target.clone(),
                identity: ImageIdentity::Layout(layout),
                upstream: index_of(layout, nodes),
            }),
        }
    }

    /// Returns the value of `fact`, which is about this image.
    pub fn value(&self, fact: &ImageFact, context: &StepContext<'_>) -> Result<String, StepError> {
        let facts = self.facts(context)?;
        match (fact.query, facts.names.first()) {
            (ImageQuery::Digest, _) => Ok(facts.digest),
            (ImageQuery::Reference, Some(name)) => Ok(name.reference()),
            (ImageQuery::Reference, None) => {
                Err(StepError::input(format!("`{fact}`: `{}` has no `tags`, so nothing refers to it", fact.target))
                    .hint(format!("give it a name with `tags`, or write `{{{}:digest}}`", fact.target)))
            }
        }
    }
}

/// Returns the index of `node` among `nodes`, to which it is added if it is not there.
pub(crate) fn index_of(node: NodeId, nodes: &mut Vec<NodeId>) -> usize {
    nodes.iter().position(|other| *other == node).unwrap_or_else(|| {
        nodes.push(node);
        nodes.len() - 1
    })
}

/// The images that a target names, by their targets.
pub(crate) type Images = BTreeMap<TargetName, UpstreamImage>;

impl Analyzer<'_> {
    /// Returns the image of the target `name`, and adds the step that knows it to `nodes`, the upstream of its user.
    pub(crate) fn upstream_image(
        &mut self,
        name: &TargetName,
        span: Span,
        nodes: &mut Vec<NodeId>,
    ) -> Analyzed<UpstreamImage> {
        let made = self.target(name, false)?;
        let Some(identity) = made.identity() else {
            let error = UserError::input(format!("`{name}` makes no image with a digest")).at(span);
            return Err(match made.image {
                Some(_) => error.hint("an image that only Docker has gets a digest when it is pushed"),
                None => error.hint("name an `Image`"),
            });
        };
        let node = identity.step();
        let upstream = index_of(node, nodes);
        Ok(UpstreamImage { target: name.clone(), identity, upstream })
    }

    /// Returns the images that `texts` name.
    pub(crate) fn images_in<'t>(
        &mut self,
        texts: impl IntoIterator<Item = &'t Text>,
        nodes: &mut Vec<NodeId>,
    ) -> Analyzed<Images> {
        let mut images = Images::new();
        for text in texts {
            for fact in text.images() {
                if !images.contains_key(&fact.target) {
                    let image = self.upstream_image(&fact.target, text.span, nodes)?;
                    images.insert(fact.target.clone(), image);
                }
            }
        }
        Ok(images)
    }
}
