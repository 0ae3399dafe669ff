//! Texts that name images (`{image:digest}`): they are whole once the step that uses them is prepared.

use rondel_buildfile::{CommandEnvironment, ImageFact, Part, Span, Text, TextSource};
use rondel_engine::{Class, Environment, StepContext, StepError, UserError};

use crate::analyzer::Analyzed;
use crate::image::facts::{Images, UpstreamImage};
use crate::image::places::with_span;
use crate::variables::Variables;

/// The words and variables of a command that name images.
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
        images: &Images,
    ) -> Analyzed<LateTexts> {
        let mut late = LateTexts::default();
        for (position, word) in words.iter().enumerate() {
            late.words.extend(LateText::new(word, known, images)?.map(|text| (position, text)));
        }
        for (name, text) in env {
            late.variables.extend(LateText::new(text, known, images)?.map(|text| (name.value.clone(), text)));
        }
        Ok(late)
    }

    /// Refuses such a text as a program.
    pub fn without_program(self) -> Analyzed<LateTexts> {
        match self.words.iter().find(|(position, _)| *position == 0) {
            Some((_, text)) => Err(UserError::input("an image is no program").at(text.span)),
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
}

impl LateText {
    /// Evaluates what is known of a text at analysis; `None` if it names no image.
    pub fn new(text: &Text, variables: &Variables<'_>, images: &Images) -> Analyzed<Option<LateText>> {
        let TextSource::Template(template) = &text.source else { return Ok(None) };
        if template.images().next().is_none() {
            return Ok(None);
        }
        let mut parts = Vec::with_capacity(template.parts.len());
        for part in &template.parts {
            parts.push(match part {
                Part::Literal(text) => LatePart::Known(text.clone()),
                Part::Variable(used) => LatePart::Known(variables.used(used).map_err(|error| error.at(text.span))?),
                Part::Image(fact) => {
                    let image = images
                        .get(&fact.target)
                        .ok_or_else(|| UserError::input(format!("`{fact}` is not known here")).at(text.span))?;
                    LatePart::Image(image.clone(), fact.clone())
                }
            });
        }
        Ok(Some(LateText { parts, span: text.span }))
    }

    /// Returns the whole text.
    pub fn resolve(&self, context: &StepContext<'_>) -> Result<String, StepError> {
        let mut whole = String::new();
        for part in &self.parts {
            match part {
                LatePart::Known(text) => whole.push_str(text),
                LatePart::Image(image, fact) => {
                    whole.push_str(&image.value(fact, context).map_err(|error| with_span(error, self.span))?);
                }
            }
        }
        Ok(whole)
    }
}
