//! `Template`: text with `{variables}` in it. `{{` and `}}` are braces.

use crate::VariableName;

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
    /// The value of a variable.
    Variable(VariableName),
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
                let name = VariableName::new(&rest[..end]).map_err(|error| error.to_string())?;
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Variable(name));
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
            Part::Variable(name) => Some(name),
            Part::Literal(_) => None,
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
        for wrong in ["{", "}", "a{b", "{}", "{a b}", "{1}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}
