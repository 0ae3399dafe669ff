//! `ImageProvenanceStep`: what an image was made from, as an in-toto statement about its index and the manifest of each
//! platform. It stands beside the layout, so that the image's digest does not depend on it.

use rondel_cas::{Digest, RelativePath};
use rondel_engine::{Job, Prepared, Query, Report, Step, StepContext, StepError};
use rondel_evidence::{Material, Subject};
use rondel_oci::{Descriptor, DocumentPlatform};

use super::recipe::Recipe;
use crate::base::ImageView;
use crate::image::metadata::image_of;
use crate::push::read_index;

pub(crate) struct ImageProvenanceStep {
    pub recipe: Recipe,
    /// Name of the target.
    pub name: String,
    /// The layout, relative to the workspace; its step is the first upstream one.
    pub layout: RelativePath,
    /// The bases.
    pub bases: Vec<BaseMaterial>,
    /// Number of upstream steps before those of bills; the layout and what it was made from.
    pub before_bills: usize,
}

/// A base for one platform.
#[derive(Clone)]
pub(crate) struct BaseMaterial {
    /// The upstream step that it is the result of.
    pub upstream: usize,
    /// As build.ron names it.
    pub name: String,
    pub platform: String,
}

impl ImageProvenanceStep {
    /// Returns the index with its entries.
    fn index(&self, context: &StepContext<'_>) -> Result<(Digest, Vec<Descriptor>), StepError> {
        let wrong = |error: String| {
            StepError::failed(format!("`{}` is no sound layout: {error}", self.layout)).hint("run again with --force")
        };
        let image = image_of(context, 0).ok_or_else(|| wrong("its record is incomplete".to_owned()))?;
        let layout = self.layout.below(&context.workspace.root);
        let (digest, _, entries) = read_index(&layout, &image.digest).map_err(wrong)?;
        Ok((digest, entries))
    }
}

fn words(platform: &DocumentPlatform) -> String {
    let variant = platform.variant.iter();
    [&platform.os, &platform.architecture].into_iter().chain(variant).map(String::as_str).collect::<Vec<_>>().join("/")
}

impl Step for ImageProvenanceStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let mut spec = self.recipe.action(context)?;
        spec.settings.insert("image".to_owned(), self.name.clone());
        let image = image_of(context, 0).map(|image| image.digest).unwrap_or_default();
        spec.settings.insert("index".to_owned(), image);
        for base in &self.bases {
            let place = RelativePath::new(&format!("bases/{}", base.upstream));
            let place = place.map_err(|error| StepError::failed(error.to_string()))?;
            spec.settings.insert(format!("base {} {}", base.platform, base.upstream), base.name.clone());
            spec.upstream.insert(place, ImageView::of(base.upstream, context)?.manifest_entry());
        }
        self.recipe.add_made(&mut spec, context, self.before_bills)?;
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let mut provenance = self.recipe.provenance(prepared, context, self.before_bills)?;
        let (digest, entries) = self.index(context)?;
        provenance.subjects.push(Subject { name: self.name.clone(), digest });
        for entry in entries {
            let platform = entry.platform.as_ref().map(words).unwrap_or_default();
            provenance.subjects.push(Subject { name: format!("{} ({platform})", self.name), digest: entry.digest });
        }
        for base in &self.bases {
            let digest = ImageView::of(base.upstream, context)?.read()?.0;
            let mut material = Material::file(&base.name, &digest);
            material.annotations.insert("platform".to_owned(), base.platform.clone());
            provenance.materials.push(material);
        }
        self.recipe.write(&provenance, context.staging)?;
        Ok(Report::default())
    }
}
