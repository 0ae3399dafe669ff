//! `Push`: the OCI layout of another target goes to registries.

use std::collections::BTreeMap;

use rondel_buildfile::{DESTINATION_HINT, DocumentSource, Push, Span, Target, destination};
use rondel_engine::{NodeId, OutputRole, Shown, StepKey, UserError};
use rondel_names::ImageReference;

use crate::analyzer::{Analyze, Analyzed, Analyzer, only_output, path};
use crate::nodes::{Deps, HeldStep, ImageIdentity, ImageSource, Program, TargetNodes};
use crate::policy::{Subject, add_policy, add_vulnerabilities_of_image};
use crate::push::{DeclaredDocument, DocumentOrigin, PushStep, Pushed, RefsStep, own_documents};
use crate::release::check_publishing;
use crate::source_files::SourceFiles;
use crate::tag_texts::{tag_text, wrong_tag};

impl Analyze for Push {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let name = &target.name.value;
        check_publishing(analyzer.request.version_mode, target.name.span)?;
        let Some(ImageSource::Layout { layout, out }) = analyzer.target(&self.image.value, false)?.image else {
            let message = format!("`{}` makes no OCI layout", self.image.value);
            return Err(UserError::input(message).at(self.image.span));
        };
        let image = analyzer.find(&self.image.value)?;
        let declared_platforms = image.kind().platforms();
        let declared = declared_platforms.unwrap_or(&analyzer.request.file.platforms).len().max(1);
        let platforms = analyzer.platforms(declared_platforms, image, true)?;
        let is_partial = platforms.len() < declared;
        for (to, span) in destinations(self, analyzer)? {
            if let Some(other) = analyzer.pushed.insert(to.clone(), name.clone()).filter(|other| other != name) {
                let message = format!("`{name}` and `{other}` both push `{to}`");
                return Err(UserError::input(message).at(span).hint("give one of them another tag"));
            }
        }
        let mut upstream = vec![layout];
        let mut documents = documents(self, analyzer, image, &mut upstream)?;
        let pushed = Pushed { target, push: self, image, layout: &out, platforms: &platforms, is_partial };
        let to = |analyzer: &Analyzer<'_>| -> Analyzed<Vec<ImageReference>> {
            Ok(destinations(self, analyzer)?.into_iter().map(|(to, _)| to).collect())
        };
        let statements = add_vulnerabilities_of_image(analyzer, pushed, (layout, &to))?;
        let own = own_documents(analyzer, pushed, (layout, &to), statements, &mut upstream)?;
        documents.extend(own.documents);
        // Signatures follow from what is signed, and are the push's own: nobody can build them a second time without pushing.
        let is_made = |node: &NodeId| analyzer.graph.node(*node).key.target.as_ref() != Some(name);
        let made: Vec<NodeId> = upstream.iter().copied().filter(is_made).collect();
        let files = documents.iter().filter_map(DeclaredDocument::file).cloned().collect();
        let subject = Subject { target, made: made.clone(), files, image: Some((image, &platforms)) };
        let rules = add_policy(analyzer, self.policy.as_ref(), &subject)?;
        let deps = Deps { order_only: [deps.order_only, rules].concat(), ..deps };
        let (registries, offline) = (analyzer.registries(), analyzer.request.offline);
        let step = analyzer.step(&|| {
            Ok(Box::new(PushStep {
                registries: registries.clone(),
                layout: out.clone(),
                to: to(analyzer)?,
                is_partial,
                offline,
                documents: documents.clone(),
                tags: own.tags.clone(),
            }))
        })?;
        let push = analyzer.add(target, StepKey::main(name), deps, upstream, Shown::OnFailure, step);
        if self.policy.as_ref().is_some_and(|policy| policy.value.verified) {
            analyzer.held.push(HeldStep { target: name.clone(), step: push, made });
        }
        let pushed = Some(ImageIdentity::Push { push, layout });
        if self.refs.is_none() {
            return Ok(TargetNodes { pushed, ..TargetNodes::end(push) });
        }
        let step = RefsStep { destination: only_output(target, analyzer.request.file)? };
        let (key, none) = (StepKey::of(name, "refs"), Deps::default());
        let refs = analyzer.add(target, key, none, vec![push], Shown::OnFailure, Box::new(step));
        Ok(TargetNodes { pushed, ..TargetNodes::ends(vec![push, refs]) })
    }

    fn programs(
        &self,
        analyzer: &mut Analyzer<'_>,
        _target: &Target,
        nodes: &mut Vec<NodeId>,
    ) -> Analyzed<Vec<Program>> {
        let image = analyzer.find(&self.image.value)?;
        analyzer.within(image, |analyzer, kind| kind.programs(analyzer, image, nodes))
    }

    fn wants_all_platforms(&self) -> bool {
        true
    }
}

/// Returns the documents that are attached; the steps that make them go to `upstream`.
fn documents(
    push: &Push,
    analyzer: &mut Analyzer<'_>,
    image: &Target,
    upstream: &mut Vec<NodeId>,
) -> Analyzed<Vec<DeclaredDocument>> {
    let mut found = Vec::with_capacity(push.attach.len());
    for attachment in &push.attach {
        let declared = image.kind().platforms().unwrap_or(&analyzer.request.file.platforms);
        let platform = attachment.platform.as_ref();
        if let Some(unknown) = platform.filter(|own| declared.iter().all(|other| other.value != own.value)) {
            let names: Vec<String> = declared.iter().map(|platform| platform.value.to_string()).collect();
            let message = format!("`{}` is not made for {}", image.name.value, unknown.value);
            let hint = match names.is_empty() {
                true => format!("declare it: `platforms: [\"{}\"]`", unknown.value),
                false => format!("it is for {}", names.join(", ")),
            };
            return Err(UserError::input(message).at(unknown.span).hint(hint));
        }
        let (origin, span) = match &attachment.file {
            DocumentSource::File(file) => {
                let files = SourceFiles::new(analyzer.request.file, &analyzer.request.root);
                if let Some(maker) = files.maker_of(&file.value) {
                    let message = format!("`{}` is made by `{maker}`, and `File` is for files of the tree", file.value);
                    let hint = format!("write `Output(\"{maker}\")`, which then runs first");
                    return Err(UserError::input(message).at(file.span).hint(hint));
                }
                let (path, root) = (path(&file.value)?, analyzer.root.clone());
                (DocumentOrigin::File { path, root }, file.span)
            }
            DocumentSource::Output(output) => {
                let made = analyzer.output_use(output, OutputRole::Input, upstream)?;
                (DocumentOrigin::Output(made), output.span)
            }
        };
        found.push(DeclaredDocument {
            media_type: attachment.r#type.as_str().to_owned(),
            name: attachment.name.as_ref().map(|name| name.as_str().to_owned()),
            platform: platform.map(|platform| platform.value.clone()),
            origin,
            is_left_out_if_empty: false,
            span,
            annotations: BTreeMap::new(),
        });
    }
    Ok(found)
}

/// Where the image goes, each place once.
pub(crate) fn destinations(push: &Push, analyzer: &Analyzer<'_>) -> Analyzed<Vec<(ImageReference, Span)>> {
    let mut found: Vec<(ImageReference, Span)> = Vec::new();
    for text in &push.to {
        let value = tag_text(text, &analyzer.variables)?;
        let to = destination(&value);
        let to = to.map_err(|error| wrong_destination(&value, error).at(text.span))?;
        if found.iter().all(|(other, _)| *other != to) {
            found.push((to, text.span));
        }
    }
    Ok(found)
}

fn wrong_destination(value: &str, message: String) -> UserError {
    let error = wrong_tag(value, message);
    if error.hint.is_some() { error } else { error.hint(DESTINATION_HINT) }
}
