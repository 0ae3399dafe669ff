//! `Output("target")` in commands: which steps make it, and where it stands.

use rondel_buildfile::{
    BuildFile, CommandEnvironment, InputSource, OutputReference, Platform, Platforms, Target, Text, TextSource, suggest,
};
use rondel_cas::RelativePath;
use rondel_engine::{NodeId, OutputRole, OutputUse, UserError};

use crate::analyzer::{Analyzed, Analyzer, only_output, output_name, path};
use crate::nodes::MadeOutput;

impl Analyzer<'_> {
    /// Returns the uses of outputs in a command, and adds the steps that make them to `nodes`, its upstream.
    pub(crate) fn output_uses(
        &mut self,
        inputs: Option<&[InputSource]>,
        words: &[&Text],
        env: &CommandEnvironment,
        nodes: &mut Vec<NodeId>,
    ) -> Analyzed<Vec<OutputUse>> {
        let mut references: Vec<(&OutputReference, OutputRole)> = Vec::new();
        for input in inputs.unwrap_or_default() {
            if let InputSource::Output(output) = input {
                references.push((output, OutputRole::Input));
            }
        }
        for (position, word) in words.iter().enumerate() {
            if let TextSource::Output(output) = &word.source {
                references.push((output, OutputRole::Argument(position)));
            }
        }
        for (name, text) in env {
            if let TextSource::Output(output) = &text.source {
                references.push((output, OutputRole::Variable(name.value.clone())));
            }
        }
        references.into_iter().map(|(output, role)| self.output_use(output, role, nodes)).collect()
    }

    pub(crate) fn output_use(
        &mut self,
        reference: &OutputReference,
        role: OutputRole,
        nodes: &mut Vec<NodeId>,
    ) -> Analyzed<OutputUse> {
        let target = self.find(&reference.target)?;
        let made = self
            .within(target, |analyzer, kind| kind.made_output(analyzer, target, reference))
            .map_err(|error| error.at(reference.span))?;
        let mut upstream = Vec::with_capacity(made.nodes.len());
        for node in made.nodes {
            let index = nodes.iter().position(|other| *other == node).unwrap_or_else(|| {
                nodes.push(node);
                nodes.len() - 1
            });
            upstream.push(index);
        }
        let target = target.name.value.to_string();
        Ok(OutputUse { role, upstream, target, place: made.place, may_be_empty: made.may_be_empty })
    }

    /// Returns the output of a target of one step, whose outputs are all declared.
    pub(crate) fn declared_output(&mut self, target: &Target, reference: &OutputReference) -> Analyzed<MadeOutput> {
        let (place, may_be_empty) = self.declared_place(target, reference)?;
        let node = self.target(&target.name.value, false)?.ends[0];
        Ok(MadeOutput { nodes: vec![node], place: Some(place), may_be_empty })
    }

    /// Returns the place of a declared output, or of a path in it; and whether it is a whole directory.
    fn declared_place(&self, target: &Target, reference: &OutputReference) -> Analyzed<(RelativePath, bool)> {
        let name = &target.name.value;
        let outputs = self.request.file.outputs_of(target);
        let wanted = reference.path.as_deref().map(path).transpose()?;
        let written = |index: usize| {
            let text = outputs[index].written.map_or(outputs[index].path.as_str(), |written| &written.value);
            RelativePath::new(text).map_or_else(|_| text.to_owned(), |path| path.to_string())
        };
        let names: Vec<String> = (0..outputs.len()).map(written).collect();
        if let ([only], None) = (outputs.as_slice(), &wanted) {
            return Ok((path(&only.path)?, only.is_directory));
        }
        if let ([only], Some(wanted)) = (outputs.as_slice(), &wanted)
            && only.is_directory
        {
            return Ok((path(&only.path)?.join(wanted), false));
        }
        let Some(wanted) = wanted else {
            let all: Vec<String> = names.iter().map(|output| format!("`Output(\"{name}\", \"{output}\")`")).collect();
            return Err(UserError::input(format!("`{name}` has {} outputs, and none is named", outputs.len()))
                .hint(format!("write {}", all.join(" or "))));
        };
        for (output, written) in outputs.iter().zip(&names) {
            if wanted.as_str() == written {
                return Ok((path(&output.path)?, output.is_directory));
            }
            let rest = wanted.as_str().strip_prefix(written.as_str()).and_then(|rest| rest.strip_prefix('/'));
            if let Some(rest) = rest.filter(|_| output.is_directory) {
                return Ok((path(&output.path)?.join(&path(rest)?), false));
            }
        }
        let error = UserError::input(format!("`{name}` declares no output `{wanted}`"));
        Err(match suggest(wanted.as_str(), names.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("its outputs are: {}", names.join(", "))),
        })
    }

    /// Returns the platform whose executables an `Output` names, and the rest of its path. Without the directory of a
    /// platform it is this machine's, where the command runs; or the only one. The options of the command line do not
    /// count: a build for other platforms does not change what a command reads.
    pub(crate) fn output_platform(
        &self,
        own: Option<&Platforms>,
        target: &Target,
        wanted: Option<&RelativePath>,
    ) -> Analyzed<(Platform, Option<RelativePath>)> {
        let name = &target.name.value;
        let host = Platform::new(&format!("{}/{}", Platform::host().os(), Platform::host().architecture())).ok();
        let listed = own.unwrap_or(&self.request.file.platforms);
        let mut declared: Vec<Platform> = listed.iter().map(|platform| platform.value.clone()).collect();
        if declared.is_empty() {
            declared.extend(host.clone());
        }
        if let Some(wanted) = wanted {
            let (first, rest) = wanted.as_str().split_once('/').map_or((wanted.as_str(), None), |(a, b)| (a, Some(b)));
            if let Some(platform) = declared.iter().find(|platform| platform.directory_name() == first) {
                return Ok((platform.clone(), rest.map(path).transpose()?));
            }
            if let (Some(_), Some((os, rest))) = (rest, first.split_once('_'))
                && Platform::new(&format!("{os}/{}", rest.replace('_', "/"))).is_ok()
            {
                let names: Vec<String> = declared.iter().map(Platform::directory_name).collect();
                return Err(UserError::input(format!("`{name}` is not built for `{first}`"))
                    .hint(format!("it is for {}; `platforms` declares more", names.join(", "))));
            }
        }
        let of_host = host.and_then(|host| declared.iter().find(|platform| host.means(platform)).cloned());
        match (of_host, declared.as_slice()) {
            (Some(platform), _) => Ok((platform, wanted.cloned())),
            (None, [only]) => Ok((only.clone(), wanted.cloned())),
            (None, _) => {
                let names: Vec<String> = declared.iter().map(Platform::directory_name).collect();
                Err(UserError::input(format!(
                    "`{name}` is for several platforms, and this machine's is not among them"
                ))
                .hint(format!(
                    "name one: `Output(\"{name}\", \"{}/NAME\")`; it is for {}",
                    names[0],
                    names.join(", ")
                )))
            }
        }
    }
}

/// Returns the name of the only output of `target`, and its place relative to build.ron.
pub(crate) fn named_output(target: &Target, file: &BuildFile) -> Analyzed<(RelativePath, RelativePath)> {
    let place = only_output(target, file)?;
    Ok((output_name(&file.outputs_of(target)[0])?, place))
}
