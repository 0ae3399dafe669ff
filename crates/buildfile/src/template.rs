//! `Template`: text with `{variables}`, their filters, and facts of images (`{image:digest}`) in it. `{{` and `}}` are braces.

use std::fmt;

use crate::filter::VariableUse;
use crate::{TargetName, VariableName, suggest};

/// Literal text and variables, in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Template {
    /// The parts; neighbouring literals are joined.
    pub parts: Vec<Part>,
}

/// One part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Verbatim.
    Literal(String),
    /// The value of a variable, filtered.
    Variable(VariableUse),
    /// What is known of an image once it is made.
    Image(ImageFact),
}

/// `{image:digest}`: what is known of the image of a target once that is made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageFact {
    /// The target.
    pub target: TargetName,
    /// What is wanted of its image.
    pub query: ImageQuery,
}

/// The queries of `{target:…}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageQuery {
    /// `digest`: that of the index, `sha256:…`.
    Digest,
    /// `ref`: the name with the digest, `registry/name@sha256:…`.
    Reference,
}

const QUERIES: &[(&str, ImageQuery)] = &[("digest", ImageQuery::Digest), ("ref", ImageQuery::Reference)];

impl ImageFact {
    /// Reads `target:query`; `None` if there is no colon. The error states the mistake.
    pub fn parse(text: &str) -> Option<Result<ImageFact, String>> {
        let (target, word) = text.split_once(':')?;
        Some(TargetName::new(target).map_err(|error| error.to_string()).and_then(|target| {
            let query = QUERIES.iter().find(|(name, _)| *name == word).map(|(_, query)| *query);
            let wrong = || {
                let near = suggest(word, QUERIES.iter().map(|(name, _)| *name));
                let near = near.map(|near| format!("; did you mean `{{{target}:{near}}}`?")).unwrap_or_default();
                format!("`{{{}}}`: an image has `digest` and `ref`{near}", text.escape_debug())
            };
            query.ok_or_else(wrong).map(|query| ImageFact { target: target.clone(), query })
        }))
    }
}

impl fmt::Display for ImageFact {
    /// Writes it as in a template.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.query {
            ImageQuery::Digest => "digest",
            ImageQuery::Reference => "ref",
        };
        write!(formatter, "{{{}:{word}}}", self.target)
    }
}

impl Template {
    /// Reads a template; the error states the mistake.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(index) = rest.find(['{', '}']) {
            literal.push_str(&rest[..index]);
            let brace = &rest[index..=index];
            rest = &rest[index + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
            } else if brace == "}" {
                return Err("a `}` without its `{`; write `}}` for a brace".to_owned());
            } else {
                let end = rest.find('}').ok_or("a `{` without its `}`; write `{{` for a brace")?;
                let name = &rest[..end];
                // The argument of a filter may have a colon.
                let fact = if name.contains('|') { None } else { ImageFact::parse(name) };
                let part = match fact {
                    Some(fact) => Part::Image(fact?),
                    None => Part::Variable(VariableUse::parse(name)?),
                };
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(part);
                rest = &rest[end + 1..];
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Template { parts })
    }

    /// Returns its variables.
    pub fn variables(&self) -> impl Iterator<Item = &VariableName> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(used) => Some(&used.name),
            Part::Literal(_) | Part::Image(_) => None,
        })
    }

    /// Returns the facts of images that it names.
    pub fn images(&self) -> impl Iterator<Item = &ImageFact> {
        self.parts.iter().filter_map(|part| match part {
            Part::Image(fact) => Some(fact),
            Part::Literal(_) | Part::Variable(_) => None,
        })
    }

    /// Returns the text, if it has no variables.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_and_variables() {
        let template = Template::parse("a{{b}}{repo}:{version}").unwrap();
        assert_eq!(template.parts.len(), 4);
        assert_eq!(template.parts[0], Part::Literal("a{b}".to_owned()));
        assert_eq!(template.variables().map(VariableName::as_str).collect::<Vec<_>>(), ["repo", "version"]);
        assert_eq!(Template::parse("{{}}").unwrap().as_literal(), Some("{}"));
        for wrong in ["{", "}", "a{b", "{}", "{a b}", "{1}", "{a:}", "{:digest}", "{a b:digest}", "{a:digest:x}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn filters() {
        let template = Template::parse("a:{v|trim_prefix:a:b|major}.{w|default:}").unwrap();
        let shown: Vec<String> = template
            .parts
            .iter()
            .map(|part| match part {
                Part::Literal(text) => text.clone(),
                Part::Variable(used) => used.to_string(),
                Part::Image(fact) => fact.to_string(),
            })
            .collect();
        assert_eq!(shown, ["a:", "{v|trim_prefix:a:b|major}", ".", "{w|default:}"]);
        assert_eq!(template.variables().map(VariableName::as_str).collect::<Vec<_>>(), ["v", "w"]);
        for wrong in ["{v|}", "{v|x}", "{|slug}", "{v |slug}", "{image:digest|slug}", "{v|slug"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn facts_of_images() {
        let template = Template::parse("x@{a/image.2:digest} {v} {image:ref}").unwrap();
        let facts: Vec<String> = template.images().map(ToString::to_string).collect();
        assert_eq!(facts, ["{a/image.2:digest}", "{image:ref}"]);
        assert_eq!(template.variables().map(VariableName::as_str).collect::<Vec<_>>(), ["v"]);
        assert_eq!(template.as_literal(), None);
        let wrong = Template::parse("{image:digst}").unwrap_err();
        assert_eq!(wrong, "`{image:digst}`: an image has `digest` and `ref`; did you mean `{image:digest}`?");
    }
}
