//! `Template`: a file of the tree with values in place of names.
//!
//! The file is read twice: by analysis, for the targets that it names, and by the step. The key holds its contents and the
//! value of each name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rondel_buildfile::{BuildFile, ImageFact, Span, Target, TargetName, TemplateFile, VariableName, VariableUse};
use rondel_cas::{RelativePath, TEXT_MAX, read_at_most};
use rondel_engine::{
    ActionSpec, Freshness, Job, OutputKind, OutputSpec, Prepared, Query, Report, Shown, Step, StepContext, StepError,
    StepKey, UserError,
};
use rondel_process::Stream;

use crate::analyzer::{Analyze, Analyzed, Analyzer, output_path};
use crate::file_template::{Mistake, Names, Piece};
use crate::image::facts::UpstreamImage;
use crate::image::places::{refuse_outside, with_span};
use crate::late_texts::{LateSources, LateText};
use crate::nodes::{Deps, TargetNodes};
use crate::outputs::named_output;

impl Analyze for TemplateFile {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let from = output_path(&self.from)?;
        refuse_made(analyzer, &from, self.from.span)?;
        let wrong = |error| of_user(with_span(error, self.from.span));
        let text = read(&from, &analyzer.root, &analyzer.request.root).map_err(wrong)?;
        let pieces = names_of(analyzer.request.file, target)
            .parse(&text)
            .map_err(|mistake| of_user(mistaken(&from, mistake, self.from.span)))?;
        let (mut variables, mut facts, mut inputs) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut sources = LateSources::default();
        for piece in pieces {
            match piece {
                Piece::Literal(_) => {}
                Piece::Variable(used) => {
                    analyzer.late_variable(&used.name, &mut sources, &mut inputs)?;
                    variables.push(used);
                }
                Piece::Image(fact) => {
                    // Its own mistakes are none of the file's.
                    analyzer.target(&fact.target, false)?;
                    let image = analyzer.upstream_image(&fact.target, self.from.span, &mut inputs);
                    let image = image.map_err(|error| in_file(error, &from, &text, &fact))?;
                    facts.insert(fact, image);
                }
            }
        }
        if variables.is_empty() && facts.is_empty() {
            let message = format!("`{from}` names nothing that has a value");
            return Err(UserError::input(message)
                .at(self.from.span)
                .hint("write `{name}` for a variable of `vars`, `{target:digest}` or `{target:ref}` for an image"));
        }
        let (name, out) = named_output(target, analyzer.request.file)?;
        let step = analyzer.step(&|| {
            let value = |used: &VariableUse| {
                let value = analyzer.variables.used(used).map_err(|error| error.at(self.from.span))?;
                Ok((used.to_string(), value))
            };
            let (mut known, mut late) = (BTreeMap::new(), BTreeMap::new());
            for used in &variables {
                let text = LateText::of_variable(used, self.from.span, &analyzer.variables, &sources)?;
                match text {
                    Some(text) => drop(late.insert(used.to_string(), text)),
                    None => known.extend([value(used)?]),
                }
            }
            Ok(Box::new(TemplateStep {
                root: analyzer.root.clone(),
                from: from.clone(),
                span: self.from.span,
                name: name.clone(),
                out: out.clone(),
                names: analyzer.request.file.vars.keys().map(ToString::to_string).collect(),
                variables: known,
                late,
                facts: facts.clone(),
            }))
        })?;
        let key = StepKey::main(&target.name.value);
        Ok(TargetNodes::end(analyzer.add(target, key, deps, inputs, Shown::Streamed, step)))
    }

    /// What can't be read has no names; `analyze` says why.
    fn named_in_files(&self, analyzer: &Analyzer<'_>, target: &Target) -> Vec<TargetName> {
        let from = output_path(&self.from).ok();
        let text = from.and_then(|from| read(&from, &analyzer.root, &analyzer.request.root).ok());
        let pieces = text.as_ref().and_then(|text| names_of(analyzer.request.file, target).parse(text).ok());
        let file = analyzer.request.file;
        let targets = pieces.into_iter().flatten().flat_map(|piece| match piece {
            Piece::Image(fact) => vec![fact.target],
            Piece::Variable(used) => {
                file.outputs_of_variable(&used.name).into_iter().map(|output| output.target.clone()).collect()
            }
            Piece::Literal(_) => Vec::new(),
        });
        targets.collect()
    }
}

/// Returns the names that have a value.
fn names_of<'n>(file: &'n BuildFile, target: &'n Target) -> Names<'n> {
    let params = target.common.params.iter().map(|(name, _)| name.value.as_str());
    Names {
        variables: file.vars.keys().map(VariableName::as_str).chain(params).collect(),
        targets: file.targets.iter().map(|target| target.name.value.as_str()).collect(),
    }
}

/// Adds the place in the file to an error about an image that it names.
fn in_file(error: UserError, from: &RelativePath, text: &[u8], fact: &ImageFact) -> UserError {
    let name = fact.to_string();
    let place = text.windows(name.len()).position(|part| part == name.as_bytes()).unwrap_or(0);
    let mistake = Mistake { message: error.message, hint: String::new() }.at(text, place);
    UserError { message: format!("{from}:{}", mistake.message), ..error }
}

/// Refuses what a target makes: the names in a template are read before anything is made.
fn refuse_made(analyzer: &Analyzer<'_>, from: &RelativePath, span: Span) -> Analyzed<()> {
    let Some(target) = analyzer.variables.sources().maker(&from.below(&analyzer.root)) else { return Ok(()) };
    let message = format!("`{from}` is made by `{target}`, and a template is a file of the tree");
    let hint = "its names are read before anything is made; keep the template in the tree";
    Err(UserError::input(message).at(span).hint(hint))
}

pub(crate) struct TemplateStep {
    /// Directory of the project.
    root: PathBuf,
    /// The file, relative to it.
    from: RelativePath,
    /// Place of the file in build.ron.
    span: Span,
    /// Name of the result among the outputs.
    name: RelativePath,
    /// The result, relative to the workspace.
    out: RelativePath,
    /// Values by what stands in the file: `{version}`, `{version|slug}`.
    variables: BTreeMap<String, String>,
    /// Those whose values other targets make.
    late: BTreeMap<String, LateText>,
    /// All variables of build.ron.
    names: Vec<String>,
    facts: BTreeMap<ImageFact, UpstreamImage>,
}

impl TemplateStep {
    /// Returns the values of the names, as they stand in the file.
    fn values(&self, context: &StepContext<'_>) -> Result<BTreeMap<String, String>, StepError> {
        let mut values = self.variables.clone();
        for (name, text) in &self.late {
            values.insert(name.clone(), text.resolve(context)?);
        }
        for (fact, image) in &self.facts {
            let value = image.value(fact, context).map_err(|error| with_span(error, self.span))?;
            values.insert(fact.to_string(), value);
        }
        Ok(values)
    }

    /// Returns the file with values in place of names.
    fn filled(&self, text: &[u8], values: &BTreeMap<String, String>) -> Result<Vec<u8>, StepError> {
        let names = Names {
            variables: self.names.iter().map(String::as_str).collect(),
            targets: self.facts.keys().map(|fact| fact.target.as_str()).collect(),
        };
        let mut filled = Vec::with_capacity(text.len());
        for piece in names.parse(text).map_err(|mistake| mistaken(&self.from, mistake, self.span))? {
            let name = match piece {
                Piece::Literal(text) => {
                    filled.extend_from_slice(text);
                    continue;
                }
                Piece::Variable(used) => used.to_string(),
                Piece::Image(fact) => fact.to_string(),
            };
            let value = values.get(&name).ok_or_else(|| {
                StepError::failed(format!("`{}` was edited meanwhile: it names `{name}` now", self.from))
                    .hint("run again")
            })?;
            filled.extend_from_slice(value.as_bytes());
        }
        Ok(filled)
    }
}

impl Step for TemplateStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let name = self.name.clone();
        let mut spec = ActionSpec {
            arguments: vec!["template".to_owned()],
            settings: self.values(context)?,
            outputs: vec![OutputSpec { name, destination: self.out.clone(), kind: OutputKind::File }],
            ..ActionSpec::default()
        };
        spec.inputs.add(self.from.clone(), self.from.below(&self.root), &context.workspace.snapshot)?;
        let freshness = Freshness::of(&spec.inputs);
        Ok(Prepared { spec, freshness, findings: () })
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let text = read(&self.from, &self.root, &context.workspace.root)?;
        let filled = self.filled(&text, &self.values(context)?)?;
        let place = self.name.below(context.staging);
        fs::create_dir_all(place.parent().unwrap_or(context.staging))
            .and_then(|()| fs::write(&place, filled))
            .and_then(|()| fs::set_permissions(&place, fs::metadata(self.from.below(&self.root))?.permissions()))
            .map_err(|error| StepError::unwritable(&place, &error))?;
        for (name, _) in self.variables.iter().filter(|(_, value)| value.is_empty()) {
            context.output(Stream::Stderr, &format!("warning: `{name}` in `{}` is empty", self.from));
        }
        Ok(Report::default())
    }
}

/// Reads a template, which is in the workspace.
fn read(from: &RelativePath, root: &Path, workspace: &Path) -> Result<Vec<u8>, StepError> {
    let place = from.below(root);
    let unreadable = |error: std::io::Error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "it is not there".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        StepError::input(format!("failed to read the template `{from}`: {why}"))
            .hint("`from` is the path of a file, relative to `root`")
    };
    let real = fs::canonicalize(&place).map_err(unreadable)?;
    refuse_outside(from, &real, &fs::canonicalize(workspace).map_err(unreadable)?)?;
    read_at_most(&real, TEXT_MAX).map_err(unreadable)
}

fn mistaken(from: &RelativePath, mistake: Mistake, span: Span) -> StepError {
    StepError::User(UserError::input(format!("{from}:{}", mistake.message)).hint(mistake.hint).at(span))
}

/// Returns the error of analysis.
fn of_user(error: StepError) -> UserError {
    match error {
        StepError::User(error) => error,
        StepError::Command { .. } | StepError::Foreground { .. } | StepError::Interrupted => {
            UserError::input(error.to_string())
        }
    }
}
