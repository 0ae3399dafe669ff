//! Texts with `{image:digest}`, or with a variable whose value a target makes: they are whole once the step that uses them
//! is prepared.

use std::collections::BTreeMap;

use rondel_buildfile::{
    CommandEnvironment, ImageFact, Part, Span, Template, Text, TextSource, VariableName, VariableUse,
};
use rondel_cas::SMALL_MAX;
use rondel_engine::{Class, Environment, NodeId, OutputRole, OutputUse, StepContext, StepError, UserError};

use crate::analyzer::{Analyzed, Analyzer};
use crate::image::facts::{Images, UpstreamImage};
use crate::image::places::with_span;
use crate::source_files::only_line;
use crate::variables::Variables;

/// What late texts are made of: images and outputs among the upstream results of a step.
#[derive(Clone, Debug, Default)]
pub(crate) struct LateSources {
    pub images: Images,
    /// By the variable that is the text of it.
    pub outputs: BTreeMap<VariableName, OutputUse>,
}

impl Analyzer<'_> {
    /// Returns what `texts` name, and adds the steps that make it to `nodes`, the upstream of their user.
    pub(crate) fn late_sources<'t>(
        &mut self,
        texts: impl IntoIterator<Item = &'t Text>,
        nodes: &mut Vec<NodeId>,
    ) -> Analyzed<LateSources> {
        let texts: Vec<&Text> = texts.into_iter().collect();
        let images = self.images_in(texts.iter().copied(), nodes)?;
        let mut sources = LateSources { images, outputs: BTreeMap::new() };
        for text in texts {
            for name in text.variables() {
                self.late_variable(name, &mut sources, nodes)?;
            }
        }
        Ok(sources)
    }

    /// Adds the outputs that decide the value of a variable, if it is known only when they are made.
    pub(crate) fn late_variable(
        &mut self,
        name: &VariableName,
        sources: &mut LateSources,
        nodes: &mut Vec<NodeId>,
    ) -> Analyzed<()> {
        if !self.variables.is_late(name) || sources.outputs.contains_key(name) {
            return Ok(());
        }
        let text = self.variables.declared(name);
        if let TextSource::Output(output) = &text.source {
            let made = self.output_use(output, OutputRole::Input, nodes)?;
            sources.outputs.insert(name.clone(), made);
        }
        text.variables().into_iter().try_for_each(|name| self.late_variable(name, sources, nodes))
    }
}

/// The words and variables of a command that are late.
#[derive(Clone, Debug, Default)]
pub(crate) struct LateTexts {
    /// By position.
    words: Vec<(usize, LateText)>,
    /// By name.
    variables: Vec<(String, LateText)>,
}

impl LateTexts {
    /// The word that stands for such a text until it is whole.
    pub const PLACEHOLDER: &'static str = "{image}";

    /// Evaluates what is known at analysis.
    pub fn new(
        words: &[&Text],
        env: &CommandEnvironment,
        known: &Variables<'_>,
        sources: &LateSources,
    ) -> Analyzed<LateTexts> {
        let mut late = LateTexts::default();
        for (position, word) in words.iter().enumerate() {
            late.words.extend(LateText::new(word, known, sources)?.map(|text| (position, text)));
        }
        for (name, text) in env {
            late.variables.extend(LateText::new(text, known, sources)?.map(|text| (name.value.clone(), text)));
        }
        Ok(late)
    }

    /// Refuses such a text as a program.
    pub fn without_program(self) -> Analyzed<LateTexts> {
        match self.words.iter().find(|(position, _)| *position == 0) {
            Some((_, text)) => {
                let message = match text.parts.iter().any(|part| matches!(part, LatePart::Image(..))) {
                    true => "an image is no program",
                    false => "what a target makes is known too late for the name of a program",
                };
                Err(UserError::input(message).at(text.span))
            }
            None => Ok(self),
        }
    }

    /// Puts the words in their places.
    pub fn put_words(&self, words: &mut [String], context: &StepContext<'_>) -> Result<(), StepError> {
        for (position, text) in &self.words {
            words[*position] = text.resolve(context)?;
        }
        Ok(())
    }

    /// Adds the variables.
    pub fn put_variables(&self, environment: &mut Environment, context: &StepContext<'_>) -> Result<(), StepError> {
        for (name, text) in &self.variables {
            environment.set(Class::Keyed, name, text.resolve(context)?);
        }
        Ok(())
    }
}

/// A text that is whole once its step is prepared.
#[derive(Clone, Debug)]
pub(crate) struct LateText {
    parts: Vec<LatePart>,
    span: Span,
}

#[derive(Clone, Debug)]
enum LatePart {
    Known(String),
    Image(UpstreamImage, ImageFact),
    /// A variable that is a text of others, filtered.
    Template(VariableUse, Vec<LatePart>),
    /// A variable that is the line of an output, filtered.
    Output(VariableUse, OutputUse),
}

impl LateText {
    /// Evaluates what is known of a text at analysis; `None` if all of it is.
    pub fn new(text: &Text, variables: &Variables<'_>, sources: &LateSources) -> Analyzed<Option<LateText>> {
        let TextSource::Template(template) = &text.source else { return Ok(None) };
        if !variables.is_late_text(text) {
            return Ok(None);
        }
        let parts = parts(template, variables, sources).map_err(|error| error.at(text.span))?;
        Ok(Some(LateText { parts, span: text.span }))
    }

    /// Does the same for a variable, which stands at `span`.
    pub fn of_variable(
        used: &VariableUse,
        span: Span,
        variables: &Variables<'_>,
        sources: &LateSources,
    ) -> Analyzed<Option<LateText>> {
        if !variables.is_late(&used.name) {
            return Ok(None);
        }
        let template = Template { parts: vec![Part::Variable(used.clone())] };
        Ok(Some(LateText { parts: parts(&template, variables, sources).map_err(|error| error.at(span))?, span }))
    }

    /// Returns the whole text.
    pub fn resolve(&self, context: &StepContext<'_>) -> Result<String, StepError> {
        whole(&self.parts, context).map_err(|error| with_span(error, self.span))
    }
}

fn parts(template: &Template, variables: &Variables<'_>, sources: &LateSources) -> Analyzed<Vec<LatePart>> {
    let part = |part: &Part| match part {
        Part::Literal(text) => Ok(LatePart::Known(text.clone())),
        Part::Variable(used) if variables.is_late(&used.name) => {
            let unknown = || UserError::input(format!("`{used}` is not known here"));
            match &variables.declared(&used.name).source {
                TextSource::Template(template) => {
                    Ok(LatePart::Template(used.clone(), parts(template, variables, sources)?))
                }
                _ => {
                    let output = sources.outputs.get(&used.name).ok_or_else(unknown)?;
                    Ok(LatePart::Output(used.clone(), output.clone()))
                }
            }
        }
        Part::Variable(used) => variables.used(used).map(LatePart::Known),
        Part::Image(fact) => {
            let unknown = || UserError::input(format!("`{fact}` is not known here"));
            let image = sources.images.get(&fact.target).ok_or_else(unknown)?;
            Ok(LatePart::Image(image.clone(), fact.clone()))
        }
    };
    template.parts.iter().map(part).collect()
}

fn whole(parts: &[LatePart], context: &StepContext<'_>) -> Result<String, StepError> {
    let mut whole_text = String::new();
    for part in parts {
        match part {
            LatePart::Known(text) => whole_text.push_str(text),
            LatePart::Image(image, fact) => whole_text.push_str(&image.value(fact, context)?),
            LatePart::Template(used, parts) => whole_text.push_str(&filtered(used, whole(parts, context)?)?),
            LatePart::Output(used, output) => {
                let place = format!("the output of `{}`", output.target);
                let contents = String::from_utf8(output.contents(context, SMALL_MAX)?)
                    .map_err(|_| StepError::input(format!("{place} is not text")))?;
                let line = only_line(&contents).map_err(|lines| {
                    StepError::input(format!("{place} has {lines} lines, and a variable is one"))
                        .hint("let the target write the value alone into a file")
                })?;
                if line.contains('\0') {
                    return Err(StepError::input(format!("{place} holds a NUL")));
                }
                whole_text.push_str(&filtered(used, line.to_owned())?);
            }
        }
    }
    Ok(whole_text)
}

fn filtered(used: &VariableUse, value: String) -> Result<String, StepError> {
    used.apply(Some(value)).map(Option::unwrap_or_default).map_err(StepError::input)
}
