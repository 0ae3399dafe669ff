//! `ArchiveStep`: the layout of an image becomes one tar file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};

use rondel_buildfile::{Image, Output, OutputReference, Target};
use rondel_cas::RelativePath;
use rondel_engine::{
    ActionSpec, Job, NodeId, OutputKind, OutputSpec, Prepared, Query, Report, Shown, Step, StepError, StepKey,
};
use rondel_oci::ImageArchive;

use crate::analyzer::{Analyzed, Analyzer, path};
use crate::nodes::{Deps, MadeOutput};

/// Role of the step.
const ARCHIVE: &str = "archive";

/// Name of the tar in the staging directory.
const NAME: &str = "image.tar";
/// The files that name all others by their contents, with titles.
const DOCUMENTS: [(&str, &str); 3] =
    [("index.json", "the image"), ("manifest.json", "its manifest for Docker"), ("oci-layout", "its layout")];

pub(crate) struct ArchiveStep {
    /// Directory of the layout, relative to the workspace.
    pub layout: RelativePath,
    /// Place of the archive, relative to the workspace.
    pub archive: RelativePath,
}

impl Step for ArchiveStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let name = RelativePath::new(NAME).expect("a constant");
        let mut spec = ActionSpec {
            arguments: vec!["archive".to_owned()],
            settings: BTreeMap::from([("archive".to_owned(), "oci docker plain-for-docker-1".to_owned())]),
            outputs: vec![OutputSpec { name, destination: self.archive.clone(), kind: OutputKind::File }],
            ..ActionSpec::default()
        };
        for (document, title) in DOCUMENTS {
            let mut artefacts = context.upstream[0].artefacts.iter();
            let found = artefacts.find(|artefact| artefact.name.as_str() == format!("layout/{document}"));
            let found = found
                .ok_or_else(|| StepError::failed("the image's record is incomplete").hint("run again with --force"))?;
            let place = RelativePath::new(document).expect("a constant");
            spec.titles.insert(place.clone(), title.to_owned());
            spec.upstream.insert(place, found.entry.clone());
        }
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let layout = self.layout.below(&context.workspace.root);
        let image = ImageArchive::whole(&layout).map_err(|error| StepError::unreadable(&layout, &error))?;
        let place = context.staging.join(NAME);
        let written = File::create_new(&place).and_then(|file| {
            let mut file = BufWriter::with_capacity(256 * 1024, file);
            image.write(&mut file)?;
            file.flush()
        });
        written.map_err(|error| StepError::unwritable(&place, &error))?;
        Ok(Report::default())
    }
}

/// Returns the places of an image's layout and of its archive, relative to build.ron.
pub(crate) fn places(analyzer: &Analyzer<'_>, target: &Target) -> Analyzed<(RelativePath, Option<RelativePath>)> {
    let outputs = analyzer.request.file.outputs_of(target);
    let place = |output: &Output<'_>| path(&output.path).map_err(|error| error.at(output.span));
    let layout = place(outputs.first().expect("an image has a layout"))?;
    // Documents about the image have places of their own making.
    Ok((layout, outputs.iter().skip(1).find(|output| output.written.is_some()).map(place).transpose()?))
}

/// Adds the step to the graph if the image has an archive.
pub(crate) fn add(analyzer: &mut Analyzer<'_>, target: &Target, layout: NodeId) -> Analyzed<Option<NodeId>> {
    let (directory, Some(archive)) = places(analyzer, target)? else { return Ok(None) };
    let step = Box::new(ArchiveStep { layout: directory, archive });
    let key = StepKey::of(&target.name.value, ARCHIVE);
    Ok(Some(analyzer.add(target, key, Deps::default(), vec![layout], Shown::OnFailure, step)))
}

/// Returns what `Output(…)` in a command names: the layout or a file in it, or with its path as written the archive.
pub(crate) fn made_output(
    analyzer: &mut Analyzer<'_>,
    target: &Target,
    image: &Image,
    reference: &OutputReference,
) -> Analyzed<MadeOutput> {
    let wanted = reference.path.as_deref().map(path).transpose()?;
    let nodes = analyzer.target(&target.name.value, false)?;
    let (layout, archive) = places(analyzer, target)?;
    let written = image.archive.as_deref().map(|archive| path(&archive.value)).transpose()?;
    let made = |node, place, may_be_empty| MadeOutput { nodes: vec![node], place: Some(place), may_be_empty };
    let node = analyzer.graph.find(&StepKey::of(&target.name.value, ARCHIVE));
    Ok(match (wanted, archive.zip(node)) {
        (Some(wanted), Some((place, node))) if Some(&wanted) == written.as_ref() => made(node, place, false),
        (Some(wanted), _) => made(nodes.ends[0], layout.join(&wanted), false),
        (None, _) => made(nodes.ends[0], layout, true),
    })
}
